"""The parts of a video on the disk, so that an interrupted run goes on where it was."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from pyskl_semloss import __version__
from pyskl_semloss.errors import InputError
from pyskl_semloss.io.arrays import read_npz
from pyskl_semloss.io.files import atomic_write
from pyskl_semloss.video.estimate import PART, WARM_UP, Part
from pyskl_semloss.video.options import EstimationOptions

_OF_THE_WHOLE = ("person", "max_persons", "pause")
"""Options that matter when the parts are put together."""


def result_key(path: str | os.PathLike[str], options: EstimationOptions, without: Sequence[str] = ()) -> str:
    """Text that differs when a result must be made anew: file, its size and time, options, version.

    Args:
        path: The video.
        options: How it is estimated.
        without: Options that do not matter.
    """
    status = os.stat(path)
    fields = {name: value for name, value in asdict(options).items() if name not in without}
    stamp = [os.path.abspath(path), status.st_size, status.st_mtime_ns]
    text = json.dumps([__version__, PART, WARM_UP, *stamp, fields], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


class PartFiles:
    """The folder ``NAME.parts`` with a file for each part that is made.

    Args:
        folder: The folder.
        video: The video.
        options: How it is estimated; parts that were made otherwise do not count.
    """

    def __init__(self, folder: str | os.PathLike[str], video: str, options: EstimationOptions) -> None:
        self.folder = Path(folder)
        # A part that is full does not depend on the end.
        self._full = result_key(video, options, (*_OF_THE_WHOLE, "end"))
        self._last = result_key(video, options, _OF_THE_WHOLE)

    def save(self, part: Part) -> None:
        """Write a part, whole or not at all."""
        key = self._full if part.score.shape[1] == PART else self._last
        with atomic_write(self._file(part.number)) as stream:
            np.savez_compressed(stream, keypoint=part.keypoint, score=part.score, key=key)

    def read(self, number: int) -> Part | None:
        """A part, or None if it is not there, damaged, or of other options."""
        file = self._file(number)
        if not file.is_file():
            return None
        # Whatever is wrong with it, the remedy is to make it anew.
        with contextlib.suppress(InputError, KeyError, IndexError):
            members = read_npz(file)
            keypoint, score = members["keypoint"], members["score"]
            full = score.shape[1] == PART
            right = keypoint.shape == (*score.shape, 2) and score.shape[1] <= PART
            if right and str(members["key"]) == (self._full if full else self._last):
                return Part(number, keypoint, score)
        return None

    def lengths(self) -> dict[int, int]:
        """Frames of each part that is there."""
        names = [file.stem for file in self.folder.glob("*.npz")] if self.folder.is_dir() else []
        parts = [self.read(int(name)) for name in names if name.isdigit()]
        return {part.number: part.score.shape[1] for part in parts if part is not None}

    def remove(self) -> None:
        """Delete the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _file(self, number: int) -> Path:
        return self.folder / f"{number:06d}.npz"


def are_complete(lengths: dict[int, int]) -> bool:
    """Whether these parts, number to frames, are all of a video: the first that is not full is the last."""
    short = [number for number, length in lengths.items() if length < PART]
    return bool(short) and all(number in lengths for number in range(min(short)))
