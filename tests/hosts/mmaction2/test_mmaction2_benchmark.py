"""The benchmark: its counts against torch's own, what it prints against what it stores, the losses of its sides."""

import json
import math
import multiprocessing
import subprocess
import sys

import numpy as np
import pytest
import torch

from helpers import ROOT

pytest.importorskip("mmaction")

from cost import Layer, layers_of, step_cost
from mmengine.config import Config
from mmengine.registry import DefaultScope
from sides import Setup, host_pipeline, side_config
from table import markdown, targets, write
from torch.utils.flop_counter import FlopCounterMode
from turns import PARTS, Plan, Side, compare, run

import pyskl_semloss.hosts.mmaction2  # noqa: F401
from pyskl_semloss.errors import InputError
from pyskl_semloss.skeletons import get_layout

CONFIGS = ROOT / "configs" / "mmaction2"


def model_of(name, tmp_path):
    """The recogniser of a config, with label vectors of any values."""
    from mmaction.registry import MODELS

    DefaultScope.get_instance("pyskl_semloss_tests", scope_name="mmaction")
    np.save(tmp_path / "vectors.npy", np.ones((32, 300), np.float32))
    config = Config.fromfile(CONFIGS / name)
    config.model.cls_head.label_vectors = str(tmp_path / "vectors.npy")
    return MODELS.build(config.model)


@pytest.mark.parametrize(
    ("name", "shape"), [("imigue/joint.py", (2, 22, 48, 56, 56)), ("synthetic/limb.py", (3, 21, 16, 32, 32))]
)
def test_operations_are_those_that_torch_counts(name, shape, tmp_path):
    model = model_of(name, tmp_path)
    cost = step_cost(model, shape)
    assert next(model.parameters()).device.type == "cpu", "the model itself stays where it is"
    meta = model.to("meta").train()
    volume = torch.empty(shape, device="meta")
    with FlopCounterMode(display=False) as counter:
        pooled = meta.cls_head.pooled(meta.backbone(volume))
        branch = next(m for m in meta.cls_head.semantic_branch.modules() if isinstance(m, torch.nn.Linear))
        loss = meta.cls_head._classify(pooled).sum() + branch(pooled.flatten(1)).sum()
    assert cost.flops_forward == pytest.approx(counter.get_total_flops(), rel=0.01)
    with FlopCounterMode(display=False) as counter:
        loss.backward()
    assert cost.flops_backward == pytest.approx(counter.get_total_flops(), rel=0.01)


def test_bytes_of_layers_by_hand(tmp_path):
    # A convolution of 10 elements to 20, a norm, a sum of 20.
    assert Layer("convolution", 10, 20).moved(True) == (30, 60)
    assert Layer("convolution", 10, 20, first=True).moved(True) == (30, 30)
    assert Layer("norm", 20, 20).moved(False) == (60, 100)
    assert Layer("add", 20, 20).moved(True) == (20, 40) and Layer("add", 20, 20).moved(False) == (60, 60)
    model = model_of("synthetic/joint.py", tmp_path)
    shape = (2, 22, 16, 32, 32)
    layers = layers_of(model, shape)
    assert sum(layer.first for layer in layers) == 1 and layers[0].inputs == math.prod(shape)
    trained = sum(value.numel() for value in model.parameters() if value.requires_grad)
    assert sum(layer.weights for layer in layers) == trained
    one, two = step_cost(model, shape, element=4), step_cost(model, (4, *shape[1:]), element=4)
    # Twice the clips: twice the activations, the same weights: read forward and backward, written as gradients.
    assert 2 * one.bytes_forward - two.bytes_forward == 4 * trained
    assert 2 * one.bytes_backward - two.bytes_backward == 8 * trained
    assert one.bytes_optimizer == two.bytes_optimizer == 20 * trained
    assert two.flops == pytest.approx(2 * one.flops)
    apart = step_cost(model, shape, element=4, fused=False)
    half = step_cost(model, shape, element=2)
    assert apart.bytes > one.bytes > half.bytes > one.bytes / 2
    assert one.floor(1e12, 1e30) == pytest.approx(one.flops / 1e12)
    assert one.floor(1e30, 1e9) == pytest.approx(one.bytes / 1e9)


def test_the_hosts_config_is_what_its_users_write(tmp_path):
    (tmp_path / "a.pkl").touch()
    np.save(tmp_path / "v.npy", np.ones((32, 4), np.float32))
    paths = (str(CONFIGS / "imigue/limb.py"), str(tmp_path / "a.pkl"), str(tmp_path / "v.npy"), "")
    host = side_config(Setup("host", *paths))
    names = [step["type"] for step in host.train_dataloader.dataset.pipeline]
    assert names == [
        "UniformSampleFrames", "PoseDecode", "PoseCompact", "Resize", "RandomResizedCrop", "Resize", "Flip",
        "GeneratePoseTarget", "FormatShape", "PackActionInputs",
    ]  # fmt: skip
    test = host.test_dataloader.dataset.pipeline
    assert test[0]["num_clips"] == 10 and test[-3]["double"] and not test[-3]["with_kp"]
    assert host.model.type == "Recognizer3D" and host.model.cls_head.type == "I3DHead"
    assert "data_preprocessor" not in host.model and host.train_dataloader.dataset.type == "PoseDataset"
    ours, fast = (side_config(Setup(side, *paths, views=1)) for side in ("ours", "fast"))
    assert fast.model.fast and not ours.model.fast and ours.model.backbone == host.model.backbone
    assert ours.test_dataloader.dataset.pipeline[0].num_clips == 1
    assert not ours.test_dataloader.dataset.pipeline[-1].mirrored_views
    # 0.4 / 6 for 32 clips; 4 clips here.
    assert ours.optim_wrapper.optimizer.lr == host.optim_wrapper.optimizer.lr == pytest.approx(0.4 / 6 / 8)
    with pytest.raises(KeyError):
        host_pipeline([dict(type="Unheard")], get_layout("openpose22"), "joint", 0.6)


def test_ratios_are_of_neighbouring_turns():
    found = compare({"host": [10.0, 30.0, 20.0], "ours": [1.0, 2.0, 4.0]})
    assert found["ratios"]["ours"]["turns"] == [10.0, 15.0, 5.0]
    assert found["ratios"]["ours"]["median"] == 10.0 and found["spread"]["host"]["median"] == 20.0
    assert found["ratios"]["ours"]["p10"] == pytest.approx(6.0) and found["ratios"]["ours"]["p90"] == pytest.approx(14)


def test_an_error_of_a_side_arrives_whole_and_its_death_is_told(tmp_path):
    with Side(Setup("ours", str(tmp_path / "gone.py"), "", "", "")) as side:
        with pytest.raises(InputError, match="gone.py: there is no such config file") as error:
            side.ask("about")
        assert not str(error.value).endswith("..")
        (process,) = multiprocessing.active_children()
        process.kill()
        with pytest.raises(RuntimeError, match="side 'ours' ended in about"):
            side.ask("about")


def gpu_result(epoch, inference, host, share):
    parts = [
        {"part": name, "modality": "limb", **compare({"host": [host], "fast": [time]})}
        for name, time in (("epoch", epoch), ("inference", inference))
    ]
    settings = {"device": "cuda", "workers": 16, "views": 20}
    return {
        "settings": settings,
        "parts": parts,
        "rendering": [{"modality": "limb", "share": {"fast": share}}],
        "losses": [],
    }


def test_targets_on_a_gpu():
    met = targets(gpu_result(1 / 1001, 0.05, 1 / 100, 0.04))
    assert len(met) == 5 and all(row["met"] for row in met)
    assert [round(row["measured"], 2) for row in met] == [1001, 10.01, 21.47, 3.80, 4]
    assert not any(row["met"] for row in targets(gpu_result(1 / 800, 0.06, 1 / 200, 0.06)))


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    """A short run of the small model."""
    parts = ("heatmaps", "train_sample", "bytes", "train_step", "losses", "epoch", "floor", "inference")
    plan = Plan({"limb": str(CONFIGS / "synthetic/limb.py")}, "a command", parts, rounds=2, views=4, quick=True)
    kept = []
    found = run(plan, keep=lambda result: kept.append(len(result["parts"])))
    assert kept == sorted(kept) and set(kept) == set(range(1, 7))
    return found


def test_values_are_finite_and_ratios_are_quotients(result):
    assert [part["part"] for part in result["parts"]] == [
        "heatmaps", "train_sample", "bytes", "train_step", "epoch", "inference",
    ]  # fmt: skip
    for part in result["parts"]:
        for side, times in part["times"].items():
            assert all(math.isfinite(value) and value > 0 for value in times)
            assert part["spread"][side]["median"] == pytest.approx(np.median(times))
        for side, ratio in part["ratios"].items():
            quotients = np.divide(part["times"]["host"], part["times"][side])
            assert ratio["median"] == pytest.approx(np.median(quotients))
    sizes = {part["part"]: part for part in result["parts"]}["bytes"]["times"]
    # 21 x 16 x 32 x 32 floats; 22 joints x 16 frames x 3 floats and the label.
    assert 0 < sizes["host"][0] - 4 * 21 * 16 * 32 * 32 < 10_000
    assert 0 < sizes["ours"][0] - 4 * 22 * 16 * 3 < 10_000
    assert set(result["rendering"][0]["share"]) == {"ours", "fast"}


def test_host_and_ours_learn_the_same(result):
    (losses,) = result["losses"]
    assert losses["steps"] == 3 and len(losses["loss_cls"]["host"]) == 3
    assert losses["largest_difference"]["ours"] < 1e-4
    assert losses["largest_difference"]["ours"] < losses["largest_difference"]["fast"] < 0.1
    assert np.ptp(losses["loss_cls"]["host"]) > 1e-3


def test_json_and_markdown_say_the_same(result, tmp_path):
    paths = write(result, tmp_path / "new")
    assert json.loads(paths[0].read_text()) == result
    text = paths[1].read_text()
    assert text == markdown(result)
    head = result["header"]
    assert set(head) >= {"date", "command", "cpu", "cores", "flags", "gpu", "versions", "load"}
    assert set(head["versions"]) == {
        "python", "numpy", "numba", "torch", "mmengine", "mmcv", "mmaction", "pyskl_semloss",
    }  # fmt: skip
    for value in [*head["versions"].values(), head["cpu"], "a command", head["date"]]:
        assert value in text
    assert set(result["sides"]) == {"host", "ours", "fast"}
    for name in ("heat maps of a training clip", "training step, a clip", "float32, fused", "inference, a clip"):
        assert text.count(f"| {name}") == 1
    (floor,) = result["floor"]
    assert floor["shape"] == [4, 21, 16, 32, 32]
    for cost in floor["cost"].values():
        assert 0 < cost["floor_seconds_of_clip"] < math.inf


def test_wrong_plans_and_devices_are_one_sentence():
    with pytest.raises(InputError, match="--parts.*got everything"):
        Plan({}, "", parts=["everything"])
    with pytest.raises(InputError, match="--rounds.*at least 1, got 0"):
        Plan({}, "", rounds=0)
    if not torch.cuda.is_available():
        with pytest.raises(InputError, match="torch sees none"):
            run(Plan({}, "", device="cuda"))
    done = subprocess.run(
        [sys.executable, "tools/benchmark/throughput.py", "--parts", "nothing"],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert done.returncode == 2 and done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
    shown = subprocess.run(
        [sys.executable, "tools/benchmark/throughput.py", "--help"], capture_output=True, text=True, cwd=ROOT
    )
    assert "Parts: " + " ".join(PARTS) in shown.stdout
