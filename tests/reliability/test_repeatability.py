"""The same seed gives the same numbers: again, with other workers, with two processes; and the folder says how."""

import json
import os
import random
import subprocess
import sys

import numpy as np
import pytest
import torch

from helpers import ROOT
from helpers.small_runs import CONFIG, books, environment, make_set, train_command

pytest.importorskip("mmaction")
from mmaction.registry import DATASETS, MODELS  # noqa: E402
from mmengine.config import Config  # noqa: E402
from mmengine.registry import init_default_scope  # noqa: E402
from torch.utils.data import DataLoader  # noqa: E402

import pyskl_semloss.hosts.mmaction2 as host  # noqa: E402
from pyskl_semloss.errors import InputError  # noqa: E402
from pyskl_semloss.hosts.mmaction2.data.packing import stack_keypoints  # noqa: E402
from pyskl_semloss.hosts.mmaction2.training.run_config import load_config  # noqa: E402
from pyskl_semloss.hosts.mmaction2.training.run_record import git_state, record_start  # noqa: E402
from pyskl_semloss.io.files import sha256  # noqa: E402


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("repeat")


@pytest.fixture(scope="module")
def options(folder):
    return make_set(folder)


def train(work, options, *words, launch=()):
    command = [*launch, *train_command(work, options, *words)[1 if launch else 0 :]]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment())
    assert done.returncode == 0, done.stderr[-3000:]
    return work


@pytest.fixture(scope="module")
def first(folder, options):
    """Two epochs with two workers."""
    return train(folder / "first", options, "--epochs", 2)


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_training_gives_the_same_bits_again_and_with_other_workers(folder, options, first, workers):
    work = train(
        folder / f"workers{workers}",
        [*options, f"train_dataloader.num_workers={workers}", f"val_dataloader.num_workers={workers}"],
        "--epochs", 2,
    )  # fmt: skip
    names = sorted(path.name for path in first.glob("*.pth"))
    assert len(names) == 3 and names == sorted(path.name for path in work.glob("*.pth"))
    for name in names:
        assert books(work / name) == books(first / name), name


def dataset_of(options):
    config = load_config(CONFIG, uses=["train"], options=dict(option.split("=") for option in options[:1]))
    init_default_scope("mmaction")
    return DATASETS.build(config.train_dataloader.dataset)


def test_a_clip_depends_on_seed_epoch_and_clip_and_on_nothing_else(options):
    dataset = dataset_of(options)

    def draw(seed, epoch, index):
        dataset.seed_clips(seed, epoch)
        np.random.rand(random.randint(0, 5))
        return dataset[index]["inputs"]["keypoint"].numpy().tobytes()

    assert draw(1, 2, 3) == draw(1, 2, 3)
    assert len({draw(1, 2, 3), draw(2, 2, 3), draw(1, 3, 3), draw(1, 2, 4), draw(2, 1, 3)}) == 5


def test_workers_that_live_on_see_the_next_epoch(options):
    dataset = dataset_of(options)
    loader = DataLoader(dataset, 4, num_workers=2, persistent_workers=True, collate_fn=stack_keypoints)
    seen = {}
    for epoch in (0, 1, 0):
        dataset.seed_clips(5, epoch)
        content = b"".join(batch["inputs"]["keypoint"].numpy().tobytes() for batch in loader)
        assert seen.setdefault(epoch, content) == content
    assert seen[0] != seen[1]


def test_without_the_hook_and_in_tests_the_generators_are_left_alone(options):
    dataset = dataset_of(options)
    draws = []
    for _ in range(2):
        np.random.seed(4), random.seed(4)
        dataset[0]
        draws.append((np.random.rand(), random.random()))
    np.random.seed(4), random.seed(4)
    assert draws[0] == draws[1] != (np.random.rand(), random.random())


def loss_of(checkpoint, options, batch):
    """Loss of a model on a batch, as in validation: no dropout, fixed batch norm."""
    model_config = Config.fromfile(ROOT / CONFIG).model
    model_config.cls_head.label_vectors = options[3].split("=")[1]
    model = MODELS.build(model_config).eval()
    model.load_state_dict(torch.load(checkpoint, weights_only=True)["state_dict"])
    data = model.data_preprocessor(batch)
    with torch.no_grad():
        return sum(value for name, value in model(**data, mode="loss").items() if "loss" in name).item()


def test_two_processes_learn_what_one_does(folder, options):
    """20 steps of 8 clips. Dropout and batch norm depend on how a batch is divided, and so does a last, smaller one."""
    shared = [
        *options,
        "model.cls_head.dropout_ratio=0",
        "model.backbone.norm_eval=True",
        "train_dataloader.num_workers=1",
        "train_dataloader.dataset.indices=32",
    ]
    one = train(folder / "one", [*shared, "train_dataloader.batch_size=8"], "--epochs", 5, "--no-validate")
    port = 20000 + os.getpid() % 20000
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2", f"--master_port={port}"]
    two = train(
        folder / "two", [*shared, "train_dataloader.batch_size=4"], "--epochs", 5, "--no-validate",
        "--launcher", "pytorch", launch=launch,
    )  # fmt: skip
    states = [torch.load(work / "epoch_5.pth", weights_only=True) for work in (one, two)]
    assert [state["meta"]["iter"] for state in states] == [20, 20]
    dataset = dataset_of(options)
    dataset.seed_clips(9, 9)
    losses = [
        loss_of(work / "epoch_5.pth", options, stack_keypoints([dataset[index] for index in range(16)]))
        for work in (one, two)
    ]
    weights = [state["state_dict"] for state in states]
    furthest = max((weights[0][name] - weights[1][name]).abs().max().item() for name in weights[0])
    print(f"\nloss {losses[0]:.6f} and {losses[1]:.6f}; weights differ by {furthest:.1e}")
    assert abs(losses[0] - losses[1]) < 1e-4
    record = json.loads((two / "run.json").read_text())
    assert [start["processes"] for start in record["starts"]] == [2]


def test_the_run_folder_holds_what_repeats_it(folder, options, first):
    starts = json.loads((first / "run.json").read_text())["starts"]
    assert len(starts) == 1
    start = starts[0]
    assert start["command"] == train_command(first, options, "--epochs", 2)
    assert start["seed"] == 0 and start["resumed_from"] is None and start["processes"] == 1
    assert start["data"] == {
        "train_dataloader.dataset.ann_file": {"file": f"{folder}/a.pkl", "sha256": sha256(folder / "a.pkl")},
        "val_dataloader.dataset.ann_file": {"file": f"{folder}/a.pkl", "sha256": sha256(folder / "a.pkl")},
        "model.cls_head.label_vectors": {"file": f"{folder}/v.npy", "sha256": sha256(folder / "v.npy")},
    }
    assert start["versions"]["torch"] == torch.__version__ and start["machine"]["threads"] == 1
    # The config alone, without the file that it came from, is the whole of what was trained.
    assert start["config"]["train_cfg"]["max_epochs"] == 2
    assert start["config"]["optim_wrapper"]["optimizer"]["lr"] == 0.02
    assert start["config"]["train_dataloader"]["dataset"]["pipeline"][0]["clip_len"] == 16


def small_config(folder, work):
    config = Config.fromfile(ROOT / CONFIG)
    config.work_dir, config.resume, config.load_from = str(work), False, None
    for key in ("train", "val"):
        config[f"{key}_dataloader"].dataset.ann_file = str(folder / "data.pkl")
    config.model.cls_head.label_vectors = np.zeros((2, 2)).tolist()
    return config


def test_resumed_starts_are_added_and_other_data_is_refused(tmp_path):
    (tmp_path / "data.pkl").write_bytes(b"one")
    config, work = small_config(tmp_path, tmp_path / "work"), tmp_path / "work"
    record_start(config, "mine.py")
    config.resume, config.load_from = True, "epoch_1.pth"
    record_start(config, "mine.py")
    starts = json.loads((work / "run.json").read_text())["starts"]
    assert [start["resumed_from"] for start in starts] == [None, "epoch_1.pth"]
    (tmp_path / "data.pkl").write_bytes(b"two")
    with pytest.raises(InputError, match="data.pkl.*not the file that the run was trained with"):
        record_start(config, "mine.py")
    assert len(json.loads((work / "run.json").read_text())["starts"]) == 2
    config.resume = False
    assert record_start(config, "mine.py")["data"]["train_dataloader.dataset.ann_file"]["sha256"] == sha256(
        tmp_path / "data.pkl"
    )
    assert len(json.loads((work / "run.json").read_text())["starts"]) == 1
    (work / "run.json").write_text("{")
    config.resume = True
    with pytest.raises(InputError, match=r"run.json: expected JSON, but .* Delete it"):
        record_start(config, "mine.py")


def test_wrapped_sets_and_stores_are_named(tmp_path):
    config = small_config(tmp_path, tmp_path / "work")
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "store.json").write_text("{}")
    (tmp_path / "weights.pth").write_bytes(b"weights")
    parts = [dict(ann_file="data.pkl", data_root=str(tmp_path)), dict(ann_file=str(tmp_path / "store"))]
    (tmp_path / "data.pkl").write_bytes(b"one")
    config.train_dataloader.dataset = dict(type="RepeatDataset", dataset=dict(type="ConcatDataset", datasets=parts))
    config.load_from = str(tmp_path / "weights.pth")
    data = record_start(config, "mine.py", uses=["train"])["data"]
    place = "train_dataloader.dataset.dataset.datasets"
    assert {key: value["sha256"] for key, value in data.items()} == {
        f"{place}.0.ann_file": sha256(tmp_path / "data.pkl"),
        f"{place}.1.ann_file": sha256(tmp_path / "store" / "store.json"),
        "load_from": sha256(tmp_path / "weights.pth"),
    }


def test_git_state_is_of_the_package_alone(tmp_path):
    def git(*words):
        identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
        command = ["git", "-C", str(tmp_path), *identity, *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").touch()
    assert git_state(package) is None
    git("init")
    assert git_state(package) is None, "an environment in somebody's checkout is not the package's checkout"
    git("add", "package/__init__.py")
    git("commit", "-m", "one")
    (tmp_path / "notes").touch()
    assert git_state(package) == {"commit": git("rev-parse", "HEAD"), "dirty": False}
    (package / "__init__.py").write_text("x = 1")
    assert git_state(package) == {"commit": git("rev-parse", "HEAD"), "dirty": True}


def test_a_run_without_a_seed_gets_one_that_can_be_named(options):
    given = dict(option.split("=") for option in options[:2])
    seeds = {
        load_config(CONFIG, uses=["train"], options={**given, "randomness.seed": None}).randomness.seed
        for _ in range(3)
    }
    assert len(seeds) == 3 and all(0 <= seed < 2**31 for seed in seeds)


def test_no_workers_are_possible(options):
    config = load_config(CONFIG, uses=[], options={"train_dataloader.num_workers": 0, "val_dataloader.num_workers": 1})
    assert not config.train_dataloader.persistent_workers and config.val_dataloader.persistent_workers
    assert host.SeedHook.__name__ in str(config.default_hooks)
