"""A folder is one training's alone: the second is refused, and the lock ends with the first, however that ends."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from helpers.tiny_runs import ROOT, train_command, write_run
from pyskl_semloss.errors import InputError
from pyskl_semloss.io.files import hold

HOLDER = """
import os, sys, time
from pyskl_semloss.io.files import hold
with hold(sys.argv[1], "trains in"):
    if os.fork():
        print("held", flush=True)
    time.sleep(60)
"""


def test_the_lock_ends_with_the_process_not_with_its_forked_workers(tmp_path):
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, tmp_path], stdout=subprocess.PIPE, start_new_session=True, cwd=ROOT
    )
    try:
        assert holder.stdout.readline() == b"held\n"
        with (
            pytest.raises(InputError, match="another process trains in it. Wait for its end"),
            hold(tmp_path, "trains in"),
        ):
            pass
        begin = time.monotonic()
        with pytest.raises(InputError), hold(tmp_path, "trains in", patience=0.5):
            pass
        assert time.monotonic() - begin >= 0.5
        holder.kill()
        holder.wait()
        workers = subprocess.run(["pgrep", "-g", str(holder.pid)], capture_output=True, text=True).stdout.split()
        assert len(workers) == 1, "the worker lives on"
        with hold(tmp_path, "trains in"):
            assert (tmp_path / ".lock").exists()
        assert not (tmp_path / ".lock").exists()
    finally:
        os.killpg(holder.pid, signal.SIGKILL)


def test_a_number_in_the_environment_alone_opens_no_lock(tmp_path, monkeypatch):
    other = tmp_path / "other"
    other.mkdir()
    with hold(tmp_path, "trains in"):
        for number in (0, 1, 99, -1, "x", os.open(tmp_path / ".lock", os.O_RDWR), os.open(other, os.O_RDONLY)):
            monkeypatch.setenv("PYSKL_SEMLOSS_HELD", str(number))
            with pytest.raises(InputError, match="another process"), hold(tmp_path, "trains in"):
                pass


def start(config, *options):
    env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    return subprocess.Popen(train_command(config, *options), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                            env=env, cwd=ROOT)  # fmt: skip


def wait_for(path, process):
    while not path.exists():
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.02)


def test_two_trainings_in_one_folder(tmp_path):
    pytest.importorskip("mmaction")
    config, work = write_run(tmp_path / "data", steps=3, epochs=200), tmp_path / "run"
    first = start(config, "--work-dir", work)
    try:
        wait_for(work / "last_checkpoint", first)
        before = (work / "run.json").read_bytes()
        for words in ([], ["--resume"]):
            second = start(config, "--work-dir", work, *words)
            out, err = second.communicate(timeout=600)
            assert second.returncode == 2, out[-1000:] + err[-1000:]
            assert err == f"error: {work}: another process trains in it. Wait for its end, or name another place.\n"
        assert (work / "run.json").read_bytes() == before and len([*work.glob("2*_*")]) == 1
        assert first.poll() is None
    finally:
        first.kill()
        first.wait()
    # At once; the killed run's workers live on for some seconds.
    epoch = int(re.findall(r"\d+", (work / "last_checkpoint").read_text())[-1])
    third = start(config, "--work-dir", work, "--resume", "--epochs", epoch + 2)
    out, err = third.communicate(timeout=600)
    assert third.returncode == 0, err[-1000:]
    assert f"Trained. Test it with: python tools/test.py {config} {work}/epoch_{epoch + 2}.pth" in out


def test_two_tests_do_not_write_one_score_file(tmp_path):
    pytest.importorskip("mmaction")
    config, out = write_run(tmp_path / "data", steps=3, epochs=1), tmp_path / "scores.npz"
    first = start(config, "--work-dir", tmp_path / "run")
    assert first.wait(120) == 0
    command = [sys.executable, str(ROOT / "tools/test.py"), config, tmp_path / "run/epoch_1.pth", "--out", out]
    with hold(out, "tests into"):
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, cwd=ROOT, timeout=600)
    assert done.returncode == 2 and f"error: {out}: another process tests into it." in done.stderr
    assert not out.exists() and not Path(tmp_path, ".scores.npz.lock").exists()
