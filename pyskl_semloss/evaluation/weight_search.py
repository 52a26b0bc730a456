"""Weights of a fusion, searched on validation scores, and what such a search gains on clips that it has not seen."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from pyskl_semloss.errors import InputError
from pyskl_semloss.evaluation.calibration import (
    LEAST_PROBABILITY,
    at_temperature,
    fit_temperature,
    negative_log_likelihood,
)
from pyskl_semloss.evaluation.fusion import align, comparable_scores, part_name, take_clips, weighted_sum
from pyskl_semloss.evaluation.metrics import probability_rows
from pyskl_semloss.evaluation.resampling import SamplingUnits, sampling_units
from pyskl_semloss.evaluation.scores import Scores

GRID_PARTS = 3
"""Up to so many parts all weightings on the grid are tried; their number grows as its power."""
_MOST_WEIGHTINGS = 20_000
_MOST_SWEEPS = 100
_EM_STEPS = 200
_LEAST_WEIGHT = 1e-3
"""Of the likeliest weights: the steps bring a useless part near 0 and never to it."""
_LEAST_GAIN = 1e-9
"""Of the likelihood, so that rounding moves nothing."""


class Weighting(NamedTuple):
    """Weights that a search tried, with their accuracies as fractions.

    Attributes:
        weights: One per part, of sum 1.
        top1: Top-1 accuracy.
        mean_class: Mean-class accuracy.
        loss: Mean negative log likelihood in nats; None where the scores are no probabilities.
    """

    weights: tuple[float, ...]
    top1: float
    mean_class: float
    loss: float | None = None


class CrossValidation(NamedTuple):
    """Top-1 on held-out folds, as fractions: what the search gains on clips that it has not seen.

    Attributes:
        searched: Weights searched on the other folds.
        equal: Equal weights, on the same clips.
        best_part: The part that is best on the other folds, alone.
        seen: Weights searched on all clips, measured on the same clips.
        folds: Number of folds.
        unit: What they are made of, ``"persons"`` or ``"clips"``.
        units: How many there are.
    """

    searched: float
    equal: float
    best_part: float
    seen: float
    folds: int
    unit: str
    units: int


def search_weights(
    parts: Sequence[Scores], step: float = 0.05, softmax: bool = False
) -> tuple[tuple[float, ...], list[Weighting]]:
    """Weights of the highest Top-1 on validation scores.

    Up to three parts: all weightings on a grid. Of equal Top-1 the higher mean-class accuracy wins, then the weights
    nearest to equal ones, then the first tried.

    More parts: coordinate ascent from equal weights, from those of the highest likelihood, and from the best part
    alone. Each move gives one part the share, a multiple of the step, of the highest Top-1, of equal Top-1 that of the
    highest likelihood; the others keep their proportions. The time grows with the number of parts, not as a power of
    it. The result is never worse than equal weights or a part alone, and does not depend on the order of the parts.

    Args:
        parts: Validation scores, in the order in which the weights will be used.
        step: Grid step; a whole number of steps makes 1.
        softmax: As in :func:`pyskl_semloss.evaluation.fusion.fuse`.

    Returns:
        The weights (sum 1), and the weightings tried, best first; of coordinate ascent its starts and ends and each
        part alone.

    Raises:
        InputError: As :func:`pyskl_semloss.evaluation.fusion.fuse`; no label is known; the step does not divide 1, or
            makes too many weightings; more than three parts hold no probabilities.

    Example:
        >>> ids, label = np.array(["a", "b"]), np.array([0, 1])
        >>> joint = Scores(ids, np.array([[0.9, 0.1], [0.6, 0.4]]), label)
        >>> limb = Scores(ids, np.array([[0.6, 0.4], [0.2, 0.8]]), label)
        >>> weights, table = search_weights([joint, limb], step=0.25)
        >>> weights, table[0].top1, len(table)
        ((0.5, 0.5), 1.0, 5)
    """
    steps = _whole_steps(step)
    tried = _grid(len(parts), steps) if len(parts) <= GRID_PARTS else []
    aligned = align(parts)
    stack, label = comparable_scores(aligned, softmax), aligned[0].label
    known = label >= 0
    if not known.any():
        raise InputError(
            "no clip has a label, so that no weights can be searched on it", file=part_name(parts[0], 0), field="label"
        )
    stack, label = [score[known] for score in stack], label[known]
    if tried:
        table = sorted((_measured(stack, label, weights) for weights in tried), key=_grid_preference)
    else:
        _refuse_logits(parts, stack)
        tried = _coordinate_search(stack, label, np.arange(steps + 1) / steps)
        table = sorted((_measured(stack, label, weights) for weights in tried), key=_preference)
    return table[0].weights, table


def fit_temperatures(parts: Sequence[Scores]) -> tuple[float, ...]:
    """Temperature of each part, see :func:`pyskl_semloss.evaluation.calibration.fit_temperature`.

    Raises:
        InputError: No label is known in any of the parts, or they do not belong together.
    """
    return tuple(fit_temperature(part.score, part.label) for part in align(parts))


def cross_validate(
    parts: Sequence[Scores],
    step: float = 0.05,
    softmax: bool = False,
    *,
    calibrate: bool = False,
    folds: int = 5,
    seed: int = 0,
    persons: Mapping[str, str] | None = None,
) -> CrossValidation:
    """Cross-validation of the search of the weights, and of the temperatures if they are fitted.

    Weights that are chosen and measured on the same clips look too good. Here each fold is measured with what was
    searched and fitted on the others. Varma, Simon, "Bias in error estimation when using cross-validation for model
    selection", BMC Bioinformatics 2006.

    Args:
        parts: As in :func:`search_weights`; clips without a label are left out.
        step: As in :func:`search_weights`.
        softmax: As in :func:`search_weights`.
        calibrate: Whether temperatures are fitted before the search.
        folds: Number of folds; fewer where there are not as many persons or clips.
        seed: Of the drawing of the folds.
        persons: Person of each clip by id; all clips of one are in one fold.

    Raises:
        InputError: As :func:`search_weights`; there are fewer than two folds, or two units.
    """
    aligned = align(parts)
    known = np.flatnonzero(aligned[0].label >= 0)
    if folds < 2 or known.size < 2:
        problem = f"expected at least 2 folds and 2 clips with a label, got {folds} and {known.size}"
        raise InputError(problem, field="folds")
    aligned = [take_clips(part, known) for part in aligned]
    units = sampling_units(aligned[0].sample_id, persons)
    fold_of, label = _fold_of(units, min(folds, units.count), seed), aligned[0].label
    right = np.zeros(3)
    for fold in range(min(folds, units.count)):
        fitted, held_out = ([take_clips(part, np.flatnonzero(mask)) for part in aligned]
                            for mask in (fold_of != fold, fold_of == fold))  # fmt: skip
        right += _right_on(held_out, fitted, step, softmax, calibrate)
    if calibrate:
        aligned = [at_temperature(part, t) for part, t in zip(aligned, fit_temperatures(aligned), strict=True)]
    seen = search_weights(aligned, step, softmax)[1][0].top1
    searched, equal, best_part = (float(count) / len(label) for count in right)
    return CrossValidation(searched, equal, best_part, seen, min(folds, units.count), units.kind, units.count)


def _right_on(
    held_out: Sequence[Scores], fitted: Sequence[Scores], step: float, softmax: bool, calibrate: bool
) -> np.ndarray:
    """Clips that are right with the weights searched on other clips, with equal ones, and with the part best there."""
    if calibrate:
        temperatures = fit_temperatures(fitted)
        fitted, held_out = ([at_temperature(part, t) for part, t in zip(side, temperatures, strict=True)]
                            for side in (fitted, held_out))  # fmt: skip
    weights, _ = search_weights(fitted, step, softmax)
    best = max(range(len(fitted)), key=lambda n: (_hits(fitted[n].score, fitted[n].label).mean(), -n))
    stack, label = comparable_scores(held_out, softmax), held_out[0].label
    weightings = [weights, [1 / len(stack)] * len(stack), np.eye(len(stack))[best].tolist()]
    return np.array([_hits(weighted_sum(stack, row), label).sum() for row in weightings])


def _fold_of(units: SamplingUnits, folds: int, seed: int) -> np.ndarray:
    """Fold (N,) of each clip: units in a drawn order, each into the fold that is smallest so far."""
    size = np.bincount(units.member, minlength=units.count)
    filled, fold_of_unit = np.zeros(folds), np.zeros(units.count, dtype=np.int64)
    for unit in np.random.default_rng(seed).permutation(units.count):
        fold_of_unit[unit] = filled.argmin()
        filled[fold_of_unit[unit]] += size[unit]
    return fold_of_unit[units.member]


def _hits(score: np.ndarray, label: np.ndarray) -> np.ndarray:
    return score.argmax(axis=1) == label


def _measured(stack: Sequence[np.ndarray], label: np.ndarray, weights: Sequence[float]) -> Weighting:
    fused = weighted_sum(stack, weights)
    hits, clips = _hits(fused, label), np.bincount(label)
    recall = np.bincount(label, weights=hits)[clips > 0] / clips[clips > 0]
    loss = negative_log_likelihood(fused, label) if probability_rows(fused).all() else None
    return Weighting(tuple(weights), float(hits.mean()), float(recall.mean()), loss)


def _grid_preference(row: Weighting) -> tuple[float, float, float]:
    unequal = sum((weight - 1 / len(row.weights)) ** 2 for weight in row.weights)
    # Rounded: of two weightings as far from equal ones, the last bit must not choose.
    return -row.top1, -row.mean_class, round(unequal, 12)


def _preference(row: Weighting) -> tuple[float, float]:
    return -row.top1, round(row.loss or 0.0, 9)


def _whole_steps(step: float) -> int:
    steps = round(1 / step) if math.isfinite(step) and 0 < step <= 1 else 0
    if not steps or abs(steps * step - 1) > 1e-6:
        raise InputError(f"expected a step of which a whole number makes 1, like 0.05, got {step}", field="step")
    return steps


def _grid(parts: int, steps: int) -> list[tuple[float, ...]]:
    count = math.comb(steps + parts - 1, max(parts - 1, 0))
    if count > _MOST_WEIGHTINGS:
        raise InputError(
            f"{parts} files with a step of {1 / steps:g} make {count} weightings to try, more than {_MOST_WEIGHTINGS}",
            field="step",
            fix="Choose a larger step.",
        )
    bars = itertools.combinations(range(steps + parts - 1), max(parts - 1, 0))
    ends = steps + parts - 1
    return [tuple((right - left - 1) / steps for left, right in itertools.pairwise((-1, *bar, ends))) for bar in bars]


def _refuse_logits(parts: Sequence[Scores], stack: Sequence[np.ndarray]) -> None:
    if not probability_rows(stack[0]).all():
        raise InputError(
            f"its scores are no probabilities, and the search of {len(parts)} weights needs such",
            file=part_name(parts[0], 0),
            field="score",
            fix="If they are logits, say so with --logits (softmax=True).",
        )


def _coordinate_search(stack: Sequence[np.ndarray], label: np.ndarray, shares: np.ndarray) -> list[tuple[float, ...]]:
    """Weights to choose from: equal ones, each part alone, the likeliest, and where ascent ends from these."""
    parts, clips = len(stack), np.arange(len(label))
    alone = [_measured([score], label, [1.0]) for score in stack]
    # From the best part to the worst, so that the order in which they are given does not count.
    order = sorted(range(parts), key=lambda n: _preference(alone[n]))
    stack = [stack[n] for n in order]
    own = np.stack([score[clips, label] for score in stack]).astype(np.float64)
    rivals = _rivals(stack, label)
    equal, best_part = np.full(parts, 1 / parts), np.eye(parts)[0]
    likeliest = _likeliest(own)
    starts = [equal, likeliest, best_part]
    tried = [*starts, *np.eye(parts)[1:], *(_ascend(start, own, rivals, shares) for start in starts)]
    return [tuple(weights[np.argsort(order)].tolist()) for weights in tried]


class _Rivals(NamedTuple):
    """Pairs of a clip and a wrong class on whose scores the weights decide.

    They do not where all parts put the true class before the other, nor on a clip where all parts put the same other
    class before the true one.

    Attributes:
        margin: (P, K) score of the true class less that of the other, in each part.
        start: (M,) first pair of each of the M clips.
    """

    margin: np.ndarray
    start: np.ndarray


def _rivals(stack: Sequence[np.ndarray], label: np.ndarray) -> _Rivals:
    clips = np.arange(len(label))
    least = most = stack[0][clips, label][:, None] - stack[0]
    for score in stack[1:]:
        margin = score[clips, label][:, None] - score
        least, most = np.minimum(least, margin), np.maximum(most, margin)
    matters = (least <= 0) & (most >= 0).all(axis=1, keepdims=True)
    matters[clips, label] = False
    clip, other = np.nonzero(matters)
    margin = np.stack([score[clip, label[clip]].astype(np.float64) - score[clip, other] for score in stack])
    return _Rivals(margin, np.unique(clip, return_index=True)[1])


def _likeliest(own: np.ndarray) -> np.ndarray:
    """Weights (P,) of the highest likelihood, by expectation maximisation; those below 0.001 are 0.

    ``w_p <- w_p * mean_n(own_pn / sum_q w_q own_qn)``; the likelihood is concave in the weights. Dempster, Laird,
    Rubin, JRSS B 1977.

    Args:
        own: (P, N) probability of the true class.
    """
    weights = np.full(len(own), 1 / len(own))
    own = np.maximum(own, LEAST_PROBABILITY)
    for _ in range(_EM_STEPS):
        weights = weights * (own / (weights @ own)).mean(axis=1)
    weights[weights < _LEAST_WEIGHT] = 0
    return weights / weights.sum()


def _ascend(weights: np.ndarray, own: np.ndarray, rivals: _Rivals, shares: np.ndarray) -> np.ndarray:
    """Weights (P,) that no change of one part's share betters.

    Args:
        weights: The start.
        own: (P, N) probability of the true class.
        rivals: What is to be told apart.
        shares: (S,) shares to try.
    """
    for _ in range(_MOST_SWEEPS):
        before = weights
        for n in range(len(weights)):
            share = weights[n]  # read here: each change of another part changes it
            others = np.where(np.arange(len(weights)) == n, 0.0, weights)
            if not others.sum() > 0:
                continue  # a part alone: the others have no proportions
            others /= others.sum()
            tried = np.append(shares, share)
            hits = _hits_along(others @ rivals.margin, rivals.margin[n], rivals.start, tried)
            best = tried[hits == hits.max()]
            mixed = np.outer(1 - best, others @ own) + np.outer(best, own[n])
            loss = -np.log(np.maximum(mixed, LEAST_PROBABILITY)).mean(axis=1)
            # The last is the share that the part has; it is among the best unless another is right more often.
            if hits.max() > hits[-1] or loss.min() < loss[-1] - _LEAST_GAIN:
                weights = (1 - best[loss.argmin()]) * others
                weights[n] = best[loss.argmin()]
        if np.array_equal(weights, before):
            break
    return weights


def _hits_along(rest: np.ndarray, part: np.ndarray, start: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Clips (S,) that are right at each share of a part, of those that weights decide on.

    Each margin is a line in the share, so that a clip is right on an interval of it. Och, "Minimum Error Rate Training
    in Statistical Machine Translation", ACL 2003, section 4.

    Args:
        rest: (K,) margins without the part.
        part: (K,) margins of the part alone.
        start: (M,) first pair of each clip.
        shares: (S,) from 0 to 1.
    """
    if not start.size:
        return np.zeros(len(shares), dtype=np.int64)
    slope = part - rest
    with np.errstate(divide="ignore", invalid="ignore"):
        root = -rest / slope
    low = np.maximum.reduceat(np.where(slope > 0, root, -np.inf), start)
    high = np.minimum.reduceat(np.where(slope < 0, root, np.where((slope == 0) & (rest <= 0), -np.inf, np.inf)), start)
    return ((low[:, None] < shares) & (shares < high[:, None])).sum(axis=0)
