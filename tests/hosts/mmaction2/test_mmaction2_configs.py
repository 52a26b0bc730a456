"""Every config is built on its host; those that claim to reproduce the release do."""

import shutil
import tempfile
import time
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
    from mmaction.registry import DATASETS, METRICS, MODELS
    from mmengine.config import Config
    from mmengine.dataset import pseudo_collate
    from mmengine.hooks import Hook
    from mmengine.model import BaseModel
    from mmengine.registry import DefaultScope, init_default_scope
    from mmengine.runner import Runner

    from pyskl_semloss.hosts.mmaction2.model.config_files import fill_num_classes
    from pyskl_semloss.hosts.mmaction2.training.run_config import check_label_vectors, load_config, set_epochs
except ImportError:
    pytest.importorskip("mmaction")
    raise

FOLDER = ROOT / "configs" / "mmaction2"
CONFIGS = tracked_configs("mmaction2")


def read(name):
    config = Config.fromfile(FOLDER / name)
    init_default_scope("mmaction")
    return config


def with_data(config, folder, labels=(0, 1, 2, 3)):
    """Point a config at small files that fit it; the person stands in the middle of the image."""
    layout = get_layout(config.clips.skeleton)
    rng = np.random.default_rng(0)
    clips = []
    for number, label in enumerate(labels):
        keypoint = rng.uniform(100, 140, (1, 60, layout.num_joints, 2)).astype(np.float32)
        score = np.ones(keypoint.shape[:3], np.float32)
        clips.append(Clip(f"clip{number}", label, (240, 320), (240, 320), keypoint, score))
    ids = [clip.frame_dir for clip in clips]
    write_annotations(
        folder / "a.pkl",
        AnnotationSet({name: ids for name in ("train", "val", "test", "xsub_train", "xsub_test")}, clips),
    )
    np.save(folder / "v.npy", rng.normal(size=(config.clips.get("num_classes", 5), 7)).astype(np.float32))
    for key in ("train_dataloader", "val_dataloader", "test_dataloader"):
        config[key].dataset.ann_file = str(folder / "a.pkl")
    if "label_vectors" in config.model.cls_head:
        config.model.cls_head.label_vectors = str(folder / "v.npy")
    return config


def test_there_are_configs_for_every_data_set_and_modality():
    for data in ("imigue", "smg", "synthetic", "msr_action3d", "utd_mhad"):
        for name in ("joint", "limb", "joint_baseline", "limb_baseline"):
            assert f"{data}/{name}.py" in CONFIGS
        assert (FOLDER / data / "fusion.py").is_file()
    assert {"imigue/joint_paper.py", "imigue/limb_paper.py", "own/joint.py", "own/limb.py"} <= set(CONFIGS)
    assert (FOLDER / "own" / "fusion.py").is_file()


@pytest.mark.parametrize("name", [name for name in CONFIGS if not is_graph_config(name)])
@pytest.mark.filterwarnings("ignore:.*release22_with_mistakes")
def test_every_config_builds_and_takes_a_step(name, tmp_path):
    config = with_data(read(name), tmp_path)
    model = MODELS.build(config.model)
    for key in ("train_dataloader", "val_dataloader", "test_dataloader"):
        dataset = DATASETS.build(config[key].dataset)
        assert len(dataset) == 4
        if key == "train_dataloader":
            batch = pseudo_collate([dataset[0], dataset[3]])
    METRICS.build(config.test_evaluator)
    data = model.data_preprocessor(batch, True)
    layout = get_layout(config.clips.skeleton)
    modality = "limb" if Path(name).name.startswith("limb") else "joint"
    sizes = {"synthetic": (16, 32), "msr_action3d": (16, 32), "utd_mhad": (16, 24)}
    frames, size = (16, 24) if "tiny" in name else sizes.get(name.split("/")[0], (48, 56))
    assert data["inputs"].shape == (2, 1, layout.num_channels(modality), frames, size, size)
    # The template leaves both numbers open.
    own, classes = name.startswith("own/"), config.clips.get("num_classes", 5)
    assert config.model.backbone.in_channels == (None if own else layout.num_channels(modality))
    assert config.model.cls_head.num_classes == (None if own else classes)
    assert model.backbone.in_channels == layout.num_channels(modality)
    assert model.cls_head.num_classes == model.cls_head.fc_cls.out_features == classes
    # A quarter of the frames is enough to see that the shapes fit.
    losses = model(data["inputs"][:, :, :, :8], data["data_samples"], mode="loss")
    assert ("loss_emb" in losses) == ("baseline" not in name)
    assert all(torch.isfinite(value).all() for value in losses.values())
    assert config.work_dir == f"work_dirs/{name.removesuffix('.py')}"


NETWORKS = {
    "stgcn": "STGCN", "stgcnpp": "STGCN", "stgcnpp_strongaug": "STGCN",
    "aagcn": "AAGCN", "ctrgcn": "CTRGCN", "dgstgcn": "DGSTGCN",
}  # fmt: skip


def test_there_are_configs_for_every_data_set_and_graph_network():
    expected = {
        f"{data}/{name}.py" for data in ("imigue", "smg", "msr_action3d", "utd_mhad", "own") for name in NETWORKS
    }
    assert expected == {name for name in CONFIGS if is_graph_config(name)}


@pytest.mark.parametrize("name", [name for name in CONFIGS if is_graph_config(name)])
def test_every_graph_network_builds_on_its_layout_and_takes_a_step(name, tmp_path):
    config = with_data(read(name), tmp_path)
    model = MODELS.build(config.model)
    for key in ("train_dataloader", "val_dataloader", "test_dataloader"):
        dataset = DATASETS.build(config[key].dataset)
        assert len(dataset) == 4
        if key == "train_dataloader":
            batch = pseudo_collate([dataset[0], dataset[3]])
    METRICS.build(config.test_evaluator)
    data, layout = model.data_preprocessor(batch, True), get_layout(config.clips.skeleton)
    small = name.startswith(("msr_action3d", "utd_mhad"))
    frames = 32 if small else 100
    assert data["inputs"].shape == (2, 1, 1, frames, layout.num_joints, 3)
    assert len(dataset[0]["inputs"]["keypoint"]) == (4 if small else 10)
    backbone = model.backbone
    assert type(backbone).__name__ == NETWORKS[Path(name).stem] and model.cls_head.in_channels == (
        128 if small else 256
    )
    if Path(name).stem == "stgcn":
        assert backbone.graph.mode == "stgcn_spatial" and set(backbone.graph.inward) == set(
            skeleton_graph(layout).edges
        )
    losses = model(data["inputs"][:, :, :, :32], data["data_samples"], mode="loss")
    assert ("loss_emb" in losses) == name.startswith("own/")
    assert all(torch.isfinite(value).all() for value in losses.values())
    assert config.work_dir == f"work_dirs/{name.removesuffix('.py')}"
    epochs = {"stgcnpp_strongaug": 120, "dgstgcn": 150}
    assert config.train_cfg.max_epochs == epochs.get(Path(name).stem, 80)
    steps = [step.type for step in config.train_dataloader.dataset.pipeline]
    assert ("RandomScaleKeypoints" in steps) == ("strongaug" in name)
    assert ("RandomRotateKeypoints" in steps) == ("strongaug" in name or "dgstgcn" in name)


@pytest.mark.parametrize("name", [name for name in CONFIGS if "paper" not in name])
def test_right_configs_mirror_limbs_onto_limbs(name):
    layout = get_layout(read(name).clips.skeleton)
    assert not layout.unmirrored_limbs and not layout.mistakes


@pytest.mark.parametrize("name", [name for name in CONFIGS if "baseline" in name])
def test_a_baseline_differs_in_the_branch_alone(name):
    baseline, full = read(name), read(name.replace("_baseline", ""))
    head, plain = full.model.pop("cls_head"), baseline.model.pop("cls_head")
    assert (plain.pop("type"), head.pop("type")) == ("I3DHead", "SemanticEmbeddingHead")
    assert plain == {key: value for key, value in head.items() if key not in ("label_vectors", "alpha", "rescale")}
    different = {key for key in full if full[key] != baseline[key]}
    assert different <= {"work_dir"}


def test_the_published_settings():
    config = read("imigue/joint.py")
    backbone = config.model.backbone
    assert (backbone.in_channels, backbone.base_channels, backbone.stage_blocks) == (22, 32, (4, 6, 3))
    assert (backbone.inflate, backbone.spatial_strides, backbone.temporal_strides) == ((0, 1, 1), (2, 2, 2), (1, 1, 2))
    head = config.model.cls_head
    assert (head.in_channels, head.num_classes, head.dropout_ratio, head.alpha) == (512, 32, 0.5, 20.0)
    optimizer = config.optim_wrapper.optimizer
    assert (optimizer.lr, optimizer.momentum, optimizer.weight_decay) == (0.4 / 6, 0.9, 0.0003)
    assert config.auto_scale_lr == dict(enable=True, base_batch_size=32)
    assert config.train_cfg.max_epochs == 100
    assert config.train_dataloader.batch_size == 16
    test = {step.type: step for step in config.test_dataloader.dataset.pipeline}
    assert test["SampleKeypointFrames"].num_clips == 10 and test["PackKeypoints"].mirrored_views


@pytest.mark.filterwarnings("ignore:.*release22_with_mistakes")
def test_the_paper_variant_has_the_releases_mistakes():
    for modality, channels in (("joint", 22), ("limb", 22)):
        config = read(f"imigue/{modality}_paper.py")
        preprocessor = config.model.data_preprocessor
        assert (preprocessor.skeleton, preprocessor.modality) == ("release22_with_mistakes", modality)
        assert preprocessor.score_threshold == 1e-3 and config.model.backbone.in_channels == channels
        for key in ("train_dataloader", "val_dataloader", "test_dataloader"):
            assert config[key].dataset.skeleton == "release22_with_mistakes"
            assert config[key].dataset.ann_file == "data/imigue/annotations_padded90.pkl"


def test_load_config_says_which_file_is_missing_and_how_to_make_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        InputError, match=r"train_dataloader.dataset.ann_file.*annotations.pkl.*Make it: semloss prepare imigue"
    ):
        load_config(str(FOLDER / "imigue" / "joint.py"), uses=["train"])
    with pytest.raises(InputError, match="nowhere.py.*no such config"):
        load_config("nowhere.py", uses=["train"])
    config = load_config(str(FOLDER / "imigue" / "joint.py"), uses=[])
    with pytest.raises(
        InputError, match=r"model.cls_head.label_vectors.*label_vectors.npz.*Make it: semloss label-vectors --labels"
    ):
        check_label_vectors(config, "joint.py")


def test_epochs_change_loop_and_schedule_together():
    config = read("imigue/joint.py")
    config.param_scheduler.append(dict(type="CosineAnnealingLR", T_max=100))
    set_epochs(config, 7)
    assert config.train_cfg.max_epochs == config.param_scheduler[1]["T_max"] == 7
    assert rates(config, steps=2)[-2:] == rates(config, steps=2, T_max=7)[-2:]
    with pytest.raises(InputError, match="epochs"):
        set_epochs(config, 0)


def rates(config, steps, **settings):
    """The learning rate of each step of a real training by the config's schedule, of a model of one number."""

    class Toy(BaseModel):
        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(1))

        def forward(self, inputs, mode="loss", **_):
            return dict(loss=(self.weight * 0).sum())

    class Rates(Hook):
        def after_train_iter(self, runner, *_, **__):
            seen.extend(runner.optim_wrapper.get_lr()["lr"])

    seen = []
    schedule = [dict(each, **settings) for each in config.param_scheduler[:1]]
    loader = dict(batch_size=1, dataset=[dict(inputs=torch.zeros(1))] * steps, num_workers=0,
                  sampler=dict(type="DefaultSampler"))  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        Runner(
            Toy(), folder, loader, train_cfg=dict(config.train_cfg), optim_wrapper=dict(config.optim_wrapper),
            param_scheduler=schedule, custom_hooks=[Rates()], default_scope="mmaction", log_level="ERROR",
            experiment_name=f"rates{time.monotonic_ns()}", default_hooks=dict(checkpoint=None, logger=None),
        ).train()  # fmt: skip
    return seen


SCHEDULES = {}
for _name in CONFIGS:
    _config = Config.fromfile(FOLDER / _name, import_custom_modules=False)
    _parts = (_config.train_cfg, _config.param_scheduler, _config.optim_wrapper)
    SCHEDULES.setdefault(repr(_parts), _name)


@pytest.mark.parametrize("name", SCHEDULES.values())
def test_the_schedule_follows_the_one_number_of_epochs(name):
    """Bit for bit as where the number stands in the schedule, too."""
    config = read(name)
    epochs = config.train_cfg.max_epochs
    assert not {"T_max", "end"} & config.param_scheduler[0].keys()
    follows, typed = rates(config, 3), rates(config, 3, T_max=epochs)
    assert len(follows) == 3 * epochs and follows == typed
    assert follows[0] == config.optim_wrapper.optimizer.lr and 0 <= follows[-1] < 1e-3 * follows[0]
    assert follows != rates(config, 3, T_max=epochs + 1)


def test_a_backbone_of_other_channels_is_refused(tmp_path):
    config = with_data(read("synthetic/limb.py"), tmp_path)
    config.model.backbone.in_channels = 22
    with pytest.raises(InputError, match="takes 22 channels, the preprocessor draws 21 limbs. Set it to 21"):
        MODELS.build(config.model)


def test_a_data_set_of_another_layout_is_refused(tmp_path):
    config = with_data(read("synthetic/joint.py"), tmp_path)
    config.train_dataloader.dataset.skeleton = "kinect25"
    DefaultScope.get_instance("pyskl_semloss_tests", scope_name="mmaction")
    with pytest.raises(InputError, match="a.pkl.*clip0.*keypoint"):
        DATASETS.build(config.train_dataloader.dataset)


@pytest.mark.parametrize(("name", "channels"), [("own/joint.py", 5), ("own/limb.py", 4)])
def test_the_template_takes_a_layout_of_ones_own(name, channels, tmp_path):
    """By the path of its file alone: data sets, maps and the number of channels follow."""
    path = tmp_path / "arms.yaml"
    path.write_text(
        "name: arms\njoints: [neck, shoulder_l, shoulder_r, hand_l, hand_r]\n"
        "limbs: [[neck, shoulder_l], [neck, shoulder_r], [shoulder_l, hand_l], [shoulder_r, hand_r]]\n"
        "mirror_pairs: [[shoulder_l, shoulder_r], [hand_l, hand_r]]\n"
    )
    config = read(name)
    config.clips.skeleton = config.model.data_preprocessor.skeleton = str(path)
    config = with_data(config, tmp_path)
    model = MODELS.build(config.model)
    assert model.backbone.in_channels == channels and model.data_preprocessor.layout.name == "arms"
    dataset = DATASETS.build({**config.train_dataloader.dataset, "skeleton": str(path)})
    data = model.data_preprocessor(pseudo_collate([dataset[0], dataset[1]]), True)
    losses = model(data["inputs"][:, :, :, :4], data["data_samples"], mode="loss")
    assert all(torch.isfinite(value).all() for value in losses.values())
    config.model.backbone.in_channels = channels + 1
    with pytest.raises(InputError, match=f"field 'model.backbone.in_channels'.*Set it to {channels}."):
        MODELS.build(config.model)


def test_the_number_of_classes_comes_from_the_label_vectors(tmp_path):
    config = with_data(read("own/joint.py"), tmp_path)
    inner = config.train_dataloader.dataset
    config.train_dataloader.dataset = dict(type="RepeatDataset", times=2, dataset=inner)
    fill_num_classes(config, "joint.py")
    assert config.model.cls_head.num_classes == 5
    assert config.train_dataloader.dataset.dataset.num_classes == config.val_dataloader.dataset.num_classes == 5
    assert config.test_dataloader.dataset.num_classes == 5
    # So a label that has no vector is refused, with the clip's name.
    wrong = with_data(read("own/joint.py"), tmp_path, labels=(0, 1, 2, 5))
    fill_num_classes(wrong, "joint.py")
    with pytest.raises(InputError, match="clip3.*'label'.*below 5"):
        DATASETS.build(wrong.train_dataloader.dataset)


@pytest.mark.parametrize(
    ("name", "field", "value", "said"),
    [
        ("own/joint.py", "model.cls_head.num_classes", 6, "v.npy: field 'label_vectors': expected 6 classes, got 5"),
        ("own/joint.py", "val_dataloader.dataset.num_classes", 6,
         "mine.py: field 'val_dataloader.dataset.num_classes': it is 6, but the model has 5 classes. Set it to 5"),
        ("imigue/joint_baseline.py", "model.cls_head.num_classes", None,
         "mine.py: field 'model.cls_head.num_classes': expected the number of classes"),
    ],
)  # fmt: skip
def test_a_wrong_number_of_classes_is_refused_by_name(name, field, value, said, tmp_path):
    config = with_data(read(name), tmp_path)
    config.merge_from_dict({field: value})
    with pytest.raises(InputError, match=said):
        fill_num_classes(config, "mine.py")


def test_a_layout_of_ones_own_goes_into_the_checkpoint(tmp_path, monkeypatch):
    """Which keeps the config: the layout's file may be gone when it is used."""
    monkeypatch.chdir(tmp_path)
    text = """{"name": "arms", "joints": ["neck", "hand_l", "hand_r"], "limbs": [[0, 1], ["neck", "hand_r"]],
               "mirror_pairs": [["hand_l", "hand_r"]]}"""
    Path("arms.json").write_text(text)
    folder = tmp_path / "own"
    shutil.copytree(FOLDER / "_base_", tmp_path / "_base_")
    shutil.copytree(FOLDER / "own", folder)
    path = folder / "joint.py"
    path.write_text(path.read_text().replace('"openpose22"', '"arms.json"'))
    config = load_config(str(folder / "limb.py"), uses=[])
    Path("arms.json").unlink()
    kept = Config.fromstring(config.pretty_text, ".py")
    layouts = [kept.model.data_preprocessor.skeleton, kept.train_dataloader.dataset.skeleton]
    assert [get_layout(layout).joints for layout in layouts] == [("neck", "hand_l", "hand_r")] * 2
    assert "arms.json" not in config.pretty_text
    with pytest.raises(InputError, match="arms.json: there is no such file. It should describe a layout"):
        load_config(str(path), uses=[])
