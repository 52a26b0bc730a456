"""Recordings: the keypoints of whole videos."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pyskl_semloss.annotations.clip import Clip
from pyskl_semloss.errors import InputError, located
from pyskl_semloss.io.arrays import read_npz
from pyskl_semloss.io.reading import AnyPath, first_forbidden_character, reason, short_repr
from pyskl_semloss.io.results import result_file
from pyskl_semloss.skeletons import SkeletonLayout, get_layout
from pyskl_semloss.skeletons.builtin import KNOWN_LAYOUTS

LEAST_FPS, MOST_FPS = 0.001, 1000.0
"""Frames per second of a recording: from one in a quarter of an hour to those of a high-speed camera."""
LARGEST_SIDE = 999_999
"""Pixels of a side of its image."""
LONGEST_NAME, LONGEST_LAYOUT = 1000, 256 << 10
"""Characters of its name and of its video's, and of the fields of its layout."""
_MEMBERS = ("keypoint", "keypoint_score", "image_shape", "fps", "layout", "name", "video")


_NOTHING = np.array("")


@dataclass(frozen=True, eq=False)
class Recording:
    """The 2-D keypoints of a video, frame by frame.

    Attributes:
        name: Its id; clips that are cut from it are named after it.
        keypoint: (M persons, T frames, V joints, 2), float32, x and y in px. A missing point is (0, 0) with score 0.
        keypoint_score: (M, T, V), float32, 0 to 1.
        layout: What the V joints are; a name or the fields of a layout are turned into one.
        image_shape: (height, width) in px.
        fps: Frames per second, from 0.001 to 1000; frame t is shown from t / fps on.
        video: The file that the keypoints were found in, or nothing.

    Raises:
        InputError: A field is not as said above; names the recording and the field.
    """

    name: str
    keypoint: np.ndarray
    keypoint_score: np.ndarray
    layout: SkeletonLayout
    image_shape: tuple[int, int]
    fps: float
    video: str = ""

    def __post_init__(self) -> None:
        put = object.__setattr__
        put(self, "layout", get_layout(self.layout))
        clip = Clip(self.name, -1, self.image_shape, self.image_shape, self.keypoint, self.keypoint_score)
        if self.keypoint.shape[2] != self.layout.num_joints:
            problem = f"layout {self.layout.name!r} has {self.layout.num_joints} joints, got {self.keypoint.shape[2]}"
            raise InputError(problem, clip=self.name, field="keypoint")
        check_fps(self.fps, clip=self.name)
        if max(self.image_shape) > LARGEST_SIDE:
            problem = f"expected (height, width) of up to {LARGEST_SIDE} px, got {short_repr(self.image_shape)}"
            raise InputError(problem, clip=self.name, field="image_shape")
        put(self, "fps", float(self.fps))
        put(self, "keypoint", _float32(clip.keypoint, self.name))
        put(self, "keypoint_score", clip.keypoint_score.astype(np.float32, copy=False))

    @property
    def frames(self) -> int:
        """Number of frames T."""
        return self.keypoint.shape[1]

    @property
    def seconds(self) -> float:
        """Duration in s."""
        return self.frames / self.fps

    def clip(self, start: int, end: int, label: int = -1, name: str | None = None) -> Clip:
        """Frames ``start`` to ``end`` - 1 as a clip of views.

        Raises:
            InputError: There are no such frames.
        """
        if not 0 <= start < end <= self.frames:
            problem = f"expected frames within 0 to {self.frames}, got {start} to {end}"
            raise InputError(problem, clip=self.name, field="start and end")
        name = f"{self.name}_{start}_{end}" if name is None else name
        part = slice(start, end)
        return Clip(
            name, label, self.image_shape, self.image_shape, self.keypoint[:, part], self.keypoint_score[:, part]
        )

    def save(self, path: AnyPath) -> None:
        """Write an npz archive, whole or not at all; :func:`read_recording` reads it.

        Raises:
            InputError: It cannot be written.
        """
        known = KNOWN_LAYOUTS.get(self.layout.name) == self.layout
        layout = self.layout.name if known else json.dumps(dataclasses.asdict(self.layout))
        with result_file(path) as stream:
            np.savez_compressed(
                stream, keypoint=self.keypoint, keypoint_score=self.keypoint_score, image_shape=self.image_shape,
                fps=self.fps, layout=layout, name=self.name, video=self.video,
            )  # fmt: skip


def check_fps(value: float, **where: Any) -> None:
    """Check a frame rate.

    Args:
        value: Frames per second.
        **where: Of the message, as :class:`InputError` takes it.

    Raises:
        InputError: It is not from :data:`LEAST_FPS` to :data:`MOST_FPS`.
    """
    if not LEAST_FPS <= value <= MOST_FPS:
        problem = f"expected frames per second from {LEAST_FPS:g} to {MOST_FPS:g}, got {short_repr(value)}"
        raise InputError(problem, **{"field": "fps", **where})


def decode_fps(member: np.ndarray) -> float:
    """Frame rate in an archive's member ``fps``.

    Raises:
        InputError: It is none.
    """
    value = member.item() if member.size == 1 and member.dtype.kind in "fiu" else member
    if isinstance(value, np.ndarray):
        raise InputError(f"expected frames per second, got {short_repr(value)}", field="fps")
    check_fps(value)
    return float(value)


def decode_image_shape(member: np.ndarray) -> tuple[int, int]:
    """Image size in an archive's member ``image_shape``.

    Raises:
        InputError: It is none.
    """
    if member.shape == (2,) and member.dtype.kind in "fiu" and (member >= 1).all() and (member <= LARGEST_SIDE).all():
        height, width = member.tolist()
        if int(height) == height and int(width) == width:
            return int(height), int(width)
    problem = f"expected (height, width), two whole numbers from 1 to {LARGEST_SIDE}, got {short_repr(member)}"
    if member.size <= 2:
        problem += f" with {member.tolist()}"
    raise InputError(problem, field="image_shape")


def decode_name(member: np.ndarray, field: str) -> str:
    """Text in an archive's member ``name`` or ``video``.

    It becomes the name of files and links.

    Raises:
        InputError: It is no text, or holds what no such name may.
    """
    if member.size != 1 or member.dtype.kind != "U":
        raise InputError(f"expected a text, got {short_repr(member)}", field=field)
    text = str(member.item())
    if len(text) > LONGEST_NAME:
        raise InputError(f"expected up to {LONGEST_NAME} characters, got {len(text)}", field=field)
    if (character := first_forbidden_character(text)) is not None:
        raise InputError(f"{short_repr(text)} holds the character {character}, which no name may have", field=field)
    return text


def _float32(keypoint: np.ndarray, name: str) -> np.ndarray:
    with np.errstate(over="ignore"):
        converted = keypoint.astype(np.float32, copy=False)
    if converted is not keypoint and not np.isfinite(converted).all():
        raise InputError("expected coordinates in px, got some beyond float32", clip=name, field="keypoint")
    return converted


def read_recording(path: AnyPath) -> Recording:
    """Recording from a file of :meth:`Recording.save`.

    Raises:
        InputError: The file is absent, damaged, or a member is missing or wrong; names the file and the member.
    """
    members = read_npz(path, _MEMBERS)
    if missing := [name for name in _MEMBERS[:5] if name not in members]:
        raise InputError(
            f"it lacks {', '.join(missing)}",
            file=path,
            fix="semloss prepare keypoints makes recordings of other keypoints.",
        )
    with located(file=path):
        return Recording(
            decode_name(members.get("name", _NOTHING), "name") or Path(path).stem,
            members["keypoint"],
            members["keypoint_score"],
            decode_layout(members["layout"]),
            decode_image_shape(members["image_shape"]),
            decode_fps(members["fps"]),
            decode_name(members.get("video", _NOTHING), "video"),
        )


def decode_layout(member: np.ndarray) -> SkeletonLayout:
    """Layout in an archive's member ``layout``.

    Raises:
        InputError: It is none.
    """
    if member.size != 1 or member.dtype.kind != "U":
        raise InputError(f"expected a layout's name or its fields as JSON, got {short_repr(member)}", field="layout")
    return parse_layout(str(member.item()))


def parse_layout(text: str) -> SkeletonLayout:
    """Layout from its name or its fields as JSON.

    Raises:
        InputError: It is neither.
    """
    if len(text) > LONGEST_LAYOUT:
        raise InputError(f"expected up to {LONGEST_LAYOUT} characters, got {len(text)}", field="layout")
    if not text.startswith("{"):
        return get_layout(text, files=False)
    try:
        return get_layout(json.loads(text))
    except (ValueError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"expected a layout's fields as JSON ({reason(error)})", field="layout") from None
