"""A recording through whatever scores clips: windows in, timelines out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from pyskl_semloss.errors import InputError
from pyskl_semloss.evaluation.scores import Scores
from pyskl_semloss.recordings.recording import Recording
from pyskl_semloss.segments.timeline import Timeline
from pyskl_semloss.segments.windows import Windows, movement, plan_windows

Entry = Mapping[str, Any]
"""A clip as the annotation files have it."""
ScoreClips = Callable[[Iterable[Entry]], Iterator[Scores]]
"""Takes clips one by one and gives their probabilities, batch by batch, in order."""
Progress = Callable[[int, int], None]
"""Called with how many windows are scored, and how many will be."""

WINDOW = 2.0
"""Length of a window in s where the length of the training clips is not known."""
WINDOW_OF_CLIP, CLIP_FPS = 2 / 3, 25.0
"""Length of a window over the median training clip, and the frames per second that those are taken to have."""


def window_seconds(clip_frames: float | None) -> float:
    """Length in s of a window for a model whose training clips have a median of ``clip_frames`` frames, if known."""
    return round(WINDOW_OF_CLIP * clip_frames / CLIP_FPS, 2) if clip_frames else WINDOW


@dataclass(frozen=True)
class WindowRules:
    """Which windows of a recording are scored.

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
        """From one window to the next in s."""
        return self.window / 4 if self.stride is None else self.stride

    def plan(self, recording: Recording) -> Windows:
        """The windows of a recording.

        Raises:
            InputError: Window or stride makes no sense.
        """
        return plan_windows(recording.frames, recording.fps, self.window, self.stride_seconds)


def timelines_of(
    recording: Recording,
    score: ScoreClips,
    class_names: tuple[str, ...],
    rules: WindowRules | None = None,
    progress: Progress | None = None,
) -> list[Timeline]:
    """Score the windows of each person, or of all together, in which somebody is seen and moves.

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
    found = []
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
        found.append(
            Timeline(windows, recording.fps, class_names, probability, cosine if named else None, moved, seen, number)
        )
    return found


def _movement(recording: Recording, person: slice, windows: Windows) -> tuple[np.ndarray, np.ndarray]:
    """Movement and share of known points of one person, or the most of several."""
    each = [
        movement(keypoint, score, windows)
        for keypoint, score in zip(recording.keypoint[person], recording.keypoint_score[person], strict=True)
    ]
    return np.max([moved for moved, _ in each], axis=0), np.max([seen for _, seen in each], axis=0)


def _entries(recording: Recording, person: slice, windows: Windows, numbers: np.ndarray) -> Iterator[Entry]:
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
