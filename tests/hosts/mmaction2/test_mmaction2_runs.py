"""Real runs: our tools and the host's own, one process and two, from annotation file to fused scores."""

import os
import pickle
import re
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from helpers import ROOT
from pyskl_semloss.annotations import AnnotationSet, write_annotations
from pyskl_semloss.evaluation.scores import Scores, read_scores
from pyskl_semloss.hosts.checkpoints import read_state_dict
from pyskl_semloss.synthetic.clips import generate

pytest.importorskip("mmaction")
import mmaction  # noqa: E402

import pyskl_semloss.hosts.mmaction2  # noqa: E402, F401

HOST = Path(mmaction.__file__).parent
HOST_TOOLS = HOST / ".mim" / "tools" if (HOST / ".mim").is_dir() else HOST.parent / "tools"


def free_port():
    """A port that no other run on this machine listens on."""
    with socket.socket() as listener:
        listener.bind(("", 0))
        return str(listener.getsockname()[1])


def run(*command, code=0, **environment):
    """Run a command as a user would; returns its output."""
    env = {**os.environ, "PYTHON": sys.executable, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore", **environment}
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, env=env, timeout=600, cwd=ROOT
    )
    assert done.returncode == code, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A small synthetic set, label vectors, and the overrides that point the config at them."""
    folder = tmp_path_factory.mktemp("runs")
    full = generate(80, seed=1, subjects=8)
    ids = [clip.frame_dir for clip in full.clips]
    write_annotations(
        folder / "a.pkl", AnnotationSet({"train": ids[:33], "val": ids[33:50], "test": ids[50:]}, full.clips)
    )
    run(sys.executable, "tools/build_label_vectors.py", "--labels", "data/imigue_labels.txt", "--vectors", "hash:20:0",
        "--out", folder / "v.npz")  # fmt: skip
    return folder


CONFIG = "configs/mmaction2/synthetic/joint.py"


def overrides(folder):
    return [
        "--cfg-options",
        *(f"{key}_dataloader.dataset.ann_file={folder}/a.pkl" for key in ("train", "val", "test")),
        f"model.cls_head.label_vectors={folder}/v.npz",
        "default_hooks.logger.interval=1",
        "train_cfg.val_begin=1",
        "train_cfg.val_interval=1",
    ]


@pytest.fixture(scope="module")
def trained(folder):
    """A model trained for one epoch by our tool, and what the tool printed."""
    work = folder / "ours"
    out = run(sys.executable, "tools/train.py", CONFIG, "--epochs", 1, "--work-dir", work, *overrides(folder))
    return work, out


def log_of(work):
    """The log of the latest run in a folder."""
    return max(work.glob("2*_*/*.log")).read_text()


def test_training_shows_both_terms_and_says_how_to_go_on(trained):
    work, out = trained
    log = log_of(work)
    assert "loss_cls:" in log and "loss_emb:" in log and "emb_mse:" in log and "eta:" in log
    assert "acc/top1:" in log and "acc/nearest_name_top1:" in log
    # The config that the run wrote has the options.
    assert f"python tools/test.py {work}/joint.py {work}/epoch_1.pth" in out and (work / "joint.py").is_file()
    # 16 clips a step where the rate is given for 32.
    assert "Scaling the original LR by 0.5" in log


def test_our_test_tool_and_the_hosts_give_the_same_scores(folder, trained):
    work, _ = trained
    out = run(sys.executable, "tools/test.py", CONFIG, work / "epoch_1.pth", "--work-dir", work, *overrides(folder))
    assert "Top-1" in out and "mean-class" in out and str(work / "test_scores.npz") in out
    ours = Scores.load(work / "test_scores.npz")
    with open(folder / "a.pkl", "rb") as stream:
        content = pickle.load(stream)
    labels = {entry["frame_dir"]: entry["label"] for entry in content["annotations"]}
    assert sorted(ours.sample_id) == sorted(content["split"]["test"])
    assert [labels[name] for name in ours.sample_id] == ours.label.tolist()
    np.testing.assert_allclose(ours.score.sum(1), 1, atol=1e-5)
    assert ours.semantic_cosine.shape == ours.semantic_distance.shape == ours.score.shape

    dump = folder / "dump.pkl"
    run(sys.executable, HOST_TOOLS / "test.py", CONFIG, work / "epoch_1.pth", "--work-dir", folder / "host", "--dump",
        dump, *overrides(folder))  # fmt: skip
    theirs = read_scores(dump, folder / "a.pkl", "test")
    place = {name: row for row, name in enumerate(theirs.sample_id)}
    np.testing.assert_allclose(theirs.score[[place[name] for name in ours.sample_id]], ours.score, atol=1e-6)

    fused = run(sys.executable, "tools/fuse_scores.py", work / "test_scores.npz", dump, "--weights", 2, 3, "--ann-file",
                folder / "a.pkl", "--split", "test", "--out", folder / "fused.npz")  # fmt: skip
    assert "Top-1" in fused
    np.testing.assert_allclose(Scores.load(folder / "fused.npz").score, ours.score, atol=1e-6)


def test_a_test_prints_both_results_and_on_a_validation_split_their_best_weights(folder, trained):
    work, _ = trained
    command = [
        sys.executable,
        "tools/test.py",
        CONFIG,
        work / "epoch_1.pth",
        "--work-dir",
        work,
        "--out",
        work / "v.npz",
    ]
    out = run(*command, *overrides(folder), "test_dataloader.dataset.split=val").splitlines()
    scores = Scores.load(work / "v.npz")
    near = np.exp(scores.semantic_cosine.astype(float) / 0.1)
    near /= near.sum(1, keepdims=True)
    for kind, table in (("classifier", scores.score), ("name", near)):
        hit = table.argmax(1) == scores.label
        fifth = (np.argsort(-table, 1, kind="stable")[:, :5] == scores.label[:, None]).any(1)
        recall = np.mean([hit[scores.label == each].mean() for each in np.unique(scores.label)])
        line = next(line for line in out if f"{kind} " in line and line.split()[-1] == str(len(hit)))
        assert line.split()[-5:-2] == [f"{100 * value:.2f}" for value in (hit.mean(), fifth.mean(), recall)]
    right = [((1 - w) * scores.score + w * near).argmax(1) == scores.label for w in np.linspace(0, 1, 21)]
    best = 100 * max(hit.mean() for hit in right)
    assert any(f"Top-1 {best:.2f}, the classifier alone {100 * right[0].mean():.2f}." in line for line in out)
    typed = out[-1].split()
    assert typed[-3:] == ["--search-on", str(work / "v.npz"), f"{work / 'v.npz'}:semantic"]


def test_the_hosts_training_tool_runs_our_config(folder):
    work = folder / "host_train"
    options = [*overrides(folder), "train_cfg.max_epochs=1"]
    run(sys.executable, HOST_TOOLS / "train.py", CONFIG, "--work-dir", work, *options)
    assert (work / "epoch_1.pth").is_file()


def test_resume_goes_on_from_the_last_checkpoint(folder, trained):
    work, _ = trained
    out = run(
        sys.executable, "tools/train.py", CONFIG, "--epochs", 2, "--work-dir", work, "--resume", *overrides(folder)
    )
    log = log_of(work).replace("  ", " ")
    assert "resumed epoch: 1" in out and "Epoch(train) [2][" in log and "Epoch(train) [1][" not in log
    assert "epoch 2/2" in out and "epoch 1/2" not in out


def test_the_best_result_so_far_stands_in_each_line_of_the_training(folder, tmp_path):
    out = run(sys.executable, "tools/train.py", CONFIG, "--epochs", 4, "--work-dir", tmp_path, *overrides(folder))
    log = log_of(tmp_path)
    validated = [float(value) for value in re.findall(r"Epoch\(val\).*acc/top1: ([0-9.]+)", log)]
    shown = [
        (int(epoch), float(value)) for epoch, value in re.findall(r"Epoch\(train\) +\[(\d+)\].*best_val: (\S+)", log)
    ]
    assert len(validated) == 4 and {epoch for epoch, _ in shown} == {2, 3, 4}
    on_screen = [float(value) for value in re.findall(r"epoch \d/4 .*best acc/top1 (\S+)", out)]
    assert on_screen == [max(validated[:epoch]) for epoch in (1, 2, 3, 4)]
    assert all(value == max(validated[: epoch - 1]) for epoch, value in shown)
    # It goes on where the run is resumed from the third checkpoint.
    (tmp_path / "last_checkpoint").write_text("epoch_3.pth")
    run(sys.executable, "tools/train.py", CONFIG, "--epochs", 4, "--work-dir", tmp_path, "--resume",
        *overrides(folder))  # fmt: skip
    again = re.findall(r"Epoch\(train\) +\[(\d+)\].*best_val: (\S+)", log_of(tmp_path))
    assert [(int(epoch), float(value)) for epoch, value in again] == [line for line in shown if line[0] == 4]


def test_two_processes_train_and_test_every_clip_once(folder, trained):
    work = folder / "two"
    out = run(
        "bash", "tools/dist_train.sh", CONFIG, 2, "--epochs", 1, "--work-dir", work, *overrides(folder),
        PORT=free_port(),
    )  # fmt: skip
    assert "Scaling the original LR by 1.0" in log_of(work), "two processes of 16 clips: the rate is given for 32"
    assert len(re.findall("^epoch 1/1 ", out, re.M)) == 1, "the first process alone writes"
    single = run(sys.executable, "tools/test.py", CONFIG, work / "epoch_1.pth", "--work-dir", work, "--out",
                 work / "one.npz", *overrides(folder))  # fmt: skip
    run("bash", "tools/dist_test.sh", CONFIG, work / "epoch_1.pth", 2, "--work-dir", work, "--out", work / "two.npz",
        *overrides(folder), PORT=free_port())  # fmt: skip
    one, two = Scores.load(work / "one.npz"), Scores.load(work / "two.npz")
    assert sorted(one.sample_id) == sorted(two.sample_id) and len(two.sample_id) == 30
    place = {name: row for row, name in enumerate(two.sample_id)}
    np.testing.assert_allclose(two.score[[place[name] for name in one.sample_id]], one.score, atol=1e-5)
    assert "Top-1" in single


def test_an_mmengine_checkpoint_converts_without_mmengine(folder, trained):
    work, _ = trained
    code = (
        "import sys; sys.modules['mmengine'] = None; from pyskl_semloss.hosts.checkpoints import convert_checkpoint; "
        f"print(len(convert_checkpoint({str(work / 'epoch_1.pth')!r}, {str(folder / 'c.pth')!r}, to='release')))"
    )
    ours = read_state_dict(work / "epoch_1.pth")
    # Reading once must not take away what the host's own loading needs.
    assert torch.load(work / "epoch_1.pth", weights_only=True)["message_hub"]
    assert int(run(sys.executable, "-c", code)) == len(ours) - 1
    theirs = read_state_dict(folder / "c.pth")
    assert torch.equal(theirs["cls_head.emb_fc.weight"], ours["cls_head.semantic_branch.fc.weight"])


def test_wrong_input_is_one_sentence(folder, trained):
    work, _ = trained
    out = run(sys.executable, "tools/train.py", "configs/mmaction2/imigue/joint.py", code=2)
    assert out.count("\n") == 1 and out.startswith("error: configs/mmaction2/imigue/joint.py: field 'train_dataloader")
    out = run(sys.executable, "tools/test.py", CONFIG, work / "nowhere.pth", code=2)
    assert out.startswith("error: ") and "no such checkpoint" in out
