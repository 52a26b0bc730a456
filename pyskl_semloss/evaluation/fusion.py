"""Late fusion: weighted sum of several models' scores, aligned by clip id."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from pyskl_semloss.errors import InputError
from pyskl_semloss.evaluation.calibration import softmax_rows
from pyskl_semloss.evaluation.metrics import probability_rows
from pyskl_semloss.evaluation.scores import Scores, first_ids

SEMANTIC_TEMPERATURE = 0.1
"""Divides the cosines before their softmax; cosines alone differ too little to weigh against probabilities."""


def as_semantic(scores: Scores) -> Scores:
    """Scores of the semantic branch in place of the classifier's.

    ``softmax(semantic_cosine / 0.1)`` over the C classes of each of the N clips.

    Raises:
        InputError: There are no semantic scores.

    Example:
        >>> score = np.array([[0.8, 0.2], [0.4, 0.6]])
        >>> joint = Scores(np.array(["a", "b"]), score, np.array([0, 1]))
        >>> named = replace(joint, semantic_cosine=np.array([[1.0, 0.9], [0.0, 0.2]]))
        >>> [[round(float(value), 4) for value in row] for row in as_semantic(named).score]
        [[0.7311, 0.2689], [0.1192, 0.8808]]
    """
    if scores.semantic_cosine is None:
        raise InputError(
            "there are no semantic scores in it",
            file=scores.source or None,
            field="semantic_cosine",
            fix="They are written by a test of a model with the semantic head.",
        )
    return replace(scores, score=softmax_rows(scores.semantic_cosine / SEMANTIC_TEMPERATURE))


def align(parts: Sequence[Scores]) -> list[Scores]:
    """Every part in the clip order of the first.

    A label that is known in one part becomes known in all.

    Raises:
        InputError: A part has other clips, another number of classes, other class names, or another label for a clip.
            The message names the file and the first few clips.

    Example:
        >>> first = Scores(np.array(["a", "b"]), np.array([[0.8, 0.2], [0.4, 0.6]]), np.array([0, -1]))
        >>> second = Scores(np.array(["b", "a"]), np.array([[0.1, 0.9], [0.7, 0.3]]), np.array([1, 0]))
        >>> [(part.sample_id.tolist(), part.label.tolist()) for part in align([first, second])]
        [(['a', 'b'], [0, 1]), (['a', 'b'], [0, 1])]
    """
    if not parts:
        raise InputError("expected at least one score file, got none")
    first, named = parts[0], next((part for part in parts if part.class_names), parts[0])
    aligned = []
    for number, part in enumerate(parts):
        _check_classes(first, part, number)
        _check_names(named, part, number)
        aligned.append(take_clips(part, _order(first, part, number)))
    label = _common_labels(aligned)
    return [replace(part, label=label) for part in aligned]


def normalise_weights(weights: Sequence[float], parts: int) -> tuple[float, ...]:
    """The weights scaled to sum 1.

    Raises:
        InputError: There are not as many as parts, one is negative, NaN or infinite, or all are zero.

    Example:
        >>> normalise_weights([1, 3], parts=2)
        (0.25, 0.75)
    """
    values = [float(weight) for weight in weights]
    if len(values) != parts:
        raise InputError(f"expected one weight per score file, got {len(values)} for {parts}", field="weights")
    if not all(math.isfinite(weight) and weight >= 0 for weight in values) or not any(values):
        shown = " ".join(f"{weight:g}" for weight in values)
        raise InputError(f"expected weights that are not negative and not all zero, got {shown}", field="weights")
    scaled = [weight / max(values) for weight in values]
    return tuple(weight / sum(scaled) for weight in scaled)


def fuse(parts: Sequence[Scores], weights: Sequence[float], softmax: bool = False) -> Scores:
    """Weighted sum of scores, ``sum_i w_i * score_i``, with ``sum_i w_i = 1``.

    All parts must hold probabilities (rows that are not negative and sum to 1 within 0.01), or none. If none does,
    their scores are summed as they are, with a warning. Semantic cosines are fused in the same way if every part has
    them; distances are not fused.

    Args:
        parts: Score files of the same clips, in any order.
        weights: One per part, not negative, not all zero.
        softmax: Turn the scores of the parts that are not probabilities into such first.

    Returns:
        The fused scores, in the order of the first part.

    Raises:
        InputError: The weights are wrong, the parts do not belong together (see :func:`align`), or some hold
            probabilities and others do not.

    Example:
        >>> joint = Scores(np.array(["a", "b"]), np.array([[0.5, 0.5], [0.25, 0.75]]), np.array([0, 1]))
        >>> limb = Scores(np.array(["b", "a"]), np.array([[0.75, 0.25], [1.0, 0.0]]), np.array([1, 0]))
        >>> fuse([joint, limb], weights=[1, 1]).score.tolist()
        [[0.75, 0.25], [0.5, 0.5]]
    """
    share = normalise_weights(weights, len(parts))
    aligned = align(parts)
    cosines = [part.semantic_cosine for part in aligned if part.semantic_cosine is not None]
    return Scores(
        sample_id=aligned[0].sample_id,
        score=weighted_sum(comparable_scores(aligned, softmax), share),
        label=aligned[0].label,
        semantic_cosine=weighted_sum(cosines, share) if len(cosines) == len(aligned) else None,
        class_names=next((part.class_names for part in aligned if part.class_names), ()),
    )


def part_name(part: Scores, number: int) -> str:
    """File of a part, else its number from 1, for messages."""
    return part.source or f"part {number + 1}"


def _check_classes(first: Scores, part: Scores, number: int) -> None:
    if part.score.shape[1] != first.score.shape[1]:
        raise InputError(
            f"it has {part.score.shape[1]} classes, but {part_name(first, 0)} has {first.score.shape[1]}",
            file=part_name(part, number),
            field="score",
        )


def _check_names(named: Scores, part: Scores, number: int) -> None:
    if part.class_names and part.class_names != named.class_names:
        index = next(n for n, (a, b) in enumerate(zip(part.class_names, named.class_names, strict=True)) if a != b)
        raise InputError(
            f"class {index} is {part.class_names[index]!r}, but {named.class_names[index]!r} in {named.source}",
            file=part_name(part, number),
            field="class_names",
            fix="Models of different class lists cannot be fused.",
        )


def _order(first: Scores, part: Scores, number: int) -> np.ndarray:
    row_of = {clip: n for n, clip in enumerate(part.sample_id.tolist())}
    wanted = first.sample_id.tolist()
    missing = [clip for clip in wanted if clip not in row_of]
    extra = sorted(row_of.keys() - set(wanted))
    if missing or extra:
        problem = f"it lacks {len(missing)} of the {len(wanted)} clips of {part_name(first, 0)}: {first_ids(missing)}"
        more = f"it has {len(extra)} clips that {part_name(first, 0)} lacks: {first_ids(extra)}"
        raise InputError(
            "; ".join(([problem] if missing else []) + ([more] if extra else [])),
            file=part_name(part, number),
            field="sample_id",
            fix="Test both models on the same split.",
        )
    return np.asarray([row_of[clip] for clip in wanted])


def take_clips(part: Scores, order: np.ndarray) -> Scores:
    """Scores of the clips with these indices (M,), in this order."""
    cosine, distance = part.semantic_cosine, part.semantic_distance
    return replace(
        part,
        sample_id=part.sample_id[order],
        score=part.score[order],
        label=part.label[order],
        semantic_cosine=None if cosine is None else cosine[order],
        semantic_distance=None if distance is None else distance[order],
    )


def _common_labels(aligned: Sequence[Scores]) -> np.ndarray:
    label = np.full(len(aligned[0].label), -1, dtype=np.int64)
    giver = np.zeros(len(label), dtype=np.int64)
    for number, part in enumerate(aligned):
        wrong = np.flatnonzero((label >= 0) & (part.label >= 0) & (label != part.label))
        if wrong.size:
            clip, other = wrong[0], int(giver[wrong[0]])
            raise InputError(
                f"it is {part.label[clip]}, but {label[clip]} in {part_name(aligned[other], other)} (clips that "
                f"disagree: {first_ids(part.sample_id[wrong])})",
                file=part_name(part, number),
                clip=str(part.sample_id[clip]),
                field="label",
            )
        new = (label < 0) & (part.label >= 0)
        label[new], giver[new] = part.label[new], number
    return label


def comparable_scores(aligned: Sequence[Scores], softmax: bool) -> list[np.ndarray]:
    """Scores of aligned parts, all probabilities or none; float64 where a softmax was taken.

    Args:
        aligned: Parts in one order, see :func:`align`.
        softmax: As in :func:`fuse`.

    Raises:
        InputError: Some parts hold probabilities and others do not, or half of a part does.
    """
    fine_rows = [_probability_rows(part, number) for number, part in enumerate(aligned)]
    probable = [bool(rows.all()) for rows in fine_rows]
    if softmax:
        return [part.score if fine else softmax_rows(part.score) for part, fine in zip(aligned, probable, strict=True)]
    if any(probable) and not all(probable):
        odd, fine = probable.index(False), probable.index(True)
        clip = int(np.flatnonzero(~fine_rows[odd])[0])
        row = aligned[odd].score[clip]
        raise InputError(
            f"its scores are no probabilities (they sum to {row.sum():.4g}, the lowest is {row.min():.4g}), but those "
            f"of {part_name(aligned[fine], fine)} are",
            file=part_name(aligned[odd], odd),
            clip=str(aligned[odd].sample_id[clip]),
            field="score",
            fix="If they are logits, say so with --logits (softmax=True).",
        )
    if not all(probable):
        warnings.warn(
            "the scores are no probabilities; they are summed as they are (--logits makes them probabilities first)",
            stacklevel=3,
        )
    return [part.score for part in aligned]


def _probability_rows(part: Scores, number: int) -> np.ndarray:
    fine = probability_rows(part.score)
    if 0.5 <= fine.mean() < 1:
        odd = np.flatnonzero(~fine)
        raise InputError(
            f"the scores of {odd.size} of {len(fine)} clips are no probabilities, those of the others are: "
            f"{first_ids(part.sample_id[odd])}",
            file=part_name(part, number),
            field="score",
            fix="Test these clips again.",
        )
    return fine


def weighted_sum(stack: Sequence[np.ndarray], share: Sequence[float]) -> np.ndarray:
    """Weighted sum of scores (N, C), summed in float64, as float32."""
    # Element by element: a matrix product may round a row differently where it stands elsewhere in the file.
    total = np.zeros(stack[0].shape)
    for score, weight in zip(stack, share, strict=True):
        total += weight * score.astype(np.float64)
    return total.astype(np.float32)
