"""A tool that is stopped, or killed, at any moment leaves no process and no half file; the next run mends the rest."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from helpers import ROOT
from helpers.raw_formats import imigue_clips, write_imigue_raw
from pyskl_semloss.annotations import read_annotations
from pyskl_semloss.cpu import workers

TOOLS = ROOT / "tools"


def start(*words, cwd=None, before=None, stdout=subprocess.PIPE):
    """A tool in a session of its own, as in a terminal of its own."""

    def prepare():
        os.setsid()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGHUP, before or signal.SIG_DFL)

    env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, *map(str, words)], cwd=cwd, env=env, stdout=stdout, stderr=subprocess.PIPE, text=True,
        preexec_fn=prepare,
    )  # fmt: skip


def living(session):
    """The processes of a session that have not ended."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split() if entry.name.isdigit() else []
        except OSError:
            continue
        if fields and int(fields[3]) == session and fields[0] != "Z":
            found.append(int(entry.name))
    return found


def wait_until_it_heeds(number, process):
    """Wait until a process has its own handler of a signal."""
    caught = 0
    while not caught >> (number - 1) & 1:
        assert process.poll() is None
        time.sleep(0.02)
        lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
        caught = next((int(line.split()[1], 16) for line in lines if line.startswith("SigCgt")), 0)


def all_gone(session, seconds=10):
    end = time.monotonic() + seconds
    while living(session) and time.monotonic() < end:
        time.sleep(0.05)
    return living(session) == []


def half(folder):
    return [path.name for path in folder.rglob(".*") if path.name.endswith((".tmp", ".mp4", "lock"))]


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    """Thirty videos of iMiGUE, half a second of work each."""
    folder = tmp_path_factory.mktemp("raw")
    clips = imigue_clips(120)
    write_imigue_raw(folder, {f"{video:04d}": clips[4 * video : 4 * video + 4] for video in range(30)})
    return folder


def conversion(raw, folder, **options):
    return start(TOOLS / "prepare_data.py", "imigue", raw, folder / "a.pkl", "--workers", 2, **options)


@pytest.mark.parametrize("whom", ["first", "all"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_conversion_that_is_stopped_leaves_nothing_and_goes_on(raw, tmp_path, number, whom):
    for attempt in range(4):
        process = conversion(raw, tmp_path)
        assert process.stderr.readline().startswith("  0 %") or attempt
        time.sleep(0.3 * attempt)
        if whom == "first":
            process.send_signal(number)
        else:
            os.killpg(process.pid, number)
        _, said = process.communicate(timeout=600)
        if "100 %" in said:
            break  # it was done, and the signal came while Python ended, or after it
        assert process.returncode == 128 + number, said
        assert f"stopped by {number.name}; go on with: " in said.splitlines()[-1] and "Traceback" not in said
        assert all_gone(process.pid, 1) and half(tmp_path) == []
    process = conversion(raw, tmp_path)
    out, said = process.communicate(timeout=600)
    assert process.returncode == 0, said
    assert sorted(path.suffix for path in tmp_path.glob("a.*")) == [".json", ".md", ".pkl"]
    assert len(read_annotations(tmp_path / "a.pkl", unknown_labels=True)[0].clips) == 120


def test_the_processes_of_a_killed_conversion_end_and_the_next_run_removes_what_it_left(raw, tmp_path):
    for attempt in range(4):
        process = conversion(raw, tmp_path)
        process.stderr.readline()
        time.sleep(0.4 * attempt)
        process.kill()
        process.communicate(timeout=600)
        assert all_gone(process.pid)
    process = conversion(raw, tmp_path)
    _, said = process.communicate(timeout=600)
    assert process.returncode == 0, said
    assert sorted(path.suffix for path in tmp_path.glob("a.*")) == [".json", ".md", ".pkl"] and half(tmp_path) == []


def test_below_nohup_a_tool_goes_on(raw, tmp_path):
    process = conversion(raw, tmp_path, before=signal.SIG_IGN)
    process.stderr.readline()
    os.killpg(process.pid, signal.SIGHUP)
    _, said = process.communicate(timeout=600)
    assert process.returncode == 0 and "stopped" not in said and (tmp_path / "a.pkl").exists()


def test_a_process_that_is_killed_is_told_with_its_video(raw, tmp_path):
    process = conversion(raw, tmp_path)
    process.stderr.readline()
    while len(living(process.pid)) < 4:  # a tracker of resources, too
        time.sleep(0.02)
    workers = [pid for pid in living(process.pid) if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    os.kill(workers[0], signal.SIGKILL)
    _, said = process.communicate(timeout=600)
    assert process.returncode == 2 and "_light_hand.csv: the process that had it in hand was ended by SIGKILL" in said
    assert all_gone(process.pid, 1)


@pytest.mark.parametrize(
    "words",
    [
        ["imigue", "RAW", "a.pkl", "--workers", "1"],
        ["synthetic", "a.pkl", "--clips", "20000"],
        ["example", "study", "--persons", "400"],
    ],
)
def test_a_second_one_into_the_same_place_is_refused(raw, tmp_path, words):
    words = [str(raw) if word == "RAW" else word for word in words]
    first = start(TOOLS / "prepare_data.py", *words, cwd=tmp_path)
    if words[0] == "imigue":
        first.stderr.readline()
        first.send_signal(signal.SIGSTOP)  # a slow machine would start the second when the first is done
        second = start(TOOLS / "prepare_data.py", *words, cwd=tmp_path)
        _, said = second.communicate(timeout=600)
        first.send_signal(signal.SIGCONT)
        assert second.returncode == 2
        assert said == "error: a.pkl: another process writes it. Wait for its end, or name another place.\n"
    else:
        wait_until_it_heeds(signal.SIGTERM, first)
        time.sleep(0.8)  # in the midst of its work
    first.send_signal(signal.SIGTERM)
    _, said = first.communicate(timeout=600)
    assert first.returncode == 143 and said.splitlines()[-1].startswith("stopped by SIGTERM; go on with:")
    assert half(tmp_path) == []


WRITING = """
import time
from pathlib import Path
from pyskl_semloss.cli.program import exit_on_error
from pyskl_semloss.io.files import atomic_folder, atomic_path, hold

@exit_on_error
def main():
    with hold("out", "writes"), atomic_path("film.mp4", ".mp4"), atomic_folder("store") as folder:
        (folder / "half").write_text("half")
        print("ready", flush=True)
        time.sleep(30)

main()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_what_any_tool_is_writing_is_removed(tmp_path, number):
    (tmp_path / "tool.py").write_text(WRITING)
    process = start("tool.py", cwd=tmp_path)
    assert process.stdout.readline() == "ready\n" and len(half(tmp_path)) == 3
    process.send_signal(number)
    _, said = process.communicate(timeout=600)
    assert (process.returncode, said) == (128 + number, f"stopped by {number.name}\n")
    assert [path.name for path in tmp_path.iterdir()] == ["tool.py"]


def test_a_system_that_shuts_down_sends_several(tmp_path):
    text = WRITING.replace("        time.sleep(30)", "        try:\n            time.sleep(30)\n        finally:\n"
                           "            time.sleep(1)\n            print('clean', flush=True)")  # fmt: skip
    (tmp_path / "tool.py").write_text(text)
    process = start("tool.py", cwd=tmp_path)
    process.stdout.readline()
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGTERM):
        process.send_signal(number)
        time.sleep(0.2)
    out, said = process.communicate(timeout=600)
    assert (process.returncode, out, said) == (143, "clean\n", "stopped by SIGTERM\n")
    assert [path.name for path in tmp_path.iterdir()] == ["tool.py"]


def test_what_is_printed_when_the_signal_comes_is_printed_once(tmp_path):
    body = "import time\nfrom pyskl_semloss.cli.program import exit_on_error\n@exit_on_error\ndef main():\n"
    body += "    for number in range(10**6):\n        print(number, flush=True)\nmain()\n"
    (tmp_path / "tool.py").write_text(body)
    for attempt in range(10):
        printed = tmp_path / "printed"
        with open(printed, "wb") as stream:
            process = start("tool.py", cwd=tmp_path, stdout=stream)
        while not printed.stat().st_size:
            time.sleep(0.01)
        time.sleep(0.01 * attempt)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=600)
        assert process.returncode == 143
        numbers = printed.read_text().splitlines()
        assert numbers == [str(number) for number in range(len(numbers))]


def test_a_reader_that_waits_does_not_keep_it_alive(tmp_path):
    body = "from pyskl_semloss.cli.program import exit_on_error\n@exit_on_error\ndef main():\n"
    body += "    print('ready', flush=True)\n    print('x' * 10**7, flush=True)\nmain()\n"
    (tmp_path / "tool.py").write_text(body)
    process = start("tool.py", cwd=tmp_path)
    os.read(process.stdout.fileno(), 6)
    time.sleep(0.5)
    process.send_signal(signal.SIGTERM)
    time.sleep(1)
    process.stdout.close()
    _, said = process.communicate(timeout=600)
    assert process.returncode == 143 and said == "stopped by SIGTERM\n"


@pytest.mark.parametrize("context", [workers._held_back, workers._put_off])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGALRM])
def test_what_is_raised_while_a_process_is_started_waits(context, number):
    """An alarm raises what a signal raised and lost: it must not come between a start and the knowledge of it."""
    order = []
    before = signal.signal(number, lambda *_: order.append("signal"))
    try:
        with context():
            signal.raise_signal(number)
            order.append("started")
    finally:
        signal.signal(number, before)
    assert order == ["started", "signal"]
