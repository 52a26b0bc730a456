"""Fusion of score files: the laws of a weighted sum, and what is refused."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyskl_semloss.errors import InputError
from pyskl_semloss.evaluation.calibration import softmax_rows
from pyskl_semloss.evaluation.fusion import align, as_semantic, fuse
from pyskl_semloss.evaluation.fusion_plan import is_validation, result_table, validation_notes
from pyskl_semloss.evaluation.metrics import accuracy_table
from pyskl_semloss.evaluation.scores import Scores

seeds = st.integers(0, 2**31)
weightings = st.tuples(st.floats(0.01, 100), st.floats(0.01, 100))


def model(seed, clips=40, classes=6, skill=1.5, prefix="", **extra):
    """Probabilities of a model that is right more often than not; the labels are those of every such model."""
    label = np.random.default_rng(0).integers(0, classes, clips)
    rng = np.random.default_rng(seed)
    logit = rng.normal(size=(clips, classes)) + skill * np.eye(classes)[label]
    power = np.exp(logit)
    ids = np.array([f"{prefix}c_{n}" for n in range(clips)])
    return Scores(ids, power / power.sum(1, keepdims=True), label, **extra)


def take(scores, order):
    cosine = scores.semantic_cosine
    return replace(
        scores,
        sample_id=scores.sample_id[order],
        score=scores.score[order],
        label=scores.label[order],
        semantic_cosine=None if cosine is None else cosine[order],
    )


@given(seeds, seeds, weightings)
@settings(max_examples=40, deadline=None)
def test_the_sum_is_numpys_average(one, two, weights):
    a, b = model(one), model(two)
    expected = np.average([a.score.astype(float), b.score.astype(float)], axis=0, weights=weights)
    fused = fuse([a, b], weights)
    np.testing.assert_allclose(fused.score, expected, atol=1e-7)
    np.testing.assert_array_equal(fused.label, a.label)
    assert fused.sample_id.tolist() == a.sample_id.tolist()


@given(seeds, seeds, weightings)
@settings(max_examples=40, deadline=None)
def test_shuffling_a_file_changes_nothing(one, two, weights):
    a, b = model(one, semantic_cosine=None), model(two)
    order = np.random.default_rng(one).permutation(len(a.label))
    straight, shuffled = fuse([a, b], weights), fuse([a, take(b, order)], weights)
    np.testing.assert_array_equal(straight.score, shuffled.score)
    first = fuse([take(a, order), b], weights)
    assert first.sample_id.tolist() == a.sample_id[order].tolist()
    np.testing.assert_array_equal(first.score, straight.score[order])


@given(seeds, weightings)
@settings(max_examples=40, deadline=None)
def test_fusing_a_file_with_itself_changes_nothing(seed, weights):
    a = model(seed)
    fused = fuse([a, a], weights)
    np.testing.assert_array_equal(fused.score.argmax(1), a.score.argmax(1))
    np.testing.assert_allclose(fused.score, a.score, atol=1e-6)


@given(seeds, weightings, st.floats(0.01, 100))
@settings(max_examples=30, deadline=None)
def test_laws_of_the_weights(seed, weights, factor):
    a, b = model(seed), model(seed + 1)
    fused = fuse([a, b], weights).score
    np.testing.assert_allclose(fuse([b, a], weights[::-1]).score, fused, atol=1e-6)
    np.testing.assert_allclose(fuse([a, b], [factor * w for w in weights]).score, fused, atol=1e-6)
    np.testing.assert_array_equal(fuse([a, b], [factor, 0]).score, a.score)
    np.testing.assert_allclose(fused.sum(1), 1, atol=1e-5)
    classes = np.random.default_rng(seed).permutation(6)
    renamed = [replace(one, score=one.score[:, classes], label=np.argsort(classes)[one.label]) for one in (a, b)]
    np.testing.assert_array_equal(fuse(renamed, weights).score, fused[:, classes])


def test_the_papers_weights_by_hand():
    ids = np.array(["a"])
    joint = Scores(ids, np.array([[0.6, 0.4]]), np.array([1]))
    limb = Scores(ids, np.array([[0.4, 0.6]]), np.array([1]))
    np.testing.assert_allclose(fuse([joint, limb], [2, 3]).score, [[0.48, 0.52]], atol=1e-7)


A = model(1)


REFUSALS = [
    (take(A, np.arange(3, 40)), r"b.npz: field 'sample_id': it lacks 3 of the 40 clips of a.npz: 'c_0', 'c_1', 'c_2'"),
    (replace(A, sample_id=np.where(A.sample_id == "c_1", "new", A.sample_id)), "lacks 1 .*: 'c_1'; it has 1 .*'new'"),
    (model(2, clips=45), "it has 5 clips that a.npz lacks: 'c_40', 'c_41', 'c_42' and 2 more"),
    (model(2, classes=7), "b.npz: field 'score': it has 7 classes, but a.npz has 6"),
    (replace(A, label=np.where(np.arange(40) == 4, (A.label + 1) % 6, A.label)), "b.npz: clip 'c_4': field 'label'"),
    (replace(A, score=A.score - 1), r"b.npz: clip 'c_0'.*no probabilities \(they sum to -5.*a.npz are.*--logits"),
    (replace(A, score=A.score * (np.arange(40) != 7)[:, None]), "scores of 1 of 40 clips are no prob.*'c_7'"),
    (replace(A, class_names=tuple("abcxef")), "class 3 is 'x', but 'd' in a.npz"),
]


@pytest.mark.parametrize(("other", "message"), REFUSALS)
def test_files_that_do_not_belong_together_are_refused(other, message):
    first = replace(A, source="a.npz", class_names=tuple("abcdef"))
    with pytest.raises(InputError, match=message):
        fuse([first, replace(other, source="b.npz")], [1, 1])


def test_files_without_a_name_are_numbered():
    with pytest.raises(InputError, match="^part 2: field 'score': it has 7 classes, but part 1 has 6"):
        fuse([A, model(2, classes=7)], [1, 1])
    with pytest.raises(InputError, match="^part 2: .*it lacks 3 of the 40 clips of part 1"):
        fuse([A, take(A, np.arange(3, 40))], [1, 1])


def test_large_scores_do_not_overflow():
    expected = 1 / (1 + np.exp(-1.0))
    for shift in (0, 2000, -2000):
        np.testing.assert_allclose(softmax_rows(np.array([[1.0, 0.0]]) + shift), [[expected, 1 - expected]], rtol=1e-12)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1], "got 1 for 2"),
        ([1, 1, 1], "got 3 for 2"),
        ([1, -1], "not negative"),
        ([0, 0], "not all zero"),
        ([1, np.nan], "got 1 nan"),
        ([np.inf, 1], "got inf 1"),
    ],
)
def test_wrong_weights_are_refused(weights, message):
    with pytest.raises(InputError, match=message):
        fuse([A, A], weights)


def test_no_parts_are_refused_and_one_is_itself():
    with pytest.raises(InputError, match="got none"):
        align([])
    np.testing.assert_array_equal(fuse([A], [5]).score, A.score)


def test_labels_of_one_part_serve_all_and_class_names_too():
    unlabelled = replace(A, label=np.full(40, -1), class_names=tuple("abcdef"))
    half = replace(A, label=np.where(np.arange(40) < 20, A.label, -1))
    fused = fuse([unlabelled, half, A], [1, 1, 1])
    np.testing.assert_array_equal(fused.label, A.label)
    assert fused.class_names == tuple("abcdef")
    np.testing.assert_array_equal(align([unlabelled, half])[0].label, half.label)


def test_logits_need_a_word():
    logits = replace(A, score=np.log(A.score) + 3)
    np.testing.assert_allclose(fuse([logits, A], [1, 1], softmax=True).score, A.score, atol=1e-6)
    with pytest.warns(UserWarning, match="summed as they are"):
        np.testing.assert_allclose(fuse([logits, logits], [1, 3]).score, logits.score, atol=1e-5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fuse([logits, logits], [1, 3], softmax=True)
        rough = replace(A, score=A.score.astype(np.float16) * np.float16(1.004))
        fuse([rough, A], [1, 1])  # half precision is still a probability


def test_a_file_of_which_half_is_probabilities_is_damaged_and_of_which_less_is_none():
    def spoiled(count):
        return replace(A, score=A.score + 3 * (np.arange(40) < count)[:, None], source="b.npz")

    with pytest.raises(InputError, match="scores of 20 of 40 clips are no prob.*: 'c_0', 'c_1', 'c_2' and 17 more"):
        fuse([spoiled(20)], [1])
    with pytest.raises(
        InputError, match=r"b.npz: clip 'c_0'.*\(they sum to 19, the lowest is 3\.\d+\), but those of part 1"
    ):
        fuse([A, spoiled(21)], [1, 1])
    with pytest.warns(UserWarning, match="no probabilities; they are summed as they are"):
        np.testing.assert_allclose(fuse([spoiled(21)], [1]).score, spoiled(21).score)


def test_who_disagrees_with_whom_is_named():
    """The label of a clip comes from the first part that knows it."""
    ours = [replace(A, label=np.where(np.arange(40) < known, A.label, -1)) for known in (0, 5, 40)]
    a, b, c = (replace(part, source=f"{name}.npz") for part, name in zip(ours, "abc", strict=True))
    odd = replace(A, source="d.npz", label=np.where(np.isin(np.arange(40), (3, 7)), (A.label + 1) % 6, A.label))
    with pytest.raises(
        InputError, match=rf"d.npz: clip 'c_3'.*{odd.label[3]}, but {A.label[3]} in b.npz .*'c_3', 'c_7'"
    ):
        align([a, b, c, odd])
    odd = replace(odd, label=np.where(np.arange(40) == 7, (A.label + 1) % 6, A.label))
    with pytest.raises(InputError, match=r"d.npz: clip 'c_7'.* in c.npz"):
        align([a, b, c, odd])
    for true in range(6):
        clip = int(np.flatnonzero(A.label == true)[0])
        odd = replace(odd, label=np.where(np.arange(40) == clip, (A.label + 1) % 6, A.label))
        with pytest.raises(InputError, match=rf"d.npz: clip 'c_{clip}'.*, but {true} in c.npz"):
            align([c, replace(c, source="e.npz"), odd])


def test_semantic_scores():
    cosine = np.linspace(-1, 1, 240).reshape(40, 6)
    named = replace(A, semantic_cosine=cosine, source="a.npz")
    power = np.exp(cosine / 0.1)
    np.testing.assert_allclose(as_semantic(named).score, power / power.sum(1, keepdims=True), rtol=1e-4)
    other = replace(A, semantic_cosine=-cosine)
    np.testing.assert_allclose(fuse([named, other], [3, 1]).semantic_cosine, cosine / 2, atol=1e-6)
    assert fuse([named, A], [1, 1]).semantic_cosine is None
    with pytest.raises(InputError, match="no semantic scores"):
        as_semantic(A)


def test_the_table():
    unlabelled = replace(A, label=np.full(40, -1))
    perfect = replace(A, score=np.eye(6)[A.label], semantic_cosine=np.eye(6)[(A.label + np.arange(40) % 2) % 6])
    lines = accuracy_table([("one", "2", perfect), ("two", "", unlabelled)]).splitlines()
    assert lines[0].split() == ["weight", "Top-1", "Top-5", "mean-class", "nearest-name", "clips", "labelled"]
    assert lines[1].split() == ["one", "2", "100.00", "100.00", "100.00", "50.00", "40", "40"]
    assert lines[2].split() == ["two", "-", "-", "-", "-", "40", "0"]
    assert "weight" not in accuracy_table([("one", "", A)]) and "nearest" not in accuracy_table([("one", "", A)])


def named():
    """Clips a and b are told by the classifier, c by the name; no weighting tells d, whose label is unknown."""
    score = np.array([[0.9, 0.1], [0.3, 0.7], [0.55, 0.45], [0.5, 0.5]])
    cosine = np.array([[0.5, 0.5], [0.45, 0.5], [0.0, 0.9], [0.1, 0.2]])
    return Scores(np.array(list("abcd")), score, np.array([0, 1, 1, -1]), semantic_cosine=cosine)


def test_classifier_and_nearest_name_have_a_line_each():
    lines = result_table("joint", named()).splitlines()
    assert lines[0].split() == ["Top-1", "Top-5", "mean-class", "clips", "labelled"]
    # The classifier is right on a and b, the name on b and c and, of equal cosines the lower class, on a.
    assert lines[1].split() == ["joint,", "classifier", "66.67", "100.00", "75.00", "4", "3"]
    assert lines[2].split() == ["joint,", "nearest", "name", "100.00", "100.00", "100.00", "4", "3"]
    assert len(result_table("joint", A).splitlines()) == 2


def test_the_best_weights_on_a_validation_split_are_said_with_a_caution_and_a_command():
    scores = named()
    first, caution, command = validation_notes(scores, "my val.npz", "test.npz")
    near = np.exp(scores.semantic_cosine / 0.1)
    near /= near.sum(1, keepdims=True)
    tried = {step: (1 - step / 20) * scores.score + step / 20 * near for step in range(21)}
    right = {step: (fused.argmax(1) == scores.label)[:3].mean() for step, fused in tried.items()}
    best = min((-top1, round(abs(step - 10)), -step) for step, top1 in right.items())
    assert best == (-1.0, 0, -10) and right[0] == pytest.approx(2 / 3)
    assert first == (
        "The weights 0.5 of the classifier and 0.5 of the nearest name are the best of 21 on these 3 clips: "
        "Top-1 100.00, the classifier alone 66.67."
    )
    assert "chosen on these clips" in caution and "too optimistic" in caution
    assert command == "  semloss fuse test.npz test.npz:semantic --search-on 'my val.npz' 'my val.npz:semantic'"
    logits = replace(scores, score=np.log(scores.score))
    assert validation_notes(logits, "v.npz", "t.npz")[0] == first
    assert validation_notes(logits, "v.npz", "t.npz")[2].endswith(" v.npz:semantic --logits")
    assert validation_notes(A, "v.npz", "t.npz") == []
    assert validation_notes(replace(scores, label=np.full(4, -1)), "v.npz", "t.npz") == []


@pytest.mark.parametrize("split", ["val", "valid", "Validation", "xsub_val", "val2", "val_1"])
def test_splits_for_validation(split):
    assert is_validation(split)
    assert not any(map(is_validation, ("test", "interval", "evaluation", "xsub_test", "value", "", None)))
