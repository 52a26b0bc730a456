"""Classes held out by tools/unseen.py on MMAction2: what is trained, tested and written, and that it goes on."""

import csv
import json
import os
import subprocess
import sys

import numpy as np
import pytest

from helpers import ROOT
from helpers.tiny_runs import write_run
from pyskl_semloss.evaluation.scores import Scores
from pyskl_semloss.semantic.label_vectors import LabelVectors
from pyskl_semloss.sweep.unseen_table import fold_numbers

pytest.importorskip("mmaction")


def tool(*arguments, code=0):
    """tools/unseen.py as a user calls it."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore", "PYTHONPATH": path}
    done = subprocess.run([sys.executable, "tools/unseen.py", *map(str, arguments)], capture_output=True, text=True,
                          cwd=ROOT, env=env, timeout=900)  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_two_folds_are_trained_without_their_classes_tested_and_skipped(tmp_path):
    from pyskl_semloss.annotations import AnnotationSet, read_annotations, write_annotations
    from pyskl_semloss.hosts.checkpoints import read_checkpoint
    from pyskl_semloss.hosts.mmaction2.prediction.trained_model import load_model

    config = write_run(tmp_path, steps=28, epochs=1)
    clips = read_annotations(tmp_path / "clips.pkl")[0].clips
    ids = [clip.frame_dir for clip in clips]
    # Each class has training clips, and five have test clips.
    write_annotations(tmp_path / "clips.pkl", AnnotationSet({"train": ids, "val": ids[:6], "test": ids[:6]}, clips))
    out = tmp_path / "out"
    words = [config, "--hold-out", 2, "--folds", 2, "--vectors", "given", "--transform", "centred", "--out", out,
             "--alpha", 1, "--cfg-options", "model.cls_head.loss=contrastive"]  # fmt: skip
    said = tool(*words)
    names = LabelVectors.load(tmp_path / "vectors.npz").class_names
    folders = sorted(path.parent for path in out.glob("*/done.json"))
    assert [folder.name for folder in folders] == ["fold0_given_seed0_config", "fold1_given_seed1_config"]
    numbers = []
    for place, folder in enumerate(folders):
        done = json.loads((folder / "done.json").read_text())
        unseen = done["unseen"]
        assert f"fold {place} holds out: {', '.join(names[label] for label in unseen)}" in said
        labels = [clip.label for clip in read_annotations(tmp_path / "clips.pkl", split="train")[0].clips]
        kept = sum(label not in unseen for label in labels)
        log = (folder / "sweep.log").read_text()
        steps = -(-kept // 2)
        assert kept < len(labels) == 64
        # Training and test have a log each.
        assert any(f"Epoch(train) [1][{steps}/{steps}]" in path.read_text() for path in folder.glob("*/*.log"))
        assert f"only_classes=[{','.join(str(label) for label in range(32) if label not in unseen)}]" in log
        scores = Scores.load(folder / "test_scores.npz")
        assert set(unseen) <= set(scores.label.tolist()) and scores.semantic_cosine.shape[1] == 32
        numbers.append(fold_numbers(scores, unseen))
        vectors = load_model(folder / "epoch_1.pth", "cpu").label_vectors
        np.testing.assert_allclose(np.delete(vectors, unseen, axis=0).sum(0), 0, atol=1e-5)
        meta = read_checkpoint(folder / "epoch_1.pth")["meta"]["dataset_meta"]
        assert meta["label_vectors"]["notes"]["fitted_without"] == unseen
    assert not set(json.loads((folders[0] / "done.json").read_text())["unseen"]) & set(unseen)
    rows = list(csv.DictReader((out / "table.csv").read_text().splitlines()))
    assert [float(rows[place]["unseen"]) for place in (0, 1)]
    for row, expected in zip(rows, numbers, strict=False):
        assert float(row["zero_shot"]) == expected["zero_shot"] and float(row["seen"]) == expected["seen"]
    assert "| config | given | 1 | 2 |" in said and "what unseen classes are taken for" in said

    assert "2 runs, 2 finished before" in tool(*words)
    (out / "table.md").unlink()
    assert "| config | given |" in tool("--out", out, "--table-only", "--seen-bias", 0.5)
    words[2] = 3
    assert "unseen" in tool(*words, code=2)
    words[2] = 32
    assert "--hold-out" in tool(*words, code=2)
    baseline = ROOT / "configs/mmaction2/synthetic/joint_baseline.py"
    assert "no semantic branch" in tool(baseline, "--out", out, code=2)
