"""When a model is mistaken, is the name that it predicts nearer to the true one than chance would have it?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pyskl_semloss.errors import InputError
from pyskl_semloss.evaluation.fusion import align
from pyskl_semloss.evaluation.metrics import confusion_matrix
from pyskl_semloss.evaluation.scores import Scores
from pyskl_semloss.semantic.label_vectors import cosines, load_matrix

PERMUTATIONS = 10_000


class NameNearness(NamedTuple):
    """How near the wrongly predicted names are to the true ones.

    Nearness of a wrong name is its place among the C - 1 wrong names of the true class, by cosine: 1 for the nearest,
    0 for the farthest, 0.5 on the average.

    Attributes:
        mistakes: Number of mistakes.
        nearness: Mean nearness of the predicted names.
        expected: The mean that the same model would have if its mistakes fell on the classes in proportion to how often
            it predicts each, whatever the true class.
        effect: ``nearness - expected``, between -1 and 1; above 0 the mistakes prefer near names.
        p_value: Share of the permutations with at least this effect, one-sided.
        mean_rank: Mean rank of the predicted names, 1 the nearest of C - 1; ranks of equal cosines are their mean.
        nearest: Share of the mistakes that are the nearest wrong name.
        cosine: Mean cosine of the predicted names with the true ones.
        classes: Number of classes C.
        permutations: Number of permutations.
        seed: Their seed.
    """

    mistakes: int
    nearness: float
    expected: float
    effect: float
    p_value: float
    mean_rank: float
    nearest: float
    cosine: float
    classes: int
    permutations: int
    seed: int


def name_nearness(
    scores: Sequence[Scores], label_vectors: np.ndarray, *, permutations: int = PERMUTATIONS, seed: int = 0
) -> NameNearness:
    """Nearness of the names of mistakes, against a null that shuffles names and keeps every prediction.

    The null hypothesis: which name a class has says nothing about what it is mistaken for. A permutation hands the
    label vectors to other classes and leaves the confusion matrix as it is, so that for each true class the number of
    mistakes, and how often the model predicts each class, stay what they are (a Mantel test: Mantel, Cancer Research
    1967). Shuffling the predictions of single clips instead would count many clips of one confused pair as independent
    evidence and call nearly everything significant. That a class which is predicted often may have a name near to all
    others is no evidence either: ``expected`` takes it off, in each permutation as well.

    Args:
        scores: Score files of one model, or of several seeds, whose mistakes are taken together.
        label_vectors: (C, D), as the label-vector files hold them.
        permutations: Number of permutations.
        seed: Of the permutations.

    Raises:
        InputError: The score files do not belong together, no clip is mistaken, there are fewer than three classes, or
            the vectors are of another number of classes.
    """
    aligned = align(scores)
    classes = aligned[0].score.shape[1]
    vectors = load_matrix(label_vectors, classes).astype(np.float64)
    if classes < 3:
        raise InputError(f"expected at least 3 classes, so that there are two wrong names, got {classes}")
    if permutations < 1:
        raise InputError(f"expected at least 1, got {permutations}", field="permutations")
    table = sum((confusion_matrix(model.score, model.label) for model in aligned), np.zeros((classes, classes), int))
    wrong = table - np.diag(table.diagonal())
    if not wrong.any():
        raise InputError("no clip with a known label is mistaken", file=scores[0].source or None)
    cosine = cosines(vectors)
    rank = _ranks(cosine)
    nearness = 1 - (rank - 1) / (classes - 2)
    share, chance = wrong / wrong.sum(), _by_frequency(wrong, table.sum(axis=0))
    effect = float((nearness * (share - chance)).sum())
    drawn = _permuted(nearness, share - chance, permutations, seed)
    return NameNearness(
        mistakes=int(wrong.sum()),
        nearness=float((nearness * share).sum()),
        expected=float((nearness * chance).sum()),
        effect=effect,
        # Rounding must not turn a permutation that is equal to the observed order into a smaller one.
        p_value=float((1 + (drawn >= effect - 1e-12).sum()) / (1 + permutations)),
        mean_rank=float((rank * share).sum()),
        nearest=float(share[rank < 2].sum()),
        cosine=float((cosine * share).sum()),
        classes=classes,
        permutations=permutations,
        seed=seed,
    )


def _ranks(cosine: np.ndarray) -> np.ndarray:
    """(C, C) rank of each class among the wrong ones of the row's class, 1 the nearest; 1 on the diagonal, unused."""
    others = ~np.eye(len(cosine), dtype=bool)
    # Twins have the same cosine but for its last bits.
    rounded = cosine.round(9)
    rank = np.ones(cosine.shape)
    for row, value in enumerate(rounded):
        rivals = value[others[row]]
        before = (rivals > value[:, None]).sum(axis=1)
        equal = (rivals == value[:, None]).sum(axis=1)
        rank[row] = np.where(others[row], before + (equal + 1) / 2, 1)
    return rank


def _by_frequency(wrong: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """The shares (C, C) that mistakes would have if they followed the overall frequency of predictions alone."""
    weight = np.tile(predicted.astype(np.float64), (len(wrong), 1))
    np.fill_diagonal(weight, 0)
    total = weight.sum(axis=1, keepdims=True)
    # A class with mistakes has another class that is predicted, so its total is above 0.
    return weight / np.where(total > 0, total, 1) * (wrong.sum(axis=1, keepdims=True) / wrong.sum())


def _permuted(nearness: np.ndarray, excess: np.ndarray, permutations: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    effects = np.empty(permutations)
    for number in range(permutations):
        order = rng.permutation(len(nearness))
        effects[number] = np.vdot(nearness[order[:, None], order], excess)
    return effects
