"""Opening what came from outside: regular files up to a stated size, as bytes, text or JSON; and showing it safely.

A pipe would make a reader wait for ever and a device may have no end, so that only regular files are opened.
"""

from __future__ import annotations

import contextlib
import json
import os
import reprlib
import stat
import unicodedata
from collections.abc import Iterator
from typing import IO, Any

import numpy as np

from pyskl_semloss.errors import InputError

AnyPath = str | os.PathLike[str]

TEXT_LIMIT = 16 << 20
"""Bytes of a list of names or ids, and of a JSON file."""
TABLE_LIMIT = 128 << 20
"""Bytes of a CSV file of a raw data set."""
WHOLE_LIMIT = 16 << 30
"""Bytes of any other file that is read whole."""
_SMALL, _RATIO = 64 << 20, 32
_STORE = "store.json"
_KINDS = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}


def memory_limit(size: int) -> int:
    """Bytes that the content of a compressed or pickled file of ``size`` bytes may take: 64 MiB and 32 times its size.

    Honest files stay far below it; a file of some kilobytes that unfolds to gigabytes does not.
    """
    return _SMALL + _RATIO * size


@contextlib.contextmanager
def open_regular(path: AnyPath, limit: int | None = None) -> Iterator[IO[bytes]]:
    """Open a file for reading in binary; anything but a regular file is refused at once.

    Args:
        path: The file; links are followed.
        limit: The most bytes that it may have.

    Raises:
        InputError: There is no such file, it cannot be opened, is no regular file, or is too large.
    """
    try:
        # Without O_NONBLOCK, opening a pipe waits for somebody to write into it.
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
    except FileNotFoundError:
        raise InputError("there is no such file", file=path) from None
    except (OSError, ValueError) as error:
        raise InputError(f"the file cannot be read ({reason(error)})", file=path) from None
    try:
        status = os.fstat(handle)
        kind = stat.S_IFMT(status.st_mode)
        if kind != stat.S_IFREG:
            fix = None if kind == stat.S_IFDIR else "Save its content as a file and give that."
            if fix is None and os.path.isfile(os.path.join(path, _STORE)):
                fix = "It is a keypoint store; tools/prepare_data.py pickle makes a file of it."
            problem = f"the file cannot be read (it is {_KINDS.get(kind, 'a device')}, expected a regular file)"
            raise InputError(problem, file=path, fix=fix)
        if limit is not None and status.st_size > limit:
            raise InputError(f"it has {status.st_size} bytes, more than the {limit} that such a file may", file=path)
        stream = os.fdopen(handle, "rb")
    except BaseException:
        os.close(handle)
        raise
    with stream:
        yield stream


def read_bytes(path: AnyPath, limit: int = WHOLE_LIMIT) -> bytes:
    """All bytes of a file.

    Raises:
        InputError: As :func:`open_regular`, or it cannot be read or grows while it is.
    """
    with open_regular(path, limit) as stream:
        size = os.fstat(stream.fileno()).st_size
        try:
            data = stream.read(size + 1)
        except (OSError, MemoryError) as error:
            raise InputError(f"the file cannot be read ({reason(error)})", file=path) from None
    if len(data) > size:
        raise InputError(f"it has more than the {size} bytes that it claims to have", file=path)
    return data


def read_text(path: AnyPath, limit: int = TEXT_LIMIT) -> str:
    """The text of a UTF-8 file, without a byte order mark.

    Raises:
        InputError: As :func:`read_bytes`, or it is not UTF-8 or holds a NUL character.
    """
    try:
        text = read_bytes(path, limit).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        problem = f"expected UTF-8 text, got the byte {error.object[error.start]:#x}"
        raise InputError(problem, file=path, fix="If it is text, save it as UTF-8.") from None
    if "\0" in text:
        raise InputError("expected text, got a NUL character", file=path)
    return text


def read_json(path: AnyPath) -> Any:
    """The content of a JSON file.

    Raises:
        InputError: As :func:`read_text`, or it is no JSON, is nested too deeply, or holds NaN, infinity or a number of
            thousands of digits.
    """
    text = read_text(path)
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except RecursionError:
        raise InputError("expected JSON, but it is nested too deeply", file=path) from None
    except ValueError as error:
        raise InputError(f"expected JSON, but it cannot be read ({error})", file=path) from None


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


def spoiled(text: str) -> str | None:
    """The first character that names and ids may not hold, as text for a message; None where all are fine.

    Refused are control characters (line breaks and terminal commands among them), characters that turn the direction
    of writing, and halves of surrogate pairs, which no file can hold.
    """
    if text.isprintable():
        return None
    for one in text:
        if (
            unicodedata.category(one) in ("Cc", "Cs", "Zl", "Zp")
            or "\u202a" <= one <= "\u202e"
            or ("\u2066" <= one <= "\u2069")
        ):
            return f"U+{ord(one):04X}"
    return None


class _Short(reprlib.Repr):
    def __init__(self) -> None:
        super().__init__()
        self.maxlevel, self.maxstring = 2, 80
        self.maxlist = self.maxtuple = self.maxdict = self.maxset = self.maxfrozenset = 3

    def repr_int(self, x: int, level: int) -> str:
        # Python refuses to write out a number of thousands of digits.
        return repr(x) if x.bit_length() < 200 else f"a whole number of {x.bit_length()} bits"

    def repr_instance(self, x: Any, level: int) -> str:
        if isinstance(x, (bool, float, complex, type(None), np.generic)):
            return repr(x)[:80]
        if isinstance(x, (bytes, bytearray)):
            return repr(bytes(x[:20])) + ("…" if len(x) > 20 else "")
        if isinstance(x, np.ndarray):
            return f"an array of {x.dtype} {x.shape}"
        return f"a {type(x).__name__}"


def shown(value: object) -> str:
    """A value for a message, shortened: a file of a kilobyte may hold what fills the memory when it is written out."""
    return _Short().repr(value)


def reason(error: Exception) -> str:
    """What an error of a library says, in one short line."""
    lines = str(getattr(error, "strerror", None) or error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__
