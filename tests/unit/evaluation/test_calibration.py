"""Temperatures: by hand, against a search of every value, and laws."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyskl_semloss.errors import InputError
from pyskl_semloss.evaluation.calibration import (
    TEMPERATURE_RANGE,
    at_temperature,
    fit_temperature,
    logits_of,
    negative_log_likelihood,
    softmax_rows,
    tempered,
)
from pyskl_semloss.evaluation.metrics import calibration
from pyskl_semloss.evaluation.scores import Scores

seeds = st.integers(0, 2**31)


def drawn(seed, clips=200, classes=6, sharp=1.0, skill=1.5):
    """Logits and labels."""
    rng = np.random.default_rng(seed)
    label = rng.integers(0, classes, clips)
    return sharp * (rng.normal(size=(clips, classes)) + skill * np.eye(classes)[label]), label


def test_by_hand():
    """Three of four clips are right: the best probability is 3/4, of odds 3, and 9 ** (1 / 2) = 3."""
    score, label = np.array([[0.9, 0.1]] * 4), np.array([0, 0, 0, 1])
    assert fit_temperature(score, label) == pytest.approx(2, abs=1e-4)
    np.testing.assert_allclose(tempered(score, 2), [[0.75, 0.25]] * 4)
    np.testing.assert_allclose(tempered(np.array([[0.8, 0.2]]), 0.5), [[16 / 17, 1 / 17]])
    np.testing.assert_allclose(tempered(np.array([[2.0, 0.0, -2.0]]), 2), softmax_rows(np.array([[1.0, 0.0, -1.0]])))


@given(seeds, st.floats(0.2, 8))
@settings(max_examples=25, deadline=None)
def test_no_other_temperature_is_likelier(seed, sharp):
    logit, label = drawn(seed, sharp=sharp)
    fitted = fit_temperature(logit, label)
    best = negative_log_likelihood(tempered(logit, fitted), label)
    for other in (*np.geomspace(*TEMPERATURE_RANGE, 60), 0.99 * fitted, 1.01 * fitted):
        assert best <= negative_log_likelihood(tempered(logit, other), label) + 1e-9


@given(seeds, st.floats(0.3, 5))
@settings(max_examples=25, deadline=None)
def test_laws(seed, scale):
    logit, label = drawn(seed)
    fitted = fit_temperature(logit, label)
    assert fit_temperature(scale * logit, label) == pytest.approx(scale * fitted, rel=1e-4)
    assert fit_temperature(softmax_rows(logit), label) == pytest.approx(fitted, rel=1e-4)
    shuffled = np.random.default_rng(seed).permutation(len(label))
    assert fit_temperature(logit[shuffled], label[shuffled]) == pytest.approx(fitted, rel=1e-4)
    assert fit_temperature(tempered(logit, fitted), label) == pytest.approx(1, rel=1e-3)
    once = tempered(logit, scale)
    np.testing.assert_array_equal(once.argsort(1), logit.argsort(1))
    np.testing.assert_allclose(tempered(once, 2), tempered(logit, 2 * scale), rtol=1e-6)
    np.testing.assert_allclose(once.sum(1), 1)
    some = np.where(np.arange(200) < 100, label, -1)
    assert fit_temperature(logit, some) == pytest.approx(fit_temperature(logit[:100], label[:100]), rel=1e-5)


def test_a_model_that_is_too_sure_becomes_calibrated():
    rng = np.random.default_rng(0)
    logit = 2 * rng.normal(size=(20_000, 6))
    label = (rng.random(20_000)[:, None] > softmax_rows(logit).cumsum(1)).sum(1)
    assert fit_temperature(3 * logit, label) == pytest.approx(3, rel=0.03)
    sure = softmax_rows(3 * logit)
    assert calibration(sure, label).ece > 0.15 > 0.02 > calibration(tempered(sure, 3), label).ece


def test_limits():
    right, label = np.array([[0.9, 0.1], [0.2, 0.8]]), np.array([0, 1])
    assert fit_temperature(right, label) == TEMPERATURE_RANGE[0]
    assert fit_temperature(right, 1 - label) == TEMPERATURE_RANGE[1]
    zeros = np.eye(3)[[0, 1, 2, 0]]
    assert np.isfinite(fit_temperature(zeros, np.array([0, 1, 2, 1])))
    assert logits_of(zeros).min() == pytest.approx(np.log(1e-12))
    assert negative_log_likelihood(zeros, np.array([-1] * 4)) is None
    with pytest.raises(InputError, match="no clip has a label"):
        fit_temperature(zeros, np.array([-1] * 4))
    for wrong in (0, -1, np.nan, np.inf):
        with pytest.raises(InputError, match="field 'temperature': expected a number above 0"):
            tempered(right, wrong)


def test_scores_keep_all_but_their_probabilities():
    logit, label = drawn(0, clips=20)
    scores = Scores(np.array([f"c{n}" for n in range(20)]), softmax_rows(logit), label, semantic_cosine=logit / 10)
    assert at_temperature(scores, None) is scores
    warm = at_temperature(scores, 2.0)
    np.testing.assert_allclose(warm.score, softmax_rows(logit / 2), rtol=1e-4)
    same = replace(warm, score=scores.score)
    for name in ("sample_id", "label", "semantic_cosine"):
        np.testing.assert_array_equal(getattr(same, name), getattr(scores, name))
