"""Graph networks on MMAction2: recogniser, preprocessor, head and streams, beside the host's own."""

import copy

import numpy as np
import pytest

pytest.importorskip("mmaction")

import torch
from mmaction.registry import MODELS
from mmaction.structures import ActionDataSample
from mmengine.config import Config
from mmengine.registry import init_default_scope

import pyskl_semloss.hosts.mmaction2  # noqa: F401
from helpers import ROOT
from pyskl_semloss import gcn
from pyskl_semloss.errors import InputError
from pyskl_semloss.hosts.mmaction2.data.packing import PackKeypoints, get_sample_field, stack_keypoints
from pyskl_semloss.hosts.mmaction2.export import export_onnx
from pyskl_semloss.hosts.mmaction2.prediction.predictor import Predictor
from pyskl_semloss.hosts.mmaction2.prediction.trained_model import load_model
from pyskl_semloss.hosts.mmaction2.training.run_config import load_config
from pyskl_semloss.keypoint_ops.transforms import (
    FormatGraphInput,
    KeypointStream,
    NormaliseKeypoints,
    SampleKeypointFrames,
)
from pyskl_semloss.skeletons import adjacency, get_layout, skeleton_graph
from pyskl_semloss.synthetic.clips import generate
from pyskl_semloss.synthetic.recording import generate_recording

init_default_scope("mmaction")
VECTORS = np.random.default_rng(0).normal(size=(4, 5)).astype(np.float32)
SMALL = dict(base_channels=8, num_stages=3, inflate_stages=[2], down_stages=[2])


def model_of(kind="STGCN", skeleton="openpose22", head=None, num_person=1, **backbone):
    return dict(
        type="GraphRecognizer",
        data_preprocessor=dict(type="GraphPreprocessor", skeleton=skeleton, num_person=num_person),
        backbone={"type": kind, "graph_cfg": dict(mode="spatial"), **SMALL, **backbone},
        cls_head=dict(type="GCNHead", num_classes=4, in_channels=16, average_clips="prob") if head is None else head,
    )


def samples(labels):
    result = []
    for label in labels:
        sample = ActionDataSample()
        (getattr(sample, "set_gt_label", None) or sample.set_gt_labels)(int(label))
        sample.set_metainfo({"sample_id": f"clip{len(result)}", "skeleton": "openpose22"})
        result.append(sample)
    return result


def clips_of(clips=2, views=1, persons=1, seed=1, joints=22):
    return torch.randn(clips, views, persons, 16, joints, 3, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("kind", ["STGCN", "AAGCN", "CTRGCN", "DGSTGCN"])
@pytest.mark.parametrize("persons", [1, 2])
def test_the_graph_and_the_persons_come_from_the_preprocessor(kind, persons):
    torch.manual_seed(0)
    np.random.seed(0)
    graph, settings = skeleton_graph(get_layout("openpose22")), model_of(kind, num_person=persons)
    given = copy.deepcopy(settings)
    model = MODELS.build(settings)
    assert settings == given  # what a checkpoint records stays as it was written
    stated = {**SMALL, "graph_cfg": dict(mode="spatial", layout=graph.host_layout())}
    if kind in ("AAGCN", "CTRGCN"):
        stated["num_person"] = persons
        assert model.backbone.data_bn.num_features == persons * 3 * 22
    torch.manual_seed(0)
    np.random.seed(0)
    alone = MODELS.build(dict(type=kind, **stated))
    ours, theirs = model.backbone.state_dict(), alone.state_dict()
    assert list(ours) == list(theirs) and all(ours[key].shape == theirs[key].shape for key in ours)
    alone.load_state_dict(ours)
    points = clips_of(persons=persons)
    with torch.no_grad():
        assert torch.equal(model.eval().backbone(points[:, 0]), alone.eval()(points[:, 0]))


def test_own_networks_take_the_adjacency_of_the_layout_and_its_mode():
    model = MODELS.build(model_of("CTRGCN"))
    expected = adjacency(skeleton_graph(get_layout("openpose22")))
    np.testing.assert_allclose(model.backbone.A.numpy(), expected, rtol=1e-6)
    assert isinstance(model.backbone, gcn.CTRGCN)
    np.random.seed(5)
    model = MODELS.build(model_of("DGSTGCN", graph_cfg=dict(mode="random", num_filter=8, init_off=0.5, init_std=0.1)))
    assert isinstance(model.backbone, gcn.DGSTGCN)
    np.random.seed(5)
    drawn = adjacency(skeleton_graph(get_layout("openpose22")), "random", num_filter=8, init_off=0.5, init_std=0.1)
    np.testing.assert_allclose(model.backbone.gcn[0].gcn.A.detach().numpy(), drawn, rtol=1e-5)


@pytest.mark.filterwarnings("ignore:skeleton layout")
def test_the_published_wrong_graph_is_there_for_repeating_the_table():
    model = MODELS.build(model_of(skeleton="release22_with_mistakes"))
    assert (2, 1) in model.backbone.graph.inward and not any(0 in edge for edge in model.backbone.graph.inward)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (dict(skeleton="openpose21"), "did you mean|openpose22"),
        (dict(head=dict(type="GCNHead", num_classes=4, in_channels=64)), "gives 16 channels, the head takes 64.*to 16"),
        (dict(kind="CTRGCN", graph_cfg=dict(mode="spatal")), "spatial"),
        (dict(kind="CTRGCN", graph_cfg=dict(mode="spatial", hops=2)), "graph_cfg.hops.*max_hop"),
    ],
)
def test_a_wrong_setting_is_named_before_the_first_batch(change, words):
    with pytest.raises(InputError, match=words):
        MODELS.build(model_of(**change))


@pytest.mark.parametrize(
    ("batch", "words"),
    [
        (dict(keypoint=clips_of(joints=25)), "clip0.*takes 'openpose22' .22 joints.*25 joints"),
        (dict(keypoint=clips_of(persons=2)), "clip0.*num_person.*takes 1 persons, the pipeline gives 2"),
        (dict(keypoint=clips_of()[..., :2], keypoint_score=clips_of()[..., 2]), "clip0.*FormatGraphInput"),
        (dict(keypoint=[clips_of()[0], clips_of()[0, :, :, :9]]), "clip0.*one shape"),
    ],
)
def test_inputs_of_another_shape_are_refused(batch, words):
    model = MODELS.build(model_of())
    with pytest.raises(InputError, match=words):
        model.data_preprocessor({"inputs": batch, "data_samples": samples([0, 1])})


def test_packing_keeps_what_the_formatting_made():
    clip = {
        "keypoint": np.random.default_rng(0).uniform(50, 90, (2, 16, 22, 2)).astype(np.float32),
        "keypoint_score": np.ones((2, 16, 22), np.float32),
        "img_shape": (240, 320), "frame_dir": "a", "label": 3, "num_clips": 2, "skeleton": get_layout("openpose22"),
    }  # fmt: skip
    expected = None
    for step in (NormaliseKeypoints(), KeypointStream("bone"), FormatGraphInput(2)):
        clip = step(clip)
        expected = clip["keypoint"]
    packed = stack_keypoints([PackKeypoints()(clip)] * 3)
    assert list(packed["inputs"]) == ["keypoint"]
    assert packed["inputs"]["keypoint"].shape == (3, 2, 2, 8, 22, 3)
    np.testing.assert_array_equal(packed["inputs"]["keypoint"][1].numpy(), expected)
    assert packed["data_samples"][0].sample_id == "a" and get_sample_field(packed["data_samples"][0], "gt_label") == 3


def heads():
    torch.manual_seed(0)
    plain = MODELS.build(dict(type="GCNHead", num_classes=4, in_channels=16, average_clips="prob"))
    semantic = MODELS.build(
        dict(type="SemanticGCNHead", num_classes=None, in_channels=16, label_vectors=VECTORS, alpha=2.0)
    )
    semantic.load_state_dict(plain.state_dict(), strict=False)
    return plain, semantic


def test_the_semantic_head_is_the_hosts_and_a_branch():
    plain, semantic = heads()
    features = torch.randn(6, 2, 16, 4, 22, requires_grad=True)
    assert torch.equal(semantic(features), plain(features))
    theirs, ours = plain.loss(features, samples(range(4)) + samples([0, 1])), None
    ours = semantic.loss(features, samples(range(4)) + samples([0, 1]))
    assert torch.equal(ours["loss_cls"], theirs["loss_cls"])
    pooled = features.mean((1, 3, 4))
    target = torch.from_numpy(VECTORS)[[0, 1, 2, 3, 0, 1]]
    expected = torch.nn.functional.mse_loss(semantic.semantic_branch(pooled), target)
    torch.testing.assert_close(ours["emb_mse"], expected.detach())
    torch.testing.assert_close(ours["loss_emb"], 2 * expected)
    (gradient,) = torch.autograd.grad(ours["loss_emb"], features)
    assert gradient.abs().max() > 0


def test_predictions_have_the_nearest_names_averaged_over_views():
    plain, semantic = heads()
    features = torch.randn(6, 1, 16, 4, 22)
    theirs, ours = (head.predict(features, samples([0, 1])) for head in (plain, semantic))
    for one, other in zip(theirs, ours, strict=True):
        torch.testing.assert_close(get_sample_field(one, "pred_score"), get_sample_field(other, "pred_score"))
    given = torch.nn.functional.normalize(semantic.semantic_branch(features.mean((1, 3, 4))), dim=1)
    cosine = (given @ torch.nn.functional.normalize(torch.from_numpy(VECTORS), dim=1).T).view(2, 3, 4).mean(1)
    torch.testing.assert_close(torch.stack([sample.pred_semantic.cosine for sample in ours]), cosine)


def test_one_setting_chooses_the_stream(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = str(ROOT / "configs" / "mmaction2" / "utd_mhad" / "stgcnpp.py")
    for stream in ("joint", "bone_motion"):
        config = load_config(path, uses=(), options={"stream": stream})
        streams = {config[f"{use}_dataloader"].dataset.stream for use in ("train", "val", "test")}
        assert streams == {stream} and config.work_dir == f"work_dirs/utd_mhad/stgcnpp/{stream}"
        assert load_config(path, uses=(), work_dir="x", options={"stream": stream}).work_dir == "x"
        config.dump(str(tmp_path / "copy.py"))
        assert load_config(str(tmp_path / "copy.py"), uses=()).work_dir == config.work_dir
    with pytest.raises(InputError, match="stgcnpp.py.*stream.*joint_motion.*'bnoe'"):
        load_config(path, uses=(), options={"stream": "bnoe"})
    assert "stream" not in Config.fromfile(str(ROOT / "configs" / "mmaction2" / "utd_mhad" / "joint.py"))


# Prediction ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def clips():
    """Clips of 22 joints, as an annotation file holds them."""
    return generate(32, seed=3, subjects=4).clips[:3]


def checkpoint(folder, name, fill=0, **data):
    """A checkpoint of a tracked config of iMiGUE, made small, with random weights; with what a run records."""
    config = Config.fromfile(str(ROOT / "configs" / "mmaction2" / "imigue" / f"{name}.py"))
    if "gcn" in name:
        config.model.backbone.update(base_channels=8)
        config.model.cls_head.update(in_channels=32)
    else:
        config.model.backbone.update(base_channels=4, depth=18, stage_blocks=(1, 1, 1))
        config.model.cls_head.update(in_channels=16, label_vectors=np.ones((32, 3), np.float32))
    config.test_dataloader.dataset.update(data)
    for step in config.test_dataloader.dataset.pipeline:
        if step.type == "SampleKeypointFrames":
            step.update(clip_len=16, num_clips=2)
    torch.manual_seed(fill)
    model = MODELS.build(copy.deepcopy(config.model))
    torch.nn.init.normal_(model.cls_head.fc.weight if "gcn" in name else model.cls_head.fc_cls.weight)
    if "label_vectors" in config.model.cls_head:
        config.model.cls_head.label_vectors = "v.npz"
    path = folder / f"{name}{fill}.pth"
    torch.save({"state_dict": model.state_dict(), "meta": {"cfg": config.pretty_text}}, path)
    return path


def scores_by_hand(path, clips, stream):
    """Probabilities of a graph network by its pipeline, model and the mean over views, step by step."""
    loaded = load_model(path, "cpu")
    result = []
    for clip in clips:
        entry = clip.to_dict() | {"skeleton": get_layout("openpose22")}
        sample = SampleKeypointFrames(16, 2, test_mode=True)
        for step in (NormaliseKeypoints(), KeypointStream(stream), sample, FormatGraphInput()):
            entry = step(entry)
        with torch.no_grad():
            logits = loaded.model.cls_head(loaded.model.backbone(torch.from_numpy(entry["keypoint"])))
        result.append(logits.softmax(1).mean(0).numpy())
    return np.stack(result)


def test_prediction_with_graph_networks_alone_and_beside_posec3d(tmp_path, clips):
    joint, bone = checkpoint(tmp_path, "ctrgcn"), checkpoint(tmp_path, "stgcnpp", stream="bone")
    again, maps = checkpoint(tmp_path, "stgcnpp", 1, stream="bone"), checkpoint(tmp_path, "joint")
    alone = Predictor(graphs=[joint]).predict(clips)
    np.testing.assert_allclose(alone.scores.score, scores_by_hand(joint, clips, "joint"), atol=1e-6)
    predictor = Predictor(joint=maps, graphs=[joint, bone, again])
    assert list(predictor.models) == ["joint", "ctrgcn joint", "stgcn bone", "stgcn bone 2"]
    prediction = predictor.predict(clips)
    np.testing.assert_allclose(prediction.parts["stgcn bone"].score, scores_by_hand(bone, clips, "bone"), atol=1e-6)
    assert np.abs(prediction.parts["stgcn bone"].score - scores_by_hand(bone, clips, "joint")).max() > 1e-4
    parts = [prediction.parts[name].score for name in predictor.models]
    np.testing.assert_allclose(prediction.scores.score, np.mean(parts, axis=0), atol=1e-6)
    weighed = Predictor(joint=maps, graphs=[joint], weights=(3, 1)).predict(clips).scores.score
    np.testing.assert_allclose(weighed, (3 * parts[0] + parts[1]) / 4, atol=1e-6)
    with pytest.raises(InputError, match="weights.*expected 2, of joint, ctrgcn joint, got 3"):
        Predictor(joint=maps, graphs=[joint], weights=(1, 2, 3))


def test_a_model_given_as_another_kind_is_refused(tmp_path):
    graph, maps = checkpoint(tmp_path, "stgcn"), checkpoint(tmp_path, "limb")
    with pytest.raises(InputError, match="stgcn0.pth.*joint.*is a graph network .stgcn joint.*--graph"):
        Predictor(joint=graph)
    with pytest.raises(InputError, match="limb0.pth.*graphs.*given as a graph network, but draws limbs"):
        Predictor(graphs=[maps])


def test_segments_of_a_recording(tmp_path):
    recording, _ = generate_recording(4, seed=1)
    predictor = Predictor(graphs=[checkpoint(tmp_path, "dgstgcn"), checkpoint(tmp_path, "aagcn")])
    result = predictor.segments(recording, window=1.0, stride=1.0)
    (timeline,) = predictor.timelines(recording, predictor.window_rules(window=1.0, stride=1.0))
    clips = [recording.clip(0, 25), recording.clip(25, 50)]
    expected = predictor.predict(clips, one_view=True).scores.score
    assert result.settings["models"] == {"dgstgcn joint": "dgstgcn0.pth", "aagcn joint": "aagcn0.pth"}
    assert timeline.probability.shape[1] == 32 and expected.shape == (2, 32)


def test_the_onnx_file_holds_no_graph_network(tmp_path):
    pytest.importorskip("onnx")
    predictor = Predictor(graphs=[checkpoint(tmp_path, "ctrgcn")], device="cpu")
    with pytest.raises(InputError, match="ctrgcn0.pth.*graph network .ctrgcn joint.*PoseC3D.*semloss predict"):
        export_onnx(predictor, tmp_path / "a.onnx")
    assert not (tmp_path / "a.onnx").exists()


def test_a_checkpoint_of_pyskl_predicts_as_ours(tmp_path, clips):
    """The other host's name of the classifier."""
    path = checkpoint(tmp_path, "ctrgcn")
    content = torch.load(path, weights_only=True)
    state = content["state_dict"]
    content["state_dict"] = {name.replace("cls_head.fc.", "cls_head.fc_cls."): value for name, value in state.items()}
    assert content["state_dict"].keys() != state.keys()
    torch.save(content, tmp_path / "theirs.pth")
    ours, theirs = (Predictor(graphs=[file]).predict(clips).scores.score for file in (path, tmp_path / "theirs.pth"))
    np.testing.assert_array_equal(ours, theirs)
