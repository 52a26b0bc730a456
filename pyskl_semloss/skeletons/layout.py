"""Keypoint layout as validated, frozen data."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property

from pyskl_semloss.errors import InputError
from pyskl_semloss.io.reading import short_repr
from pyskl_semloss.skeletons.mirror import Pair, index_pairs, mirror_order, mirrored_limbs


@dataclass(frozen=True)
class SkeletonLayout:
    """Joints, limbs and mirror pairs of a skeleton; lists become tuples.

    Args:
        name: The name in configs, messages and pictures.
        joints: V joint names in the order of the keypoint array.
        limbs: L pairs of joint indices, in the order of the limb channels; the direction has no meaning.
        mirror_pairs: (left joint, right joint); joints in no pair are central.
        limb_mirror_pairs: (left limb, right limb). None derives them from ``mirror_pairs``; to be given only where a
            publication declares other ones.
        source: Where the order is from, and whose left and right are meant.
        mistakes: What is wrong with a layout that is kept only to reproduce something published.
        rest_pose: A (x, y) per joint for drawing, in a unit square with y down; None if there is none.
        sides: Whose left and right the names mean: ``"person"``, or ``"image"`` where the joint on the left of the
            image is the left one. Only :func:`pyskl_semloss.skeletons.joint_map` needs to know.
        graph_limbs: Links of joints in :func:`pyskl_semloss.skeletons.skeleton_graph`, without direction; to be given
            only where they are not the limbs. None takes the limbs.

    Raises:
        InputError: A field is malformed, or the mirror does not map limbs onto limbs and ``mistakes`` is empty.

    Example:
        >>> layout = SkeletonLayout("stick", ("neck", "hand L", "hand R"), [(0, 1), (0, 2)], [(1, 2)])
        >>> layout.num_channels("limb"), layout.joint_mirror, layout.limb_mirror
        (2, (0, 2, 1), (1, 0))
    """

    name: str
    joints: tuple[str, ...]
    limbs: tuple[Pair, ...]
    mirror_pairs: tuple[Pair, ...]
    limb_mirror_pairs: tuple[Pair, ...] | None = None
    source: str = ""
    mistakes: str = ""
    rest_pose: tuple[tuple[float, float], ...] | None = None
    sides: str = "person"
    graph_limbs: tuple[Pair, ...] | None = None

    def __post_init__(self) -> None:
        whose = f"layout {short_repr(self.name)}: "
        for field in ("name", "source", "mistakes"):
            if not isinstance(getattr(self, field), str):
                raise InputError(f"{whose}expected text, got {short_repr(getattr(self, field))}", field=field)
        if not self.name:
            raise InputError("a layout needs a name", field="name")
        if self.sides not in ("person", "image"):
            raise InputError(f"{whose}expected 'person' or 'image', got {short_repr(self.sides)}", field="sides")
        _set(self, "joints", _joint_names(self.joints, whose))
        _set(self, "limbs", index_pairs(self.limbs, "limbs", whose))
        _set(self, "mirror_pairs", index_pairs(self.mirror_pairs, "mirror_pairs", whose))
        _check_limbs(self.limbs, self.num_joints, whose)
        if self.graph_limbs is not None:
            _set(self, "graph_limbs", index_pairs(self.graph_limbs, "graph_limbs", whose))
            _check_limbs(self.graph_limbs, self.num_joints, whose, "graph_limbs")
        mirror_order(self.num_joints, self.mirror_pairs, "joint", "mirror_pairs", whose)
        if self.limb_mirror_pairs is not None:
            _set(self, "limb_mirror_pairs", index_pairs(self.limb_mirror_pairs, "limb_mirror_pairs", whose))
            mirror_order(self.num_limbs, self.limb_mirror_pairs, "limb", "limb_mirror_pairs", whose)
        if self.rest_pose is not None:
            _set(self, "rest_pose", _unit_points(self.rest_pose, self.num_joints, whose))
        if not self.mistakes:
            _check_mirror_is_sound(self, whose)

    @property
    def num_joints(self) -> int:
        """V, the number of joints."""
        return len(self.joints)

    @property
    def num_limbs(self) -> int:
        """L, the number of limbs."""
        return len(self.limbs)

    def num_channels(self, modality: str) -> int:
        """Channels of a heat-map volume: V for ``"joint"``, L for ``"limb"``."""
        if modality not in ("joint", "limb"):
            raise InputError(f"expected 'joint' or 'limb', got {modality!r}", field="modality")
        return self.num_joints if modality == "joint" else self.num_limbs

    @property
    def left_kp(self) -> tuple[int, ...]:
        """Left joints, (P,); ``right_kp`` has the mirror image of each at the same place."""
        return tuple(left for left, _ in self.mirror_pairs)

    @property
    def right_kp(self) -> tuple[int, ...]:
        """Right joints, (P,), in the order of ``left_kp``."""
        return tuple(right for _, right in self.mirror_pairs)

    @property
    def left_limb(self) -> tuple[int, ...]:
        """Left limbs, (Q,), ascending unless declared; ``right_limb`` has the mirror image of each."""
        return tuple(left for left, _ in self._sided_limbs)

    @property
    def right_limb(self) -> tuple[int, ...]:
        """Right limbs, (Q,), in the order of ``left_limb``."""
        return tuple(right for _, right in self._sided_limbs)

    @cached_property
    def joint_mirror(self) -> tuple[int, ...]:
        """The order of the V joints after a left/right swap; a permutation that is its own inverse."""
        return mirror_order(self.num_joints, self.mirror_pairs)

    @cached_property
    def limb_mirror(self) -> tuple[int, ...]:
        """The order of the L limbs after a left/right swap; a limb without a mirror image keeps its place."""
        if self.limb_mirror_pairs is not None:
            return mirror_order(self.num_limbs, self.limb_mirror_pairs, "limb", "limb_mirror_pairs")
        partners = mirrored_limbs(self.limbs, self.joint_mirror)
        return tuple(index if partner is None else partner for index, partner in enumerate(partners))

    @cached_property
    def unmirrored_limbs(self) -> tuple[Pair, ...]:
        """Limbs whose mirror image, by ``mirror_pairs``, is no limb; empty for every layout without mistakes."""
        partners = mirrored_limbs(self.limbs, self.joint_mirror)
        return tuple(limb for limb, partner in zip(self.limbs, partners, strict=True) if partner is None)

    @cached_property
    def _sided_limbs(self) -> tuple[Pair, ...]:
        if self.limb_mirror_pairs is not None:
            return self.limb_mirror_pairs
        left, right = set(self.left_kp), set(self.right_kp)
        pairs = []
        for index, partner in enumerate(self.limb_mirror):
            if index < partner:
                # A limb that crosses the body touches both sides; then the first of the two counts as left.
                leaning = sum((joint in left) - (joint in right) for joint in self.limbs[index])
                pairs.append((index, partner) if leaning >= 0 else (partner, index))
        return tuple(sorted(pairs))


def _set(layout: SkeletonLayout, field: str, value: object) -> None:
    object.__setattr__(layout, field, value)


def _joint_names(joints: object, whose: str) -> tuple[str, ...]:
    if not isinstance(joints, list | tuple) or not joints or not all(isinstance(name, str) for name in joints):
        raise InputError(f"{whose}expected a list of joint names, got {short_repr(joints)}", field="joints")
    twice = [name for name, times in Counter(joints).items() if times > 1]
    if twice:
        raise InputError(f"{whose}a joint name stands twice: {', '.join(twice)}", field="joints")
    return tuple(joints)


def _check_limbs(limbs: tuple[Pair, ...], num_joints: int, whose: str, field: str = "limbs") -> None:
    seen = set()
    for limb in limbs:
        a, b = limb
        if not (0 <= a < num_joints and 0 <= b < num_joints):
            raise InputError(
                f"{whose}limb {short_repr(limb)} names a joint that is not in 0..{num_joints - 1}", field=field
            )
        if a == b:
            raise InputError(f"{whose}limb {short_repr(limb)} goes from a joint to itself", field=field)
        if frozenset(limb) in seen:
            raise InputError(f"{whose}limb {short_repr(limb)} stands twice (its direction has no meaning)", field=field)
        seen.add(frozenset(limb))


def _unit_points(points: object, num_joints: int, whose: str) -> tuple[tuple[float, float], ...]:
    try:
        pose = tuple((float(x), float(y)) for x, y in points)  # type: ignore[attr-defined]
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"{whose}expected a list of (x, y), got {short_repr(points)}", field="rest_pose") from None
    if len(pose) != num_joints:
        raise InputError(f"{whose}{len(pose)} points for {num_joints} joints", field="rest_pose")
    for index, point in enumerate(pose):
        if not all(0 <= value <= 1 for value in point):
            raise InputError(
                f"{whose}joint {index} at {short_repr(point)} is outside the unit square", field="rest_pose"
            )
    return pose


def _check_mirror_is_sound(layout: SkeletonLayout, whose: str) -> None:
    _check_images(layout, layout.limbs, "limbs", whose)
    _check_images(layout, layout.graph_limbs or (), "graph_limbs", whose)
    if layout.limb_mirror_pairs is not None:
        derived = mirrored_limbs(layout.limbs, layout.joint_mirror)
        wrong = [index for index, partner in enumerate(derived) if layout.limb_mirror[index] != partner]
        if wrong:
            listed = ", ".join(
                f"limb {i} {layout.limbs[i]} is mirrored onto limb {derived[i]}, not {layout.limb_mirror[i]}"
                for i in wrong
            )
            fix = "Leave limb_mirror_pairs out: they are derived from mirror_pairs."
            raise InputError(f"{whose}{listed}", field="limb_mirror_pairs", fix=fix)


def _check_images(layout: SkeletonLayout, limbs: tuple[Pair, ...], name: str, whose: str) -> None:
    partners = mirrored_limbs(limbs, layout.joint_mirror)
    unmirrored = [limb for limb, partner in zip(limbs, partners, strict=True) if partner is None]
    fix = f"Correct {name} or mirror_pairs; a layout that must stay wrong says so in its field mistakes."
    if unmirrored:
        images = []
        for a, b in unmirrored:
            c, d = layout.joint_mirror[a], layout.joint_mirror[b]
            names = " - ".join(layout.joints[joint] for joint in (c, d))
            images.append(f"{(a, b)} -> {(c, d)} ({names})")
        count = f"{len(images)} of {len(limbs)} {name} have a mirror image that is no {name[:-1]}"
        raise InputError(f"{whose}{count}: {', '.join(images)}", field="mirror_pairs", fix=fix)
