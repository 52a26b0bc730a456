"""Animations of clips as stick figures, in GIF or MP4."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pyskl_semloss.annotations.clip import Clip
from pyskl_semloss.drawing.palette import ON_LIGHT, TEXT
from pyskl_semloss.drawing.stick_figure import joint_sides, limb_sides
from pyskl_semloss.errors import HostError, InputError
from pyskl_semloss.io.reading import AnyPath
from pyskl_semloss.io.results import result_file, result_path
from pyskl_semloss.skeletons import SkeletonLayout

if TYPE_CHECKING:
    from PIL import Image

SMOOTHING = 2
"""Frames are drawn larger by this factor and reduced, because Pillow draws without anti-aliasing."""


def draw_clip(
    clip: Clip, layout: SkeletonLayout, *, size: int = 320, title: str = "", crop: bool = True
) -> list[Image.Image]:
    """Draw every frame of a clip.

    Missing points (score 0 and coordinates 0) and the limbs at them are left out. Left joints are blue, right ones
    orange, the others grey. The view is the same in all frames.

    Args:
        clip: The clip.
        layout: Its joints.
        size: Length of the longer side of the picture in px.
        title: Text above the number of the frame.
        crop: Show the part of the image where the persons are; False shows the whole image.

    Returns:
        Pictures, one for each frame.

    Raises:
        InputError: The layout has another number of joints, or the size is below 32.
    """
    if size < 32:
        raise InputError(f"expected at least 32 px, got {size}", field="size")
    joints = clip.keypoint.shape[2]
    if joints != layout.num_joints:
        problem = f"the clip has {joints} joints, but the layout {layout.name!r} has {layout.num_joints}"
        raise InputError(problem, clip=clip.frame_dir, field="keypoint", fix="Choose another layout.")
    low, high = _view(clip, crop)
    scale = size * SMOOTHING / (high - low).max()
    shape = tuple((np.ceil((high - low) * scale / (2 * SMOOTHING)) * 2).astype(int).tolist())
    present = (clip.keypoint != 0).any(-1) | (clip.keypoint_score > 0)
    points = (clip.keypoint - low) * scale
    return [
        _draw_frame(points[:, number], present[:, number], layout, shape, f"{title}\n{number}".strip())
        for number in range(clip.total_frames)
    ]


def _view(clip: Clip, crop: bool) -> tuple[np.ndarray, np.ndarray]:
    height, width = clip.img_shape
    seen = clip.keypoint[(clip.keypoint != 0).any(-1)]
    if not crop or not len(seen):
        return np.zeros(2), np.array([width, height], float)
    # A stray point must not shrink the figure.
    low, high = np.percentile(seen, [0.5, 99.5], axis=0)
    margin = 0.12 * max((high - low).max(), 1.0)
    return low - margin, high + margin


def _draw_frame(
    points: np.ndarray, present: np.ndarray, layout: SkeletonLayout, shape: tuple[int, ...], text: str
) -> Image.Image:
    image_module, draw_module = _pillow()
    joints, limbs = joint_sides(layout), limb_sides(layout)
    large = (shape[0] * SMOOTHING, shape[1] * SMOOTHING)
    image = image_module.new("RGB", large, "white")
    draw = draw_module.Draw(image)
    width = max(2, max(large) // 130)
    for person, visible in zip(points, present, strict=True):
        for (a, b), side in zip(layout.limbs, limbs, strict=True):
            if visible[a] and visible[b]:
                draw.line([tuple(person[a]), tuple(person[b])], fill=ON_LIGHT[side], width=width)
        for joint in np.flatnonzero(visible):
            x, y = person[joint]
            draw.ellipse([x - width, y - width, x + width, y + width], fill=ON_LIGHT[joints[joint]])
    image = image.resize(shape, image_module.Resampling.LANCZOS)
    draw_module.Draw(image).text((4, 2), text, fill=TEXT)
    return image


def write_animation(frames: list[Image.Image], path: AnyPath, fps: float = 25.0) -> None:
    """Write pictures as an animation, ``.gif`` or ``.mp4``.

    Raises:
        InputError: Another ending, fps not above 0, or a video that cannot be written.
        HostError: OpenCV, which writes MP4, is not installed.
    """
    kind = Path(path).suffix.lower()
    if not fps > 0:
        raise InputError(f"expected a rate above 0, got {fps}", field="fps")
    if kind == ".gif":
        # GIF counts time in 1/100 s, and players slow down whatever is below 2 of them.
        duration = max(20, round(100 / fps) * 10)
        with result_file(path) as stream:
            frames[0].save(stream, format="GIF", save_all=True, append_images=frames[1:], duration=duration, loop=0)
    elif kind == ".mp4":
        pictures = (np.ascontiguousarray(np.asarray(frame)[..., ::-1]) for frame in frames)
        write_mp4(pictures, path, fps, hint="; try a .gif")
    else:
        raise InputError(
            f"expected a name that ends in .gif or .mp4, got {kind or 'no ending'!r}", file=path, field="out"
        )


def write_mp4(pictures: Iterable[np.ndarray], path: AnyPath, fps: float, hint: str = "") -> int:
    """Write pictures (H, W, 3), uint8 BGR, as an MP4 without sound, atomically.

    Args:
        pictures: All of one size.
        path: The file.
        fps: Frames per second.
        hint: End of the message where OpenCV cannot write it.

    Returns:
        Number of pictures.

    Raises:
        InputError: The file cannot be written.
        HostError: OpenCV is not installed.
    """
    try:
        import cv2
    except ImportError:
        raise HostError("MP4 needs OpenCV: pip install opencv-python-headless, or write a .gif") from None
    # OpenCV goes by the ending of the name.
    with result_path(path, suffix=".mp4") as part:
        # An absolute path is no address, and with FFmpeg no pattern of many pictures.
        writer, count, name = cv2.VideoWriter(), 0, os.path.abspath(part)
        code = cv2.VideoWriter_fourcc(*"mp4v")  # type: ignore[attr-defined]
        try:
            for count, picture in enumerate(pictures, 1):
                if count == 1 and not writer.open(name, cv2.CAP_FFMPEG, code, fps, picture.shape[1::-1]):
                    raise OSError(f"OpenCV cannot write a video here{hint}")
                writer.write(picture)
        finally:
            writer.release()
        # OpenCV says nothing about what it could not write.
        written = cv2.VideoCapture(name, cv2.CAP_FFMPEG)
        claimed = int(written.get(cv2.CAP_PROP_FRAME_COUNT)) if written.isOpened() else 0
        written.release()
        if claimed != count:
            raise OSError(f"{claimed} of {count} frames were written{hint}")
    return count


def _pillow() -> tuple[Any, Any]:
    try:
        from PIL import Image, ImageDraw
    except ImportError:
        raise HostError("drawing needs Pillow: pip install pillow") from None
    return Image, ImageDraw
