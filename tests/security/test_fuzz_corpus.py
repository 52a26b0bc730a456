"""Every file that fuzzing kept goes through its reader again: a result or our own error, and nothing else."""

import os
import re
import warnings

import pytest

from fuzz.corpus import extract, read_archive, write_archive
from fuzz.rules import LONGEST_MESSAGE, check
from fuzz.targets import Target, make_targets
from helpers.reader_files import time_limit
from pyskl_semloss.errors import InputError

FILES = read_archive()
TARGETS = sorted({name.split("/")[1] for name in FILES})


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fuzz")
    return make_targets(folder), folder


@pytest.mark.parametrize("name", TARGETS)
def test_what_fuzzing_found_is_read_or_refused(made, name):
    targets, folder = made
    target = targets[name]
    # What is imported or compiled at the first call is no effect of the file.
    check(target, target.seeds[0], folder)
    broken = {}
    for file, data in FILES.items():
        if file.split("/")[1] != name:
            continue
        with time_limit(60):
            finding = check(target, data, folder)
        if finding is not None:
            broken[file] = finding
    target.path.write_bytes(target.seeds[0])
    assert not broken, "\n".join(f"{path}: {finding.place}: {finding.text}" for path, finding in broken.items())


def test_every_target_has_a_corpus_and_every_finding_a_target(made):
    of = {kind: {name.split("/")[1] for name in FILES if name.startswith(kind)} for kind in ("corpus", "findings")}
    assert of["corpus"] == made[0].keys() >= of["findings"]


def test_the_archive_comes_back_as_it_was_written(tmp_path):
    write_archive(FILES, tmp_path / "a.zip")
    assert read_archive(tmp_path / "a.zip") == FILES
    folder = extract("findings", TARGETS[0], tmp_path)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        name.split("/")[2]: data for name, data in FILES.items() if name.startswith(f"findings/{TARGETS[0]}/")
    }


def test_fuzzing_begins_with_valid_files(made):
    """From a file that is refused at its first line, little is reached."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for target in made[0].values():
            assert target.path.read_bytes() == target.seeds[0]
            target.read()
            target.path.write_bytes(target.seeds[0])


EFFECTS = {
    "os.system": lambda folder: os.system("true"),
    "os.mkdir": lambda folder: os.mkdir(folder.parent / "beside"),
    "open": lambda folder: open(folder.parent / "file", "w").close(),
    "exec": lambda folder: eval("1 + 1"),
    "warnings": lambda folder: [__import__("warnings").warn(str(n), stacklevel=1) for n in range(30)],
    "ValueError": lambda folder: int("a"),
    "message": lambda folder: (_ for _ in ()).throw(InputError("wrong", file="another")),
    "memory": lambda folder: b"a" * (1 << 28),
}


@pytest.mark.parametrize("kind", EFFECTS)
def test_the_rules_see_what_they_are_to_see(tmp_path, kind):
    """A rule that sees nothing would let every reader pass."""
    folder = tmp_path / "inside"
    folder.mkdir()
    target = Target("a", folder / "file.bin", lambda: EFFECTS[kind](folder), [b""], lambda data, rng: data)
    found = check(target, b"", folder)
    assert found is not None and kind in found.place


def test_the_rules_let_pass_what_they_may(tmp_path):
    def read():
        (tmp_path / "new").mkdir()
        (tmp_path / "new" / "file").write_text("a")
        raise InputError("wrong", file=tmp_path / "a")

    assert check(Target("a", tmp_path / "a", read, [b""], lambda data, rng: data), b"", tmp_path) is None


def test_a_message_is_one_line_of_limited_length():
    hostile = "a\nerror: b\x1b[2J\u202ec\u2028d\ud800" + "e" * 10**6
    message = str(InputError(hostile, file="f\n", clip=hostile, field=hostile, fix="Do."))
    assert len(message) < LONGEST_MESSAGE and message.endswith("Do.")
    assert re.search(r"a\\nerror: b\\x1b\[2J\\u202ec\\u2028d\\ud800", message) and message.encode()
    assert (
        str(InputError("expected caf\u00e9\u00a0\u2713, got 1", file="\u00fc.csv"))
        == "\u00fc.csv: expected caf\u00e9\u00a0\u2713, got 1."
    )


def test_the_traceback_of_a_worker_stays_readable():
    """torch gives the error of a loader's worker as ``InputError(text of a traceback)``."""
    text = "Caught InputError in DataLoader worker process 0.\nOriginal Traceback:\n" + "  a line\n" * 999
    assert str(InputError(f"{text}pyskl_semloss.errors.InputError: a.pkl: wrong")).startswith(text)
