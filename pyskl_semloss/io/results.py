"""Results that a person may have changed: they are replaced only where they are still as this package wrote them.

Beside its results in a folder lies ``.pyskl_semloss.sha256``, which lists their checksums as ``sha256sum`` does. A file
that is there, but not with one of the sums of its name, was changed, or somebody else made it: it is kept.
"""

from __future__ import annotations

import argparse
import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from pyskl_semloss.errors import InputError
from pyskl_semloss.io.files import SAFE_FLAGS, atomic_path, sha256, writing
from pyskl_semloss.io.reading import AnyPath, read_bytes

RECORD = ".pyskl_semloss.sha256"
OVERWRITE = "PYSKL_SEMLOSS_OVERWRITE"
"""Set in the environment, it lets results be replaced whatever became of them; ``--overwrite`` of the tools sets it."""


def add_overwrite(parser: argparse.ArgumentParser) -> None:
    """``--overwrite``, which counts from when it is read on, also in the processes that are started."""
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
    """Whether nothing of anybody's is lost when a result takes this name: nothing is there, or what we wrote."""
    if os.environ.get(OVERWRITE) or not os.path.isfile(path) or not os.path.getsize(path):
        return True
    return _line(path, sha256(path)) in _content(path).split(b"\n")


def refuse_changed(*paths: AnyPath) -> None:
    """Before work whose results would take these names.

    Raises:
        InputError: One of them is a file that was changed since it was written, or that somebody else made.
    """
    for path in paths:
        if not is_replaceable(path):
            problem = "it is not as this program wrote it: somebody changed it, or made it otherwise"
            fix = "Move it elsewhere or name another place, or give --overwrite to replace it."
            raise InputError(problem, file=path, fix=fix)


@contextlib.contextmanager
def result_path(path: AnyPath, suffix: str = ".tmp") -> Iterator[str]:
    """As :func:`pyskl_semloss.io.files.atomic_path`, for a result: what somebody changed is not replaced.

    What is replaced by the same bytes is no loss.

    Args:
        path: The file to write.
        suffix: Ending of the temporary name.

    Raises:
        InputError: As :func:`refuse_changed`, or the file cannot be written.
    """
    with atomic_path(path, suffix) as temporary:
        yield temporary
        checksum = sha256(temporary)
        if not (os.path.isfile(path) and sha256(path) == checksum):
            refuse_changed(path)
        # First, so that a kill in between does not make a stranger of it.
        _remember(path, checksum)


@contextlib.contextmanager
def result_file(path: AnyPath, mode: str = "wb", **kwargs: Any) -> Iterator[IO[Any]]:
    """As :func:`pyskl_semloss.io.files.atomic_write`, for a result: what somebody changed is not replaced.

    Args:
        path: The file to write.
        mode: ``"wb"`` or ``"w"``.
        **kwargs: Passed to :func:`open`.

    Raises:
        InputError: As :func:`refuse_changed`, or the file cannot be written.
    """
    with result_path(path) as temporary, open(temporary, mode, **kwargs) as stream:
        yield stream


@contextlib.contextmanager
def guarded(*paths: AnyPath) -> Iterator[None]:
    """Around code that writes results by itself, each whole or not at all.

    Raises:
        InputError: As :func:`refuse_changed`.
    """
    refuse_changed(*paths)
    yield
    for path in paths:
        _remember(path, sha256(path))


def _remember(path: AnyPath, checksum: str) -> None:
    line, before = _line(path, checksum), _content(path)
    if line in before.split(b"\n"):
        return
    with writing(_record(path)):
        handle = os.open(_record(path), os.O_WRONLY | os.O_APPEND | os.O_CREAT | SAFE_FLAGS, 0o666)
        try:
            # In one piece, so that others may append at the same time.
            os.write(handle, b"\n" * (before[-1:] not in (b"", b"\n")) + line + b"\n")
        finally:
            os.close(handle)


def _content(path: AnyPath) -> bytes:
    """What is recorded of a folder."""
    # Whatever is wrong with it, the files are then not known to be ours, and kept.
    with contextlib.suppress(InputError):
        return read_bytes(_record(path), 64 << 20)
    return b""


def _record(path: AnyPath) -> Path:
    return Path(path).parent / RECORD


def _line(path: AnyPath, checksum: str) -> bytes:
    """A line of ``sha256sum``, which escapes what would break it."""
    name = os.fsencode(Path(path).name)
    plain = name.replace(b"\\", b"\\\\").replace(b"\n", b"\\n").replace(b"\r", b"\\r")
    return b"\\" * (plain != name) + checksum.encode() + b"  " + plain
