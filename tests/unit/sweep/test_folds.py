"""The draw of the folds, the options of each run, and label vectors that are fitted to the trained classes."""

import json
from pathlib import Path

import numpy as np
import pytest

from pyskl_semloss.annotations import AnnotationSet, Clip, write_annotations
from pyskl_semloss.errors import InputError
from pyskl_semloss.semantic.label_vectors import LabelVectors, build_label_vectors
from pyskl_semloss.semantic.targets import transform
from pyskl_semloss.sweep.folds import (
    FoldDescriber,
    classes_to_hold_out,
    draw_folds,
    plan_folds,
    read_labels,
    transformed_for,
)
from pyskl_semloss.sweep.settings import check_folder, check_others

NAMES = ["swipe left", "swipe right", "draw x", "draw circle", "sit down"]


@pytest.mark.parametrize(("classes", "hold_out", "folds"), [(27, 5, 5), (10, 5, 2), (6, 2, 3)])
def test_folds_are_disjoint_where_there_are_classes_enough(classes, hold_out, folds):
    drawn = draw_folds(range(classes), hold_out, folds, seed=3)
    flat = [label for fold in drawn for label in fold]
    assert len(drawn) == folds and all(len(fold) == hold_out for fold in drawn)
    assert len(set(flat)) == len(flat) == hold_out * folds


def test_no_class_is_drawn_again_before_all_were():
    drawn = draw_folds([2, 3, 5, 7, 11], 2, 50, seed=1)
    counts = {label: 0 for label in (2, 3, 5, 7, 11)}
    for fold in drawn:
        assert len(set(fold)) == 2 and list(fold) == sorted(fold)
        for label in fold:
            counts[label] += 1
        assert max(counts.values()) - min(counts.values()) <= 2
    assert set(counts.values()) == {20}


def test_the_draw_depends_on_the_seed_alone():
    assert draw_folds(range(27), 5, 5, seed=0) == draw_folds(range(27), 5, 5, seed=0)
    assert draw_folds(range(27), 5, 5, seed=0) != draw_folds(range(27), 5, 5, seed=1)
    # More folds leave the first ones as they are.
    assert draw_folds(range(27), 5, 9, seed=0)[:5] == draw_folds(range(27), 5, 5, seed=0)


def test_numbers_that_cannot_be_are_refused():
    for hold_out, folds, said in ((5, 1, "fewer than the 5 classes"), (0, 1, "at least 1, got 0"), (2, 0, "at least")):
        with pytest.raises(InputError, match=said):
            draw_folds(range(5), hold_out, folds)
    with pytest.raises(InputError, match=r"seeds.*got -1"):
        draw_folds(range(5), 2, 1, seed=-1)


def test_classes_without_clips():
    train, test = np.array([0, 1, 2, 3, 4, 4]), np.array([0, 1, -1, 4])
    assert classes_to_hold_out(NAMES, train, test) == [0, 1, 4]
    with pytest.raises(InputError, match=r"(?s)2 of the 5 classes have no clip in the training split.*'draw circle'"):
        classes_to_hold_out(NAMES, np.array([0, 1, 2]), test)


def test_transforms_are_fitted_to_the_trained_classes_alone():
    labels = build_label_vectors(NAMES, "hash:9:0")
    result = transformed_for(labels, [1, 3], ["centred"])
    seen = build_label_vectors([NAMES[0], NAMES[2], NAMES[4]], "hash:9:0")
    np.testing.assert_array_equal(result.vectors[[0, 2, 4]], transform(seen, ["centred"]).vectors)
    np.testing.assert_allclose(result.vectors[[0, 2, 4]].sum(0), 0, atol=1e-5)
    assert result.class_names == labels.class_names and result.words == labels.words
    assert result.notes["transform"] == ["centred"] and result.notes["fitted_without"] == [1, 3]
    # The unseen ones are shifted and scaled as the trained ones are.
    factor = result.vectors[0] - result.vectors[2]
    np.testing.assert_allclose(
        (result.vectors[1] - result.vectors[0]) * (labels.vectors[0] - labels.vectors[2]),
        (labels.vectors[1] - labels.vectors[0]) * factor, atol=1e-4,
    )  # fmt: skip
    assert transformed_for(labels, [1], []) is labels


@pytest.fixture
def place(tmp_path):
    """A config that is read as it stands in CONFIG, clips of five classes and their label vectors."""
    keypoint = np.ones((1, 4, 22, 2), np.float32)
    clips = [Clip(f"c{n}", n % 5, (9, 9), (9, 9), keypoint * (n + 1), keypoint[..., 0]) for n in range(20)]
    ids = [clip.frame_dir for clip in clips]
    write_annotations(tmp_path / "data.pkl", AnnotationSet({"train": ids[:12], "test": ids[12:]}, clips))
    build_label_vectors(NAMES, "hash:9:0").save(tmp_path / "v.npz")
    (tmp_path / "joint.py").write_text("")
    return tmp_path


def config_of(place, **changes):
    def loader(split):
        return {"dataset": {"type": "KeypointDataset", "ann_file": str(place / "data.pkl"), "split": split}}

    head = {"type": "SemanticEmbeddingHead", "label_vectors": str(place / "v.npz"), "alpha": 3.0}
    config = {"model": {"cls_head": head}, "train_cfg": {"max_epochs": 2}}
    config |= {"train_dataloader": loader("train"), "val_dataloader": loader("test"), "test_dataloader": loader("test")}
    return {**config, **changes}


def describer_of(place, transforms=(), **changes):
    return FoldDescriber(place / "out", lambda path, options: config_of(place, **changes), NAMES, ["a=1"],
                         transforms=transforms)  # fmt: skip


def test_a_run_leaves_its_classes_out_of_training_and_loss(place):
    runs = plan_folds(place / "joint.py", [(1, 3), (0, 4)], alpha=3.0, seed=7, vectors=["given", "shuffled"])
    assert [(run.name, run.unseen, run.seed) for run in runs] == [
        ("fold0_given_seed7_joint", (1, 3), 7), ("fold0_shuffled_seed7_joint", (1, 3), 7),
        ("fold1_given_seed8_joint", (0, 4), 8), ("fold1_shuffled_seed8_joint", (0, 4), 8),
    ]  # fmt: skip
    describer = describer_of(place)
    options = describer.all_options(runs[0])
    assert options == ["a=1", "model.cls_head.alpha=3", "model.cls_head.seen_classes=[0,2,4]",
                       "train_dataloader.dataset.only_classes=[0,2,4]",
                       "val_dataloader.dataset.only_classes=[0,2,4]"]  # fmt: skip
    settings = describer.describe(runs[0])
    assert settings["unseen"] == [1, 3] and settings["class_names"] == NAMES and settings["alpha"] == 3.0
    repeated = {"type": "RepeatDataset", "dataset": config_of(place)["train_dataloader"]["dataset"]}
    options = describer_of(place, train_dataloader={"dataset": repeated}).all_options(runs[2])
    assert "train_dataloader.dataset.dataset.only_classes=[1,2,3]" in options
    other = describer_of(place, train_dataloader={"dataset": {"type": "PoseDataset"}})
    with pytest.raises(InputError, match="train_dataloader.dataset.*expected a KeypointDataset"):
        other.all_options(runs[0])


def test_vectors_of_a_run_are_controls_and_then_transformed(place):
    runs = plan_folds(place / "joint.py", [(1, 3)], alpha=3.0, vectors=["given", "shuffled"])
    plain, centring = describer_of(place), describer_of(place, ["centred"])
    assert plain.vectors_file(runs[0]) is None
    for describer, run in ((plain, runs[1]), (centring, runs[0]), (centring, runs[1])):
        describer.make_vectors(run)
        file = Path(describer.vectors_file(run))
        assert f"model.cls_head.label_vectors={file}" in describer.all_options(run)
        made = LabelVectors.load(file)
        given = build_label_vectors(NAMES, "hash:9:0")
        if describer is centring:
            np.testing.assert_allclose(made.vectors[[0, 2, 4]].sum(0), 0, atol=1e-5)
        else:
            assert not (made.vectors == given.vectors).all(1).any()
        assert made.notes.get("control") == ("shuffled" if run is runs[1] else None)


def test_a_folder_of_other_classes_or_transforms_is_refused(place):
    runs = plan_folds(place / "joint.py", [(1, 3)], alpha=3.0, vectors=["given"])
    folder = place / "out" / runs[0].name
    folder.mkdir(parents=True)
    settings = describer_of(place).describe(runs[0])
    (folder / "settings.json").write_text(json.dumps(settings))
    assert check_folder(folder, settings) == "cut off"
    other = plan_folds(place / "joint.py", [(1, 4)], alpha=3.0, vectors=["given"])[0]
    with pytest.raises(InputError, match=r"unseen \[1, 3\] there, \[1, 4\] now"):
        check_folder(folder, describer_of(place).describe(other))
    with pytest.raises(InputError, match=r'transform \[\] there, \["centred"\] now'):
        check_folder(folder, describer_of(place, ["centred"]).describe(runs[0]))
    # Another seed has another folder, but stands in the same row of the table.
    more = plan_folds(place / "joint.py", [(0, 2), (3,)], alpha=3.0, seed=5, vectors=["given"])
    check_others(place / "out", describer_of(place).describe(more[0]))
    with pytest.raises(InputError, match=r'transform \[\] there, \["centred"\] now'):
        check_others(place / "out", describer_of(place, ["centred"]).describe(more[0]))
    with pytest.raises(InputError, match="held_out 2 there, 1 now"):
        check_others(place / "out", describer_of(place).describe(more[1]))


def test_labels_are_read_and_what_is_not_there_is_named(place):
    vectors, labels = read_labels(config_of(place), "train", place / "joint.py")
    assert vectors.class_names == tuple(NAMES) and np.bincount(labels).tolist() == [3, 3, 2, 2, 2]
    with pytest.raises(InputError, match="joint.py.*has no semantic branch.*SemanticEmbeddingHead"):
        read_labels(config_of(place, model={"cls_head": {"type": "I3DHead"}}), "train", place / "joint.py")
    loader = config_of(place)["train_dataloader"]
    loader["dataset"]["only_classes"] = [0, 1]
    with pytest.raises(InputError, match=r"train_dataloader\.dataset\.only_classes.*each fold sets it"):
        read_labels(config_of(place, train_dataloader=loader), "train", place / "joint.py")
    head = {**config_of(place)["model"]["cls_head"], "seen_classes": [0, 1]}
    with pytest.raises(InputError, match=r"model\.cls_head\.seen_classes.*each fold sets it"):
        read_labels(config_of(place, model={"cls_head": head}), "train", place / "joint.py")
    transform(vectors, ["centred"]).save(place / "centred.npz")
    head = {**config_of(place)["model"]["cls_head"], "label_vectors": str(place / "centred.npz")}
    with pytest.raises(InputError, match=r"centred\.npz.*transformed.*with the names of all classes.*--transform"):
        read_labels(config_of(place, model={"cls_head": head}), "train", place / "joint.py")
    (place / "data.pkl").unlink()
    with pytest.raises(InputError, match="train_dataloader.dataset.ann_file"):
        read_labels(config_of(place), "train", place / "joint.py")
    (place / "v.npz").unlink()
    with pytest.raises(InputError, match="label_vectors"):
        read_labels(config_of(place), "train", place / "joint.py")
    with pytest.raises(InputError, match="expected some of given, hash, shuffled, random, got 'baseline'"):
        plan_folds(place / "joint.py", [(1,)], alpha=3.0, vectors=["baseline"])
