"""Mistakes in configs, in --cfg-options and in the choice of a checkpoint, each as one message."""

import argparse

import numpy as np
import pytest
import torch

pytest.importorskip("mmaction")
from mmaction.registry import MODELS, TRANSFORMS  # noqa: E402
from mmengine.config import Config  # noqa: E402

from pyskl_semloss.cli.run_arguments import override_action  # noqa: E402
from pyskl_semloss.errors import InputError  # noqa: E402
from pyskl_semloss.hosts.mmaction2.model.build_errors import naming_config_entry  # noqa: E402
from pyskl_semloss.hosts.mmaction2.model.config_files import (  # noqa: E402
    check_seed,
    check_settings,
    read_config,
)
from pyskl_semloss.hosts.mmaction2.training.metric import ScoreMetric  # noqa: E402
from pyskl_semloss.hosts.mmaction2.training.run_config import load_config, refuse_other_model  # noqa: E402

GOOD = """
model = dict(type="Recognizer3D")
loader = dict(batch_size=2, num_workers=0, dataset=dict(type="KeypointDataset"))
train_dataloader = loader
val_dataloader = None
param_scheduler = [dict(T_max=3)]
optim_wrapper = dict(optimizer=dict(type="SGD"))
work_dir = "x"
"""


@pytest.fixture
def good(tmp_path):
    path = tmp_path / "c.py"
    path.write_text(GOOD)
    return path


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("c.pth", "", r"c.pth: expected a config file .* The config comes first"),
        ("c.py", "a = (\n", "line 1: "),
        ("c.py", "x = 1\ny = z\n", "c.py, line 2: NameError: name 'z' is not defined"),
        ("c.py", "_base_ = 'nothing.py'\n", "there is no file .*nothing.py, which it names"),
        ("c.py", "custom_imports = dict(imports=['no_such_package'])\n", "Error: .*no_such_package"),
        ("c.json", "{", "the config cannot be read"),
    ],
)
def test_a_config_that_cannot_be_read(name, text, problem, tmp_path):
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=problem) as caught:
        read_config(str(tmp_path / name))
    assert caught.value.file == str(tmp_path / name) and len(str(caught.value)) < 400
    with pytest.raises(InputError, match="expected a config file, got a folder"):
        read_config(str(tmp_path))


def test_a_config_of_another_toolbox_says_what_is_missing(tmp_path):
    pytest.importorskip("mmcv", minversion="2.0")
    (tmp_path / "c.py").write_text("custom_imports = dict(imports=['pyskl_semloss.hosts.pyskl'])\n")
    with pytest.raises(InputError, match="c.py: .*PySKL.* run: "):
        read_config(str(tmp_path / "c.py"))


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        ("train_dataloder.batch_size", 3, "has no 'train_dataloder'. Did you mean train_dataloader?"),
        ("zzz", 3, "has no 'zzz'. Its top-level settings are .*work_dir"),
        ("work_dir.x", 3, "do not fit the config .*work_dir"),
        ("param_scheduler.4.T_max", 3, "do not fit the config .*Index 4"),
    ],
)
def test_overrides_of_nothing(good, key, value, problem):
    with pytest.raises(InputError, match=f"c.py: field '--cfg-options': .*{problem}"):
        read_config(str(good), {key: value})


def test_overrides_that_are_new_settings_of_the_runner(good):
    options = {"randomness.seed": 3, "sync_bn": "torch", "compile": True, "train_dataloader.batch_size": 4}
    config = read_config(str(good), options)
    assert (config.randomness.seed, config.sync_bn, config.train_dataloader.batch_size) == (3, "torch", 4)
    check_settings(config, str(good), ["train", "val"])


def test_an_override_without_an_equals_sign(capsys):
    parser = argparse.ArgumentParser()
    parser.add_argument("--cfg-options", nargs="+", action=override_action())
    assert parser.parse_args(["--cfg-options", "a.b=3", "c=d"]).cfg_options == {"a.b": 3, "c": "d"}
    with pytest.raises(SystemExit):
        parser.parse_args(["--cfg-options", "a.b", "3"])
    assert "expected KEY=VALUE, as model.cls_head.alpha=10, got 'a.b'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "field", "problem"),
    [
        ({"model": None}, "model", "expected a config of a model"),
        ({"train_dataloader": None}, "train_dataloader", "expected the settings of a loader"),
        ({"train_dataloader.batch_size": 0}, "train_dataloader.batch_size", "a whole number from 1, got 0"),
        ({"train_dataloader.batch_size": "big"}, "train_dataloader.batch_size", "got 'big'"),
        ({"train_dataloader.num_workers": -1}, "train_dataloader.num_workers", "a whole number from 0, got -1"),
        ({"randomness.seed": -1}, "randomness.seed", "from 0 to 4294967295, got -1"),
        ({"optim_wrapper.optimizer.type": "Adm"}, "type", "there is no 'Adm'. Did you mean Adam"),
    ],
)
def test_settings_that_the_host_fails_on(good, options, field, problem):
    with pytest.raises(InputError, match=problem) as caught:
        load_config(str(good), uses=["train"], options=options)
    assert (caught.value.file, caught.value.field) == (str(good), field)


def test_a_seed_of_the_command_line():
    check_seed(0, "--seed")
    with pytest.raises(InputError, match="field '--seed': .* got 4294967296"):
        check_seed(1 << 32, "--seed")


def test_a_launcher_without_processes(good, monkeypatch):
    monkeypatch.delenv("RANK", raising=False)
    with pytest.raises(InputError, match="field '--launcher': .*torchrun.*-m pyskl_semloss"):
        load_config(str(good), uses=[], launcher="pytorch")


def test_a_part_that_cannot_be_built_is_named():
    head = dict(type="I3DHead", num_classes=3, in_channels=4, alfa=1)
    with pytest.raises(InputError, match=r"c.py: field .*type='I3DHead'.*: .*unexpected keyword argument 'alfa'"):
        with naming_config_entry("c.py"):
            MODELS.build(head)
    with pytest.raises(InputError, match="c.py: field 'type': there is no 'I3DHed'. Did you mean I3DHead"):
        with naming_config_entry("c.py"):
            MODELS.build(dict(type="I3DHed"))
    with pytest.raises(InputError, match="there is no 'mmaction.PoseDecod'. Did you mean PoseDecode"):
        with naming_config_entry("c.py"):
            TRANSFORMS.build(dict(type="mmaction.PoseDecod"))
    # What fails later is no matter of the config.
    with pytest.raises(ValueError, match="later"):
        with naming_config_entry("c.py"):
            raise ValueError("later")


def test_a_checkpoint_of_another_model(tmp_path):
    model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.Linear(2, 4))
    state, path = model.state_dict(), str(tmp_path / "c.pth")
    torch.save({"state_dict": {**state, "more": torch.zeros(1)}}, path)
    refuse_other_model(model, path)
    torch.save({"state_dict": {f"module.{name}": value for name, value in state.items()}}, path)
    refuse_other_model(model, path)
    torch.save({"state_dict": {**state, "0.weight": torch.zeros(2, 5)}}, path)
    with pytest.raises(InputError, match=r"c.pth: .*0.weight is \(2, 5\) in it, \(2, 3\) in the model\. Test it with"):
        refuse_other_model(model, path)
    torch.save({"state_dict": {name: state[name] for name in ("0.weight", "0.bias")}}, path)
    with pytest.raises(InputError, match="1.weight is absent in it, and 1 more like it"):
        refuse_other_model(model, path)


def test_a_model_that_diverged():
    metric = ScoreMetric()
    results = [
        dict(sample_id=np.str_(name), score=np.full(3, value, np.float32), label=0)
        for name, value in (("a", 1.0), ("b", np.nan))
    ]
    with pytest.raises(InputError, match="clip 'b': the model gives NaN or infinity for 1 of 2 clips.* lower optim"):
        metric.compute_metrics(results)
    assert Config(metric.compute_metrics(results[:1])).top1 == 1
