"""Small training sets drawn from a split: long-tailed, or with few clips a class."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from pyskl_semloss.annotations.clip import AnnotationSet, Clip
from pyskl_semloss.errors import InputError


def long_tailed(labels: Mapping[str, int], ratio: float, seed: int) -> list[str]:
    r"""Clips of a long-tailed subset.

    The classes come into a random order, and the one of rank r of C keeps the share :math:`\rho^{-r / (C - 1)}` of its
    clips, rounded, at least one clip: the first keeps all, the last one in :math:`\rho`. Cui et al., "Class-balanced
    loss based on effective number of samples", CVPR 2019, section 5.1, makes long-tailed CIFAR so.

    Args:
        labels: Class of each clip by id.
        ratio: :math:`\rho`, how many times larger the largest class is than the smallest, at least 1.
        seed: Of the order of the classes and of the clips that are kept.

    Returns:
        Ids in the order of ``labels``. The order of ``labels`` does not change which.

    Raises:
        InputError: No clip, or a number out of range.

    Example:
        >>> labels = {f"{label}{n}": label for label in range(3) for n in range(9)}
        >>> sorted([clip[0] for clip in long_tailed(labels, 9, seed=0)].count(label) for label in "012")
        [1, 3, 9]
    """
    if not (math.isfinite(ratio) and ratio >= 1):
        raise InputError(f"expected a number from 1, got {ratio}", field="tail")
    rng, clips_of = _classes(labels, seed)
    last = max(len(clips_of) - 1, 1)
    drawn: set[str] = set()
    for rank, label in enumerate(rng.permutation(sorted(clips_of)).tolist()):
        clips = clips_of[label]
        count = max(1, math.floor(len(clips) * ratio ** (-rank / last) + 0.5))
        drawn.update(rng.permutation(clips)[:count].tolist())
    return [clip for clip in labels if clip in drawn]


def few_clips(labels: Mapping[str, int], count: int, seed: int) -> list[str]:
    """Clips of a subset with the same number of clips in every class.

    Args:
        labels: Class of each clip by id.
        count: Clips of a class, at least 1.
        seed: Of the clips that are kept.

    Returns:
        Ids in the order of ``labels``. The order of ``labels`` does not change which.

    Raises:
        InputError: No clip, a number out of range, or a class with fewer clips.

    Example:
        >>> few_clips({"a": 0, "b": 0, "c": 1}, 1, seed=0)
        ['a', 'c']
    """
    if count < 1:
        raise InputError(f"expected at least 1, got {count}", field="clips")
    rng, clips_of = _classes(labels, seed)
    small = [f"class {label} has {len(clips)}" for label, clips in sorted(clips_of.items()) if len(clips) < count]
    if small:
        problem = f"{len(small)} classes have fewer than {count} clips"
        raise InputError(problem, field="clips", items=small, fix="Give a smaller number.")
    drawn = {clip for label in sorted(clips_of) for clip in rng.permutation(clips_of[label])[:count].tolist()}
    return [clip for clip in labels if clip in drawn]


def with_subsets(
    annotations: AnnotationSet, split: str, seeds: Sequence[int], *, tail: float | None = None, clips: int | None = None
) -> AnnotationSet:
    """Annotation set with subsets of a split as further splits.

    They are called ``<split>_tail<ratio>_seed<seed>`` and ``<split>_<count>clips_seed<seed>``. Clips without a label,
    or without a single point, which no training sees, are not drawn.

    Args:
        annotations: Clips and splits; both are kept.
        split: The split that is drawn from.
        seeds: One subset of each kind for each.
        tail: Ratio of :func:`long_tailed`; None for no such subset.
        clips: Count of :func:`few_clips`; None for no such subset.

    Raises:
        InputError: There is no such split, a subset cannot be drawn, or is there already.
    """
    labels = {clip.frame_dir: clip.label for clip in annotations.of_split(split) if _can_train(clip)}
    drawn = {}
    for seed in seeds:
        if tail is not None:
            drawn[f"{split}_tail{tail:.12g}_seed{seed}"] = long_tailed(labels, tail, seed)
        if clips is not None:
            drawn[f"{split}_{clips}clips_seed{seed}"] = few_clips(labels, clips, seed)
    for name in drawn:
        if name in annotations.splits:
            raise InputError(f"there is a split {name!r} already", field="split", fix="Leave its seed out.")
    return AnnotationSet({**annotations.splits, **drawn}, annotations.clips)


def _can_train(clip: Clip) -> bool:
    return clip.label >= 0 and bool(clip.keypoint.any())


def _classes(labels: Mapping[str, int], seed: int) -> tuple[np.random.Generator, dict[int, list[str]]]:
    """Random numbers, and the clips of each class in an order of their own."""
    if seed < 0:
        raise InputError(f"expected a whole number from 0, got {seed}", field="seeds")
    if not labels:
        raise InputError("there is no clip with a label and a point to draw from", field="split")
    clips_of: dict[int, list[str]] = {}
    for clip in sorted(labels):
        clips_of.setdefault(labels[clip], []).append(clip)
    return np.random.default_rng(seed), clips_of
