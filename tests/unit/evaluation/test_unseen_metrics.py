"""Generalised zero-shot numbers against a naive count, and the confusions of unseen classes."""

import numpy as np
import pytest

from pyskl_semloss.errors import InputError
from pyskl_semloss.evaluation.unseen import are_opposites, harmonic_mean, unseen_confusions, unseen_metrics

UNSEEN = [1, 4]


def drawn(clips=200, classes=6, seed=0):
    rng = np.random.default_rng(seed)
    label = rng.integers(-1, classes, clips)
    score = rng.normal(size=(clips, classes))
    score[np.arange(clips), label.clip(0)] += 0.8
    return score, label


def naive(score, label, chosen, among):
    hits = {}
    for row, true in zip(score, label, strict=True):
        if true in chosen:
            hits.setdefault(true, []).append(max(among, key=lambda k: row[k]) == true)
    return np.mean([hit for each in hits.values() for hit in each]), np.mean([np.mean(each) for each in hits.values()])


def test_numbers_are_those_of_a_naive_count():
    score, label = drawn()
    numbers = unseen_metrics(score, label, UNSEEN)
    seen = [0, 2, 3, 5]
    for name, chosen, among in (("seen", seen, range(6)), ("unseen", UNSEEN, range(6)), ("zero_shot", UNSEEN, UNSEEN)):
        clips, classes = naive(score, label, chosen, among)
        assert numbers[name] == pytest.approx(clips) and numbers[f"{name}_mean_class"] == pytest.approx(classes)
    s, u = numbers["seen"], numbers["unseen"]
    assert s != u and numbers["harmonic"] == pytest.approx(2 / (1 / s + 1 / u))
    s, u = numbers["seen_mean_class"], numbers["unseen_mean_class"]
    assert numbers["harmonic_mean_class"] == pytest.approx(2 / (1 / s + 1 / u))


def test_the_area_is_that_below_the_curve_of_all_biases():
    score, label = drawn(60)
    points = []
    for bias in np.linspace(-12, 12, 20001):
        moved = score.copy()
        moved[:, [0, 2, 3, 5]] -= bias
        best = moved.argmax(1)
        hidden = np.isin(label, UNSEEN)
        points.append(((best == label)[~hidden & (label >= 0)].mean(), (best == label)[hidden].mean()))
    seen, unseen = np.array(points).T
    area = np.sum((seen[:-1] - seen[1:]) * (unseen[:-1] + unseen[1:]) / 2)
    assert unseen_metrics(score, label, UNSEEN)["area"] == pytest.approx(area, abs=1e-3)


def test_a_bias_on_the_seen_classes_changes_neither_zero_shot_nor_area():
    score, label = drawn()
    before = unseen_metrics(score, label, UNSEEN)
    score[:, [0, 2, 3, 5]] -= 0.7
    after = unseen_metrics(score, label, UNSEEN)
    assert after["zero_shot"] == before["zero_shot"] and after["area"] == pytest.approx(before["area"])
    assert after["unseen"] > before["unseen"] and after["seen"] < before["seen"]


def test_perfect_and_hopeless_scores():
    label = np.array([0, 1, 2, 2])
    perfect = np.eye(3)[label]
    numbers = unseen_metrics(perfect, label, [2])
    assert all(value == 1 for value in numbers.values())
    assert unseen_metrics(-perfect, label, [1, 2])["harmonic"] == 0
    assert harmonic_mean(0.0, 0.0) == 0


def test_confusions_are_counted_and_the_most_frequent_is_first():
    label = np.array([1, 1, 1, 1, 4, 0, -1, 4])
    best = np.array([0, 0, 4, 1, 1, 4, 0, 0])
    score = np.eye(6)[best] + 0.1 * np.eye(6)[[4, 4, 0, 0, 0, 0, 0, 1]]
    pairs = unseen_confusions(score, label, UNSEEN)
    assert [(pair.true, pair.predicted, pair.count, pair.clips) for pair in pairs] == [
        (1, 0, 2, 4), (1, 4, 1, 4), (4, 0, 1, 2), (4, 1, 1, 2),
    ]  # fmt: skip
    among = unseen_confusions(score, label, UNSEEN, zero_shot=True)
    assert [(pair.true, pair.predicted, pair.count) for pair in among] == [(1, 4, 3), (4, 1, 2)]


@pytest.mark.parametrize(
    ("name", "other", "expected"),
    [
        ("swipe left", "swipe right", True),
        ("draw circle clockwise", "draw circle counter clockwise", True),
        ("sit to stand", "stand to sit", True),
        ("open door", "close door", True),
        ("swipe left", "swipe left", False),
        ("swipe left", "draw x", False),
        ("wave left", "swipe right", False),
        ("tennis swing", "baseball swing", False),
        ("pick up and throw", "throw", False),
    ],
)
def test_opposites(name, other, expected):
    assert are_opposites(name, other) is expected and are_opposites(other, name) is expected


def test_what_cannot_be_measured_is_refused():
    score, label = drawn()
    for wrong in ([], [0, 1, 2, 3, 4, 5], [6], [-1]):
        with pytest.raises(InputError, match="expected some of the classes 0 to 5, not all"):
            unseen_metrics(score, label, wrong)
    with pytest.raises(InputError, match="no clip of the unseen classes"):
        unseen_metrics(score[label == 0], label[label == 0], UNSEEN)
    with pytest.raises(InputError, match="no clip of the trained classes"):
        unseen_confusions(score[label == 1], label[label == 1], UNSEEN)
    with pytest.raises(InputError, match="expected scores"):
        unseen_metrics(score, label[:5], UNSEEN)
