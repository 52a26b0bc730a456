"""Files that are whole or absent: atomic writing, locks, what a failure to write means, checksums."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from filelock import FileLock, Timeout

from pyskl_semloss.errors import HostError, InputError

# errno: what it means for a file that is written, and what to do about it.
_ROOM = "Make room there, or name another place."
_REASONS = {
    errno.ENOSPC: ("the disk is full", _ROOM),
    errno.EDQUOT: ("your quota of this disk is used up", _ROOM),
    errno.EFBIG: ("it would be larger than the disk or a limit (ulimit -f) allows", _ROOM),
    errno.EROFS: ("the disk is mounted read-only", "Name another place."),
    errno.EACCES: ("you have no permission to write there", "Change the permissions of the folder, or name another."),
    errno.EPERM: ("you have no permission to write there", "Change the permissions of the folder, or name another."),
    errno.EISDIR: ("there is a folder of this name", "Name another file, or remove the folder."),
    errno.ENOTDIR: ("a part of the path is a file, not a folder", "Name another place."),
    errno.EEXIST: ("a part of the path is a file, not a folder", "Name another place."),
    errno.ENOENT: ("a folder of the path is not there and cannot be made", "Name another place."),
    errno.ENAMETOOLONG: ("the name is too long", "Choose a shorter one."),
    errno.EIO: ("the disk reports an error", "Name a place on another disk."),
}
_LONGEST_NAME = 200
LITTLE = 1 << 16
"""Bytes; a disk with less than that is called full where the error itself says nothing."""


@contextlib.contextmanager
def writing(path: str | os.PathLike[str]) -> Iterator[None]:
    """Around code that writes ``path``: a failure to write becomes an :class:`InputError` that says why and what to do.

    Every other error passes. Libraries hide the system's error behind their own, so their causes are looked at, too.

    Args:
        path: The file or folder that is written.

    Raises:
        InputError: It cannot be written.
    """
    try:
        yield
    except (InputError, HostError):
        raise
    except Exception as error:
        reason = _reason(error, Path(path))
        if reason is None:
            raise
        problem, fix = reason
        kept = " What was there before is untouched." if os.path.lexists(path) else ""
        raise InputError(f"it cannot be written: {problem}", file=path, fix=fix + kept) from None


def _reason(error: BaseException, path: Path) -> tuple[str, str] | None:
    """Problem and fix, where the error or what caused it is a failure to write ``path``."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and _is_of(cause, path) and (cause is error or cause.errno in _REASONS):
            # Some libraries tell only that less was written than they wanted.
            full = cause.errno is None and free_space(path) < LITTLE
            return why_not_written(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) if full else cause)
        cause = cause.__cause__ or cause.__context__
    return None


def why_not_written(error: OSError) -> tuple[str, str]:
    """What a system's error means for something that is written, and what to do about it."""
    if error.errno not in _REASONS:
        return error.strerror or str(error), "Name another place."
    problem, fix = _REASONS[error.errno]
    return f"{problem} ({error.strerror})", fix


def _is_of(error: OSError, path: Path) -> bool:
    """Whether an error concerns ``path``, a folder above, or what is in it or temporary; open streams name no file."""
    if not isinstance(error.filename, (str, os.PathLike)):
        return True
    name, here = os.path.realpath(error.filename), os.path.realpath(path)
    temporary = os.path.join(os.path.dirname(here), temporary_prefix(Path(here)))
    return name.startswith(temporary) or os.path.commonpath([name, here]) in (name, here)


def free_space(path: str | os.PathLike[str]) -> int:
    """Bytes that are free for users on the disk where ``path`` is, or would be."""
    place = Path(os.path.realpath(path))
    while not place.exists():
        place = place.parent
    return shutil.disk_usage(place).free


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike[str], suffix: str = ".tmp") -> Iterator[str]:
    """A temporary file beside ``path`` that takes its name only when the block ends without an error.

    Missing parent folders are made. The file is on the disk before it takes its name. On an error the old file is
    untouched and the temporary file is removed; what a killed process left of an earlier one is removed, too.

    Args:
        path: The file to write.
        suffix: Ending of the temporary name, for writers that go by it.

    Yields:
        The temporary path; there is an empty file.

    Raises:
        InputError: The file cannot be written.
    """
    target = Path(path)
    with writing(path):
        target.parent.mkdir(parents=True, exist_ok=True)
        remove_abandoned(target)
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=temporary_prefix(target), suffix=suffix)
    try:
        mark_in_use(handle)
        # Inside, because a full disk is not full any more when the temporary file is gone.
        with writing(path):
            yield temporary
            sync(temporary)
            umask = os.umask(0)
            os.umask(umask)
            os.chmod(temporary, 0o666 & ~umask)
            os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    finally:
        os.close(handle)


@contextlib.contextmanager
def atomic_write(path: str | os.PathLike[str], mode: str = "wb", **kwargs: Any) -> Iterator[IO[Any]]:
    """Open a temporary file beside ``path`` that takes its name only when the block ends without an error.

    Missing parent folders are made. On an error the old file is untouched and the temporary file is removed.

    Args:
        path: The file to write.
        mode: ``"wb"`` or ``"w"``.
        **kwargs: Passed to :func:`open` (``encoding``, ``newline``).

    Raises:
        InputError: The file cannot be written; the message says why and what to do.
    """
    with atomic_path(path) as temporary, open(temporary, mode, **kwargs) as stream:
        yield stream


def sync(path: str | os.PathLike[str]) -> None:
    """Wait until the bytes of a file are on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def temporary_prefix(target: Path) -> str:
    """How the temporary names of a file or folder begin; cut, because a name has at most 255 bytes."""
    name = target.name
    if len(name.encode(errors="surrogateescape")) > _LONGEST_NAME:
        name = name.encode(errors="surrogateescape")[:_LONGEST_NAME].decode(errors="ignore")
    return f".{name}."


def mark_in_use(handle: int) -> None:
    """Lock an open temporary file, or folder, until this process closes it or dies: see :func:`remove_abandoned`."""
    # Some network disks have no locks; there temporary files stay.
    with contextlib.suppress(OSError):
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


def remove_abandoned(target: Path) -> None:
    """Remove the temporary files, or folders, of a target that were left by killed processes, not those in use."""
    ours = re.compile(re.escape(temporary_prefix(target)) + r"[a-z0-9_]{8}\.[a-z0-9]{3}")
    with contextlib.suppress(OSError):
        for entry in [entry for entry in os.scandir(target.parent) if ours.fullmatch(entry.name)]:
            handle = os.open(entry.path, os.O_RDONLY | os.O_NONBLOCK)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if entry.is_dir(follow_symlinks=False):
                    shutil.rmtree(entry.path, ignore_errors=True)
                else:
                    os.unlink(entry.path)
            except OSError:
                continue
            finally:
                os.close(handle)


@contextlib.contextmanager
def hold(path: str | os.PathLike[str], doing: str) -> Iterator[FileLock]:
    """Hold the only right to write a folder or a file, so that two processes do not mix what they write.

    The lock ends with the process, however that ends. It lies in a hidden file, in the folder or beside the file.

    Args:
        path: A folder that is there, or the file that will be written.
        doing: What the other process does, for the message, such as ``"trains in"``.

    Raises:
        InputError: Another process holds it.
    """
    target = Path(path)
    name = target / ".lock" if target.is_dir() else target.parent / f"{temporary_prefix(target)}lock"
    with writing(path):
        name.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(name, timeout=0)
        try:
            lock.acquire()
        except Timeout:
            fix = "Wait for its end, or name another place."
            raise InputError(f"another process {doing} it", file=path, fix=fix) from None
    try:
        yield lock
    finally:
        lock.release()


def sha256(path: str | os.PathLike[str]) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
