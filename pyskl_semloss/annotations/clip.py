"""Validated clips of keypoints, and annotation sets with splits."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pyskl_semloss.errors import InputError


@dataclass(frozen=True, eq=False)
class Clip:
    """Labelled sequence of the 2-D keypoints of one or more persons.

    The arrays are held, not copied: whoever scales keypoints in place copies them first.

    Attributes:
        frame_dir: The id of the clip, unique in its file.
        label: Class index, -1 where it is unknown.
        img_shape: (height, width) in px of the image that the keypoints are in.
        original_shape: (height, width) in px of the image before any resizing.
        keypoint: (M persons, T frames, V joints, 2), float, x and y in px. A missing point is (0, 0) with score 0.
        keypoint_score: (M persons, T frames, V joints), float, 0 to 1.

    Raises:
        InputError: A field is not as said above; names the clip and the field.
    """

    frame_dir: str
    label: int
    img_shape: tuple[int, int]
    original_shape: tuple[int, int]
    keypoint: np.ndarray
    keypoint_score: np.ndarray

    def __post_init__(self) -> None:
        if not isinstance(self.frame_dir, str) or not self.frame_dir:
            raise InputError(f"expected a non-empty string, got {self.frame_dir!r}", field="frame_dir")
        if type(self.label) is not int or self.label < -1:
            self._refuse("label", f"expected a class index or -1, got {self.label!r}")
        for name in ("img_shape", "original_shape"):
            shape = getattr(self, name)
            if not (type(shape) is tuple and len(shape) == 2 and all(type(size) is int and size > 0 for size in shape)):
                self._refuse(name, f"expected (height, width), two whole numbers above 0, got {shape!r}")
        self._check_arrays()

    def _check_arrays(self) -> None:
        points, scores = self.keypoint, self.keypoint_score
        for name, array in (("keypoint", points), ("keypoint_score", scores)):
            if not isinstance(array, np.ndarray) or array.dtype.kind != "f":
                self._refuse(name, f"expected an array of floats, got {describe_value(array)}")
        check_keypoint_shape(points.shape, self.frame_dir)
        if scores.shape != points.shape[:3]:
            self._refuse("keypoint_score", f"expected the shape {points.shape[:3]} (M, T, V), got {scores.shape}")
        if not np.isfinite(np.abs(points).max()):
            self._refuse("keypoint", "expected finite coordinates, got NaN or infinity")
        if not (scores.min() >= 0 and scores.max() <= 1):
            self._refuse("keypoint_score", f"expected scores from 0 to 1, got {scores.min()} to {scores.max()}")

    def _refuse(self, name: str, problem: str) -> None:
        raise InputError(problem, clip=self.frame_dir, field=name)

    @property
    def total_frames(self) -> int:
        """Number of frames T."""
        return self.keypoint.shape[1]

    def to_dict(self) -> dict[str, Any]:
        """Entry of a PySKL annotation file that shares the clip's arrays."""
        return {
            "frame_dir": self.frame_dir,
            "label": self.label,
            "img_shape": self.img_shape,
            "original_shape": self.original_shape,
            "total_frames": self.total_frames,
            "keypoint": self.keypoint,
            "keypoint_score": self.keypoint_score,
        }

    def same_as(self, other: Clip) -> bool:
        """Equality of all fields and array values."""
        mine, theirs = self.to_dict(), other.to_dict()
        return all(np.array_equal(mine[name], theirs[name]) for name in mine)


@dataclass
class AnnotationSet:
    """Clips in file order, with named lists of clip ids (splits)."""

    splits: dict[str, list[str]] = field(default_factory=dict)
    clips: list[Clip] = field(default_factory=list)

    def of_split(self, split: str) -> list[Clip]:
        """The clips of a split, in the order of the file.

        Raises:
            InputError: There is no such split; lists the splits that exist.
        """
        if split not in self.splits:
            known = ", ".join(repr(name) for name in self.splits) or "none"
            raise InputError(f"expected one of the splits ({known}), got {split!r}", field="split")
        wanted = set(self.splits[split])
        return [clip for clip in self.clips if clip.frame_dir in wanted]


def check_keypoint_shape(shape: tuple[int, ...], clip: object) -> None:
    """Check that a keypoint array is a full (M, T, V, 2).

    Raises:
        InputError: Says what came and how it can be brought to that shape.
    """
    if len(shape) == 4 and shape[-1] == 2 and min(shape) > 0:
        return
    fix = None
    if len(shape) == 4 and shape[-1] == 3:
        fix = "Keep x and y in px; a depth is not used, and a score belongs in keypoint_score."
    elif len(shape) == 3 and shape[-1] == 2:
        fix = "Add the axis of persons: keypoint[None]."
    elif len(shape) == 4 and 2 in shape[:3] and min(shape) > 0:
        fix = "Bring the axes into this order with np.transpose."
    problem = f"expected the shape (M persons, T frames, V joints, 2), none of them 0, got {shape}"
    raise InputError(problem, clip=clip, field="keypoint", fix=fix)


def describe_value(value: object) -> str:
    """Type of a value for a message."""
    return f"an array of {value.dtype}" if isinstance(value, np.ndarray) else f"a {type(value).__name__}"
