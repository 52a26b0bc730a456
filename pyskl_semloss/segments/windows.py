"""Windows over a long recording: where they lie, and in which of them nobody moves or is seen."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pyskl_semloss.errors import InputError

_SAMPLES = 16
_FAINT = 1e-4
"""A score below it is that of a missing point, as in the heat maps."""


@dataclass(frozen=True, eq=False)
class Windows:
    """W stretches of frames of the same length, in order.

    Attributes:
        start: (W,) first frames.
        length: Frames of a window, at most those of the recording.
        frames: Frames T of the recording.
    """

    start: np.ndarray
    length: int
    frames: int

    def __len__(self) -> int:
        return len(self.start)

    @property
    def stop(self) -> np.ndarray:
        """(W,) the frames behind the last."""
        return np.minimum(self.start + self.length, self.frames)


def plan_windows(frames: int, fps: float, window: float, stride: float) -> Windows:
    """Lay windows over a recording, the last one at its end; a recording shorter than a window is one window.

    Args:
        frames: Frames T of the recording, at least 1.
        fps: Frames per second.
        window: Length in s; at least one frame is taken.
        stride: From the start of one to the start of the next in s; at least one frame.

    Raises:
        InputError: A number is not positive, or windows would leave gaps.
    """
    for field, value in (("window", window), ("stride", stride), ("fps", fps), ("frames", frames)):
        if not (math.isfinite(value) and value > 0):
            raise InputError(f"expected a number above 0, got {value!r}", field=field)
    if stride > window:
        raise InputError(f"a stride of {stride:g} s leaves gaps between windows of {window:g} s", field="stride")
    # A window beyond the recording shows nothing more, and what is made for each of its frames would have no limit.
    length, step = (max(round(min(seconds * fps, frames)), 1) for seconds in (window, stride))
    last = frames - length
    start: np.ndarray = np.arange(0, last + 1, step)
    if start[-1] != last:
        start = np.append(start, last)
    return Windows(start.astype(np.int64), length, frames)


def in_blocks(count: int, size: int) -> Iterator[slice]:
    """Slices of at most ``size`` that cover ``count`` things in order."""
    for first in range(0, count, size):
        yield slice(first, min(first + size, count))


def movement(keypoint: np.ndarray, score: np.ndarray, windows: Windows) -> tuple[np.ndarray, np.ndarray]:
    """How far the most moving joints of a person go in each window, and how much of the person is seen.

    Of 16 frames spread over a window, a joint's range is taken without its lowest and highest place, so that a single
    mistake of the pose estimator is no movement. The three largest ranges are averaged and divided by the person's
    size, the median diagonal of the box around the joints.

    Args:
        keypoint: (T, V, 2) of one person, px; a point whose score is below 1e-4 is missing.
        score: (T, V).
        windows: W windows of these frames.

    Returns:
        Movement (W,) in body sizes, 0 where nothing is seen, and the share of the points that are known (W,).
    """
    moved, seen = np.zeros(len(windows)), np.zeros(len(windows))
    for block in in_blocks(len(windows), 256):
        start, stop = windows.start[block], windows.stop[block]
        frames = (start[:, None] + (stop - start)[:, None] * (np.arange(_SAMPLES) + 0.5) / _SAMPLES).astype(np.int64)
        known = score[frames] >= _FAINT
        points = np.where(known[..., None], keypoint[frames], np.nan).astype(np.float64)
        seen[block] = known.mean((1, 2))
        moved[block] = _relative_range(points, known)
    return moved, seen


def _relative_range(points: np.ndarray, known: np.ndarray) -> np.ndarray:
    """(W, S, V, 2) with NaN for the missing -> (W,)."""
    count = known.sum(1)
    # NaN sorts to the end, so that the count finds the last known place.
    ordered = np.sort(points, axis=1)
    high = np.take_along_axis(ordered, (count - 2).clip(0)[:, None, :, None], axis=1)[:, 0]
    extent = np.where((count >= 4)[..., None], high - ordered[:, 1], 0.0)
    reach = np.sort(np.hypot(extent[..., 0], extent[..., 1]), axis=1)[:, -3:].mean(1)
    low, top = (np.where(known[..., None], points, fill) for fill in (np.inf, -np.inf))
    box = top.max(2) - low.min(2)
    diagonal = np.where(known.any(2), np.hypot(box[..., 0], box[..., 1]), np.nan)
    size = np.array([np.median(row[np.isfinite(row)]) if np.isfinite(row).any() else 0.0 for row in diagonal])
    return np.divide(reach, size, out=np.zeros(len(size)), where=size > 0)
