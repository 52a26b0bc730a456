"""Rendered videos of coloured dots, and estimators that find them by their colour."""

import os
import struct
import time

import numpy as np

from pyskl_semloss.skeletons import SkeletonLayout
from pyskl_semloss.video import Estimator

JOINTS = ("nose", "left_shoulder", "right_shoulder", "left_wrist", "right_wrist")
COLOURS = ((255, 255, 255), (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0))  # RGB
DOTS = SkeletonLayout("dots5", JOINTS, ((0, 1), (0, 2), (1, 3), (2, 4)), ((1, 2), (3, 4)))
WIDTH, HEIGHT, FPS = 160, 120, 25.0


def places(frame):
    """(5, 2) where the dots are in a frame, px."""
    swing = 10 * np.sin(frame / 9)
    return np.array([[80, 20], [120, 45], [40, 45], [130 + swing, 90], [30 + swing, 90]])


def render(frame, size=(WIDTH, HEIGHT)):
    """(H, W, 3) RGB."""
    import cv2

    picture = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    for (x, y), colour in zip(places(frame), COLOURS, strict=True):
        cv2.circle(picture, (round(x * 16), round(y * 16)), 7 * 16, colour, -1, cv2.LINE_AA, 4)
    return picture if size == (WIDTH, HEIGHT) else cv2.resize(picture, size, interpolation=cv2.INTER_CUBIC)


def write_video(path, frames, size=(WIDTH, HEIGHT), fourcc="mp4v", picture=render):
    import cv2

    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*fourcc), FPS, size)
    assert writer.isOpened()
    for frame in range(frames):
        writer.write(np.ascontiguousarray(picture(frame, size)[..., ::-1]))
    writer.release()
    return path


def find_dots(frame):
    """The middle of the pixels of each colour."""
    points, scores = np.zeros((1, 5, 2), np.float32), np.zeros((1, 5), np.float32)
    bright = (frame >> 7) @ np.array([1, 2, 4], np.uint8)
    for joint, colour in enumerate(COLOURS):
        y, x = np.nonzero(bright == np.array(colour) // 255 @ [1, 2, 4])
        if len(x) > 20:
            points[0, joint], scores[0, joint] = (x.mean(), y.mean()), 0.9
    return points[scores.any(-1)], scores[scores.any(-1)]


def dots():
    return Estimator(find_dots, DOTS)


def nobody():
    return Estimator(lambda frame: (np.zeros((0, 5, 2)), np.zeros((0, 5))), DOTS)


def smooth_dots():
    """Follows the dots: what it finds depends on the frames before, as with MediaPipe.

    A line is written to the file DOTS_LOG for each frame, and each takes DOTS_SECONDS.
    """
    last = []
    log, pause = os.environ.get("DOTS_LOG"), float(os.environ.get("DOTS_SECONDS", 0))

    def function(frame):
        points, scores = find_dots(frame)
        if last and len(points):
            points = 0.7 * points + 0.3 * last[0]
        last[:] = [points] if len(points) else []
        if log:
            with open(log, "a") as stream:
                stream.write("frame\n")
        time.sleep(pause)
        return points, scores

    return Estimator(function, DOTS, last.clear)


def dying_dots():
    """Ends its process where the picture is all white."""

    def function(frame):
        if frame.min() > 200:
            os.abort()
        return find_dots(frame)

    return Estimator(function, DOTS)


def with_durations(data, entries):
    """An MP4 of OpenCV with other durations of its frames: (number of frames, duration in old ones), same in sum."""
    moov = data.rfind(b"moov")
    stts = data.index(b"stts", moov)
    size, old = struct.unpack(">I", data[stts - 4 : stts])[0], struct.unpack(">I", data[stts + 16 : stts + 20])[0]
    assert struct.unpack(">I", data[stts + 8 : stts + 12]) == (1,)
    table = b"".join(struct.pack(">II", count, round(duration * old)) for count, duration in entries)
    grown = 16 + len(table) - size
    box = (
        struct.pack(">I", size + grown) + b"stts" + data[stts + 4 : stts + 8] + struct.pack(">I", len(entries)) + table
    )
    data = bytearray(data[: stts - 4] + box + data[stts - 4 + size :])
    for parent in (b"moov", b"trak", b"mdia", b"minf", b"stbl"):
        at = data.index(parent, moov) - 4
        data[at : at + 4] = struct.pack(">I", struct.unpack(">I", data[at : at + 4])[0] + grown)
    return bytes(data)


def turned(data):
    """An MP4 of OpenCV that asks to be shown turned by 90 degrees clockwise."""
    at = data.index(b"tkhd", data.rfind(b"moov")) + 44
    matrix = struct.pack(">9I", 0, 1 << 16, 0, (1 << 32) - (1 << 16), 0, 0, 0, 0, 1 << 30)
    return data[:at] + matrix + data[at + 36 :]


def crowd():
    """Two persons, the second smaller and beside the first, in an order that changes from frame to frame."""

    def function(frame):
        points, scores = find_dots(frame)
        if not len(points):
            return points, scores
        both = np.concatenate([points, points * 0.8 + (15, 10)])
        order = [0, 1] if int(points.sum() * 100) % 2 else [1, 0]
        return both[order], np.repeat(scores, 2, 0)[order]

    return Estimator(function, DOTS)
