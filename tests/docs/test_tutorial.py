"""The tutorial, typed from top to bottom with less of everything, in the environment that it asks for."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from helpers import ROOT
from helpers.portrait import write_portrait_video
from pyskl_semloss.annotations import read_annotations
from pyskl_semloss.errors import InputError
from pyskl_semloss.evaluation.scores import Scores
from pyskl_semloss.io.results import RECORD
from pyskl_semloss.recordings.recording import read_recording
from pyskl_semloss.segments.reading import read_segments
from pyskl_semloss.synthetic.example_study import GESTURES, write_example_study
from pyskl_semloss.video import open_video

LESS = {
    "prepare_data.py example data/study": "prepare_data.py example data/study --persons 4 --gestures 6",
    "max_epochs=20, val_begin=10, val_interval=10": "max_epochs=1",
    "epoch_20": "epoch_1",
    "videos/*.mp4 --out data/study/recordings": "new_interview.mp4 --out poses --layout coco17",
}


def blocks():
    """The commands of each block but those that set the environment up, and that start the app."""
    text = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
    found = re.findall(r"^```(?:bash|)\n(.*?)^```$", text, re.M | re.S)
    assert "pip install" in found[0]
    commands = [one for one in found[1:] if "python" in one or "configs" in one]
    return [one for one in commands if "app.py" not in one]


def test_the_tutorial_from_top_to_bottom(tmp_path):
    pytest.importorskip("mediapipe", reason="needs MediaPipe")
    pytest.importorskip("mmaction", reason="needs MMAction2")
    for name in ("configs", "tools", "data"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("study", "__pycache__"))
    write_portrait_video(tmp_path / "new_interview.mp4", 30)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"}
    said = ""
    for body in blocks():
        for much, little in LESS.items():
            body = body.replace(much, little)
        command = ["bash", "-euo", "pipefail", "-c", body]
        done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, body + done.stdout[-2000:] + done.stderr[-2000:]
        said += done.stdout
    assert re.search(r"^\d+ of 6 annotated segments found, \d+ of \d+ false\nF1 \d\.\d{3}, ", said, re.M)
    tested = re.search(r"Wrote \d+ clips \(train \d+, val \d+, test (\d+)\) to data/study/annotations.pkl", said)
    fused = Scores.load(tmp_path / "work_dirs/study/fused.npz")
    assert fused.score.shape == (int(tested[1]), 7)
    length = read_recording(tmp_path / "data/study/new/interview.npz").frames
    for name, frames in (("interview", length), ("new_interview", 30)):
        assert open_video(tmp_path / f"predictions/{name}_overlay.mp4").claimed == frames
        found = [read_segments(tmp_path / f"predictions/{name}.{kind}").segments for kind in ("csv", "eaf")]
        assert [one.name for one in found[0]] == [one.name for one in found[1]]
        assert (tmp_path / f"predictions/{name}.vtt").read_text(encoding="utf-8").startswith("WEBVTT")
    assert (tmp_path / "work_dirs/study/report/index.html").stat().st_size > 100_000
    assert (tmp_path / "data/study/clip.gif").read_bytes()[:3] == b"GIF"
    assert (tmp_path / "poses/new_interview_overlay.mp4").is_file()


def test_the_example_is_what_own_keypoints_are_read_from(tmp_path):
    write_example_study(tmp_path / "one", persons=3, gestures=7)
    write_example_study(tmp_path / "two", persons=3, gestures=7)
    files = sorted(
        path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*.*") if path.name != RECORD
    )
    assert [str(path) for path in files] == [
        "labels.csv", "names.txt", "new/interview.npz", "new/truth.csv",
        "recordings/interview_01.npz", "recordings/interview_02.npz", "recordings/interview_03.npz",
    ]  # fmt: skip
    for path in files:
        assert (tmp_path / "one" / path).read_bytes() == (tmp_path / "two" / path).read_bytes(), path
    command = [sys.executable, str(ROOT / "tools/prepare_data.py"), "keypoints", "one/recordings", "one.pkl"]
    command += ["--labels", "one/labels.csv", "--class-names", "one/names.txt"]
    subprocess.run(command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True, capture_output=True)
    clips = read_annotations(tmp_path / "one.pkl")[0].clips
    assert len(clips) > 21 and {clip.label for clip in clips} == set(range(7))
    assert sum(clip.label < 6 for clip in clips) == 21
    # A clip is what the table says of its recording.
    row = (tmp_path / "one/labels.csv").read_text().splitlines()[1].split(",")
    clip, recording = clips[0], read_recording(tmp_path / "one/recordings/interview_01.npz")
    start, end = (round(float(second) * 25) for second in row[1:3])
    assert row[0] == "interview_01" and GESTURES[clip.label] == row[3]
    assert abs(clip.keypoint.shape[1] - (end - start)) <= 1
    first = recording.keypoint[0, start : start + 2]
    assert any((clip.keypoint[0, 0] == frame).all() for frame in first)
    with pytest.raises(InputError, match="field 'persons': expected at least 3, got 2"):
        write_example_study(tmp_path / "three", persons=2)
