"""What the models say about each moment of a recording: scores of windows, and probabilities of frames from them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pyskl_semloss.errors import InputError
from pyskl_semloss.segments.sliding import Windows


@dataclass(frozen=True, eq=False)
class Timeline:
    """Scores of W windows of one person.

    Attributes:
        windows: Where they lie.
        fps: Frames per second.
        class_names: The C names.
        probability: (W, C), 0 where a window was not scored because nothing moves, or nobody is seen.
        cosine: (W, C) cosine to each class name, or nothing without a semantic branch.
        movement: (W,) in body sizes.
        seen: (W,) share of the points that are known.
        person: Number of the person.
    """

    windows: Windows
    fps: float
    class_names: tuple[str, ...]
    probability: np.ndarray
    cosine: np.ndarray | None
    movement: np.ndarray
    seen: np.ndarray
    person: int = 0

    def __post_init__(self) -> None:
        expected = (len(self.windows), len(self.class_names))
        if self.probability.shape != expected:
            raise InputError(f"expected the shape {expected}, got {self.probability.shape}", field="probability")

    def top(self, second: float, count: int = 5) -> tuple[tuple[str, float], ...]:
        """The most probable classes at a moment with their probabilities, best first."""
        frame = int(np.clip(second * self.fps, 0, self.windows.frames - 1))
        row = frame_probability(self, frame, frame + 1, 0.0)[0]
        best = np.argsort(-row, kind="stable")[:count]
        return tuple((self.class_names[k], float(row[k])) for k in best)


def window_weights(length: int) -> np.ndarray:
    """Weight (length,) of a window's scores for each of its frames: a triangle, since its middle is what it shows best.

    The sum of the weights over windows at a regular stride is the same for every frame far from the ends.
    """
    place = np.arange(length)
    return np.minimum(place + 1, length - place).astype(np.float64)


def frame_probability(timeline: Timeline, start: int, stop: int, smoothing: float) -> np.ndarray:
    """Class probabilities of frames: the weighted mean over the windows that cover each, smoothed by a Gaussian.

    A frame gets the same numbers, to the last bit, in whichever block it is asked for.

    Args:
        timeline: The scores.
        start: First frame of the block.
        stop: The frame behind its last.
        smoothing: Standard deviation of the Gaussian in s, cut at three of them; 0 does not smooth.

    Returns:
        (stop - start, C), float64. A row sums to the share of the weights whose windows were scored.
    """
    sigma = smoothing * timeline.fps
    reach = int(min(3 * sigma, timeline.windows.frames))
    first, last = max(start - reach, 0), min(stop + reach, timeline.windows.frames)
    raw = _mean_over_windows(timeline, first, last)
    if not reach:
        return raw[start - first : stop - first]
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    total, weight = np.zeros((stop - start, raw.shape[1])), np.zeros((stop - start, 1))
    # Beyond the ends of the recording there is nothing; the weights that remain are scaled up.
    for offset, share in zip(range(-reach, reach + 1), kernel, strict=True):
        low, high = max(start + offset, first), min(stop + offset, last)
        if low >= high:
            continue
        rows = slice(low - offset - start, high - offset - start)
        total[rows] += share * raw[low - first : high - first]
        weight[rows] += share
    return total / weight


def _mean_over_windows(timeline: Timeline, first: int, last: int) -> np.ndarray:
    windows = timeline.windows
    shape = window_weights(windows.length)[:, None]
    total, weight = np.zeros((last - first, timeline.probability.shape[1])), np.zeros((last - first, 1))
    begin = int(np.searchsorted(windows.start, first - windows.length, side="right"))
    end = int(np.searchsorted(windows.start, last, side="left"))
    for number in range(begin, end):
        low, high = max(int(windows.start[number]), first), min(int(windows.start[number]) + windows.length, last)
        place = int(windows.start[number])
        part = shape[low - place : high - place]
        total[low - first : high - first] += part * timeline.probability[number]
        weight[low - first : high - first] += part
    return total / weight


def frame_blocks(timeline: Timeline, smoothing: float, size: int = 4096) -> Iterator[tuple[int, np.ndarray]]:
    """The first frame and the probabilities of each block of frames, in order, so that memory does not grow."""
    for start in range(0, timeline.windows.frames, size):
        yield start, frame_probability(timeline, start, min(start + size, timeline.windows.frames), smoothing)
