"""From a config file to a runner: what the training and the test tool share."""

from __future__ import annotations

import argparse
import logging
import os
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.model import is_model_wrapper

from pyskl_semloss.annotations.store import is_store
from pyskl_semloss.cpu.allocator import keep_large_blocks
from pyskl_semloss.datasets.commands import missing_file
from pyskl_semloss.errors import InputError
from pyskl_semloss.hosts.checkpoints import LABEL_VECTORS_KEY, read_state_dict
from pyskl_semloss.hosts.faults import allow_open_files
from pyskl_semloss.hosts.mmaction2.model.config_files import OverrideAction, check_settings, embed_layouts, read_config
from pyskl_semloss.io.files import atomic_write
from pyskl_semloss.semantic.label_vectors import LabelVectors


def parse_run_args(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """Add the arguments that training and testing share, and read the command line.

    Args:
        parser: The tool's parser with its own arguments.

    Returns:
        The arguments; ``LOCAL_RANK`` is set for launchers that give the rank as an argument.
    """
    parser.add_argument(
        "--cfg-options", nargs="+", action=OverrideAction, metavar="KEY=VALUE", help="override settings"
    )
    parser.add_argument(
        "--launcher",
        choices=["none", "pytorch", "slurm"],
        default="none",
        help="of several processes (default: none)",
    )
    parser.add_argument("--local-rank", "--local_rank", type=int, default=0, help=argparse.SUPPRESS)
    args = parser.parse_args()
    os.environ.setdefault("LOCAL_RANK", str(args.local_rank))
    return args


def load_config(
    path: str,
    *,
    uses: Sequence[str],
    work_dir: str | None = None,
    launcher: str = "none",
    options: Mapping[str, Any] | None = None,
) -> Config:
    """Read a config, with its overrides, for the machine that it runs on.

    Args:
        path: The config file.
        uses: The data loaders that will be used, ``"train"``, ``"val"``, ``"test"``: their files must be there.
        work_dir: Where logs and checkpoints go; the config's own, or ``work_dirs/<name>``, without it.
        launcher: ``"none"``, ``"pytorch"`` or ``"slurm"``.
        options: Overrides by dotted key, as ``--cfg-options`` gives them.

    Raises:
        InputError: The config, or a file that it names and the run needs, is not there, or a setting is wrong.
    """
    # A user's setting that makes torch unpickle whatever a checkpoint holds.
    os.environ.pop("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", None)
    # On a full disk each line of the log would bring a traceback to the screen before what matters cannot be written.
    logging.raiseExceptions = False
    allow_open_files()
    if not torch.cuda.is_available():
        keep_large_blocks()
    config = read_config(path, options)
    check_settings(config, path, uses)
    embed_layouts(config._cfg_dict)
    config.launcher = launcher
    if work_dir is not None:
        config.work_dir = work_dir
    elif config.get("work_dir") is None:
        config.work_dir = str(Path("work_dirs") / Path(path).stem)
    _complete(config)
    if launcher == "pytorch" and "RANK" not in os.environ:
        problem = "expected to be started by torchrun, once for each process"
        fix = "Start it as torchrun --nproc_per_node 2 -m pyskl_semloss ..., or leave the option out."
        raise InputError(problem, field="--launcher", fix=fix)
    if launcher == "pytorch" and not torch.cuda.is_available():
        _join_cpu_processes(config)
    if launcher == "slurm" and not torch.cuda.is_available():
        raise InputError("slurm starts one process for each GPU, but there is none here", field="--launcher")
    for key in uses:
        dataset = (config.get(f"{key}_dataloader") or {}).get("dataset", {})
        _check_file(dataset.get("ann_file"), path, f"{key}_dataloader.dataset.ann_file", dataset.get("data_root"))
    return config


def _complete(config: Config) -> None:
    """A seed that ``run.json`` can name, where the host would draw one, and loaders that can do without workers."""
    if config.launcher == "none" and config.get("randomness", {}).get("seed") is None:
        config.randomness = {**config.get("randomness", {}), "seed": secrets.randbelow(1 << 31)}
    for key in ("train", "val", "test"):
        loader = config.get(f"{key}_dataloader") or {}
        if loader.get("num_workers") == 0:
            loader["persistent_workers"] = False


def place_among_processes(launcher: str) -> tuple[int, int]:
    """Number of this process, and how many train together, as the launcher says it to the host."""
    names = {"pytorch": ("RANK", "WORLD_SIZE"), "slurm": ("SLURM_PROCID", "SLURM_NTASKS")}.get(launcher)
    return (0, 1) if names is None else (int(os.environ.get(names[0], 0)), int(os.environ.get(names[1], 1)))


def _join_cpu_processes(config: Config) -> None:
    """Join the processes under gloo; mmengine's own start and wrapper choose a GPU in any case."""
    if not torch.distributed.is_initialized():
        torch.distributed.init_process_group("gloo")
    config.setdefault(
        "model_wrapper_cfg",
        dict(type="MMDistributedDataParallel", device_ids=None, broadcast_buffers=False),
    )


def check_label_vectors(config: Config, path: str) -> None:
    """Refuse a config whose label vectors are a file that is not there."""
    _check_file(config.model.get("cls_head", {}).get("label_vectors"), path, "model.cls_head.label_vectors")


def note_class_names(config: Config) -> None:
    """Let the training set know the classes' names and how their vectors were built: checkpoints keep what it knows."""
    path = config.model.get("cls_head", {}).get("label_vectors")
    dataset = (config.get("train_dataloader") or {}).get("dataset", {})
    if isinstance(path, str) and path.endswith(".npz") and dataset.get("type") == "KeypointDataset":
        labels = LabelVectors.load(path)
        origin = dict(source=labels.source, checksum=labels.checksum, notes=dict(labels.notes))
        known = dict(classes=list(labels.class_names), label_vectors=origin)
        dataset["metainfo"] = {**(dataset.get("metainfo") or {}), **known}


def use_label_vectors_of(config: Config, checkpoint: str) -> None:
    """Where the file of label vectors is not there, take those that the checkpoint holds; a checkpoint is whole."""
    value = config.model.get("cls_head", {}).get("label_vectors")
    if not isinstance(value, str) or os.path.isfile(value):
        return
    state = read_state_dict(checkpoint)
    if LABEL_VECTORS_KEY not in state:
        raise InputError(
            f"there is no file {value}, and the checkpoint has no label vectors",
            file=checkpoint,
            field="model.cls_head.label_vectors",
            fix="semloss convert adds them to a checkpoint of the release.",
        )
    config.model.cls_head.label_vectors = str(Path(config.work_dir) / "label_vectors_of_checkpoint.npy")
    with atomic_write(config.model.cls_head.label_vectors) as stream:
        np.save(stream, state[LABEL_VECTORS_KEY].numpy())


def refuse_other_model(model: torch.nn.Module, checkpoint: str) -> None:
    """Refuse a checkpoint of another model, of which the host would leave random weights in the places it lacks.

    Args:
        model: The one to test, before the host has loaded the checkpoint into it.
        checkpoint: Its file; what it holds beyond the model does not matter.

    Raises:
        InputError: A weight of the model is absent in it, or of another shape.
    """
    state = read_state_dict(checkpoint)
    wrong = []
    whole: Any = model.module if is_model_wrapper(model) else model
    for name, value in whole.state_dict().items():
        if name not in state:
            wrong.append(f"{name} is absent in it")
        elif state[name].shape != value.shape:
            wrong.append(f"{name} is {tuple(state[name].shape)} in it, {tuple(value.shape)} in the model")
    if wrong:
        rest = f", and {len(wrong) - 1} more like it" if len(wrong) > 1 else ""
        raise InputError(
            f"it is of another model than the config's: {wrong[0]}{rest}",
            file=checkpoint,
            fix="Test it with the config, and the --cfg-options, that it was trained with.",
        )


def _check_file(value: object, path: str, field: str, root: str | None = None) -> None:
    """Say which file a config lacks, and how to make it, before minutes of start-up."""
    found = os.path.join(root or "", value) if isinstance(value, str) else None
    if found is None or os.path.isfile(found) or is_store(found):
        return
    raise missing_file(found, path, field)


def set_epochs(config: Config, epochs: int) -> None:
    """Train for another number of epochs: the loop and every schedule that ends with it.

    Raises:
        InputError: The number is not positive, or the config does not count in epochs.
    """
    if epochs < 1:
        raise InputError(f"expected at least 1, got {epochs}", field="--epochs")
    old = config.train_cfg.get("max_epochs")
    if old is None:
        raise InputError("the config's train_cfg counts iterations, not epochs", field="--epochs")
    config.train_cfg.max_epochs = epochs
    schedulers = config.get("param_scheduler") or []
    for scheduler in schedulers if isinstance(schedulers, list) else [schedulers]:
        for key in ("T_max", "end"):
            if scheduler.get("by_epoch", True) and scheduler.get(key) == old:
                scheduler[key] = epochs
