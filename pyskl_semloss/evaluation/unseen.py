"""Generalised zero-shot evaluation: accuracies on classes that were trained on and on classes that were not.

The quantities are those of Xian, Lampert, Schiele, Akata, "Zero-Shot Learning: A Comprehensive Evaluation of the Good,
the Bad and the Ugly", TPAMI 2019. Their accuracies are the means over classes, ``…_mean_class``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pyskl_semloss.errors import InputError
from pyskl_semloss.evaluation.metrics import mean_class_accuracy, top_k_accuracy
from pyskl_semloss.semantic.class_names import split_words

_OPPOSITES = (
    "left right", "up down", "upward downward", "forward backward", "forwards backwards", "in out", "inward outward",
    "open close", "opening closing", "push pull", "pushing pulling", "raise lower", "raising lowering", "on off",
    "clockwise counterclockwise", "clockwise anticlockwise", "front back", "sit stand", "sitting standing",
)  # fmt: skip
_OPPOSITE_OF = {word: pair.split()[1 - position] for pair in _OPPOSITES for position, word in enumerate(pair.split())}


@dataclass(frozen=True)
class Confusion:
    """Clips of a class that are taken for another.

    Attributes:
        true: Number of the class.
        predicted: Number of the class that they are taken for.
        count: How many clips.
        clips: How many clips of the true class there are.
    """

    true: int
    predicted: int
    count: int
    clips: int


def harmonic_mean(seen: float, unseen: float) -> float:
    """Harmonic mean of two accuracies.

    It is ``2 s u / (s + u)``, and 0 where both are.

    Example:
        >>> harmonic_mean(0.75, 0.25), harmonic_mean(0.9, 0.0)
        (0.375, 0.0)
    """
    return 2 * seen * unseen / (seen + unseen) if seen + unseen else 0.0


def unseen_metrics(score: np.ndarray, label: np.ndarray, unseen: Sequence[int]) -> dict[str, float]:
    """The numbers of a generalised zero-shot test, as fractions.

    ``seen`` and ``unseen`` are the accuracies on the clips of trained and of other classes, each among all C classes,
    ``harmonic`` their harmonic mean; ``zero_shot`` is the accuracy on the clips of unseen classes among these alone.
    ``area`` is that under the curve of ``unseen`` over ``seen`` as a bias on the trained classes changes. Of each but
    the area there is the mean over classes, too (``seen_mean_class`` …).

    Args:
        score: (N, C) scores, the higher the nearer.
        label: (N,) true classes; clips with -1 are left out.
        unseen: The classes that were not trained on.

    Raises:
        InputError: Shapes do not fit, unseen classes are none of the C, all or no classes are unseen, or there is no
            clip of either kind.

    Example:
        >>> score = np.array([[0.9, 0.1, 0.0], [0.2, 0.7, 0.1], [0.5, 0.1, 0.4], [0.1, 0.2, 0.8]])
        >>> numbers = unseen_metrics(score, np.array([0, 1, 2, 2]), unseen=[2])
        >>> numbers["seen"], numbers["unseen"], round(numbers["harmonic"], 4), numbers["zero_shot"]
        (1.0, 0.5, 0.6667, 1.0)
    """
    score, label, hidden = _checked(score, label, unseen)
    of_hidden = hidden[label]
    numbers: dict[str, float] = {}
    for ending, accuracy in (("", _top1), ("_mean_class", _mean_class)):
        numbers[f"seen{ending}"] = accuracy(score[~of_hidden], label[~of_hidden])
        numbers[f"unseen{ending}"] = accuracy(score[of_hidden], label[of_hidden])
        numbers[f"harmonic{ending}"] = harmonic_mean(numbers[f"seen{ending}"], numbers[f"unseen{ending}"])
        numbers[f"zero_shot{ending}"] = accuracy(*_among(score[of_hidden], label[of_hidden], hidden))
    numbers["area"] = _area(score, label, hidden)
    return numbers


def unseen_confusions(
    score: np.ndarray, label: np.ndarray, unseen: Sequence[int], *, zero_shot: bool = False
) -> list[Confusion]:
    """Mistakes on clips of unseen classes, the most frequent first.

    Args:
        score: (N, C) scores, the higher the nearer.
        label: (N,) true classes; clips with -1 are left out.
        unseen: The classes that were not trained on.
        zero_shot: Among the unseen classes alone, not among all.

    Raises:
        InputError: As :func:`unseen_metrics`.

    Example:
        >>> score = np.array([[0.9, 0.1, 0.0], [0.2, 0.7, 0.1], [0.5, 0.1, 0.4], [0.1, 0.2, 0.8]])
        >>> unseen_confusions(score, np.array([0, 1, 2, 2]), unseen=[2])
        [Confusion(true=2, predicted=0, count=1, clips=2)]
    """
    score, label, hidden = _checked(score, label, unseen)
    score, label = score[hidden[label]], label[hidden[label]]
    if zero_shot:
        score = np.where(hidden, score, -np.inf)
    pairs = Counter(zip(label.tolist(), score.argmax(1).tolist(), strict=True))
    clips = Counter(label.tolist())
    wrong = [Confusion(true, best, count, clips[true]) for (true, best), count in pairs.items() if true != best]
    return sorted(wrong, key=lambda pair: (-pair.count, pair.true, pair.predicted))


def are_opposites(name: str, other: str) -> bool:
    """Whether two names say the same movement in opposite directions.

    Their words are the same in another order, or differ by a pair such as left and right, or by ``counter``.

    Example:
        >>> are_opposites("swipe left", "swipe right"), are_opposites("sit to stand", "stand to sit")
        (True, True)
        >>> are_opposites("draw circle clockwise", "draw circle counter clockwise"), are_opposites("push", "throw")
        (True, False)
    """
    ours, theirs = split_words(name), split_words(other)
    if ours == theirs:
        return False
    if sorted(ours) == sorted(theirs):
        return True
    longer, shorter = sorted((ours, theirs), key=len, reverse=True)
    if [word for word in longer if word not in ("counter", "anti")] == shorter:
        return True
    if len(ours) != len(theirs):
        return False
    differing = [(our, their) for our, their in zip(ours, theirs, strict=True) if our != their]
    return all(_OPPOSITE_OF.get(our) == their or _OPPOSITE_OF.get(their) == our for our, their in differing)


def _checked(score: np.ndarray, label: np.ndarray, unseen: Sequence[int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores and labels of the labelled clips, and which classes are unseen, (C,) bool."""
    score, label = np.asarray(score, np.float64), np.asarray(label)
    if score.ndim != 2 or label.shape != score.shape[:1] or label.dtype.kind not in "iu":
        problem = f"expected scores (N, C) and N whole numbers as labels, got shapes {score.shape} and {label.shape}"
        raise InputError(problem, field="label")
    classes = score.shape[1]
    numbers = list(unseen)
    if not numbers or len(set(numbers)) >= classes or not set(numbers) <= set(range(classes)):
        raise InputError(f"expected some of the classes 0 to {classes - 1}, not all, got {numbers}", field="unseen")
    hidden = np.zeros(classes, bool)
    hidden[numbers] = True
    score, label = score[label >= 0], label[label >= 0].astype(np.int64)
    for kind, clips in (("trained", ~hidden[label]), ("unseen", hidden[label])):
        if not clips.any():
            raise InputError(f"there is no clip of the {kind} classes", field="label")
    return score, label, hidden


def _top1(score: np.ndarray, label: np.ndarray) -> float:
    return float(top_k_accuracy(score, label, 1) or 0.0)


def _mean_class(score: np.ndarray, label: np.ndarray) -> float:
    return float(mean_class_accuracy(score, label) or 0.0)


def _among(score: np.ndarray, label: np.ndarray, kept: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scores and labels among some classes alone, which are numbered anew."""
    return score[:, kept], (np.cumsum(kept) - 1)[label]


def _area(score: np.ndarray, label: np.ndarray, hidden: np.ndarray) -> float:
    """Area under the seen-unseen curve of Chao et al., ECCV 2016: from no bias at all to any."""
    gap = score[:, ~hidden].max(1) - score[:, hidden].max(1)
    right = np.where(hidden, -np.inf, score).argmax(1) == label, np.where(hidden, score, -np.inf).argmax(1) == label
    of_hidden = hidden[label]
    bias = np.concatenate([[-np.inf], np.unique(gap), [np.inf]])
    seen = np.array([(right[0] & (gap > each))[~of_hidden].mean() for each in bias])
    unseen = np.array([(right[1] & (gap <= each))[of_hidden].mean() for each in bias])
    return float(np.sum((seen[:-1] - seen[1:]) * (unseen[:-1] + unseen[1:]) / 2))
