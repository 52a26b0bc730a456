"""Files and folders that are whole or absent: kills at every step, what they leave, locks between processes."""

import contextlib
import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from helpers import ROOT
from pyskl_semloss.errors import InputError
from pyskl_semloss.io import files
from pyskl_semloss.io.files import (
    atomic_folder,
    atomic_path,
    atomic_write,
    hold,
    mark_in_use,
    remove_abandoned,
    restore_folder,
    temporary_prefix,
)

CJK = "手势识别" * 20
"""80 characters, 240 bytes; a name may have 255."""


def start(code, *words, **options):
    """A Python process that runs ``code``; it says a line when it is ready."""
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-c", code, *map(str, words)]
    return subprocess.Popen(
        command, env={**os.environ, "PYTHONPATH": path}, stdout=subprocess.PIPE, text=True, **options
    )


def end(process, number=signal.SIGKILL):
    process.send_signal(number)
    process.wait(20)
    process.stdout.close()


WRITES = """
import sys, time
from pyskl_semloss.io.files import atomic_folder, atomic_path
if sys.argv[2] == "folder":
    with atomic_folder(sys.argv[1]) as path:
        (path / "half").write_text("half")
        print("ready", flush=True)
        time.sleep(60)
with atomic_path(sys.argv[1], ".mp4") as path:
    print("ready", flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("kind", ["file", "folder"])
@pytest.mark.parametrize("name", ["talk.npz", CJK, "a[b]*", "x" * 255])
def test_what_a_killed_writer_left_is_removed_by_the_next_and_not_what_is_in_use(tmp_path, name, kind):
    target = tmp_path / name
    writers = [start(WRITES, target, kind) for _ in range(2)]
    try:
        assert [writer.stdout.readline() for writer in writers] == ["ready\n"] * 2
        assert len(list(tmp_path.iterdir())) == 2
        end(writers[0])
        remove_abandoned(target)
        assert len(list(tmp_path.iterdir())) == 1
        end(writers[1])
        if kind == "file":
            with atomic_write(target) as stream:
                stream.write(b"whole")
        else:
            with atomic_folder(target) as folder:
                (folder / "file").write_bytes(b"whole")
    finally:
        for writer in writers:
            writer.kill()
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (target if kind == "file" else target / "file").read_bytes() == b"whole"


def test_files_of_a_user_are_no_temporary_files(tmp_path):
    mine = ["talk", ".talk", ".talk.original.mp4", ".talk.settings.txt", ".talk.tmp", ".other.abcdefgh.tmp", "talk.tmp"]
    for name in mine:
        (tmp_path / name).write_text("mine")
    (tmp_path / ".talk.abcdefgh.tmp").symlink_to(tmp_path / "talk")
    (tmp_path / ".talk.01234567.tmp").write_text("ours")
    (tmp_path / ".talk.01234567.tmp.mp4").write_text("ours")
    remove_abandoned(tmp_path / "talk")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*mine, ".talk.abcdefgh.tmp"])


def test_a_temporary_file_that_another_writer_takes_for_abandoned_is_made_anew(tmp_path, monkeypatch):
    taken = []

    def late(handle):
        if not taken:
            taken.extend(tmp_path.iterdir())
            remove_abandoned(tmp_path / "a")
        return mark_in_use(handle)

    monkeypatch.setattr(files, "mark_in_use", late)
    with atomic_path(tmp_path / "a") as temporary:
        assert not taken[0].exists() and Path(temporary).exists()
        Path(temporary).write_text("whole")
    assert (tmp_path / "a").read_text() == "whole" and len(list(tmp_path.iterdir())) == 1


def test_many_writers_of_one_target_at_once(tmp_path):
    code = """
import os, sys, time
from pathlib import Path
from pyskl_semloss.io.files import atomic_folder, atomic_write
end = time.monotonic() + 2
while time.monotonic() < end:
    with atomic_write(sys.argv[1] + "/file") as stream:
        stream.write(bytes(1000))
    with atomic_folder(sys.argv[1] + "/folder") as folder:
        (folder / "file").write_bytes(bytes(1000))
"""
    processes = [start(code, tmp_path) for _ in range(3)]
    assert [process.wait(60) for process in processes] == [0, 0, 0]
    for process in processes:
        process.stdout.close()
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")) == ["file", "folder", "folder/file"]


@pytest.mark.parametrize("name", [CJK, "x" * 255, os.fsdecode(b"\xff\xfe" * 127)])
def test_long_names_have_short_temporary_ones(tmp_path, name):
    assert len(os.fsencode(temporary_prefix(tmp_path / name))) <= 202
    with atomic_path(tmp_path / name, ".webm") as temporary:
        assert temporary.endswith(".tmp.webm")
    with hold(tmp_path / name, "writes"):
        pass
    assert [path.name for path in tmp_path.iterdir()] == [name]


def recorded(monkeypatch):
    """The order of what is synced and renamed, with the bytes that were there."""
    steps = []
    fsync, replace, rename = os.fsync, os.replace, os.rename

    def synced(handle):
        steps.append(("fsync", os.fstat(handle).st_ino))
        fsync(handle)

    def renamed(real):
        def call(source, target):
            steps.append(("rename", os.stat(source).st_ino))
            real(source, target)

        return call

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", renamed(replace))
    monkeypatch.setattr(os, "rename", renamed(rename))
    return steps


def test_bytes_are_on_the_disk_before_a_file_takes_its_name(tmp_path, monkeypatch):
    steps = recorded(monkeypatch)
    with atomic_write(tmp_path / "a", "w") as stream:
        stream.write("text")
    number = (tmp_path / "a").stat().st_ino
    assert steps == [("fsync", number), ("rename", number)]
    steps.clear()
    # As pympi does, which moves aside what is there, and writers that make their file anew.
    with atomic_path(tmp_path / "a") as temporary:
        os.unlink(temporary)
        Path(temporary).write_text("another file")
    number = (tmp_path / "a").stat().st_ino
    assert steps == [("fsync", number), ("rename", number)]
    steps.clear()
    with atomic_folder(tmp_path / "b") as folder:
        (folder / "file").write_text("text")
    number = (tmp_path / "b").stat().st_ino
    assert steps == [("fsync", number), ("rename", number)]


REPLACES = """
import os, shutil, signal, sys
from pathlib import Path
from pyskl_semloss.io import files

left = [int(sys.argv[2])]

def deadly(real):
    def step(*args, **options):
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left[0] -= 1
        return real(*args, **options)
    return step

def impossible(one, other):
    raise OSError(22, "no such thing on this disk")

files._exchange = deadly(files._exchange if sys.argv[3] == "exchange" else impossible)
for name in ("rename", "fsync", "rmdir", "unlink", "chmod", "open", "close"):
    setattr(os, name, deadly(getattr(os, name)))
shutil.rmtree = deadly(shutil.rmtree)
with files.atomic_folder(sys.argv[1]) as folder:
    (folder / "file").write_text("new")
"""


@pytest.mark.parametrize("way", ["exchange", "two steps"])
def test_a_kill_at_any_step_leaves_the_old_or_the_new_folder(tmp_path, way):
    contents = []
    for number in range(60):
        target = tmp_path / f"{number}" / "store"
        target.mkdir(parents=True)
        (target / "file").write_text("old")
        process = start(REPLACES, target, number, way)
        process.stdout.read()
        process.stdout.close()
        if way == "exchange":
            assert (target / "file").exists()
        restore_folder(target)
        contents.append((target / "file").read_text())
        if process.wait() == 0:
            break
        assert process.returncode == -signal.SIGKILL
        with atomic_folder(target) as folder:
            (folder / "file").write_text("next")
        assert (target / "file").read_text() == "next"
        assert list(target.parent.iterdir()) == [target]
    assert process.returncode == 0 and contents == sorted(contents, reverse=True) and {"old", "new"} == {*contents}
    assert [path.name for path in target.parent.iterdir()] == ["store"]


def test_an_error_leaves_the_old_folder_and_nothing_else(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "file").write_text("old")
    with pytest.raises(ZeroDivisionError), atomic_folder(tmp_path / "a") as folder:
        (folder / "file").write_text("new")
        raise ZeroDivisionError
    (tmp_path / "b").write_text("a file")
    with pytest.raises(InputError, match="b: it cannot be written: a part of the path is a file"):
        with atomic_folder(tmp_path / "b") as folder:
            (folder / "file").write_text("new")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]
    assert (tmp_path / "a" / "file").read_text() == "old" and (tmp_path / "b").read_text() == "a file"


HOLDS = """
import sys, time
from pyskl_semloss.errors import InputError
from pyskl_semloss.io.files import hold
try:
    with hold(sys.argv[1], "writes", beside=len(sys.argv) > 2):
        print("held", flush=True)
        time.sleep(float(sys.stdin.readline()))
except InputError as error:
    print(error, flush=True)
"""


@pytest.mark.parametrize("kind", ["file", "folder", "folder beside"])
def test_a_second_process_is_refused_until_the_first_has_ended(tmp_path, kind):
    target = tmp_path / "out"
    if kind != "file":
        target.mkdir()
    words = [target, "beside"] if kind == "folder beside" else [target]
    for how in ("ends", signal.SIGTERM, signal.SIGKILL):
        first = start(HOLDS, *words, stdin=subprocess.PIPE)
        assert first.stdout.readline() == "held\n"
        second = start(HOLDS, *words, stdin=subprocess.PIPE)
        refused = f"{target}: another process writes it. Wait for its end, or name another place.\n"
        assert second.communicate()[0] == refused
        with (
            pytest.raises(InputError, match="another process writes"),
            hold(*words[:1], "writes", beside=len(words) > 1),
        ):
            pass
        if how == "ends":
            first.communicate("0\n")
            assert list(tmp_path.rglob("*")) == ([] if kind == "file" else [target])
        else:
            end(first, how)
            first.stdin.close()
        with hold(target, "writes", beside=len(words) > 1):
            pass
    assert list(tmp_path.rglob("*")) == ([] if kind == "file" else [target])


def test_of_many_only_one_holds_it_at_a_time(tmp_path):
    code = """
import os, sys, time
from pyskl_semloss.errors import InputError
from pyskl_semloss.io.files import hold
end = time.monotonic() + 2
while time.monotonic() < end:
    try:
        with hold(sys.argv[1], "writes"):
            os.close(os.open(sys.argv[1] + ".alone", os.O_CREAT | os.O_EXCL))
            os.unlink(sys.argv[1] + ".alone")
    except InputError:
        pass
"""
    processes = [start(code, tmp_path / "out") for _ in range(3)]
    assert [process.wait(60) for process in processes] == [0, 0, 0]
    for process in processes:
        process.stdout.close()
    assert list(tmp_path.iterdir()) == []


def test_a_disk_without_locks_holds_nothing_and_keeps_temporary_files(tmp_path, monkeypatch):
    def flock(handle, kind):
        raise OSError(errno.ENOLCK, "no locks")

    (tmp_path / ".out.abcdefgh.tmp").write_text("of whom?")
    monkeypatch.setattr(files.fcntl, "flock", flock)
    with hold(tmp_path / "out", "writes"), hold(tmp_path / "out", "writes"):
        with atomic_write(tmp_path / "out") as stream:
            stream.write(b"x")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".out.abcdefgh.tmp", "out"]


def test_where_no_lock_can_be_made_it_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="out: it cannot be written: a part of the path is a file"):
        with hold(tmp_path / "file" / "out", "writes"):
            pass


def test_a_lock_that_a_child_inherits_outlives_a_killed_process(tmp_path):
    code = """
import subprocess, sys
from pyskl_semloss.io.files import hold
with hold(sys.argv[1], "writes") as handle:
    child = subprocess.Popen([sys.executable, "-c", "input()"], pass_fds=[handle])
    print("held", flush=True)
    child.wait()
"""
    process = start(code, tmp_path / "out", stdin=subprocess.PIPE)
    assert process.stdout.readline() == "held\n"
    end(process)
    with pytest.raises(InputError, match="another process"), hold(tmp_path / "out", "writes"):
        pass
    process.stdin.close()
    for _ in range(100):
        time.sleep(0.05)
        with contextlib.suppress(InputError), hold(tmp_path / "out", "writes"):
            break
    else:
        raise AssertionError("the lock was never given free")
