"""The parts of an export against what they stand for: the test pipeline, the Numba engine, the 3-D network."""

import numpy as np
import pytest
import torch
from torch import nn

pytest.importorskip("mmaction")
from helpers.onnx_models import config_of, hard_clips, mended, predictor_of, save_model  # noqa: E402
from pyskl_semloss.errors import InputError  # noqa: E402
from pyskl_semloss.heatmap import Channels, render_heatmaps  # noqa: E402
from pyskl_semloss.hosts.mmaction2.export import export_onnx, graph  # noqa: E402
from pyskl_semloss.hosts.mmaction2.export.network import (  # noqa: E402
    FramesMaxPool,
    ViewMaps,  # noqa: E402
    over_frames,
)
from pyskl_semloss.hosts.mmaction2.export.views import ClipViews, view_plan  # noqa: E402
from pyskl_semloss.hosts.mmaction2.prediction.predictor import Predictor  # noqa: E402
from pyskl_semloss.hosts.mmaction2.prediction.trained_model import build_steps  # noqa: E402

PIPELINES = {
    "as configured": (dict(hw_ratio=1.0, allow_imgpad=True), {}),
    "free ratio": (dict(padding=0.1, threshold=3), {}),
    "range, inside the image": (dict(hw_ratio=(0.7, 1.2), allow_imgpad=False), {}),
    "no crop": (None, {}),
    "points outside dropped, scores 1": (dict(hw_ratio=1.0), dict(off_image="drop", binary_score=True)),
}


@pytest.mark.parametrize("crop, dataset", PIPELINES.values(), ids=PIPELINES)
def test_views_are_those_of_the_pipeline_to_the_last_bit(tmp_path, crop, dataset):
    steps = [
        dict(type="SampleKeypointFrames", clip_len=8, num_clips=3, test_mode=True),
        *([] if crop is None else [dict(type="CompactKeypoints", **crop)]),
        dict(type="ResizeKeypoints", scale=(20, 16), keep_ratio=False),
        dict(type="PackKeypoints", mirrored_views=True),
    ]
    predictor = predictor_of(tmp_path, ["joint"], steps=steps, **dataset)
    model = predictor.models["joint"]
    views = ClipViews(view_plan(model), 64)
    clips = [clip.to_dict() for clip in hard_clips()]
    given = views(*map(torch.from_numpy, graph.as_inputs(clips).values()))
    points, scores, mirror = (value.unflatten(0, (len(clips), 6)) for value in given)
    pipeline = build_steps(model.pipeline)
    for number, clip in enumerate(clips):
        results = mended(clip, model)
        for step in pipeline:
            results = step(results)
        persons = clip["keypoint"].shape[0]
        for half in (slice(0, 3), slice(3, 6)):
            torch.testing.assert_close(
                points[number, half, :persons], results["inputs"]["keypoint"], rtol=0, atol=0, msg=clip["frame_dir"]
            )
            torch.testing.assert_close(
                scores[number, half, :persons], results["inputs"]["keypoint_score"], rtol=0, atol=0
            )
        assert (scores[number, :, persons:] == 0).all()
    assert (mirror[:, :3] == 0).all() and (mirror[:, 3:] == 1).all()


def test_views_mend_what_the_reader_mends(tmp_path):
    predictor = predictor_of(tmp_path, ["joint"])
    (clip,) = [one.to_dict() for one in hard_clips() if one.frame_dir == "clip8"]
    clip["keypoint"], clip["keypoint_score"] = clip["keypoint"].copy(), clip["keypoint_score"].copy()
    keypoint, score = clip["keypoint"], clip["keypoint_score"]
    keypoint[0, :, 0], keypoint[0, :, 1, 1], keypoint[0, :, 2, 0] = np.nan, -np.inf, 1e6
    score[0, :, 3], score[0, :, 4], score[0, :, 5], score[0, :, 6] = np.nan, -1, 1.4, np.inf
    after = mended(clip, predictor.models["joint"])
    views = ClipViews(view_plan(predictor.models["joint"]), 64)
    wild, tame = (views(*map(torch.from_numpy, graph.as_inputs([one]).values())) for one in (clip, after))
    for one, other in zip(wild, tame, strict=True):
        assert torch.isfinite(one.double()).all()
        torch.testing.assert_close(one, other, rtol=0, atol=0)


LIMBS = [(0, 1), (1, 2), (2, 3), (3, 4), (5, 1), (5, 5)]


@pytest.mark.parametrize("modality", ["joint", "limb"])
@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize("sigma", [0.5, 2.5])
def test_maps_are_those_of_the_numba_engine(modality, mirror, sigma):
    rng = np.random.default_rng(1)
    keypoint = rng.uniform(-12, 33, (3, 40, 6, 2)).astype(np.float32)
    # Short limbs, limbs along the axes, borders on whole pixels, and places that fit no whole number.
    keypoint[:, ::4, 1] = keypoint[:, ::4, 0] + rng.uniform(-0.8, 0.8, keypoint[:, ::4, 0].shape)
    keypoint[:, 1::4, 2, 0] = keypoint[:, 1::4, 1, 0]
    keypoint[:, 2::4] = keypoint[:, 2::4].round()
    keypoint[0, 5], keypoint[1, 6, 3] = 1e30, -3e38
    score = rng.random((3, 40, 6)).astype(np.float32)
    score[rng.random(score.shape) < 0.2] = 0
    score[2, ::2] = 0
    channels = Channels.joints(6, [(0, 2), (3, 4)]) if modality == "joint" else Channels.limbs(LIMBS, [(0, 1), (2, 4)])
    wanted = render_heatmaps(keypoint, score, channels, (18, 23), sigma=sigma, threshold=0.3, mirror=mirror)[-40:]
    maps = ViewMaps(channels, (18, 23), sigma, 0.3)
    given = maps(torch.from_numpy(keypoint), torch.from_numpy(score), torch.tensor([int(mirror)]))
    assert wanted.max() > 0.9 and given.shape == wanted.shape
    np.testing.assert_allclose(given.numpy(), wanted, atol=1e-5)


class Volumes(nn.Module):
    """Every kind of part, of every kernel in time."""

    def __init__(self, **options):
        super().__init__()
        self.parts = nn.Sequential(
            nn.Conv3d(3, 4, (1, 5, 3), (1, 2, 1), (0, 2, 1)),
            nn.MaxPool3d((3, 3, 1), (2, 2, 1), (1, 1, 0)),
            nn.Conv3d(4, 5, (3, 1, 1), (2, 1, 1), (1, 0, 0), bias=False),
            nn.BatchNorm3d(5),
            nn.ReLU(),
            nn.Conv3d(5, 6, 3, padding=1, **options),
            nn.Conv3d(6, 4, 1, stride=(2, 1, 2)),
        )

    def forward(self, x):
        return self.parts(x)


def test_a_network_over_frames_is_the_network_over_the_volume():
    torch.manual_seed(0)
    network = Volumes()
    network.parts[3].running_mean.uniform_(-1, 1)
    network.parts[3].running_var.uniform_(0.5, 2)
    network.eval()
    frames = over_frames(network)
    for length in (9, 12, 13):
        volume = torch.randn(1, 3, length, 11, 10)
        with torch.no_grad():
            wanted, given = network(volume)[0].transpose(0, 1), frames(volume[0].transpose(0, 1))
        torch.testing.assert_close(given, wanted, rtol=1e-5, atol=1e-6)
    assert isinstance(network.parts[0], nn.Conv3d), "the network itself stays as it is"


def test_parts_without_a_counterpart_are_refused(tmp_path):
    for part in (nn.Conv3d(4, 4, 3, groups=2), nn.Conv3d(4, 4, 3, dilation=2), nn.AvgPool3d(2), nn.InstanceNorm3d(4)):
        with pytest.raises(NotImplementedError):
            over_frames(nn.Sequential(part))
    with pytest.raises(NotImplementedError):
        FramesMaxPool(nn.MaxPool3d(2, dilation=2))
    config = config_of()
    # Attention over all frames: every part has a counterpart, the whole has not.
    config.model.backbone.update(non_local=((0,), (1,), (0,)), non_local_cfg=dict(sub_sample=False))
    source = save_model(config, tmp_path / "joint.pth")
    predictor = Predictor(joint=source, device="cpu")
    torch.nn.init.normal_(predictor.models["joint"].model.backbone.layer2[0].non_local_block.conv_out.conv.weight)
    pytest.importorskip("onnx")
    with pytest.raises(InputError, match="backbone cannot be exported"):
        export_onnx(predictor, tmp_path / "out.onnx")
    assert not (tmp_path / "out.onnx").exists()


@pytest.mark.parametrize(
    "step, said",
    [
        (dict(type="SampleKeypointFrames", clip_len=8), "draws random frames"),
        (dict(type="ResizeKeypoints", scale=(-1, 16)), "no fixed size"),
        (dict(type="FlipKeypoints", flip_ratio=0.5), "FlipKeypoints"),
    ],
)
def test_a_pipeline_that_is_no_graph_is_refused(tmp_path, step, said):
    config = config_of()
    steps = config.test_dataloader.dataset.pipeline
    places = {"SampleKeypointFrames": 0, "ResizeKeypoints": 2}
    if step["type"] in places:
        steps[places[step["type"]]] = step
    else:
        steps.insert(1, step)
    predictor = Predictor(joint=save_model(config, tmp_path / "joint.pth"), device="cpu")
    with pytest.raises(InputError, match=said):
        view_plan(predictor.models["joint"])


def test_other_settings_that_no_graph_has_are_refused(tmp_path):
    pytest.importorskip("onnx")
    config = config_of()
    config.model.data_preprocessor.use_score = False
    predictor = Predictor(joint=save_model(config, tmp_path / "joint.pth"), device="cpu")
    with pytest.raises(InputError, match="use_score"):
        export_onnx(predictor, tmp_path / "out.onnx")
    config = config_of()
    config.model.cls_head.average_clips = "score"
    with pytest.raises(InputError, match="'prob'"):
        Predictor(joint=save_model(config, tmp_path / "joint.pth"), device="cpu")
    for frames in (0, 40000):
        with pytest.raises(InputError, match="max_frames"):
            export_onnx(predictor_of(tmp_path, ["limb"]), tmp_path / "out.onnx", max_frames=frames)
