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
from pyskl_semloss.hosts.mmaction2.training.run_config import load_config
from pyskl_semloss.keypoint_ops.transforms import FormatGraphInput, KeypointStream, NormaliseKeypoints
from pyskl_semloss.skeletons import adjacency, get_layout, skeleton_graph

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
