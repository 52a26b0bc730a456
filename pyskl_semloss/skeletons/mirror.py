"""Left/right mirror of joints and limbs as permutations."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence

from pyskl_semloss.errors import InputError
from pyskl_semloss.io.reading import short_repr

Pair = tuple[int, int]


def check_mirror(
    limbs: Iterable[Sequence[int]], left_kp: Iterable[int], right_kp: Iterable[int]
) -> tuple[tuple[int, int], ...]:
    """Limbs whose mirror image is no limb.

    For the explicit lists of the hosts' configs (``skeletons``, ``left_kp``, ``right_kp``). Joints in neither list are
    central and stay where they are; a limb has no direction.

    Args:
        limbs: Limbs as pairs of joint indices, (L, 2).
        left_kp: Left joints, (P,).
        right_kp: Right joints, (P,), each the mirror image of the left joint at the same place.

    Returns:
        The limbs whose mirror image is not among ``limbs``, in their order; empty if the mirror is sound.

    Raises:
        InputError: A list is no list of joint indices, the two sides differ in length, or a joint is named twice.

    Example:
        >>> check_mirror([(0, 1), (0, 2), (1, 3)], left_kp=[1], right_kp=[2])
        ((1, 3),)
    """
    pairs = index_pairs(limbs, "limbs")
    left, right = indices(left_kp, "left_kp"), indices(right_kp, "right_kp")
    if len(left) != len(right):
        raise InputError(f"{len(left)} left joints face {len(right)} right joints", field="left_kp, right_kp")
    count = 1 + max((*left, *right, *(joint for limb in pairs for joint in limb)), default=-1)
    partners = mirrored_limbs(pairs, mirror_order(count, zip(left, right, strict=True), "joint", "left_kp, right_kp"))
    return tuple(limb for limb, partner in zip(pairs, partners, strict=True) if partner is None)


def mirror_order(
    count: int, pairs: Iterable[Sequence[int]], kind: str = "joint", field: str = "mirror_pairs", whose: str = ""
) -> tuple[int, ...]:
    """Permutation of ``count`` channels by left/right pairs.

    Args:
        count: Number of joints or limbs.
        pairs: (left, right) indices; an index in no pair keeps its place.
        kind: ``"joint"`` or ``"limb"``, for the messages.
        field: The field to blame in the messages.
        whose: Start of every message, such as ``"layout 'mine': "``.

    Returns:
        A permutation ``order`` of ``range(count)`` with ``order[order[i]] == i``; ``maps[order]`` are the maps after
        the swap.

    Raises:
        InputError: An index is outside ``range(count)`` or stands in two pairs, or a pair is twice the same index.

    Example:
        >>> mirror_order(4, [(1, 2)])
        (0, 2, 1, 3)
    """
    order = list(range(count))
    seen: set[int] = set()
    for left, right in pairs:
        if left == right:
            fix = f"Leave a central {kind} out."
            raise InputError(f"{whose}{kind} {short_repr(left)} is paired with itself", field=field, fix=fix)
        for index in (left, right):
            if not 0 <= index < count:
                raise InputError(f"{whose}{kind} {short_repr(index)} is not in 0..{count - 1}", field=field)
            if index in seen:
                raise InputError(f"{whose}{kind} {short_repr(index)} stands in two pairs", field=field)
            seen.add(index)
        order[left], order[right] = right, left
    return tuple(order)


def mirrored_limbs(limbs: Sequence[Pair], joint_mirror: Sequence[int]) -> tuple[int | None, ...]:
    """Index of each limb's mirror image, or None without one.

    Example:
        >>> mirrored_limbs([(0, 1), (0, 2), (1, 3)], joint_mirror=(0, 2, 1, 3))
        (1, 0, None)
    """
    index_of = {frozenset(limb): index for index, limb in enumerate(limbs)}
    return tuple(index_of.get(frozenset((joint_mirror[a], joint_mirror[b]))) for a, b in limbs)


def indices(values: Iterable[int], field: str, whose: str = "") -> tuple[int, ...]:
    """Tuple of int from any list of whole numbers; else an InputError."""
    try:
        return tuple(operator.index(value) for value in values)
    except TypeError:
        problem = f"{whose}expected a list of whole numbers, got {short_repr(values)}"
        raise InputError(problem, field=field) from None


def index_pairs(values: Iterable[Sequence[int]], field: str, whose: str = "") -> tuple[Pair, ...]:
    """Tuples of int from any list of pairs; else an InputError."""
    try:
        return tuple((operator.index(a), operator.index(b)) for a, b in values)
    except (TypeError, ValueError):
        problem = f"{whose}expected a list of pairs of whole numbers, got {short_repr(values)}"
        raise InputError(problem, field=field) from None
