"""Atomic writing of files and folders, locks, write errors, checksums."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import hashlib
import os
import re
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from pyskl_semloss.errors import HostError, InputError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

# errno: problem of a write, and its fix.
_ROOM = "Make room there, or name another place."
_WRITE_ERRORS = {
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
    errno.EMFILE: ("the system allows this process no more open files", "Allow more (ulimit -n 4096)."),
    errno.EIO: ("the disk reports an error", "Name a place on another disk."),
}
_LONGEST_NAME = 200
_TEMPORARY = ".tmp"
# Looked up here, so that no library is loaded while an untrusted file is read.
try:
    _rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
except TypeError:  # Windows
    _rename = None
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2
SAFE_FLAGS = sum(getattr(os, name, 0) for name in ("O_NOFOLLOW", "O_CLOEXEC", "O_BINARY"))
"""Flags for :func:`os.open`, as far as the system has them."""
_CLOSED = -1
DISK_FULL_BELOW = 1 << 16
"""Free bytes below which a failed write without an errno means a full disk."""


@contextlib.contextmanager
def explain_write_errors(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turn write errors of a block into an :class:`InputError` with cause and fix.

    Other errors pass. The causes of an error count, too, because libraries wrap the system's error.

    Args:
        path: File or folder that the block writes.

    Raises:
        InputError: The path cannot be written.
    """
    try:
        yield
    except (InputError, HostError):
        raise
    except Exception as error:
        explanation = _write_failure(error, Path(path))
        if explanation is None:
            raise
        problem, fix = explanation
        kept = " What was there before is untouched." if os.path.lexists(path) else ""
        raise InputError(f"it cannot be written: {problem}", file=path, fix=fix + kept) from None


def _write_failure(error: BaseException, path: Path) -> tuple[str, str] | None:
    """Problem and fix, if the error or one of its causes is a failure to write ``path``."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and _concerns(cause, path) and (cause is error or cause.errno in _WRITE_ERRORS):
            # Some libraries only report a short write.
            full = cause.errno is None and free_space(path) < DISK_FULL_BELOW
            return explain_write_error(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) if full else cause)
        cause = cause.__cause__ or cause.__context__
    return None


def explain_write_error(error: OSError) -> tuple[str, str]:
    """Problem and fix for a system error of a write."""
    if error.errno not in _WRITE_ERRORS:
        return error.strerror or str(error), "Name another place."
    problem, fix = _WRITE_ERRORS[error.errno]
    return f"{problem} ({error.strerror})", fix


def _concerns(error: OSError, path: Path) -> bool:
    """Whether an error concerns ``path``, its parents, its content or its temporary files."""
    # Errors of open streams have no file name.
    if not isinstance(error.filename, (str, os.PathLike)):
        return True
    name, target = os.path.realpath(error.filename), os.path.realpath(path)
    temporary = os.path.join(os.path.dirname(target), temporary_prefix(Path(target)))
    with contextlib.suppress(ValueError):  # two disks of Windows
        return name.startswith(temporary) or os.path.commonpath([name, target]) in (name, target)
    return False


def free_space(path: str | os.PathLike[str]) -> int:
    """Free bytes on the disk of ``path``, which need not exist."""
    existing = Path(os.path.realpath(path))
    while not existing.exists():
        existing = existing.parent
    return shutil.disk_usage(existing).free


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike[str], suffix: str = ".tmp") -> Iterator[str]:
    """Temporary path beside ``path``, renamed to it when the block succeeds.

    Missing parent folders are created. The file is synced before it is renamed. On an error the old file is untouched
    and the temporary file is removed. Temporary files of killed processes are removed, too.

    Args:
        path: File to write.
        suffix: Ending of the temporary name, for writers that depend on it, such as ``".mp4"``.

    Yields:
        Path of an empty temporary file.

    Raises:
        InputError: The file cannot be written.
    """
    target = Path(path)
    with explain_write_errors(path):
        target.parent.mkdir(parents=True, exist_ok=True)
        remove_abandoned(target)
    ending = suffix if suffix == _TEMPORARY else _TEMPORARY + suffix
    # The second inside: after the temporary file is removed, a full disk is not full any more.
    with _temporary(path, target, ending, _new_file) as (_, temporary), explain_write_errors(path):
        yield temporary
        sync(temporary)
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)
        os.replace(temporary, target)


@contextlib.contextmanager
def atomic_write(path: str | os.PathLike[str], mode: str = "wb", **kwargs: Any) -> Iterator[IO[Any]]:
    """Open file that replaces ``path`` when the block succeeds; see :func:`atomic_path`.

    Args:
        path: File to write.
        mode: ``"wb"`` or ``"w"``.
        **kwargs: Passed to :func:`open` (``encoding``, ``newline``).

    Raises:
        InputError: The file cannot be written; the message has cause and fix.
    """
    with atomic_path(path) as temporary, open(temporary, mode, **kwargs) as stream:
        yield stream


@contextlib.contextmanager
def _temporary(
    path: str | os.PathLike[str], target: Path, ending: str, create: Callable[[str], int | None]
) -> Iterator[tuple[int, str]]:
    """New locked file or folder beside a target, removed at the end if it still exists."""
    name = ""
    handle: int | None = None
    try:
        while handle is None:
            # The name is set before the file exists, so that a signal in between leaves no file.
            name = f"{target.parent / temporary_prefix(target)}{secrets.token_hex(4)}{ending}"
            with explain_write_errors(path):
                handle = create(name)
            if handle is not None and handle != _CLOSED and not (mark_in_use(handle) and _is_at(handle, name)):
                # Another writer of the target removed it as abandoned before it was locked.
                os.close(handle)
                handle = None
        yield handle, name
    finally:
        if os.path.isdir(name):
            shutil.rmtree(name, ignore_errors=True)
        elif os.path.lexists(name):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name)
        if handle is not None and handle != _CLOSED:
            os.close(handle)


def _new_file(name: str) -> int | None:
    """Handle of a new file, or None where the name exists."""
    with contextlib.suppress(FileExistsError):
        handle = os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL | SAFE_FLAGS, 0o600)
        if fcntl is not None:
            return handle
        # Windows has no flock, and cannot rename an open file.
        os.close(handle)
        return _CLOSED
    return None


def _new_folder(name: str) -> int | None:
    """Handle of a new folder, or None where the name exists or another writer removed it."""
    with contextlib.suppress(FileExistsError):
        os.mkdir(name, 0o700)
        if fcntl is None:
            return _CLOSED
        with contextlib.suppress(FileNotFoundError):
            return os.open(name, os.O_RDONLY)
    return None


@contextlib.contextmanager
def atomic_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Temporary folder beside ``path``, renamed to it when the block succeeds.

    ``path`` always holds the complete old or the complete new folder, also when the process is killed. On an error the
    old folder is untouched. Temporary folders of killed processes are removed.

    Args:
        path: Folder to create. If it is a link, the folder that it points to is replaced.

    Yields:
        Empty temporary folder; the block must sync its files.

    Raises:
        InputError: The folder cannot be written.
    """
    target = Path(os.path.realpath(path))
    with explain_write_errors(path):
        target.parent.mkdir(parents=True, exist_ok=True)
        restore_folder(target)
        shutil.rmtree(_replaced(target), ignore_errors=True)
        remove_abandoned(target)
    with _temporary(path, target, _TEMPORARY, _new_folder) as (handle, name), explain_write_errors(path):
        folder = Path(name)
        umask = os.umask(0)
        os.umask(umask)
        folder.chmod(0o777 & ~umask)
        yield folder
        if handle != _CLOSED:
            os.fsync(handle)
        _replace_folder(folder, target)


def _replace_folder(new: Path, target: Path) -> None:
    """Replace a folder by another, which is moved to the other's name or removed."""
    try:
        os.rename(new, target)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
    else:
        return
    try:
        _exchange(new, target)
    except OSError:
        # Two steps; after a kill between them, restore_folder brings the old folder back.
        old = _replaced(target)
        shutil.rmtree(old, ignore_errors=True)
        os.rename(target, old)
        try:
            os.rename(new, target)
        except BaseException:
            os.rename(old, target)
            raise
        shutil.rmtree(old, ignore_errors=True)


def _exchange(first: Path, second: Path) -> None:
    """Exchange two paths atomically (Linux); open files stay open."""
    if _rename is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    if _rename(_AT_FDCWD, os.fsencode(first), _AT_FDCWD, os.fsencode(second), _RENAME_EXCHANGE):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), os.fspath(first), None, os.fspath(second))


def restore_folder(path: str | os.PathLike[str]) -> None:
    """Restore a folder whose replacement in two steps was killed in between."""
    target = Path(os.path.realpath(path))
    if not os.path.lexists(target):
        with contextlib.suppress(OSError):
            os.rename(_replaced(target), target)


def _replaced(target: Path) -> Path:
    return target.parent / f"{temporary_prefix(target)}replaced"


def sync(path: str | os.PathLike[str]) -> None:
    """Flush a file to the disk."""
    # Opened for writing: Windows flushes only such handles.
    handle = os.open(path, os.O_RDWR | SAFE_FLAGS)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def temporary_prefix(target: Path) -> str:
    """Prefix of temporary names of a file or folder, cut to the limit of 255 bytes."""
    name = target.name
    if len(name.encode(errors="surrogateescape")) > _LONGEST_NAME:
        name = name.encode(errors="surrogateescape")[:_LONGEST_NAME].decode(errors="ignore")
    return f".{name}."


def _lock(handle: int) -> None:
    """Lock an open file or folder without waiting.

    Raises:
        BlockingIOError: Another process, or another handle, holds the lock.
        OSError: The disk or the system does not support flock.
    """
    if fcntl is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


def mark_in_use(handle: int) -> bool:
    """Lock an open temporary file or folder against :func:`remove_abandoned`.

    Returns:
        False if another process is just removing it.
    """
    # Some network disks, and Windows, have no flock; there temporary files remain.
    with contextlib.suppress(OSError):
        try:
            _lock(handle)
        except BlockingIOError:
            return False
    return True


def remove_abandoned(target: Path) -> None:
    """Remove temporary files and folders of a target left by killed processes."""
    _remove_unused(target.parent, re.escape(temporary_prefix(target)))


def remove_all_abandoned(folder: str | os.PathLike[str]) -> list[Path]:
    """Remove all temporary files left by killed processes in a folder; return their paths."""
    return _remove_unused(Path(folder), r"\..+\.")


def _remove_unused(folder: Path, prefix: str) -> list[Path]:
    pattern = re.compile(prefix + r"[a-z0-9_]{8}\.tmp(\.[a-z0-9]+)?")
    entries: list[os.DirEntry[str]] = []
    with contextlib.suppress(OSError):
        entries = [entry for entry in os.scandir(folder) if pattern.fullmatch(entry.name)]
    for entry in entries:
        _remove_unless_in_use(entry)
    return [Path(entry.path) for entry in entries if not os.path.lexists(entry.path)]


def _remove_unless_in_use(entry: os.DirEntry[str]) -> None:
    with contextlib.suppress(OSError):
        handle = os.open(entry.path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | SAFE_FLAGS)
        try:
            _lock(handle)
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path, ignore_errors=True)
            else:
                os.unlink(entry.path)
        finally:
            os.close(handle)


INHERITED_LOCK = "PYSKL_SEMLOSS_HELD"
"""Environment variable with the descriptor of a lock that a child process inherits."""
_lock_handles: set[int] = set()


def _close_lock_handles() -> None:
    """Close locks in a forked child: it may briefly outlive its killed parent, and must not extend the lock."""
    for handle in _lock_handles:
        with contextlib.suppress(OSError):
            os.close(handle)
    _lock_handles.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_lock_handles)


@contextlib.contextmanager
def acquire_lock(
    path: str | os.PathLike[str], activity: str, *, beside: bool = False, timeout: float = 0.0
) -> Iterator[int]:
    """Exclusive lock for writing a folder or a file.

    The lock is a hidden file in the folder or beside the file, and is removed at the end. It ends with the process and
    with all child processes that inherit its descriptor and have it in the environment variable of
    :data:`INHERITED_LOCK`. On a disk without flock, and on Windows, there is no lock.

    Args:
        path: Existing folder, or file to write.
        activity: Activity of the other process for the message, such as ``"trains in"``.
        beside: Put the lock of a folder beside it, for a folder that is replaced as a whole.
        timeout: Seconds to wait for another process.

    Yields:
        Descriptor of the lock, which child processes can inherit; -1 on Windows.

    Raises:
        InputError: Another process holds the lock.
    """
    if fcntl is None:
        yield _CLOSED
        return
    target = Path(os.path.realpath(path))
    inside = target.is_dir() and not beside
    name = target / ".lock" if inside else target.parent / f"{temporary_prefix(target)}lock"
    inherited = _inherited(name)
    with explain_write_errors(path):
        name.parent.mkdir(parents=True, exist_ok=True)
        handle = inherited if inherited is not None else _open_locked(name, timeout)
    if handle is None:
        fix = "Wait for its end, or name another place."
        raise InputError(f"another process {activity} it", file=path, fix=fix)
    _lock_handles.add(handle)
    try:
        yield handle
    finally:
        _lock_handles.discard(handle)
        if inherited is None:
            # Removed before it is released: no other process can hold it yet.
            with contextlib.suppress(OSError):
                os.unlink(name)
            os.close(handle)


def _inherited(name: Path) -> int | None:
    """Descriptor of the parent's lock, verified by its file; None if there is none."""
    try:
        handle = int(os.environ.get(INHERITED_LOCK, ""))
        if handle in _lock_handles or not _is_at(handle, name):
            return None
        _lock(handle)
        os.set_inheritable(handle, False)
    except (ValueError, OSError):
        return None
    return handle


def _open_locked(name: Path, timeout: float) -> int | None:
    """Descriptor of a locked file, or None after the timeout."""
    end = time.monotonic() + timeout
    while True:
        handle = os.open(name, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o666)
        try:
            _lock(handle)
        except BlockingIOError:
            os.close(handle)
            if time.monotonic() >= end:
                return None
            time.sleep(0.05)
            continue
        except OSError:
            return handle
        if _is_at(handle, name):
            return handle
        # The previous holder removed the file after we had opened it.
        os.close(handle)


def _is_at(handle: int, name: str | os.PathLike[str]) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(handle), os.stat(name))
    return False


def sha256(path: str | os.PathLike[str]) -> str:
    """Hexadecimal SHA-256 of a file."""
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
