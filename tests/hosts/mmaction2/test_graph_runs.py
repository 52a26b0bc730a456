"""Graph networks by the real tools on MMAction2: the paper's comparison, repetition and resumption."""

import json
import os
import shutil
import subprocess
import sys

import pytest
import torch

from helpers import ROOT
from pyskl_semloss.annotations import write_annotations
from pyskl_semloss.evaluation.metrics import all_metrics
from pyskl_semloss.evaluation.scores import Scores
from pyskl_semloss.hosts.checkpoints import read_state_dict
from pyskl_semloss.synthetic.clips import generate

pytest.importorskip("mmaction")

CONFIG = """
_base_ = "pyskl_semloss::mmaction2/imigue/{base}.py"
model = dict(backbone=dict(base_channels=8, num_stages=3, inflate_stages=[2], down_stages=[2]),
             cls_head=dict(in_channels=16))
train_dataloader = dict(num_workers=0, persistent_workers=False, dataset=dict(ann_file="{folder}/clips.pkl"))
val_dataloader = dict(num_workers=0, persistent_workers=False, dataset=dict(ann_file="{folder}/clips.pkl"))
test_dataloader = dict(num_workers=0, persistent_workers=False, dataset=dict(ann_file="{folder}/clips.pkl"))
"""


def tool(*arguments, code=0, name="table3"):
    """A script of tools/ as a user calls it."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore", "PYTHONPATH": path}
    done = subprocess.run([sys.executable, f"tools/{name}.py", *map(str, arguments)], capture_output=True, text=True,
                          cwd=ROOT, env=env, timeout=900)  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def folder(tmp_path):
    """Configs of small networks, in a folder that is called as the data set, and their clips."""
    folder = tmp_path / "imigue"
    folder.mkdir()
    write_annotations(folder / "clips.pkl", generate(40, seed=1, subjects=5))
    for name in ("stgcnpp", "ctrgcn", "dgstgcn"):
        (folder / f"{name}.py").write_text(CONFIG.format(base=name, folder=folder))
    return folder


def test_two_methods_and_the_published_graph_stand_in_one_table(folder, tmp_path):
    words = [folder, "--methods", "stgcnpp", "ctrgcn", "--seeds", 0, "--epochs", 1, "--out", tmp_path / "out"]
    plan = tool(*words, "--dry-run")
    assert plan.count(": new") == 2 and not (tmp_path / "out").exists()
    tool(*words)
    said = tool(folder, "--methods", "stgcnpp", "--inputs", "bone", "--release-graph", *words[4:])
    assert said.count("after") == 1 and "2 finished" not in said
    rows = json.loads((tmp_path / "out" / "table.json").read_text())["rows"]
    assert [(row["model"], row["input"]) for row in rows] == [
        ("stgcnpp", "joint"), ("stgcnpp_published_graph", "bone"), ("ctrgcn", "joint"),
    ]  # fmt: skip
    for row in rows:
        run = tmp_path / "out" / f"{row['input']}_seed0_{row['model']}"
        numbers = all_metrics(Scores.load(run / "test_scores.npz"))
        assert row["metrics"]["top1"] == [numbers["top1"]] and row["epochs"] == 1 and row["weights"] > 1000
        streams = json.loads((run / "settings.json").read_text())["config"]["train_dataloader"]["dataset"]
        wrong = "published" in row["model"]
        assert streams["skeleton"] == ("release22_with_mistakes" if wrong else "openpose22")
        assert f"stream={row['input']}" in (run / "sweep.log").read_text()
    assert rows[0]["published"] == [49.56, 85.09] and rows[1]["published"] is None
    again = tool(*words)
    assert "2 runs, 2 finished before" in again and "started" not in again and "| ST-GCN++ | joint | 1 |" in again
    said = tool(*words[:-4], "--epochs", 2, "--out", tmp_path / "out", code=2)
    assert "config.epochs 1 there, 2 now" in said


def test_training_repeats_and_resumes_bit_for_bit(folder, tmp_path):
    """DG-STGCN draws its graph from numpy's generator, and its augmentation from each clip's own."""

    def train(out, *more):
        tool(folder / "dgstgcn.py", "--epochs", 2, "--seed", 3, "--work-dir", out, *more, name="train")
        return read_state_dict(out / "epoch_2.pth")

    whole, again = train(tmp_path / "a"), train(tmp_path / "b")
    (tmp_path / "c").mkdir()
    shutil.copy(tmp_path / "a" / "epoch_1.pth", tmp_path / "c")
    resumed = train(tmp_path / "c", "--resume", tmp_path / "c" / "epoch_1.pth")
    first = read_state_dict(tmp_path / "a" / "epoch_1.pth")
    assert len(whole) > 50 and not all(torch.equal(whole[name], first[name]) for name in whole)
    for name, value in whole.items():
        assert torch.equal(value, again[name]) and torch.equal(value, resumed[name]), name
