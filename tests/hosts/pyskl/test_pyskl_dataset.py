"""KeypointDataset under PySKL: its own data set over the safe reader, on real and on hostile files."""

import pickle

import numpy as np
import pytest

from pyskl_semloss.errors import InputError

try:
    from pyskl.datasets import PoseDataset, build_dataset

    from helpers.pyskl_clips import ARRAYS, STEPS, Evil, build, config, loader_of, overwrite, write_small
except ImportError:
    pytest.importorskip("pyskl")
    raise

pytestmark = pytest.mark.filterwarnings("ignore:.*mended")


@pytest.fixture
def small(tmp_path):
    return write_small(tmp_path)


@pytest.fixture
def msr(shared_dir):
    return shared_dir / "data" / "msr_action3d" / "msr_action3d.pkl"


def test_clips_and_order_are_the_hosts(msr):
    ours = build(msr, split="xsub_test", skeleton="kinect20", num_classes=20, test_mode=True)
    host = PoseDataset(str(msr), [], split="xsub_test", test_mode=True)
    assert isinstance(ours, PoseDataset) and len(ours) == len(host) == 275
    for mine, theirs in zip((ours[i] for i in range(275)), (host[i] for i in range(275)), strict=True):
        for key in ("frame_dir", "label", "total_frames", "img_shape", "start_index", "test_mode"):
            assert mine[key] == theirs[key]
        sound = np.abs(theirs["keypoint"]).max(-1) < 3200
        np.testing.assert_array_equal(mine["keypoint"][sound], theirs["keypoint"][sound])
        np.testing.assert_array_equal(mine["keypoint_score"][sound], theirs["keypoint_score"][sound])
        assert not mine["keypoint"][~sound].any() and not mine["keypoint_score"][~sound].any()
        assert mine["skeleton"].name == "kinect20" and mine["modality"] == "joint"


def test_training_leaves_out_the_empty_clip_and_says_so(msr):
    with pytest.warns(UserWarning, match=r"msr_action3d.pkl: mended \d+ points far outside .*1 clip of zeros only"):
        data = build(msr, split="xsub_train", skeleton="kinect20", num_classes=20)
    names = [info["frame_dir"] for info in data.video_infos]
    assert len(names) == 291 and "a13_s09_e02" not in names


def test_scores_off_marks_known_points(small):
    data = build(small, split="train", off_image="drop", binary_score=True)
    for index in range(len(data)):
        clip = data[index]
        known = clip["keypoint"].any(-1)
        assert not known[0, 0, 3] and known.sum() == known.size - 1
        np.testing.assert_array_equal(clip["keypoint_score"], known.astype(np.float32))


def test_strict_refuses_what_would_be_mended(msr):
    with pytest.raises(InputError, match="msr_action3d.pkl.*clip 'a"):
        build(msr, split="xsub_train", strict=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(skeleton="coco17"), "'keypoint'"),
        (dict(num_classes=19), "'label'"),
        (dict(split="xsub"), "'split'.*'xsub_train', 'xsub_test'"),
        (dict(data_prefix="somewhere"), "'data_prefix'"),
        (dict(valid_ratio=0.5), "'valid_ratio'"),
        (dict(multi_class=True), "'multi_class'"),
    ],
)
def test_refusals_name_file_and_field(msr, options, message):
    with pytest.raises(InputError, match=f"msr_action3d.pkl.*{message}"):
        build(msr, **{"split": "xsub_test", **options})


def test_a_modality_that_is_none_is_refused(small):
    with pytest.raises(InputError, match="'modality': expected 'joint' or 'limb', got 'bone'"):
        build(small, modality="bone")


def test_code_in_an_annotation_file_is_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "evil.pkl").write_bytes(pickle.dumps({"split": {}, "annotations": [Evil()]}))
    with pytest.raises(InputError, match="evil.pkl.*system"):
        build("evil.pkl")
    assert not (tmp_path / "evil_was_here").exists()


def test_a_pipeline_that_writes_leaves_the_next_access_alone(small):
    for index in range(6):
        writing, fresh = build(small, pipeline=[overwrite]), build(small)
        assert not writing[index]["keypoint"].any()
        writing.pipeline = fresh.pipeline
        again, expected = writing[index], fresh[index]
        assert again["img_shape"] == (100, 120) and again["label"] == expected["label"]
        for key in ARRAYS:
            np.testing.assert_array_equal(again[key], expected[key])


def test_the_hosts_evaluation_takes_its_results(small):
    data = build(small, split="train", test_mode=True)
    scores = np.eye(3)[[0, 1, 2, 0, 1, 0]]  # the last clip's class is 2
    found = data.evaluate(list(scores), metrics=["top_k_accuracy", "mean_class_accuracy"], topk=(1,))
    assert found["top1_acc"] == pytest.approx(5 / 6)
    assert found["mean_class_accuracy"] == pytest.approx((1 + 1 + 1 / 2) / 3)


def labels_of(loader):
    return [int(label) for batch in loader for label in batch["label"].flatten()]


def test_repeated_and_resampled_classes(small):
    """Each class comes as often as class_prob says, alone and under RepeatDataset."""
    from mmcv import ConfigDict

    one = ConfigDict(config(small, split="train", pipeline=STEPS, class_prob=[3, 1, 1.5]))
    labels = labels_of(loader_of(build_dataset(one), seed=0))
    assert [labels.count(label) for label in range(3)] == [6, 2, 3]
    repeated = build_dataset(ConfigDict(type="RepeatDataset", times=4, dataset=one))
    assert len(repeated) == 24
    labels = labels_of(loader_of(repeated, seed=0))
    assert [labels.count(label) for label in range(3)] == [24, 8, 12]
    del one["class_prob"]
    plain = build_dataset(ConfigDict(type="RepeatDataset", times=4, dataset=one))
    labels = labels_of(loader_of(plain, seed=0))
    assert [labels.count(label) for label in range(3)] == [8, 8, 8]
