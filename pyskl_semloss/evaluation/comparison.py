"""Paired bootstrap intervals and McNemar's exact test for two models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from pyskl_semloss.errors import InputError
from pyskl_semloss.evaluation.fusion import align
from pyskl_semloss.evaluation.resampling import SamplingUnits, bootstrap, resampled_accuracy, sampling_units
from pyskl_semloss.evaluation.scores import Scores

METRICS = ("top1", "mean_class")
RESAMPLES = 10_000


class Difference(NamedTuple):
    """A metric of two sides, B minus A, as fractions.

    Attributes:
        metric: ``"top1"`` or ``"mean_class"``.
        a: The metric of side A, the mean over its models.
        b: The same of side B.
        estimate: ``b - a``.
        low: Lower end of the percentile interval.
        high: Upper end.
        level: Its level, such as 0.95.
        clips: Clips with a known label.
        models: Models of A and of B.
        resamples: Number of resamples.
        seed: Seed of the draws.
        unit: What was drawn, ``"clips"`` or ``"persons"``.
        units: How many there are.
        over_seeds: Whether pairs of models were drawn, too.
    """

    metric: str
    a: float
    b: float
    estimate: float
    low: float
    high: float
    level: float
    clips: int
    models: tuple[int, int]
    resamples: int
    seed: int
    unit: str = "clips"
    units: int = 0
    over_seeds: bool = False


class McNemar(NamedTuple):
    """McNemar's exact test.

    Attributes:
        table: (2, 2) clips; rows A right, A wrong; columns B right, B wrong.
        p_value: Two-sided; small if one model is right where the other is wrong more often than the reverse.
    """

    table: np.ndarray
    p_value: float


def paired_bootstrap(
    a: Sequence[Scores],
    b: Sequence[Scores],
    metric: str = "top1",
    *,
    resamples: int = RESAMPLES,
    level: float = 0.95,
    seed: int = 0,
    persons: Mapping[str, str] | None = None,
    over_seeds: bool = False,
) -> Difference:
    """Difference of a metric between two sides, with its bootstrap interval.

    A side is a model, or a group of models; the interval is the percentile one.

    Clips are drawn with replacement, the same ones for both sides, and all clips of a person together where persons are
    given. For several models (seeds) of a side the metric is the mean over them, in each resample as well: the interval
    says how the difference depends on the choice of the test clips, or persons, for these trained models. The spread
    over seeds is in it with ``over_seeds``: then the pairs of models are drawn with replacement, too, independently of
    the clips; Owen, "The pigeonhole bootstrap", Annals of Applied Statistics 2007. Mean-class accuracy is over the
    classes that occur in a resample. Efron, Tibshirani, "An Introduction to the Bootstrap", 1993, section 13.3.

    Args:
        a: Score files of side A, at least one; aligned by clip id, as fusion does it.
        b: Score files of side B.
        metric: ``"top1"`` or ``"mean_class"``.
        resamples: Number of resamples.
        level: Of the interval, between 0 and 1.
        seed: Of the draws.
        persons: Person of each clip by id; one for all clips is as none, see
            :func:`pyskl_semloss.evaluation.resampling.sampling_units`.
        over_seeds: Draw pairs of models, too; the n-th of A and the n-th of B are of the same seed. Of a single pair it
            changes nothing.

    Raises:
        InputError: The score files do not belong together (see :func:`pyskl_semloss.evaluation.fusion.align`), no label
            is known, an argument is out of range, or models cannot be paired.

    Example:
        >>> ids, label = np.array(["a", "b", "c"]), np.array([0, 1, 1])
        >>> a = Scores(ids, np.array([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3]]), label)
        >>> b = Scores(ids, np.array([[0.9, 0.1], [0.2, 0.8], [0.3, 0.7]]), label)
        >>> difference = paired_bootstrap([a], [b], resamples=1000)
        >>> round(difference.estimate, 4), difference.low, difference.high
        (0.6667, 0.0, 1.0)
    """
    _check_options(metric, resamples, level, seed)
    if over_seeds and len(a) != len(b):
        raise InputError(f"expected a model of each seed on both sides, got {len(a)} and {len(b)}", field="over_seeds")
    label, hits, units = _hits([*a, *b], len(a), len(b), persons)
    side = np.stack([hits[: len(a)].mean(axis=0), hits[len(a) :].mean(axis=0)])
    by_class = label if metric == "mean_class" else None
    both = resampled_accuracy(np.ones((1, len(label))), side, by_class)[0]
    pairs = np.random.default_rng([seed, 1])

    def difference(times: np.ndarray) -> np.ndarray:
        if not over_seeds:
            return np.diff(resampled_accuracy(times, side, by_class))[:, 0]
        accuracy = resampled_accuracy(times, hits, by_class)
        weight = pairs.multinomial(len(a), np.full(len(a), 1 / len(a)), len(times)) / len(a)
        return ((accuracy[:, len(a) :] - accuracy[:, : len(a)]) * weight).sum(axis=1)

    low, high = bootstrap(
        units,
        difference,
        resamples=resamples,
        level=level,
        seed=seed,
    )
    return Difference(
        metric=metric,
        a=float(both[0]),
        b=float(both[1]),
        estimate=float(both[1] - both[0]),
        low=float(low),
        high=float(high),
        level=level,
        clips=len(label),
        models=(len(a), len(b)),
        resamples=resamples,
        seed=seed,
        unit=units.kind,
        units=units.count,
        over_seeds=over_seeds,
    )


def mcnemar(a: Scores, b: Scores) -> McNemar:
    """McNemar's exact test of two models on the same clips.

    The null hypothesis: of the clips that only one model has right, half are each model's.

    McNemar, "Note on the sampling error of the difference between correlated proportions", Psychometrika 1947, with the
    exact binomial distribution. Without such clips the p-value is 1.

    Raises:
        InputError: As :func:`paired_bootstrap`.

    Example:
        >>> ids, label = np.array(["a", "b", "c"]), np.array([0, 1, 1])
        >>> a = Scores(ids, np.array([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3]]), label)
        >>> b = Scores(ids, np.array([[0.9, 0.1], [0.2, 0.8], [0.3, 0.7]]), label)
        >>> test = mcnemar(a, b)
        >>> test.table.tolist(), test.p_value
        ([[1, 0], [2, 0]], 0.5)
    """
    from scipy.stats import binomtest

    _, hits, _ = _hits([a, b], 1, 1)
    right, other = hits.astype(bool)
    table = np.array([[(x & y).sum() for y in (other, ~other)] for x in (right, ~right)])
    only_a, only_b = int(table[0, 1]), int(table[1, 0])
    p_value = float(binomtest(only_a, only_a + only_b, 0.5).pvalue) if only_a + only_b else 1.0
    return McNemar(table, p_value)


def _check_options(metric: str, resamples: int, level: float, seed: int) -> None:
    if seed < 0:
        raise InputError(f"expected a whole number from 0, got {seed}", field="seed")
    if metric not in METRICS:
        raise InputError(f"expected {' or '.join(METRICS)}, got {metric!r}", field="metric")
    if resamples < 1:
        raise InputError(f"expected at least 1, got {resamples}", field="resamples")
    if not 0 < level < 1:
        raise InputError(f"expected a number between 0 and 1, got {level}", field="level")


def _hits(
    every: Sequence[Scores], count_a: int, count_b: int, persons: Mapping[str, str] | None = None
) -> tuple[np.ndarray, np.ndarray, SamplingUnits]:
    """Known labels (N,), hits of each model (M, N), and sampling units."""
    if not count_a or not count_b:
        raise InputError(f"expected score files on both sides, got {count_a} and {count_b}")
    aligned = align(every)
    known = aligned[0].label >= 0
    if not known.any():
        raise InputError("no clip has a label, so that nothing can be compared", file=every[0].source or None)
    label = aligned[0].label[known]
    hits = np.stack([part.score[known].argmax(axis=1) == label for part in aligned]).astype(np.float64)
    return label, hits, sampling_units(aligned[0].sample_id[known], persons)
