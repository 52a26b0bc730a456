"""Run configuration shared by the training and the test command."""

from __future__ import annotations

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
from pyskl_semloss.errors import InputError, located
from pyskl_semloss.hosts.checkpoints import LABEL_VECTORS_KEY, first_mismatch, name_graph_head, read_state_dict
from pyskl_semloss.hosts.faults import allow_open_files
from pyskl_semloss.hosts.mmaction2.model.config_files import (
    check_settings,
    embed_layouts,
    keypoint_datasets,
    read_config,
)
from pyskl_semloss.io.files import atomic_write
from pyskl_semloss.keypoint_ops import check_stream
from pyskl_semloss.semantic.label_vectors import LabelVectors


def load_config(
    path: str,
    *,
    uses: Sequence[str],
    work_dir: str | None = None,
    launcher: str = "none",
    options: Mapping[str, Any] | None = None,
) -> Config:
    """Config with overrides, completed for this machine.

    Args:
        path: Path of the config.
        uses: Data loaders in use, of ``"train"``, ``"val"``, ``"test"``; their files must exist.
        work_dir: Folder of logs and checkpoints; by default the config's, or ``work_dirs/<name>``.
        launcher: ``"none"``, ``"pytorch"`` or ``"slurm"``.
        options: Overrides by dotted key, as ``--cfg-options`` gives them.

    Raises:
        InputError: The config or a file that the run needs is missing, or a setting is wrong.
    """
    # A user's setting that makes torch unpickle arbitrary objects of a checkpoint.
    os.environ.pop("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", None)
    # On a full disk each line of the log would print a traceback before the error that stops the run.
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
    set_stream(config, path, own_folder=work_dir is None)
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
    """Draw a seed that ``run.json`` can record, and turn off persistent workers where there are no workers."""
    if config.launcher == "none" and config.get("randomness", {}).get("seed") is None:
        config.randomness = {**config.get("randomness", {}), "seed": secrets.randbelow(1 << 31)}
    for key in ("train", "val", "test"):
        loader = config.get(f"{key}_dataloader") or {}
        if loader.get("num_workers") == 0:
            loader["persistent_workers"] = False


def set_stream(config: Config, path: str, own_folder: bool = False) -> None:
    """Give every ``KeypointDataset`` the config's ``stream``, the input of graph networks.

    Args:
        config: The config; changed in place, if it has a ``stream``.
        path: Path of the config, for messages.
        own_folder: Append the stream to ``work_dir``, so that runs on several streams lie side by side.

    Raises:
        InputError: There is no such stream.
    """
    stream = config.get("stream")
    if stream is None:
        return
    with located(file=path):
        check_stream(stream)
    for use in ("train", "val", "test"):
        for dataset in keypoint_datasets((config.get(f"{use}_dataloader") or {}).get("dataset")):
            dataset["stream"] = stream
    if own_folder and Path(config.work_dir).name != stream:  # a run's own copy has it already
        config.work_dir = str(Path(config.work_dir) / stream)


def place_among_processes(launcher: str) -> tuple[int, int]:
    """Rank of this process and number of processes, from the launcher's environment."""
    names = {"pytorch": ("RANK", "WORLD_SIZE"), "slurm": ("SLURM_PROCID", "SLURM_NTASKS")}.get(launcher)
    return (0, 1) if names is None else (int(os.environ.get(names[0], 0)), int(os.environ.get(names[1], 1)))


def _join_cpu_processes(config: Config) -> None:
    """Join the processes under gloo; mmengine's own start and wrapper require a GPU."""
    if not torch.distributed.is_initialized():
        torch.distributed.init_process_group("gloo")
    config.setdefault(
        "model_wrapper_cfg",
        dict(type="MMDistributedDataParallel", device_ids=None, broadcast_buffers=False),
    )


def check_label_vectors(config: Config, path: str) -> None:
    """Refuse a config whose file of label vectors is missing."""
    _check_file(config.model.get("cls_head", {}).get("label_vectors"), path, "model.cls_head.label_vectors")


def note_class_names(config: Config) -> None:
    """Add class names and origin of the label vectors to the training set's metainfo, which checkpoints record."""
    path = config.model.get("cls_head", {}).get("label_vectors")
    dataset = (config.get("train_dataloader") or {}).get("dataset", {})
    if isinstance(path, str) and path.endswith(".npz") and dataset.get("type") == "KeypointDataset":
        labels = LabelVectors.load(path)
        origin = dict(source=labels.source, checksum=labels.checksum, notes=dict(labels.notes))
        known = dict(classes=list(labels.class_names), label_vectors=origin)
        dataset["metainfo"] = {**(dataset.get("metainfo") or {}), **known}


def use_label_vectors_of(config: Config, checkpoint: str) -> None:
    """Replace a missing file of label vectors by those of the checkpoint.

    Args:
        config: Config of the run; changed in place. The vectors are written to its ``work_dir``.
        checkpoint: Path of the checkpoint.

    Raises:
        InputError: The file and the checkpoint's label vectors are both missing.
    """
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
    """Refuse a checkpoint whose weights do not fit a model.

    The host would leave random weights.

    Args:
        model: Model to test, before the host loads the checkpoint into it.
        checkpoint: Path of the checkpoint; weights beyond the model's are ignored.

    Raises:
        InputError: A weight is missing, or has another shape or type of number.
    """
    unwrapped: Any = model.module if is_model_wrapper(model) else model
    mismatch = first_mismatch(unwrapped.state_dict(), name_graph_head(read_state_dict(checkpoint), "fc"), extra=True)
    if mismatch is not None:
        raise InputError(
            f"it is of another model than the config's: {mismatch}",
            file=checkpoint,
            fix="Test it with the config, and the --cfg-options, that it was trained with.",
        )


def _check_file(value: object, path: str, field: str, root: str | None = None) -> None:
    """Refuse a missing file of a config before the slow start-up."""
    if isinstance(value, str):
        file = os.path.join(root or "", value)
        if not (os.path.isfile(file) or is_store(file)):
            raise missing_file(file, path, field)


def set_epochs(config: Config, epochs: int) -> None:
    """Set the number of epochs in the loop and its schedules.

    Raises:
        InputError: The number is not positive, or the config counts iterations.
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
