"""The search of a fusion's weights: the grid, coordinate ascent against it, laws, and cross-validation."""

import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyskl_semloss.errors import InputError
from pyskl_semloss.evaluation import weight_search
from pyskl_semloss.evaluation.calibration import fit_temperature, softmax_rows, tempered
from pyskl_semloss.evaluation.fusion import fuse, take_clips
from pyskl_semloss.evaluation.metrics import all_metrics, mean_class_accuracy, top_k_accuracy
from pyskl_semloss.evaluation.scores import Scores
from pyskl_semloss.evaluation.weight_search import cross_validate, fit_temperatures, search_weights

seeds = st.integers(0, 2**31)


def model(seed, clips=40, classes=6, skill=1.5):
    """Probabilities of a model that is right more often than not; the labels are those of every such model."""
    label = np.random.default_rng(0).integers(0, classes, clips)
    logit = np.random.default_rng(seed).normal(size=(clips, classes)) + skill * np.eye(classes)[label]
    return Scores(np.array([f"c_{n}" for n in range(clips)]), softmax_rows(logit), label)


def top1(parts, weights):
    fused = fuse(parts, weights)
    return top_k_accuracy(fused.score, fused.label, 1)


A = model(1)


def test_the_search_finds_the_best_of_its_grid():
    parts = [model(1), take_clips(model(2, skill=2), np.random.default_rng(0).permutation(40)), model(3, skill=0.3)]
    weights, table = search_weights(parts, step=0.25)
    assert len(table) == 15 and len({row.weights for row in table}) == 15
    assert all(sum(row.weights) == pytest.approx(1) for row in table)
    best = max(all_metrics(fuse(parts, row.weights))["top1"] for row in table)
    assert all_metrics(fuse(parts, weights))["top1"] == best == table[0].top1
    assert [row.top1 for row in table] == sorted((row.top1 for row in table), reverse=True)


def test_of_equal_weightings_the_search_takes_the_one_nearest_to_equal():
    assert search_weights([A, A], step=0.1)[0] == (0.5, 0.5)
    assert search_weights([A, A, A], step=1)[0] == (0.0, 0.0, 1.0)
    assert search_weights([A])[0] == (1.0,)


def test_the_order_of_the_table_is_top1_mean_class_and_nearness_to_equal_weights():
    label = np.array([0, 0, 0, 1])
    ids = np.array(list("abcd"))
    constant = Scores(ids, np.eye(2)[[0, 0, 0, 0]], label)
    better = Scores(ids, np.eye(2)[[0, 0, 1, 1]], label)
    weights, table = search_weights([constant, better], step=0.25)
    shown = [(row.weights, row.top1, round(row.mean_class, 4)) for row in table]
    # Half and half is a tie on two clips, and of equal scores the lower class counts.
    assert shown == [
        ((0.25, 0.75), 0.75, 0.8333),
        ((0.0, 1.0), 0.75, 0.8333),
        ((0.5, 0.5), 0.75, 0.5),
        ((0.75, 0.25), 0.75, 0.5),
        ((1.0, 0.0), 0.75, 0.5),
    ]
    assert weights == (0.25, 0.75)


@pytest.mark.parametrize("step", [0, -0.1, 0.3, 2, np.nan])
def test_wrong_steps_are_refused(step):
    with pytest.raises(InputError, match="step"):
        search_weights([A, A], step=step)


def test_the_search_refuses_too_much_and_too_little():
    with pytest.raises(InputError, match="got none"):
        search_weights([])
    few = take_clips(A, np.arange(1))
    with pytest.raises(
        InputError, match="2 files with a step of 5e-05 make 20001 weightings to try, more than 20000.*larger step"
    ):
        search_weights([few, few], step=1 / 20_000)
    assert len(search_weights([few, few, few], step=0.01)[1]) == 101 * 102 / 2
    with pytest.raises(InputError, match="no clip has a label"):
        search_weights([replace(A, label=np.full(40, -1))] * 2)


def test_as_many_weightings_as_allowed_are_tried(monkeypatch):
    monkeypatch.setattr(weight_search, "_MOST_WEIGHTINGS", 21)
    assert len(search_weights([A, A], step=0.05)[1]) == 21
    monkeypatch.setattr(weight_search, "_MOST_WEIGHTINGS", 20)
    with pytest.raises(InputError, match="21 weightings to try, more than 20"):
        search_weights([A, A], step=0.05)


@given(seeds, st.integers(4, 9))
@settings(max_examples=25, deadline=None)
def test_ascent_is_never_worse_than_equal_weights_or_a_part_alone(seed, count):
    rng = np.random.default_rng(seed)
    parts = [model(seed + n, clips=30, skill=rng.uniform(0, 3)) for n in range(count)]
    parts = [replace(part, label=np.where(rng.random(30) < 0.1, -1, part.label)) for part in parts]
    weights, table = search_weights(parts)
    assert min(weights) >= 0 and sum(weights) == pytest.approx(1)
    assert top1(parts, weights) == table[0].top1
    assert {tuple(row) for row in np.eye(count).tolist()} < {row.weights for row in table}
    assert table[0].top1 >= max(top1(parts, row) for row in [[1] * count, *np.eye(count)])
    label = fuse(parts, weights).label
    assert table[0].mean_class == pytest.approx(mean_class_accuracy(fuse(parts, weights).score, label))
    own = fuse(parts, weights).score[np.arange(30), label][label >= 0]
    assert table[0].loss == pytest.approx(-np.log(np.maximum(own, 1e-12)).mean(), abs=1e-5)
    assert [row.top1 for row in table] == sorted((row.top1 for row in table), reverse=True)


@given(seeds, st.permutations(range(5)))
@settings(max_examples=25, deadline=None)
def test_ascent_depends_neither_on_the_order_of_parts_nor_on_that_of_clips(seed, order):
    parts = [model(seed + n, clips=60, skill=0.5 + 0.3 * n) for n in range(5)]
    weights, table = search_weights(parts)
    turned, other = search_weights([parts[n] for n in order])
    assert turned == pytest.approx([weights[n] for n in order], abs=1e-12)
    assert [row.top1 for row in other] == [row.top1 for row in table]
    mixed = [take_clips(part, np.random.default_rng(n).permutation(60)) for n, part in enumerate(parts)]
    assert search_weights(mixed)[0] == pytest.approx(weights, abs=1e-9)
    assert search_weights(parts) == (weights, table)


@given(seeds)
@settings(max_examples=25, deadline=None)
def test_naming_the_classes_otherwise_changes_nothing(seed):
    parts = [model(seed + n, clips=60, skill=1 + 0.2 * n) for n in range(4)]
    classes = np.random.default_rng(seed).permutation(6)
    renamed = [replace(part, score=part.score[:, classes], label=np.argsort(classes)[part.label]) for part in parts]
    assert search_weights(renamed)[0] == pytest.approx(search_weights(parts)[0], abs=1e-9)


@pytest.mark.parametrize("seed", range(6))
def test_ascent_comes_near_the_best_of_a_whole_grid(seed, monkeypatch):
    """Four parts: 1,771 weightings of a grid of 0.05."""
    parts = [model(10 * seed + n, clips=300, skill=0.8 + 0.3 * n) for n in range(4)]
    table = search_weights(parts)[1]
    monkeypatch.setattr(weight_search, "GRID_PARTS", 4)
    grid = search_weights(parts)[1]
    assert len(grid) == 1771
    clips = [round(300 * rows[0].top1) for rows in (table, grid)]
    assert clips[0] >= clips[1] - 1


def test_ascent_finds_the_parts_that_complete_each_other_among_noise():
    """Each of two parts knows half of the clips and says nothing of the others; twelve are wrong on purpose."""
    rng, clips = np.random.default_rng(0), 200
    label = rng.integers(0, 6, clips)
    ids = np.array([f"c_{n}" for n in range(clips)])
    first = np.where(np.arange(clips)[:, None] < 100, 0.5 * np.eye(6)[label] + 0.5 / 6, 1 / 6)
    second = np.where(np.arange(clips)[:, None] < 100, 1 / 6, 0.5 * np.eye(6)[label] + 0.5 / 6)
    wrong = [0.6 * np.eye(6)[(label + rng.integers(1, 6, clips)) % 6] + 0.4 / 6 for _ in range(12)]
    parts = [Scores(ids, score, label) for score in (first, *wrong, second)]
    weights, table = search_weights(parts)
    assert table[0].top1 == 1 and max(all_metrics(part)["top1"] for part in parts) < 0.6
    assert weights[0] + weights[-1] > 0.8 and weights[0] == pytest.approx(weights[-1], abs=0.06)


def test_no_move_of_the_ascent_loses_a_clip(monkeypatch):
    """The last share tried is the one that the part has at that moment: what is reached there never falls."""
    hits_along, reached = weight_search._hits_along, []

    def recorded(*arguments):
        hits = hits_along(*arguments)
        reached.append(hits[-1])
        return hits

    monkeypatch.setattr(weight_search, "_hits_along", recorded)
    for seed in range(20):
        parts = [model(10 * seed + n, clips=60, skill=0.8 + 0.3 * n) for n in range(5)]
        stack, label = [part.score for part in parts], parts[0].label
        own = np.stack([score[np.arange(60), label] for score in stack])
        reached.clear()
        weight_search._ascend(np.full(5, 0.2), own, weight_search._rivals(stack, label), np.linspace(0, 1, 21))
        assert reached == sorted(reached)


def test_hits_along_a_line_are_those_of_the_sums():
    rng = np.random.default_rng(3)
    for _ in range(20):
        stack = rng.dirichlet(np.full(5, 0.5), (3, 40))
        label, shares = rng.integers(0, 5, 40), np.linspace(0, 1, 11)
        others = rng.dirichlet([1, 1])
        rivals = weight_search._rivals(stack, label)
        hits = weight_search._hits_along(others @ rivals.margin[:2], rivals.margin[2], rivals.start, shares)
        sums = [(1 - t) * (others @ stack[:2].reshape(2, -1)).reshape(40, 5) + t * stack[2] for t in shares]
        right = np.array([(fused.argmax(1) == label).sum() for fused in sums])
        always = (stack.argmax(2) == label).all(0).sum()
        np.testing.assert_array_equal(hits + always, right)


def test_a_tie_that_no_share_breaks_is_no_hit():
    rivals = weight_search._rivals(np.full((2, 4, 3), 1 / 3), np.array([0, 1, 2, 2]))
    assert weight_search._hits_along(*rivals.margin, rivals.start, np.array([0, 0.5, 1])).tolist() == [0, 0, 0]


def test_likeliest_weights_are_those_of_the_highest_likelihood():
    own = np.random.default_rng(5).uniform(0.01, 1, (2, 500)) ** [[1], [2]]
    weights = weight_search._likeliest(own)
    grid = np.linspace(0, 1, 1001)
    likelihood = np.log(np.outer(grid, own[0]) + np.outer(1 - grid, own[1])).sum(1)
    assert weights[0] == pytest.approx(grid[likelihood.argmax()], abs=2e-3) and weights.sum() == pytest.approx(1)
    assert weight_search._likeliest(np.stack([own[0], own[0] ** 8])).tolist() == [1, 0]


def test_fourteen_parts_take_seconds():
    """4,562 clips and 32 classes, as iMiGUE's test set; processor time, which others do not change."""
    label = np.random.default_rng(0).integers(0, 32, 4562)
    ids = np.array([f"c_{n}" for n in range(4562)])
    parts = []
    for seed in range(14):
        logit = np.random.default_rng(seed).normal(size=(4562, 32)) + (1 + seed / 10) * np.eye(32)[label]
        parts.append(Scores(ids, softmax_rows(logit), label))
    begin = time.process_time()
    weights, table = search_weights(parts)
    assert time.process_time() - begin < 30
    assert table[0].top1 > max(row.top1 for row in table if max(row.weights) == 1)


def test_many_parts_need_probabilities():
    logits = [replace(model(n), score=np.log(model(n).score) * 2) for n in range(4)]
    with (
        pytest.warns(UserWarning, match="summed as they are"),
        pytest.raises(InputError, match="search of 4 weights.*--logits"),
    ):
        search_weights(logits)
    weights = search_weights(logits, softmax=True)[0]
    squared = [replace(part, score=softmax_rows(part.score)) for part in logits]
    assert weights == pytest.approx(search_weights(squared)[0], abs=1e-6)


def test_the_scale_of_logits_goes_into_their_temperature():
    logits = [replace(model(n, clips=200), score=np.log(model(n, clips=200).score)) for n in range(5)]
    scaled = [replace(part, score=part.score * scale) for part, scale in zip(logits, (0.5, 1, 2, 3, 4), strict=True)]
    before, after = fit_temperatures(logits), fit_temperatures(scaled)
    assert after == pytest.approx(np.multiply(before, (0.5, 1, 2, 3, 4)), rel=1e-4)
    cold, warm = ([replace(part, score=tempered(part.score, t)) for part, t in zip(side, temperatures, strict=True)]
                  for side, temperatures in ((logits, before), (scaled, after)))  # fmt: skip
    np.testing.assert_allclose(cold[3].score, warm[3].score, atol=1e-4)
    assert search_weights(warm)[0] == pytest.approx(search_weights(cold)[0], abs=0.02)


def cases(clips=120, people=6):
    """Three models and the person of each clip."""
    parts = [model(n, clips=clips, skill=1 + 0.5 * n) for n in range(3)]
    return parts, {clip: f"P{n % people}" for n, clip in enumerate(parts[0].sample_id.tolist())}


def by_hand(parts, fold_of, calibrate=False):
    """Top-1 of weights searched on the other folds."""
    right = np.zeros(3)
    for fold in range(fold_of.max() + 1):
        fitted, held = (
            [take_clips(part, np.flatnonzero(mask)) for part in parts] for mask in (fold_of != fold, fold_of == fold)
        )
        if calibrate:
            t = [fit_temperature(part.score, part.label) for part in fitted]
            fitted, held = (
                [replace(p, score=tempered(p.score, x)) for p, x in zip(side, t, strict=True)]
                for side in (fitted, held)
            )
        best = np.argmax([all_metrics(part)["top1"] for part in fitted])
        for n, row in enumerate((search_weights(fitted)[0], [1, 1, 1], np.eye(3)[best])):
            right[n] += len(held[0].label) * top1(held, row)
    return right / len(fold_of)


@pytest.mark.parametrize("calibrate", [False, True])
def test_cross_validation_measures_each_fold_with_the_weights_of_the_others(calibrate):
    parts, persons = cases()
    result = cross_validate(parts, calibrate=calibrate, folds=6, persons=persons)
    # As many folds as persons: each is one person, whatever was drawn.
    fold_of = np.arange(120) % 6
    assert result[:3] == pytest.approx(by_hand(parts, fold_of, calibrate))
    assert result[4:] == (6, "persons", 6)
    if calibrate:
        parts = [replace(p, score=tempered(p.score, fit_temperature(p.score, p.label))) for p in parts]
    assert result.seen == search_weights(parts)[1][0].top1


def test_folds_are_even_and_keep_persons_together():
    parts, persons = cases(people=10)
    units = weight_search.sampling_units(parts[0].sample_id, persons)
    fold_of = weight_search._fold_of(units, 5, seed=0)
    assert np.bincount(fold_of).tolist() == [24] * 5
    assert all(len(set(fold_of[units.member == person])) == 1 for person in range(10))
    assert fold_of.tolist() != weight_search._fold_of(units, 5, seed=1).tolist()
    alone = weight_search._fold_of(weight_search.sampling_units(parts[0].sample_id), 7, seed=0)
    assert sorted(np.bincount(alone).tolist()) == [17] * 6 + [18]
    assert cross_validate(parts, folds=50, persons=persons)[4:] == (10, "persons", 10)
    assert cross_validate(parts, persons=persons) == cross_validate(parts, persons=persons)


def test_clips_without_a_label_are_in_no_fold():
    parts, _ = cases()
    known = np.arange(0, 120, 2)
    half = [replace(part, label=np.where(np.arange(120) % 2, -1, part.label)) for part in parts]
    assert cross_validate(half) == cross_validate([take_clips(part, known) for part in parts])
    with pytest.raises(InputError, match="at least 2 folds and 2 clips with a label, got 1 and 120"):
        cross_validate(parts, folds=1)
    with pytest.raises(InputError, match="got 5 and 1"):
        cross_validate([take_clips(part, [0]) for part in parts])


def test_on_noise_the_gain_is_the_searchs_own():
    """Models that know nothing: a search finds something on its own clips, and nothing on others."""
    gains = [cross_validate([model(100 * k + n, clips=150, skill=0) for n in range(6)], folds=5) for k in range(8)]
    assert np.mean([gain.seen - gain.equal for gain in gains]) > 0.05
    assert abs(np.mean([gain.searched - gain.equal for gain in gains])) < 0.03
