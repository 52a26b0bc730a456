"""A real training is killed again and again, also while it writes, and ends as one that nobody disturbed.

Three kills by default; the long version is ``PYSKL_SEMLOSS_KILLS=30 pytest -s tests/test_resume_kills.py``.
"""

import os
import random
import re
import shlex
import signal
import subprocess
import sys
import time
import zipfile
from collections import Counter

import numpy as np
import pytest

from helpers import ROOT
from helpers.small_runs import CONFIG, books, environment, make_set, train_command

pytest.importorskip("mmaction")
import pyskl_semloss.hosts.mmaction2  # noqa: E402, F401
from pyskl_semloss.evaluation.scores import Scores  # noqa: E402
from pyskl_semloss.hosts.mmaction2.training.resume import checkpoint_meta  # noqa: E402

KILLS = int(os.environ.get("PYSKL_SEMLOSS_KILLS", 3))
EPOCHS = 5
# Seconds for one training: half a minute where nothing else runs.
PATIENCE = 1200
TORN = re.compile("killed while writing")
HALF_WRITTEN = re.compile(r"\.((epoch|best).*\.pth|last_checkpoint|run\.json)\..*\.tmp")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("kills")


@pytest.fixture(scope="module")
def options(folder):
    return make_set(folder)


def start(work, options, *words):
    """A training in a session of its own, which hears Ctrl-C as in a terminal; its output goes to a file."""
    earlier = {*work.glob("2*_*")}
    with open(f"{work}.log", "ab") as log:
        process = subprocess.Popen(
            train_command(work, options, "--epochs", EPOCHS, *words), stdout=log, stderr=subprocess.PIPE, text=True,
            cwd=ROOT, env=environment(), start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )  # fmt: skip
    process.work, process.earlier = work, earlier
    return process


def wait_for(text, process):
    """Wait until a training has said something in its log; False if it ends before."""
    while process.poll() is None:
        for folder in {*process.work.glob("2*_*")} - process.earlier:
            if any(text in path.read_text("utf-8") for path in folder.glob("*.log")):
                return True
        time.sleep(0.02)
    return False


def finish(process):
    error = process.communicate(timeout=PATIENCE)[1]
    assert process.returncode == 0, error[-3000:]


def scores_of(work, options):
    command = [
        sys.executable,
        "tools/test.py",
        CONFIG,
        work / f"epoch_{EPOCHS}.pth",
        "--work-dir",
        work,
        "--cfg-options",
    ]
    subprocess.run([*command, *options], check=True, capture_output=True, cwd=ROOT, env=environment())
    return Scores.load(work / "test_scores.npz")


@pytest.fixture(scope="module")
def undisturbed(folder, options):
    """Every file of a training that nobody disturbed, its scores, and how long it trained."""
    work = folder / "undisturbed"
    process = start(work, options)
    assert wait_for("Checkpoints will be saved", process)
    begin = time.monotonic()
    finish(process)
    seconds = time.monotonic() - begin
    return {path.name: books(path) for path in work.glob("*.pth")}, scores_of(work, options), seconds


def assert_equals(work, undisturbed, options, scores=True):
    expected, expected_scores, _ = undisturbed
    for name, content in expected.items():
        assert books(work / name) == content, name
    assert not [path for path in work.iterdir() if path.name.endswith(".tmp")]
    if scores:
        found = scores_of(work, options)
        assert list(found.sample_id) == list(expected_scores.sample_id)
        for field in ("score", "semantic_cosine", "semantic_distance"):
            np.testing.assert_array_equal(getattr(found, field), getattr(expected_scores, field))


def half_written(work):
    try:
        return [entry.name for entry in os.scandir(work) if HALF_WRITTEN.fullmatch(entry.name)]
    except FileNotFoundError:
        return []


def kill_while_writing(process, work, rng):
    """Kill when one of the next checkpoints is being written, a little later at most."""
    files, old, pause = rng.randint(1, 6), set(half_written(work)), rng.choice([0, 0, 0.001, 0.003])
    while process.poll() is None:
        new = {name for name in half_written(work) if ".pth" in name} - old
        files, old = files - len(new), old | new
        if new and files <= 0:
            time.sleep(pause)
            break
        time.sleep(0.0002)
    kill(process, rng)


def kill_at_random(process, work, rng, seconds):
    """Kill at any moment from the first step on."""
    if wait_for("Checkpoints will be saved", process):
        time.sleep(rng.uniform(0, seconds))
    kill(process, rng)


def kill(process, rng):
    """SIGKILL for the process alone, whose workers then find out, or for all of them."""
    if process.poll() is None:
        rng.choice([os.kill, os.killpg])(process.pid, signal.SIGKILL)
    process.communicate()


def test_a_killed_training_ends_as_an_undisturbed_one(folder, options, undisturbed):
    rng = random.Random(os.environ.get("PYSKL_SEMLOSS_SEED", "7"))
    what, kills, number, resume, begin = Counter(), 0, 0, [], time.monotonic()
    # On a busy machine a file can be whole before the kill arrives: then there are a few more kills.
    while kills < KILLS or not any(map(TORN.match, what)) and kills < KILLS + 20:
        work = folder / f"killed_{number}"
        process = start(work, options, *resume)
        if kills % 2 == 0:
            kill_while_writing(process, work, rng)
        else:
            kill_at_random(process, work, rng, undisturbed[2])
        if process.returncode == 0:
            # It was faster: another one is killed instead.
            assert_equals(work, undisturbed, options, scores=False)
            number, resume = number + 1, []
            what["finished"] += 1
            continue
        assert process.returncode == -signal.SIGKILL
        kills, resume = kills + 1, ["--resume"]
        torn = half_written(work)
        what[f"killed while writing {torn[0].split('.')[1]}" if torn else "killed elsewhere"] += 1
        print(f"{time.monotonic() - begin:.0f} s, kill {kills}", flush=True)
        for path in work.glob("*.pth"):
            assert zipfile.ZipFile(path).testzip() is None
        if (work / "last_checkpoint").exists():
            what[f"went on from epoch {checkpoint_meta((work / 'last_checkpoint').read_text())['epoch']}"] += 1
    finish(start(work, options, *resume))
    assert_equals(work, undisturbed, options)
    print(f"\n{kills} kills:", dict(sorted(what.items())))
    assert any(map(TORN.match, what))


@pytest.mark.parametrize(("name", "status", "group"), [("SIGTERM", 143, False), ("SIGINT", 130, True)])
def test_a_signal_ends_training_with_the_command_that_goes_on(folder, options, undisturbed, name, status, group):
    work = folder / name
    process = start(work, options)
    assert wait_for("Epoch(train) [2]" if group else "Saving checkpoint at 1 epochs", process)
    (os.killpg if group else os.kill)(process.pid, signal.Signals[name])
    error = process.communicate(timeout=PATIENCE)[1]
    assert process.returncode == status
    assert error.count("\n") == 1 and error.startswith(
        f"stopped by {name}; go on with: {sys.executable} tools/train.py"
    )
    # The whole session is gone, workers and all.
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)
    if group:
        command = shlex.split(error.split("go on with: ")[1])
        subprocess.run(command, check=True, capture_output=True, cwd=ROOT, env=environment())
        assert_equals(work, undisturbed, options, scores=False)
