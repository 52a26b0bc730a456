"""Every part of a real checkpoint replaced by something else: a resume refuses it in one line, or trains to the end."""

import copy
import math
import os
import random
import warnings

import numpy as np
import pytest
import torch

pytest.importorskip("mmaction")
from mmengine.config import Config  # noqa: E402
from mmengine.logging import HistoryBuffer  # noqa: E402
from mmengine.model import BaseModel  # noqa: E402
from mmengine.registry import DATASETS, MODELS  # noqa: E402
from mmengine.runner import Runner  # noqa: E402
from torch.utils.data import Dataset  # noqa: E402

import pyskl_semloss.hosts.mmaction2  # noqa: E402, F401
from pyskl_semloss.errors import InputError  # noqa: E402
from pyskl_semloss.hosts.checkpoints import read_checkpoint  # noqa: E402
from pyskl_semloss.hosts.mmaction2.training.resume import begin, changed_settings, choose_start  # noqa: E402

# All of the corpus, 1,500 files, with PYSKL_SEMLOSS_ALL=1.
SAMPLE = None if os.environ.get("PYSKL_SEMLOSS_ALL") else 150


@DATASETS.register_module(name="PointsOfAResume")
class Points(Dataset):
    """Four points."""

    metainfo = {"classes": ["one", "other"]}

    def __len__(self):
        return 4

    def __getitem__(self, index):
        return {"inputs": torch.tensor([index, 1.0])}


@MODELS.register_module(name="LineOfAResume")
class Line(BaseModel):
    """A linear model."""

    def __init__(self, width=1):
        super().__init__()
        self.layer = torch.nn.Linear(2, width)

    def forward(self, inputs, mode="tensor"):
        return {"loss": self.layer(torch.stack(inputs)).square().mean()}


def config(folder, epochs=3, **changes):
    loader = dict(batch_size=2, num_workers=0, sampler=dict(type="DefaultSampler", shuffle=True),
                  dataset=dict(type="PointsOfAResume"))  # fmt: skip
    settings = dict(
        default_scope="mmengine", work_dir=str(folder), model=dict(type="LineOfAResume"), train_dataloader=loader,
        train_cfg=dict(by_epoch=True, max_epochs=epochs), randomness=dict(seed=3), log_level="ERROR",
        optim_wrapper=dict(optimizer=dict(type="SGD", lr=0.01, momentum=0.9)),
        param_scheduler=[dict(type="CosineAnnealingLR", T_max=3, by_epoch=True, convert_to_iter_based=True)],
        default_hooks=dict(
            checkpoint=dict(type="WholeCheckpointHook", interval=1, max_keep_ckpts=2), logger=dict(type="LoggerHook"),
        ),
        visualizer=dict(type="Visualizer"),
    )  # fmt: skip
    result = Config(settings)
    result.merge_from_dict(changes)
    return result


def train(settings):
    Runner.dump_config = Runner._log_env = lambda *_: None
    Runner.from_cfg(settings).train()


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder of a run that was cut off after its second epoch, and what its checkpoint holds."""
    folder = tmp_path_factory.mktemp("malformed") / "run"
    train(config(folder, epochs=2))
    return folder, read_checkpoint(folder / "epoch_2.pth")


def history(**changes):
    made = HistoryBuffer([1.0], [1])
    vars(made).update(changes)
    return made


def deep(times):
    nested = []
    for _ in range(times):
        nested = [nested]
    return nested


OTHERS = [None, True, 0, -1, 3, 2.5, math.nan, math.inf, 10**30, -(10**30), "", "x", [], [1, "x"], {}, {"x": 1}, (),
          deep(50), torch.zeros(()), torch.zeros(3, 1), torch.tensor(math.nan), torch.ones(2, dtype=torch.int64),
          history(), history(_log_history=np.zeros((2, 2))), history(max_length="x"), history(mean=1)]  # fmt: skip


def places(value, place=()):
    """Every part of a checkpoint; of many weights or histories the first two."""
    if place:
        yield place
    if isinstance(value, (dict, list, tuple)):
        entries = list(value.items() if isinstance(value, dict) else enumerate(value))
        for key, each in entries[:2] if place[-1:] in (("log_scalars",), ("resumed_keys",)) else entries:
            yield from places(each, (*place, key))


def replaced(content, place, value):
    """A copy of a checkpoint with another value at a place; without it if the value is Ellipsis."""
    content = copy.deepcopy(content)
    parent = content
    for key in place[:-1]:
        parent = parent[key]
    if value is ...:
        del parent[place[-1]]
    else:
        parent[place[-1]] = value
    return content


def corpus(content):
    for place in places(content):
        for value in [..., *OTHERS]:
            yield place, value


def files(folder):
    return {str(path): (path.stat().st_mtime_ns, path.stat().st_size) for path in sorted(folder.rglob("*"))}


def test_every_replaced_part_is_refused_in_one_line_or_trained_on(run, tmp_path):
    folder, content = run
    cases = list(corpus(content))
    print(f"\n{len(cases)} cases", end=", ")
    if SAMPLE is not None:
        cases = random.Random(os.environ.get("PYSKL_SEMLOSS_SEED", "7")).sample(cases, SAMPLE)
    refused = trained = 0
    for number, (place, value) in enumerate(cases):
        path = tmp_path / f"{number}.pth"
        torch.save(replaced(content, place, value), path)
        work, before = tmp_path / "work" / str(number), files(folder)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                settings = config(work)
                found = choose_start(settings, str(path))
            except InputError as error:
                text = str(error)
                assert "\n" not in text and text.startswith(f"{path}: ") and len(text) < 1500, (place, value, text)
                refused += 1
                assert not work.exists() and files(folder) == before
                continue
            try:
                begin(settings, found)
                train(settings)
            except Exception as error:
                raise AssertionError(f"{place} = {value!r}") from error
        trained += 1
        if (place, value) == (("meta", "epoch"), 3):
            continue  # nothing was left to train
        weights = torch.load(work / "epoch_3.pth", weights_only=True)["state_dict"]
        assert all(torch.isfinite(weight).all() for weight in weights.values()), (place, value)
    print(f"{refused} refused, {trained} trained on")
    assert refused > len(cases) // 3 and trained > len(cases) // 20


def refusal(work, path, **changes):
    with pytest.raises(InputError) as error:
        choose_start(config(work, **changes), str(path))
    return str(error.value)


def said(work, path, **changes):
    with warnings.catch_warnings(record=True) as lines:
        warnings.simplefilter("always")
        choose_start(config(work, **changes), str(path))
    return [str(line.message) for line in lines if issubclass(line.category, UserWarning)]


def test_another_model_is_refused_and_so_are_absent_and_other_weights(run, tmp_path):
    folder, content = run
    text = refusal(tmp_path, folder / "epoch_2.pth", **{"model.width": 2})
    assert "it is of another model: layer.weight is (1, 2) in it, (2, 2) in the model, and 1 more like it" in text
    assert text.startswith(f"{folder / 'epoch_2.pth'}: field 'state_dict': ") and "load_from=FILE" in text
    for change, words in (
        (lambda state: state.pop("layer.bias"), "layer.bias is absent in it"),
        (lambda state: state.update(more=torch.ones(1)), "it has more, the model has not"),
        (lambda state: state["layer.bias"].fill_(math.nan), "1 of its weights hold NaN"),
    ):
        other = copy.deepcopy(content)
        change(other["state_dict"])
        torch.save(other, tmp_path / "other.pth")
        assert words in refusal(tmp_path, tmp_path / "other.pth")


def test_the_latest_checkpoint_of_another_model_is_not_passed_over(run, tmp_path):
    folder, _ = run
    with pytest.raises(InputError, match="epoch_2.pth: field 'state_dict': .* it is of another model"):
        choose_start(config(folder, **{"model.width": 2}), "auto")
    assert (folder / "last_checkpoint").read_text().endswith("epoch_2.pth")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"optim_wrapper.optimizer": dict(_delete_=True, type="Adam", lr=0.01)}, 'optimizer "SGD", not "Adam"'),
        ({"optim_wrapper.paramwise_cfg": dict(bias_lr_mult=2.0)}, "groups of [2] weights, the config's has [1, 1]"),
        ({"param_scheduler": [dict(type="StepLR", step_size=1)]}, "schedule 0 is of another kind than the config's"),
        ({"param_scheduler": [dict(type="ConstantLR")] * 2}, "it has 1 schedules, the config has 2"),
        ({"train_cfg.max_epochs": 1}, "it has trained for 2, more than max_epochs, 1"),
    ],
)  # fmt: skip
def test_an_optimizer_or_a_schedule_of_another_kind_is_refused(run, tmp_path, changes, words):
    assert words in refusal(tmp_path, run[0] / "epoch_2.pth", **changes)


def test_other_settings_are_said_with_both_values_and_the_one_that_is_used(run, tmp_path):
    path, same = run[0] / "epoch_2.pth", {"train_cfg.max_epochs": 2}
    assert said(tmp_path, path, **same) == []
    schedule = [dict(type="CosineAnnealingLR", T_max=5, by_epoch=True, convert_to_iter_based=True)]
    lines = said(tmp_path, path, **same, **{
        "optim_wrapper.optimizer.lr": 0.5, "train_dataloader.batch_size": 4, "param_scheduler": schedule,
        "optim_wrapper.clip_grad": dict(max_norm=40), "train_dataloader.num_workers": 1, "log_level": "INFO",
    })  # fmt: skip
    theirs = "the checkpoint's is used, as it holds the state of its optimizer and schedules"
    assert sorted(lines) == [
        "optim_wrapper.clip_grad.max_norm is not set in the checkpoint's run, 40 here: 40 is used",
        f"optim_wrapper.optimizer.lr is 0.01 in the checkpoint's run, 0.5 here: {theirs}",
        f"param_scheduler.0.T_max is 3 in the checkpoint's run, 5 here: {theirs}",
        "train_dataloader.batch_size is 2 in the checkpoint's run, 4 here: 4 is used, but the learning rate and the "
        "schedule stay the checkpoint's",
    ]


def test_a_schedule_that_ends_with_the_training_may_say_so_or_not(tmp_path):
    """The run was of three epochs, and its config said T_max=3."""
    meta = {"cfg": config(tmp_path, epochs=3).pretty_text}
    schedule = [dict(type="CosineAnnealingLR", by_epoch=True, convert_to_iter_based=True)]
    settings = config(tmp_path, **{"param_scheduler": schedule})
    assert changed_settings(settings, meta, "a.pth") == []
    settings.param_scheduler[0]["T_max"] = 2
    (line,) = changed_settings(settings, meta, "a.pth")
    assert line.startswith("param_scheduler.0.T_max is not set in the checkpoint's run, 2 here")
    del settings.param_scheduler[0]["T_max"]
    settings.train_cfg.max_epochs = 4
    (line,) = changed_settings(settings, meta, "a.pth")
    assert line.startswith("train_cfg.max_epochs is 3 in the checkpoint's run, 4 here")


def test_what_is_said_to_be_used_is_used(run, tmp_path):
    settings = config(tmp_path, **{"optim_wrapper.optimizer.lr": 0.5, "train_dataloader.batch_size": 4})
    with pytest.warns(UserWarning):
        begin(settings, choose_start(settings, str(run[0] / "epoch_2.pth")))
    train(settings)
    content = torch.load(tmp_path / "epoch_3.pth", weights_only=True)
    assert content["optimizer"]["param_groups"][0]["initial_lr"] == 0.01
    assert content["meta"]["iter"] == 2 * 2 + 1, "four points in one batch"


@pytest.mark.parametrize("text", [None, "", "import os", "x = os.system('true')", "model = [[[["])
def test_a_checkpoint_without_a_readable_config_goes_on_and_says_so(run, tmp_path, text):
    content = copy.deepcopy(run[1])
    content["meta"].pop("cfg")
    if text is not None:
        content["meta"]["cfg"] = text
    torch.save(content, tmp_path / "other.pth")
    (line,) = said(tmp_path, tmp_path / "other.pth")
    assert "other.pth" in line and line.endswith("whether the settings are those of its run is not known")
