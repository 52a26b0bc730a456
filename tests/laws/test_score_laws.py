"""Laws of fusion and metrics on drawn scores, beside those in test_fusion.py and test_metrics.py."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyskl_semloss.errors import InputError
from pyskl_semloss.evaluation.fusion import as_semantic, fuse
from pyskl_semloss.evaluation.metrics import (
    calibration,
    class_numbers,
    confusion_matrix,
    macro_f1,
    mean_class_accuracy,
    top_k_accuracy,
)
from pyskl_semloss.evaluation.scores import Scores
from pyskl_semloss.evaluation.weight_search import search_weights

weights_of_three = st.tuples(*[st.floats(0.01, 100)] * 3)


@st.composite
def models(draw, count=3):
    """Probabilities of several models for the same clips, in the same order, with one list of labels."""
    clips, classes = draw(st.integers(2, 25)), draw(st.integers(2, 8))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    label = rng.integers(-1, classes, clips)
    ids = np.array([f"clip {number}" for number in range(clips)])
    tables = rng.dirichlet(np.full(classes, 0.5), (count, clips)).astype(np.float32)
    return [Scores(ids, table, label, source=f"{n}.npz") for n, table in enumerate(tables)], rng


def taken(scores, order):
    return replace(scores, sample_id=scores.sample_id[order], score=scores.score[order], label=scores.label[order])


@given(models(), weights_of_three)
@settings(max_examples=50, deadline=None)
def test_fusing_in_two_steps_is_fusing_at_once(drawn, weights):
    (a, b, c), _ = drawn
    at_once = fuse([a, b, c], weights)
    in_steps = fuse([fuse([a, b], weights[:2]), c], [weights[0] + weights[1], weights[2]])
    np.testing.assert_allclose(in_steps.score, at_once.score, atol=1e-6)


@given(models(), weights_of_three)
@settings(max_examples=50, deadline=None)
def test_the_fused_lies_between_the_parts(drawn, weights):
    parts, _ = drawn
    stack, fused = np.stack([part.score for part in parts]), fuse(parts, weights).score
    assert (fused <= stack.max(0) + 1e-6).all() and (fused >= stack.min(0) - 1e-6).all()
    np.testing.assert_allclose(fused.sum(1), 1, atol=1e-5)
    agreed = (stack.argmax(-1) == stack.argmax(-1)[0]).all(0)
    np.testing.assert_array_equal(fused.argmax(1)[agreed], stack[0].argmax(1)[agreed])


@given(models(), st.floats(0.01, 1e6))
@settings(max_examples=50, deadline=None)
def test_one_part_alone_keeps_its_own_scores(drawn, weight):
    parts, rng = drawn
    for part in parts:
        fused = fuse([part], [weight])
        np.testing.assert_array_equal(fused.score, part.score)
        np.testing.assert_array_equal(fused.label, part.label)
    lone = [0.0] * 3
    lone[chosen := int(rng.integers(3))] = weight
    np.testing.assert_array_equal(fuse(parts, lone).score, parts[chosen].score)


@given(models(), weights_of_three, st.permutations(range(3)))
@settings(max_examples=50, deadline=None)
def test_neither_the_order_of_parts_nor_that_of_clips_counts(drawn, weights, parts_order):
    parts, rng = drawn
    straight = fuse(parts, weights)
    mixed = [taken(part, rng.permutation(len(part.label))) for part in parts]
    fused = fuse([mixed[n] for n in parts_order], [weights[n] for n in parts_order])
    place = {one: n for n, one in enumerate(straight.sample_id.tolist())}
    order = [place[one] for one in fused.sample_id.tolist()]
    np.testing.assert_allclose(fused.score, straight.score[order], atol=1e-6)
    np.testing.assert_array_equal(fused.label, straight.label[order])
    assert fused.sample_id.tolist() == mixed[parts_order[0]].sample_id.tolist()


@given(models(), st.integers(0, 2), st.data())
@settings(max_examples=50, deadline=None)
def test_a_missing_clip_is_named_with_its_file(drawn, number, data):
    parts, rng = drawn
    gone = data.draw(st.integers(0, len(parts[0].label) - 1))
    kept = rng.permutation(np.delete(np.arange(len(parts[0].label)), gone))
    broken = [taken(part, kept) if n == number else part for n, part in enumerate(parts)]
    with pytest.raises(InputError) as error:
        fuse(broken, [1, 1, 1])
    # Where the first part lacks it, the second has one too many.
    assert f"'clip {gone}'" in str(error.value) and str(error.value).startswith(f"{number or 1}.npz: ")
    assert ("lacks 1 of" if number else "has 1 clips that 0.npz lacks") in str(error.value)


@given(models(), weights_of_three, st.integers(0, 2**32 - 1))
@settings(max_examples=50, deadline=None)
def test_a_label_that_one_part_knows_is_known(drawn, weights, seed):
    parts, _ = drawn
    hidden = np.random.default_rng(seed).random((3, len(parts[0].label))) < 0.5
    unsure = [replace(part, label=np.where(hide, -1, part.label)) for part, hide in zip(parts, hidden, strict=True)]
    np.testing.assert_array_equal(fuse(unsure, weights).label, np.where(hidden.all(0), -1, parts[0].label))


@given(models(2), st.floats(-50, 50))
@settings(max_examples=50, deadline=None)
def test_scores_by_name_rank_as_the_cosines(drawn, shift):
    (a, b), _ = drawn
    semantic = as_semantic(replace(a, semantic_cosine=b.score))
    np.testing.assert_array_equal(semantic.score.argmax(1), b.score.argmax(1))
    np.testing.assert_allclose(semantic.score.sum(1), 1, atol=1e-5)
    moved = as_semantic(replace(a, semantic_cosine=b.score + np.float32(shift)))
    np.testing.assert_allclose(moved.score, semantic.score, atol=1e-3)


@given(models())
@settings(max_examples=15, deadline=None)
def test_the_search_is_never_worse_than_one_part_alone(drawn):
    parts, _ = drawn
    parts = [replace(part, label=np.maximum(part.label, 0)) for part in parts]
    weights, table = search_weights(parts, step=0.25)
    best = top_k_accuracy(fuse(parts, weights).score, parts[0].label, 1)
    assert best == table[0].top1 >= max(top_k_accuracy(part.score, part.label, 1) for part in parts)


@st.composite
def tables(draw, fewest=2):
    """Scores without ties and labels, some unknown."""
    clips, classes = draw(st.integers(1, 30)), draw(st.integers(fewest, 9))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    score = rng.permuted(np.tile(np.arange(classes, dtype=np.float64), (clips, 1)), axis=1)
    return score, rng.integers(-1, classes, clips), rng


@given(st.integers(2, 8), st.integers(1, 5), st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_with_classes_of_one_size_the_mean_class_accuracy_is_the_accuracy(classes, size, seed):
    rng = np.random.default_rng(seed)
    label = rng.permutation(np.repeat(np.arange(classes), size))
    score = rng.random((len(label), classes))
    assert mean_class_accuracy(score, label) == pytest.approx(top_k_accuracy(score, label, 1))
    assert np.mean(class_numbers(score, label).recall) == pytest.approx((score.argmax(1) == label).mean())


@given(tables(), st.integers(1, 9))
@settings(max_examples=60, deadline=None)
def test_only_the_order_of_a_row_counts(drawn, k):
    score, label, rng = drawn
    steps = np.cumsum(rng.uniform(0.1, 2, (len(score), score.shape[1])), axis=1) - rng.uniform(0, 9, (len(score), 1))
    other = np.take_along_axis(steps, score.astype(int), axis=1)
    assert top_k_accuracy(other, label, k) == top_k_accuracy(score, label, k)
    assert mean_class_accuracy(other, label) == mean_class_accuracy(score, label)
    assert macro_f1(other, label) == macro_f1(score, label)


@given(tables(), st.integers(2, 4), st.integers(1, 9))
@settings(max_examples=60, deadline=None)
def test_repeating_every_clip_changes_no_share(drawn, times, k):
    score, label, _ = drawn
    more, labels = np.tile(score, (times, 1)), np.tile(label, times)
    for measure in (lambda s, y: top_k_accuracy(s, y, k), mean_class_accuracy, macro_f1):
        assert measure(more, labels) == (pytest.approx(measure(score, label)) if (label >= 0).any() else None)
    np.testing.assert_array_equal(confusion_matrix(more, labels), times * confusion_matrix(score, label))


@given(tables(), st.integers(1, 9))
@settings(max_examples=60, deadline=None)
def test_clips_without_a_label_change_nothing(drawn, k):
    score, label, _ = drawn
    known = label >= 0
    for measure in (lambda s, y: top_k_accuracy(s, y, k), mean_class_accuracy, macro_f1):
        assert measure(score, label) == (measure(score[known], label[known]) if known.any() else None)
    np.testing.assert_array_equal(confusion_matrix(score, label), confusion_matrix(score[known], label[known]))


@given(tables(), st.integers(1, 9))
@settings(max_examples=60, deadline=None)
def test_the_whole_is_the_mean_of_its_parts(drawn, k):
    score, label, rng = drawn
    score, label = score[label >= 0], label[label >= 0]
    part = rng.random(len(label)) < 0.5
    hits = sum((top_k_accuracy(score[one], label[one], k) or 0) * one.sum() for one in (part, ~part) if one.any())
    assert len(label) == 0 or hits / len(label) == pytest.approx(top_k_accuracy(score, label, k))
    halves = [confusion_matrix(score[one], label[one]) for one in (part, ~part)]
    np.testing.assert_array_equal(sum(halves), confusion_matrix(score, label))


@given(tables())
@settings(max_examples=60, deadline=None)
def test_permuting_classes_permutes_their_numbers(drawn):
    score, label, rng = drawn
    order = rng.permutation(score.shape[1])
    renamed = np.where(label < 0, -1, np.argsort(order)[label])
    ours, other = class_numbers(score, label), class_numbers(score[:, order], renamed)
    for name in ("precision", "recall", "f1", "support", "predicted"):
        np.testing.assert_array_equal(getattr(other, name), getattr(ours, name)[order])
    confused = confusion_matrix(score[:, order], renamed)
    np.testing.assert_array_equal(confused, confusion_matrix(score, label)[np.ix_(order, order)])
    assert confused.trace() == np.sum(score.argmax(1) == label) and confused.sum() == np.sum(label >= 0)


@given(models(1))
@settings(max_examples=60, deadline=None)
def test_calibration_of_certainty_is_the_error_rate(drawn):
    (one,), rng = drawn
    label = np.maximum(one.label, 0)
    sure = np.eye(one.score.shape[1])[one.score.argmax(1)]
    assert calibration(sure, label).ece == pytest.approx(1 - top_k_accuracy(sure, label, 1))
    order = rng.permutation(len(label))
    assert calibration(one.score[order], label[order]).ece == pytest.approx(calibration(one.score, label).ece)
    assert 0 <= calibration(one.score, label).ece <= 1
