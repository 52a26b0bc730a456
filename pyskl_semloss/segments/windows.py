"""Sliding windows over recordings, and timelines of their scores."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from pyskl_semloss.errors import InputError
from pyskl_semloss.evaluation.scores import Scores
from pyskl_semloss.io.progress import ProgressCallback
from pyskl_semloss.recordings.recording import Recording

_SAMPLES = 16
_FAINT = 1e-4
"""A score below it is that of a missing point, as in the heat maps."""


@dataclass(frozen=True, eq=False)
class Windows:
    """W windows of equal length, in order.

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
    """Sliding windows over a recording, the last at its end.

    A recording shorter than a window is a single window.

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


def block_slices(count: int, size: int) -> Iterator[slice]:
    """Slices of at most ``size`` that cover ``count`` things in order."""
    for first in range(0, count, size):
        yield slice(first, min(first + size, count))


def movement(keypoint: np.ndarray, score: np.ndarray, windows: Windows) -> tuple[np.ndarray, np.ndarray]:
    """Movement of a person, and share of known points, per window.

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
    for block in block_slices(len(windows), 256):
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


ClipEntry = Mapping[str, Any]
"""A clip as the annotation files have it."""
ScoreClips = Callable[[Iterable[ClipEntry]], Iterator[Scores]]
"""Takes clips one by one and gives their probabilities, batch by batch, in order."""

WINDOW = 2.0
"""Length of a window in s where the length of the training clips is not known."""
WINDOW_OF_CLIP, CLIP_FPS = 2 / 3, 25.0
"""Length of a window over the median training clip, and the frames per second that those are taken to have."""


def window_seconds(clip_frames: float | None) -> float:
    """Window length in s, from the median length of training clips."""
    return round(WINDOW_OF_CLIP * clip_frames / CLIP_FPS, 2) if clip_frames else WINDOW


@dataclass(frozen=True)
class WindowRules:
    """Rules that select the windows of a recording.

    Attributes:
        window: Length in s.
        stride: From one to the next in s; a quarter of the window where it is None.
        still: Least movement in body sizes, see :func:`pyskl_semloss.segments.windows.movement`.
        seen: Least share of known points.
        together: Draw all persons into the same maps, as in training on clips of several; otherwise each has windows of
            its own.

    Raises:
        InputError: ``still`` or ``seen`` is no number from 0 on.
    """

    window: float = WINDOW
    stride: float | None = None
    still: float = 0.05
    seen: float = 0.25
    together: bool = False

    def __post_init__(self) -> None:
        for name in ("still", "seen"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise InputError(f"expected a number from 0, got {getattr(self, name)!r}", field=name)

    @property
    def stride_seconds(self) -> float:
        """Stride between windows in s."""
        return self.window / 4 if self.stride is None else self.stride

    def plan(self, recording: Recording) -> Windows:
        """The windows of a recording.

        Raises:
            InputError: Window or stride makes no sense.
        """
        return plan_windows(recording.frames, recording.fps, self.window, self.stride_seconds)


def score_windows(
    recording: Recording,
    score: ScoreClips,
    class_names: tuple[str, ...],
    rules: WindowRules | None = None,
    progress: ProgressCallback | None = None,
) -> list[Timeline]:
    """Timelines of persons, from windows in which somebody visibly moves.

    A window is a view of the recording. What is kept of it is its scores.

    Args:
        recording: The keypoints.
        score: Scores clips.
        class_names: The C names.
        rules: Which windows are scored.
        progress: Told after every batch.

    Raises:
        InputError: The rules make no sense for the recording, or ``score`` refuses a window.
    """
    rules = rules or WindowRules()
    windows = rules.plan(recording)
    count = recording.keypoint.shape[0]
    people = [slice(0, count)] if rules.together else [slice(number, number + 1) for number in range(count)]
    measured = [_movement(recording, person, windows) for person in people]
    chosen = [np.flatnonzero((moved >= rules.still) & (seen >= rules.seen)) for moved, seen in measured]
    total, done = sum(len(numbers) for numbers in chosen), 0
    timelines = []
    for number, (person, (moved, seen), numbers) in enumerate(zip(people, measured, chosen, strict=True)):
        probability = np.zeros((len(windows), len(class_names)), np.float32)
        cosine = np.zeros_like(probability)
        named = True
        first = 0
        for scores in score(_entries(recording, person, windows, numbers)):
            rows = numbers[first : first + len(scores.score)]
            probability[rows] = scores.score
            named = named and scores.semantic_cosine is not None
            if scores.semantic_cosine is not None:
                cosine[rows] = scores.semantic_cosine
            first += len(rows)
            if progress is not None:
                progress(done + first, total)
        done += first
        timelines.append(
            Timeline(windows, recording.fps, class_names, probability, cosine if named else None, moved, seen, number)
        )
    return timelines


def _movement(recording: Recording, person: slice, windows: Windows) -> tuple[np.ndarray, np.ndarray]:
    """Movement and share of known points, the maximum over persons."""
    each = [
        movement(keypoint, score, windows)
        for keypoint, score in zip(recording.keypoint[person], recording.keypoint_score[person], strict=True)
    ]
    return np.max([moved for moved, _ in each], axis=0), np.max([seen for _, seen in each], axis=0)


def _entries(recording: Recording, person: slice, windows: Windows, numbers: np.ndarray) -> Iterator[ClipEntry]:
    for start, stop in zip(windows.start[numbers].tolist(), windows.stop[numbers].tolist(), strict=True):
        yield {
            "frame_dir": f"{recording.name}_{start}_{stop}",
            "label": -1,
            "img_shape": recording.image_shape,
            "original_shape": recording.image_shape,
            "total_frames": stop - start,
            "keypoint": recording.keypoint[person, start:stop],
            "keypoint_score": recording.keypoint_score[person, start:stop],
        }


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
    """Triangular weights (length,) of a window's scores for its frames.

    The sum of the weights over windows at a regular stride is the same for every frame far from the ends.
    """
    position = np.arange(length)
    return np.minimum(position + 1, length - position).astype(np.float64)


def frame_probability(timeline: Timeline, start: int, stop: int, smoothing: float) -> np.ndarray:
    """Class probabilities of frames: weighted mean over windows, smoothed.

    The smoothing is a Gaussian, cut at three standard deviations.

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
        begin_frame = int(windows.start[number])
        part = shape[low - begin_frame : high - begin_frame]
        total[low - first : high - first] += part * timeline.probability[number]
        weight[low - first : high - first] += part
    return total / weight


def frame_blocks(timeline: Timeline, smoothing: float, size: int = 4096) -> Iterator[tuple[int, np.ndarray]]:
    """First frame and probabilities of blocks of frames, in order."""
    for start in range(0, timeline.windows.frames, size):
        yield start, frame_probability(timeline, start, min(start + size, timeline.windows.frames), smoothing)
