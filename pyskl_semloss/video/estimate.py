"""Keypoints of one video, estimated in independent parts.

An estimator that follows persons from frame to frame starts anew at each part, ``WARM_UP`` frames before its first one.
So the result is the same whether the parts are made in one go, by several processes, or after an interruption.
"""

from __future__ import annotations

import math
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pyskl_semloss.annotations.findings import ReadReport
from pyskl_semloss.annotations.mending import mend_points
from pyskl_semloss.errors import InputError, located
from pyskl_semloss.io.progress import ProgressCallback
from pyskl_semloss.io.reading import AnyPath
from pyskl_semloss.recordings.persons import PersonChoice
from pyskl_semloss.recordings.recording import Recording, check_fps
from pyskl_semloss.skeletons import SkeletonLayout, get_layout, joint_map
from pyskl_semloss.video.estimator import Estimator, Keypoints
from pyskl_semloss.video.estimators import load_estimator
from pyskl_semloss.video.frames import Video, import_cv2, open_video, prefetch

PART = 1000
"""Frames of a part, which at 25 frames/s is 40 s of video."""
WARM_UP = 25
"""Frames before a part that the estimator sees to find the person and to settle."""


@dataclass(frozen=True)
class EstimationOptions:
    """Options of pose estimation.

    Attributes:
        layout: Layout of the result; a name, fields or a file of them are turned into one.
        estimator: ``"mediapipe"`` or another name of :func:`pyskl_semloss.video.load_estimator`.
        max_side: Frames with a longer side than this, in px, are made smaller before they are given to the estimator.
        stride: Only each stride-th frame is taken; the recording has the video's frame rate divided by it.
        start: Second of the video at which the recording begins.
        end: Second at which it ends; None: the end of the video.
        fps: Frame rate of a video that does not say it, or says a wrong one: its frames are taken as evenly spaced.
        person: Whom the recording is about, where the estimator finds several; see
            :class:`pyskl_semloss.recordings.persons.PersonChoice`, and so for ``max_persons`` and ``pause``.
        max_persons: For ``"all"``.
        pause: Frames of the recording for which a person may be gone and still be the same; None: one second.

    Raises:
        InputError: One of them is out of its range, or there is no such layout.
    """

    layout: SkeletonLayout = "openpose22"  # type: ignore[assignment]
    estimator: str = "mediapipe"
    max_side: int = 960
    stride: int = 1
    start: float = 0.0
    end: float | None = None
    fps: float | None = None
    person: str = "largest"
    max_persons: int = 2
    pause: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "layout", get_layout(self.layout))
        if not isinstance(self.estimator, str) or not self.estimator:
            raise InputError(f"expected a name or 'module:factory', got {self.estimator!r}", field="estimator")
        for name, least in (("max_side", 32), ("stride", 1)):
            value = getattr(self, name)
            if type(value) is not int or value < least:
                raise InputError(f"expected a whole number from {least}, got {value!r}", field=name)
        if not 0 <= self.start < math.inf:
            raise InputError(f"expected a second from 0, got {self.start}", field="start")
        if self.end is not None and not self.start < self.end < math.inf:
            raise InputError(f"expected a second after the start ({self.start:g} s), got {self.end}", field="end")
        if self.fps is not None:
            check_fps(self.fps)
        _ = self.choice

    @property
    def choice(self) -> PersonChoice:
        """Choice of the persons in the recording."""
        return PersonChoice(self.person, self.max_persons, self.pause)


@dataclass(frozen=True, eq=False)
class VideoPart:
    """Keypoints of ``PART`` frames of a video; the last part has fewer.

    Part n has the frames n * ``PART`` to n * ``PART`` + T - 1 of the recording.

    Attributes:
        number: Which part.
        keypoint: (M, T, V, 2) px of the video.
        score: (M, T, V).
    """

    number: int
    keypoint: np.ndarray
    score: np.ndarray


def estimate(
    path: AnyPath,
    *,
    estimator: str | Estimator = "mediapipe",
    progress: ProgressCallback | None = None,
    **options: Any,
) -> Recording:
    """Estimate the keypoints in a video, in this process.

    Args:
        path: The video.
        estimator: An estimator or the name of one, see :func:`pyskl_semloss.video.load_estimator`.
        progress: Called with the frames done and the frames in all.
        **options: Other fields of :class:`EstimationOptions`, such as ``layout``, ``stride``, ``start`` and ``end``.

    Returns:
        The recording. Each of its persons is one body over time, see :func:`assemble`. Points outside the image are
        kept, as everywhere in the package.

    Raises:
        InputError: The video cannot be read, or there is no such person; names the file and, where it can be said, the
            frame.
        HostError: A package is missing.
    """
    given = EstimationOptions(estimator=estimator if isinstance(estimator, str) else "own", **options)
    finder = load_estimator(estimator) if isinstance(estimator, str) else estimator
    video = open_video(path, given.fps)
    return assemble(estimate_parts(video, given, finder, progress=progress), video, given, single=finder.single)[0]


def expected_frames(video: Video, options: EstimationOptions) -> int:
    """Expected frames of the recording; 0 if the video claims none."""
    first, stop = _range(video, options)
    last = min(stop, video.claimed or stop)
    return 0 if last == np.inf else max(0, -(-(int(last) - first) // options.stride))


def estimate_parts(
    video: Video,
    options: EstimationOptions,
    estimator: Estimator,
    selected: Callable[[int], bool] = lambda number: True,
    progress: ProgressCallback | None = None,
    threads: int = 0,
) -> Iterator[VideoPart]:
    """Estimate the parts of a video, one after the other.

    Args:
        video: The video.
        options: How.
        estimator: The estimator.
        selected: Which parts to make.
        progress: Called with the frames done and the frames in all.
        threads: Of the decoder.

    Yields:
        Parts; the one that the video ends in has less than ``PART`` frames, perhaps none.

    Raises:
        InputError: As :func:`estimate`.
    """
    first, stop = _range(video, options)
    total, done, length = expected_frames(video, options), 0, 0
    # The frame before a part is needed in any case: a video may end with it.
    back = WARM_UP if estimator.reset is not None else 1
    finder = _PoseFinder(video, estimator, options)
    before: deque[Any] = deque(maxlen=back)
    detections: list[Keypoints] = []

    def needed(low: int, high: int) -> bool:
        low, high = max(low - first, 0), high - first
        numbers = range(low // options.stride // PART, (high // options.stride + back) // PART + 1)
        return high >= 0 and any(selected(number) for number in numbers)

    for index, frame in prefetch(video.frames(needed, stop, _smaller(video, options.max_side), threads)):
        at, remainder = divmod(index - first, options.stride)
        if at < 0 or remainder:
            continue
        number, length = at // PART, at + 1
        if selected(number):
            if at % PART == 0:
                finder.start(before)
            detections.append(finder.find(frame))
            done += 1
            if progress is not None:
                progress(done, total)
            if length % PART == 0:
                yield finder.part(number, detections)
                detections = []
        before.append(frame)
    # A video of a multiple of PART frames ends with a part of none, so that the end is known.
    number = length // PART
    if selected(number) and (detections or length % PART == 0):
        if not length and not number:
            raise InputError(
                f"it has no frame from {options.start:g} s on", file=video.path, fix="Give other --start and --end."
            )
        yield finder.part(number, detections)


class _PoseFinder:
    """Estimator with its result in the target layout and video pixels."""

    def __init__(self, video: Video, estimator: Estimator, options: EstimationOptions) -> None:
        self._estimator, self._shape = estimator, video.image_shape
        self._map = joint_map(estimator.layout, options.layout)
        self._frame: Any = None
        self._result: Keypoints | None = None

    def start(self, before: Iterable[Any]) -> None:
        """Reset the estimator and warm it up with some frames."""
        if self._estimator.reset is not None:
            self._estimator.reset()
        self._frame = None
        for frame in before:
            self.find(frame)

    def find(self, frame: np.ndarray) -> Keypoints:
        if frame is not self._frame or self._result is None:
            keypoint, score = self._estimator.find(frame)
            scale = np.array(self._shape[::-1], np.float32) / np.array(frame.shape[1::-1], np.float32)
            self._frame, self._result = frame, self._map.apply(keypoint * scale, score)
        return self._result

    def part(self, number: int, detections: list[Keypoints]) -> VideoPart:
        persons = max((len(score) for _, score in detections), default=0)
        joints = self._map.target.num_joints
        keypoint = np.zeros((persons, len(detections), joints, 2), np.float32)
        scores = np.zeros((persons, len(detections), joints), np.float32)
        for at, (points, score) in enumerate(detections):
            keypoint[: len(points), at], scores[: len(score), at] = points, score
        if keypoint.size:
            keypoint, scores = mend_points(keypoint, scores, self._shape, str(number), ReadReport())
        return VideoPart(number, keypoint, scores)


def assemble(
    parts: Iterable[VideoPart], video: Video, options: EstimationOptions, *, single: bool
) -> tuple[Recording, dict[str, Any]]:
    """Join all parts of a video, in their order, to a recording.

    Persons are followed over the whole recording, so that it does not matter in which order the estimator gave them nor
    how the parts were made.

    Args:
        parts: The parts.
        video: The video.
        options: How.
        single: The only person of a frame is taken for the same as before; nobody is followed.

    Returns:
        The recording, and the facts of :meth:`PersonChoice.apply
        <pyskl_semloss.recordings.persons.PersonChoice.apply>`; none for a single person.

    Raises:
        InputError: There is no such person; names the file.
    """
    nonempty = [part for part in parts if part.keypoint.shape[1]]
    frames, rate = sum(part.score.shape[1] for part in nonempty), video.fps / options.stride
    starts = np.cumsum([0, *(part.score.shape[1] for part in nonempty)])
    if single:
        keypoint = np.zeros((1, frames, options.layout.num_joints, 2), np.float32)
        score = np.zeros(keypoint.shape[:3], np.float32)
        for at, part in zip(starts, nonempty, strict=False):
            span = slice(at, at + part.score.shape[1])
            keypoint[: len(part.score), span], score[: len(part.score), span] = part.keypoint, part.score
        facts: dict[str, Any] = {}
    else:
        frame, points, scores = (
            np.concatenate(arrays) for arrays in zip(*map(_persons, nonempty, starts), strict=True)
        )
        with located(file=video.path):
            keypoint, score, facts = options.choice.apply(
                frame, np.full(len(frame), -1), points, scores, frames, rate, video.image_shape
            )
    name = Path(os.path.abspath(video.path)).stem
    recording = Recording(name, keypoint, score, options.layout, video.image_shape, rate, os.path.basename(video.path))
    return recording, facts


def _persons(part: VideoPart, start: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Visible persons: frames (N,), points (N, V, 2), scores (N, V)."""
    frame, person = np.nonzero((part.score > 0).any(-1).T)
    return start + frame, part.keypoint[person, frame], part.score[person, frame]


def _range(video: Video, options: EstimationOptions) -> tuple[int, float]:
    """First frame of the video that is used, and the end."""
    stop = np.inf if options.end is None else max(1, round(options.end * video.fps))
    return round(options.start * video.fps), stop


def _smaller(video: Video, max_side: int) -> Callable[[np.ndarray], np.ndarray]:
    """Conversion of an OpenCV frame to RGB of the estimator's size."""
    cv2 = import_cv2()
    height, width = video.image_shape
    scale = min(1.0, max_side / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))

    def change(frame: np.ndarray) -> np.ndarray:
        small = frame if scale == 1 else cv2.resize(frame, size, interpolation=cv2.INTER_AREA)
        return cv2.cvtColor(small, cv2.COLOR_BGR2RGB)

    return change
