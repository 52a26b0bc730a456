"""From a config file to a runner: what the training and the test tool share."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config

from pyskl_semloss.errors import InputError


def load_config(
    path: str, *, work_dir: str | None = None, launcher: str = "none", options: Mapping[str, Any] | None = None
) -> Config:
    """Read a config, with its overrides, for the machine that it runs on.

    Args:
        path: The config file.
        work_dir: Where logs and checkpoints go; the config's own, or ``work_dirs/<name>``, without it.
        launcher: ``"none"``, ``"pytorch"`` or ``"slurm"``.
        options: Overrides by dotted key, as ``--cfg-options`` gives them.

    Raises:
        InputError: There is no such file.
    """
    if not Path(path).is_file():
        raise InputError("there is no such config file", file=path)
    config = Config.fromfile(path)
    config.launcher = launcher
    if options:
        config.merge_from_dict(dict(options))
    if work_dir is not None:
        config.work_dir = work_dir
    elif config.get("work_dir") is None:
        config.work_dir = str(Path("work_dirs") / Path(path).stem)
    if launcher == "pytorch" and not torch.cuda.is_available():
        _join_cpu_processes(config)
    for key in ("train_dataloader", "val_dataloader", "test_dataloader"):
        _check_file(config.get(key), path, f"{key}.dataset.ann_file", "dataset", "ann_file")
    _check_file(config.get("model"), path, "model.cls_head.label_vectors", "cls_head", "label_vectors")
    return config


def _join_cpu_processes(config: Config) -> None:
    """Join the processes under gloo; mmengine's own start and wrapper choose a GPU in any case."""
    if not torch.distributed.is_initialized():
        torch.distributed.init_process_group("gloo")
    config.setdefault(
        "model_wrapper_cfg",
        dict(type="MMDistributedDataParallel", device_ids=None, broadcast_buffers=False),
    )


def _check_file(section: Mapping | None, path: str, field: str, *keys: str) -> None:
    """Say which file a config lacks, and how to make it, before minutes of start-up."""
    value: Any = section
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    if isinstance(value, str) and not os.path.isfile(value):
        raise InputError(
            f"there is no file {value}",
            file=path,
            field=field,
            fix="Paths are relative to the current folder; tools/prepare_data.py and tools/build_label_vectors.py "
            f"make such files, and --cfg-options {field}=PATH names another.",
        )


def set_epochs(config: Config, epochs: int) -> None:
    """Train for another number of epochs: the loop and every schedule that ends with it.

    Raises:
        InputError: The number is not positive.
    """
    if epochs < 1:
        raise InputError(f"expected at least 1, got {epochs}", field="epochs")
    old = config.train_cfg.max_epochs
    config.train_cfg.max_epochs = epochs
    for scheduler in config.param_scheduler:
        for key in ("T_max", "end"):
            if scheduler.get("by_epoch", True) and scheduler.get(key) == old:
                scheduler[key] = epochs
