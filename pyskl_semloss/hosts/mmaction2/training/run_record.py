"""``run.json``: all that it takes to repeat a run, written when it starts and continued when it is resumed."""

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
    """Write what a start depends on to ``run.json`` in the work dir; a resumed run's starts are kept before it.

    Args:
        config: As the runner will get it.
        config_file: As the user named it.
        uses: The data loaders that the run reads from.
        processes: How many train together.

    Returns:
        The start.

    Raises:
        InputError: A resumed run would go on with other data, or the file is damaged.
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
    """Commit of the git checkout that a package is in, and whether its files differ from it.

    Args:
        folder: The package's.

    Returns:
        None where it is in no checkout, or git cannot say.
    """

    def git(*words: str) -> str:
        command = ["git", "-C", os.fspath(folder), *words]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout.strip()

    try:
        # An environment may lie in a checkout of something else.
        git("ls-files", "--error-unmatch", "__init__.py")
        return {"commit": git("rev-parse", "HEAD"), "dirty": bool(git("status", "--porcelain", "."))}
    except (OSError, subprocess.SubprocessError):
        return None


def _checksums(config: Config, uses: Sequence[str]) -> dict[str, dict[str, str]]:
    """SHA-256 of every file that the run reads, by its place in the config; of a keypoint store, that of its head."""
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
    return {place: {"file": path, "sha256": known[path]} for place, path in files.items() if path in known}


def _annotations(dataset: Any, place: str) -> Iterator[tuple[str, str]]:
    """Annotation files of a data set and of those that it wraps, each with its place in the config."""
    if isinstance(dataset, Mapping):
        if isinstance(dataset.get("ann_file"), str):
            yield f"{place}.ann_file", os.path.join(dataset.get("data_root") or "", dataset["ann_file"])
        yield from _annotations(dataset.get("dataset"), f"{place}.dataset")
        for number, part in enumerate(dataset.get("datasets") or ()):
            yield from _annotations(part, f"{place}.datasets.{number}")


def _check_data(before: Any, now: Mapping[str, Any], path: Path) -> None:
    for place, entry in now.items():
        old = before.get(place) if isinstance(before, Mapping) else None
        if isinstance(old, Mapping) and old.get("sha256") != entry["sha256"]:
            raise InputError(
                "it is not the file that the run was trained with so far, see run.json there",
                file=entry["file"],
                field=place,
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
    """What float32 results depend on beside versions: the processor's kind, and how many threads share a sum."""
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {"cpu": torch.backends.cpu.get_cpu_capability(), "threads": torch.get_num_threads(), "gpu": gpu}
