"""Class names: lists of them in files, their words, and aliases of words."""

from __future__ import annotations

import io
import os
import re
import unicodedata
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

from pyskl_semloss.errors import InputError
from pyskl_semloss.io.reading import TEXT_LIMIT, first_forbidden_character, fold_name, read_text, short_repr
from pyskl_semloss.io.tables import read_rows, title_key

_IN_FRONT = re.compile(r"(?:class ?)?[(\[#]?(?P<number>\d{1,6})[\s)\].:=,;|\u2013\u2014-]+(?P<name>.*)", re.IGNORECASE)
"""A number in front of a name: ``0 clap``, ``1. clap``, ``(1) clap``, ``01<TAB>clap``, ``class 1: clap``."""
_AT_END = re.compile(r"(?P<name>.*[^\s\d,;:|=([#-])[\s,;:|=([#-]+(?P<number>\d{1,6})[)\]]?")
_NUMBER_TITLES = ("id", "class_id", "label_id", "index", "number", "no.", "nr", "nr.", "#", "label", "class", "code",
                  "unnamed:_0", "")  # fmt: skip
_LIST_TITLES = ("name", "names", "class_name", "class_names", "label_name", "label_names", "class", "classes", "label",
                "labels")  # fmt: skip
_NAME_TITLES = (*_LIST_TITLES, "gesture_name", "gesture", "gestures", "action", "actions")
_ONE_A_LINE = "Expected one class name a line, or a table with columns called id and name."
_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")


@dataclass(frozen=True)
class NameList:
    """Class names of a file.

    Attributes:
        names: In the order of the classes.
        first: The file's number of the first class, 0 or 1; None if it has no numbers.
        note: A sentence on what was taken for numbers or a title; empty if every line is a name.
    """

    names: list[str]
    first: int | None = None
    note: str = ""


def read_class_names(path: str | os.PathLike[str]) -> list[str]:
    """Read class names as :func:`read_name_list` does; its note becomes a warning.

    Raises:
        InputError: As :func:`read_name_list`.
    """
    listed = read_name_list(path)
    if listed.note:
        warnings.warn(f"{os.fspath(path)}: {listed.note}", stacklevel=2)
    return listed.names


def read_name_list(path: str | os.PathLike[str]) -> NameList:
    """Read a UTF-8 text file with one class name a line; the first is class 0.

    Numbers in front of all names (``0 clap``, ``(1) clap``, ``01<TAB>clap``), or a column of them in a table, are the
    labels, not words: where they are 0, 1, 2 … or 1, 2, 3 …, the names are put into their order. A title above the
    names is left out. A name may stand in quotation marks.

    Raises:
        InputError: The file is absent, too large, empty or not UTF-8; a name holds a control character (see
            :func:`check_class_names`); there are blank lines or a name twice, which are listed by line; some lines
            have a number and others none; or the numbers are no labels.
    """
    lines = [_unquoted(line.strip()) for line in io.StringIO(read_text(path), newline="")]
    if not any(lines):
        raise InputError("expected one class name a line, but the file is empty", file=path)
    if lines[0][:1] in ("[", "{") and [line for line in lines if line][-1][-1] in "]}":
        raise InputError("expected one class name a line, got what looks like JSON", file=path)
    rows = _cells(path)
    listed = _titled_table(rows, path) or _table(rows, path) or _numbered(lines, path) or _plain(lines)
    check_class_names(listed.names, path)
    _refuse_repeated(listed, path)
    refuse_numbered(listed.names, path)
    return listed


def refuse_numbered(names: Sequence[str], file: str | os.PathLike[str] | None = None) -> None:
    """Refuse class names that begin or end with their own labels.

    The numbers would be averaged into the label vectors as words. A number that several names share, or that few names
    have, belongs to the name: ``hand 1``, ``hand 2``.

    Raises:
        InputError: At least two names and half of them begin (or end) with their labels, or no name has a letter.
    """
    fix = "Leave the numbers out; where a number belongs to a name, write it as a word."
    if len(names) > 1 and not any(map(_has_letter, names)):
        raise InputError("the names are numbers", file=file, field="class_names", fix=fix)
    for pattern, where in ((_IN_FRONT, "begin"), (_AT_END, "end")):
        matches = [pattern.fullmatch(name) for name in names]
        own = [at for at, match in enumerate(matches) if match and int(match["number"]) - at in (0, 1)]
        rests = [fold_name(match["name"]) for match in matches if match]
        if len(own) > 1 and 2 * len(own) >= len(names) and len(rests) == len(set(rests)):
            some = "the names" if len(own) == len(names) else f"{len(own)} of the {len(names)} names"
            problem = f"{some} {where} with their labels, as {names[own[0]]!r}"
            raise InputError(problem, file=file, field="class_names", fix=fix)


def _has_letter(name: str) -> bool:
    return any(letter.isalpha() for letter in name)


def _cells(path: str | os.PathLike[str]) -> list[list[str]]:
    """The file as a table; no rows where it is none, because quotation marks stand within its names."""
    try:
        return [cells for _, cells in read_rows(path, TEXT_LIMIT)[1]]
    except InputError:
        return []


def _titled_table(rows: Sequence[Sequence[str]], path: str | os.PathLike[str]) -> NameList | None:
    """A table whose first line names a column of numbers and one of names; None where it is none."""
    keys = [title_key(cell) for cell in rows[0]] if len(rows) > 1 else []
    number = next((keys.index(key) for key in _NUMBER_TITLES if key in keys), None)
    name = next((at for at, key in enumerate(keys) if key in _NAME_TITLES and at != number), None)
    if number is None or name is None:
        return None
    return _columns(rows[1:], number, name, ", ".join(rows[0]), path)


def _numbered(lines: Sequence[str], path: str | os.PathLike[str]) -> NameList | None:
    """Lines that all begin with a number, but for a title; None where they do not."""
    body = [line for line in lines if line]
    title = None if _IN_FRONT.fullmatch(body[0]) else body[0]
    matches = [_IN_FRONT.fullmatch(line) for line in (body if title is None else body[1:])]
    numbered = [
        (int(match["number"]), _unquoted(match["name"])) for match in matches if match and _has_letter(match["name"])
    ]
    if len(numbered) < len(matches) or len(numbered) < (1 if title is None else 2):
        return None
    numbers = [number for number, _ in numbered]
    if title is not None and min(numbers) != 0 and title_key(title) not in _LIST_TITLES:
        problem = f"every line but the first, {short_repr(title)}, begins with a number"
        fix = "Number all names or none; a title may stand above numbers that begin with 0."
        raise InputError(problem, file=path, fix=fix)
    return _in_order(numbers, [_unquoted(match["name"]) for match in matches if match], title, path)


def _table(rows: Sequence[Sequence[str]], path: str | os.PathLike[str]) -> NameList | None:
    """A table without titles that has a column of numbers and one of names; None where the rows are names.

    Raises:
        InputError: It has other columns, too, or is something else than names, one a line.
    """
    if len(rows) == 1 and len(rows[0]) > 2:
        raise InputError(f"it is one line of {len(rows[0])} cells", file=path, fix=_ONE_A_LINE)
    if len(rows) < 2 or len({len(cells) for cells in rows}) > 1:
        return None
    if len(rows[0]) > 1 and any(title_key(cell) in (*_LIST_TITLES, "id") for cell in rows[0]):
        raise InputError(f"its first line is titles, {short_repr(list(rows[0]))}", file=path, fix=_ONE_A_LINE)
    columns = [at for at in range(len(rows[0])) if any(cells[at] for cells in rows)]
    numbers = [at for at in columns if all(cells[at].isdecimal() for cells in rows)]
    if len(columns) < 2 or not numbers:
        return None
    if len(columns) > 2 or len(numbers) > 1:
        problem = f"it is a table of {len(columns)} columns without titles: which are the names?"
        raise InputError(problem, file=path, fix=_ONE_A_LINE)
    return _columns(rows, numbers[0], next(at for at in columns if at not in numbers), None, path)


def _columns(
    rows: Sequence[Sequence[str]], number: int, name: int, title: str | None, path: str | os.PathLike[str]
) -> NameList:
    numbers, names = [], []
    for cells in rows:
        cell, text = (cells[at] if at < len(cells) else "" for at in (number, name))
        if not cell.isdecimal() or len(cell) > 6 or not text:
            raise InputError(
                f"expected rows of a number and a name, got {short_repr(list(cells))}", file=path, fix=_ONE_A_LINE
            )
        numbers.append(int(cell))
        names.append(text)
    return _in_order(numbers, names, title, path)


def _plain(lines: Sequence[str]) -> NameList:
    names = [_without_empty_column(line) for line in lines]
    if len(names) > 1 and title_key(names[0]) in _LIST_TITLES:
        return NameList(names[1:], None, f"its first line, {names[0]!r}, was taken for a title, not for a class")
    return NameList(names)


def _without_empty_column(line: str) -> str:
    """The name without the separator of an empty cell behind it; with others within, it belongs to the name."""
    name = line.rstrip(",;|").rstrip()
    return line if any(mark in name for mark in ",;|") else name


def _in_order(
    numbers: Sequence[int], names: Sequence[str], title: str | None, path: str | os.PathLike[str]
) -> NameList:
    first = min(numbers)
    absent = sorted(set(range(first, first + len(numbers))) - set(numbers))
    if first > 1 or absent:
        problem = f"the numbers of the {len(numbers)} names are not 0 to {len(numbers) - 1} or 1 to {len(numbers)}"
        problem += f"; there is no {absent[0]}" if first <= 1 else f"; the smallest is {first}"
        fix = "Number every class once, or none; where a number belongs to a name, write it as a word."
        raise InputError(problem, file=path, fix=fix)
    ordered = [name for _, name in sorted(zip(numbers, names, strict=True))]
    note = (
        f"the numbers {first} to {max(numbers)} were taken for the labels of the classes, not for words of their names"
    )
    if ordered != list(names):
        note += ", and the names put into their order"
    if title is not None:
        note += f"; its first line, {title!r}, for a title"
    return NameList(ordered, first, note)


def _refuse_repeated(listed: NameList, path: str | os.PathLike[str]) -> None:
    """Blank lines and names twice, by line; in a numbered list, whose lines may be in another order, by class."""
    unit, offset = ("line", 1 + int(bool(listed.note))) if listed.first is None else ("number", listed.first)
    first: dict[str, int] = {}
    problems: list[str] = []
    for number, name in enumerate(listed.names, offset):
        if not name:
            problems.append(f"{unit} {number} is blank")
        elif (before := first.setdefault(fold_name(name), number)) != number:
            problems.append(f"{unit} {number} repeats {unit} {before} ({name!r})")
    if problems:
        shown_problems = [*problems[:10], *([f"and {len(problems) - 10} more"] if len(problems) > 10 else [])]
        raise InputError("; ".join(shown_problems), file=path, fix="The order of the lines is the order of the labels.")


def _unquoted(line: str) -> str:
    """A cell that a spreadsheet has put into quotation marks, because there is a separator in it."""
    if len(line) > 1 and line[0] == line[-1] == '"' and '"' not in line[1:-1].replace('""', ""):
        return line[1:-1].replace('""', '"').strip()
    return line


def check_class_names(names: Sequence[str], file: str | os.PathLike[str] | None = None) -> None:
    """Refuse names with control characters or marks of writing direction.

    Shown on a terminal they would command it, or reverse the text around them. Markup is allowed; pages escape names.

    Raises:
        InputError: A name holds a control character, a line break, a mark that turns the direction of writing, half a
            surrogate pair, or a code point that is no character, which XML cannot hold.
    """
    for number, name in enumerate(names):
        if (character := first_forbidden_character(name)) is not None:
            problem = f"the name of class {number}, {short_repr(name)}, holds the character {character}"
            fix = "A name is words alone, without tabs, numbers of its class and characters that are not seen."
            raise InputError(problem, file=file, fix=fix)


def split_words(name: str) -> list[str]:
    """Words of a class name: lower case, split at everything but letters and digits.

    An apostrophe within a word stays.

    Example:
        >>> split_words("Bulging face, deep-breath / person's_hat")
        ['bulging', 'face', 'deep', 'breath', "person's", 'hat']
    """
    return _WORD.findall(unicodedata.normalize("NFC", name).lower().replace("\u2019", "'"))


def parse_aliases(items: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Read aliases such as ``clap=hands`` or ``jogging=running,slowly``.

    Raises:
        InputError: An alias has no ``=``, no word on a side of it, more than one word on the left, or is given twice.

    Example:
        >>> parse_aliases(["clap=hands", "jogging=running,slowly"])
        {'clap': ('hands',), 'jogging': ('running', 'slowly')}
    """
    aliases: dict[str, tuple[str, ...]] = {}
    for item in items:
        left, equals, right = item.partition("=")
        targets = tuple(word.strip() for word in right.split(","))
        if (
            not equals
            or len(split_words(left)) != 1
            or not all(targets)
            or any(len(word.split()) > 1 for word in targets)
        ):
            raise InputError(
                f"expected word=word or word=word,word, got {item!r}", field="alias", fix="For example clap=hands."
            )
        word = split_words(left)[0]
        if word in aliases:
            raise InputError(f"two aliases for the word {word!r}", field="alias")
        aliases[word] = targets
    return aliases
