"""A copy of a video that every browser plays, for those that they do not."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from pyskl_semloss.errors import InputError
from pyskl_semloss.video.containers import container
from pyskl_semloss.video.frames import Video, import_cv2, open_capture

_ENDINGS = {"mov": "mp4", "webm": "webm"}
_CODECS = ("h264", "avc1", "vp80", "vp90", "vp09", "av01")
_LONGER_SIDE = 640


def playable_as(path: Path) -> str | None:
    """The ending under which browsers play a video, by its container and its codec; None where they do not."""
    cv2 = import_cv2()
    try:
        ending = _ENDINGS.get(container(path))
        if ending is None:
            return None
        capture = open_capture(path)
    except InputError:
        return None
    try:
        code = int(capture.get(cv2.CAP_PROP_FOURCC)) & 0xFFFFFFFF
    finally:
        capture.release()
    return ending if code.to_bytes(4, "little").decode("latin-1").lower() in _CODECS else None


def write_preview(video: Video, path: Path, progress: Callable[[int], None] | None = None) -> bool:
    """Write the frames of a video as VP8 in WebM, 640 px on the longer side at most, on the video's even grid of time.

    Args:
        video: The video.
        path: The file to write, ``.webm``.
        progress: Told how many frames are written.

    Returns:
        Whether it was written; some builds of OpenCV cannot encode VP8.
    """
    cv2 = import_cv2()
    height, width = video.image_shape
    scale = min(1.0, _LONGER_SIDE / max(height, width))
    # The encoder wants even sizes.
    size = (max(2, round(width * scale / 2) * 2), max(2, round(height * scale / 2) * 2))
    writer = cv2.VideoWriter(os.path.abspath(path), cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*"VP80"), video.fps, size)

    def smaller(frame: np.ndarray) -> np.ndarray:
        return np.asarray(cv2.resize(frame, size, interpolation=cv2.INTER_AREA))

    try:
        if not writer.isOpened():
            return False
        for place, frame in video.frames(change=smaller):
            writer.write(frame)
            if progress is not None:
                progress(place + 1)
    finally:
        writer.release()
    return True
