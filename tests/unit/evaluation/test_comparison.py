import itertools
import math

import numpy as np
import pytest

from pyskl_semloss.errors import InputError
from pyskl_semloss.evaluation.comparison import mcnemar, paired_bootstrap
from pyskl_semloss.evaluation.metrics import mean_class_accuracy, top_k_accuracy
from pyskl_semloss.evaluation.neighbours import name_nearness
from pyskl_semloss.evaluation.resampling import match_persons
from pyskl_semloss.evaluation.scores import Scores


def made(label, guess, classes=None, prefix="clip"):
    """Scores that predict ``guess`` with certainty."""
    classes = classes or int(max(np.max(label), np.max(guess))) + 1
    ids = np.array([f"{prefix}{n}" for n in range(len(label))])
    return Scores(ids, np.eye(classes, dtype=np.float32)[np.asarray(guess)], np.asarray(label))


def pair(clips=150, classes=5, seed=0, right=(0.6, 0.7)):
    """Two models that are often right together."""
    rng = np.random.default_rng(seed)
    label = rng.choice(classes, clips, p=np.arange(1, classes + 1) / (classes * (classes + 1) / 2))
    luck = rng.random(clips)
    wrong = (label + rng.integers(1, classes, clips)) % classes
    noise = [np.clip(luck + rng.normal(0, 0.15, clips), 0, 1) for _ in right]
    return [made(label, np.where(one < share, label, wrong), classes) for one, share in zip(noise, right, strict=True)]


def taken(scores, rows):
    return Scores(scores.sample_id[rows], scores.score[rows], scores.label[rows])


def test_the_interval_of_top1_is_scipys():
    stats = pytest.importorskip("scipy.stats")
    a, b = pair()
    hits = [one.score.argmax(1) == one.label for one in (a, b)]
    theirs = stats.bootstrap(
        hits, lambda x, y, axis: y.mean(axis) - x.mean(axis), paired=True, vectorized=True, n_resamples=20_000,
        method="percentile", rng=np.random.default_rng(9),
    ).confidence_interval  # fmt: skip
    ours = paired_bootstrap([a], [b])
    assert ours.a == top_k_accuracy(a.score, a.label, 1) and ours.b == top_k_accuracy(b.score, b.label, 1)
    assert ours.estimate == pytest.approx(ours.b - ours.a) and ours.clips == 150
    assert (ours.low, ours.high) == pytest.approx(tuple(theirs), abs=0.008)


def test_the_interval_of_mean_class_is_that_of_a_loop_over_resampled_clips():
    a, b = pair(clips=24, classes=12, seed=3)  # some classes are absent from most resamples
    rng, drawn = np.random.default_rng(4), []
    for _ in range(6000):
        rows = rng.integers(0, 24, 24)
        drawn.append(
            mean_class_accuracy(b.score[rows], b.label[rows]) - mean_class_accuracy(a.score[rows], a.label[rows])
        )
    ours = paired_bootstrap([a], [b], "mean_class")
    assert ours.a == pytest.approx(mean_class_accuracy(a.score, a.label))
    assert ours.b == pytest.approx(mean_class_accuracy(b.score, b.label))
    assert (ours.low, ours.high) == pytest.approx(tuple(np.quantile(drawn, [0.025, 0.975])), abs=0.02)


@pytest.mark.parametrize("metric", ["top1", "mean_class"])
def test_persons_are_resampled_whole(metric):
    a, b = pair(clips=60, classes=4)
    often = [
        Scores(np.array([f"{one}_{n}" for one in each.sample_id for n in range(4)]), np.repeat(each.score, 4, axis=0),
               np.repeat(each.label, 4))
        for each in (a, b)
    ]  # fmt: skip
    persons = match_persons(often[0].sample_id, {one: one.upper() for one in a.sample_id})
    single = paired_bootstrap([a], [b], metric, resamples=800)
    many = paired_bootstrap(often[:1], often[1:], metric, resamples=800, persons=persons)
    assert (many.low, many.high) == pytest.approx((single.low, single.high))
    assert (many.unit, many.units, many.clips, single.unit, single.units) == ("persons", 60, 240, "clips", 60)
    with pytest.raises(InputError, match="1 of 60 clips have no person"):
        paired_bootstrap([a], [b], persons={one: one for one in a.sample_id[1:]})


def test_a_clip_belongs_to_the_longest_name_that_it_begins_with():
    assert match_persons(["v1_10", "v10_1", "v1"], {"v1": "a", "v10": "b"}) == {"v1_10": "a", "v10_1": "b", "v1": "a"}
    with pytest.raises(InputError, match="1 of 2 clips belong to no video") as caught:
        match_persons(["v1_10", "w_1"], {"v1": "a"})
    assert "w_1" in str(caught.value)


@pytest.mark.parametrize("metric", ["top1", "mean_class"])
def test_laws_of_the_interval(metric):
    a, b = pair()
    options = dict(metric=metric, resamples=500)
    one = paired_bootstrap([a], [b], **options)
    assert paired_bootstrap([a], [b], **options) == one, "the same seed gives the same numbers"
    assert paired_bootstrap([a], [b], seed=1, **options) != one
    back = paired_bootstrap([b], [a], **options)
    assert (back.low, back.high) == pytest.approx((-one.high, -one.low))
    same = paired_bootstrap([a], [a], **options)
    assert (same.estimate, same.low, same.high) == (0, 0, 0)
    mixed = taken(b, np.random.default_rng(0).permutation(150))
    assert paired_bootstrap([a], [mixed], **options) == one, "clips are matched by id"
    group = paired_bootstrap([a, a], [b, mixed, b], **options)
    assert (group.estimate, group.low, group.high) == pytest.approx((one.estimate, one.low, one.high))
    narrow = paired_bootstrap([a], [b], level=0.5, **options)
    assert one.low < narrow.low < narrow.high < one.high


def test_several_seeds_are_the_mean_over_them():
    a, b = pair(right=(0.4, 0.8))
    group = paired_bootstrap([a], [a, b], resamples=200)
    assert group.b == pytest.approx((top_k_accuracy(a.score, a.label, 1) + top_k_accuracy(b.score, b.label, 1)) / 2)
    assert group.models == (1, 2)


def test_over_seeds_pairs_of_models_are_drawn_too():
    label = np.zeros(40, int)
    wrong, right = made(label, 1 - label, 2), made(label, label, 2)
    # All clips are alike, so what is drawn is how often B is right: binomial, 3 of 5, over 5.
    ours = paired_bootstrap([wrong] * 5, [right, wrong, right, right, wrong], over_seeds=True)
    assert (ours.estimate, ours.low, ours.high) == (pytest.approx(0.6), pytest.approx(0.2), pytest.approx(1.0))
    assert ours.over_seeds and ours.models == (5, 5)
    middle = paired_bootstrap([wrong] * 5, [right, wrong, right, right, wrong], over_seeds=True, level=0.5)
    assert (middle.low, middle.high) == (pytest.approx(0.4), pytest.approx(0.8))
    one_by_one = paired_bootstrap([wrong] * 5, [right, wrong, right, right, wrong])
    assert (one_by_one.low, one_by_one.high) == pytest.approx((0.6, 0.6)), "over clips alone nothing varies"


@pytest.mark.parametrize("metric", ["top1", "mean_class"])
def test_over_seeds_that_are_alike_the_interval_is_that_of_clips(metric):
    a, b = pair(clips=60)
    clips, same = (paired_bootstrap([a] * n, [b] * n, metric, resamples=500, over_seeds=n > 1) for n in (1, 4))
    assert (same.estimate, same.low, same.high) == pytest.approx((clips.estimate, clips.low, clips.high))
    single = paired_bootstrap([a], [b], metric, resamples=500, over_seeds=True)
    assert (single.low, single.high) == pytest.approx((clips.low, clips.high))
    with pytest.raises(InputError, match="a model of each seed on both sides, got 1 and 2"):
        paired_bootstrap([a], [b, b], metric, over_seeds=True)


def test_clips_without_a_label_are_left_out():
    a, b = pair()
    label = np.where(np.arange(150) < 20, -1, a.label)
    unknown = [Scores(one.sample_id, one.score, label) for one in (a, b)]
    rest = [taken(one, np.arange(20, 150)) for one in (a, b)]
    assert paired_bootstrap(*[[one] for one in unknown]) == paired_bootstrap(*[[one] for one in rest])
    assert (mcnemar(*unknown).table == mcnemar(*rest).table).all()


def test_the_interval_covers_the_truth_as_often_as_it_says():
    rng, inside = np.random.default_rng(1), 0
    for _ in range(200):
        label, hit = np.zeros(120, int), rng.random((2, 120)) < [[0.5], [0.6]]
        one = paired_bootstrap(*[[made(label, 1 - side, 2)] for side in hit.astype(int)], resamples=400)
        inside += one.low <= 0.1 <= one.high
    assert 180 <= inside <= 198


def test_wrong_input_of_a_comparison():
    a, b = pair()
    with pytest.raises(InputError, match="lacks 10 of the 150 clips"):
        paired_bootstrap([a], [taken(b, np.arange(140))])
    with pytest.raises(InputError, match="on both sides, got 1 and 0"):
        paired_bootstrap([a], [])
    with pytest.raises(InputError, match="no clip has a label"):
        mcnemar(*[Scores(one.sample_id, one.score, np.full(150, -1)) for one in (a, b)])
    for options, message in ((dict(metric="top5"), "top1 or mean_class"), (dict(resamples=0), "at least 1"),
                             (dict(level=1.0), "between 0 and 1")):  # fmt: skip
        with pytest.raises(InputError, match=message):
            paired_bootstrap([a], [b], **options)


@pytest.mark.parametrize("only_a", range(0, 9, 2))
@pytest.mark.parametrize("only_b", range(0, 9, 4))
def test_mcnemar_is_a_sum_of_binomials(only_a, only_b):
    both, neither = 5, 3
    label = np.zeros(both + only_a + only_b + neither, int)
    right_a = np.r_[np.ones(both), np.ones(only_a), np.zeros(only_b), np.zeros(neither)].astype(int)
    right_b = np.r_[np.ones(both), np.zeros(only_a), np.ones(only_b), np.zeros(neither)].astype(int)
    test = mcnemar(made(label, 1 - right_a, 2), made(label, 1 - right_b, 2))
    assert test.table.tolist() == [[both, only_a], [only_b, neither]]
    n, fewer = only_a + only_b, min(only_a, only_b)
    expected = min(1.0, 2 * sum(math.comb(n, k) for k in range(fewer + 1)) / 2**n)
    assert test.p_value == pytest.approx(expected)


def from_table(table):
    """Scores with this confusion matrix."""
    table = np.asarray(table)
    cells = [(t, p) for t, p in np.ndindex(*table.shape) for _ in range(table[t, p])]
    return made([t for t, _ in cells], [p for _, p in cells], len(table))


LINE = np.stack([np.cos([0, 0.2, 0.5, 0.9, 1.4]), np.sin([0, 0.2, 0.5, 0.9, 1.4])], axis=1)
TABLE = [[5, 3, 0, 0, 0], [0, 6, 2, 0, 1], [0, 1, 4, 2, 0], [0, 0, 3, 3, 0], [1, 0, 0, 2, 7]]


def loop_effect(table, vectors):
    """Nearness of the mistakes, and what the overall predictions alone would give, class by class."""
    table, classes = np.asarray(table, float), len(table)
    seen, chance = 0.0, 0.0
    for t in range(classes):
        others = [c for c in range(classes) if c != t]
        by = sorted(others, key=lambda c: -(vectors[t] @ vectors[c]))
        near = {c: 1 - by.index(c) / (classes - 2) for c in others}
        mistakes = sum(table[t, c] for c in others)
        seen += sum(table[t, c] * near[c] for c in others)
        predicted = {c: table[:, c].sum() for c in others}
        chance += mistakes * sum(predicted[c] * near[c] for c in others) / sum(predicted.values())
    total = table.sum() - np.trace(table)
    return seen / total, chance / total


def test_nearness_is_that_of_a_loop_and_its_p_value_that_of_all_permutations():
    found = name_nearness([from_table(TABLE)], 3 * LINE, permutations=20_000)
    seen, chance = loop_effect(TABLE, LINE)
    assert found.nearness == pytest.approx(seen) and found.expected == pytest.approx(chance)
    assert found.effect == pytest.approx(seen - chance) and found.mistakes == 15
    effects = [np.subtract(*loop_effect(TABLE, LINE[list(order)])) for order in itertools.permutations(range(5))]
    assert found.p_value == pytest.approx(np.mean(np.array(effects) >= seen - chance - 1e-9), abs=0.01)
    assert np.mean(effects) == pytest.approx(0, abs=1e-9)


def test_the_p_value_is_exact_for_four_classes_whatever_the_table():
    rng = np.random.default_rng(3)
    for _ in range(6):
        table = rng.integers(0, 9, (4, 4)) * (rng.random((4, 4)) < 0.6) + np.eye(4, dtype=int)
        vectors = rng.normal(size=(4, 3))
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        found = name_nearness([from_table(table)], vectors, permutations=8000)
        effects = [np.subtract(*loop_effect(table, vectors[list(order)])) for order in itertools.permutations(range(4))]
        assert found.p_value == pytest.approx(np.mean(np.array(effects) >= found.effect - 1e-9), abs=0.02)


def test_nearness_by_hand():
    vectors = LINE[[0, 1, 2, 4]]
    found = name_nearness([from_table([[1, 2, 1, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])], vectors)
    assert found.mean_rank == pytest.approx(4 / 3) and found.nearest == pytest.approx(2 / 3)
    assert found.nearness == pytest.approx((1 + 1 + 0.5) / 3)
    assert found.cosine == pytest.approx((2 * np.cos(0.2) + np.cos(0.5)) / 3)


def test_mistakes_to_near_names_are_found_and_to_far_ones_too():
    vectors = np.random.default_rng(0).normal(size=(12, 6))
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    cosine = units @ units.T - 2 * np.eye(12)
    table = 5 * np.eye(12, dtype=int)
    near, far = table.copy(), table.copy()
    near[np.arange(12), cosine.argmax(1)] += 3
    far[np.arange(12), np.argsort(cosine, axis=1)[:, 1]] += 3
    found = name_nearness([from_table(near)], vectors)
    assert found.p_value < 0.001 and found.mean_rank == found.nearest == 1 and found.effect > 0.3
    found = name_nearness([from_table(far)], vectors)
    assert found.p_value > 0.99 and found.effect < -0.3


def test_p_values_are_uniform_where_names_mean_nothing_though_few_pairs_have_all_mistakes():
    rng, values = np.random.default_rng(2), []
    for _ in range(150):
        table = np.diag(rng.integers(1, 30, 8)) + (rng.random((8, 8)) < 0.15) * rng.integers(5, 40, (8, 8))
        values.append(name_nearness([from_table(table)], rng.normal(size=(8, 4)), permutations=200).p_value)
    assert 0.42 < np.mean(values) < 0.58 and np.mean(np.array(values) < 0.05) < 0.1


def test_a_class_that_is_always_predicted_and_near_to_all_is_no_evidence():
    label = np.arange(40) % 5
    vectors = np.vstack([np.ones(4), np.eye(4) + 0.1])
    found = name_nearness([made(label, np.zeros(40, int), 5)], vectors)
    assert found.nearest == 1 and found.effect == pytest.approx(0) and found.p_value == 1


def test_renumbering_the_classes_changes_no_observed_number_and_seeds_add_up():
    order = np.array([3, 0, 4, 1, 2])
    one = name_nearness([from_table(TABLE)], LINE, permutations=50)
    other = name_nearness([from_table(np.array(TABLE)[np.ix_(order, order)])], LINE[order], permutations=50)
    for name in ("nearness", "expected", "mean_rank", "cosine", "nearest"):
        assert getattr(one, name) == pytest.approx(getattr(other, name))
    twice = name_nearness([from_table(TABLE), from_table(TABLE)], LINE, permutations=50)
    assert twice.mistakes == 30 and twice.p_value == one.p_value and twice.effect == pytest.approx(one.effect)


def test_equal_names_share_their_ranks():
    vectors = np.array([[1.0, 0], [0.6, 0.8], [1.2, 1.6], [0, 1]])
    table = np.eye(4, dtype=int)
    table[0, 2] = 1
    assert name_nearness([from_table(table)], vectors, permutations=10).mean_rank == 1.5


def test_wrong_input_of_nearness():
    with pytest.raises(InputError, match="is mistaken"):
        name_nearness([from_table(np.eye(5, dtype=int))], LINE)
    with pytest.raises(InputError, match="expected 5 classes, got 4"):
        name_nearness([from_table(TABLE)], LINE[:4])
    with pytest.raises(InputError, match="at least 3 classes"):
        name_nearness([from_table([[1, 1], [1, 1]])], LINE[:2])
    with pytest.raises(InputError, match="at least 1"):
        name_nearness([from_table(TABLE)], LINE, permutations=0)
