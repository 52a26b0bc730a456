"""The clips of one video between its conversion and the writing of the whole, in a file of their own."""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pyskl_semloss import __version__
from pyskl_semloss.annotations.clip import Clip
from pyskl_semloss.datasets.findings import Findings
from pyskl_semloss.datasets.sources import VideoFiles
from pyskl_semloss.io.arrays import read_npz, write_npz

LAYOUT = 1


@dataclass(frozen=True)
class Part:
    """The clips of a video, and what was found in its files."""

    clips: list[Clip]
    findings: Findings


def part_key(video: VideoFiles, data_set: str, strict: bool) -> str:
    """Text that differs when the part must be made anew: files, their sizes and times, options, version."""
    files = [[path, *_stamp(path)] for path in (video.skeletons, video.labels)]
    return json.dumps([LAYOUT, __version__, data_set, strict, files])


def _stamp(path: str) -> tuple[int, int]:
    try:
        status = os.stat(path)
    except OSError:
        return -1, -1
    return status.st_size, status.st_mtime_ns


def write_part(path: str | os.PathLike[str], key: str, part: Part) -> None:
    """Write a part, whole or not at all.

    Raises:
        InputError: The file cannot be written.
    """
    clips = part.clips
    content = {"key": key, "shape": clips[0].img_shape if clips else (1, 1), "findings": part.findings.to_dict()}
    arrays = {"about": np.array(json.dumps(content))}
    if clips:
        arrays["names"] = np.array([clip.frame_dir for clip in clips])
        arrays["labels"] = np.array([clip.label for clip in clips])
        arrays["frames"] = np.array([clip.total_frames for clip in clips])
        arrays["keypoint"] = np.concatenate([clip.keypoint for clip in clips], axis=1)
        arrays["score"] = np.concatenate([clip.keypoint_score for clip in clips], axis=1)
    write_npz(path, arrays)


def read_part(path: Path, key: str, *, only_check: bool = False) -> Part | None:
    """Read a part; None where it is absent, damaged or made from other files or with other options.

    Args:
        path: The file.
        key: What :func:`part_key` says now.
        only_check: Leave the clips in the file.
    """
    if not path.exists():
        return None
    try:
        arrays = read_npz(path, ["about"] if only_check else None)
        about = json.loads(str(arrays["about"]))
        if about["key"] != key:
            return None
        if only_check:
            return Part([], Findings())
        return Part(_clips(arrays, tuple(about["shape"])), Findings.from_dict(about["findings"]))
    # Whatever a damaged archive raises, the remedy is to make it anew.
    except Exception:
        with contextlib.suppress(OSError):
            path.unlink()
        return None


def _clips(arrays: dict[str, np.ndarray], shape: tuple[int, int]) -> list[Clip]:
    if "names" not in arrays:
        return []
    ends = np.cumsum(arrays["frames"]).tolist()
    starts = [0, *ends[:-1]]
    names, labels = arrays["names"].tolist(), arrays["labels"].tolist()
    return [
        Clip(name, label, shape, shape, arrays["keypoint"][:, start:end], arrays["score"][:, start:end])
        for name, label, start, end in zip(names, labels, starts, ends, strict=True)
    ]
