"""A training on a disk that is full ends in one line, and goes on when there is room."""

import os
import subprocess

import pytest

from helpers.small_disk import Disk
from helpers.small_runs import books
from helpers.tiny_runs import ROOT, train_command, write_run

pytest.importorskip("mmaction")
import pyskl_semloss.hosts.mmaction2  # noqa: E402, F401


@pytest.fixture
def disk(tmp_path):
    try:
        disk = Disk(tmp_path / "disk", size=3 << 20)
    except (PermissionError, FileNotFoundError) as error:
        pytest.skip(f"a small disk cannot be mounted: {error}")
    yield disk
    disk.unmount()


def train(config, folder, *words):
    env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    command = train_command(config, "--work-dir", folder, *words)
    return subprocess.run(command, capture_output=True, text=True, env=env, cwd=ROOT, timeout=600)


def test_a_training_that_fills_the_disk_goes_on_when_there_is_room(tmp_path, disk):
    config = write_run(tmp_path / "data", steps=4)
    assert train(config, tmp_path / "undisturbed").returncode == 0
    expected = {path.name: books(path) for path in (tmp_path / "undisturbed").glob("*.pth")}
    # A checkpoint has 0.5 MB: room for the first one and the best, not for more beside them.
    disk.fill(leave=1 << 20)
    work = disk.folder / "run"
    done = train(config, work)
    assert done.returncode == 2, done.stdout[-2000:] + done.stderr[-2000:]
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith(f"error: {work}/") and ".pth: it cannot be written: the disk is full" in line
    assert not list(work.glob("*.tmp")) and not list(work.glob(".*.tmp"))
    disk.drain()
    done = train(config, work, "--resume")
    assert done.returncode == 0, done.stderr[-2000:]
    assert {path.name: books(path) for path in work.glob("*.pth")} == expected
