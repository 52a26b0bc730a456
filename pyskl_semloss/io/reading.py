"""Bounded reading of untrusted files, and safe text for messages about them.

Only regular files are opened: a pipe can block for ever, and a device may have no end.
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
from pyskl_semloss.errors import reason as reason

AnyPath = str | os.PathLike[str]

TEXT_LIMIT = 16 << 20
"""Largest size in bytes of a JSON file and of a list of names or ids."""
TABLE_LIMIT = 128 << 20
"""Largest size in bytes of a CSV file of a raw data set."""
WHOLE_LIMIT = 16 << 30
"""Largest size in bytes of any other file that is read as a whole."""
_SMALL, _RATIO = 64 << 20, 32
_MOST_EXTENTS = 100_000
"""Data extents between holes that are counted."""
_STORE = "store.json"
# Cc and Cs, line and paragraph separators, marks and embeddings of direction, and the noncharacters of all planes.
_FORBIDDEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufdd0-\ufdef"
    + "".join(chr(plane << 16 | last) for plane in range(17) for last in (0xFFFE, 0xFFFF))
    + "]"
)
_EXCEL = "A spreadsheet saves it as CSV (Excel: 'CSV UTF-8')."
_BINARY_STARTS = {
    b"PK\x03\x04": "a workbook (.xlsx, .ods) or another zip archive",
    b"\xd0\xcf\x11\xe0": "a workbook (.xls) or another file of an old Office",
    b"{\\rtf": "rich text (RTF), which holds the commands of a word processor",
    b"%PDF": "a PDF file",
    b"\xff\xfe": "UTF-16 text",
    b"\xfe\xff": "UTF-16 text",
}
_MOST_NAMES = 10_000
"""Names of a folder that are compared with a wrong name."""
_KINDS = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}


def memory_limit(size: int) -> int:
    """Largest content in bytes of a compressed or pickled file: 64 MiB + 32 times its size.

    Regular files stay far below it; a decompression bomb, some kilobytes with gigabytes of content, does not.

    Example:
        >>> memory_limit(1 << 20) >> 20
        96
    """
    return _SMALL + _RATIO * size


def data_size(handle: int) -> int:
    """Size in bytes of an open file without its holes (sparse regions).

    Args:
        handle: File descriptor; its position is kept.
    """
    status = os.fstat(handle)
    size = status.st_size
    blocks = getattr(status, "st_blocks", None)
    # File systems with compression use fewer blocks, too, without holes; some count blocks late.
    if blocks is None or 512 * blocks >= size or not hasattr(os, "SEEK_DATA"):
        return size
    position, end, data = os.lseek(handle, 0, os.SEEK_CUR), 0, 0
    try:
        for _ in range(_MOST_EXTENTS):
            start = os.lseek(handle, end, os.SEEK_DATA)
            end = os.lseek(handle, start, os.SEEK_HOLE)
            data += end - start
    except OSError as error:
        # ENXIO: no data after this position; other errors: the file system does not report holes.
        return data if error.errno == errno.ENXIO else size
    finally:
        os.lseek(handle, position, os.SEEK_SET)
    return data


@contextlib.contextmanager
def open_regular(path: AnyPath, limit: int | None = None) -> Iterator[IO[bytes]]:
    """Open a regular file for reading in binary mode.

    Args:
        path: File; links are followed.
        limit: Largest size in bytes.

    Raises:
        InputError: The file does not exist, cannot be opened, is no regular file, is too large, or consists mostly of
            holes: reading it would take far more memory than it takes on the disk.
    """
    try:
        # Without O_NONBLOCK, opening a pipe blocks until another process opens it for writing.
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
    except FileNotFoundError:
        raise missing_file_error(path) from None
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
    """Content of a file as bytes.

    Raises:
        InputError: As :func:`open_regular`; the file cannot be read, or grows while it is read.
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
    """Content of a UTF-8 file as text, without a byte order mark.

    Raises:
        InputError: As :func:`read_bytes`; the file is not UTF-8 or holds a NUL character. Workbooks and UTF-16 text are
            recognized and named.
    """
    data = read_bytes(path, limit)
    refuse_binary_text(data, path)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        problem = f"expected UTF-8 text, got the byte {error.object[error.start]:#x}"
        raise InputError(problem, file=path, fix=f"If it is text, save it as UTF-8. {_EXCEL}") from None
    if "\0" in text:
        raise InputError("expected text, got a NUL character", file=path, fix=_EXCEL)
    return text


def refuse_binary_text(data: bytes, path: AnyPath) -> None:
    """Refuse file types that users mistake for text, such as workbooks.

    Raises:
        InputError: The data has the signature of such a type.
    """
    for start, kind in _BINARY_STARTS.items():
        if data.startswith(start):
            raise InputError(f"expected UTF-8 text, got {kind}", file=path, fix=_EXCEL)


def read_json(path: AnyPath, unique_keys: bool = False) -> Any:
    """Content of a JSON file.

    Args:
        path: The file.
        unique_keys: Refuse an object with a repeated key, of which JSON's reader keeps the last.

    Raises:
        InputError: As :func:`read_text`; the file is no JSON, is nested too deeply, or holds NaN, infinity or a number
            of thousands of digits.
    """
    text = read_text(path)
    try:
        return json.loads(
            text, parse_constant=_refuse_constant, object_pairs_hook=_unique_keys if unique_keys else None
        )
    except RecursionError:
        raise InputError("expected JSON, but it is nested too deeply", file=path) from None
    except ValueError as error:
        raise InputError(f"expected JSON, but it cannot be read ({error})", file=path) from None


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        seen: set[str] = set()
        repeated = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"{short_repr(repeated)} is in it twice")
    return content


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


def first_forbidden_character(text: str) -> str | None:
    r"""Code point of the first character that names must not have, or None.

    Forbidden are control characters (also line breaks and terminal escapes), bidirectional formatting, surrogates, and
    noncharacters. UTF-8 cannot encode surrogates, and XML cannot encode two of the noncharacters.

    Example:
        >>> first_forbidden_character("a\tb"), first_forbidden_character("Müller")
        ('U+0009', None)
    """
    if text.isprintable():
        return None
    return next((f"U+{ord(char):04X}" for char in text if _FORBIDDEN.match(char)), None)


def fold_name(text: str) -> str:
    """Normalized name for comparisons: case-folded, NFC, single blanks.

    Example:
        >>> fold_name("Mu\u0308ller \u00a0A") == fold_name("m\u00fcller a")
        True
    """
    return " ".join(unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold()).split())


def closest_names(name: str, known: Iterable[str], most: int = 1) -> list[str]:
    """Known names closest to a wrong name, the closest first.

    First names that differ only in case, blanks and Unicode form, then in folder or ending, then by
    :func:`difflib.get_close_matches`.

    Args:
        name: Wrong name.
        known: Existing names.
        most: Largest number of names to return.

    Example:
        >>> closest_names("videos/Talk_1.MP4", ["talk_1", "talk_2"])
        ['talk_1']
    """
    by_form: dict[str, list[str]] = {}
    for candidate in known:
        for form in dict.fromkeys((fold_name(candidate), _stem(candidate))):
            by_form.setdefault(form, []).append(candidate)
    matches: dict[str, None] = {}
    for form in (fold_name(name), _stem(name)):
        matches.update(dict.fromkeys(by_form.get(form, ())))
    # Cut, because difflib takes gigabytes of memory for a text of megabytes.
    for form in difflib.get_close_matches(_stem(name)[:200], by_form, n=most):
        matches.update(dict.fromkeys(by_form[form]))
    return list(matches)[:most]


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Hint such as ``"; did you mean 'NAME'?"`` for the end of a problem, or empty."""
    near = closest_names(name, known)
    return f"; did you mean {near[0]!r}?" if near else ""


def _stem(name: str) -> str:
    """Folded name without folders and ending."""
    last = re.split(r"[/\\]", name.strip())[-1]
    stem, dot, ending = last.rpartition(".")
    return fold_name(stem if dot and stem and re.fullmatch(r"[A-Za-z][A-Za-z0-9]{0,4}", ending) else last)


def missing_file_error(path: AnyPath, kind: str = "file", fix: str | None = None) -> InputError:
    """Error for a missing file or folder, with the closest existing name.

    Args:
        path: Missing path.
        kind: Expected kind, for the message.
        fix: What to do.

    Example:
        >>> str(missing_file_error("no/such/talk.json", "file or folder"))
        "no/such/talk.json: there is no such file or folder; there is no folder 'no'."
    """
    whole = os.path.normpath(os.fspath(path))
    if os.path.islink(whole):
        return InputError(f"it is a link to {os.readlink(whole)!r}, which is not there", file=path, fix=fix)
    folder, name = os.path.split(whole)
    problem = f"there is no such {kind}"
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
    near = closest_names(name, [other for other in names if other[:1] != "." and other != name])
    return os.path.join(folder, near[0]) if near else None


class _ShortRepr(reprlib.Repr):
    def __init__(self) -> None:
        super().__init__()
        self.maxlevel, self.maxstring = 2, 80
        self.maxlist = self.maxtuple = self.maxdict = self.maxset = self.maxfrozenset = 3

    def repr_int(self, x: int, level: int) -> str:
        # Python raises ValueError for the text of a number of thousands of digits.
        return repr(x) if x.bit_length() < 200 else f"a whole number of {x.bit_length()} bits"

    def repr_instance(self, x: Any, level: int) -> str:
        if isinstance(x, (bool, float, complex, type(None), np.generic)):
            return repr(x)[:80]
        if isinstance(x, (bytes, bytearray)):
            return repr(bytes(x[:20])) + ("…" if len(x) > 20 else "")
        if isinstance(x, np.ndarray):
            return f"an array of {x.dtype} {x.shape}"
        return f"a {type(x).__name__}"


def short_repr(value: object) -> str:
    """Shortened repr of an untrusted value; its full repr may fill the memory.

    Example:
        >>> short_repr(["clap"] * 1000)
        "['clap', 'clap', 'clap', ...]"
    """
    return _ShortRepr().repr(value)


def shorten(text: str, length: int) -> str:
    """Text of at most ``length`` characters, with an ellipsis where it is cut."""
    return text if len(text) <= length else f"{text[: length - 1].rstrip()}…"


_SYSTEM_FILES = {
    "__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "$recycle.bin", "system volume information",
    "@eadir", "lost+found",
}  # fmt: skip


def is_system_file(name: str) -> bool:
    """Whether a name is that of a hidden file or of an operating system's own file.

    These are names with a leading full stop (``.DS_Store``, or macOS's ``._talk.json`` for ``talk.json`` on foreign
    disks), ``~$table.xlsx`` of an open spreadsheet, ``Thumbs.db``, ``desktop.ini``, ``__MACOSX`` of archives, etc.
    """
    return name.startswith((".", "~$")) or name.lower() in _SYSTEM_FILES


def list_folder(folder: AnyPath) -> list[str]:
    """Sorted names in a folder, without those of :func:`is_system_file`.

    Raises:
        InputError: The folder does not exist, is a file, or cannot be read.
    """
    try:
        return sorted(name for name in os.listdir(folder) if not is_system_file(name))
    except FileNotFoundError:
        raise missing_file_error(folder, "folder") from None
    except NotADirectoryError:
        raise InputError("it is a file, expected a folder", file=folder) from None
    except OSError as error:
        raise InputError(f"the folder cannot be read ({reason(error)})", file=folder) from None
