"""SIGTERM and Ctrl-C in a tool: the status, the line that is left, and what becomes of its children."""

import multiprocessing
import os
import signal
import sys
import time

import pytest

from pyskl_semloss.cli.interruption import command_to_resume, exit_on_signal


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    """A process of its own, called ``python tool.py a``."""
    for name in ("TORCHELASTIC_RUN_ID", "RANK", "SLURM_PROCID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "orig_argv", ["python", "tool.py", "a b"])
    monkeypatch.setattr(sys, "argv", ["tool.py", "a b"])
    heard = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD)}
    # A job in the background ignores Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    for number, before in heard.items():
        signal.signal(number, before)


def stopped(main, option="--resume"):
    """The status of a tool that is stopped."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    with pytest.raises(SystemExit) as end:
        exit_on_signal(option)(main)()
    assert {number: signal.getsignal(number) for number in before} == before
    return end.value.code


def send(number):
    os.kill(os.getpid(), number)
    time.sleep(5)
    raise AssertionError("nobody heard the signal")


@pytest.mark.parametrize(("name", "status"), [("SIGTERM", 143), ("SIGINT", 130)])
def test_the_status_and_the_line(name, status, capsys):
    assert stopped(lambda: send(getattr(signal, name))) == status
    assert capsys.readouterr().err == f"stopped by {name}; go on with: python tool.py 'a b' --resume\n"
    assert stopped(lambda: send(getattr(signal, name)), "") == status
    assert capsys.readouterr().err.endswith("go on with: python tool.py 'a b'\n")


def test_an_error_that_hides_the_signal_does_not_hide_it(capsys):
    def main():
        try:
            send(signal.SIGTERM)
        except SystemExit:
            raise RuntimeError("a config that cannot be formatted") from None

    assert stopped(main) == 143 and "stopped by SIGTERM" in capsys.readouterr().err


def test_other_ends_pass(capsys):
    def fail():
        raise KeyError("a")

    with pytest.raises(KeyError):
        exit_on_signal("--resume")(fail)()
    done = []
    exit_on_signal("--resume")(lambda: done.append(1))()
    assert done == [1] and capsys.readouterr().err == ""


def test_a_signal_that_was_ignored_stays_ignored(capsys):
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    done = []

    def main():
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.05)
        done.append(1)

    exit_on_signal()(main)()
    assert done == [1] and signal.getsignal(signal.SIGINT) == signal.SIG_IGN and capsys.readouterr().err == ""
    assert stopped(lambda: send(signal.SIGTERM)) == 143


def test_workers_are_ended():
    workers = []

    def main():
        workers.append(multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,)))
        workers[0].start()
        send(signal.SIGTERM)

    begin = time.monotonic()
    assert stopped(main) == 143
    assert not workers[0].is_alive() and time.monotonic() - begin < 4


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 7)])
def test_a_forked_worker_ends_without_a_word_and_leaves_ctrl_c_to_its_owner(number, status, capsys):
    ends = []

    def main():
        child = os.fork()
        if child == 0:
            try:
                os.kill(os.getpid(), number)
                time.sleep(0.05)
            finally:
                os._exit(7)
        ends.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))

    exit_on_signal("--resume")(main)()
    assert ends == [status] and capsys.readouterr().err == ""


@pytest.mark.parametrize(("rank", "says"), [("0", True), ("1", False)])
@pytest.mark.parametrize("variable", ["RANK", "SLURM_PROCID"])
def test_of_several_processes_the_first_speaks(rank, says, variable, monkeypatch, capsys):
    monkeypatch.setenv(variable, rank)
    if variable == "RANK":
        monkeypatch.setenv("TORCHELASTIC_RUN_ID", "x")
    else:
        monkeypatch.setattr(sys, "argv", ["tool.py", "--launcher", "slurm"])
    assert stopped(lambda: send(signal.SIGTERM)) == 143
    line = "stopped by SIGTERM; go on with: the same command and --resume\n"
    assert capsys.readouterr().err == (line if says else "")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("tool.py", "tool.py --resume"),
        ("tool.py --resume", "tool.py --resume"),
        ("tool.py --resume --seed 3", "tool.py --resume --seed 3"),
        ("tool.py --resume FILE", "tool.py --resume FILE --resume"),
        ("tool.py --resume FILE --resume", "tool.py --resume FILE --resume"),
    ],
)
def test_the_command_that_goes_on(line, expected, monkeypatch):
    monkeypatch.setattr(sys, "orig_argv", line.split())
    assert command_to_resume("--resume") == expected
    assert command_to_resume() == line
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "x")
    assert (
        command_to_resume("--resume") == "the same command and --resume" and command_to_resume() == "the same command"
    )


def test_a_console_script_is_named_as_it_was_typed(tmp_path, monkeypatch):
    script = tmp_path / "semloss"
    script.write_text("")
    script.chmod(0o755)
    monkeypatch.setattr(sys, "orig_argv", ["/env/bin/python", str(script), "train", "a b.py"])
    monkeypatch.setenv("PATH", str(tmp_path))
    assert command_to_resume("--resume") == "semloss train 'a b.py' --resume"
    monkeypatch.setenv("PATH", "")
    assert command_to_resume() == f"{script} train 'a b.py'"
    monkeypatch.setattr(sys, "orig_argv", ["python", "-m", "pyskl_semloss", "train"])
    assert command_to_resume("--resume") == "python -m pyskl_semloss train --resume"
