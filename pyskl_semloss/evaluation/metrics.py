"""Metrics of a test: accuracies, F1, per-class numbers, calibration.

All are fractions of 1, over the clips whose label is known. The prediction is the ``argmax``, of equal scores the lower
class.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pyskl_semloss.errors import InputError, escape_control_characters
from pyskl_semloss.evaluation.scores import Scores

ROW_SUM_TOLERANCE = 1e-2
"""How far from 1 the sum of a clip's probabilities may be: what half precision leaves."""

CALIBRATION_BINS = 15
"""As in Guo et al., 2017."""


@dataclass(frozen=True, eq=False)
class ClassNumbers:
    """Per-class numbers (C,); NaN where a ratio has no denominator.

    Attributes:
        support: Clips of the class, int64.
        predicted: Clips that were predicted as the class, int64.
        recall: Share of the class's clips that were found; NaN without a clip of it.
        precision: Share of the predictions of the class that are right; NaN if it was never predicted.
        f1: ``2 TP / (support + predicted)``, the harmonic mean of the two; NaN if the class does not occur at all.
    """

    support: np.ndarray
    predicted: np.ndarray
    recall: np.ndarray
    precision: np.ndarray
    f1: np.ndarray


@dataclass(frozen=True, eq=False)
class Calibration:
    """Expected calibration error, with the bins of the reliability diagram.

    Attributes:
        ece: Expected calibration error.
        edges: (B + 1,) bin edges from 0 to 1; a bin is open on the left and closed on the right.
        count: (B,) clips in each bin, int64.
        confidence: (B,) mean confidence in each bin, NaN where it is empty.
        accuracy: (B,) Top-1 in each bin, NaN where it is empty.
    """

    ece: float
    edges: np.ndarray
    count: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray


def top_k_accuracy(score: np.ndarray, label: np.ndarray, k: int) -> float | None:
    """Share of clips with the true class among the k best.

    ``1 / N * sum_n [y_n in top_k(s_n)]``

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

    Example:
        >>> score, label = np.array([[0.7, 0.2, 0.1], [0.4, 0.5, 0.1], [0.2, 0.3, 0.5]]), np.array([0, 0, 2])
        >>> round(top_k_accuracy(score, label, 1), 4), top_k_accuracy(score, label, 2)
        (0.6667, 1.0)
    """
    if k < 1:
        raise InputError(f"expected at least 1, got {k}", field="k")
    score, label = _labelled(score, label)
    return float((true_class_ranks(score, label) < k).mean()) if len(label) else None


def mean_class_accuracy(score: np.ndarray, label: np.ndarray) -> float | None:
    """Mean recall over the classes that occur in ``label``.

    ``1 / C' * sum_c TP_c / n_c`` over the C' classes with n_c > 0; a class that is only predicted does not count.

    Args:
        score: (N, C), finite. The prediction is the ``argmax``, the lower index of equal scores.
        label: (N,) true classes; clips with -1 are left out.

    Returns:
        A fraction, or None if no label is known.

    Raises:
        InputError: As :func:`top_k_accuracy`.

    Example:
        >>> score, label = np.array([[0.7, 0.2, 0.1], [0.4, 0.5, 0.1], [0.2, 0.3, 0.5]]), np.array([0, 0, 2])
        >>> mean_class_accuracy(score, label)
        0.75
    """
    score, label = _labelled(score, label)
    if not len(label):
        return None
    hit = score.argmax(axis=1) == label
    clips = np.bincount(label)
    present = clips > 0
    return float((np.bincount(label, weights=hit)[present] / clips[present]).mean())


def confusion_matrix(score: np.ndarray, label: np.ndarray) -> np.ndarray:
    """Number of clips by true (row) and predicted class, (C, C) int64.

    Args:
        score: (N, C), finite.
        label: (N,) true classes; clips with -1 are left out.

    Raises:
        InputError: As :func:`top_k_accuracy`.

    Example:
        >>> score, label = np.array([[0.7, 0.2, 0.1], [0.4, 0.5, 0.1], [0.2, 0.3, 0.5]]), np.array([0, 0, 2])
        >>> confusion_matrix(score, label).tolist()
        [[1, 1, 0], [0, 0, 0], [0, 0, 1]]
    """
    score, label = _labelled(score, label)
    classes = score.shape[1]
    return np.bincount(label * classes + score.argmax(axis=1), minlength=classes**2).reshape(classes, classes)


def class_numbers(score: np.ndarray, label: np.ndarray) -> ClassNumbers:
    """Support, recall, precision and F1 of each class.

    Args:
        score: (N, C), finite.
        label: (N,) true classes; clips with -1 are left out.

    Raises:
        InputError: As :func:`top_k_accuracy`.

    Example:
        >>> score, label = np.array([[0.7, 0.2, 0.1], [0.4, 0.5, 0.1], [0.2, 0.3, 0.5]]), np.array([0, 0, 2])
        >>> numbers = class_numbers(score, label)
        >>> numbers.support.tolist(), numbers.recall.tolist(), numbers.precision.tolist()
        ([2, 0, 1], [0.5, nan, 1.0], [1.0, 0.0, 1.0])
    """
    table = confusion_matrix(score, label)
    hits, support, predicted = table.diagonal(), table.sum(axis=1), table.sum(axis=0)
    return ClassNumbers(
        support,
        predicted,
        recall=_ratio(hits, support),
        precision=_ratio(hits, predicted),
        f1=_ratio(2 * hits, support + predicted),
    )


def macro_f1(score: np.ndarray, label: np.ndarray) -> float | None:
    """Mean F1 over the classes that occur in ``label``.

    ``1 / C' * sum_c 2 TP_c / (n_c + p_c)``: scikit-learn's ``f1_score(average="macro", labels=present)``.

    A class that is only predicted does not count as one; its predictions lower the recall of the others.

    Args:
        score: (N, C), finite.
        label: (N,) true classes; clips with -1 are left out.

    Returns:
        A fraction, or None if no label is known.

    Raises:
        InputError: As :func:`top_k_accuracy`.

    Example:
        >>> score, label = np.array([[0.7, 0.2, 0.1], [0.4, 0.5, 0.1], [0.2, 0.3, 0.5]]), np.array([0, 0, 2])
        >>> round(macro_f1(score, label), 4)
        0.8333
    """
    numbers = class_numbers(score, label)
    present = numbers.support > 0
    return float(numbers.f1[present].mean()) if present.any() else None


def probability_rows(score: np.ndarray) -> np.ndarray:
    """(N,) bool: rows (N, C) that are probabilities, within 0.01.

    Example:
        >>> probability_rows(np.array([[0.3, 0.7], [0.3, 0.9], [-0.5, 1.5]])).tolist()
        [True, False, False]
    """
    score = np.asarray(score)
    return (score >= 0).all(axis=1) & (np.abs(score.sum(axis=1, dtype=np.float64) - 1) <= ROW_SUM_TOLERANCE)


def calibration(score: np.ndarray, label: np.ndarray, bins: int = CALIBRATION_BINS) -> Calibration | None:
    """Expected calibration error over bins of equal width.

    ``sum_b n_b / N * |accuracy_b - confidence_b|``

    The confidence of a clip is its highest probability. Guo, Pleiss, Sun, Weinberger, "On Calibration of Modern Neural
    Networks", ICML 2017, equations 2 and 3, with 15 bins.

    Args:
        score: (N, C) probabilities.
        label: (N,) true classes; clips with -1 are left out.
        bins: Number of bins B, at least 1.

    Returns:
        The error and its bins, or None if no label is known.

    Raises:
        InputError: As :func:`top_k_accuracy`; scores are no probabilities, or there are no bins.

    Example:
        >>> round(calibration(np.array([[0.8, 0.2], [0.6, 0.4]]), np.array([0, 1])).ece, 4)
        0.4
    """
    if bins < 1:
        raise InputError(f"expected at least 1, got {bins}", field="bins")
    score, label = _labelled(score, label)
    if not probability_rows(score).all():
        raise InputError("expected probabilities, which calibration is about, got other scores", field="score")
    if not len(label):
        return None
    # A sum of probabilities may exceed 1 by rounding, and so may one of them.
    top = np.minimum(score.max(axis=1).astype(np.float64), 1)
    edges = np.linspace(0, 1, bins + 1)
    bin_of = np.digitize(top, edges[1:-1], right=True)
    count = np.bincount(bin_of, minlength=bins)
    confidence = _ratio(np.bincount(bin_of, weights=top, minlength=bins), count)
    accuracy = _ratio(np.bincount(bin_of, weights=score.argmax(axis=1) == label, minlength=bins), count)
    gap = np.nansum(count * np.abs(accuracy - confidence)) / len(label)
    return Calibration(float(gap), edges, count, confidence, accuracy)


def all_metrics(scores: Scores) -> dict[str, float]:
    """The numbers of a test: ``top1``, ``top5``, ``mean_class``, ``macro_f1``, as fractions.

    With the semantic scores also ``nearest_name_top1``: the share of the clips whose predicted embedding is nearest, by
    cosine, to the vector of the true class's name; ``nearest_name_top5`` and ``nearest_name_mean_class`` are by the
    cosines in the same way. Where the scores are probabilities also ``ece``, the expected
    calibration error. With fewer than five classes ``top5`` is over all of them, so 1.

    Returns:
        The numbers; empty if no label is known.

    Example:
        >>> scores = Scores(np.array(["a", "b"]), np.array([[0.8, 0.2], [0.6, 0.4]]), np.array([0, 1]))
        >>> {name: round(value, 4) for name, value in all_metrics(scores).items()}
        {'top1': 0.5, 'top5': 1.0, 'mean_class': 0.5, 'macro_f1': 0.3333, 'ece': 0.4}
    """
    if (scores.label < 0).all():
        return {}
    numbers = {
        "top1": top_k_accuracy(scores.score, scores.label, 1),
        "top5": top_k_accuracy(scores.score, scores.label, 5),
        "mean_class": mean_class_accuracy(scores.score, scores.label),
        "macro_f1": macro_f1(scores.score, scores.label),
    }
    if probability_rows(scores.score).all():
        calibrated = calibration(scores.score, scores.label)
        numbers["ece"] = calibrated.ece if calibrated else None
    if scores.semantic_cosine is not None:
        numbers["nearest_name_top1"] = top_k_accuracy(scores.semantic_cosine, scores.label, 1)
        numbers["nearest_name_top5"] = top_k_accuracy(scores.semantic_cosine, scores.label, 5)
        numbers["nearest_name_mean_class"] = mean_class_accuracy(scores.semantic_cosine, scores.label)
    return {name: value for name, value in numbers.items() if value is not None}


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.full(len(whole), np.nan), where=whole > 0)


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


def true_class_ranks(score: np.ndarray, label: np.ndarray) -> np.ndarray:
    """Rank (N,) of the true class, 0 for the best; of equal scores the lower index comes first."""
    own = np.take_along_axis(score, label[:, None], axis=1)
    earlier = np.arange(score.shape[1]) < label[:, None]
    return ((score > own) | ((score == own) & earlier)).sum(axis=1)


_COLUMNS = {"top1": "Top-1", "top5": "Top-5", "mean_class": "mean-class", "nearest_name_top1": "nearest-name"}


def accuracy_table(rows: Sequence[tuple[str, str, Scores]], more: Mapping[str, Sequence[str]] | None = None) -> str:
    """Text table of accuracies in percent; ``-`` where there is none.

    Args:
        rows: Name, weight as text (empty everywhere if weights have no meaning here), scores.
        more: Further columns by title, a cell a row, before the numbers of clips.
    """
    more = more or {}
    numbers = [all_metrics(scores) for *_, scores in rows]
    weighted = any(weight for _, weight, _ in rows)
    named = any(scores.semantic_cosine is not None for *_, scores in rows)
    shown = [key for key in _COLUMNS if named or key != "nearest_name_top1"]
    table = [["", *(["weight"] if weighted else []), *(_COLUMNS[key] for key in shown), *more, "clips", "labelled"]]
    for (name, weight, scores), values, *cells in zip(rows, numbers, *more.values(), strict=True):
        percents = [f"{100 * values[key]:.2f}" if key in values else "-" for key in shown]
        counts = [str(len(scores.label)), str(int((scores.label >= 0).sum()))]
        table.append([escape_control_characters(name), *([weight] if weighted else []), *percents, *cells, *counts])
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return "\n".join(
        "  ".join([line[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(line[1:], widths[1:], strict=True))])
        for line in table
    )
