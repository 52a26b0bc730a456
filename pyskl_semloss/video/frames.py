"""Frames of a video as a stream, evenly spaced in time."""

from __future__ import annotations

import contextlib
import math
import os
import queue
import re
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from pyskl_semloss.errors import HostError, InputError
from pyskl_semloss.io.reading import AnyPath
from pyskl_semloss.io.resources import pip_install
from pyskl_semloss.recordings.recording import LEAST_FPS
from pyskl_semloss.video.containers import FFMPEG_NAMES, container

LONGEST_GAP = 10.0
"""Seconds from one frame to the next; more is taken for a damaged file."""
_MOST_FPS = 240.0
MOST_PIXELS = 1 << 26
"""Pixels of a frame, twice those of 8K: a header of a kilobyte may claim more than the memory holds."""
_COMMON_RATES = (10, 12, 12.5, 15, 20, 24000 / 1001, 24, 25, 30000 / 1001, 30, 48, 50, 60000 / 1001, 60, 100, 120)
_LOST = 0.01
"""Share of the frames that a file may lack of those that it claims to have, because some formats only guess."""
_PATTERN = re.compile(r"%\d*d|%[*?\[{]")
"""What FFmpeg looks into the folder for, before it looks into the file, unless the ending is that of a video."""
_ENDINGS = (
    ".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".wmv", ".asf", ".flv", ".ogv", ".ogg", ".mpg", ".mpeg", ".ts",
    ".mts", ".m2ts", ".3gp",
)  # fmt: skip
_OPTIONS = "OPENCV_FFMPEG_CAPTURE_OPTIONS"
_END = object()
_CONSTANT = "ffmpeg -i IN -vsync cfr -r 25 OUT.mp4 writes a video with a constant frame rate."

Item = TypeVar("Item")
FrameFilter = Callable[[int, int], bool]
"""Tells whether any frame from the first to the last of two numbers is needed."""


@dataclass(frozen=True)
class Video:
    """Properties of a video file.

    Attributes:
        path: The file.
        image_shape: (height, width) in px, the right way up: a rotation that the file asks for is applied.
        fps: Frames per second of the even grid on which :meth:`frames` puts the frames.
        claimed: Number of frames that the file claims to have; 0 where it does not say it.
        even: Frames are taken as evenly spaced, whatever their time stamps say.
    """

    path: str
    image_shape: tuple[int, int]
    fps: float
    claimed: int
    even: bool = False

    def frames(
        self,
        needed: FrameFilter | None = None,
        stop: float = math.inf,
        change: Callable[[np.ndarray], Any] | None = None,
        threads: int = 0,
    ) -> Iterator[tuple[int, Any]]:
        """Frames in order of time; frame t is what the video shows t / fps seconds after its first frame.

        Where the video has no new frame for a grid point, the frame before is given again, the same object; of several
        frames for a grid point the first is given.

        Args:
            needed: Which frames are needed; the others are decoded and not given. All without it.
            stop: Number of the frame before which it ends.
            change: What is done to each frame, (H, W, 3) uint8 BGR, once.
            threads: Of the decoder; 0 leaves it to FFmpeg.

        Yields:
            Number of the frame and the frame, as ``change`` returned it.

        Raises:
            InputError: The file ends before the frames that it claims to have, or is damaged; names file and frame.
        """
        needed = needed or (lambda first, last: True)
        reach = math.ceil(LONGEST_GAP * self.fps)
        capture = open_capture(self.path, threads)
        try:
            last, count, held = -1, 0, None
            for index in _grid_indices(self, capture):
                count += 1
                for number in range(last + 1, int(min(index, stop)) if held is not None else 0):
                    if needed(number, number):
                        yield number, held
                if index >= stop:
                    return
                # Also where it is not given: after it may come a gap.
                held = self._retrieve(capture, index, change) if needed(index, index + reach) else None
                if index > last and needed(index, index):
                    yield index, held
                last = index
                if index + 1 >= stop:
                    return
            self._check_whole(count, last + 1)
        finally:
            capture.release()

    def _retrieve(self, capture: Any, index: int, change: Callable[[np.ndarray], Any] | None) -> Any:
        good, frame = capture.retrieve()
        if not good:
            raise InputError(f"frame {index} ({index / self.fps:.2f} s) cannot be decoded", file=self.path)
        if frame.shape[:2] != self.image_shape:
            problem = f"frame {index} has {frame.shape[1]} x {frame.shape[0]} px, the first one "
            raise InputError(f"{problem}{self.image_shape[1]} x {self.image_shape[0]}", file=self.path)
        return frame if change is None else change(frame)

    def _check_whole(self, count: int, length: int) -> None:
        """Refuse a truncated file, which ends without an error."""
        if not count:
            raise InputError("it has no frame that can be decoded", file=self.path)
        if max(count, length) < self.claimed * (1 - _LOST) - 2:
            seconds = math.floor(100 * length / self.fps) / 100
            problem = f"it ends after frame {length - 1} ({seconds:.2f} s) of {self.claimed}: it is cut off or damaged"
            raise InputError(problem, file=self.path, fix=f"--end {seconds:.2f} takes what is there.")


def open_video(path: AnyPath, fps: float | None = None) -> Video:
    """Open a video file and read size, frame rate and length.

    Args:
        path: The file, of a kind that :func:`pyskl_semloss.video.containers.container` knows.
        fps: Takes the frames as evenly spaced at this rate, whatever the file says.

    Raises:
        InputError: There is no such file, it is no video, or its frame rate is neither said nor to be seen.
        HostError: OpenCV is not installed.
    """
    path = os.fspath(path)
    capture = open_capture(path)
    try:
        good, frame = capture.read()
        if not good:
            raise InputError("its first frame cannot be decoded", file=path, fix="Is it whole, and a video?")
        claimed = capture.get(_cv2_property("FRAME_COUNT"))
        rate = float(fps) if fps is not None else _rate(path, capture)
        height, width = frame.shape[:2]
        return Video(path, (height, width), rate, int(claimed) if 0 < claimed < 1e9 else 0, fps is not None)
    finally:
        capture.release()


def import_cv2() -> Any:
    """OpenCV.

    Raises:
        HostError: It is not installed.
    """
    try:
        import cv2
    except ImportError:
        raise HostError(f"videos need OpenCV; run: {pip_install('video')}") from None
    return cv2


def _cv2_property(name: str) -> int:
    return int(getattr(import_cv2(), f"CAP_PROP_{name}"))


def open_capture(path: AnyPath, threads: int = 0) -> Any:
    """OpenCV reader of a video file, restricted to local files by FFmpeg.

    Args:
        path: The file.
        threads: Of the decoder; 0 leaves it to FFmpeg.

    Raises:
        InputError: There is no such file, it is no video, or its pictures are in other files.
        HostError: OpenCV is not installed.
    """
    cv2 = import_cv2()
    path = os.fspath(path)
    container(path)
    if _PATTERN.search(os.path.abspath(path)) and not path.lower().endswith(_ENDINGS):
        fix = "Give it the ending of a video, such as .mp4, or rename it."
        raise InputError("FFmpeg would take the % in its path for a list of pictures", file=path, fix=fix)
    _bind_ffmpeg()
    options = [cv2.CAP_PROP_N_THREADS, threads] if threads else []
    # An absolute path is no address, and no number of a camera.
    capture = cv2.VideoCapture(os.path.abspath(path), cv2.CAP_FFMPEG, options)
    if not capture.isOpened():
        raise InputError("it cannot be opened as a video", file=path, fix="Is it whole, and a video?")
    width, height = (int(capture.get(_cv2_property(f"FRAME_{side}"))) for side in ("WIDTH", "HEIGHT"))
    if width * height > MOST_PIXELS:
        capture.release()
        problem = f"its frames have {width} x {height} px, more than the {MOST_PIXELS} that a frame may"
        raise InputError(problem, file=path, fix="Make it smaller: ffmpeg -i IN -vf scale=1920:-2 OUT.mp4")
    # OpenCV 4.11 does not do it by itself.
    capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)
    return capture


def _bind_ffmpeg() -> None:
    """Restrict FFmpeg to local files of known formats.

    OpenCV 4.11 does not pass the restriction on.
    """
    ours = f"protocol_whitelist;file|format_whitelist;{','.join(FFMPEG_NAMES)}|enable_drefs;0|max_pixels;{MOST_PIXELS}"
    before = os.environ.get(_OPTIONS, "")
    if not before.endswith(ours):
        # Of one option that is given twice the last counts.
        os.environ[_OPTIONS] = "|".join(filter(None, (before, ours)))


def _grid_indices(video: Video, capture: Any) -> Iterator[int]:
    """Grid index of each frame, in decoding order.

    It follows from the time stamp, or is the next index where there is none.
    """
    stamp = _cv2_property("POS_MSEC")
    index, first, before = -1, 0.0, -math.inf
    while capture.grab():
        now = capture.get(stamp) / 1000
        if index < 0:
            index, first, before = 0, now, now
        elif video.even or not now > before:
            index += 1
        else:
            if now - before > LONGEST_GAP:
                problem = f"after frame {index} ({before - first:.2f} s) the next comes {now - before:.0f} s later"
                raise InputError(problem, file=video.path, fix=f"It may be damaged. {_CONSTANT}")
            index, before = round((now - first) * video.fps), now
        yield index


def _rate(path: str, capture: Any) -> float:
    rate = capture.get(_cv2_property("FPS"))
    if LEAST_FPS <= rate <= _MOST_FPS:
        return float(rate)
    # What records in a browser says 1000, and some files say nothing; the time stamps know better.
    stamp = _cv2_property("POS_MSEC")
    times: list[float] = []
    while len(times) < 250 and capture.grab():
        times.append(capture.get(stamp) / 1000)
    steps = np.diff(times)
    steps = steps[steps > 0]
    if len(steps) < 2 or 1 / np.median(steps) > _MOST_FPS:
        raise InputError(f"it says {rate:g} frames per second", file=path, fix="Give the frame rate with --fps.")
    seen = float(1 / np.median(steps))
    near = min(_COMMON_RATES, key=lambda common: abs(common - seen))
    return float(near) if abs(near - seen) < 0.03 * seen else round(seen, 2)


def prefetch(items: Iterable[Item], steps: int = 4) -> Iterator[Item]:
    """Items of an iterable, fetched up to ``steps`` ahead by a thread.

    An error of the iterable is raised in its turn. The thread ends with the iterator.
    """
    ready: queue.Queue[tuple[Any, BaseException | None]] = queue.Queue(steps)
    stopped = threading.Event()

    def fetch() -> None:
        error: BaseException | None = None
        source = iter(items)
        try:
            for item in source:
                if not _put(ready, (item, None), stopped):
                    return
        except BaseException as caught:
            error = caught
        finally:
            # A generator holds a file open.
            if hasattr(source, "close"):
                source.close()
        _put(ready, (_END, error), stopped)

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
        stopped.set()
        with contextlib.suppress(RuntimeError):
            thread.join(5)


def _put(ready: queue.Queue[Any], item: Any, stopped: threading.Event) -> bool:
    """Put an item into the queue; False if the reader has stopped."""
    while not stopped.is_set():
        with contextlib.suppress(queue.Full):
            ready.put(item, timeout=0.1)
            return True
    return False
