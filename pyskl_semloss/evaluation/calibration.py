"""Temperature scaling: one number per model, fitted on validation clips."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from pyskl_semloss.errors import InputError
from pyskl_semloss.evaluation.metrics import probability_rows
from pyskl_semloss.evaluation.scores import Scores

TEMPERATURE_RANGE = (0.05, 20.0)
"""Limits of a fitted temperature: with few clips, all of them right, it would be 0."""
LEAST_PROBABILITY = 1e-12
"""In the place of smaller ones, of which float32 makes 0: the logarithm of 0 would outweigh all other clips."""


def softmax_rows(score: np.ndarray) -> np.ndarray:
    """Scores (N, C), such as logits, as probabilities in float64.

    ``exp(s_c) / sum_k exp(s_k)`` in each row.

    Example:
        >>> softmax_rows(np.log([[3.0, 1.0]])).round(6).tolist()
        [[0.75, 0.25]]
    """
    power = np.exp(score.astype(np.float64) - score.max(axis=1, keepdims=True))
    return power / power.sum(axis=1, keepdims=True)


def logits_of(score: np.ndarray) -> np.ndarray:
    """Logits (N, C) in float64: the logarithm of probabilities; other scores are logits already.

    Example:
        >>> logits_of(np.array([[0.75, 0.25]])).round(4).tolist(), logits_of(np.array([[3, -1]])).tolist()
        ([[-0.2877, -1.3863]], [[3.0, -1.0]])
    """
    score = np.asarray(score, dtype=np.float64)
    return np.log(np.maximum(score, LEAST_PROBABILITY)) if probability_rows(score).all() else score


def negative_log_likelihood(probability: np.ndarray, label: np.ndarray) -> float | None:
    """Mean negative log likelihood of the true classes, in nats.

    ``-1 / N * sum_n log(max(p_n[y_n], 1e-12))``

    Args:
        probability: (N, C).
        label: (N,) true classes; clips with -1 are left out.

    Returns:
        The mean, or None if no label is known.

    Example:
        >>> round(negative_log_likelihood(np.array([[0.5, 0.5], [0.25, 0.75]]), np.array([0, 1])), 4)
        0.4904
    """
    known = np.flatnonzero(label >= 0)
    if not known.size:
        return None
    return float(-np.log(np.maximum(probability[known, label[known]], LEAST_PROBABILITY)).mean())


def fit_temperature(score: np.ndarray, label: np.ndarray) -> float:
    """Temperature of the lowest negative log likelihood.

    The T in 0.05 … 20 of the least ``-sum_n log softmax(z_n / T)[y_n]``, with logits z. In 1 / T the sum is convex, so
    that the minimum is the only one. Guo, Pleiss, Sun, Weinberger, "On Calibration of Modern Neural Networks", ICML
    2017, section 4.2.

    Args:
        score: (N, C) probabilities, whose logarithms are the logits, or logits.
        label: (N,) true classes; clips with -1 are left out.

    Raises:
        InputError: No label is known.

    Example:
        >>> score, label = np.array([[0.9, 0.1], [0.9, 0.1], [0.9, 0.1], [0.9, 0.1]]), np.array([0, 0, 0, 1])
        >>> temperature = fit_temperature(score, label)
        >>> round(temperature, 4), tempered(score, temperature).round(4)[0].tolist()
        (2.0, [0.75, 0.25])
    """
    from scipy.optimize import brentq

    known = np.flatnonzero(label >= 0)
    if not known.size:
        raise InputError("no clip has a label, so that no temperature can be fitted", field="label")
    logit = logits_of(score)[known]
    logit -= logit.max(axis=1, keepdims=True)
    own = logit[np.arange(len(known)), label[known]].sum()

    def slope(log_temperature: float) -> float:
        """Derivative of the sum by 1 / T: the mean logit less that of the true class."""
        power = np.exp(logit / math.exp(log_temperature))
        return float((np.einsum("nc,nc->n", power, logit) / power.sum(axis=1)).sum() - own)

    low, high = map(math.log, TEMPERATURE_RANGE)
    if slope(low) <= 0:  # even the sharpest is not sharp enough
        return TEMPERATURE_RANGE[0]
    if slope(high) >= 0:
        return TEMPERATURE_RANGE[1]
    return math.exp(brentq(slope, low, high, xtol=1e-5))


def tempered(score: np.ndarray, temperature: float) -> np.ndarray:
    """Probabilities (N, C) at a temperature, in float64: ``softmax(z / T)``.

    Above 1 they are less sure, below 1 more. The order of the classes stays.

    Args:
        score: (N, C) probabilities, whose logarithms are the logits z, or logits.
        temperature: Above 0.

    Raises:
        InputError: The temperature is not a number above 0.
    """
    if not (math.isfinite(temperature) and temperature > 0):
        raise InputError(f"expected a number above 0, got {temperature:g}", field="temperature")
    return softmax_rows(logits_of(score) / temperature)


def at_temperature(scores: Scores, temperature: float | None) -> Scores:
    """Scores with their probabilities at a temperature; unchanged with None.

    Example:
        >>> scores = Scores(np.array(["a"]), np.array([[0.9, 0.1]]), np.array([0]))
        >>> at_temperature(scores, 2.0).score.round(4).tolist()
        [[0.75, 0.25]]
    """
    return scores if temperature is None else replace(scores, score=tempered(scores.score, temperature))
