"""A sweep by tools/sweep.py on MMAction2, killed in training and gone on with."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from helpers import ROOT
from pyskl_semloss.semantic.label_vectors import LabelVectors, build_label_vectors

CONFIG = "configs/mmaction2/synthetic/joint.py"


def tool(*arguments, code=0):
    """tools/sweep.py as a user calls it."""
    done = subprocess.run([sys.executable, "tools/sweep.py", *map(str, arguments)], capture_output=True, text=True,
                          cwd=ROOT, env=environment(), timeout=600)  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def environment():
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore", "PYTHONPATH": path}


def works_in(folder):
    """Whether a process, by its file of the command line, names the folder."""

    def names_it(cmdline):
        with contextlib.suppress(OSError):
            return os.fsencode(folder) in cmdline.read_bytes()
        return False

    return names_it


def test_a_real_sweep_is_killed_in_training_goes_on_and_is_skipped(tmp_path):
    pytest.importorskip("mmaction")
    from pyskl_semloss.annotations import AnnotationSet, write_annotations
    from pyskl_semloss.synthetic.clips import generate

    clips = generate(40, seed=1, subjects=4).clips
    ids = [clip.frame_dir for clip in clips]
    write_annotations(
        tmp_path / "a.pkl", AnnotationSet({"train": ids[:24], "val": ids[24:32], "test": ids[32:]}, clips)
    )
    names = (ROOT / "data" / "imigue_labels.txt").read_text().split("\n")[:32]
    build_label_vectors(names, "hash:8:0").save(tmp_path / "v.npz")
    out = tmp_path / "out"
    options = [CONFIG, "--alpha", 2, "--seeds", 0, "--vectors", "shuffled", "--epochs", 2, "--out", out,
               "--cfg-options",
               *(f"{key}_dataloader.dataset.ann_file={tmp_path}/a.pkl" for key in ("train", "val", "test")),
               f"model.cls_head.label_vectors={tmp_path}/v.npz"]  # fmt: skip
    folder = out / "alpha2_shuffled_seed0_joint"
    first = subprocess.Popen([sys.executable, "tools/sweep.py", *map(str, options)], cwd=ROOT, env=environment(),
                             start_new_session=True, stdout=subprocess.DEVNULL)  # fmt: skip
    try:
        deadline = time.monotonic() + 600
        while not (folder / "last_checkpoint").exists() and first.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
    finally:
        os.killpg(first.pid, signal.SIGKILL)
        first.wait()
    # The training hears of the end of what started it, and ends, too.
    while time.monotonic() < deadline and any(map(works_in(folder), Path("/proc").glob("[0-9]*/cmdline"))):
        time.sleep(0.1)
    assert (folder / "epoch_1.pth").is_file() and not (folder / "done.json").exists()
    assert "cut off" in tool(*options, "--dry-run")
    said = tool(*options)
    log = (folder / "sweep.log").read_text()
    assert "going on" in said and "| joint | shuffled | 2 | 1 |" in said and "Wrote table.md" in said
    assert log.count("$ ") == 3 and "resumed epoch: 1" in log
    done = json.loads((folder / "done.json").read_text())
    assert done["checkpoint"] == "epoch_2.pth" and done["clips"] == 8
    given, used = LabelVectors.load(tmp_path / "v.npz"), LabelVectors.load(out / "label_vectors/shuffled_seed0.npz")
    order = used.notes["vector_of_class"]
    assert (used.vectors == given.vectors[order]).all()
    assert "shuffled_seed0.npz" in log

    assert "1 runs, 1 finished before" in tool(*options) and (folder / "sweep.log").read_text() == log
    (out / "table.md").unlink()
    assert "| joint | shuffled |" in tool("--out", out, "--table-only") and (out / "table.md").is_file()
    assert "train_dataloader.batch_size 16 there, 8 now" in tool(*options, "train_dataloader.batch_size=8", code=2)
    assert "epochs 2 there, 3 now" in tool(*options[:8], 3, *options[9:], code=2)
