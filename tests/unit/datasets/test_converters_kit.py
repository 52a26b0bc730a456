"""The kit's arrays: what was written is what the annotation file holds; wrong shapes, names and pickles are refused."""

import pickle
from dataclasses import replace

import numpy as np
import pytest

from helpers.raw_formats import forged, imigue_clips, named, same_clips, smg_clips, write_kit
from pyskl_semloss.annotations import read_annotations
from pyskl_semloss.datasets import IMIGUE, SMG, SplitOptions, convert_kit
from pyskl_semloss.errors import InputError


def sets_of(clips):
    return {
        "train": named(clips[:12], "0001_{}") + named(clips[12:20], "0002_{}"),
        "valid": named(clips[20:24], "0003_{}"),
        "test": named(clips[24:], "0004_{}"),
    }


@pytest.fixture
def kit(tmp_path):
    sets = sets_of(imigue_clips(32))
    return tmp_path / "kit", sets, write_kit(tmp_path / "kit", sets)


def test_imigue_round_trip_without_padding(kit, tmp_path):
    source, sets, expected = kit
    seen = []
    summary = convert_kit(IMIGUE, source, tmp_path / "a.pkl", progress=lambda *counts: seen.append(counts))
    found, _ = read_annotations(tmp_path / "a.pkl")
    assert same_clips(found.clips, expected) and seen[-1] == (32, 32)
    assert len({clip.total_frames for clip in found.clips}) > 5 and max(c.total_frames for c in found.clips) == 90
    for name, split in (("train", "train"), ("valid", "val"), ("test", "test")):
        assert found.splits[split] == [clip.frame_dir for clip in sets[name]]
    trimmed = sum(90 - clip.total_frames for clip in expected)
    assert summary["findings"]["counts"]["padding_trimmed"] == trimmed and summary["padding"] == "trimmed"
    assert (tmp_path / "a.json").exists() and "Clips of each class" in (tmp_path / "a.md").read_text()


def test_padding_kept_as_the_paper_did(kit, tmp_path):
    source, sets, expected = kit
    summary = convert_kit(IMIGUE, source, tmp_path / "a.pkl", keep_padding=True)
    found, _ = read_annotations(tmp_path / "a.pkl")
    assert {clip.total_frames for clip in found.clips} == {90} and summary["padding"] == "kept"
    data = np.load(source / "train_data.npy")
    for at, clip in enumerate(found.of_split("train")):
        assert (clip.keypoint[0] == data[at, :2, :, :, 0].transpose(1, 2, 0)).all()
        assert (clip.keypoint_score[0] == data[at, 2, :, :, 0]).all()


def test_only_zeros_at_the_end_are_padding(tmp_path):
    clip = imigue_clips(1, frames=30)[0]
    points, scores = clip.keypoint.copy(), clip.keypoint_score.copy()
    points[:, [0, 7]], scores[:, [0, 7]] = 0, 0
    zero = replace(clip, keypoint=points * 0, keypoint_score=scores * 0)
    write_kit(tmp_path, {"test": named([replace(clip, keypoint=points, keypoint_score=scores), zero], "0001_{}")})
    summary = convert_kit(IMIGUE, tmp_path, tmp_path / "a.pkl", strict=True)
    first, second = read_annotations(tmp_path / "a.pkl")[0].clips
    assert (first.keypoint == points).all() and second.total_frames == 1 and not second.keypoint.any()
    assert summary["findings"]["counts"]["zero_clips"] == 1


def test_smg_round_trip_by_kit_sets(tmp_path):
    clips = smg_clips(32)
    sets = {"train": named(clips[:20], "Sample0001{}"), "test": named(clips[20:], "Sample0036{}")}
    expected = write_kit(tmp_path / "kit", sets, frames=60)
    summary = convert_kit(SMG, tmp_path / "kit", tmp_path / "a.pkl")
    found, _ = read_annotations(tmp_path / "a.pkl")
    assert same_clips(found.clips, expected) and sorted(found.splits) == ["test", "train"]
    assert summary["split_videos"] == {"train": ["Sample0001"], "test": ["Sample0036"]}
    metres = [replace(clip, keypoint=clip.keypoint / 1000) for clip in clips]
    write_kit(tmp_path / "metres", {"train": named(metres, "Sample0001{}")}, frames=60)
    with pytest.raises(InputError, match=r"train_data.npy: .*metres.*command smg"):
        convert_kit(SMG, tmp_path / "metres", tmp_path / "b.pkl")


def test_damaged_points_and_labels(tmp_path):
    clips = named(imigue_clips(5, frames=10), "0001_{}")
    points = clips[1].keypoint.copy()
    points[0, 2, 3] = np.nan, 5
    points[0, 4, 5] = 1e8, 5
    clips[1] = forged(clips[1], keypoint=points)
    clips[2], clips[3] = forged(clips[2], label=32), forged(clips[3], label=-1)
    clips[4] = forged(clips[4], keypoint_score=clips[4].keypoint_score * 100)
    write_kit(tmp_path, {"train": clips})
    summary = convert_kit(IMIGUE, tmp_path, tmp_path / "a.pkl", labels_from=0)
    found, _ = read_annotations(tmp_path / "a.pkl", unknown_labels=True)
    assert [(clip.frame_dir, clip.label) for clip in found.clips] == [
        ("0001_0", clips[0].label),
        ("0001_1", clips[1].label),
        ("0001_3", -1),
    ]
    mended = found.clips[1]
    for at in ((0, 2, 3), (0, 4, 5)):
        assert not mended.keypoint[at].any() and mended.keypoint_score[at] == 0
    counts = summary["findings"]["counts"]
    kinds = ("points_not_finite", "points_absurd", "labels_unknown", "labels_hidden", "clips_refused")
    assert [counts[kind] for kind in kinds] == [1, 1, 1, 1, 1]
    assert "entry 2 of the array" in summary["findings"]["examples"]["points_absurd"][0]
    with pytest.raises(InputError, match=r"train_data.npy: clip '0001_1': 1 point.*entry 2 of the array"):
        convert_kit(IMIGUE, tmp_path, tmp_path / "b.pkl", strict=True, labels_from=0)


def test_labels_that_count_from_1_are_asked_about(tmp_path):
    """Else each is one class off, and the clips of the last class are dropped."""
    clips = imigue_clips(32, frames=9)
    from_1 = [forged(clip, label=clip.label + 1) for clip in clips]
    write_kit(tmp_path, {"train": named(from_1[:20], "0001_{}"), "test": named(from_1[20:], "0002_{}")})
    words = r"no label is 0 and some are 32, but 32 classes counted from 0 end with 31\. Do they .* --labels-from 1"
    for strict in (False, True):
        with pytest.raises(InputError, match=words):
            convert_kit(IMIGUE, tmp_path, tmp_path / "a.pkl", strict=strict)
    assert not (tmp_path / "a.pkl").exists()
    convert_kit(IMIGUE, tmp_path, tmp_path / "a.pkl", labels_from=1)
    assert [clip.label for clip in read_annotations(tmp_path / "a.pkl")[0].clips] == [clip.label for clip in clips]
    hidden = [forged(clip, label=-1) for clip in clips]
    write_kit(tmp_path, {"train": named(from_1, "0001_{}"), "test": named(hidden, "0002_{}")})
    convert_kit(IMIGUE, tmp_path, tmp_path / "a.pkl", labels_from=1)
    found = read_annotations(tmp_path / "a.pkl", unknown_labels=True)[0]
    assert [clip.label for clip in found.of_split("test")] == [-1] * 32


@pytest.mark.parametrize("strict", [False, True])
def test_a_list_that_fits_no_clip_is_refused(kit, tmp_path, strict):
    source, _, _ = kit
    with pytest.raises(InputError, match="list of 'test', 1 of 1 ids fit no clip and no video"):
        convert_kit(IMIGUE, source, tmp_path / "a.pkl", SplitOptions({"test": ["0004_0,0004_1"]}), strict=strict)
    assert not (tmp_path / "a.pkl").exists()


def test_where_a_list_leaves_out_a_set_of_the_kit_it_does_not_train(kit, tmp_path):
    source, sets, _ = kit
    summary = convert_kit(IMIGUE, source, tmp_path / "a.pkl", SplitOptions({"val": ["0002"]}, val_fraction=0.5))
    assert summary["split_videos"] == {"train": ["0001"], "val": ["0002"], "test": ["0004"]}
    assert summary["findings"]["counts"]["clips_without_split"] == len(sets["valid"])
    assert "but those that the source sets apart" in summary["split_rule"]


def relabel(source, content):
    (source / "train_label.pkl").write_bytes(pickle.dumps(content))


NAMES = [f"0001_{at}" for at in range(20)]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ((NAMES[:19], [0] * 19), "it has 19 names, but train_data.npy has 20 clips"),
        ((NAMES, [0] * 19), "as many names as labels, got 20 and 19"),
        ((NAMES, "text"), "as many names as labels, got 20 and str"),
        ([NAMES], "a pair"),
        ({"names": NAMES}, "a pair"),
        (([*NAMES[:19], 7], [0] * 20), "row 20: expected a name, got 7"),
        ((NAMES, [0] * 19 + [1.5]), "row 20: expected a whole number as label, got 1.5"),
        (([*NAMES[:19], NAMES[0]], [0] * 20), "clip '0001_0': two clips have this name"),
        ((np.array(NAMES, object), [0] * 20), "an object array"),
        ((NAMES, np.array([0] * 20, object)), "an object array"),
        (print, "not executed"),
    ],
)
def test_label_files_that_are_refused(kit, tmp_path, content, words):
    source, _, _ = kit
    relabel(source, content)
    with pytest.raises(InputError, match=words) as error:
        convert_kit(IMIGUE, source, tmp_path / "a.pkl")
    assert str(error.value.file).endswith("train_label.pkl") and not (tmp_path / "a.pkl").exists()


def test_label_files_of_arrays_and_of_python_2(kit, tmp_path):
    source, sets, expected = kit
    names, labels = [clip.frame_dir for clip in sets["train"]], [clip.label for clip in sets["train"]]
    for content in ((np.array(names), np.array(labels)), [names, [np.int64(label) for label in labels]]):
        relabel(source, content)
        convert_kit(IMIGUE, source, tmp_path / "a.pkl")
        assert same_clips(read_annotations(tmp_path / "a.pkl")[0].clips, expected)
    write_kit(source, sets, protocol=2)
    convert_kit(IMIGUE, source, tmp_path / "a.pkl")
    assert same_clips(read_annotations(tmp_path / "a.pkl")[0].clips, expected)


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.ones((20, 3, 90, 25, 1), "f4"), r"22 joints.*got \(20, 3, 90, 25, 1\)"),
        (np.ones((20, 2, 90, 22, 1), "f4"), "got"),
        (np.ones((20, 3, 90, 22, 2), "f4"), "1 person"),
        (np.ones((20, 3, 90, 22), "f4"), "got"),
        (np.ones((20, 3, 0, 22, 1), "f4"), "got"),
        (np.full((20, 3, 90, 22, 1), "x"), "of numbers"),
        (np.full((20, 3, 9, 22, 1), None), "cannot be read"),
        (None, "there is no such file"),
    ],
)
def test_arrays_that_are_refused(kit, tmp_path, array, words):
    source, _, _ = kit
    (source / "train_data.npy").unlink()
    if array is not None:
        np.save(source / "train_data.npy", array)
    with pytest.raises(InputError, match=words) as error:
        convert_kit(IMIGUE, source, tmp_path / "a.pkl")
    assert str(error.value.file).endswith("train_data.npy")


def test_other_files_that_are_refused(kit, tmp_path):
    source, _, _ = kit
    (source / "train_data.npy").write_bytes((source / "train_data.npy").read_bytes()[:5000])
    with pytest.raises(InputError, match="train_data.npy: expected an array"):
        convert_kit(IMIGUE, source, tmp_path / "a.pkl")
    with open(source / "train_data.npy", "wb") as stream:
        np.savez(stream, a=np.ones(3))
    with pytest.raises(InputError, match="an archive of several"):
        convert_kit(IMIGUE, source, tmp_path / "a.pkl")
    (source / "train_label.pkl").unlink()
    with pytest.raises(InputError, match="train_label.pkl: there is no such file"):
        convert_kit(IMIGUE, source, tmp_path / "a.pkl")
    with pytest.raises(InputError, match="no set of the challenge kit"):
        convert_kit(IMIGUE, tmp_path, tmp_path / "a.pkl")
    with pytest.raises(InputError, match="ends in .pkl"):
        convert_kit(IMIGUE, source, tmp_path / "a.npz")


def test_validation_is_split_off_by_video_where_the_kit_has_none(tmp_path):
    clips = imigue_clips(32)
    train = sum((named(clips[at::8], f"{at:04d}_{{}}") for at in range(8)), [])
    write_kit(tmp_path, {"train": train})
    summary = convert_kit(IMIGUE, tmp_path, tmp_path / "a.pkl", SplitOptions(val_fraction=0.25, seed=3))
    assert summary["splits"] == {"train": 24, "val": 8} and len(summary["split_videos"]["val"]) == 2
    assert "0.25 of the training videos validate, chosen with the seed 3" in summary["split_rule"]


def test_sets_that_share_a_video_stay_the_sets(tmp_path):
    clips = imigue_clips(32, frames=9)
    train, valid = named(clips[:20], "0001_{}"), named(clips[20:], "0001_1{}")
    valid = [replace(clip, frame_dir=f"0001_{100 + at}") for at, clip in enumerate(valid)]
    write_kit(tmp_path, {"train": train, "valid": valid})
    summary = convert_kit(IMIGUE, tmp_path, tmp_path / "a.pkl")
    assert summary["splits"] == {"train": 20, "val": 12}
    assert summary["split_rule"] == "the sets of the kit (1 of the videos have clips in several splits)"


def test_a_folder_without_a_set_says_where_one_is(kit, tmp_path):
    source, _, _ = kit
    (source / "empty").mkdir()
    for path, words in (
        (tmp_path, "no set of the challenge kit is in it. Give .*/kit"),
        (source / "empty", "Expected for example train_data.npy"),
        (source / "train_data.npy", "it is a file, expected a folder"),
        (tmp_path / "kitt", "there is no such folder. Did you mean '.*/kit'"),
    ):
        with pytest.raises(InputError, match=words):
            convert_kit(IMIGUE, path, tmp_path / "b.pkl")
    with pytest.raises(InputError, match=r"25 joints.*got \(20, 3, 90, 22, 1\).*So many joints has iMiGUE, imigue-kit"):
        convert_kit(SMG, source, tmp_path / "b.pkl")
    for name in ("train", "valid", "test"):
        (source / f"{name}_data.npy").rename(source / f"{name.upper()}_data.npy")
        (source / f"{name}_label.pkl").unlink()
    with pytest.raises(InputError, match="Is 'TEST_data.npy' meant"):
        convert_kit(IMIGUE, source, tmp_path / "b.pkl")
