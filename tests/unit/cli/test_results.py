"""What a person changed, or made, is never replaced, unless it is asked for; our own results are, as ever."""

import json
import os
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest

from helpers import ROOT
from helpers.own_keypoint_files import body, write_csv
from pyskl_semloss.annotations import write_annotations
from pyskl_semloss.errors import InputError
from pyskl_semloss.io.results import OVERWRITE, RECORD, guarded, is_replaceable, refuse_changed, result_file
from pyskl_semloss.segments.files import WRITERS, write_segments
from pyskl_semloss.segments.segment import Segment, Segmentation
from pyskl_semloss.synthetic.clips import generate

CHANGED = "it is not as this program wrote it: somebody changed it, or made it otherwise"


@pytest.fixture(autouse=True)
def not_asked_for(monkeypatch):
    monkeypatch.delenv(OVERWRITE, raising=False)


def write(path, text):
    with result_file(path, "w", encoding="utf-8", newline="") as stream:
        stream.write(text)


def tool(*words, cwd, status=0):
    env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(ROOT / "tools" / f"{words[0]}.py"), *map(str, words[1:])]
    done = subprocess.run(command, capture_output=True, text=True, env=env, cwd=cwd, timeout=600)
    assert done.returncode == status, done.stderr
    return done.stdout + done.stderr


def test_ours_is_replaced_and_what_was_changed_is_kept(tmp_path):
    path = tmp_path / "talk.csv"
    for text in ("one", "two", "one", "one"):
        write(path, text)
        assert path.read_text() == text
    path.write_text("one, corrected")
    for text in ("one", "three"):
        with pytest.raises(InputError) as error:
            write(path, text)
        assert error.value.problem == CHANGED and error.value.file == path and "--overwrite" in str(error.value)
        assert path.read_text() == "one, corrected"
    assert sorted(each.name for each in tmp_path.iterdir()) == [RECORD, "talk.csv"]
    # As it would be anyway.
    write(path, "one, corrected")
    # Taken back, by an editor that made another file of it.
    path.unlink()
    path.write_text("two")
    write(path, "four")
    # An empty file of mktemp is nobody's work.
    (tmp_path / "new").touch()
    write(tmp_path / "new", "five")
    assert path.read_text() == "four" and (tmp_path / "new").read_text() == "five"


def test_what_somebody_else_made_is_kept(tmp_path, monkeypatch):
    path = tmp_path / "mine.csv"
    path.write_text("mine")
    with pytest.raises(InputError, match="mine.csv: it is not as this program wrote it"):
        write(path, "ours")
    # A checksum of another name, or in another folder, is of another file.
    write(tmp_path / "other.csv", "mine")
    assert not is_replaceable(path)
    monkeypatch.setenv(OVERWRITE, "1")
    write(path, "ours")
    monkeypatch.delenv(OVERWRITE)
    write(path, "ours, again")
    assert path.read_text() == "ours, again"


def test_a_folder_that_is_moved_or_copied_is_still_ours(tmp_path):
    write(tmp_path / "a" / "talk.csv", "one")
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    (tmp_path / "a").rename(tmp_path / "c")
    for folder in ("b", "c"):
        write(tmp_path / folder / "talk.csv", "two")


def test_a_link_is_replaced_where_what_is_behind_it_is_ours(tmp_path):
    write(tmp_path / "real", "one")
    (tmp_path / "link").symlink_to("real")
    assert not is_replaceable(tmp_path / "link")
    (tmp_path / "gone").symlink_to("nothing")
    write(tmp_path / "gone", "two")
    assert (tmp_path / "gone").read_text() == "two"


@pytest.mark.parametrize("name", ["talk.csv", "手势" * 40, "a b\\n\n\r.csv", os.fsdecode(b"\xff\xfe.csv")])
def test_sha256sum_reads_the_record(tmp_path, name):
    write(tmp_path / name, "one")
    write(tmp_path / name, "two")
    record = (tmp_path / RECORD).read_bytes()
    assert record.count(b"\n") == 2
    last = record.splitlines(keepends=True)[-1]
    done = subprocess.run(["sha256sum", "-c"], input=last, cwd=tmp_path, capture_output=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xff\n\n  ", b"x" * 1000, b"a" * 64 + b"  talk.csv\n", None], ids=lambda one: repr(one)[:12]
)
def test_a_record_that_is_damaged_makes_nothing_ours(tmp_path, content):
    write(tmp_path / "talk.csv", "one")
    record = tmp_path / RECORD
    record.unlink()
    if content is None:
        record.symlink_to(tmp_path / "nothing")
    else:
        record.write_bytes(content)
    with pytest.raises(InputError, match="it is not as this program wrote it"):
        write(tmp_path / "talk.csv", "two")
    if content is not None:
        write(tmp_path / "other.csv", "one")
        write(tmp_path / "other.csv", "two")
    assert (tmp_path / "talk.csv").read_text() == "one"


def test_work_that_writes_by_itself(tmp_path):
    with guarded(tmp_path / "a"):
        (tmp_path / "a").write_text("one")
    with guarded(tmp_path / "a"):
        (tmp_path / "a").write_text("two")
    (tmp_path / "a").write_text("three")
    with pytest.raises(InputError), guarded(tmp_path / "b", tmp_path / "a"):
        raise AssertionError("it was begun")
    with pytest.raises(InputError, match="a: it is not"):
        refuse_changed(tmp_path / "b", tmp_path / "a")


KILLED = """
import os, signal, sys
from pyskl_semloss.io.results import result_file
left = [int(sys.argv[2])]

def deadly(real):
    def step(*args, **options):
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left[0] -= 1
        return real(*args, **options)
    return step

for name in ("replace", "fsync", "open", "write", "close", "chmod"):
    setattr(os, name, deadly(getattr(os, name)))
with result_file(sys.argv[1], "w") as stream:
    stream.write("new")
"""


def test_a_kill_at_any_step_makes_no_stranger_of_a_result(tmp_path):
    for number in range(60):
        target = tmp_path / str(number) / "talk.csv"
        write(target, "old")
        done = subprocess.run(
            [sys.executable, "-c", KILLED, target, str(number)], env={**os.environ, "PYTHONPATH": ROOT}
        )
        assert target.read_text() in ("old", "new")
        write(target, "next")
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL
    assert number > 6


SEGMENTS = (Segment(0.2, 1.0, "clap", 0.8), Segment(1.5, 2.0, "wave", 0.9))


@pytest.mark.parametrize("suffix", WRITERS)
def test_corrected_segments_are_kept(tmp_path, suffix):
    if suffix == "eaf":
        pytest.importorskip("pympi")
    path = tmp_path / f"talk.{suffix}"
    found = Segmentation(SEGMENTS, seconds=3.0, name="talk", class_names=("clap", "wave"))
    write_segments(found, path)
    write_segments(Segmentation(SEGMENTS[:1], seconds=3.0, name="talk", class_names=("clap", "wave")), path)
    text = path.read_text(encoding="utf-8").replace("clap", "snap")
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=f"talk.{suffix}: it is not as this program wrote it"):
        write_segments(found, path)
    assert path.read_text(encoding="utf-8") == text


def test_conversions_keep_what_was_changed_and_say_so_before_they_begin(tmp_path):
    table = [(frame, 0, values) for frame, values in enumerate(body("coco17", 50))]
    write_csv(tmp_path / "talk.csv", table, "coco17")
    (tmp_path / "labels.csv").write_text("recording,start,end,label\ntalk,0,1,0\ntalk,1,2,1\n")
    words = ["prepare_data", "keypoints", "talk.csv", "a.pkl", "--labels", "labels.csv", "--image-size", "1920x1080"]
    words += ["--fps", "25", "--val-fraction", "0", "--test-fraction", "0"]
    tool(*words, cwd=tmp_path)
    before = (tmp_path / "a.pkl").stat().st_ino
    tool(*words, cwd=tmp_path)
    assert (tmp_path / "a.pkl").stat().st_ino != before
    (tmp_path / "a.md").write_text("my notes")
    said = tool(*words, cwd=tmp_path, status=2)
    assert said.startswith(f"error: a.md: {CHANGED}.") and said.count("\n") == 1
    assert (tmp_path / "a.md").read_text() == "my notes"
    tool(*words, "--overwrite", cwd=tmp_path)
    assert (tmp_path / "a.md").read_text().startswith("# own keypoints")
    # Recordings, in several processes.
    write_csv(tmp_path / "sit.csv", table, "coco17")
    words = ["prepare_data", "keypoints", "talk.csv", "sit.csv", "out", "--image-size", "1920x1080", "--fps"]
    tool(*words, "25", cwd=tmp_path)
    tool(*words, "30", cwd=tmp_path)
    about = tmp_path / "out" / "talk.json"
    about.write_text(json.dumps({**json.loads(about.read_text()), "note": "the left camera"}))
    assert f"error: out/talk.json: {CHANGED}." in tool(*words, "25", cwd=tmp_path, status=1)
    assert "the left camera" in about.read_text()
    tool(*words, "25", "--overwrite", cwd=tmp_path)
    assert "the left camera" not in about.read_text()


def test_a_data_set_of_ones_own_is_not_written_over(tmp_path):
    (tmp_path / "mine.pkl").write_bytes(b"years of work")
    said = tool("prepare_data", "synthetic", "mine.pkl", "--clips", 32, cwd=tmp_path, status=2)
    assert said == (
        f"error: mine.pkl: {CHANGED}. Move it elsewhere or name another place, or give --overwrite to replace it.\n"
    )
    assert (tmp_path / "mine.pkl").read_bytes() == b"years of work"
    tool("prepare_data", "synthetic", "mine.pkl", "--clips", 32, "--overwrite", cwd=tmp_path)
    write_annotations(tmp_path / "mine.pkl", generate(32))


def test_the_example_study_keeps_what_a_person_labelled(tmp_path):
    words = ["prepare_data", "example", "study", "--persons", 3, "--gestures", 3]
    tool(*words, cwd=tmp_path)
    (tmp_path / "study" / "recordings" / "mine.npz").write_bytes(b"mine")
    tool(*words, "--seed", 1, cwd=tmp_path)
    (tmp_path / "study" / "names.txt").write_text("my own gesture\n")
    before = (tmp_path / "study" / "labels.csv").read_bytes()
    assert f"error: study/names.txt: {CHANGED}." in tool(*words, "--seed", 2, cwd=tmp_path, status=2)
    assert (tmp_path / "study" / "labels.csv").read_bytes() == before


def test_every_tool_that_writes_results_keeps_a_stranger(tmp_path):
    pytest.importorskip("plotly", reason="the report needs Plotly")
    from pyskl_semloss.evaluation.scores import Scores

    Scores(np.array(["a", "b"]), np.eye(2, dtype=np.float32), np.array([0, 1])).save(tmp_path / "s.npz")
    write_annotations(tmp_path / "a.pkl", generate(32))
    (tmp_path / "names.txt").write_text("clap\nwave\n")
    (tmp_path / "page").mkdir()
    (tmp_path / "pictures").mkdir()
    for name, words in {
        "v.npz": ["build_label_vectors", "--labels", "names.txt", "--vectors", "hash", "--out", "v.npz"],
        "f.npz": ["fuse_scores", "s.npz", "s.npz", "--weights", 1, 1, "--out", "f.npz"],
        "s.zip": ["fuse_scores", "s.npz", "s.npz", "--weights", 1, 1, "--submission", "s.zip"],
        "page/index.html": ["report", "s.npz", "--out", "page"],
        "pictures/coco17.png": ["draw_skeletons", "coco17", "--out", "pictures"],
        "c.gif": ["animate_clip", "a.pkl", "#0", "--out", "c.gif", "--size", 40],
    }.items():
        (tmp_path / name).write_bytes(b"mine")
        said = tool(*words, cwd=tmp_path, status=2)
        assert f"error: {name}: {CHANGED}." in said and (tmp_path / name).read_bytes() == b"mine"
        tool(*words, "--overwrite", cwd=tmp_path)
        tool(*words, cwd=tmp_path)
        assert (tmp_path / name).read_bytes() != b"mine"
