"""Top-k and mean-class accuracy, as fractions of 1, over the clips whose label is known."""

from __future__ import annotations

import numpy as np

from pyskl_semloss.errors import InputError
from pyskl_semloss.evaluation.scores import Scores


def top_k_accuracy(score: np.ndarray, label: np.ndarray, k: int) -> float | None:
    """Share of the clips whose true class is among the k classes of the highest score.

    Of classes with the same score the lower index comes first, so that the result is always the same and k = 1 agrees
    with ``argmax``. With fewer than k classes, k is their number.

    Args:
        score: (N, C), finite.
        label: (N,) true classes; clips with -1 are left out.
        k: At least 1.

    Returns:
        A fraction, or None if no label is known.

    Raises:
        InputError: Shapes do not fit, a score is NaN or infinite, a label is out of range, or k is below 1.
    """
    if k < 1:
        raise InputError(f"expected at least 1, got {k}", field="k")
    score, label = _labelled(score, label)
    return float((_rank(score, label) < k).mean()) if len(label) else None


def mean_class_accuracy(score: np.ndarray, label: np.ndarray) -> float | None:
    """Mean recall over the classes that occur in ``label``; a class that is only predicted does not count as one.

    Args:
        score: (N, C), finite. The prediction is the ``argmax``, the lower index of equal scores.
        label: (N,) true classes; clips with -1 are left out.

    Returns:
        A fraction, or None if no label is known.

    Raises:
        InputError: As :func:`top_k_accuracy`.
    """
    score, label = _labelled(score, label)
    if not len(label):
        return None
    hit = score.argmax(axis=1) == label
    clips = np.bincount(label)
    present = clips > 0
    return float((np.bincount(label, weights=hit)[present] / clips[present]).mean())


def summary(scores: Scores) -> dict[str, float]:
    """The numbers that are reported for a test: ``top1``, ``top5``, ``mean_class``, as fractions.

    With the semantic scores also ``nearest_name_top1``: the share of the clips whose predicted embedding is nearest, by
    cosine, to the vector of the true class's name. With fewer than five classes ``top5`` is over all of them, so 1.

    Returns:
        The numbers; empty if no label is known.
    """
    numbers = {
        "top1": top_k_accuracy(scores.score, scores.label, 1),
        "top5": top_k_accuracy(scores.score, scores.label, 5),
        "mean_class": mean_class_accuracy(scores.score, scores.label),
    }
    if scores.semantic_cosine is not None:
        numbers["nearest_name_top1"] = top_k_accuracy(scores.semantic_cosine, scores.label, 1)
    return {name: value for name, value in numbers.items() if value is not None}


def _labelled(score: np.ndarray, label: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    score, label = np.asarray(score), np.asarray(label)
    if score.ndim != 2 or label.shape != score.shape[:1] or label.dtype.kind not in "iu":
        raise InputError(
            "expected scores (N, C) and N whole numbers as labels, got shapes "
            f"{score.shape} and {label.shape} ({label.dtype})"
        )
    if not np.isfinite(score).all():
        raise InputError("expected finite scores, got NaN or infinity", field="score")
    if ((label < -1) | (label >= score.shape[1])).any():
        raise InputError(f"expected labels from -1 to {score.shape[1] - 1}, got others", field="label")
    known = label >= 0
    return score[known], label[known].astype(np.int64)


def _rank(score: np.ndarray, label: np.ndarray) -> np.ndarray:
    """(N,) how many classes come before the true one."""
    own = np.take_along_axis(score, label[:, None], axis=1)
    earlier = np.arange(score.shape[1]) < label[:, None]
    return ((score > own) | ((score == own) & earlier)).sum(axis=1)
