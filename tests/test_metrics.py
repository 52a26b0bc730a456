import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyskl_semloss.errors import InputError
from pyskl_semloss.evaluation.metrics import mean_class_accuracy, summary, top_k_accuracy
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
    assert summary(Scores(np.array(list("abcd")), score, unknown, semantic_cosine=score)) == {}


def test_summary():
    score = np.eye(6)[[0, 1, 2]] + np.linspace(0.5, 0, 6)  # the true class 5 is last in the third row
    numbers = summary(Scores(np.array(list("abc")), score, np.array([0, 1, 5])))
    assert numbers == {"top1": pytest.approx(2 / 3), "top5": pytest.approx(2 / 3), "mean_class": pytest.approx(2 / 3)}
    numbers = summary(Scores(np.array(list("abc")), score[:, :3], np.array([0, 1, 1]), semantic_cosine=-score[:, :3]))
    assert numbers["top5"] == 1.0 and numbers["nearest_name_top1"] == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("score", "label", "k", "message"),
    [
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
