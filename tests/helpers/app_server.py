"""The app as a user starts it, with tiny models, and a recording for it."""

import contextlib
import http.client
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from helpers import ROOT

NAMES = ["<img src=x onerror=window.hacked=1>", "</script><script>window.hacked=1</script>", "{{ 7 * 7 }} & <b>b</b>"]
NAMES += [f"gesture {number}" for number in range(len(NAMES), 32)]
SEGMENTS = ["--threshold", "0.1", "--shortest", "0.2", "--window", "1", "--stride", "0.25"]
"""Scores of random models are what they are; segments are wanted all the same."""


def needs_the_app():
    """Skip where the app cannot run, but not in the environment that promises it."""
    if os.environ.get("PYSKL_SEMLOSS_HOST") != "mmaction2":
        pytest.importorskip("mmaction", reason="the app needs MMAction2")
        pytest.importorskip("nicegui", reason="the app needs NiceGUI: pip install -r requirements/dev.txt")


def environment(**more):
    # NiceGUI behaves otherwise where it thinks that pytest runs it.
    kept = {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
    return {**kept, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore", "PYTHONPATH": str(ROOT), **more}


def write_models(folder):
    """Configs and checkpoints of tiny joint and limb models; the options that name them."""
    from helpers.onnx_models import config_of, save_model
    from pyskl_semloss.semantic.label_vectors import LabelVectors

    vectors = np.random.default_rng(0).normal(0, 0.3, (32, 20)).astype(np.float32)
    LabelVectors(tuple(NAMES), vectors, tuple(("word",) for _ in NAMES)).save(folder / "vectors.npz")
    options = []
    for seed, name in enumerate(("joint", "limb")):
        config = config_of(name)
        config.model.cls_head.label_vectors = str(folder / "vectors.npz")
        save_model(config, folder / f"{name}.pth", seed)
        config.dump(folder / f"{name}.py")
        options += [f"--{name}", folder / f"{name}.py", folder / f"{name}.pth"]
    return [str(word) for word in options]


def tool(*words, code=0):
    """Run a tool to its end; returns what it wrote to stdout and stderr."""
    command = [sys.executable, *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment(), cwd=ROOT, timeout=600)
    assert done.returncode == code, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout, done.stderr


class App:
    """The running app; a context manager that ends it as Ctrl-C does.

    Args:
        folder: Where its folder of temporary files, its working folder and its log are made.
        options: Words of the command line.
        temporary: Another folder of temporary files.
    """

    def __init__(self, folder, *options, temporary=None):
        self.temporary, self.log = temporary or folder / "temporary", folder / "log"
        for path in (self.temporary, folder / "here"):
            path.mkdir(parents=True, exist_ok=True)
        words = [sys.executable, str(ROOT / "tools" / "app.py"), "--port", "0", "--no-browser", *map(str, options)]
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                words, stdout=log, stderr=log, cwd=folder / "here", env=environment(TMPDIR=str(self.temporary))
            )

    def __enter__(self):
        wait(lambda: "Ctrl-C ends it" in self.said or self.process.poll() is not None, 120)
        found = re.search(r"http://localhost:(\d+)", self.said)
        assert found, self.said
        self.port = int(found[1])
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.end(signal.SIGINT)

    @property
    def said(self):
        return self.log.read_text()

    @property
    def url(self):
        return f"http://localhost:{self.port}/"

    def end(self, number):
        """Send a signal; the exit status."""
        self.process.send_signal(number)
        try:
            return self.process.wait(60)
        finally:
            self.process.kill()

    def sessions(self):
        """Folders of sessions, by name; sessions have names that nobody can guess."""
        return {path.name: path for path in self.temporary.glob(".pyskl_semloss_app.*/*") if len(path.name) == 22}

    def worker(self):
        """Process id of the worker, or None."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        spawned = [one for one in children if b"spawn_main" in Path(f"/proc/{one}/cmdline").read_bytes()]
        return int(spawned[0]) if spawned else None

    def ask(self, method, path, body=None, **headers):
        """Status and body of an answer; names of headers with _ for -."""
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=600)) as connection:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body, named)
            answer = connection.getresponse()
            return answer.status, answer.read()


def lives(process):
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait(true, seconds=60):
    """Wait until something is true, and return it."""
    end = time.monotonic() + seconds
    while not (found := true()):
        if time.monotonic() > end:
            raise TimeoutError
        time.sleep(0.05)
    return found
