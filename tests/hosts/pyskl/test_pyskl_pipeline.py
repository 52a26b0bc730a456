"""Heat maps and keypoint transforms under PySKL's registry, against PySKL's own classes and its stored outputs."""

import random
import warnings

import numpy as np
import pytest

from pyskl_semloss.errors import InputError
from pyskl_semloss.skeletons import get_layout

try:
    from pyskl.datasets.builder import DATASETS, PIPELINES
    from pyskl.datasets.pipelines import Compose, GeneratePoseTarget

    import pyskl_semloss.hosts.pyskl  # noqa: F401
except ImportError:
    pytest.importorskip("pyskl")
    raise

OPENPOSE = get_layout("openpose22")
LIMB = dict(with_kp=False, with_limb=True)
LENGTHS = [1, 9, 47, 48, 49, 95, 96, 97, 200]  # around clip_len 48 and its double


def step(name, **options):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "left_kp and right_kp mirror")
        return PIPELINES.build(dict(type=name, **options))


def copied(results):
    return {key: value.copy() if isinstance(value, np.ndarray) else value for key, value in results.items()}


def points(seed, persons, frames=4, joints=17, height=40, width=32):
    """Points in, across and beyond the image's border, two of them close enough for a limb of no length."""
    rng = np.random.default_rng(seed)
    keypoint = rng.uniform(-4, max(height, width) + 4, (persons, frames, joints, 2)).astype(np.float32)
    score = rng.uniform(0, 1, (persons, frames, joints)).astype(np.float32)
    score[rng.random(score.shape) < 0.15] = 0
    keypoint[:, :, 5] = keypoint[:, :, 7] + 0.3
    return dict(keypoint=keypoint, keypoint_score=score, img_shape=(height, width))


LISTS = dict(
    skeletons=OPENPOSE.limbs, left_kp=OPENPOSE.left_kp, right_kp=OPENPOSE.right_kp,
    left_limb=OPENPOSE.left_limb, right_limb=OPENPOSE.right_limb,
)  # fmt: skip


OPTIONS = [{}, dict(double=True), dict(use_score=False, sigma=1.3), dict(scaling=0.5), dict(double=True, scaling=0.5)]


@pytest.mark.parametrize("persons", [1, 2, 3])
@pytest.mark.parametrize("modality", [{}, LIMB], ids=["joint", "limb"])
@pytest.mark.parametrize("lists", [{}, LISTS], ids=["defaults", "lists"])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_heat_maps_are_the_hosts(persons, modality, lists, options):
    options = {**options, **modality, **lists}
    for seed in range(2):
        results = points(seed, persons, joints=22 if lists else 17)
        expected = GeneratePoseTarget(**options)(copied(results))["imgs"]
        before = copied(results)
        drawn = step("GeneratePoseHeatmap", **options)(results)
        assert drawn["imgs"].shape == expected.shape and drawn["imgs"].dtype == expected.dtype
        np.testing.assert_allclose(drawn["imgs"], expected, atol=1e-5)
        # The host scales the points where they lie, and a cached clip shrinks with every epoch.
        np.testing.assert_array_equal(results["keypoint"], before["keypoint"])
        np.testing.assert_array_equal(results["keypoint_score"], before["keypoint_score"])
    assert expected.max() > 0.5


@pytest.mark.parametrize("modality", [{}, LIMB], ids=["joint", "limb"])
def test_the_lowest_score_that_draws_is_the_hosts(modality):
    edge = np.float32(1e-3)
    scores = [0, 1.5e-4, 9e-4, np.nextafter(edge, np.float32(0)), edge, np.nextafter(edge, np.float32(1)), 1.1e-3]
    results = points(0, 1, frames=len(scores))
    results["keypoint"] = np.random.default_rng(1).uniform(6, 26, results["keypoint"].shape).astype(np.float32)
    results["keypoint_score"] = np.array(scores, np.float32)[None, :, None].repeat(17, axis=2)
    expected = GeneratePoseTarget(**modality)(copied(results))["imgs"]
    ours = step("GeneratePoseHeatmap", **modality)(results)["imgs"]
    drawn = [bool(frame.any()) for frame in expected]
    assert drawn == [False, False, False, False, True, True, True]
    assert [bool(frame.any()) for frame in ours] == drawn
    np.testing.assert_allclose(ours, expected, atol=1e-5)


def test_images_that_are_there_stay_and_absent_scores_are_ones():
    results = points(0, 2)
    del results["keypoint_score"]
    results["imgs"] = "images"
    expected = GeneratePoseTarget()(copied(results))["heatmap_imgs"]
    drawn = step("GeneratePoseHeatmap")(results)
    np.testing.assert_allclose(drawn["heatmap_imgs"], expected, atol=1e-5)
    assert drawn["imgs"] == "images"


@pytest.mark.parametrize("case", ["one", "two"])
@pytest.mark.parametrize("modality", ["joint", "limb"])
@pytest.mark.parametrize("variant", ["", "_sigma1_noscore"])
def test_heat_maps_are_the_stored_ones(shared_dir, case, modality, variant):
    golden = np.load(shared_dir / "golden" / "pyskl_heatmaps.npz")
    options = dict(sigma=1.0, use_score=False) if variant else dict(sigma=0.6)
    results = dict(
        keypoint=golden[f"{case}_keypoint"],
        keypoint_score=golden[f"{case}_score"],
        img_shape=(int(golden["H"]), int(golden["W"])),
    )
    options |= LIMB if modality == "limb" else {}
    drawn = step("GeneratePoseHeatmap", skeletons=golden["edges"].tolist(), **options)
    np.testing.assert_allclose(drawn(results)["imgs"], golden[f"{case}_{modality}{variant}"], atol=1e-5)


@pytest.mark.parametrize("modality", ["joint", "limb", "Pose"])
def test_layout_and_modality_come_from_the_data(modality):
    results = dict(points(0, 2, joints=22), skeleton=OPENPOSE, modality=modality)
    flags = LIMB if modality == "limb" else {}
    expected = GeneratePoseTarget(double=True, **flags, **LISTS)(copied(results))["imgs"]
    ours = step("GeneratePoseHeatmap", double=True)(results)["imgs"]
    assert ours.shape[1] == (21 if modality == "limb" else 22)
    np.testing.assert_allclose(ours, expected, atol=1e-5)


def test_what_is_given_wins_over_the_data():
    results = dict(points(0, 2, joints=22), skeleton=OPENPOSE, modality="limb")
    limbs = dict(skeletons=[(0, 1), (2, 3), (5, 6)], left_limb=[1], right_limb=[2])
    expected = GeneratePoseTarget(double=True, **LIMB, **limbs)(copied(results))["imgs"]
    for flags in ({}, LIMB):
        ours = step("GeneratePoseHeatmap", double=True, **flags, **limbs)(copied(results))["imgs"]
        np.testing.assert_allclose(ours, expected, atol=1e-5)
    pairs = dict(left_kp=[1], right_kp=[2])
    expected = GeneratePoseTarget(double=True, **pairs)(copied(results))["imgs"]
    ours = step("GeneratePoseHeatmap", with_kp=True, double=True, **pairs)(copied(results))["imgs"]
    np.testing.assert_allclose(ours, expected, atol=1e-5)


def make_clip(frames, persons=1, seed=0, shape=(1080, 1920)):
    """A seeded clip with missing points, missing coordinates, and a person who comes and goes."""
    rng = np.random.RandomState(seed)
    centre = rng.uniform((600, 300), (1200, 700), size=(persons, 1, 1, 2))
    keypoint = centre + rng.normal(0, 80, (persons, 1, 22, 2)) + rng.normal(0, 9, (persons, frames, 22, 2))
    keypoint[rng.rand(persons, frames, 22) < 0.1] = 0
    keypoint[rng.rand(*keypoint.shape) < 0.02] = 0
    keypoint[1:, rng.rand(frames) < 0.3] = 0
    return dict(
        frame_dir=f"clip{seed}", label=seed, img_shape=shape, original_shape=shape, total_frames=frames,
        keypoint=keypoint.astype(np.float32), keypoint_score=rng.rand(persons, frames, 22).astype(np.float32),
        modality="joint", start_index=0, test_mode=False,
    )  # fmt: skip


def run(steps, clip, seed):
    """Run a pipeline on a copy from fresh seeds; also returns the next draws of the global generators."""
    np.random.seed(seed)
    random.seed(seed + 1)
    results = Compose(steps)(copied(clip))
    return results, (np.random.rand(), random.random())


def assert_equal_outputs(host, ours, clip, seed=0, same_draws=True):
    (theirs, their_draws), (mine, my_draws) = run(host, clip, seed), run(ours, clip, seed)
    for key in ("keypoint", "keypoint_score"):
        assert mine[key].shape == theirs[key].shape
        np.testing.assert_array_equal(mine[key].astype(np.float32), theirs[key].astype(np.float32))
    assert tuple(mine["img_shape"]) == tuple(theirs["img_shape"])
    if same_draws:
        assert my_draws == their_draws


PAIRS = dict(left_kp=OPENPOSE.left_kp, right_kp=OPENPOSE.right_kp)
TRAIN = [
    ("PoseCompact", "CompactKeypoints", dict(hw_ratio=1.0, allow_imgpad=True)),
    ("Resize", "ResizeKeypoints", dict(scale=(-1, 64))),
    ("RandomResizedCrop", "RandomResizedCropKeypoints", dict(area_range=(0.56, 1.0))),
    ("Resize", "ResizeKeypoints", dict(scale=(56, 56), keep_ratio=False)),
    ("Flip", "FlipKeypoints", dict(flip_ratio=0.5, **PAIRS)),
]


def of(column, table=TRAIN):
    return [dict(type=row[column], **row[2]) for row in table]


@pytest.mark.parametrize("persons", [1, 2, 3])
@pytest.mark.parametrize("frames", [1, 30, 90])
def test_the_training_steps_after_sampling_are_the_hosts(frames, persons):
    layout = of(1)[:-1] + [dict(type="FlipKeypoints", flip_ratio=0.5)]
    for seed in range(8):
        clip = make_clip(frames, persons, seed)
        assert_equal_outputs(of(0), of(1), clip, seed)
        assert_equal_outputs(of(0), layout, dict(clip, skeleton=OPENPOSE), seed)


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"hw_ratio": 1.0, "allow_imgpad": False},
        {"hw_ratio": (0.8, 1.3), "padding": 0.4},
        {"hw_ratio": 3.0, "padding": 0.0},
        {"threshold": 1000},
    ],
    ids=str,
)
def test_compact_is_the_hosts(arguments):
    table = [("PoseCompact", "CompactKeypoints", arguments)]
    for seed in range(20):
        clip = make_clip(60, persons=1 + seed % 3, seed=seed)
        clip["keypoint"] -= np.float32(400) * (clip["keypoint"] != 0)  # beyond the upper border too
        assert_equal_outputs(of(0, table), of(1, table), clip)


@pytest.mark.parametrize(
    ("scale", "keep_ratio"),
    [((-1, 64), True), ((64, -1), True), ((340, 256), True), ((100, 300), True), (0.37, True), ((100, 300), False)],
)
def test_resize_is_the_hosts(scale, keep_ratio):
    table = [("Resize", "ResizeKeypoints", dict(scale=scale, keep_ratio=keep_ratio))]
    for shape in [(1080, 1920), (240, 320), (333, 77), (5, 2000)]:
        assert_equal_outputs(of(0, table), of(1, table), make_clip(20, shape=shape))


@pytest.mark.parametrize("arguments", [{}, {"area_range": (0.9, 1.0), "aspect_ratio_range": (0.3, 4.0)}], ids=str)
def test_random_crop_is_the_hosts(arguments):
    table = [("RandomResizedCrop", "RandomResizedCropKeypoints", arguments)]
    for seed in range(40):  # narrow images make the first candidates fail, some all ten
        clip = make_clip(10, shape=[(300, 400), (60, 900), (20, 20)][seed % 3])
        assert_equal_outputs(of(0, table), of(1, table), clip, seed)


@pytest.mark.parametrize("ratio", [0.0, 0.5, 1.0])
def test_flip_is_the_hosts(ratio):
    table = [("Flip", "FlipKeypoints", dict(flip_ratio=ratio, **PAIRS))]
    for seed in range(10):
        assert_equal_outputs(of(0, table), of(1, table), make_clip(20, 2, seed), seed)


@pytest.mark.parametrize("num_clips", [1, 10])
@pytest.mark.parametrize("frames", LENGTHS)
def test_frames_of_testing_are_the_hosts_where_nothing_is_drawn(frames, num_clips):
    """From 48 frames on the two draw differently: PySKL takes one more number for each clip."""
    clip = dict(make_clip(frames, persons=2), test_mode=True)
    host = [dict(type="UniformSampleFrames", clip_len=48, num_clips=num_clips), dict(type="PoseDecode")]
    ours = [dict(type="SampleKeypointFrames", clip_len=48, num_clips=num_clips, test_mode=True)]
    if frames < 48:
        assert_equal_outputs(host, ours, clip, same_draws=False)
    theirs, mine = run(host, clip, 0)[0], run(ours, clip, 0)[0]
    assert (mine["num_clips"], mine["clip_len"]) == (theirs["num_clips"], theirs["clip_len"])
    assert mine["keypoint"].shape == theirs["keypoint"].shape and mine["keypoint"].dtype == np.float32
    assert (0 <= mine["frame_inds"]).all() and (mine["frame_inds"] < frames).all()


@pytest.mark.parametrize("modality", ["joint", "limb"])
@pytest.mark.parametrize("sampling", ["ours", "host's"])
@pytest.mark.filterwarnings("ignore:.*mended")
def test_the_validation_pipeline_is_the_stored_one(shared_dir, modality, sampling):
    """The stored clip, from the real file through the data set (scores off, as it was made)."""
    golden = np.load(shared_dir / "golden" / "pyskl_val_pipeline_a11_s02_e02.npz")
    layout = get_layout("kinect20")
    mapping = dict(name="golden20", joints=layout.joints, limbs=golden["limbs"].tolist(),
                   mirror_pairs=layout.mirror_pairs)  # fmt: skip
    sample = [dict(type="SampleKeypointFrames", clip_len=48, test_mode=True)]
    if sampling != "ours":
        sample = [dict(type="UniformSampleFrames", clip_len=48), dict(type="PoseDecode")]
    data = DATASETS.build(
        dict(
            type="KeypointDataset",
            ann_file=str(shared_dir / "data" / "msr_action3d" / "msr_action3d.pkl"),
            split="xsub_test",
            skeleton=mapping,
            modality=modality,
            test_mode=True,
            pipeline=[
                *sample,
                dict(type="CompactKeypoints", hw_ratio=1.0, allow_imgpad=True),
                dict(type="ResizeKeypoints", scale=(64, 64), keep_ratio=False),
                dict(type="GeneratePoseHeatmap", use_score=False),
                dict(type="FormatShape", input_format="NCTHW_Heatmap"),
            ],
        )
    )
    names = [info["frame_dir"] for info in data.video_infos]
    results = data[names.index(str(golden["frame_dir"]))]
    np.testing.assert_array_equal(results["frame_inds"], golden["frame_inds"])
    np.testing.assert_allclose(results["imgs"], golden[f"{modality}_imgs"], atol=1e-5)


def test_steps_can_be_printed_and_wrong_arguments_are_refused():
    built = Compose([*of(1), dict(type="GeneratePoseHeatmap", double=True)])
    assert "score_threshold=0.001" in repr(built) and "by the data's modality" in repr(built)
    with pytest.raises(InputError, match="left_kp"):
        step("GeneratePoseHeatmap", left_kp=[1], right_kp=[])
    with pytest.raises(InputError, match="with_kp"):
        step("GeneratePoseHeatmap", with_kp=False)
    with pytest.raises(InputError, match="show joint 16, but the clip has 13 joints"):
        step("GeneratePoseHeatmap", **LIMB)(points(0, 1, joints=13))
    with pytest.raises(InputError, match="'clip3'.*no layout says which"):
        step("FlipKeypoints")(make_clip(3, seed=3))
