"""Every rule for real files: mended and counted once, or refused with file, clip, field and reason."""

import copy
import pickle
import time
import warnings

import numpy as np
import pytest

from pyskl_semloss.annotations import AnnotationSet, Clip, read_annotations, write_annotations
from pyskl_semloss.errors import InputError
from pyskl_semloss.untrusted import safe_pickle

T, V = 6, 5


def entry(name="a", label=0, frames=T, **changes):
    rng = np.random.default_rng(0)
    raw = {
        "frame_dir": name,
        "label": label,
        "img_shape": (100, 200),
        "original_shape": (100, 200),
        "total_frames": frames,
        "keypoint": rng.uniform(10, 90, (1, frames, V, 2)).astype(np.float32),
        "keypoint_score": rng.uniform(0.1, 1, (1, frames, V)).astype(np.float32),
    }
    return {key: value for key, value in {**raw, **changes}.items() if value is not ...}


def changed(field, where, value, dtype=np.float32):
    raw = entry()
    array = raw[field].astype(dtype)
    array[where] = value
    return {**raw, field: array}


@pytest.fixture
def file(tmp_path):
    def write(*entries, split=None):
        content = {"split": split or {"train": [item["frame_dir"] for item in entries]}, "annotations": list(entries)}
        (tmp_path / "set.pkl").write_bytes(pickle.dumps(content))
        return tmp_path / "set.pkl"

    return write


def read(path, **options):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        annotations, report = read_annotations(path, **options)
    assert len(caught) == bool(report.warning)
    return annotations, report


POINT, OTHER = (0, 2, 3), (0, 4, 1)
MENDED = [
    (changed("keypoint", POINT, np.nan), "points_not_finite", 1),
    (changed("keypoint", (*POINT, 1), -np.inf), "points_not_finite", 1),
    (changed("keypoint", (0, slice(None), 3), np.inf, np.float16), "points_not_finite", T),
    (changed("keypoint", (*POINT, 0), 1e300, np.float64), "points_not_finite", 1),
    (changed("keypoint", (*POINT, 0), 2147480000), "points_absurd", 1),
    (changed("keypoint", (*POINT, 1), -2001), "points_absurd", 1),
    (changed("keypoint", (*POINT, 1), 2147480000, np.int64), "points_absurd", 1),
    (changed("keypoint_score", POINT, np.nan), "scores_not_finite", 1),
    (changed("keypoint_score", POINT, -0.5), "scores_negative", 1),
    (changed("keypoint_score", POINT, 1.5), "scores_above_one", 1),
    (entry(keypoint_score=...), "without_score", 1),
    (entry(keypoint_score=None), "without_score", 1),
    (entry(original_shape=...), "without_original_shape", 1),
]


@pytest.mark.parametrize(("raw", "kind", "count"), MENDED, ids=[f"{row[1]}{i}" for i, row in enumerate(MENDED)])
def test_mended_once_counted_and_refused_when_strict(file, raw, kind, count):
    path = file(raw, entry("whole"))
    before = copy.deepcopy(raw)
    annotations, report = read(path)
    assert dict(report.counts) == {kind: count} and report.names == {kind: ["a"]}
    assert "'a'" in report.warning and str(count) in report.warning and str(path) in report.warning
    mended, whole = annotations.clips
    assert whole.same_as(Clip(**{key: value for key, value in entry("whole").items() if key != "total_frames"}))
    assert mended.keypoint.dtype == mended.keypoint_score.dtype == np.float32
    if kind.startswith("points"):
        wrong = (mended.keypoint == 0).all(-1)
        assert wrong.sum() == count and wrong[POINT] and (mended.keypoint_score[wrong] == 0).all()
        np.testing.assert_allclose(mended.keypoint[~wrong], before["keypoint"][~wrong], rtol=1e-3)
    elif kind.startswith("scores"):
        assert mended.keypoint_score[POINT] == (kind == "scores_above_one")
        assert (mended.keypoint == before["keypoint"]).all()
    elif kind == "without_score":
        assert (mended.keypoint_score == 1).all()
    else:
        assert mended.original_shape == (100, 200)
    assert all(
        np.array_equal(raw[key], before[key], equal_nan="keypoint" in key) for key in raw if raw[key] is not None
    )
    with pytest.raises(InputError, match="Without strict") as error:
        read(path, strict=True)
    assert error.value.clip == "a" and error.value.file == path


REFUSED = [
    (entry(keypoint=np.ones((1, T, V, 3), np.float32)), "keypoint", "x and y"),
    (entry(keypoint=np.ones((T, V, 2), np.float32)), "keypoint", r"keypoint\[None\]"),
    (entry(keypoint=np.ones((0, T, V, 2), np.float32)), "keypoint", "none of them 0"),
    (entry(keypoint=[[1, 2]]), "keypoint", "a list"),
    (entry(keypoint=np.full((1, T, V, 2), "x")), "keypoint", "array of numbers"),
    (entry(keypoint_score=np.ones((1, T, V, 1), np.float32)), "keypoint_score", "(M, T, V)"),
    (changed("keypoint_score", POINT, 1.6), "keypoint_score", "percentages"),
    (entry(total_frames=T + 1), "total_frames", "Set it to 6, or mend"),
    (entry(total_frames=...), None, "total_frames is absent"),
    (entry(label=..., img_shape=...), None, "label, img_shape is absent"),
    (entry(label=3), "label", "below 3"),
    (entry(label=-2), "label", "got -2"),
    (entry(label=-1), "label", "unknown"),
    (entry(label=1.0), "label", "whole number"),
    (entry(label=[1]), "label", "whole number"),
    (entry(img_shape=(0, 200)), "img_shape", "above 0"),
    (entry(img_shape=(100, -1)), "img_shape", "above 0"),
    (entry(img_shape=100), "img_shape", "height, width"),
    (entry(original_shape=(100.5, 1)), "original_shape", "whole numbers"),
]


@pytest.mark.parametrize(("raw", "field", "reason"), REFUSED, ids=[f"{row[1]}{i}" for i, row in enumerate(REFUSED)])
def test_refused_with_file_clip_field_and_reason(file, raw, field, reason):
    path = file(entry("whole"), raw)
    with pytest.raises(InputError, match=reason.replace("(M", r"\(M").replace("V)", r"V\)")) as error:
        read(path, num_classes=3)
    assert (error.value.file, error.value.clip, error.value.field) == (path, "a", field)


def test_labels_where_they_are_unknown_or_any(file):
    path = file(entry("a", -1), entry("b", np.int64(7)))
    annotations, _ = read(path, unknown_labels=True)
    assert [clip.label for clip in annotations.clips] == [-1, 7] and type(annotations.clips[1].label) is int


def test_number_of_joints(file):
    path = file(entry())
    with pytest.raises(InputError, match="expected 22 joints, got 5. Name the layout of 5 joints"):
        read(path, num_joints=22)
    fewer = entry("b", keypoint=np.full((1, T, 4, 2), 50, "f4"), keypoint_score=np.ones((1, T, 4), "f4"))
    with pytest.raises(InputError, match="4 joints, but the clips before it have 5"):
        read(file(entry(), fewer))


def test_zero_frames_and_clips(file):
    zero = entry("zero", keypoint=np.zeros((1, T, V, 2)))
    path = file(zero, changed("keypoint", (0, slice(2)), 0), entry("short", frames=1))
    annotations, report = read(path)
    assert dict(report.counts) == {"zero_clips": 1, "zero_frames": 2, "one_frame_clips": 1}
    assert len(annotations.clips) == 3 and report.warning is None and read(path, strict=True)
    annotations, report = read(path, zero_clips="drop")
    assert [clip.frame_dir for clip in annotations.clips] == annotations.splits["train"] == ["a", "short"]
    assert report.counts["zero_clips_dropped"] == 1 and (report.clips_read, report.clips_kept) == (3, 2)
    with pytest.raises(InputError, match="clip of zeros only"):
        read(path, zero_clips="drop", strict=True)
    with pytest.raises(InputError, match="the 1 clips of the split 'train' have no point"):
        read(file(zero), split="train", zero_clips="drop")


@pytest.mark.parametrize(
    ("low", "high", "refused"), [(0, 1, True), (-1, 1, True), (-2.5, 4, True), (0, 4, False), (0, 12, False)]
)
def test_coordinates_that_are_no_pixels(file, low, high, refused):
    points = np.random.default_rng(0).uniform(low, high, (1, T, V, 2)).astype("f4")
    path = file(entry(keypoint=points))
    if refused:
        with pytest.raises(InputError, match=r"clip 'a': field 'keypoint': expected px .* got coordinates from"):
            read(path)
    else:
        assert (read(path)[0].clips[0].keypoint == points).all()
    # A few points, or a tiny image, say nothing.
    points[:, 1:] = 0
    assert read(file(entry(keypoint=points)))
    small = entry(keypoint=np.random.default_rng(0).uniform(0, 1, (1, T, V, 2)).astype("f4"), img_shape=(9, 9))
    assert read(file(small))


def test_exchanged_height_and_width(file):
    points = np.random.default_rng(0).uniform(0, (199, 99), (1, T, V, 2)).astype("f4")
    right, wrong = entry("a", keypoint=points), entry("b", keypoint=points, img_shape=(200, 100))
    with pytest.warns(UserWarning, match="set.pkl: 2 of 3 clips fit into their images only with height and width exch"):
        read_annotations(file(right, wrong, {**wrong, "frame_dir": "c"}))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_annotations(file(right, wrong))  # one of two may be chance
        beyond = points + np.float32([150, 0])
        assert read_annotations(file(entry("b", keypoint=beyond, img_shape=(200, 100))))


def test_points_outside_the_image(file):
    raw = changed("keypoint", POINT, (200, 50))
    raw["keypoint"][OTHER] = (199, 99)
    raw["keypoint"][0, 0, 0] = (5, -1)
    path = file(raw)
    kept, report = read(path)
    assert not report.counts and (kept.clips[0].keypoint == raw["keypoint"]).all()
    for strict in (False, True):
        dropped, report = read(path, off_image="drop", strict=strict)
        clip = dropped.clips[0]
        gone = (clip.keypoint == 0).all(-1)
        assert report.counts == {"points_off_image": 2} and gone.sum() == 2 and gone[POINT] and gone[0, 0, 0]
        assert ((clip.keypoint_score == 0) == gone).all()


def test_ids(file):
    a, b = entry("a"), entry("b", 1)
    path = file(a, b, copy.deepcopy(a), entry("c"), split={"train": ["b", "a", "x", "b", "y"], "test": ["y"]})
    annotations, report = read(path)
    assert annotations.splits == {"train": ["b", "a"], "test": []}
    assert [clip.frame_dir for clip in annotations.clips] == ["a", "b", "c"]
    expected = {"duplicate_ids": 1, "duplicate_clips": 1, "ids_without_clip": 3, "clips_without_split": 1}
    assert dict(report.counts) == expected and report.names["ids_without_clip"] == ["x", "y"]
    train, report = read(path, split="train")
    assert [clip.frame_dir for clip in train.clips] == ["a", "b"] and train.splits == {"train": ["b", "a"]}
    with pytest.raises(InputError, match="split 'test' has no clip"):
        read(path, split="test")
    with pytest.raises(InputError, match="'train', 'test'.*got 'val'"):
        read(path, split="val")
    with pytest.raises(InputError, match="two different clips") as error:
        read(file(a, {**copy.deepcopy(a), "label": 1}))
    assert error.value.clip == "a"


def test_one_warning_for_all_kinds(file):
    path = file(changed("keypoint", POINT, np.nan), {**changed("keypoint_score", OTHER, -1), "frame_dir": "b"})
    with pytest.warns(UserWarning) as caught:
        _, report = read_annotations(path)
    assert len(caught) == 1
    assert "1 point with NaN" in str(caught[0].message) and "1 score below 0" in str(caught[0].message)
    assert str(report).splitlines()[0].endswith("2 clips read, 2 kept") and len(str(report).splitlines()) == 3


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ({"split": {}}, "a list 'annotations'"),
        ("text", "a list 'annotations'"),
        ({"split": ["a"], "annotations": [entry()]}, "dict of lists"),
        ({"split": {"train": "ab"}, "annotations": [entry()]}, "dict of lists"),
        ({"split": {"train": [3]}, "annotations": [entry()]}, "strings in split 'train', got 3"),
        ({"split": {}, "annotations": []}, "no clip"),
        ({"split": {}, "annotations": [3]}, "every annotation to be a dict"),
        ({"split": {}, "annotations": [entry(frame_dir=7)]}, "non-empty string, got 7"),
        ({"split": {}, "annotations": [entry(frame_dir=...)]}, "non-empty string, got None"),
    ],
)
def test_other_contents_are_refused(tmp_path, content, reason):
    (tmp_path / "x.pkl").write_bytes(pickle.dumps(content))
    with pytest.raises(InputError, match=reason) as error:
        read(tmp_path / "x.pkl")
    assert error.value.file == tmp_path / "x.pkl"


def test_plain_list_of_entries_and_wrong_options(tmp_path, file):
    (tmp_path / "x.pkl").write_bytes(pickle.dumps([entry()]))
    assert len(read(tmp_path / "x.pkl")[0].clips) == 1
    for options in ({"zero_clips": "maybe"}, {"off_image": "maybe"}):
        with pytest.raises(InputError, match="maybe"):
            read(file(entry()), **options)
    (tmp_path / "x.pkl").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(InputError, match="os.system"):
        read(tmp_path / "x.pkl")


def test_write_and_read_back(tmp_path):
    rng = np.random.default_rng(0)
    clips = [
        Clip(f"c{i}", i - 1, (10, 20), (30, 40), rng.random((2, i + 1, 3, 2)).astype("f4"), rng.random((2, i + 1, 3)))
        for i in range(3)
    ]
    wanted = AnnotationSet({"test": ["c2", "c0"]}, clips)
    write_annotations(tmp_path / "x.pkl", wanted)
    found, report = read(tmp_path / "x.pkl", unknown_labels=True)
    assert found.splits == wanted.splits and [clip.frame_dir for clip in found.of_split("test")] == ["c0", "c2"]
    for before, after in zip(clips, found.clips, strict=True):
        assert before.to_dict().keys() == after.to_dict().keys()
        np.testing.assert_allclose(after.keypoint_score, before.keypoint_score, rtol=1e-6)
        assert (after.keypoint == before.keypoint).all() and after.total_frames == before.total_frames
    plain = pickle.loads((tmp_path / "x.pkl").read_bytes())
    assert list(plain["annotations"][0]) == list(entry()) and plain["annotations"][1]["img_shape"] == (10, 20)
    for wrong in (AnnotationSet({"a": ["x"]}, clips), AnnotationSet({}, [*clips, clips[0]])):
        with pytest.raises(InputError):
            write_annotations(tmp_path / "y.pkl", wrong)
    assert not (tmp_path / "y.pkl").exists()
    with pytest.raises(InputError, match="'test'.*got 'val'"):
        found.of_split("val")


def test_real_file(shared_dir, tmp_path):
    path = shared_dir / "data" / "msr_action3d" / "msr_action3d.pkl"
    raw = {item["frame_dir"]: item for item in safe_pickle.load(path)["annotations"]}
    absurd = {name: (np.abs(item["keypoint"]) > 1e6).any(-1) for name, item in raw.items()}
    annotations, report = read(path, num_classes=20, num_joints=20)
    assert (report.clips_read, report.clips_kept) == (567, 567)
    assert report.names["points_absurd"] == [name for name in raw if absurd[name].any()]
    assert len(report.names["points_absurd"]) == 20
    assert report.counts["points_absurd"] == sum(int(mask.sum()) for mask in absurd.values())
    assert report.names["zero_clips"] == ["a13_s09_e02"] and report.counts["zero_clips"] == 1
    for clip in annotations.clips:
        name = clip.frame_dir
        wanted = np.where(absurd[name][..., None], 0, raw[name]["keypoint"])
        assert (clip.keypoint == wanted).all() and (clip.keypoint_score[absurd[name]] == 0).all()
    write_annotations(tmp_path / "again.pkl", annotations)
    again, report = read(tmp_path / "again.pkl", strict=True)
    assert again.splits == annotations.splits
    assert all(a.same_as(b) for a, b in zip(annotations.clips, again.clips, strict=True))
    train, report = read(path, split="xsub_train", zero_clips="drop", off_image="drop")
    assert (report.clips_read, report.clips_kept, len(train.clips)) == (292, 291, 291)


def test_validation_is_quick(tmp_path):
    rng = np.random.default_rng(0)
    clip = Clip(
        "x", 0, (1080, 1920), (1080, 1920), 999 * rng.random((1, 90, 22, 2), "f4"), rng.random((1, 90, 22), "f4")
    )
    raw = [{**clip.to_dict(), "frame_dir": f"{number}"} for number in range(1300)]
    (tmp_path / "x.pkl").write_bytes(pickle.dumps(raw))
    start = time.perf_counter()
    read(tmp_path / "x.pkl")
    assert time.perf_counter() - start < 1.5  # about 0.15 s on an idle core
