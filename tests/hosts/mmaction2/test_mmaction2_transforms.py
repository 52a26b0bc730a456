"""The registered keypoint transforms against MMAction2's own classes: equal results from equal seeds."""

import pickle
import random

import numpy as np
import pytest
import torch

pytest.importorskip("mmaction")

import mmaction.datasets.transforms  # noqa: F401  (registers the host's classes)
from mmaction.registry import TRANSFORMS

import pyskl_semloss.hosts.mmaction2.data.transforms  # noqa: F401  (registers ours)
from pyskl_semloss.errors import InputError
from pyskl_semloss.hosts.mmaction2.data.packing import get_sample_field
from pyskl_semloss.skeletons import get_layout
from pyskl_semloss.untrusted import safe_pickle

LAYOUT = get_layout("openpose22")
LENGTHS = [1, 9, 47, 48, 49, 95, 96, 97, 200]  # around clip_len 48 and its double
PAIRS = {"left_kp": LAYOUT.left_kp, "right_kp": LAYOUT.right_kp}
HOST_PACK = {
    "type": "mmaction.PackActionInputs",
    "collect_keys": ("keypoint", "keypoint_score"),
    "meta_keys": ("frame_dir", "img_shape"),
}


def both(host, ours, **sampling):
    """The same pipeline twice: of MMAction2's classes, and of ours."""
    host = [{"type": "UniformSampleFrames", "clip_len": 48, **sampling}, {"type": "PoseDecode"}, *host, HOST_PACK]
    ours = [{"type": "SampleKeypointFrames", "clip_len": 48, **sampling}, *ours, {"type": "PackKeypoints"}]
    return [TRANSFORMS.build(step) for step in host], [TRANSFORMS.build(step) for step in ours]


def train_pipelines(pairs=PAIRS, flip=None, **sampling):
    area = {"area_range": (0.56, 1.0)}
    host = [
        {"type": "PoseCompact", "hw_ratio": 1.0, "allow_imgpad": True},
        {"type": "mmaction.Resize", "scale": (-1, 64)},
        {"type": "mmaction.RandomResizedCrop", **area},
        {"type": "mmaction.Resize", "scale": (56, 56), "keep_ratio": False},
        {"type": "mmaction.Flip", "flip_ratio": 0.5, **pairs},
    ]
    ours = [
        {"type": "CompactKeypoints", "hw_ratio": 1.0, "allow_imgpad": True},
        {"type": "ResizeKeypoints", "scale": (-1, 64)},
        {"type": "RandomResizedCropKeypoints", **area},
        {"type": "ResizeKeypoints", "scale": (56, 56), "keep_ratio": False},
        {"type": "FlipKeypoints", "flip_ratio": 0.5, **(flip or pairs)},
    ]
    return both(host=host, ours=ours, **sampling)


def eval_pipelines(num_clips):
    resize = {"scale": (64, 64), "keep_ratio": False}
    return both(
        host=[{"type": "PoseCompact", "hw_ratio": 1.0, "allow_imgpad": True}, {"type": "mmaction.Resize", **resize}],
        ours=[{"type": "CompactKeypoints", "hw_ratio": 1.0}, {"type": "ResizeKeypoints", **resize}],
        num_clips=num_clips,
        test_mode=True,
    )


def make_clip(frames, persons=1, joints=22, seed=0):
    """A seeded clip with missing points and coordinates, a person who comes and goes, and a small jitter."""
    rng = np.random.RandomState(seed)
    centre = rng.uniform((600, 300), (1200, 700), size=(persons, 1, 1, 2))
    keypoint = centre + rng.normal(0, 80, size=(persons, 1, joints, 2)) + rng.normal(0, 9, (persons, frames, joints, 2))
    keypoint[rng.rand(persons, frames, joints) < 0.1] = 0
    keypoint[rng.rand(*keypoint.shape) < 0.02] = 0
    keypoint[1:, rng.rand(frames) < 0.3] = 0
    return {
        "frame_dir": f"clip{seed}",
        "label": seed % 32,
        "img_shape": (1080, 1920),
        "original_shape": (1080, 1920),
        "total_frames": frames,
        "keypoint": keypoint.astype(np.float32),
        "keypoint_score": rng.rand(persons, frames, joints).astype(np.float32),
        "modality": "Pose",
        "start_index": 0,
    }


def run(steps, clip, seed):
    """Run a pipeline on a copy from fresh seeds; also returns the next draws of the global generators."""
    results = {key: value.copy() if isinstance(value, np.ndarray) else value for key, value in clip.items()}
    np.random.seed(seed)
    random.seed(seed + 1)
    for step in steps:
        results = step(results)
    return results, (np.random.rand(), random.random())


def assert_equal_outputs(pipelines, clip, num_clips=1, seed=0, same_draws=True):
    (host, host_draws), (ours, our_draws) = (run(steps, clip, seed) for steps in pipelines)
    for key, array in host["inputs"].items():
        persons, frames, *rest = array.shape
        expected = array.numpy().astype(np.float32).reshape(persons, num_clips, frames // num_clips, *rest)
        assert ours["inputs"][key].dtype == torch.float32
        np.testing.assert_array_equal(ours["inputs"][key].numpy(), expected.swapaxes(0, 1))
    host_sample, our_sample = host["data_samples"], ours["data_samples"]
    assert our_sample.img_shape == tuple(host_sample.img_shape)
    assert torch.equal(get_sample_field(our_sample, "gt_label"), get_sample_field(host_sample, "gt_label"))
    if same_draws:
        assert our_draws == host_draws


@pytest.fixture(autouse=True)
def host_on_numpy_2(monkeypatch):
    """MMAction2's PoseCompact names ``np.Inf``, which numpy 2 lacks."""
    monkeypatch.setattr(np, "Inf", np.inf, raising=False)


@pytest.mark.parametrize("persons", [1, 2, 3])
@pytest.mark.parametrize("frames", LENGTHS)
def test_train_pipeline_equals_the_hosts(frames, persons):
    pipelines = train_pipelines(flip={"skeleton": "openpose22"})
    for seed in range(4):
        assert_equal_outputs(pipelines, make_clip(frames, persons, seed=seed), seed=seed)


@pytest.mark.parametrize("frames", LENGTHS)
def test_train_pipeline_of_ten_clips_equals_the_hosts(frames):
    assert_equal_outputs(train_pipelines(num_clips=10), make_clip(frames, 2), num_clips=10)


@pytest.mark.parametrize("num_clips", [1, 10])
@pytest.mark.parametrize("frames", LENGTHS)
def test_val_and_test_pipelines_equal_the_hosts(frames, num_clips):
    for seed in range(2):
        clip = make_clip(frames, persons=1 + seed, seed=seed)
        assert_equal_outputs(eval_pipelines(num_clips), clip, num_clips=num_clips, same_draws=False)


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"hw_ratio": None},
        {"hw_ratio": 1.0, "allow_imgpad": False},
        {"hw_ratio": (0.8, 1.3), "padding": 0.4},
        {"hw_ratio": 3.0, "padding": 0.0},
        {"threshold": 1000},
    ],
    ids=str,
)
def test_compact_equals_the_hosts(arguments):
    pipelines = both(host=[{"type": "PoseCompact", **arguments}], ours=[{"type": "CompactKeypoints", **arguments}])
    for seed in range(20):
        clip = make_clip(60, persons=1 + seed % 3, seed=seed)
        clip["keypoint"] -= np.float32(400) * (clip["keypoint"] != 0)  # beyond the upper border too
        assert_equal_outputs(pipelines, clip, seed=seed)


@pytest.mark.parametrize(
    ("scale", "keep_ratio"),
    [((-1, 64), True), ((64, -1), True), ((340, 256), True), ((100, 300), True), (0.37, True), ((100, 300), False)],
)
def test_resize_equals_the_hosts(scale, keep_ratio):
    step = {"scale": scale, "keep_ratio": keep_ratio}
    pipelines = both(host=[{"type": "mmaction.Resize", **step}], ours=[{"type": "ResizeKeypoints", **step}])
    for shape in [(1080, 1920), (240, 320), (333, 77), (5, 2000)]:
        assert_equal_outputs(pipelines, make_clip(48) | {"img_shape": shape})


@pytest.mark.parametrize("arguments", [{}, {"area_range": (0.9, 1.0), "aspect_ratio_range": (0.3, 4.0)}], ids=str)
def test_random_crop_equals_the_hosts(arguments):
    crop = {"type": "RandomResizedCropKeypoints", **arguments}
    pipelines = both(host=[{"type": "mmaction.RandomResizedCrop", **arguments}], ours=[crop])
    for seed in range(40):  # narrow images make the first candidates fail, some all ten
        shape = [(300, 400), (60, 900), (20, 20)][seed % 3]
        assert_equal_outputs(pipelines, make_clip(10) | {"img_shape": shape}, seed=seed)


def test_real_clips_come_out_as_the_hosts(shared_dir):
    annotations = safe_pickle.load(shared_dir / "data" / "msr_action3d" / "msr_action3d.pkl")["annotations"]
    kinect = get_layout("kinect20")
    train = train_pipelines({"left_kp": kinect.left_kp, "right_kp": kinect.right_kp})
    blank = [clip for clip in annotations if clip["frame_dir"] == "a13_s09_e02"]
    assert blank and not blank[0]["keypoint"].any()
    for seed, clip in enumerate([*annotations[::25], *blank]):
        clip = clip | {"keypoint": np.where(clip["keypoint"] > 1e9, np.float32(0), clip["keypoint"])}
        assert_equal_outputs(train, clip | {"modality": "Pose"}, seed=seed)
        assert_equal_outputs(eval_pipelines(10), clip, num_clips=10, same_draws=False)


def test_annotations_are_never_written_into_and_test_mode_leaves_the_generators_alone():
    clip = make_clip(60, persons=2)
    before = {key: clip[key].copy() for key in ("keypoint", "keypoint_score")}
    for key in before:
        clip[key].flags.writeable = False
    for steps in (train_pipelines(num_clips=2)[1], eval_pipelines(10)[1]):
        np.random.seed(1)
        for _ in range(4):  # four draws: both flips
            results = dict(clip)
            for step in steps:
                results = step(results)
            for tensor in results["inputs"].values():
                tensor.fill_(7.0)
    np.random.seed(1)
    expected = np.random.rand()
    np.random.seed(1)
    results = dict(clip)
    for step in eval_pipelines(10)[1]:
        results = step(results)
    assert np.random.rand() == expected
    for key, array in before.items():
        np.testing.assert_array_equal(clip[key], array)


def test_packed_clip_is_small_and_names_its_sample():
    steps = pickle.loads(pickle.dumps(train_pipelines()[1]))  # as a worker process gets them
    clip = make_clip(90, seed=5) | {"label": np.int64(5), "start_index": 0}
    packed, _ = run(steps, clip, seed=0)
    sample = packed["data_samples"]
    assert sample.sample_id == sample.frame_dir == "clip5"
    assert sample.img_shape == (56, 56) and all(type(edge) is int for edge in sample.img_shape)
    assert get_sample_field(sample, "gt_label").tolist() == [5]
    assert packed["inputs"]["keypoint"].shape == (1, 1, 48, 22, 2)
    assert packed["inputs"]["keypoint_score"].shape == (1, 1, 48, 22)
    assert len(pickle.dumps(packed)) < 16_000


def test_missing_scores_are_ones_and_clips_come_first():
    clip = make_clip(100, persons=3)
    del clip["keypoint_score"]
    packed, _ = run(eval_pipelines(10)[1], clip, seed=0)
    assert packed["inputs"]["keypoint"].shape == (10, 3, 48, 22, 2)
    assert torch.equal(packed["inputs"]["keypoint_score"], torch.ones(10, 3, 48, 22))


def test_flip_with_an_own_layout_swaps_its_pairs():
    arms = {"name": "arms", "joints": ["neck", "l", "r"], "limbs": [[0, 1], [0, 2]], "mirror_pairs": [[1, 2]]}
    flip = TRANSFORMS.build({"type": "FlipKeypoints", "flip_ratio": 1.0, "skeleton": arms})
    keypoint = np.array([[10, 1], [20, 2], [0, 3]], dtype=np.float32).reshape(1, 1, 3, 2)
    score = np.array([0.1, 0.2, 0.3]).reshape(1, 1, 3)
    flipped = flip({"keypoint": keypoint, "keypoint_score": score, "img_shape": (8, 50)})
    np.testing.assert_array_equal(flipped["keypoint"][0, 0], [[40, 1], [0, 3], [30, 2]])
    np.testing.assert_array_equal(flipped["keypoint_score"][0, 0], [0.1, 0.3, 0.2])
    assert flipped["flip"] is True


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ({"type": "SampleKeypointFrames", "clip_len": 0}, "'clip_len'"),
        ({"type": "SampleKeypointFrames", "clip_len": 48, "num_clips": 0}, "'num_clips'"),
        ({"type": "CompactKeypoints", "padding": -1}, "'padding'"),
        ({"type": "CompactKeypoints", "hw_ratio": 0}, "'hw_ratio'"),
        ({"type": "ResizeKeypoints", "scale": (-1, 64), "keep_ratio": False}, "'scale'"),
        ({"type": "RandomResizedCropKeypoints", "area_range": (0.5, 2.0)}, "'area_range'"),
        ({"type": "FlipKeypoints", "left_kp": [1]}, "expected skeleton, or left_kp and right_kp"),
        ({"type": "FlipKeypoints", "skeleton": "openpose22", "left_kp": [1], "right_kp": [2]}, "expected skeleton, or"),
        ({"type": "FlipKeypoints", "skeleton": "openpose22", "right_kp": [2]}, "expected skeleton, or"),
        ({"type": "FlipKeypoints", "skeleton": "openpose23"}, "openpose22"),
        ({"type": "FlipKeypoints", "left_kp": [1, 2], "right_kp": [3]}, "2 left joints face 1"),
        ({"type": "FlipKeypoints", "left_kp": [1, 2], "right_kp": [2, 3]}, "joint 2 stands in two pairs"),
        ({"type": "FlipKeypoints", "flip_ratio": 1.5, "skeleton": "openpose22"}, "'flip_ratio'"),
    ],
    ids=str,
)
def test_wrong_arguments_are_refused_at_construction(step, message):
    with pytest.raises(InputError, match=message):
        TRANSFORMS.build(step)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"total_frames": 0, "keypoint": np.zeros((1, 0, 22, 2)), "keypoint_score": None}, "'clip3'.*one frame"),
        ({"total_frames": 90}, "'clip3'.*'total_frames'.*the 60 of keypoint, got 90"),
        ({"keypoint": np.zeros((60, 22, 2))}, "'clip3'.*'keypoint'"),
        ({"keypoint_score": np.zeros((1, 60, 20))}, "'clip3'.*'keypoint_score'"),
        (make_clip(60, joints=20, seed=3), "'clip3'.*expected the 22 joints of skeleton 'openpose22', got 20"),
    ],
    ids=["no frame", "frame count", "keypoint", "score", "joints"],
)
def test_wrong_clips_are_refused_by_name(change, message):
    with pytest.raises(InputError, match=message):
        run(train_pipelines(flip={"skeleton": "openpose22"})[1], make_clip(60, seed=3) | change, seed=0)


def test_pairs_beyond_the_clips_joints_are_refused_by_name():
    with pytest.raises(InputError, match="'clip3'.*joint 20 is not in 0..19"):
        run(train_pipelines()[1], make_clip(60, joints=20, seed=3), seed=0)


def test_a_clip_without_an_id_cannot_be_packed():
    clip = make_clip(60)
    del clip["frame_dir"]
    with pytest.raises(InputError, match="'frame_dir'"):
        run(train_pipelines()[1], clip, seed=0)
