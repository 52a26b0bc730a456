from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyskl_semloss.errors import InputError
from pyskl_semloss.evaluation.metrics import (
    all_metrics,
    calibration,
    class_numbers,
    confusion_matrix,
    macro_f1,
    mean_class_accuracy,
    probability_rows,
    top_k_accuracy,
)
from pyskl_semloss.evaluation.scores import Scores


@st.composite
def cases(draw, fewest=2):
    """Scores without ties, labels that need not cover the classes."""
    clips, classes = draw(st.integers(1, 30)), draw(st.integers(fewest, 9))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    score = rng.permuted(np.tile(np.arange(classes, dtype=np.float32), (clips, 1)), axis=1)
    return score, rng.integers(0, classes, clips), rng


@given(cases(fewest=3), st.integers(1, 8))
@settings(max_examples=60, deadline=None)
def test_top_k_is_scikit_learns(case, k):
    sklearn = pytest.importorskip("sklearn.metrics")
    score, label, _ = case
    k = min(k, score.shape[1] - 1)  # scikit-learn warns above
    expected = sklearn.top_k_accuracy_score(label, score, k=k, labels=np.arange(score.shape[1]))
    assert top_k_accuracy(score, label, k) == pytest.approx(expected, abs=1e-12)


@given(cases())
@settings(max_examples=60, deadline=None)
def test_mean_class_is_scikit_learns_recall_over_the_classes_present(case):
    sklearn = pytest.importorskip("sklearn.metrics")
    score, label, _ = case
    expected = sklearn.recall_score(label, score.argmax(1), average="macro", labels=np.unique(label), zero_division=0)
    assert mean_class_accuracy(score, label) == pytest.approx(expected, abs=1e-12)


@given(cases())
@settings(max_examples=60, deadline=None)
def test_permuting_classes_or_clips_changes_nothing(case):
    score, label, rng = case
    classes, clips = rng.permutation(score.shape[1]), rng.permutation(len(label))
    renamed = np.argsort(classes)[label]
    for k in (1, 2, 5):
        assert top_k_accuracy(score[:, classes], renamed, k) == top_k_accuracy(score, label, k)
        assert top_k_accuracy(score[clips], label[clips], k) == top_k_accuracy(score, label, k)
    assert mean_class_accuracy(score[:, classes], renamed) == pytest.approx(mean_class_accuracy(score, label))


@given(cases())
@settings(max_examples=30, deadline=None)
def test_laws_of_k(case):
    score, label, _ = case
    curve = [top_k_accuracy(score, label, k) for k in range(1, score.shape[1] + 3)]
    assert curve == sorted(curve) and curve[score.shape[1] - 1] == 1.0
    assert curve[0] == (score.argmax(1) == label).mean()


def test_of_equal_scores_the_lower_class_comes_first():
    score = np.array([[1.0, 1, 1, 0], [1, 1, 1, 0], [0, 0, 0, 0]])
    assert top_k_accuracy(score, np.array([0, 2, 3]), 1) == pytest.approx(1 / 3)
    assert top_k_accuracy(score, np.array([1, 2, 3]), 2) == pytest.approx(1 / 3)
    assert top_k_accuracy(score, np.array([2, 2, 2]), 3) == 1.0
    order = np.argsort(-score, axis=1, kind="stable")
    for k in (1, 2, 3, 4):
        expected = (order[:, :k] == np.array([[1], [2], [3]])).any(1).mean()
        assert top_k_accuracy(score, np.array([1, 2, 3]), k) == pytest.approx(expected)


def test_a_class_that_is_only_predicted_does_not_count():
    score = np.eye(3)[[0, 1, 2, 2]]
    assert mean_class_accuracy(score, np.array([0, 0, 2, 2])) == pytest.approx((1 / 2 + 1) / 2)


def test_unknown_labels_are_left_out_and_nothing_known_gives_nothing():
    score = np.eye(3)[[0, 1, 2, 0]]
    label = np.array([0, -1, 0, -1])
    assert top_k_accuracy(score, label, 1) == 0.5 and mean_class_accuracy(score, label) == 0.5
    unknown = np.full(4, -1)
    assert top_k_accuracy(score, unknown, 1) is None and mean_class_accuracy(score, unknown) is None
    assert all_metrics(Scores(np.array(list("abcd")), score, unknown, semantic_cosine=score)) == {}


@given(cases(), st.booleans())
@settings(max_examples=60, deadline=None)
def test_the_numbers_of_the_classes_are_scikit_learns(case, some_unknown):
    sklearn = pytest.importorskip("sklearn.metrics")
    score, label, rng = case
    classes, guess = np.arange(score.shape[1]), score.argmax(1)
    given_label = label
    if some_unknown:
        extra = rng.random((4, len(classes)))
        score, given_label = np.concatenate([score, extra]), np.concatenate([label, np.full(4, -1)])
    assert (confusion_matrix(score, given_label) == sklearn.confusion_matrix(label, guess, labels=classes)).all()
    ours = class_numbers(score, given_label)
    precision, recall, f1, support = sklearn.precision_recall_fscore_support(
        label, guess, labels=classes, zero_division=np.nan
    )
    np.testing.assert_allclose(ours.precision, precision)
    np.testing.assert_allclose(ours.recall, recall)
    np.testing.assert_allclose(ours.f1, f1)
    assert (ours.support == support).all() and (ours.predicted == np.bincount(guess, minlength=len(classes))).all()
    present = np.unique(label)
    expected = sklearn.f1_score(label, guess, labels=present, average="macro", zero_division=0)
    assert macro_f1(score, given_label) == pytest.approx(expected, abs=1e-12)
    assert np.nanmean(ours.recall) == pytest.approx(mean_class_accuracy(score, given_label))


def test_macro_f1_counts_a_class_that_is_only_predicted_in_the_others_alone():
    score, label = np.eye(3)[[0, 1, 2, 2]], np.array([0, 0, 2, 2])
    assert macro_f1(score, label) == pytest.approx((2 / 3 + 1) / 2)
    assert macro_f1(score, np.full(4, -1)) is None


def loop_calibration(score, label, bins):
    """Expected calibration error, clip by clip and bin by bin."""
    total = 0.0
    for number in range(bins):
        inside = []
        for row, true in zip(score.tolist(), label, strict=True):
            best = max(row)
            first = number == 0
            if (number / bins < best or first) and (best <= (number + 1) / bins or number == bins - 1):
                inside.append((best, row.index(best) == true))
        if inside:
            sure = sum(one for one, _ in inside) / len(inside)
            right = sum(hit for _, hit in inside) / len(inside)
            total += len(inside) / len(label) * abs(right - sure)
    return total


@given(st.integers(1, 60), st.integers(2, 9), st.integers(1, 20), st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_calibration_is_that_of_a_loop(clips, classes, bins, seed):
    rng = np.random.default_rng(seed)
    score = rng.dirichlet(np.full(classes, 0.4), clips)
    label = rng.integers(0, classes, clips)
    found = calibration(score, label, bins)
    assert found.ece == pytest.approx(loop_calibration(score, label, bins), abs=1e-12)
    assert found.count.sum() == clips and len(found.edges) == bins + 1 and found.edges[[0, -1]].tolist() == [0, 1]
    full = found.count > 0
    assert (np.isnan(found.confidence) == ~full).all() and (np.isnan(found.accuracy) == ~full).all()
    assert (found.confidence[full] <= found.edges[1:][full] + 1e-12).all()
    assert (found.confidence[full] >= found.edges[:-1][full] - 1e-12).all()
    assert (found.accuracy * found.count)[full].sum() == pytest.approx(clips * top_k_accuracy(score, label, 1))


def test_calibration_by_hand():
    score = np.array([[0.8, 0.2], [0.8, 0.2], [0.8, 0.2], [0.2, 0.8], [0.8, 0.2]])
    found = calibration(score, np.array([0, 0, 0, 1, 1]))
    assert found.ece == pytest.approx(0, abs=1e-12), "right in 4 of 5, and 0.8 sure"
    assert found.count[11] == 5, "0.8 is the right end of the bin from 11/15 to 12/15"
    assert calibration(score, np.array([0, 0, 0, 1, 0])).ece == pytest.approx(0.2)
    sure = np.array([[1.0, 0], [1.004, 0]])
    assert calibration(sure, np.array([0, 0])).ece == 0 and calibration(sure, np.array([1, 1])).ece == 1
    assert calibration(score, np.full(5, -1)) is None
    with pytest.raises(InputError, match="expected probabilities"):
        calibration(score * 2, np.zeros(5, int))
    with pytest.raises(InputError, match="at least 1"):
        calibration(score, np.zeros(5, int), 0)


def test_what_counts_as_probabilities():
    rows = np.array([[0.5, 0.5], [0.505, 0.5], [0.52, 0.5], [-0.1, 1.1], [0, 0]])
    assert probability_rows(rows).tolist() == [True, True, False, False, False]
    assert probability_rows(rows).dtype == bool


def test_summary():
    score = np.eye(6)[[0, 1, 2]] + np.linspace(0.5, 0, 6)  # the true class 5 is last in the third row
    numbers = all_metrics(Scores(np.array(list("abc")), score, np.array([0, 1, 5])))
    assert numbers == {name: pytest.approx(2 / 3) for name in ("top1", "top5", "mean_class", "macro_f1")}
    numbers = all_metrics(
        Scores(np.array(list("abc")), score[:, :3], np.array([0, 1, 1]), semantic_cosine=-score[:, :3])
    )
    assert numbers["top5"] == 1.0 and numbers["nearest_name_top1"] == pytest.approx(1 / 3)
    # Recalls by the cosines: class 0 none, class 1 one of two.
    assert numbers["nearest_name_top5"] == 1.0 and numbers["nearest_name_mean_class"] == pytest.approx(0.25)
    probable = Scores(np.array(list("abc")), np.eye(6)[[0, 1, 2]], np.array([0, 1, 5]))
    assert all_metrics(probable)["ece"] == pytest.approx(1 / 3)


def test_summary_of_clips_whose_true_class_comes_at_a_known_place():
    label = np.array([0, 1, 4, 5, -1])
    score = np.tile(np.arange(7, 0, -1.0), (5, 1))
    numbers = all_metrics(Scores(np.array(list("abcde")), score, label, semantic_cosine=-score))
    assert (numbers["top1"], numbers["top5"], numbers["nearest_name_top1"]) == (0.25, 0.75, 0)
    # Each is predicted as class 0, which one clip is: recall 1 and precision 1/4.
    assert numbers["mean_class"] == 0.25 and numbers["macro_f1"] == pytest.approx(0.4 / 4) and "ece" not in numbers
    for labels in ([0, -1], [0, 0]):
        first = all_metrics(Scores(np.array(["a", "b"]), np.eye(3)[[0, 0]], np.array(labels)))
        assert first == {"top1": 1, "top5": 1, "mean_class": 1, "macro_f1": 1, "ece": 0}


def test_numbers_are_frozen_and_equal_to_themselves_alone():
    """Arrays have no single truth of being equal."""
    score, label = np.eye(3)[[0, 1]], np.array([0, 1])
    for made in (lambda: class_numbers(score, label), lambda: calibration(score, label)):
        one = made()
        assert one == one and one != made() and len({one, made()}) == 2
        with pytest.raises(FrozenInstanceError):
            one.accuracy = 1


@pytest.mark.parametrize(
    ("score", "label", "k", "message"),
    [
        ([[1, 0, 0, 0]], [4], 1, "expected labels from -1 to 3, got others"),
        ([[np.nan, 0]], [0], 1, "NaN"),
        ([[np.inf, 0]], [0], 1, "infinity"),
        ([[1, 0]], [2], 1, "from -1 to 1"),
        ([[1, 0]], [-2], 1, "from -1 to 1"),
        ([[1, 0]], [0, 1], 1, "shapes"),
        ([1, 0], [0, 1], 1, "shapes"),
        ([[1, 0]], [0.5], 1, "whole numbers"),
        ([[1, 0]], [0], 0, "at least 1"),
    ],
)
def test_wrong_input_is_refused(score, label, k, message):
    with pytest.raises(InputError, match=message):
        top_k_accuracy(np.array(score, dtype=float), np.array(label), k)
