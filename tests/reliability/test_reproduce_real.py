"""tools/reproduce.sh with the real tools, from raw files to the submission: killed, gone on with, repeated."""

import os
import signal
import subprocess
import sys
import time
import zipfile

import pytest

from helpers import ROOT
from helpers.raw_formats import imigue_clips, write_imigue_raw
from pyskl_semloss.evaluation.scores import Scores

SCRIPT = ROOT / "tools" / "reproduce.sh"

CONFIG = """
_base_ = {base!r}
frames = dict(type="SampleKeypointFrames", clip_len=8)
crop = [
    dict(type="CompactKeypoints", hw_ratio=1.0, allow_imgpad=True),
    dict(type="ResizeKeypoints", scale=(16, 16), keep_ratio=False),
]
test_frames = dict(frames, test_mode=True)
loader = dict(batch_size=8, num_workers=0, persistent_workers=False)
train_dataloader = dict(loader, dataset=dict(pipeline=[frames, *crop, dict(type="PackKeypoints")]))
val_dataloader = dict(loader, dataset=dict(pipeline=[test_frames, *crop, dict(type="PackKeypoints")]))
test_dataloader = dict(
    loader, dataset=dict(pipeline=[test_frames, *crop, dict(type="PackKeypoints", mirrored_views=True)])
)
model = dict(backbone=dict(base_channels=8, stage_blocks=(1, 1, 1)), cls_head=dict(in_channels=128))
"""


@pytest.fixture
def small(tmp_path):
    """iMiGUE's raw form of a few synthetic clips, a video each, and configs of a small model on small maps."""
    pytest.importorskip("mmaction")
    videos = {}
    for number, clip in enumerate(imigue_clips(36, seed=1)):
        videos[f"{('train', 'val', 'test')[number // 16]}/{number:04}"] = [clip]
    write_imigue_raw(tmp_path / "src", videos)
    (tmp_path / "configs").mkdir()
    for modality in ("joint", "limb"):
        base = str(ROOT / "configs/mmaction2/imigue" / f"{modality}.py")
        (tmp_path / "configs" / f"{modality}.py").write_text(CONFIG.format(base=base))
    return tmp_path


def start(folder, *options):
    """Start a run in a process group of its own, so that it can be killed whole."""
    return subprocess.Popen(
        ["bash", SCRIPT, "imigue", "src", "--gpus", "0", "--vectors", "hash:20", "--config-dir", "configs",
         "--work-dir", "out", *options, "--", "--epochs", "3"],
        cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
        env={**os.environ, "PYTHON": sys.executable, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip


def test_a_real_run_is_killed_gone_on_with_and_repeated(small):
    out, ids = small / "out", small / "ids.txt"
    first = start(small)
    while first.poll() is None and not (out / "joint" / "last_checkpoint").is_file():
        time.sleep(0.01)
    assert first.poll() is None, first.communicate()[0][-3000:]
    second = start(small)
    assert "another process works in it" in second.communicate(timeout=600)[0] and second.returncode == 2
    os.killpg(first.pid, signal.SIGKILL)
    printed = first.communicate()[0]
    assert first.returncode == -signal.SIGKILL, printed[-3000:]
    assert not (out / "joint" / "test_scores.npz").exists()

    official = [f"{number:04}_0" for number in reversed(range(32, 36))]
    ids.write_text("\n".join(official))
    run = start(small, "--ids", "ids.txt")
    printed = run.communicate(timeout=600)[0]
    assert run.returncode == 0, printed[-3000:]
    assert printed.count("finished before, skipped") == 2 and "resumed epoch: " in printed
    assert printed.count("fusion  ") == 1 and f"ids of {ids}, in their order." in printed
    with zipfile.ZipFile(out / "fusion" / "Submission.zip") as archive:
        lines = archive.read("Submission.csv").decode().splitlines()
    assert [line.split(",")[0] for line in lines] == official
    scores = Scores.load(out / "fusion" / "test_scores.npz")
    predicted = dict(zip(scores.sample_id.tolist(), scores.score.argmax(1).tolist(), strict=True))
    assert lines == [f"{one},{predicted[one]}" for one in official]

    again = start(small, "--ids", "ids.txt")
    printed = again.communicate(timeout=600)[0]
    assert again.returncode == 0 and printed.count("finished before, skipped") == 7

    ids.write_text("\n".join([*official, "0099_0"]))
    refused = start(small, "--ids", "ids.txt")
    printed = refused.communicate(timeout=600)[0]
    assert refused.returncode == 2 and "1 missing: '0099_0'" in printed and "(the official ids)" in printed
