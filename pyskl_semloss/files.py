"""Files that are whole or absent: atomic writing, what a failure to write means, checksums."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

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
    temporary = os.path.join(os.path.dirname(here), f".{os.path.basename(here)}.")
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

    Missing parent folders are made. On an error the old file is untouched and the temporary file is removed.

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
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=suffix)
        os.close(handle)
    try:
        # Inside, because a full disk is not full any more when the temporary file is gone.
        with writing(path):
            yield temporary
            umask = os.umask(0)
            os.umask(umask)
            os.chmod(temporary, 0o666 & ~umask)
            os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


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
        stream.flush()
        os.fsync(stream.fileno())


def sha256(path: str | os.PathLike[str]) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
