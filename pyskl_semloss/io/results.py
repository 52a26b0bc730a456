"""Writing of result files without overwriting a user's changes.

``.pyskl_semloss.sha256`` in a folder lists the checksums of its results in the format of ``sha256sum``. An existing
file whose checksum is not listed was changed or written by something else: it is kept.
"""

from __future__ import annotations

import argparse
import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from pyskl_semloss.errors import InputError
from pyskl_semloss.io.files import SAFE_FLAGS, atomic_path, explain_write_errors, sha256
from pyskl_semloss.io.reading import AnyPath, read_bytes

RECORD = ".pyskl_semloss.sha256"
OVERWRITE = "PYSKL_SEMLOSS_OVERWRITE"
"""Environment variable, set by ``--overwrite``, that allows replacing changed results."""


def add_overwrite_option(parser: argparse.ArgumentParser) -> None:
    """Add ``--overwrite``, which also affects child processes."""
    parser.add_argument(
        "--overwrite", action=_Overwrite, help="replace results that somebody changed or made otherwise, too"
    )


class _Overwrite(argparse.Action):
    def __init__(self, option_strings: Sequence[str], dest: str, **kwargs: Any) -> None:
        super().__init__(option_strings, dest, nargs=0, default=False, **kwargs)

    def __call__(self, parser: Any, namespace: argparse.Namespace, values: Any, option_string: Any = None) -> None:
        setattr(namespace, self.dest, True)
        os.environ[OVERWRITE] = "1"


def is_replaceable(path: AnyPath) -> bool:
    """Whether a path is free or holds an unchanged result of this package."""
    if os.environ.get(OVERWRITE) or not os.path.isfile(path) or not os.path.getsize(path):
        return True
    return _line(path, sha256(path)) in _recorded(path).split(b"\n")


def refuse_changed(*paths: AnyPath) -> None:
    """Refuse paths whose files would be lost, before the work begins.

    Raises:
        InputError: A file was changed since this package wrote it, or was written by something else.
    """
    for path in paths:
        if not is_replaceable(path):
            problem = "it is not as this program wrote it: somebody changed it, or made it otherwise"
            fix = "Move it elsewhere or name another place, or give --overwrite to replace it."
            raise InputError(problem, file=path, fix=fix)


@contextlib.contextmanager
def result_path(path: AnyPath, suffix: str = ".tmp") -> Iterator[str]:
    """Temporary path of a result, as :func:`pyskl_semloss.io.files.atomic_path`.

    A changed file is replaced only by the same bytes.

    Args:
        path: File to write.
        suffix: Ending of the temporary name.

    Raises:
        InputError: As :func:`refuse_changed`, or the file cannot be written.
    """
    with atomic_path(path, suffix) as temporary:
        yield temporary
        checksum = sha256(temporary)
        if not (os.path.isfile(path) and sha256(path) == checksum):
            refuse_changed(path)
        # Before the rename, so that a kill in between leaves no file without its checksum.
        _remember(path, checksum)


@contextlib.contextmanager
def result_file(path: AnyPath, mode: str = "wb", **kwargs: Any) -> Iterator[IO[Any]]:
    """Open result file, as :func:`pyskl_semloss.io.files.atomic_write`.

    A changed file is replaced only by the same bytes.

    Args:
        path: File to write.
        mode: ``"wb"`` or ``"w"``.
        **kwargs: Passed to :func:`open`.

    Raises:
        InputError: As :func:`refuse_changed`, or the file cannot be written.
    """
    with result_path(path) as temporary, open(temporary, mode, **kwargs) as stream:
        yield stream


@contextlib.contextmanager
def guard_results(*paths: AnyPath) -> Iterator[None]:
    """Guard results that the block writes atomically by itself.

    Raises:
        InputError: As :func:`refuse_changed`.
    """
    refuse_changed(*paths)
    yield
    for path in paths:
        _remember(path, sha256(path))


def _remember(path: AnyPath, checksum: str) -> None:
    line, before = _line(path, checksum), _recorded(path)
    if line in before.split(b"\n"):
        return
    with explain_write_errors(_record(path)):
        handle = os.open(_record(path), os.O_WRONLY | os.O_APPEND | os.O_CREAT | SAFE_FLAGS, 0o666)
        try:
            # One write call, so that other processes can append at the same time.
            os.write(handle, b"\n" * (before[-1:] not in (b"", b"\n")) + line + b"\n")
        finally:
            os.close(handle)


def _recorded(path: AnyPath) -> bytes:
    """Checksum lines of a folder."""
    # If the list cannot be read, no file counts as ours, and all are kept.
    with contextlib.suppress(InputError):
        return read_bytes(_record(path), 64 << 20)
    return b""


def _record(path: AnyPath) -> Path:
    return Path(path).parent / RECORD


def _line(path: AnyPath, checksum: str) -> bytes:
    """Line in the format of ``sha256sum``, with its escapes."""
    name = os.fsencode(Path(path).name)
    plain = name.replace(b"\\", b"\\\\").replace(b"\n", b"\\n").replace(b"\r", b"\\r")
    return b"\\" * (plain != name) + checksum.encode() + b"  " + plain
