"""Files and folders that are whole or absent: atomic writing, locks, what a failure to write means, checksums."""

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
    errno.EMFILE: ("the system allows this process no more open files", "Allow more (ulimit -n 4096)."),
    errno.EIO: ("the disk reports an error", "Name a place on another disk."),
}
_LONGEST_NAME = 200
_TEMPORARY = ".tmp"
# Looked up here, before any file is read, so that nothing that happens while one is read loads a library.
try:
    _rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
except TypeError:  # Windows
    _rename = None
_HERE, _EXCHANGE = -100, 2
"""AT_FDCWD and RENAME_EXCHANGE of Linux."""
SAFE_FLAGS = sum(getattr(os, name, 0) for name in ("O_NOFOLLOW", "O_CLOEXEC", "O_BINARY"))
"""For :func:`os.open`: those that the system has."""
_CLOSED = -1
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
    with contextlib.suppress(ValueError):  # two disks of Windows
        return name.startswith(temporary) or os.path.commonpath([name, here]) in (name, here)
    return False


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
        suffix: Ending of the temporary name, for writers that go by it, such as ``".mp4"``.

    Yields:
        The temporary path; there is an empty file.

    Raises:
        InputError: The file cannot be written.
    """
    target = Path(path)
    with writing(path):
        target.parent.mkdir(parents=True, exist_ok=True)
        remove_abandoned(target)
    ending = suffix if suffix == _TEMPORARY else _TEMPORARY + suffix
    # The second inside, because a full disk is not full any more when the temporary file is gone.
    with _temporary(path, target, ending, _new_file) as (_, temporary), writing(path):
        yield temporary
        sync(temporary)
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)
        os.replace(temporary, target)


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


@contextlib.contextmanager
def _temporary(
    path: str | os.PathLike[str], target: Path, ending: str, make: Callable[[str], int | None]
) -> Iterator[tuple[int, str]]:
    """A new file or folder beside a target, open and marked as in use; at the end it is removed if still there."""
    name = ""
    handle: int | None = None
    try:
        while handle is None:
            # The name is known before anything has it, so that a signal in between leaves nothing.
            name = f"{target.parent / temporary_prefix(target)}{secrets.token_hex(4)}{ending}"
            with writing(path):
                handle = make(name)
            if handle is not None and handle != _CLOSED and not (mark_in_use(handle) and _is_at(handle, name)):
                # Another writer of the target took it for abandoned before it was marked.
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
    """Its handle, or None where something has that name."""
    with contextlib.suppress(FileExistsError):
        handle = os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL | SAFE_FLAGS, 0o600)
        if fcntl is not None:
            return handle
        # Nothing can be locked, and Windows renames no open file.
        os.close(handle)
        return _CLOSED
    return None


def _new_folder(name: str) -> int | None:
    """Its handle, or None where something has that name, or another writer has removed it."""
    with contextlib.suppress(FileExistsError):
        os.mkdir(name, 0o700)
        if fcntl is None:
            return _CLOSED
        with contextlib.suppress(FileNotFoundError):
            return os.open(name, os.O_RDONLY)
    return None


@contextlib.contextmanager
def atomic_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A temporary folder beside ``path`` that takes its place only when the block ends without an error.

    At every moment the old folder, or the new one, is whole at ``path``, also when the process is killed. On an error
    the old folder is untouched. What a killed process left of an earlier one is removed.

    Args:
        path: The folder to make. Where the name is a link, the folder behind it is replaced.

    Yields:
        The temporary folder, empty; its files must be on the disk when the block ends.

    Raises:
        InputError: The folder cannot be written.
    """
    target = Path(os.path.realpath(path))
    with writing(path):
        target.parent.mkdir(parents=True, exist_ok=True)
        restore_folder(target)
        shutil.rmtree(_replaced(target), ignore_errors=True)
        remove_abandoned(target)
    with _temporary(path, target, _TEMPORARY, _new_folder) as (handle, name), writing(path):
        folder = Path(name)
        umask = os.umask(0)
        os.umask(umask)
        folder.chmod(0o777 & ~umask)
        yield folder
        if handle != _CLOSED:
            os.fsync(handle)
        _replace_folder(folder, target)


def _replace_folder(new: Path, target: Path) -> None:
    """Put a folder in the place of another, which is then at the name of the new one, or gone."""
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
        # Two steps; what a kill between them leaves is brought back by restore_folder.
        old = _replaced(target)
        shutil.rmtree(old, ignore_errors=True)
        os.rename(target, old)
        try:
            os.rename(new, target)
        except BaseException:
            os.rename(old, target)
            raise
        shutil.rmtree(old, ignore_errors=True)


def _exchange(one: Path, other: Path) -> None:
    """Exchange two names in one step (Linux); whoever has a file open in one of them keeps it."""
    if _rename is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    if _rename(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _EXCHANGE):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), os.fspath(one), None, os.fspath(other))


def restore_folder(path: str | os.PathLike[str]) -> None:
    """Bring back a folder whose replacement was killed between its two steps, where one step is not possible."""
    target = Path(os.path.realpath(path))
    if not os.path.lexists(target):
        with contextlib.suppress(OSError):
            os.rename(_replaced(target), target)


def _replaced(target: Path) -> Path:
    return target.parent / f"{temporary_prefix(target)}replaced"


def sync(path: str | os.PathLike[str]) -> None:
    """Wait until the bytes of a file are on the disk."""
    # For writing: Windows flushes no other.
    handle = os.open(path, os.O_RDWR | SAFE_FLAGS)
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


def _lock(handle: int) -> None:
    """Lock an open file or folder.

    Raises:
        BlockingIOError: Another process, or another handle, has locked it.
        OSError: The disk has no locks, or the system not those of Linux and macOS.
    """
    if fcntl is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


def mark_in_use(handle: int) -> bool:
    """Lock an open temporary file, or folder, until this process closes it or dies: see :func:`remove_abandoned`.

    Returns:
        Whether it is ours: False where another process is just removing it.
    """
    # Some network disks, and Windows, have no locks; there temporary files stay.
    with contextlib.suppress(OSError):
        try:
            _lock(handle)
        except BlockingIOError:
            return False
    return True


def remove_abandoned(target: Path) -> None:
    """Remove the temporary files, or folders, of a target that were left by killed processes, not those in use."""
    _remove_unused(target.parent, re.escape(temporary_prefix(target)))


def remove_all_abandoned(folder: str | os.PathLike[str]) -> list[Path]:
    """Remove, and return, what killed processes left in a folder of temporary files of whatever target."""
    return _remove_unused(Path(folder), r"\..+\.")


def _remove_unused(folder: Path, prefix: str) -> list[Path]:
    ours = re.compile(prefix + r"[a-z0-9_]{8}\.tmp(\.[a-z0-9]+)?")
    found: list[os.DirEntry[str]] = []
    with contextlib.suppress(OSError):
        found = [entry for entry in os.scandir(folder) if ours.fullmatch(entry.name)]
    for entry in found:
        _remove_unless_in_use(entry)
    return [Path(entry.path) for entry in found if not os.path.lexists(entry.path)]


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


HELD = "PYSKL_SEMLOSS_HELD"
"""In the environment of a process that inherits a lock of :func:`hold`: its descriptor."""
_held: set[int] = set()


def _close_held() -> None:
    """Forked workers live on for a moment when the process that holds a lock is killed; the lock ends with it."""
    for handle in _held:
        with contextlib.suppress(OSError):
            os.close(handle)
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_held)


@contextlib.contextmanager
def hold(path: str | os.PathLike[str], doing: str, *, beside: bool = False, patience: float = 0.0) -> Iterator[int]:
    """Hold the only right to write a folder or a file, so that two processes do not mix what they write.

    The lock ends with the process, however that ends, and with the programs that it lets inherit the descriptor and
    tells so by ``HELD`` in their environment. It is a hidden file, in the folder or beside the file, that is removed at
    the end. On a disk without locks, and on Windows, nothing is held.

    Args:
        path: A folder that is there, or the file that will be written.
        doing: What the other process does, for the message, such as ``"trains in"``.
        beside: Put the lock beside a folder, too, for one that is replaced as a whole.
        patience: Seconds to wait for another process, which may be about to end.

    Yields:
        The descriptor of the lock; a process that inherits it holds the lock as well. -1 on Windows.

    Raises:
        InputError: Another process holds it.
    """
    if fcntl is None:
        yield _CLOSED
        return
    target = Path(os.path.realpath(path))
    inside = target.is_dir() and not beside
    name = target / ".lock" if inside else target.parent / f"{temporary_prefix(target)}lock"
    inherited = _inherited(name)
    with writing(path):
        name.parent.mkdir(parents=True, exist_ok=True)
        handle = inherited if inherited is not None else _locked(name, patience)
    if handle is None:
        fix = "Wait for its end, or name another place."
        raise InputError(f"another process {doing} it", file=path, fix=fix)
    _held.add(handle)
    try:
        yield handle
    finally:
        _held.discard(handle)
        if inherited is None:
            # Before it is given free: nobody else can hold it yet.
            with contextlib.suppress(OSError):
                os.unlink(name)
            os.close(handle)


def _inherited(name: Path) -> int | None:
    """The descriptor of a lock that the process which started this one holds; the number alone proves nothing."""
    try:
        handle = int(os.environ.get(HELD, ""))
        if handle in _held or not _is_at(handle, name):
            return None
        _lock(handle)
        os.set_inheritable(handle, False)
    except (ValueError, OSError):
        return None
    return handle


def _locked(name: Path, patience: float) -> int | None:
    """A descriptor of a locked file; None where another process holds it for longer than some seconds."""
    end = time.monotonic() + patience
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
        # The one before removed it after we had opened it.
        os.close(handle)


def _is_at(handle: int, name: str | os.PathLike[str]) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(handle), os.stat(name))
    return False


def sha256(path: str | os.PathLike[str]) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
