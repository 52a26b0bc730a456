"""Record ``run.json`` of a run: its versions, data and settings at each start."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config

import pyskl_semloss
from pyskl_semloss.annotations.store import HEAD, is_store
from pyskl_semloss.errors import InputError
from pyskl_semloss.hosts.environment import version_of
from pyskl_semloss.io.files import sha256
from pyskl_semloss.io.records import read_record, write_record

RECORD = "run.json"
_PACKAGES = ("numpy", "numba", "torch", "mmengine", "mmcv", "mmaction")


def record_start(
    config: Config, config_file: str, *, uses: Sequence[str] = ("train", "val"), processes: int = 1
) -> dict[str, Any]:
    """Add a start to ``run.json``; a new run replaces earlier starts.

    Args:
        config: Config of the run.
        config_file: Path of the config as the user gave it.
        uses: Data loaders that the run reads from.
        processes: Number of training processes.

    Returns:
        The start.

    Raises:
        InputError: A resumed run has other data than before, or the file is corrupt.
    """
    path = Path(config.work_dir, RECORD)
    now = {
        "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "command": sys.orig_argv,
        "resumed_from": config.load_from if config.resume else None,
        "seed": config.get("randomness", {}).get("seed"),
        "processes": processes,
        "data": _checksums(config, uses),
        "versions": _versions(),
        "git": git_state(Path(pyskl_semloss.__file__).parent),
        "machine": _machine(),
        "config_file": config_file,
        "config": json.loads(json.dumps(config.to_dict(), default=str)),
    }
    starts = _starts(path) if config.resume else []
    if starts:
        _check_data(starts[-1].get("data"), now["data"], path)
        before = starts[-1].get("processes")
        if before not in (None, processes):
            warnings.warn(
                f"the run was of {before} processes so far, this start is of {processes}: a step has other clips, but "
                "the learning rate and the schedule stay the checkpoint's",
                stacklevel=2,
            )
    write_record(path, {"starts": [*starts, now]})
    return now


def git_state(folder: str | os.PathLike[str]) -> dict[str, Any] | None:
    """Git commit of a package's checkout, and whether files differ.

    Args:
        folder: Folder of the package.

    Returns:
        ``commit`` and ``dirty``, or None outside a checkout or if git fails.
    """

    def git(*words: str) -> str:
        command = ["git", "-C", os.fspath(folder), *words]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout.strip()

    try:
        # The environment's folder may be in a checkout of another project.
        git("ls-files", "--error-unmatch", "__init__.py")
        return {"commit": git("rev-parse", "HEAD"), "dirty": bool(git("status", "--porcelain", "."))}
    except (OSError, subprocess.SubprocessError):
        return None


def _checksums(config: Config, uses: Sequence[str]) -> dict[str, dict[str, str]]:
    """SHA-256 of every file that the run reads, by dotted key; of a keypoint store, that of its head."""
    files: dict[str, str] = {}
    for use in uses:
        files.update(_annotations((config.get(f"{use}_dataloader") or {}).get("dataset"), f"{use}_dataloader.dataset"))
    vectors = (config.model.get("cls_head") or {}).get("label_vectors")
    if isinstance(vectors, str):
        files["model.cls_head.label_vectors"] = vectors
    if config.get("load_from") and not config.resume:
        files["load_from"] = config.load_from
    known: dict[str, str] = {}
    for path in set(files.values()):
        source = os.path.join(path, HEAD) if is_store(path) else path
        if os.path.isfile(source):
            known[path] = sha256(source)
    return {key: {"file": path, "sha256": known[path]} for key, path in files.items() if path in known}


def _annotations(dataset: Any, key: str) -> Iterator[tuple[str, str]]:
    """Dotted keys and paths of the annotation files of a data set and of those inside it."""
    if isinstance(dataset, Mapping):
        if isinstance(dataset.get("ann_file"), str):
            yield f"{key}.ann_file", os.path.join(dataset.get("data_root") or "", dataset["ann_file"])
        yield from _annotations(dataset.get("dataset"), f"{key}.dataset")
        for number, part in enumerate(dataset.get("datasets") or ()):
            yield from _annotations(part, f"{key}.datasets.{number}")


def _check_data(before: Any, now: Mapping[str, Any], path: Path) -> None:
    for key, entry in now.items():
        old = before.get(key) if isinstance(before, Mapping) else None
        if isinstance(old, Mapping) and old.get("sha256") != entry["sha256"]:
            raise InputError(
                "it is not the file that the run was trained with so far, see run.json there",
                file=entry["file"],
                field=key,
                fix=f"Give the same data, or start anew; to go on with both, delete {path}.",
            )


def _starts(path: Path) -> list[dict[str, Any]]:
    starts = (read_record(path, "Delete it, and the run goes on without its record.") or {}).get("starts", [])
    if not isinstance(starts, list) or not all(isinstance(start, dict) for start in starts):
        raise InputError("expected a list of starts", file=path, field="starts", fix="Delete it to go on without it.")
    return starts


def _versions() -> dict[str, str | None]:
    versions = {"pyskl_semloss": pyskl_semloss.__version__, "python": platform.python_version()}
    return versions | {name: version_of(name) for name in _PACKAGES}


def _machine() -> dict[str, Any]:
    """Hardware facts that change float32 results: instruction set, number of threads, GPU."""
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {"cpu": torch.backends.cpu.get_cpu_capability(), "threads": torch.get_num_threads(), "gpu": gpu}
