"""Every PySKL config is built by PySKL; those that claim to be the release's, or the other host's, are."""

from pathlib import Path

import numpy as np
import pytest

from helpers import ROOT
from helpers.tracked_configs import is_graph_config, tracked_configs
from pyskl_semloss.annotations import AnnotationSet, Clip, write_annotations
from pyskl_semloss.errors import InputError
from pyskl_semloss.skeletons import get_layout, skeleton_graph

try:
    import torch
    from mmcv import Config
    from pyskl.datasets import build_dataloader, build_dataset
    from pyskl.models import build_model

    import pyskl_semloss.hosts.pyskl  # noqa: F401
except ImportError:
    pytest.importorskip("pyskl")
    raise

FOLDER = ROOT / "configs" / "pyskl"
CONFIGS = tracked_configs("pyskl")


def read(name):
    return Config.fromfile(str(FOLDER / name))


def with_data(config, folder):
    """Point a config at a small file that fits it; the person stands in the middle of the image."""
    layout = get_layout(config.clips.skeleton)
    rng = np.random.default_rng(0)
    clips = []
    for label in range(4):
        keypoint = rng.uniform(100, 140, (1, 60, layout.num_joints, 2)).astype(np.float32)
        clips.append(
            Clip(f"clip{label}", label, (240, 320), (240, 320), keypoint, np.ones(keypoint.shape[:3], np.float32))
        )
    ids = [clip.frame_dir for clip in clips]
    splits = {name: ids for name in ("train", "val", "test", "xsub_train", "xsub_test")}
    write_annotations(folder / "a.pkl", AnnotationSet(splits, clips))
    np.save(folder / "v.npy", rng.normal(size=(config.clips.get("num_classes", 5), 7)).astype(np.float32))
    for split in ("train", "val", "test"):
        config.data[split].ann_file = str(folder / "a.pkl")
    if "label_vectors" in config.model.cls_head:
        config.model.cls_head.label_vectors = str(folder / "v.npy")
    return config


def test_there_are_configs_for_every_data_set_and_modality():
    for data in ("imigue", "smg"):
        for name in ("joint", "limb", "joint_baseline", "limb_baseline"):
            assert f"{data}/{name}.py" in CONFIGS
    assert {"imigue/joint_paper.py", "imigue/limb_paper.py", "msr_action3d/joint.py"} <= set(CONFIGS)
    assert {"own/joint.py", "own/limb.py"} <= set(CONFIGS) and (FOLDER / "own" / "fusion.py").is_file()


@pytest.mark.parametrize("name", [name for name in CONFIGS if is_graph_config(name)])
def test_every_graph_network_builds_on_our_layout_trains_a_step_and_tests_a_clip(name, tmp_path):
    config = with_data(read(name), tmp_path)
    model, layout = build_model(config.model), get_layout(config.clips.skeleton)
    small, kind = name.startswith(("msr_action3d", "utd_mhad")), Path(name).stem
    frames, views = (32, 4) if small else (100, 10)
    graph = model.backbone.graph
    assert graph.num_node == layout.num_joints and tuple(graph.inward) == skeleton_graph(layout).edges
    assert graph.mode == {"stgcn": "stgcn_spatial", "dgstgcn": "random"}.get(kind, "spatial")
    loader = build_dataloader(
        build_dataset(config.data.train), videos_per_gpu=2, workers_per_gpu=0, persistent_workers=False
    )
    batch = next(iter(loader))
    assert batch["keypoint"].shape == (2, 1, 1, frames, layout.num_joints, 3)
    out = model.train_step(dict(keypoint=batch["keypoint"][:, :, :, :32], label=batch["label"]), None)
    assert torch.isfinite(out["loss"]) and ("loss_emb" in out["log_vars"]) == name.startswith("own/")
    out["loss"].backward()
    sample = build_dataset(config.data.test, dict(test_mode=True))[0]
    assert sample["keypoint"].shape == (views, 1, frames, layout.num_joints, 3)
    model.eval()
    with torch.no_grad():
        (scores,) = model(sample["keypoint"][None, :2, :, :32], return_loss=False)
    assert scores.shape == (config.clips.get("num_classes", 5),) and scores.sum() == pytest.approx(1, abs=1e-5)
    assert config.work_dir == f"work_dirs/{name.removesuffix('.py')}/joint" and config.pretty_text
    assert config.total_epochs == {"stgcnpp_strongaug": 120, "dgstgcn": 150}.get(kind, 80)


def test_one_setting_chooses_the_stream(monkeypatch):
    monkeypatch.setenv("STREAM", "bone_motion")
    for name in ("smg/ctrgcn.py", "own/stgcn.py"):
        config = read(name)
        assert {config.data[split].stream for split in ("train", "val", "test")} == {"bone_motion"}
        assert config.work_dir.endswith("/bone_motion")


@pytest.mark.parametrize("name", [name for name in CONFIGS if not is_graph_config(name)])
@pytest.mark.filterwarnings("ignore:.*release22_with_mistakes")
def test_every_config_builds_trains_a_step_and_tests_a_clip(name, tmp_path):
    config = with_data(read(name), tmp_path)
    model = build_model(config.model)
    layout = get_layout(config.clips.skeleton)
    modality = "limb" if Path(name).name.startswith("limb") else "joint"
    small = "msr" in name
    frames, size, views = (16, 32, 8) if small else (48, 64, 20)
    assert config.model.backbone.in_channels == layout.num_channels(modality)
    loader = build_dataloader(
        build_dataset(config.data.train), videos_per_gpu=2, workers_per_gpu=0, persistent_workers=False
    )
    batch = next(iter(loader))
    assert batch["imgs"].shape == (2, 1, layout.num_channels(modality), frames, *([32 if small else 56] * 2))
    # A quarter of the frames is enough to see that the shapes fit.
    out = model.train_step(dict(imgs=batch["imgs"][:, :, :, :8], label=batch["label"]), None)
    assert torch.isfinite(out["loss"]) and ("loss_emb" in out["log_vars"]) == ("baseline" not in name)
    out["loss"].backward()
    sample = build_dataset(config.data.test, dict(test_mode=True))[0]
    assert sample["imgs"].shape == (views, layout.num_channels(modality), frames, size, size)
    model.eval()
    with torch.no_grad():
        (scores,) = model(sample["imgs"][None, :2, :, :8], return_loss=False)
    assert scores.shape == (config.clips.get("num_classes", 5),) and scores.sum() == pytest.approx(1, abs=1e-5)
    assert config.work_dir == f"work_dirs/{name.removesuffix('.py')}"
    assert config.pretty_text and read(name).total_epochs == 100


@pytest.mark.parametrize("name", [name for name in CONFIGS if "baseline" in name])
def test_a_baseline_differs_in_the_branch_alone(name):
    baseline, full = read(name), read(name.replace("_baseline", ""))
    head, plain = full.model.pop("cls_head"), baseline.model.pop("cls_head")
    assert (plain.pop("type"), head.pop("type")) == ("I3DHead", "SemanticEmbeddingHead")
    assert plain == {key: value for key, value in head.items() if key not in ("label_vectors", "alpha")}
    assert {key for key in full if full[key] != baseline[key]} <= {"work_dir"}


def test_the_published_settings():
    for name in ("imigue/joint.py", "imigue/joint_paper.py"):
        config = read(name)
        backbone, head = config.model.backbone, config.model.cls_head
        assert (backbone.in_channels, backbone.base_channels, backbone.stage_blocks) == (22, 32, (4, 6, 3))
        assert (backbone.inflate, backbone.spatial_strides) == ((0, 1, 1), (2, 2, 2))
        assert (backbone.temporal_strides, head.dropout, head.alpha) == ((1, 1, 2), 0.5, 20.0)
        assert config.optimizer == dict(type="SGD", lr=0.4 / 6, momentum=0.9, weight_decay=0.0003)
        assert config.lr_config == dict(policy="CosineAnnealing", by_epoch=False, min_lr=0)
        assert config.optimizer_config.grad_clip is None and config.data.videos_per_gpu == 16


def steps(name, split="test"):
    return [step.type for step in read(name).data[split].pipeline]


def test_the_paper_variant_has_the_releases_mistakes_and_pyskls_frames():
    for modality in ("joint", "limb"):
        config = read(f"imigue/{modality}_paper.py")
        for split in ("train", "val", "test"):
            assert config.data[split].skeleton == "release22_with_mistakes"
            assert config.data[split].ann_file == "data/imigue/annotations_padded90.pkl"
            assert (config.data[split].split, config.data[split].modality) == (split, modality)
            assert steps(f"imigue/{modality}_paper.py", split)[:2] == ["UniformSampleFrames", "PoseDecode"]
    assert steps("imigue/joint.py")[0] == "SampleKeypointFrames"
    assert steps("imigue/joint.py")[1:] == steps("imigue/joint_paper.py")[2:]


def test_a_data_set_of_another_layout_is_refused(tmp_path):
    config = with_data(read("imigue/joint.py"), tmp_path)
    config.data.train.skeleton = "kinect25"
    with pytest.raises(InputError, match="a.pkl.*clip0.*keypoint"):
        build_dataset(config.data.train)


def test_both_hosts_configs_say_the_same():
    """The settings that both hosts have under one name, in the two config folders."""
    theirs = ROOT / "configs" / "mmaction2"
    for name in CONFIGS:
        mine, other = read(name), Config.fromfile(str(theirs / name), import_custom_modules=False)
        assert (mine.clips.skeleton, mine.clips.ann_file) == (other.clips.skeleton, other.clips.ann_file)
        graph = is_graph_config(name)
        if graph:
            for key in ("type", "base_channels", "gcn_adaptive", "gcn_with_res", "tcn_type"):
                assert mine.model.backbone.get(key) == other.model.backbone.get(key)
            given, set_by_layout = dict(mine.model.backbone.graph_cfg), dict(other.model.backbone.graph_cfg)
            assert given.pop("layout") == mine.clips.skeleton and given == set_by_layout
        elif not name.startswith("own/"):  # on the other host they follow from the layout
            assert mine.model.backbone.in_channels == other.model.backbone.in_channels
        for key in ("num_classes", "in_channels", "label_vectors"):
            assert mine.model.cls_head.get(key) == other.model.cls_head.get(key)
        assert mine.model.cls_head.get("alpha", 20.0) == other.model.cls_head.get("alpha", 20.0)
        assert mine.model.cls_head.get("dropout") == other.model.cls_head.get("dropout_ratio")
        assert mine.total_epochs == other.train_cfg.max_epochs
        for split in ("train", "val", "test"):
            dataset = other[f"{split}_dataloader"].dataset
            assert mine.data[split].split == dataset.split
            if "paper" not in name:
                shared = [step for step in dataset.pipeline if step.type != "PackKeypoints"]
                assert [dict(step) for step in mine.data[split].pipeline[: len(shared)]] == [dict(s) for s in shared]


@pytest.mark.parametrize(("name", "channels"), [("own/joint.py", 5), ("own/limb.py", 4)])
def test_the_template_takes_a_layout_of_ones_own(name, channels, tmp_path):
    """By the path of its file and the number of its joints or limbs."""
    path = tmp_path / "arms.yaml"
    path.write_text(
        "name: arms\njoints: [neck, shoulder_l, shoulder_r, hand_l, hand_r]\n"
        "limbs: [[neck, shoulder_l], [neck, shoulder_r], [shoulder_l, hand_l], [shoulder_r, hand_r]]\n"
        "mirror_pairs: [[shoulder_l, shoulder_r], [hand_l, hand_r]]\n"
    )
    config = read(name)
    config.clips.skeleton, config.model.backbone.in_channels = str(path), channels
    config = with_data(config, tmp_path)
    config.data.train.skeleton = str(path)
    dataset = build_dataset(config.data.train)
    imgs = torch.stack([dataset[at]["imgs"] for at in range(2)])
    assert imgs.shape == (2, 1, channels, 48, 56, 56)
    out = build_model(config.model).train_step(dict(imgs=imgs[:, :, :, :4], label=torch.tensor([[0], [1]])), None)
    assert torch.isfinite(out["loss"])
