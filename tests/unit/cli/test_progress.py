"""The progress line, on a terminal and in a log."""

import io

import pytest

from pyskl_semloss.cli import progress
from pyskl_semloss.cli.progress import ProgressLine


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def clock(monkeypatch):
    """Each look at it is two seconds later."""
    times = iter(range(100, 1000, 2))
    monkeypatch.setattr(progress.time, "monotonic", lambda: float(next(times)))


def test_a_terminal_shows_one_line_that_is_written_over(clock):
    stream = Terminal()
    line = ProgressLine(stream, "clips")
    for done in (1, 2, 4):
        line(done, 4)
    assert stream.getvalue().split("\r") == [
        "",
        " 25 %  1 of 4 clips\x1b[K",
        " 50 %  2 of 4 clips, 4 s left\x1b[K",
        "100 %  4 of 4 clips\x1b[K\n",
    ]


def test_a_log_gets_a_line_for_each_tenth(clock):
    stream = io.StringIO()
    line = ProgressLine(stream)
    for done in (0, 1, 2, 3, 4, 19, 20):
        line(done, 20)
    assert stream.getvalue().splitlines() == [
        "  0 %  0 of 20 videos",
        " 10 %  2 of 20 videos, 36 s left",
        " 20 %  4 of 20 videos, 32 s left",
        " 95 %  19 of 20 videos, 1 s left",
        "100 %  20 of 20 videos",
    ]


def test_nothing_to_do_is_no_division_by_zero(clock):
    stream = io.StringIO()
    ProgressLine(stream)(0, 0)
    assert stream.getvalue() == "  0 %  0 of 0 videos\n"
