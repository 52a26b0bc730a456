"""Joints or limbs of the channels of a heat-map volume."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pyskl_semloss.errors import InputError
from pyskl_semloss.skeletons import SkeletonLayout, get_layout, mirror_order

MODALITIES = ("joint", "limb")


@dataclass(frozen=True)
class Channels:
    """Joints or limbs of the channels of a volume.

    ``parts`` are joints (C,) or limbs (C, 2); ``mirror`` (C,) is the order of the channels in the mirror image.

    Raises:
        InputError: Another modality than 'joint' or 'limb', or lists of other shapes.

    Example:
        >>> channels = Channels.limbs([(0, 1), (0, 2)], mirror_pairs=[(0, 1)])
        >>> len(channels), channels.mirrored().parts.tolist()
        (2, [[0, 2], [0, 1]])
    """

    modality: str
    parts: np.ndarray
    mirror: np.ndarray

    def __post_init__(self) -> None:
        if self.modality not in MODALITIES:
            raise InputError(f"expected 'joint' or 'limb', got {self.modality!r}", field="modality")
        width = () if self.modality == "joint" else (2,)
        if self.parts.shape[1:] != width or self.mirror.shape != self.parts.shape[:1]:
            raise InputError(
                f"expected parts (C{', 2' if width else ''}) and a mirror order (C,), "
                f"got {self.parts.shape} and {self.mirror.shape}",
                field="parts",
            )

    def __len__(self) -> int:
        return len(self.parts)

    def mirrored(self) -> Channels:
        """The channels of the mirror image: channel c shows what channel ``mirror[c]`` showed."""
        return Channels(self.modality, self.parts[self.mirror], self.mirror)

    @classmethod
    def joints(cls, num_joints: int, mirror_pairs: Iterable[Sequence[int]] = ()) -> Channels:
        """One channel for each of ``num_joints`` joints; the pairs are (left, right) joints.

        Raises:
            InputError: A pair names a joint that is not there, one twice, or one of another pair.
        """
        mirror = mirror_order(num_joints, mirror_pairs)
        return cls("joint", np.arange(num_joints), np.asarray(mirror, dtype=np.int64))

    @classmethod
    def limbs(cls, limbs: Sequence[Sequence[int]], mirror_pairs: Iterable[Sequence[int]] = ()) -> Channels:
        """One channel for each limb (joint, joint); the pairs are (left, right) limbs.

        Raises:
            InputError: A pair names a limb that is not there, one twice, or one of another pair.
        """
        parts = np.asarray(limbs, dtype=np.int64).reshape(-1, 2)
        mirror = mirror_order(len(parts), mirror_pairs, "limb", "limb_mirror_pairs")
        return cls("limb", parts, np.asarray(mirror, dtype=np.int64))

    @classmethod
    def of_layout(cls, layout: str | Mapping | SkeletonLayout, modality: str) -> Channels:
        """The channels of a layout in one modality.

        Raises:
            InputError: The layout is unknown or malformed, or the modality is neither 'joint' nor 'limb'.
        """
        skeleton = get_layout(layout)
        parts = skeleton.limbs if modality == "limb" else range(skeleton.num_joints)
        mirror = skeleton.limb_mirror if modality == "limb" else skeleton.joint_mirror
        return cls(modality, np.asarray(parts, dtype=np.int64), np.asarray(mirror, dtype=np.int64))


def check_shapes(
    keypoint: tuple[int, ...], score: tuple[int, ...], channels: Channels, *, batched: bool = False
) -> None:
    """Check that the shapes of keypoints and scores fit together, and that every joint of the channels is there.

    Args:
        keypoint: Expected to be (M persons, T frames, V joints, 2).
        score: Expected to be (M, T, V).
        channels: What is to be drawn.
        batched: Whether an axis N of clips leads both shapes.

    Raises:
        InputError: Shapes that do not fit together, or a channel of a joint that the clip lacks.
    """
    axes = ("N", "M", "T", "V", "2")[0 if batched else 1 :]
    if len(keypoint) != len(axes) or keypoint[-1] != 2:
        raise InputError(f"expected ({', '.join(axes)}), got {keypoint}", field="keypoint")
    if score != keypoint[:-1]:
        raise InputError(f"expected {keypoint[:-1]}, got {score}", field="keypoint_score")
    needed = int(channels.parts.max(initial=-1)) + 1
    if keypoint[-2] < needed:
        raise InputError(
            f"the channels show joint {needed - 1}, but the clip has {keypoint[-2]} joints",
            field="keypoint",
            fix="Choose the skeleton layout of your keypoints.",
        )
