"""KeypointDataset: the host's dataset over the safe reader, on real and on hostile files."""

import os
import pickle

import numpy as np
import pytest

from pyskl_semloss.annotations import AnnotationSet, Clip, write_annotations
from pyskl_semloss.annotations.store_writer import pickle_to_store
from pyskl_semloss.errors import InputError

try:
    from mmaction.datasets import PoseDataset
    from mmaction.registry import DATASETS
    from mmengine.registry import DefaultScope

    import pyskl_semloss.hosts.mmaction2  # noqa: F401
except ImportError:
    pytest.importorskip("mmaction")
    raise


@pytest.fixture(autouse=True)
def scope():
    DefaultScope.get_instance("pyskl_semloss_tests", scope_name="mmaction")


def build(path, **options):
    return DATASETS.build(dict(type="KeypointDataset", ann_file=str(path), pipeline=[], **options))


@pytest.fixture
def msr(shared_dir):
    return shared_dir / "data" / "msr_action3d" / "msr_action3d.pkl"


@pytest.mark.filterwarnings("ignore:.*mended")
def test_clips_and_order_are_the_hosts(msr):
    ours = build(msr, split="xsub_test", skeleton="kinect20", num_classes=20, test_mode=True)
    host = PoseDataset(str(msr), [], split="xsub_test", test_mode=True)
    assert isinstance(ours, PoseDataset) and len(ours) == len(host) == 275
    for mine, theirs in zip(
        (ours.get_data_info(i) for i in range(275)), (host.get_data_info(i) for i in range(275)), strict=True
    ):
        assert (mine["frame_dir"], mine["label"], mine["total_frames"]) == (
            theirs["frame_dir"], theirs["label"], theirs["total_frames"],
        )  # fmt: skip
        sound = np.abs(theirs["keypoint"]).max(-1) < 3200
        np.testing.assert_array_equal(mine["keypoint"][sound], theirs["keypoint"][sound])
        assert not mine["keypoint"][~sound].any() and not mine["keypoint_score"][~sound].any()
        assert mine["skeleton"].name == "kinect20"


def test_training_leaves_out_the_empty_clip_and_says_so(msr):
    with pytest.warns(UserWarning, match=r"msr_action3d.pkl: mended \d+ points far outside .*1 clip of zeros only"):
        data = build(msr, split="xsub_train", skeleton="kinect20", num_classes=20)
    names = [data.get_data_info(i)["frame_dir"] for i in range(len(data))]
    assert len(names) == 291 and "a13_s09_e02" not in names


@pytest.mark.filterwarnings("ignore:.*mended")
def test_scores_off_marks_known_points(msr):
    data = build(msr, split="xsub_train", skeleton="kinect20", off_image="drop", binary_score=True)
    for index in range(0, len(data), 20):
        info = data.get_data_info(index)
        known = info["keypoint"].any(-1)
        np.testing.assert_array_equal(info["keypoint_score"], known.astype(np.float32))
        h, w = info["img_shape"]
        inside = info["keypoint"][known]
        assert (inside >= 0).all() and (inside[:, 0] < w).all() and (inside[:, 1] < h).all()


def test_strict_refuses_what_would_be_mended(msr):
    with pytest.raises(InputError, match="msr_action3d.pkl.*clip 'a"):
        build(msr, split="xsub_train", strict=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(skeleton="coco17"), "'keypoint'"),
        (dict(num_classes=19), "'label'"),
        (dict(split="xsub"), "'xsub_train', 'xsub_test'"),
        (dict(data_prefix=dict(video="somewhere")), "'data_prefix'"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*mended")
def test_refusals_name_file_and_field(msr, options, message):
    with pytest.raises(InputError, match=f"msr_action3d.pkl.*{message}"):
        build(msr, **{"split": "xsub_test", **options})


class Evil:
    def __reduce__(self):
        return os.system, ("touch evil_was_here",)


def test_code_in_an_annotation_file_is_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "evil.pkl").write_bytes(pickle.dumps({"split": {}, "annotations": [Evil()]}))
    with pytest.raises(InputError, match="evil.pkl.*system"):
        build("evil.pkl")
    assert not (tmp_path / "evil_was_here").exists()


@pytest.mark.parametrize("stored", [False, True])
def test_only_some_classes_are_read(tmp_path, stored):
    keypoint = np.ones((1, 4, 22, 2), np.float32)
    clips = [Clip(f"c{n}", n % 5 if n < 9 else -1, (9, 9), (9, 9), keypoint, keypoint[..., 0]) for n in range(10)]
    ids = [clip.frame_dir for clip in clips]
    path = tmp_path / "a.pkl"
    write_annotations(path, AnnotationSet({"train": ids[:8], "test": ids}, clips))
    if stored:
        pickle_to_store(path, tmp_path / "store")
        path = tmp_path / "store"

    def names(**options):
        data = build(path, **options)
        return [data.get_data_info(index)["frame_dir"] for index in range(len(data))]

    assert names(split="train", only_classes=[0, 3]) == ["c0", "c3", "c5"]
    assert names(split="test", only_classes=[4, 3], test_mode=True) == ["c3", "c4", "c8"]
    assert len(names(split="test", test_mode=True)) == 10
    with pytest.raises(InputError, match=r"'train' has no clip of 1 of the 2 classes asked for, \[7\]"):
        build(path, split="train", only_classes=[0, 7])
    assert names(split="test", only_classes=[0, 7], test_mode=True) == ["c0", "c5"]
    with pytest.raises(InputError, match="no clip of 1 of the 1 classes"):
        build(path, split="test", only_classes=[7], test_mode=True)
