"""No file that a tool of ours reads runs a command, hangs, fills the memory, or ends in anything but our own error."""

import contextlib
import os
import pickle
import resource
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

from helpers import ROOT
from helpers.hostile_files import BOMBS, REFUSED_PICKLES, Call, archives, command_pickles, deflated, laughs, npy
from helpers.reader_files import make_files, pickle_readers, remove, restore, time_limit
from pyskl_semloss.errors import InputError
from pyskl_semloss.io.arrays import read_npz
from pyskl_semloss.io.reading import TEXT_LIMIT, memory_limit, open_regular
from pyskl_semloss.untrusted import safe_pickle
from pyskl_semloss.untrusted.pickle_scan import check_extent


def refuse(reader, names=None):
    """The reader's error, which must be ours and name the file."""
    with warnings.catch_warnings(), time_limit(60):
        warnings.simplefilter("ignore")
        with pytest.raises(InputError) as error:
            reader.read()
    assert (names or reader.path.name) in str(error.value)
    assert len(str(error.value)) < 5000
    return str(error.value)


def test_the_files_are_valid(files):
    for reader in files.values():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            reader.read()


def test_commands_in_pickles_are_commands(tmp_path):
    """Plain pickle runs every one of them, or this corpus would prove nothing."""
    canary = tmp_path / "canary"
    for name, data in command_pickles(canary).items():
        with contextlib.suppress(Exception):
            pickle.loads(data)
        assert canary.exists(), name
        remove(canary)


def test_no_reader_runs_a_command(files, tmp_path):
    canary = tmp_path / "canary"
    attacks = command_pickles(canary) | REFUSED_PICKLES
    for reader in pickle_readers(files).values():
        for data in attacks.values():
            reader.path.write_bytes(data)
            refuse(reader)
    assert not canary.exists()


def test_no_reader_of_arrays_runs_a_command(files, tmp_path):
    """Objects in npy files, also in members of archives, are pickles."""
    canary = tmp_path / "canary"
    array = np.array([Call(os.mkdir, str(canary)), 1], object)
    alone = npy(array)
    for name in ("matrix", "arrays of a kit", "gensim's second file", "store: labels.npy", "store: points.npy"):
        files[name].path.write_bytes(alone)
        assert "objects" in refuse(files[name])
        files[name].path.write_bytes(pickle.dumps(array))
        refuse(files[name])
    for name, members in (("scores", ("sample_id", "score", "label")), ("label vectors", ("vectors", "words"))):
        for member in members:
            kept = read_npz(files[name].path)
            data = deflated([(f"{one}.npy", alone if one == member else npy(kept[one])) for one in kept])
            before = files[name].path.read_bytes()
            files[name].path.write_bytes(data)
            assert "objects" in refuse(files[name])
            files[name].path.write_bytes(before)
    assert not canary.exists()


def test_bombs_take_little_memory(tmp_path):
    """In a process of its own: every bomb, for every reader of pickles and archives."""
    code = "import test_hostile_files; test_hostile_files.read_bombs()"
    env = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT), *(str(ROOT / "tests" / name) for name in (".", "security"))]),
    }
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, timeout=600, cwd=ROOT, env=env
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]


MOST_MEGABYTES = 200
"""Twice the 64 MiB that a small file may unfold to, the file itself, and what Python keeps of freed memory."""


def read_bombs():
    """The body of the process; its argument is a folder."""
    folder = Path(sys.argv[1])
    files = make_files(folder / "files")
    readers = pickle_readers(files)
    # The process may not take the machine with it where the readers fail.
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + (4 << 30),) * 2)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    light = ("a billion laughs as a key", "a very deep key", "a memo of 2**31", "one string copied")
    for name, data in BOMBS.items():
        chosen = readers.values() if name in light else [readers["annotations"]]
        for reader in chosen:
            reader.path.write_bytes(data)
            print(name, refuse(reader))
            grown(before, name)
    for name, data in archives().items():
        files["scores"].path.write_bytes(data)
        print(name, refuse(files["scores"]))
        grown(before, name)
    for field in ("frame_dir", "label", "img_shape", "total_frames", "keypoint", "keypoint_score"):
        reader = files["annotations"]
        reader.path.write_bytes(pickle.dumps({"split": {}, "annotations": [{**entry(), field: laughs()}]}))
        print(field, refuse(reader))
    for content in ({"split": {"a": [laughs()]}}, {"split": {"a": laughs()}}, {"split": laughs()}, laughs()):
        reader.path.write_bytes(
            pickle.dumps({**content, "annotations": [entry()]} if isinstance(content, dict) else content)
        )
        print("in the splits", refuse(reader))
        readers["labels of a kit"].path.write_bytes(pickle.dumps((laughs(), laughs())))
        refuse(readers["labels of a kit"])
    readers["annotations of results"].path.write_bytes(pickle.dumps([{"frame_dir": laughs(), "label": laughs()}]))
    refuse(readers["annotations of results"])
    grown(before, "laughs")


def grown(before, name):
    megabytes = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert megabytes < MOST_MEGABYTES, f"{name}: {megabytes:.0f} MB"


def entry():
    """One valid annotation."""
    points = np.ones((1, 3, 17, 2), "f4")
    return {"frame_dir": "a", "label": 0, "img_shape": (9, 9), "total_frames": 3, "keypoint": points,
            "keypoint_score": np.ones((1, 3, 17), "f4")}  # fmt: skip


def special(kind, path, tmp_path):
    """Put something that is no file, or no end, in the place of a file."""
    remove(path)
    if kind == "folder":
        path.mkdir()
    elif kind == "empty":
        path.touch()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "link to a pipe":
        os.mkfifo(f"{path}.pipe")
        path.symlink_to(f"{path}.pipe")
    elif kind == "endless":
        path.symlink_to("/dev/zero")
    elif kind == "link to nothing":
        path.symlink_to(tmp_path / "nothing")
    elif kind == "link to itself":
        path.symlink_to(path.name)
    else:
        with open(path, "wb") as stream:
            stream.truncate(1 << 43)


KINDS = ("folder", "empty", "pipe", "link to a pipe", "endless", "link to nothing", "link to itself", "8 TB of nothing")


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_file_is_refused_at_once(files, made, kind, tmp_path):
    for reader in files.values():
        try:
            special(kind, reader.path, tmp_path)
        except OSError:
            pytest.skip(f"this file system holds no such thing: {kind}")
        refuse(reader)
        remove(Path(f"{reader.path}.pipe"))
        restore({reader.path: made[1][reader.path]})


def test_damaged_files_are_read_or_refused(files):
    """Cut off at many places, and with some bytes or bits changed at random."""
    rng = np.random.default_rng(7)
    refused = {}
    for name, reader in files.items():
        data = reader.path.read_bytes()
        cuts = [data[:end] for end in rng.integers(0, len(data), 8)]
        flips = []
        for _ in range(24):
            damaged = bytearray(data)
            for place in rng.integers(0, len(data), rng.integers(1, 4)):
                damaged[place] = rng.integers(256) if rng.random() < 0.5 else damaged[place] ^ 1 << rng.integers(8)
            flips.append(bytes(damaged))
        for damaged in [*cuts, *flips]:
            reader.path.write_bytes(damaged)
            with warnings.catch_warnings(), time_limit(60):
                warnings.simplefilter("ignore")
                try:
                    reader.read()
                except InputError as error:
                    refused[name] = refused.get(name, 0) + 1
                    assert len(str(error)) < 5000
        reader.path.write_bytes(data)
    # Each has some damage that it tells; a list of names takes nearly any text for names.
    assert set(refused) == set(files)


def test_a_limit_holds_for_the_file_that_grows_while_it_is_read(tmp_path, monkeypatch):
    path = tmp_path / "a.txt"
    path.write_bytes(b"a" * 100)
    real = os.fstat

    def smaller(handle):
        status = list(real(handle))
        status[6] = 10
        return os.stat_result(status)

    monkeypatch.setattr(os, "fstat", smaller)
    with pytest.raises(InputError, match="more than the 10 bytes"):
        safe_pickle.load(path)


def test_the_limits_are_those_that_are_stated(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"")
    os.truncate(path, TEXT_LIMIT)
    with open_regular(path, TEXT_LIMIT):
        pass
    os.truncate(path, TEXT_LIMIT + 1)
    with (
        pytest.raises(InputError, match=f"{TEXT_LIMIT + 1} bytes, more than the {TEXT_LIMIT}"),
        open_regular(path, TEXT_LIMIT),
    ):
        pass
    assert memory_limit(0) == 64 << 20 and memory_limit(10**6) == (64 << 20) + 32 * 10**6


def test_honest_files_are_far_from_the_limits(tmp_path):
    """Clips of one frame have the most objects for their bytes."""
    small = {"keypoint": np.ones((1, 1, 5, 2), "f2"), "keypoint_score": np.ones((1, 1, 5), "f2"), "total_frames": 1}
    clips = [{**entry(), **small, "frame_dir": f"{number}"} for number in range(500)]
    for protocol in (0, 2, 4, 5):
        data = pickle.dumps({"split": {"a": [clip["frame_dir"] for clip in clips]}, "annotations": clips}, protocol)
        assert memory_limit(len(data)) - check_extent(data).memory < 12 * len(data)
