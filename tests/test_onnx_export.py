"""The export's parts against what they stand for, and whole files against torch and the tools."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

pytest.importorskip("mmaction")
from mmaction.registry import MODELS  # noqa: E402
from mmengine.config import Config  # noqa: E402
from mmengine.registry import init_default_scope  # noqa: E402

import pyskl_semloss.hosts.mmaction2  # noqa: E402, F401
from pyskl_semloss.annotations import Clip  # noqa: E402
from pyskl_semloss.errors import HostError, InputError  # noqa: E402
from pyskl_semloss.evaluation.scores import Scores  # noqa: E402
from pyskl_semloss.files import sha256  # noqa: E402
from pyskl_semloss.heatmap import Channels, render_heatmaps  # noqa: E402
from pyskl_semloss.hosts.mmaction2.export import check, export_onnx, graph  # noqa: E402
from pyskl_semloss.hosts.mmaction2.export.maps import ViewMaps  # noqa: E402
from pyskl_semloss.hosts.mmaction2.export.network import FramesMaxPool, over_frames  # noqa: E402
from pyskl_semloss.hosts.mmaction2.export.views import ClipViews, view_plan  # noqa: E402
from pyskl_semloss.hosts.mmaction2.predictor import Predictor  # noqa: E402
from pyskl_semloss.hosts.mmaction2.trained_model import build_steps  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
BASE = ROOT / "configs" / "mmaction2" / "synthetic"


def needs_runtime():
    pytest.importorskip("onnx", reason="the export needs onnx")
    return pytest.importorskip("onnxruntime", reason="running the file needs onnxruntime")


def config_of(modality="joint", *, classes=32, semantic=True, steps=None, size=16, frames=8, **dataset):
    """A tiny model's config: 8 frames of 16x16 maps, two clips and their mirror images."""
    config = Config.fromfile(str(BASE / f"{modality}{'' if semantic else '_baseline'}.py"))
    if not semantic and modality == "limb":
        config.model.data_preprocessor.modality = "limb"
    config.model.backbone.base_channels = 8
    config.model.cls_head.update(in_channels=32, num_classes=classes)
    if semantic:
        vectors = np.random.default_rng(0).normal(0, 0.3, (classes, 20)).astype(np.float32)
        config.model.cls_head.label_vectors = vectors
    config.test_dataloader.dataset.pipeline = steps or [
        dict(type="SampleKeypointFrames", clip_len=frames, num_clips=2, test_mode=True),
        dict(type="CompactKeypoints", hw_ratio=1.0, allow_imgpad=True),
        dict(type="ResizeKeypoints", scale=(size, size), keep_ratio=False),
        dict(type="PackKeypoints", mirrored_views=True),
    ]
    config.test_dataloader.dataset.update(dataset)
    return config


def save_model(config, path, seed=0):
    """Weights that are far from their start, so that classes differ and every normalisation counts."""
    init_default_scope("mmaction")
    torch.manual_seed(seed)
    model = MODELS.build(config.model)
    with torch.no_grad():
        for part in model.modules():
            if isinstance(part, nn.BatchNorm3d):
                for value, low, high in ((part.running_mean, -0.2, 0.2), (part.running_var, 0.5, 1.5)):
                    value.uniform_(low, high)
                part.weight.uniform_(0.5, 1.5)
                part.bias.uniform_(-0.2, 0.2)
        model.cls_head.fc_cls.weight.normal_(0, 2)
    torch.save({"state_dict": model.state_dict()}, path)
    return config, path


def predictor_of(folder, modalities=("joint", "limb"), **options):
    sources = {
        name: save_model(config_of(name, **options), folder / f"{name}.pth", seed)
        for seed, name in enumerate(modalities)
    }
    return Predictor(**sources, device="cpu")


def hard_clips(joints=22, seed=0):
    """Every length around the model's 8 frames, one and two persons, missing points, points outside, nobody."""
    rng = np.random.default_rng(seed)
    clips = []
    for number, frames in enumerate((1, 2, 7, 8, 9, 15, 16, 17, 40, 63)):
        persons, shape = 1 + number % 2, (90 + 7 * number, 120)
        keypoint = rng.uniform(-10, 130, (persons, frames, joints, 2)).astype(np.float32)
        score = rng.random((persons, frames, joints)).astype(np.float32)
        missing = rng.random(score.shape) < 0.2
        keypoint[missing], score[missing] = 0, 0
        clips.append(Clip(f"clip{number}", -1, shape, shape, keypoint, score))
    some, score = clips[8].keypoint, clips[8].keypoint_score
    for name, change in (("nobody", 0), ("small", 0.01)):
        clips.append(Clip(name, -1, (90, 120), (90, 120), some * np.float32(change), score))
    # Only one coordinate is missing; and a box that begins on a whole pixel, outside the image.
    clips[4].keypoint[..., :4, 0] = 0
    clips[6].keypoint[clips[6].keypoint < 0] = -8
    return clips


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
    given = views(**{name: torch.from_numpy(value) for name, value in graph.as_inputs(clips).items()})
    points, scores, mirror = (value.unflatten(0, (len(clips), 6)) for value in given)
    pipeline = build_steps(model.pipeline)
    for number, clip in enumerate(clips):
        results = predictor._mended(clip, model)
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
    mended = predictor._mended(clip, predictor.models["joint"])
    views = ClipViews(view_plan(predictor.models["joint"]), 64)
    wild, tame = (
        views(**{name: torch.from_numpy(value) for name, value in graph.as_inputs([one]).items()})
        for one in (clip, mended)
    )
    for one, other in zip(wild, tame, strict=True):
        assert torch.isfinite(one.double()).all()
        torch.testing.assert_close(one, other, rtol=0, atol=0)


LIMBS = [(0, 1), (1, 2), (2, 3), (3, 4), (5, 1), (5, 5)]


@pytest.mark.parametrize("modality", ["joint", "limb"])
@pytest.mark.parametrize("mirror", [False, True])
def test_maps_are_those_of_the_numba_engine(modality, mirror):
    rng = np.random.default_rng(1)
    keypoint = rng.uniform(-9, 30, (3, 40, 6, 2)).astype(np.float32)
    # Short limbs, limbs along the axes, borders on whole pixels, and places that fit no whole number.
    keypoint[:, ::4, 1] = keypoint[:, ::4, 0] + rng.uniform(-0.8, 0.8, keypoint[:, ::4, 0].shape)
    keypoint[:, 1::4, 2, 0] = keypoint[:, 1::4, 1, 0]
    keypoint[:, 2::4] = keypoint[:, 2::4].round()
    keypoint[0, 5], keypoint[1, 6, 3] = 1e30, -3e38
    score = rng.random((3, 40, 6)).astype(np.float32)
    score[rng.random(score.shape) < 0.2] = 0
    score[2, ::2] = 0
    channels = Channels.joints(6, [(0, 2), (3, 4)]) if modality == "joint" else Channels.limbs(LIMBS, [(0, 1), (2, 4)])
    wanted = render_heatmaps(keypoint, score, channels, (18, 23), sigma=0.5, threshold=0.3, mirror=mirror)
    maps = ViewMaps(channels, (18, 23), 0.5, 0.3)
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
        (dict(type="SampleKeypointFrames", clip_len=8), "other frames each time"),
        (dict(type="ResizeKeypoints", scale=(-1, 16)), "no fixed size"),
        (dict(type="FlipKeypoints", flip_ratio=0.5), "FlipKeypoints"),
        (None, "expected one PackKeypoints"),
    ],
)
def test_a_pipeline_that_is_no_graph_is_refused(tmp_path, step, said):
    config = config_of()
    steps = config.test_dataloader.dataset.pipeline
    places = {"SampleKeypointFrames": 0, "ResizeKeypoints": 2}
    if step is None:
        steps.pop()
    elif step["type"] in places:
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
    predictor = Predictor(joint=save_model(config, tmp_path / "joint.pth"), device="cpu")
    with pytest.raises(InputError, match="'prob'"):
        export_onnx(predictor, tmp_path / "out.onnx")
    for frames in (0, 40000):
        with pytest.raises(InputError, match="max_frames"):
            export_onnx(predictor_of(tmp_path, ["limb"]), tmp_path / "out.onnx", max_frames=frames)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """Random joint and limb models, and their file."""
    needs_runtime()
    folder = tmp_path_factory.mktemp("exported")
    predictor = predictor_of(folder)
    export_onnx(predictor, folder / "both.onnx", max_frames=64)
    return predictor, folder / "both.onnx", check.open_session(folder / "both.onnx", 1)


def by_torch(predictor, clips, **options):
    return check.run_torch(predictor, [clip.to_dict() for clip in clips], **options)


@pytest.mark.parametrize("batch", [1, 3, 12])
def test_a_file_gives_torchs_scores_for_hard_clips(exported, batch):
    predictor, _, session = exported
    clips = hard_clips()
    wanted = by_torch(predictor, clips)
    assert list(wanted) == ["joint", "joint_cosine", "limb", "limb_cosine", "fusion", "fusion_cosine"]
    assert wanted["fusion"].std(0).max() > 0.05, "clips that all look alike would prove nothing"
    for start in range(0, len(clips), batch):
        part = slice(start, start + batch)
        given = check.run_file(session, [clip.to_dict() for clip in clips[part]])
        assert given.keys() == wanted.keys()
        for name, value in given.items():
            np.testing.assert_allclose(value, wanted[name][part], atol=1e-5, err_msg=name)


def test_fusion_is_two_to_three_and_probabilities_sum_to_one(exported):
    _, _, session = exported
    given = check.run_file(session, [clip.to_dict() for clip in hard_clips()])
    np.testing.assert_allclose(given["fusion"], 0.4 * given["joint"] + 0.6 * given["limb"], atol=1e-6)
    np.testing.assert_allclose(given["joint"].sum(1), 1, atol=1e-5)


def test_a_file_refuses_clips_that_it_would_get_wrong(exported):
    runtime = needs_runtime()
    refused = runtime.capi.onnxruntime_pybind11_state.InvalidArgument, runtime.capi.onnxruntime_pybind11_state.Fail
    _, _, session = exported
    inputs = graph.as_inputs([hard_clips()[8].to_dict()])
    for frames in (0, 41, 64, 65):
        # 40 frames are there, and the file was made for 64.
        with pytest.raises(refused):
            session.run(None, {**inputs, "total_frames": np.array([frames])})
    long = np.zeros((1, 65, 22, 2), np.float32)
    with pytest.raises(refused):
        session.run(None, graph.as_inputs([{"keypoint": long, "img_shape": (9, 9)}]))


def test_a_file_says_what_it_is(exported):
    onnx = pytest.importorskip("onnx")
    predictor, path, _ = exported
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    assert [(one.domain, one.version) for one in model.opset_import] == [("", graph.OPSET)]
    notes = {one.key: json.loads(one.value) for one in model.metadata_props}
    assert notes["class_names"] == [f"class {number}" for number in range(32)]
    assert notes["layout"] == "openpose22" and notes["joints"][:2] == ["nose", "neck"]
    assert notes["weights"] == pytest.approx({"joint": 0.4, "limb": 0.6})
    assert notes["checkpoints"] == {name: sha256(one.checkpoint) for name, one in predictor.models.items()}
    assert notes["map_size"]["limb"] == [16, 16] and notes["sigma"]["joint"] == 0.6
    assert notes["views"] == {"joint": 4, "limb": 4} and notes["frames"]["joint"] == 8 and notes["max_frames"] == 64
    assert notes["pyskl_semloss"] == pyskl_semloss.__version__
    types = {one.name: one.type.tensor_type for one in model.graph.input}
    shapes = {name: [d.dim_param or d.dim_value for d in one.shape.dim] for name, one in types.items()}
    assert shapes == {
        "keypoint": ["N", "M", "T", 22, 2],
        "keypoint_score": ["N", "M", "T", 22],
        "total_frames": ["N"],
        "img_shape": ["N", 2],
    }


@pytest.mark.parametrize("semantic", [True, False])
def test_one_model_of_other_classes_and_without_the_branch(tmp_path, semantic):
    needs_runtime()
    predictor = predictor_of(tmp_path, ["limb"], classes=5, semantic=semantic)
    export_onnx(predictor, tmp_path / "limb.onnx", one_view=True, max_frames=64)
    session = check.open_session(tmp_path / "limb.onnx", 1)
    given = check.run_file(session, [clip.to_dict() for clip in hard_clips()])
    wanted = by_torch(predictor, hard_clips(), one_view=True)
    assert list(given) == (["limb", "limb_cosine"] if semantic else ["limb"]) and given["limb"].shape == (12, 5)
    for name, value in given.items():
        np.testing.assert_allclose(value, wanted[name], atol=1e-5, err_msg=name)


def test_two_models_with_pipelines_of_their_own(tmp_path):
    needs_runtime()
    sources = {
        "joint": save_model(config_of("joint", semantic=False), tmp_path / "joint.pth"),
        "limb": save_model(config_of("limb", size=20, frames=6), tmp_path / "limb.pth", 1),
    }
    predictor = Predictor(**sources, weights=(3, 1), device="cpu")
    export_onnx(predictor, tmp_path / "both.onnx", max_frames=64)
    session = check.open_session(tmp_path / "both.onnx", 1)
    given = check.run_file(session, [clip.to_dict() for clip in hard_clips()[:4]])
    wanted = by_torch(predictor, hard_clips()[:4])
    assert list(given) == ["joint", "limb", "limb_cosine", "fusion"]
    for name, value in given.items():
        np.testing.assert_allclose(value, wanted[name], atol=1e-5, err_msg=name)


def test_a_failed_export_leaves_the_old_file(tmp_path, monkeypatch):
    onnx = pytest.importorskip("onnx")
    (tmp_path / "out.onnx").write_text("old")
    monkeypatch.setattr(onnx.checker, "check_model", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        export_onnx(predictor_of(tmp_path, ["joint"]), tmp_path / "out.onnx", max_frames=9)
    assert (tmp_path / "out.onnx").read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["joint.pth", "out.onnx"]


def test_without_onnx_the_error_says_what_to_install(tmp_path, monkeypatch):
    for name in ("onnx", "onnxruntime"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(HostError, match=r"pip install 'pyskl_semloss\[onnx\]'"):
        export_onnx(predictor_of(tmp_path, ["joint"]), tmp_path / "out.onnx")
    with pytest.raises(HostError, match=r"pip install 'pyskl_semloss\[onnx\]'"):
        check.open_session(tmp_path / "out.onnx")


def tool(*words, code=0):
    env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, env=env, cwd=ROOT, timeout=600)
    assert done.returncode == code, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout + done.stderr


def test_a_file_of_trained_models_gives_the_scores_of_the_tools(tmp_path):
    needs_runtime()
    from tiny_runs import write_run

    files = {}
    for name, line in (("joint", ""), ("limb", 'model["data_preprocessor"] = dict(modality="limb")\n')):
        line += 'model["backbone"]["in_channels"] = 21\n' if name == "limb" else ""
        config = write_run(tmp_path / name, steps=12, epochs=1, lines=line)
        tool("tools/train.py", config)
        checkpoint, scores = tmp_path / name / "run" / "epoch_1.pth", tmp_path / f"{name}.npz"
        tool("tools/test.py", config, checkpoint, "--out", scores)
        files[name] = (config, checkpoint, scores)
    tool("tools/fuse_scores.py", files["joint"][2], files["limb"][2], "--out", tmp_path / "fused.npz")
    clips = tmp_path / "joint" / "clips.pkl"
    said = tool("tools/export_onnx.py", tmp_path / "both.onnx", "--joint", *files["joint"][:2], "--limb",
                *files["limb"][:2], "--max-frames", 200, "--check", clips, "--split", "test", "--clips", 2)  # fmt: skip
    assert "Largest difference to torch on 2 clips: joint " in said and str(tmp_path / "both.onnx") in said
    session = check.open_session(tmp_path / "both.onnx", 1)
    found = check.read_clips(clips, "test", 4, Predictor(joint=files["joint"][:2], device="cpu"))
    wanted = {name: Scores.load(files[name][2]) for name in files}
    wanted["fusion"] = Scores.load(tmp_path / "fused.npz")
    rows = {name: [one.sample_id.tolist().index(clip["frame_dir"]) for clip in found] for name, one in wanted.items()}
    for batch in (1, 3):
        parts = [check.run_file(session, found[start : start + batch]) for start in range(0, len(found), batch)]
        for name, one in wanted.items():
            given = np.concatenate([part[name] for part in parts])
            np.testing.assert_allclose(given, one.score[rows[name]], atol=1e-4)
            cosine = np.concatenate([part[f"{name}_cosine"] for part in parts])
            np.testing.assert_allclose(cosine, one.semantic_cosine[rows[name]], atol=1e-4)


def test_the_example_of_the_docs_runs_without_torch(exported, tmp_path):
    predictor, path, _ = exported
    (text,) = re.findall("```python\n(.*?)```", (ROOT / "docs" / "export.md").read_text(encoding="utf-8"), re.DOTALL)
    blocked = "import sys\nfor name in ('torch', 'onnx', 'pyskl_semloss'):\n    sys.modules[name] = None\n"
    (tmp_path / "example.py").write_text(blocked + text, encoding="utf-8")
    lines = tool(tmp_path / "example.py", path).splitlines()
    keypoint = np.random.default_rng(0).normal((960, 540), 100, (1, 60, 22, 2)).astype(np.float32)
    clip = Clip("noise", -1, (1080, 1920), (1080, 1920), keypoint, np.ones(keypoint.shape[:3], np.float32))
    ((best, probability), *_) = predictor.predict(clip).top(5)[0]
    assert lines[0] == f"{probability:.3f}  {best}" and len(lines) == 5


def test_the_tool_says_what_is_wrong(tmp_path):
    assert "ends in .onnx" in tool("tools/export_onnx.py", tmp_path / "out.bin", "--joint", "a.pth", code=2)
    assert "joint model, a limb model, or both" in tool("tools/export_onnx.py", tmp_path / "out.onnx", code=2)
    assert "Give --check" in tool("tools/export_onnx.py", tmp_path / "out.onnx", "--benchmark", code=2)
    assert "got 3 files" in tool("tools/export_onnx.py", tmp_path / "out.onnx", "--joint", "a", "b", "c", code=2)
