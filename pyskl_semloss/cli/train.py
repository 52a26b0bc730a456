"""Train a model on MMAction2.

semloss train configs/mmaction2/imigue/joint.py
semloss train CONFIG --work-dir work_dirs/mine --epochs 50 --seed 1 --resume
semloss train CONFIG --cfg-options train_dataloader.batch_size=8 model.cls_head.alpha=10
Several processes: torchrun --nproc_per_node 2 -m pyskl_semloss train CONFIG --launcher pytorch
--resume continues an interrupted run, with the result of an uninterrupted one; see docs/reliability.md.
"""

import argparse
import contextlib
import os
import shlex
from typing import Any

from pyskl_semloss.cli.commands import argument_parser
from pyskl_semloss.cli.interruption import exit_on_signal
from pyskl_semloss.cli.outputs import say
from pyskl_semloss.cli.program import exit_on_error
from pyskl_semloss.cpu.workers import starter
from pyskl_semloss.errors import InputError
from pyskl_semloss.io.resources import find_config


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    from pyskl_semloss.cli.run_arguments import parse_run_args

    parser = argument_parser(__doc__)
    parser.add_argument("config", help="config file, or the name of a shipped config")
    parser.add_argument("--work-dir", help="where logs and checkpoints go (default: the config's work_dir)")
    parser.add_argument("--resume", nargs="?", const="auto", help="go on from the latest, or the given, checkpoint")
    parser.add_argument("--epochs", type=int, help="train for another number of epochs than the config's")
    parser.add_argument("--seed", type=int, help="random seed (default: the config's)")
    parser.add_argument("--amp", action="store_true", help="train with automatic mixed precision")
    parser.add_argument("--no-validate", action="store_true", help="do not validate during training")
    return parse_run_args(parser)


@exit_on_error
@exit_on_signal("--resume")
def main() -> None:
    """Train, and print the command that tests the model."""
    from pyskl_semloss.hosts.environment import check_mmaction2

    check_mmaction2()
    args = parse_args()
    # Before the host is imported, which takes seconds.
    find_config(args.config)
    import torch
    from mmengine.dist import is_main_process

    from pyskl_semloss.hosts.mmaction2.model.build_errors import naming_config_entry
    from pyskl_semloss.hosts.mmaction2.model.config_files import check_seed, fill_num_classes
    from pyskl_semloss.hosts.mmaction2.training.resume import begin, choose_start, hold_run
    from pyskl_semloss.hosts.mmaction2.training.run_config import (
        check_label_vectors,
        load_config,
        note_class_names,
        place_among_processes,
        set_epochs,
    )
    from pyskl_semloss.hosts.mmaction2.training.run_record import record_start
    from pyskl_semloss.hosts.mmaction2.training.screen import ScreenRunner
    from pyskl_semloss.io.files import explain_write_errors

    uses = ["train"] if args.no_validate else ["train", "val"]
    config = load_config(
        args.config, uses=uses, work_dir=args.work_dir, launcher=args.launcher, options=args.cfg_options
    )
    check_label_vectors(config, args.config)
    fill_num_classes(config, args.config)
    note_class_names(config)
    if args.epochs is not None:
        set_epochs(config, args.epochs)
    check_seed(args.seed, "--seed")
    if args.seed is not None:
        config.randomness = {**config.get("randomness", {}), "seed": args.seed}
    if args.amp:
        if not torch.cuda.is_available():
            raise InputError("mixed precision with loss scaling needs a GPU, and there is none here", field="--amp")
        config.optim_wrapper.update(type="AmpOptimWrapper", loss_scale="dynamic")
    if args.no_validate:
        config.val_cfg = config.val_dataloader = config.val_evaluator = None
        config.default_hooks.checkpoint.pop("save_best", None)
    rank, processes = place_among_processes(args.launcher)
    # Only the first process writes into the run's folder.
    with hold_run(config) if rank == 0 else contextlib.nullcontext():
        with naming_config_entry(args.config):
            start = choose_start(config, args.resume, seed=args.seed, first=rank == 0)
        if rank == 0:
            record_start(config, args.config, uses=uses, processes=processes)
        with explain_write_errors(config.work_dir):
            begin(config, start, first=rank == 0)
        with naming_config_entry(args.config):
            ScreenRunner.from_cfg(config).train()
        if is_main_process():
            _say_result(args, config)


def _say_result(args: argparse.Namespace, config: Any) -> None:
    """Print the command that tests the model; for a step of another program, the checkpoint alone."""
    from mmengine.runner import find_latest_checkpoint

    checkpoint = str(find_latest_checkpoint(config.work_dir))
    if starter() is not None:
        say(f"Trained: {checkpoint}")
        return
    words = [args.config, checkpoint, *(["--work-dir", args.work_dir] if args.work_dir else [])]
    if args.cfg_options:
        # What the run wrote has the options, and the folder.
        words[:] = [os.path.join(config.work_dir, os.path.basename(config.filename)), checkpoint]
    say(f"Trained. Test it with: semloss test {shlex.join(words)}")
