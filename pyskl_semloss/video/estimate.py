"""Keypoints of one video, in parts that do not depend on each other.

An estimator that follows persons from frame to frame starts anew at each part, ``WARM_UP`` frames before its first one.
So the result is the same whether the parts are made in one go, by several processes, or after an interruption.
"""

from __future__ import annotations

import contextlib
import os
import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from pyskl_semloss.annotations.mending import mend_points
from pyskl_semloss.annotations.report import Report
from pyskl_semloss.errors import InputError
from pyskl_semloss.io.progress import ProgressCallback
from pyskl_semloss.recordings.recording import Recording
from pyskl_semloss.skeletons import joint_map
from pyskl_semloss.video.estimator import Estimator, Keypoints
from pyskl_semloss.video.estimators import load_estimator
from pyskl_semloss.video.frames import Video, import_cv2, open_video
from pyskl_semloss.video.options import EstimationOptions

Item = TypeVar("Item")
_END = object()


def prefetch(items: Iterable[Item], steps: int = 4) -> Iterator[Item]:
    """The items of an iterable, which a thread fetches up to ``steps`` ahead; its error comes in its place.

    The thread ends with the iterator, whether or not all items were taken.
    """
    ready: queue.Queue[tuple[Any, BaseException | None]] = queue.Queue(steps)
    left = threading.Event()

    def fetch() -> None:
        error: BaseException | None = None
        source = iter(items)
        try:
            for item in source:
                if not _put(ready, (item, None), left):
                    return
        except BaseException as caught:
            error = caught
        finally:
            # A generator holds a file open.
            if hasattr(source, "close"):
                source.close()
        _put(ready, (_END, error), left)

    thread = threading.Thread(target=fetch, daemon=True)
    thread.start()
    try:
        while True:
            item, error = ready.get()
            if error is not None:
                raise error
            if item is _END:
                return
            yield item
    finally:
        left.set()
        with contextlib.suppress(RuntimeError):
            thread.join(5)


def _put(ready: queue.Queue[Any], item: Any, left: threading.Event) -> bool:
    """Whether the item was put before the reader left."""
    while not left.is_set():
        with contextlib.suppress(queue.Full):
            ready.put(item, timeout=0.1)
            return True
    return False


PART = 1000
"""Frames of a part, which at 25 frames/s is 40 s of video."""
WARM_UP = 25
"""Frames before a part that the estimator sees to find the person and to settle."""


@dataclass(frozen=True, eq=False)
class VideoPart:
    """Frames ``number * PART`` to ``number * PART + T - 1`` of a recording; the last part has less than ``PART``.

    Attributes:
        number: Which part.
        keypoint: (M, T, V, 2) px of the video.
        score: (M, T, V).
    """

    number: int
    keypoint: np.ndarray
    score: np.ndarray


def estimate(
    path: str | os.PathLike[str],
    *,
    layout: Any = "openpose22",
    estimator: str | Estimator = "mediapipe",
    max_side: int = 960,
    stride: int = 1,
    start: float = 0.0,
    end: float | None = None,
    fps: float | None = None,
    person: str = "largest",
    max_persons: int = 2,
    pause: int | None = None,
    progress: ProgressCallback | None = None,
) -> Recording:
    """Find the keypoints in a video, in this process.

    Args:
        path: The video.
        layout: Layout of the result, see :func:`pyskl_semloss.skeletons.joint_map` on how joints are matched.
        estimator: An estimator or the name of one, see :func:`pyskl_semloss.video.load_estimator`.
        max_side: See :class:`EstimationOptions`, and so for ``stride``, ``start``, ``end`` and ``fps``.
        stride: Only each stride-th frame is taken.
        start: Second at which the recording begins; its frame 0 is there.
        end: Second at which it ends.
        fps: Frame rate, where the file does not say it.
        person: Whom it is about, see :class:`EstimationOptions`, and so for ``max_persons`` and ``pause``.
        max_persons: For ``"all"``.
        pause: Frames for which a person may be gone.
        progress: Called with the frames done and the frames in all.

    Returns:
        The recording. Each of its persons is one body over time, see :func:`assemble`. Points outside the image are
        kept, as everywhere in the package.

    Raises:
        InputError: The video cannot be read, or there is no such person; names the file and, where it can be said, the
            frame.
        HostError: A package is missing.
    """
    name = estimator if isinstance(estimator, str) else "own"
    options = EstimationOptions(layout, name, max_side, stride, start, end, fps, person, max_persons, pause)
    finder = load_estimator(estimator) if isinstance(estimator, str) else estimator
    video = open_video(path, options.fps)
    parts = estimate_parts(video, options, finder, progress=progress)
    return assemble(parts, video, options, single=finder.single)[0]


def expected_frames(video: Video, options: EstimationOptions) -> int:
    """Frames that the recording of a video will have, if the video has as many as it claims; 0 if it claims none."""
    first, stop = _range(video, options)
    last = min(stop, video.claimed or stop)
    return 0 if last == np.inf else max(0, -(-(int(last) - first) // options.stride))


def estimate_parts(
    video: Video,
    options: EstimationOptions,
    estimator: Estimator,
    mine: Callable[[int], bool] = lambda number: True,
    progress: ProgressCallback | None = None,
    threads: int = 0,
) -> Iterator[VideoPart]:
    """The parts of a video, one after the other.

    Args:
        video: The video.
        options: How.
        estimator: The estimator.
        mine: Which parts to make.
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
    finder = _Finder(video, estimator, options)
    before: deque[Any] = deque(maxlen=back)
    found: list[Keypoints] = []

    def wanted(low: int, high: int) -> bool:
        low, high = max(low - first, 0), high - first
        numbers = range(low // options.stride // PART, (high // options.stride + back) // PART + 1)
        return high >= 0 and any(mine(number) for number in numbers)

    for place, frame in prefetch(video.frames(wanted, stop, _smaller(video, options.max_side), threads)):
        at, off = divmod(place - first, options.stride)
        if at < 0 or off:
            continue
        number, length = at // PART, at + 1
        if mine(number):
            if at % PART == 0:
                finder.start(before)
            found.append(finder.find(frame))
            done += 1
            if progress is not None:
                progress(done, total)
            if length % PART == 0:
                yield finder.part(number, found)
                found = []
        before.append(frame)
    # A video of a multiple of PART frames ends with a part of none, so that the end is known.
    number = length // PART
    if mine(number) and (found or length % PART == 0):
        if not length and not number:
            raise InputError(
                f"it has no frame from {options.start:g} s on", file=video.path, fix="Give other --start and --end."
            )
        yield finder.part(number, found)


class _Finder:
    """Keypoints in the layout and the pixels that are wanted, frame by frame."""

    def __init__(self, video: Video, estimator: Estimator, options: EstimationOptions) -> None:
        self._estimator, self._shape = estimator, video.image_shape
        self._map = joint_map(estimator.layout, options.layout)
        self._frame: Any = None
        self._found: Keypoints | None = None

    def start(self, before: Iterable[Any]) -> None:
        """Begin anew, having seen some frames."""
        if self._estimator.reset is not None:
            self._estimator.reset()
        self._frame = None
        for frame in before:
            self.find(frame)

    def find(self, frame: np.ndarray) -> Keypoints:
        if frame is not self._frame or self._found is None:
            keypoint, score = self._estimator.find(frame)
            scale = np.array(self._shape[::-1], np.float32) / np.array(frame.shape[1::-1], np.float32)
            self._frame, self._found = frame, self._map.apply(keypoint * scale, score)
        return self._found

    def part(self, number: int, found: list[Keypoints]) -> VideoPart:
        persons = max((len(score) for _, score in found), default=0)
        joints = self._map.target.num_joints
        keypoint = np.zeros((persons, len(found), joints, 2), np.float32)
        scores = np.zeros((persons, len(found), joints), np.float32)
        for at, (points, score) in enumerate(found):
            keypoint[: len(points), at], scores[: len(score), at] = points, score
        if keypoint.size:
            keypoint, scores = mend_points(keypoint, scores, self._shape, str(number), Report())
        return VideoPart(number, keypoint, scores)


def assemble(
    parts: Iterable[VideoPart], video: Video, options: EstimationOptions, *, single: bool
) -> tuple[Recording, dict[str, Any]]:
    """The recording of all parts of a video, in their order.

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
    made = [part for part in parts if part.keypoint.shape[1]]
    frames, rate = sum(part.score.shape[1] for part in made), video.fps / options.stride
    starts = np.cumsum([0, *(part.score.shape[1] for part in made)])
    if single:
        keypoint = np.zeros((1, frames, options.layout.num_joints, 2), np.float32)
        score = np.zeros(keypoint.shape[:3], np.float32)
        for at, part in zip(starts, made, strict=False):
            place = slice(at, at + part.score.shape[1])
            keypoint[: len(part.score), place], score[: len(part.score), place] = part.keypoint, part.score
        facts: dict[str, Any] = {}
    else:
        frame, points, scores = (np.concatenate(found) for found in zip(*map(_persons, made, starts), strict=True))
        try:
            keypoint, score, facts = options.choice.apply(
                frame, np.full(len(frame), -1), points, scores, frames, rate, video.image_shape
            )
        except InputError as error:
            raise error.located(file=video.path) from None
    name = Path(os.path.abspath(video.path)).stem
    recording = Recording(name, keypoint, score, options.layout, video.image_shape, rate, os.path.basename(video.path))
    return recording, facts


def _persons(part: VideoPart, start: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(N,) frame, (N, V, 2) points and (N, V) scores of whoever is seen in the frames of a part."""
    frame, person = np.nonzero((part.score > 0).any(-1).T)
    return start + frame, part.keypoint[person, frame], part.score[person, frame]


def _range(video: Video, options: EstimationOptions) -> tuple[int, float]:
    """The first frame of the video that is taken, and the one behind the last."""
    stop = np.inf if options.end is None else max(1, round(options.end * video.fps))
    return round(options.start * video.fps), stop


def _smaller(video: Video, max_side: int) -> Callable[[np.ndarray], np.ndarray]:
    """From a frame as OpenCV reads it to RGB of the size for the estimator."""
    cv2 = import_cv2()
    height, width = video.image_shape
    scale = min(1.0, max_side / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))

    def change(frame: np.ndarray) -> np.ndarray:
        small = frame if scale == 1 else cv2.resize(frame, size, interpolation=cv2.INTER_AREA)
        return cv2.cvtColor(small, cv2.COLOR_BGR2RGB)

    return change
