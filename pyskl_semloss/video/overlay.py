"""Videos with skeletons and segments drawn over them."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from pyskl_semloss.drawing.animation import write_mp4
from pyskl_semloss.drawing.palette import ON_LIGHT, rgb
from pyskl_semloss.drawing.stick_figure import joint_sides, limb_sides
from pyskl_semloss.errors import InputError
from pyskl_semloss.io.reading import AnyPath
from pyskl_semloss.recordings.recording import Recording
from pyskl_semloss.segments.segment import Segment
from pyskl_semloss.skeletons import SkeletonLayout
from pyskl_semloss.video.frames import Video, import_cv2

SURE = 0.5
"""Points below this score are drawn as rings and their limbs are left out."""


def draw_over(frame: np.ndarray, keypoint: np.ndarray, score: np.ndarray, layout: SkeletonLayout) -> None:
    """Draw persons into a frame: left blue, right orange, the rest grey.

    Args:
        frame: (H, W, 3) uint8 BGR, changed in place.
        keypoint: (M, V, 2) px of this frame.
        score: (M, V); points with score 0 are left out.
        layout: What the V joints are.
    """
    cv2 = import_cv2()
    colours = [rgb(colour)[::-1] for colour in ON_LIGHT]
    joints, limbs = joint_sides(layout), limb_sides(layout)
    width = max(1, round(max(frame.shape[:2]) / (320 if layout.num_joints <= 40 else 640)))
    size = max(frame.shape[:2])
    for points, scores in zip(keypoint, score, strict=True):
        # OpenCV takes no coordinates beyond 16 bits and more.
        pixels = [(int(x), int(y)) for x, y in np.clip(np.round(points), -4 * size, 4 * size)]
        for (a, b), side in zip(layout.limbs, limbs, strict=True):
            if min(scores[a], scores[b]) >= SURE:
                cv2.line(frame, pixels[a], pixels[b], (255, 255, 255), width + 2, cv2.LINE_AA)
                cv2.line(frame, pixels[a], pixels[b], colours[side], width, cv2.LINE_AA)
        for joint in np.flatnonzero(scores > 0):
            sure = scores[joint] >= SURE
            if sure:
                cv2.circle(frame, pixels[joint], width + 2, (255, 255, 255), -1, cv2.LINE_AA)
            cv2.circle(frame, pixels[joint], width + 1, colours[joints[joint]], -1 if sure else 1, cv2.LINE_AA)


def draw_lines(frame: np.ndarray, lines: Sequence[str]) -> None:
    """Write lines of text on a dark band below a frame.

    Args:
        frame: (H, W, 3) uint8 BGR, changed in place.
        lines: From top to bottom; one that is too wide is made smaller.
    """
    height, width = frame.shape[:2]
    row = max(12, round(height / 18))
    for number, line in enumerate(reversed(lines)):
        bottom = height - row * number
        band = frame[max(0, bottom - row) : max(0, bottom)]
        band[:] = _line(line, row, width)[row - len(band) :]


@functools.lru_cache(maxsize=8)
def _line(text: str, height: int, width: int) -> np.ndarray:
    """Band (height, width, 3) with text.

    OpenCV itself has no letters beyond ASCII.
    """
    import matplotlib
    from PIL import Image, ImageDraw, ImageFont

    path = f"{matplotlib.get_data_path()}/fonts/ttf/DejaVuSans.ttf"
    size = 0.65 * height
    wide = ImageFont.truetype(path, size).getlength(text)
    font = ImageFont.truetype(path, size * min(1.0, 0.96 * width / max(wide, 1)))
    band = Image.new("RGB", (width, height), (40, 40, 40))
    ImageDraw.Draw(band).text((0.02 * width, height / 2), text, "white", font, anchor="lm")
    return np.asarray(band)


def lines_at(segments: Sequence[Segment], second: float) -> list[str]:
    """Names and confidences of the segments at a time in s.

    The person's number is added where there are several.
    """
    several = len({segment.person for segment in segments}) > 1
    return [
        f"{f'person {segment.person + 1}: ' if several else ''}{segment.name} {segment.confidence:.2f}"
        for segment in segments
        if segment.start <= second < segment.end
    ]


def overlay_frames(
    video: Video | None,
    recording: Recording,
    *,
    start: float = 0.0,
    stride: int = 1,
    max_side: int = 960,
    threads: int = 0,
    segments: Sequence[Segment] = (),
) -> Iterator[np.ndarray]:
    """Frames of a video with its keypoints, (H, W, 3) uint8 BGR.

    Args:
        video: The video; grey where there is none.
        recording: Its recording.
        start: Second of the video at which the recording begins.
        stride: Which frames of the video the recording has.
        max_side: Longer side of the pictures in px at most.
        threads: Of the decoder.
        segments: Their names are written on the frames that they have.

    Raises:
        InputError: The video cannot be read, or has other frames than the recording.
    """
    height, width = recording.image_shape
    scale = min(1.0, max_side / max(height, width))
    # Encoders want even sizes.
    size = (max(2, round(width * scale / 2) * 2), max(2, round(height * scale / 2) * 2))
    ratio = np.array(size, np.float32) / np.array([width, height], np.float32)
    pictures: Iterator[tuple[int, np.ndarray]] = (
        (at, np.full((size[1], size[0], 3), 235, np.uint8)) for at in range(recording.frames)
    )
    if video is not None:
        pictures = _of_video(video, recording, size, start, stride, threads)
    at = -1
    for at, picture in pictures:
        draw_over(picture, recording.keypoint[:, at] * ratio, recording.keypoint_score[:, at], recording.layout)
        draw_lines(picture, lines_at(segments, at / recording.fps))
        yield picture
    if video is not None and at + 1 != recording.frames:
        raise InputError(f"it has {at + 1} of the {recording.frames} frames of its recording", file=video.path)


def _of_video(
    video: Video, recording: Recording, size: tuple[int, int], start: float, stride: int, threads: int
) -> Iterator[tuple[int, np.ndarray]]:
    cv2 = import_cv2()
    first = round(start * video.fps)
    stop = first + (recording.frames - 1) * stride + 1

    def smaller(frame: np.ndarray) -> np.ndarray:
        return cv2.resize(frame, size, interpolation=cv2.INTER_AREA)

    for index, frame in video.frames(lambda low, high: high >= first, stop, smaller, threads):
        at, remainder = divmod(index - first, stride)
        if at >= 0 and not remainder:
            yield at, frame.copy()  # it is given again where the video has no new one


def write_overlay(video: Video | None, recording: Recording, path: AnyPath, **options: Any) -> int:
    """Write an MP4 of :func:`overlay_frames`, without sound, whole or not at all.

    Args:
        video: The video, or nothing for a grey ground.
        recording: Its recording.
        path: The file, ``.mp4``.
        **options: Of :func:`overlay_frames`.

    Returns:
        Number of frames.

    Raises:
        InputError: The video cannot be read, has other frames than the recording, or the file cannot be written.
    """
    if video is not None and recording.image_shape != video.image_shape:
        problem = f"its recording is of {recording.image_shape} (height, width), the video is {video.image_shape}"
        raise InputError(problem, file=video.path)
    return write_mp4(overlay_frames(video, recording, **options), path, recording.fps)
