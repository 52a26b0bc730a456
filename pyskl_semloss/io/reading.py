"""Opening what came from outside: regular files up to a stated size, as bytes, text or JSON; and showing it safely.

A pipe would make a reader wait for ever and a device may have no end, so that only regular files are opened.
"""

from __future__ import annotations

import contextlib
import difflib
import errno
import json
import os
import re
import reprlib
import stat
import unicodedata
from collections.abc import Iterable, Iterator
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
_MOST_PIECES = 100_000
"""Stretches of data between holes that are counted."""
_STORE = "store.json"
# Cc and Cs, line and paragraph separators, marks and embeddings of direction, and what is no character in any plane.
_SPOILS = re.compile(
    "[\x00-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufdd0-\ufdef"
    + "".join(chr(plane << 16 | last) for plane in range(17) for last in (0xFFFE, 0xFFFF))
    + "]"
)
_EXCEL = "A spreadsheet saves it as CSV (Excel: 'CSV UTF-8')."
_NO_TEXT = {
    b"PK\x03\x04": "a workbook (.xlsx, .ods) or another zip archive",
    b"\xd0\xcf\x11\xe0": "a workbook (.xls) or another file of an old Office",
    b"{\\rtf": "rich text (RTF), which holds the commands of a word processor",
    b"%PDF": "a PDF file",
    b"\xff\xfe": "UTF-16 text",
    b"\xfe\xff": "UTF-16 text",
}
_MOST_NAMES = 10_000
"""Names of a folder that are looked at for one that is near a wrong one."""
_KINDS = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}


def memory_limit(size: int) -> int:
    """Bytes that the content of a compressed or pickled file of ``size`` bytes may take: 64 MiB and 32 times its size.

    Honest files stay far below it; a file of some kilobytes that unfolds to gigabytes does not.
    """
    return _SMALL + _RATIO * size


def data_size(handle: int) -> int:
    """Bytes of an open file that are there: without its holes, which read as zeros and take no room on the disk.

    Args:
        handle: The file's descriptor; its place is kept.
    """
    status = os.fstat(handle)
    size = status.st_size
    blocks = getattr(status, "st_blocks", None)
    # Compression saves blocks, too, and makes no holes; some file systems count blocks late.
    if blocks is None or 512 * blocks >= size or not hasattr(os, "SEEK_DATA"):
        return size
    back, end, data = os.lseek(handle, 0, os.SEEK_CUR), 0, 0
    try:
        for _ in range(_MOST_PIECES):
            start = os.lseek(handle, end, os.SEEK_DATA)
            end = os.lseek(handle, start, os.SEEK_HOLE)
            data += end - start
    except OSError as error:
        # There is no data behind the place, or the file system knows no holes.
        return data if error.errno == errno.ENXIO else size
    finally:
        os.lseek(handle, back, os.SEEK_SET)
    return data


@contextlib.contextmanager
def open_regular(path: AnyPath, limit: int | None = None) -> Iterator[IO[bytes]]:
    """Open a file for reading in binary; anything but a regular file is refused at once.

    Args:
        path: The file; links are followed.
        limit: The most bytes that it may have.

    Raises:
        InputError: There is no such file, it cannot be opened, is no regular file, is too large, or is a hole for the
            greatest part: then reading it would take far more memory than it takes on the disk.
    """
    try:
        # Without O_NONBLOCK, opening a pipe waits for somebody to write into it.
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
    except FileNotFoundError:
        raise absent(path) from None
    except (OSError, ValueError) as error:
        raise InputError(f"the file cannot be read ({reason(error)})", file=path) from None
    try:
        status = os.fstat(handle)
        kind = stat.S_IFMT(status.st_mode)
        if kind != stat.S_IFREG:
            fix = None if kind == stat.S_IFDIR else "Save its content as a file and give that."
            if fix is None and os.path.isfile(os.path.join(path, _STORE)):
                fix = "It is a keypoint store; semloss prepare pickle makes a file of it."
            problem = f"the file cannot be read (it is {_KINDS.get(kind, 'a device')}, expected a regular file)"
            raise InputError(problem, file=path, fix=fix)
        if limit is not None and status.st_size > limit:
            raise InputError(f"it has {status.st_size} bytes, more than the {limit} that such a file may", file=path)
        if status.st_size > memory_limit(0) and status.st_size > memory_limit(data := data_size(handle)):
            problem = f"only {data} of its {status.st_size} bytes are there, the others are a hole in the file"
            raise InputError(problem, file=path, fix="It may be copied or fetched in part: do that again.")
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
        InputError: As :func:`read_bytes`, or it is not UTF-8 or holds a NUL character. A workbook and the UTF-16 text
            of a spreadsheet are named as such.
    """
    data = read_bytes(path, limit)
    refuse_other_text(data, path)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        problem = f"expected UTF-8 text, got the byte {error.object[error.start]:#x}"
        raise InputError(problem, file=path, fix=f"If it is text, save it as UTF-8. {_EXCEL}") from None
    if "\0" in text:
        raise InputError("expected text, got a NUL character", file=path, fix=_EXCEL)
    return text


def refuse_other_text(data: bytes, path: AnyPath) -> None:
    """Refuse the files that people take for text: workbooks, and what spreadsheets call Unicode text.

    Raises:
        InputError: Says what it is, and how a spreadsheet saves text.
    """
    for start, kind in _NO_TEXT.items():
        if data.startswith(start):
            raise InputError(f"expected UTF-8 text, got {kind}", file=path, fix=_EXCEL)


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
    of writing, halves of surrogate pairs, which no file can hold, and code points that are no characters, two of which
    no XML can hold.
    """
    if text.isprintable():
        return None
    return next((f"U+{ord(one):04X}" for one in text if _SPOILS.match(one)), None)


def fold(text: str) -> str:
    """A name as it is compared: capitals, blanks of any kind and the Unicode form (as in names from macOS) are equal.

    Example:
        >>> fold("Mu\u0308ller \u00a0A") == fold("m\u00fcller a")
        True
    """
    return " ".join(unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold()).split())


def closest(name: str, known: Iterable[str], most: int = 1) -> list[str]:
    """The known names that a wrong one may mean, the likeliest first.

    First those that differ in capitals, blanks and Unicode form alone, then in folders and endings, then similar ones.

    Args:
        name: The wrong name.
        known: The names that there are.
        most: The most names to return.

    Example:
        >>> closest("videos/Talk_1.MP4", ["talk_1", "talk_2"])
        ['talk_1']
    """
    by_form: dict[str, list[str]] = {}
    for one in known:
        for form in dict.fromkeys((fold(one), _stem(one))):
            by_form.setdefault(form, []).append(one)
    found: dict[str, None] = {}
    for form in (fold(name), _stem(name)):
        found.update(dict.fromkeys(by_form.get(form, ())))
    # Of a text of megabytes the comparison would take gigabytes.
    for form in difflib.get_close_matches(_stem(name)[:200], by_form, n=most):
        found.update(dict.fromkeys(by_form[form]))
    return list(found)[:most]


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """``"; did you mean 'NAME'?"`` for the end of a problem, or nothing where no known name is near."""
    near = closest(name, known)
    return f"; did you mean {near[0]!r}?" if near else ""


def _stem(name: str) -> str:
    """A name without folders and ending, folded."""
    last = re.split(r"[/\\]", name.strip())[-1]
    stem, dot, ending = last.rpartition(".")
    return fold(stem if dot and stem and re.fullmatch(r"[A-Za-z][A-Za-z0-9]{0,4}", ending) else last)


def absent(path: AnyPath, what: str = "file", fix: str | None = None) -> InputError:
    """The error that there is no such file or folder, with the nearest name that there is.

    Args:
        path: What is not there.
        what: What it should be, for the message.
        fix: What to do.

    Example:
        >>> str(absent("no/such/talk.json", "file or folder"))
        "no/such/talk.json: there is no such file or folder; there is no folder 'no'."
    """
    whole = os.path.normpath(os.fspath(path))
    if os.path.islink(whole):
        return InputError(f"it is a link to {os.readlink(whole)!r}, which is not there", file=path, fix=fix)
    folder, name = os.path.split(whole)
    problem = f"there is no such {what}"
    if folder and not os.path.isdir(folder):
        while (above := os.path.dirname(folder)) and not os.path.isdir(above):
            folder = above
        is_file = os.path.exists(folder)
        problem += f"; {folder!r} is a file" if is_file else f"; there is no folder {folder!r}"
        folder, name = ("", "") if is_file else os.path.split(folder)
    near = _near(folder, name) if name else None
    hint = f"Did you mean {near!r}?" if near else ""
    return InputError(problem, file=path, fix=" ".join(filter(None, (hint, fix))) or None)


def _near(folder: str, name: str) -> str | None:
    try:
        with os.scandir(folder or ".") as entries:
            names = sorted(entry.name for entry, _ in zip(entries, range(_MOST_NAMES), strict=False))
    except (OSError, ValueError):
        return None
    near = closest(name, [each for each in names if each[:1] != "." and each != name])
    return os.path.join(folder, near[0]) if near else None


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


_OF_SYSTEMS = {
    "__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "$recycle.bin", "system volume information",
    "@eadir", "lost+found",
}  # fmt: skip


def is_system_file(name: str) -> bool:
    """Whether a name is hidden, or that of a file or folder which a system keeps for itself.

    These are names that begin with a full stop (``.DS_Store``, and ``._talk.json``, which macOS puts beside
    ``talk.json`` on disks of others), ``~$table.xlsx`` of an open spreadsheet, ``Thumbs.db``, ``desktop.ini``,
    ``__MACOSX`` of archives, and the like.
    """
    return name.startswith((".", "~$")) or name.lower() in _OF_SYSTEMS


def list_folder(folder: AnyPath) -> list[str]:
    """Names of what lies in a folder, sorted, without those of :func:`is_system_file`.

    Raises:
        InputError: There is no such folder, it is a file, or it cannot be read.
    """
    try:
        return sorted(name for name in os.listdir(folder) if not is_system_file(name))
    except FileNotFoundError:
        raise absent(folder, "folder") from None
    except NotADirectoryError:
        raise InputError("it is a file, expected a folder", file=folder) from None
    except OSError as error:
        raise InputError(f"the folder cannot be read ({reason(error)})", file=folder) from None
