"""Whole exported files against torch and the tools, and what they say about themselves."""

import json
import re
import sys

import numpy as np
import pytest

pytest.importorskip("mmaction")
import pyskl_semloss  # noqa: E402
from helpers.onnx_models import ROOT, config_of, hard_clips, needs_runtime, predictor_of, save_model, tool  # noqa: E402
from helpers.tiny_runs import write_run  # noqa: E402
from pyskl_semloss.annotations import Clip  # noqa: E402
from pyskl_semloss.errors import HostError  # noqa: E402
from pyskl_semloss.evaluation.scores import Scores  # noqa: E402
from pyskl_semloss.hosts.mmaction2.export import check, export_onnx, graph  # noqa: E402
from pyskl_semloss.hosts.mmaction2.prediction.predictor import Predictor  # noqa: E402
from pyskl_semloss.io.files import sha256  # noqa: E402
from pyskl_semloss.io.results import RECORD, result_file  # noqa: E402


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
            np.testing.assert_allclose(value, wanted[name][part], atol=1e-4, err_msg=name)


def test_fusion_is_two_to_three_and_probabilities_sum_to_one(exported):
    _, _, session = exported
    given = check.run_file(session, [clip.to_dict() for clip in hard_clips()])
    np.testing.assert_allclose(given["fusion"], 0.4 * given["joint"] + 0.6 * given["limb"], atol=1e-6)
    np.testing.assert_allclose(given["joint"].sum(1), 1, atol=1e-5)


def test_a_file_refuses_clips_that_it_would_get_wrong(exported):
    _, _, session = exported
    inputs = graph.as_inputs([hard_clips()[8].to_dict()])
    for frames in (-30, 0, 41, 64, 65):
        # 40 frames are there, and the file was made for 64.
        with pytest.raises(Exception, match="(?i)out of"):
            session.run(None, {**inputs, "total_frames": np.array([frames])})
    long = np.zeros((1, 65, 22, 2), np.float32)
    with pytest.raises(Exception, match="(?i)out of"):
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
        np.testing.assert_allclose(value, wanted[name], atol=1e-4, err_msg=name)


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
        np.testing.assert_allclose(value, wanted[name], atol=1e-4, err_msg=name)


def test_a_failed_export_leaves_the_old_file(tmp_path, monkeypatch):
    onnx = pytest.importorskip("onnx")
    with result_file(tmp_path / "out.onnx", "w") as stream:
        stream.write("old")
    monkeypatch.setattr(onnx.checker, "check_model", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        export_onnx(predictor_of(tmp_path, ["joint"]), tmp_path / "out.onnx", max_frames=9)
    assert (tmp_path / "out.onnx").read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == [RECORD, "joint.pth", "out.onnx"]


def test_without_onnx_the_error_says_what_to_install(tmp_path, monkeypatch):
    for name in ("onnx", "onnxruntime"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(HostError, match=r'pip install -e "\.\[onnx\]"'):
        export_onnx(predictor_of(tmp_path, ["joint"]), tmp_path / "out.onnx")
    with pytest.raises(HostError, match=r'pip install -e "\.\[onnx\]"'):
        check.open_session(tmp_path / "out.onnx")


def test_a_file_of_trained_models_gives_the_scores_of_the_tools(tmp_path):
    needs_runtime()
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
    assert "joint model, a limb model or a graph network" in tool("tools/export_onnx.py", tmp_path / "out.onnx", code=2)
    assert "Give --check" in tool("tools/export_onnx.py", tmp_path / "out.onnx", "--benchmark", code=2)
    assert "got 3 files" in tool("tools/export_onnx.py", tmp_path / "out.onnx", "--joint", "a", "b", "c", code=2)
