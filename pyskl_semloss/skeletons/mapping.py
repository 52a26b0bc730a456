"""Mapping of joints from a layout to another by their names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pyskl_semloss.errors import InputError
from pyskl_semloss.io.reading import closest_names, short_repr
from pyskl_semloss.skeletons.joint_names import Point, body_points
from pyskl_semloss.skeletons.layout import SkeletonLayout

_MIRRORED = {"left": "right", "right": "left", "": ""}
_BOTH = "both"
_RULES: dict[str, tuple[tuple[tuple[str, str], ...], ...]] = {
    "neck": (((_BOTH, "shoulder"),),),
    "mid_hip": (((_BOTH, "hip"),),),
    "head": (((_BOTH, "ear"),),),
    "upper_neck": (((_BOTH, "shoulder"), (_BOTH, "ear")),),
    "spine_mid": (((_BOTH, "shoulder"), (_BOTH, "hip")), (("", "neck"), ("", "mid_hip"))),
    "wrist": ((("same", "hand_root"),),),
    "hand_root": ((("same", "wrist"),),),
    "hand": (
        (("same", "wrist"), ("same", "middle_1")),
        (("same", "hand_root"), ("same", "middle_1")),
        (("same", "wrist"), ("same", "middle_4")),
    ),
    "hand_tip": ((("same", "middle_4"),),),
}
"""Part to the groups of points whose mean it is; the first group that the source has in full is taken."""


@dataclass(frozen=True)
class JointMap:
    """Source joints of each target joint, from :func:`joint_map`.

    Attributes:
        source: Layout of the keypoints that come.
        target: Layout of the keypoints that are made.
        joints: For each of the W joints of the target, the joints of the source whose mean it is; none if it is
            missing.
    """

    source: SkeletonLayout
    target: SkeletonLayout
    joints: tuple[tuple[int, ...], ...]
    _derived: tuple[bool, ...]

    @cached_property
    def missing(self) -> tuple[str, ...]:
        """Names of target joints without a source; they are (0, 0) with score 0."""
        return tuple(name for name, used in zip(self.target.joints, self.joints, strict=True) if not used)

    @cached_property
    def derived(self) -> tuple[str, ...]:
        """Names of target joints computed from other source joints."""
        return tuple(name for name, derived in zip(self.target.joints, self._derived, strict=True) if derived)

    def apply(self, keypoint: np.ndarray, score: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Keypoints and scores in the target layout.

        A joint made of several points is their mean, with the smallest of their scores; where one of them scores 0
        it is missing.

        Args:
            keypoint: (..., V, 2) x and y.
            score: (..., V).

        Returns:
            New arrays (..., W, 2) and (..., W) of the same types.

        Raises:
            InputError: The arrays do not have the source's joints.
        """
        joints = self.source.num_joints
        if keypoint.shape[-2:] != (joints, 2) or score.shape != keypoint.shape[:-1]:
            problem = f"expected (..., {joints}, 2) and (..., {joints}) of layout {self.source.name!r}, "
            raise InputError(problem + f"got {keypoint.shape} and {score.shape}", field="keypoint")
        points = np.zeros((*keypoint.shape[:-2], self.target.num_joints, 2), keypoint.dtype)
        scores = np.zeros(points.shape[:-1], score.dtype)
        for joint, used in enumerate(self.joints):
            if len(used) == 1:
                points[..., joint, :], scores[..., joint] = keypoint[..., used[0], :], score[..., used[0]]
            elif used:
                scores[..., joint] = score[..., used].min(-1)
                mean = keypoint[..., used, :].mean(-2)
                points[..., joint, :] = np.where(scores[..., joint, None] > 0, mean, 0)
        return points, scores


def joint_map(source: SkeletonLayout, target: SkeletonLayout, aliases: Mapping[str, str] | None = None) -> JointMap:
    """Match the joints of two layouts by the meaning of their names.

    Names that differ in spelling alone match (``LShoulder``, ``left_shoulder``, ``ShoulderLeft``), and so do several
    names of one point (MidHip and SpineBase, a forefinger's fourth point and its tip). Where the one layout's sides are
    the image's and the other's the person's, left and right are exchanged: that is true of a person who faces the
    camera. What the source lacks is derived where it can be: neck, mid-hip, head, spine, hand.

    Args:
        source: Layout of the keypoints that come.
        target: Layout of the keypoints that are wanted.
        aliases: Joint of the target to the joint of the source that it is, for names that mean nothing here. They are
            taken as they are, sides included.

    Raises:
        InputError: An alias names no joint, or no joint of the target is in the source.

    Example:
        >>> from pyskl_semloss.skeletons import get_layout
        >>> mapping = joint_map(get_layout("coco17"), get_layout("openpose25"))
        >>> mapping.derived, mapping.missing[:2]
        (('Neck', 'MidHip'), ('LBigToe', 'LSmallToe'))
    """
    if source.joints == target.joints and not aliases and source.sides == target.sides:
        return JointMap(
            source, target, tuple((joint,) for joint in range(target.num_joints)), (False,) * len(target.joints)
        )
    have = {point: joint for joint, point in reversed(list(enumerate(body_points(source))))}
    exchanged = source.sides != target.sides
    aliased = {_named(target, name): _named(source, other) for name, other in (aliases or {}).items()}
    joints: list[tuple[int, ...]] = []
    derived = []
    used: tuple[int, ...]
    for at, (side, part) in enumerate(body_points(target)):
        wanted = (_MIRRORED[side] if exchanged else side, part)
        if at in aliased:
            used, is_derived = (aliased[at],), False
        elif wanted in have:
            joint = have[wanted]
            # Points of the face have sides and no side in their names.
            used, is_derived = (source.joint_mirror[joint] if exchanged and not side else joint,), False
        else:
            used = _derive(wanted, have)
            is_derived = bool(used)
        joints.append(used)
        derived.append(is_derived)
    if not any(joints):
        problem = f"no joint of layout {target.name!r} is in layout {source.name!r}"
        raise InputError(problem, field="joints", fix="Name what is the same point in aliases: target joint to source.")
    return JointMap(source, target, tuple(joints), tuple(derived))


def _derive(wanted: Point, have: Mapping[Point, int]) -> tuple[int, ...]:
    side, part = wanted
    for group in _RULES.get(part, ()):
        points = list(_expanded(group, side))
        if all(point in have for point in points):
            return tuple(have[point] for point in points)
    return ()


def _expanded(group: tuple[tuple[str, str], ...], side: str) -> Iterator[Point]:
    for whose, part in group:
        if whose == _BOTH:
            yield from (("left", part), ("right", part))
        else:
            yield (side if whose == "same" else whose, part)


def _named(layout: SkeletonLayout, name: str) -> int:
    if name in layout.joints:
        return layout.joints.index(name)
    near = closest_names(str(name), layout.joints)
    hint = f"did you mean {near[0]!r}?" if near else f"its joints are {', '.join(layout.joints[:5])}, …"
    raise InputError(f"layout {layout.name!r} has no joint {short_repr(name)}; {hint}", field="aliases")
