"""What tools print: in any encoding, to a reader that leaves, to a full disk, with names that command a terminal."""

import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from test_messages import PROGRAMS

from helpers import ROOT
from helpers.own_keypoint_files import body, write_csv
from pyskl_semloss.annotations import read_annotations
from pyskl_semloss.recordings.recording import read_recording

TOOLS = sorted(PROGRAMS)
FULL = "standard output: it cannot be written: the disk is full (No space left on device)."
HOSTILE = "\x1b]0;owned\x07\x1b[2J\nerror: a second line"
SHOWN = r"\x1b]0;owned\x07\x1b[2J\nerror: a second line"


def run(command, cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **environment):
    env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **environment}
    return subprocess.run(
        [sys.executable, *map(str, command)], stdout=stdout, stderr=stderr, env=env, cwd=cwd, timeout=600
    )


def tool(name, *words, cwd, **options):
    return run([ROOT / "tools" / f"{name}.py", *words], cwd, **options)


def script(folder, body):
    file = folder / "tool.py"
    head = "import logging, os, sys, warnings\nfrom pyskl_semloss.cli.program import exit_on_error\n"
    head += "from pyskl_semloss.cli.outputs import say\n@exit_on_error\ndef main():\n"
    file.write_text(head + "".join(f"    {line}\n" for line in body.splitlines()) + "main()\n", encoding="utf-8")
    return [file]


def closed_pipe():
    """The writing end of a pipe that nobody reads."""
    reader, writer = os.pipe()
    os.close(reader)
    return writer


def keypoints(folder, name):
    """A table of 30 frames of COCO's joints, and the words that convert it."""
    write_csv(folder / name, [(frame, 0, values) for frame, values in enumerate(body("coco17", 30))], "coco17")
    return ["keypoints", name, "out", "--image-size", "1920x1080", "--fps", "25"]


@pytest.mark.parametrize(
    "environment",
    [dict(PYTHONIOENCODING=name) for name in ("ascii", "latin-1", "cp1252", "ascii:strict", "shift-jis", "utf-8")]
    + [dict(LC_ALL="C", LANG="C")],
)
def test_letters_that_the_output_lacks_are_escaped(tmp_path, environment):
    done = tool("prepare_data", *keypoints(tmp_path, "访谈 Müller.csv"), cwd=tmp_path, **environment)
    assert done.returncode == 0, done.stderr
    line = done.stdout.splitlines()[0]
    if environment.get("PYTHONIOENCODING") == "utf-8":
        assert line.startswith("访谈 Müller: 30 frames".encode())
    elif environment.get("PYTHONIOENCODING") == "latin-1":
        assert line.startswith(b"\\u8bbf\\u8c08 M\xfcller: 30 frames")
    assert b"30 frames (1.2 s)" in line and b"Traceback" not in done.stderr
    assert read_recording(tmp_path / "out" / "访谈 Müller.npz").frames == 30


def test_the_failing_case_itself(shared_dir, tmp_path):
    source = shared_dir / "cases" / "11_stdout_not_utf8" / "访谈.csv"
    words = ["keypoints", source, "r", "--image-size", "1920x1080", "--fps", "25"]
    done = tool("prepare_data", *words, cwd=tmp_path, PYTHONIOENCODING="latin-1")
    assert done.returncode == 0 and done.stdout.startswith(b"\\u8bbf\\u8c08: 30 frames")


def test_names_that_are_no_text_are_escaped(tmp_path):
    os.mkdir(tmp_path / os.fsdecode(b"caf\xe9"))
    place = os.fsdecode(b"caf\xe9/a.pkl")
    done = tool("prepare_data", "synthetic", place, "--clips", 32, cwd=tmp_path)
    assert done.returncode == 0 and b"to caf\\udce9/a.pkl" in done.stdout, done.stderr


@pytest.mark.parametrize("name", TOOLS)
def test_every_tool_takes_any_output(name, tmp_path):
    """The help of a tool is the first that it prints; all go through one decorator."""
    if name in ("test", "train"):
        pytest.importorskip("mmaction", reason="their help is MMAction2's")
    writer = closed_pipe()
    try:
        done = tool(name, "--help", cwd=tmp_path, stdout=writer)
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (128 + signal.SIGPIPE, b"")
    if name in ("test", "train"):
        return  # their help takes a quarter of a minute
    done = tool(name, "--help", cwd=tmp_path, PYTHONIOENCODING="ascii:strict")
    assert done.returncode == 0 and done.stdout.startswith(b"usage: ") and done.stderr == b""
    with open("/dev/full", "wb") as full:
        done = tool(name, "--help", cwd=tmp_path, stdout=full)
    assert done.returncode == 2 and done.stderr.decode().startswith(f"error: {FULL}")
    assert done.stderr.count(b"\n") == 1


@pytest.mark.parametrize("lines", [1, 100_000])
def test_a_reader_that_leaves_does_not_stop_the_work(tmp_path, lines):
    body = f"for n in range({lines}): print('line', n)\nlogging.basicConfig(stream=sys.stdout)\n"
    body += "logging.error('a line of a log')\nos.write(1, b'of a library in C')\nopen('done', 'w').close()"
    writer = closed_pipe()
    done = run(script(tmp_path, body), tmp_path, stdout=writer)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, b"") and (tmp_path / "done").exists()
    reader = subprocess.Popen(["head", "-n", "1"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    done = run(script(tmp_path, "for n in range(300_000): print('line', n)"), tmp_path, stdout=reader.stdin)
    assert (done.returncode, done.stderr) == (141, b"") and reader.communicate()[0] == b"line 0\n"


@pytest.mark.parametrize(
    ("end", "status"),
    [("", 141), ("sys.exit()", 141), ("sys.exit(1)", 1), ("open('gone')", 1), ("raise InputError('x')", 2)],
)
def test_a_failure_of_the_tool_counts_more_than_its_reader(tmp_path, end, status):
    writer = closed_pipe()
    body = f"from pyskl_semloss.errors import InputError\nprint('line', flush=True)\n{end}"
    done = run(script(tmp_path, body), tmp_path, stdout=writer)
    os.close(writer)
    assert done.returncode == status and (b"error: x." in done.stderr) == (status == 2)
    assert b"Exception ignored" not in done.stderr and b"BrokenPipe" not in done.stderr


def test_a_full_disk_below_the_output_is_told_when_the_work_is_done(tmp_path):
    with open("/dev/full", "wb") as full:
        done = tool("prepare_data", "synthetic", "a.pkl", "--clips", 32, cwd=tmp_path, stdout=full)
        assert done.returncode == 2 and done.stderr.decode().startswith(f"error: {FULL}")
        assert len(read_annotations(tmp_path / "a.pkl")[0].clips) == 32
        silent = tool("prepare_data", "synthetic", "b.pkl", "--clips", 32, cwd=tmp_path, stdout=full, stderr=full)
        assert silent.returncode == 2 and (tmp_path / "b.pkl").exists()
        failed = tool("prepare_data", "synthetic", "b.npz", cwd=tmp_path, stderr=full)
        assert failed.returncode == 2 and failed.stdout == b""


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_closed_streams_are_as_dev_null(tmp_path, closed):
    words = " ".join(["prepare_data.py", *keypoints(tmp_path, "talk.csv")])
    line = f'exec "{sys.executable}" "{ROOT}/tools/"{words} {closed}'
    done = subprocess.run(["sh", "-c", line], cwd=tmp_path, capture_output=True, timeout=600)
    assert done.returncode == 0 and (done.stdout == b"") == (">&-" in closed.replace("2>&-", ""))
    # Nothing that was printed went into a file.
    assert read_recording(tmp_path / "out" / "talk.npz").frames == 30
    assert sorted(path.name for path in (tmp_path / "out").iterdir() if path.name[0] != ".") == [
        "talk.json",
        "talk.npz",
    ]


def test_the_streams_are_given_back(capsys):
    from pyskl_semloss.cli.program import exit_on_error

    before, shown = (sys.stdout, sys.stderr), []
    exit_on_error(lambda: shown.append((sys.stdout, sys.stderr)))()
    assert (sys.stdout, sys.stderr) == before == shown[0]


def test_warnings_are_one_line_each(tmp_path):
    done = run(script(tmp_path, f"warnings.warn({HOSTILE!r}, stacklevel=1)"), tmp_path)
    assert (done.returncode, done.stdout.decode(), done.stderr.decode()) == (0, "", f"warning: {SHOWN}\n")


def test_names_that_command_a_terminal_are_shown_as_text(tmp_path):
    """Every tool that names files of its own making, or of others, and the lines of progress."""
    pytest.importorskip("plotly", reason="the report needs Plotly")
    name = HOSTILE.replace("/", "")
    (tmp_path / name).mkdir()
    pkl = f"{name}/a.pkl"

    def said(*words, status=0):
        done = tool(*words, cwd=tmp_path)
        text = (done.stdout + done.stderr).decode()
        assert done.returncode == status, text
        assert "\x1b" not in text and "\x07" not in text and "\nerror: a second" not in text
        assert SHOWN in text
        return text

    said("prepare_data", "synthetic", pkl, "--clips", 32)
    said("prepare_data", "store", pkl, f"{name}/store")
    said("prepare_data", "pickle", f"{name}/store", f"{name}/b.pkl")
    said("prepare_data", "example", f"{name}/study", "--persons", 3, "--gestures", 3)
    said("prepare_data", "keypoints", f"{name}/none.csv", "out", status=2)
    words = keypoints(tmp_path / name, "talk.csv")
    said("prepare_data", "keypoints", f"{name}/talk.csv", f"{name}/out", *words[3:])
    (tmp_path / "labels.csv").write_text("recording,start,end,label\ntalk,0,0.5,0\ntalk,0.5,1,1\n")
    text = said("prepare_data", "keypoints", f"{name}/talk.csv", f"{name}/c.pkl", *words[3:], "--labels", "labels.csv",
                "--test-fraction", "0", "--val-fraction", "0")  # fmt: skip
    assert f"from `{SHOWN}/talk.csv`" in text and "\x1b" not in (tmp_path / name / "c.md").read_text()
    (tmp_path / name / "names.txt").write_text("clap\nwave\n")
    said("build_label_vectors", "--labels", f"{name}/names.txt", "--vectors", "hash", "--out", f"{name}/v.npz")
    said("draw_skeletons", "coco17", "--out", f"{name}/pictures")
    said("animate_clip", pkl, "#0", "--out", f"{name}/a.gif", "--size", 40)
    said("animate_clip", pkl, "none", "--out", f"{name}/b.gif", status=2)
    from pyskl_semloss.evaluation.scores import Scores

    Scores(np.array(["a", "b"]), np.eye(2, dtype=np.float32), np.array([0, 1])).save(tmp_path / name / "s.npz")
    said("fuse_scores", f"{name}/s.npz", f"{name}/s.npz", "--weights", 1, 1, "--out", f"{name}/f.npz")
    said("report", f"{name}/s.npz", "--out", f"{name}/page")
