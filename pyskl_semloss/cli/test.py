"""Test a checkpoint on MMAction2: print the accuracies and write the score file.

semloss test configs/mmaction2/imigue/joint.py work_dirs/imigue/joint/epoch_100.pth
semloss test CONFIG CHECKPOINT --out scores.npz --cfg-options test_dataloader.dataset.split=val
With a semantic branch the table has a line for the classifier and one for the nearest name. On a validation split the
best weights of the two are printed, and the command that applies them to the test split.
Several processes: torchrun, as for semloss train.
"""

import argparse
import contextlib
from pathlib import Path

from pyskl_semloss.cli.commands import argument_parser
from pyskl_semloss.cli.outputs import say
from pyskl_semloss.cli.program import exit_on_error
from pyskl_semloss.errors import InputError
from pyskl_semloss.io.resources import find_config


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    from pyskl_semloss.cli.run_arguments import parse_run_args

    parser = argument_parser(__doc__)
    parser.add_argument("config", help="config file, or the name of a shipped config")
    parser.add_argument("checkpoint", help="checkpoint file")
    parser.add_argument("--out", help="score file, npz (default: test_scores.npz in the work dir)")
    parser.add_argument("--work-dir", help="where logs go (default: the config's work_dir)")
    return parse_run_args(parser)


@exit_on_error
def main() -> None:
    """Test, print the accuracies, write the scores."""
    from pyskl_semloss.hosts.environment import check_mmaction2

    check_mmaction2()
    args = parse_args()
    # Before the host is imported, which takes seconds.
    if args.out and Path(args.out).suffix != ".npz":
        raise InputError("expected a name that ends in .npz", file=args.out, field="--out")
    if Path(args.checkpoint).is_dir():
        raise InputError("expected a checkpoint file, got a folder", file=args.checkpoint)
    if not Path(args.checkpoint).is_file():
        raise InputError("there is no such checkpoint file", file=args.checkpoint)
    find_config(args.config)
    from mmengine.dist import is_main_process

    from pyskl_semloss.evaluation.fusion_plan import is_validation, result_table, validation_notes
    from pyskl_semloss.evaluation.scores import Scores
    from pyskl_semloss.hosts.mmaction2.model.build_errors import naming_config_entry
    from pyskl_semloss.hosts.mmaction2.model.config_files import fill_num_classes
    from pyskl_semloss.hosts.mmaction2.training.run_config import (
        load_config,
        place_among_processes,
        refuse_other_model,
        use_label_vectors_of,
    )
    from pyskl_semloss.hosts.mmaction2.training.screen import ScreenRunner
    from pyskl_semloss.io.files import acquire_lock, explain_write_errors

    config = load_config(
        args.config, uses=["test"], work_dir=args.work_dir, launcher=args.launcher, options=args.cfg_options
    )
    use_label_vectors_of(config, args.checkpoint)
    fill_num_classes(config, args.config)
    out = args.out or str(Path(config.work_dir) / "test_scores.npz")
    evaluators = config.test_evaluator if isinstance(config.test_evaluator, list) else [config.test_evaluator]
    if not any(evaluator["type"] == "ScoreMetric" for evaluator in evaluators):
        evaluators.append(dict(type="ScoreMetric"))
    config.test_evaluator = [
        {**evaluator, "score_file": out} if evaluator["type"] == "ScoreMetric" else evaluator
        for evaluator in evaluators
    ]
    config.load_from = args.checkpoint
    # Two tests into one file would each show the numbers of whichever ended last.
    first = place_among_processes(args.launcher)[0] == 0
    with acquire_lock(out, "tests into") if first else contextlib.nullcontext():
        with naming_config_entry(args.config):
            with explain_write_errors(config.work_dir):
                runner = ScreenRunner.from_cfg(config)
            refuse_other_model(runner.model, args.checkpoint)
            runner.test()
        if is_main_process():
            scores = Scores.load(out)
            print(result_table(Path(config.work_dir).name, scores))
            say(f"Scores written to {out}")
            if is_validation(config.test_dataloader.dataset.get("split")):
                tested = Path(config.work_dir) / "test_scores.npz"
                same = tested.resolve() == Path(out).resolve()
                for note in validation_notes(scores, out, "TEST_SCORES.npz" if same else str(tested)):
                    say(note)
