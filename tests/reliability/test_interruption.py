"""A signal ends a tool wherever it meets it, once and cleanly."""

import os
import signal
import subprocess
import sys
import time

import pytest

from helpers import ROOT

TOOL = """
import os, signal, sys, time
from pyskl_semloss.cli.interruption import exit_on_signal

def kill():
    os.kill(os.getpid(), signal.{name})
    for _ in range(1000):
        pass

class Deleted:
    def __del__(self):
        kill()

class Forking:
    def __init__(self):
        os.register_at_fork(after_in_parent=kill)
        if os.fork() == 0:
            os._exit(0)

class InTheOpen:
    def __init__(self):
        kill()

class CleanedUp:
    def __init__(self):
        try:
            kill()
        finally:
            time.sleep(2.5)
            print("clean")

class TurnedIntoAnother:
    def __init__(self):
        try:
            kill()
        except BaseException:
            raise ValueError("what a library makes of it")

@exit_on_signal("--resume")
def main():
    {where}()
    time.sleep(20)
    print("the signal was lost")

main()
"""


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
@pytest.mark.parametrize("where", ["InTheOpen", "Deleted", "Forking", "CleanedUp", "TurnedIntoAnother"])
def test_a_signal_is_never_lost(where, name, tmp_path):
    begin, tool = time.monotonic(), tmp_path / "tool.py"
    tool.write_text(TOOL.format(where=where, name=name))
    command = [sys.executable, str(tool)]
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=600, env={**os.environ, "PYTHONPATH": path},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    assert done.returncode == 128 + getattr(signal, name) and time.monotonic() - begin < 15, done.stderr
    assert done.stdout == ("clean\n" if where == "CleanedUp" else "")
    assert done.stderr == f"stopped by {name}; go on with: {sys.executable} {tool} --resume\n"
