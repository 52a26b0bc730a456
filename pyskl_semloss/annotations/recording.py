"""A recording: the keypoints of a whole video, from which clips are cut and in which gestures are found."""

from __future__ import annotations

import dataclasses
import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pyskl_semloss.annotations.clip import Clip
from pyskl_semloss.array_files import read_npz
from pyskl_semloss.errors import InputError
from pyskl_semloss.files import atomic_write
from pyskl_semloss.reading import reason
from pyskl_semloss.skeletons import SkeletonLayout, get_layout
from pyskl_semloss.skeletons.known import KNOWN_LAYOUTS

_MEMBERS = ("keypoint", "keypoint_score", "image_shape", "fps", "layout", "name", "video")


@dataclass(frozen=True, eq=False)
class Recording:
    """The 2-D keypoints of a video, frame by frame.

    Attributes:
        name: Its id; clips that are cut from it are named after it.
        keypoint: (M persons, T frames, V joints, 2), float32, x and y in px. A missing point is (0, 0) with score 0.
        keypoint_score: (M, T, V), float32, 0 to 1.
        layout: What the V joints are; a name or the fields of a layout are turned into one.
        image_shape: (height, width) in px.
        fps: Frames per second; frame t is shown from t / fps on.
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
        if not (np.isfinite(self.fps) and self.fps > 0):
            raise InputError(f"expected frames per second above 0, got {self.fps!r}", clip=self.name, field="fps")
        put(self, "fps", float(self.fps))
        put(self, "keypoint", clip.keypoint.astype(np.float32, copy=False))
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
        """The frames ``start`` to ``end`` - 1 as a clip; the arrays are views.

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

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write an npz archive, whole or not at all; :func:`read_recording` reads it.

        Raises:
            InputError: It cannot be written.
        """
        known = KNOWN_LAYOUTS.get(self.layout.name) == self.layout
        layout = self.layout.name if known else json.dumps(dataclasses.asdict(self.layout))
        with atomic_write(path) as stream:
            np.savez_compressed(
                stream, keypoint=self.keypoint, keypoint_score=self.keypoint_score, image_shape=self.image_shape,
                fps=self.fps, layout=layout, name=self.name, video=self.video,
            )  # fmt: skip


def read_recording(path: str | os.PathLike[str]) -> Recording:
    """Read what :meth:`Recording.save` wrote.

    Raises:
        InputError: The file is absent, damaged, or a member is missing or wrong; names the file and the member.
    """
    members = read_npz(path, _MEMBERS)
    if missing := [name for name in _MEMBERS[:5] if name not in members]:
        raise InputError(
            f"it lacks {', '.join(missing)}",
            file=path,
            fix="tools/prepare_data.py keypoints makes recordings of other keypoints.",
        )
    try:
        shape = tuple(int(size) for size in members["image_shape"].tolist())
        return Recording(
            str(members.get("name", "")) or Path(path).stem,
            members["keypoint"],
            members["keypoint_score"],
            parse_layout(str(members["layout"])),
            shape,  # type: ignore[arg-type]
            float(members["fps"]),
            str(members.get("video", "")),
        )
    except InputError as error:
        raise error.located(file=path) from None
    except (TypeError, ValueError) as error:
        raise InputError(f"image_shape, fps or layout is none ({error})", file=path) from None


def parse_layout(text: str) -> SkeletonLayout:
    """A layout as :meth:`Recording.save` keeps it: its name, or its fields as JSON.

    Raises:
        InputError: It is neither.
    """
    if not text.startswith("{"):
        return get_layout(text, files=False)
    try:
        return get_layout(json.loads(text))
    except (ValueError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"expected a layout's fields as JSON ({reason(error)})", field="layout") from None
