"""A video of a person who faces the camera: NASA's portrait of Eileen Collins, which scikit-image holds, swaying."""

import numpy as np

from pyskl_semloss.video.frames import import_cv2

SIZE, RATE, SWAY = (720, 1280), 25, 60


def sway(frames):
    """Where the picture is in each frame, px to the right of the middle: one swing of ``SWAY`` px in 2 s."""
    return np.round(SWAY * np.sin(np.pi * np.arange(frames) / RATE)).astype(int)


def write_portrait_video(path, frames=50, codec="mp4v"):
    """Write a video of (720, 1280) px at 25 frames/s; the picture has its height."""
    from skimage.data import astronaut

    cv2 = import_cv2()
    height, width = SIZE
    picture = cv2.resize(cv2.cvtColor(astronaut(), cv2.COLOR_RGB2BGR), (height, height))
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*codec), RATE, (width, height))
    for shift in sway(frames):
        frame = np.full((height, width, 3), 90, np.uint8)
        left = (width - height) // 2 + shift
        frame[:, left : left + height] = picture
        writer.write(frame)
    writer.release()
    return str(path)
