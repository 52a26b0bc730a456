"""A small training dies before each change of a file, one after another, and a resume mends it each time."""

import os
import random
import shutil
import traceback
import warnings

import numpy as np
import pytest
import torch

from helpers.small_runs import books

pytest.importorskip("mmaction")
from mmengine.config import Config  # noqa: E402
from mmengine.evaluator import BaseMetric, Evaluator  # noqa: E402
from mmengine.model import BaseModel  # noqa: E402
from mmengine.runner import EpochBasedTrainLoop, Runner  # noqa: E402
from torch.utils.data import Dataset  # noqa: E402

import pyskl_semloss.hosts.mmaction2  # noqa: E402, F401
from pyskl_semloss.errors import InputError  # noqa: E402
from pyskl_semloss.hosts.mmaction2.data.seeding import _seedable, seed_generators  # noqa: E402
from pyskl_semloss.hosts.mmaction2.training.resume import checkpoint_meta, prepare_start  # noqa: E402

# Validated from the second of four epochs on: better, better, worse.
ACCURACY = {2: 0.2, 3: 0.4, 4: 0.3}
EPOCHS = 4


class Points(Dataset):
    """Eight points with noise of the global generators, seeded as a KeypointDataset is."""

    def __init__(self):
        self.numbers = None

    def __len__(self):
        return 8

    def seed_clips(self, seed, epoch):
        self.numbers = seed, epoch

    def __getitem__(self, index):
        seed_generators(*self.numbers, index)
        return {"inputs": torch.tensor([index + np.random.rand(), random.random()], dtype=torch.float32)}


class Line(BaseModel):
    """A linear model with dropout, which draws from torch's generator."""

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(2, 1)
        self.register_buffer("epochs", torch.zeros(()))

    def forward(self, inputs, mode="tensor"):
        if mode == "loss":
            self.epochs += 1 / 4
            return {"loss": torch.nn.functional.dropout(self.layer(torch.stack(inputs))).square().mean()}
        return [self.epochs.item()]


class Accuracy(BaseMetric):
    """The accuracies of the table, whatever the model says."""

    def process(self, data_batch, data_samples):
        self.results.append(round(data_samples[0]))

    def compute_metrics(self, results):
        return {"acc": ACCURACY[results[0]]}


def train(folder, keep=2):
    """Train the linear model, going on where an earlier call died."""
    loader = dict(batch_size=2, num_workers=0, sampler=dict(type="DefaultSampler", shuffle=True), dataset=Points())
    points = Points()
    points.seed_clips(0, 0)
    hook = dict(type="WholeCheckpointHook", interval=1, save_best="acc", rule="greater", max_keep_ckpts=keep)
    config = Config(dict(work_dir=str(folder), default_hooks=dict(checkpoint=hook)))
    prepare_start(config, "auto")
    Runner(
        model=Line(),
        work_dir=str(folder),
        train_dataloader=loader,
        train_cfg=dict(by_epoch=True, max_epochs=EPOCHS, val_begin=2, val_interval=1),
        val_dataloader={**loader, "dataset": points, "sampler": dict(type="DefaultSampler", shuffle=False)},
        val_cfg=dict(),
        val_evaluator=Evaluator(Accuracy(prefix="")),
        optim_wrapper=dict(optimizer=dict(type="SGD", lr=0.01, momentum=0.9)),
        param_scheduler=[dict(type="CosineAnnealingLR", T_max=EPOCHS, by_epoch=True, convert_to_iter_based=True)],
        default_hooks=dict(
            checkpoint=hook, seed=dict(type="SeedHook"), best_so_far=dict(type="BestSoFarHook"), logger=None
        ),
        resume=config.resume,
        load_from=config.get("load_from"),
        randomness=dict(seed=3),
        log_level="ERROR",
    ).train()


def die_before(event, folder, **options):
    """Train in a process that dies, as by SIGKILL, before its event-th change of a file; how many it made, or None."""
    process = os.fork()
    if process:
        return {9: None, 0: True}[os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])]
    left = event

    def dying(function):
        def wrapper(*args, **kwargs):
            nonlocal left
            left -= 1
            if left == 0:
                os._exit(9)
            return function(*args, **kwargs)

        return wrapper

    try:
        for name in ("replace", "remove", "unlink"):
            setattr(os, name, dying(getattr(os, name)))
        os.fsync = lambda _: None  # slow, and a process that dies takes nothing with it that was written
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), 1)
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message=".* has no checkpoint to resume from")
        Runner._log_env = Runner.dump_config = Runner.build_visualizer = lambda *_: None
        train(folder, **options)
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


@pytest.mark.parametrize("keep", [1, 2])
def test_death_before_any_change_of_a_file_is_mended(tmp_path, keep):
    assert die_before(0, tmp_path / "whole", keep=keep)
    expected = {path.name: books(path) for path in (tmp_path / "whole").glob("*.pth")}
    assert sorted(expected) == sorted(
        [f"epoch_{number}.pth" for number in range(EPOCHS - keep + 1, EPOCHS + 1)] + ["best_acc_epoch_3.pth"]
    )
    shown = torch.load(tmp_path / "whole" / f"epoch_{EPOCHS}.pth", weights_only=True)["message_hub"]["log_scalars"]
    # In each line of the training, four an epoch, after the validations of the epochs 2 and 3.
    assert shown["train/best_val"].data[0].tolist() == [ACCURACY[2]] * 4 + [ACCURACY[3]] * 4
    deaths = 0
    while True:
        folder = tmp_path / str(deaths)
        if die_before(deaths + 1, folder, keep=keep):
            break
        deaths += 1
        for path in folder.glob("*.pth"):
            checkpoint_meta_or_weights(path)
        if (folder / "last_checkpoint").exists():
            latest = torch.load((folder / "last_checkpoint").read_text(), weights_only=True)
            assert list(folder.glob("best*")) or "best_ckpt" not in latest["message_hub"]["runtime_info"]
        assert die_before(0, folder, keep=keep)
        for name, content in expected.items():
            assert books(folder / name) == content, (deaths, name)
        assert not list(folder.glob(".*.tmp"))
        # At most one that was to be removed when the process died.
        assert len(list(folder.glob("*.pth"))) <= len(expected) + 1
        assert (folder / "last_checkpoint").read_text() == str(folder / f"epoch_{EPOCHS}.pth")
    print(f"\n{deaths} deaths with max_keep_ckpts={keep}")
    assert deaths > 15


def checkpoint_meta_or_weights(path):
    """Read to the last byte; the best checkpoint has no optimizer."""
    try:
        return checkpoint_meta(path)
    except InputError as error:
        assert path.name.startswith("best") and "it holds no optimizer" in str(error)


def test_a_copied_run_leaves_the_files_of_the_original(tmp_path):
    assert die_before(12, tmp_path / "original") is None
    files = sorted((path.name, path.stat().st_mtime_ns) for path in (tmp_path / "original").glob("*.pth"))
    assert [name for name, _ in files] == ["best_acc_epoch_2.pth", "epoch_2.pth", "epoch_3.pth"]
    shutil.copytree(tmp_path / "original", tmp_path / "copy")
    assert die_before(0, tmp_path / "copy")
    assert files == sorted((path.name, path.stat().st_mtime_ns) for path in (tmp_path / "original").glob("*.pth"))
    assert [path.name for path in (tmp_path / "copy").glob("best*")] == ["best_acc_epoch_3.pth"]


def test_an_iteration_based_loop_and_a_repeated_set_keep_the_workers_numbers():
    from mmengine.dataset import ConcatDataset, RepeatDataset

    class Loop(EpochBasedTrainLoop):
        def __init__(self):
            pass

    class FakeRunner:
        def __init__(self, loop, dataset):
            self.train_loop, self.train_dataloader = loop, type("Loader", (), {"dataset": dataset})

    one = Points()
    assert _seedable(FakeRunner(Loop(), one)) == [one]
    assert _seedable(FakeRunner(object(), one)) == []
    repeated, joined = RepeatDataset.__new__(RepeatDataset), ConcatDataset.__new__(ConcatDataset)
    repeated.dataset, joined.datasets = one, [one, one]
    assert _seedable(FakeRunner(Loop(), repeated)) == []
    assert _seedable(FakeRunner(Loop(), joined)) == [one, one]
