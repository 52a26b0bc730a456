"""The paper's comparison by tools/table3.py on MMAction2: trained, tested, tabled, and skipped when it is finished."""

import json
import os
import subprocess
import sys

import pytest

from helpers import ROOT
from pyskl_semloss.annotations import write_annotations
from pyskl_semloss.evaluation.metrics import all_metrics
from pyskl_semloss.evaluation.scores import Scores
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


def tool(*arguments, code=0):
    """tools/table3.py as a user calls it."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore", "PYTHONPATH": path}
    done = subprocess.run([sys.executable, "tools/table3.py", *map(str, arguments)], capture_output=True, text=True,
                          cwd=ROOT, env=env, timeout=900)  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_two_methods_and_the_published_graph_stand_in_one_table(tmp_path):
    folder = tmp_path / "imigue"
    folder.mkdir()
    write_annotations(folder / "clips.pkl", generate(40, seed=1, subjects=5))
    for name in ("stgcnpp", "ctrgcn"):
        (folder / f"{name}.py").write_text(CONFIG.format(base=name, folder=folder))
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
