"""The preprocessor and the drop-in transform beside MMAction2's own GeneratePoseTarget and PySKL's pipeline."""

import warnings

import numpy as np
import pytest
import torch

from pyskl_semloss.errors import InputError
from pyskl_semloss.heatmap import Channels, render_heatmaps
from pyskl_semloss.skeletons import get_layout

try:
    from mmaction.datasets.transforms import FormatShape, GeneratePoseTarget
    from mmaction.registry import MODELS, TRANSFORMS
    from mmengine.dataset import Compose, pseudo_collate
    from mmengine.registry import DefaultScope

    import pyskl_semloss.hosts.mmaction2  # noqa: F401
except ImportError:
    pytest.importorskip("mmaction")
    raise

LAYOUT = get_layout("coco17")


@pytest.fixture(autouse=True)
def scope():
    DefaultScope.get_instance("pyskl_semloss_tests", scope_name="mmaction")


def random_results(seed, persons, frames=5, joints=17, height=40, width=32):
    rng = np.random.default_rng(seed)
    keypoint = rng.uniform(-4, max(height, width) + 4, (persons, frames, joints, 2)).astype(np.float32)
    score = rng.uniform(0, 1, (persons, frames, joints)).astype(np.float32)
    score[rng.random(score.shape) < 0.15] = 0
    keypoint[:, :, 5] = keypoint[:, :, 7] + 0.3
    return dict(keypoint=keypoint, keypoint_score=score, img_shape=(height, width))


@pytest.mark.parametrize("persons", [1, 2, 3])
@pytest.mark.parametrize(
    "options",
    [
        dict(),
        dict(with_kp=False, with_limb=True),
        dict(with_kp=False, with_limb=True, double=True, use_score=False, sigma=1.3),
        dict(double=True, scaling=0.5),
        dict(with_kp=True, with_limb=True, double=True),
        dict(with_kp=False, with_limb=True, skeletons=((0, 1), (5, 7), (3, 3))),
    ],
)
def test_drop_in_equals_the_hosts_transform(persons, options):
    for seed in range(3):
        results = random_results(seed, persons)
        expected = GeneratePoseTarget(**options).transform({key: np.copy(results[key]) for key in results})["imgs"]
        before = results["keypoint"].copy()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ours = TRANSFORMS.build(dict(type="GeneratePoseHeatmap", **options)).transform(results)["imgs"]
        assert ours.shape == expected.shape and ours.dtype == expected.dtype
        np.testing.assert_allclose(ours, expected, atol=1e-5)
        np.testing.assert_array_equal(results["keypoint"], before)
    assert expected.max() > 0.5


def test_drop_in_without_scores_and_beside_images():
    results = random_results(0, 1)
    del results["keypoint_score"]
    results["imgs"] = "images"
    expected = GeneratePoseTarget().transform(dict(results, keypoint=results["keypoint"].copy()))["heatmap_imgs"]
    ours = TRANSFORMS.build(dict(type="GeneratePoseHeatmap")).transform(results)
    np.testing.assert_allclose(ours["heatmap_imgs"], expected, atol=1e-5)
    assert ours["imgs"] == "images"


def test_drop_in_warns_of_a_mirror_that_breaks_limbs():
    limbs = [(0, 1), (1, 2), (2, 3)]
    with pytest.warns(UserWarning, match=r"onto no limb: \[\(0, 1\), \(2, 3\)\]"):
        TRANSFORMS.build(
            dict(type="GeneratePoseHeatmap", with_kp=False, with_limb=True, double=True, skeletons=limbs,
                 left_kp=[1], right_kp=[2], left_limb=[], right_limb=[])
        )  # fmt: skip
    with pytest.raises(InputError, match="left_kp"):
        TRANSFORMS.build(dict(type="GeneratePoseHeatmap", left_kp=[1], right_kp=[]))


def packed(seed, persons, views=2, frames=4, mirrored=False, size=(40, 32), layout="coco17", joints=17):
    results = random_results(seed, persons, frames=views * frames, joints=joints, height=size[0], width=size[1])
    results.update(frame_dir=f"clip{seed}", label=3, num_clips=views, clip_len=frames, skeleton=get_layout(layout))
    return results, TRANSFORMS.build(dict(type="PackKeypoints", mirrored_views=mirrored)).transform(dict(results))


def batch(*items):
    return pseudo_collate(list(items))


@pytest.mark.parametrize("engine", ["numba", "torch", "auto"])
@pytest.mark.parametrize("modality", ["joint", "limb"])
@pytest.mark.parametrize("mirrored", [False, True])
def test_a_batch_equals_the_hosts_pipeline(engine, modality, mirrored):
    preprocessor = MODELS.build(
        dict(type="PoseHeatmapPreprocessor", skeleton="coco17", modality=modality, engine=engine)
    )
    clips = [packed(seed, persons, mirrored=mirrored) for seed, persons in ((0, 1), (1, 3), (2, 2))]
    data = preprocessor(batch(*[item for _, item in clips]), training=False)
    host = GeneratePoseTarget(
        with_kp=modality == "joint", with_limb=modality == "limb", double=mirrored, skeletons=LAYOUT.limbs,
        left_kp=LAYOUT.left_kp, right_kp=LAYOUT.right_kp, left_limb=LAYOUT.left_limb, right_limb=LAYOUT.right_limb,
    )  # fmt: skip
    assert data["inputs"].shape == (3, 4 if mirrored else 2, 17, 4, 40, 32)
    for volume, (results, _) in zip(data["inputs"], clips, strict=True):
        expected = FormatShape("NCTHW_Heatmap").transform(host.transform(dict(results)))["imgs"]
        np.testing.assert_allclose(volume.numpy(), expected, atol=1e-5)
    assert [sample.sample_id for sample in data["data_samples"]] == ["clip0", "clip1", "clip2"]


@pytest.mark.parametrize("engine", ["numba", "torch"])
@pytest.mark.parametrize("mirrored", [False, True])
def test_volumes_are_channels_last_and_in_autocasts_dtype(engine, mirrored):
    preprocessor = MODELS.build(dict(type="PoseHeatmapPreprocessor", skeleton="coco17", engine=engine))
    item = packed(0, 2, views=2, mirrored=mirrored)[1]
    full = preprocessor(batch(item, item))["inputs"]
    assert full.dtype == torch.float32
    assert full.view(-1, *full.shape[2:]).is_contiguous(memory_format=torch.channels_last_3d)
    with torch.autocast("cpu", torch.bfloat16):
        half = preprocessor(batch(item, item))["inputs"]
    assert half.dtype == torch.bfloat16
    np.testing.assert_allclose(half.float().numpy(), full.numpy(), atol=4e-3)


@pytest.mark.parametrize("engine", ["numba", "torch"])
def test_padded_persons_draw_nothing_even_without_scores(engine):
    preprocessor = MODELS.build(dict(type="PoseHeatmapPreprocessor", skeleton="coco17", engine=engine, use_score=False))
    alone = preprocessor(batch(packed(0, 1)[1]))["inputs"][0]
    beside = preprocessor(batch(packed(0, 1)[1], packed(1, 3)[1]))["inputs"][0]
    assert torch.equal(alone, beside)
    assert float(alone.max()) > 0.5


def test_pyskls_validation_pipeline(shared_dir):
    """The stored clip, through our reader, transforms and preprocessor (scores off, as it was made)."""
    from pyskl_semloss.annotations import read_annotations

    golden = np.load(shared_dir / "golden" / "pyskl_val_pipeline_a11_s02_e02.npz")
    name = str(golden["frame_dir"])
    clips, _ = read_annotations(shared_dir / "data" / "msr_action3d" / "msr_action3d.pkl", split="xsub_test")
    (clip,) = [clip for clip in clips.clips if clip.frame_dir == name]
    pipeline = Compose(
        [
            dict(type="SampleKeypointFrames", clip_len=48, test_mode=True),
            dict(type="CompactKeypoints", hw_ratio=1.0, allow_imgpad=True),
            dict(type="ResizeKeypoints", scale=(64, 64), keep_ratio=False),
        ]
    )
    results = pipeline(clip.to_dict())
    np.testing.assert_array_equal(results["frame_inds"], golden["frame_inds"])
    packed_clip = TRANSFORMS.build(dict(type="PackKeypoints")).transform(dict(results))
    for modality in ("joint", "limb"):
        layout = get_layout("kinect20")
        if modality == "limb":
            layout = dict(name="golden20", joints=layout.joints, limbs=golden["limbs"].tolist(),
                          mirror_pairs=layout.mirror_pairs)  # fmt: skip
        preprocessor = MODELS.build(
            dict(type="PoseHeatmapPreprocessor", skeleton=layout, modality=modality, use_score=False,
                 score_threshold=1e-3)
        )  # fmt: skip
        volume = preprocessor(batch(packed_clip))["inputs"][0]
        np.testing.assert_allclose(volume.numpy(), golden[f"{modality}_imgs"], atol=1e-5)


@pytest.mark.filterwarnings("ignore:with_kp and with_limb")
def test_refusals_name_clip_and_field():
    both = TRANSFORMS.build(dict(type="GeneratePoseHeatmap", with_kp=True, with_limb=True))
    with pytest.raises(InputError, match="show joint 16, but the clip has 13 joints"):
        both.transform(random_results(0, 1, joints=13))
    preprocessor = MODELS.build(dict(type="PoseHeatmapPreprocessor", skeleton="coco17"))
    for second, message in (
        (packed(1, 1, size=(40, 40))[1], "'img_shape'.*ResizeKeypoints"),
        (packed(1, 1, views=1)[1], "'clip0'.*same views, frames and joints"),
        (packed(1, 1, mirrored=True)[1], "'mirrored_views'"),
    ):
        with pytest.raises(InputError, match=message):
            preprocessor(batch(packed(0, 1)[1], second))
    with pytest.raises(InputError, match=r"'clip0'.*draws 'coco17' \(17 joints\).*holds 'kinect20' \(20 joints\)"):
        preprocessor(batch(packed(0, 1, joints=20, layout="kinect20")[1]))
    for options, message in (
        (dict(engine="triton"), "engine"),
        (dict(sigma=0), "sigma"),
        (dict(modality="bone"), "joint"),
    ):
        with pytest.raises(InputError, match=message):
            MODELS.build(dict(type="PoseHeatmapPreprocessor", skeleton="coco17", **options))


def test_a_right_layouts_mirror_is_the_mirror_of_its_points():
    """Rendering mirrored points and mirroring the rendered volume agree, but for the windows' truncation."""
    layout = get_layout("openpose22")
    rng = np.random.default_rng(0)
    keypoint = rng.uniform(6, 34, (1, 3, 22, 2)).astype(np.float32)
    score = rng.uniform(0.2, 1, (1, 3, 22)).astype(np.float32)
    for modality in ("joint", "limb"):
        channels = Channels.of_layout(layout, modality)
        volume = render_heatmaps(keypoint, score, channels, (40, 40), mirror=True)
        order = list(layout.joint_mirror)
        points = keypoint[:, :, order].copy()
        points[..., 0] = 39 - points[..., 0]
        again = render_heatmaps(points, score[:, :, order], channels, (40, 40))
        strong = np.minimum(volume[3:], again) > 0.05
        np.testing.assert_allclose(volume[3:][strong], again[strong], atol=1e-5)
        assert strong.sum() > 300


def test_stacked_and_listed_clips_give_the_same():
    """The collate function of the configs against mmengine's own; clips that differ in persons stay a list."""
    from mmengine.registry import FUNCTIONS

    import pyskl_semloss.hosts.mmaction2  # noqa: F401

    stack = FUNCTIONS.get("stack_keypoints")
    preprocessor = MODELS.build(dict(type="PoseHeatmapPreprocessor", skeleton="coco17"))
    for persons, stacked in (((2, 2, 2), True), ((1, 3, 2), False)):
        items = [packed(seed, count)[1] for seed, count in enumerate(persons)]
        collated = stack(items)
        assert isinstance(collated["inputs"]["keypoint"], torch.Tensor) == stacked
        one, other = preprocessor(collated), preprocessor(batch(*items))
        assert torch.equal(one["inputs"], other["inputs"]) and float(one["inputs"].max()) > 0.1
        assert [sample.sample_id for sample in one["data_samples"]] == ["clip0", "clip1", "clip2"]
