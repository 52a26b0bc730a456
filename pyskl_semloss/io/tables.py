"""The reader of every CSV file: tables as spreadsheets, programs and people write them."""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pyskl_semloss.errors import InputError
from pyskl_semloss.io.reading import TABLE_LIMIT, did_you_mean, fold, read_text, shown

_MARKS = "\t;|,"
"""What separates cells; of marks that are as frequent the first one counts, because commas also stand within cells."""
_EXCEL_MARK = re.compile(r'\s*"?sep=([\t;|,])"?\s*')
_QUOTED = re.compile(r'"(?:[^"]|"")*"')
_WITHIN_NUMBERS = re.compile(r"(?<=\d),(?=\d)")
_DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d*(?:e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(?:,\d{3})+", re.ASCII)
_CLOCK = re.compile(r"(?:(\d{1,9}):)?(\d{1,9}):(\d{1,2}(?:[.,]\d*)?)", re.ASCII)
_INDEX = re.compile(r"|index|unnamed:_\d+")


@dataclass(frozen=True)
class Spreadsheet:
    """A table whose first row names its columns.

    Attributes:
        path: The file.
        titles: Of the columns, as they are written; empty ones at the end are left out.
        rows: Line of the file, counted from 1, and the cells of each row that is not blank. Empty cells that stand
            behind the last title are left out.
        mark: What separates the cells.
    """

    path: str | os.PathLike[str]
    titles: list[str]
    rows: Iterator[tuple[int, list[str]]]
    mark: str

    def places(self, names: Sequence[str]) -> dict[str, int]:
        """The columns of these names, as far as they are there: capitals, blanks, hyphens and Unicode forms are equal.

        A column that is written exactly like a name goes before one that is only nearly so.

        Raises:
            InputError: Two columns have one of the names.
        """
        exact = {title: at for at, title in enumerate(self.titles)}
        near: dict[str, list[int]] = {}
        for at, title in enumerate(self.titles):
            near.setdefault(title_key(title), []).append(at)
        places: dict[str, int] = {}
        for name in names:
            found = near.get(title_key(name), [])
            if self.titles.count(name) > 1 or (name not in exact and len(found) > 1):
                raise InputError(f"two columns are called {shown(name)}", file=self.path)
            if name in exact or found:
                places[name] = exact.get(name, found[0])
        return places

    def missing(self, absent: Sequence[str]) -> str:
        """The problem that these columns are not there: what the first line names, and what it may have meant."""
        hints = [hint for name in absent if (hint := did_you_mean(name, self.titles))]
        return f"the first line names no column {', '.join(absent)}; it names {shown(self.titles)}{''.join(hints[:1])}"

    def number(self, cell: str) -> float:
        """The number in a cell, with a decimal point or comma.

        Raises:
            ValueError: It is none. ``1,234`` is none either where commas separate the cells: it may be a thousand.
        """
        if "_" in cell:  # which Python would allow
            raise ValueError
        if "," in cell:
            if not _DECIMAL_COMMA.fullmatch(cell) or (self.mark == "," and _THOUSANDS.fullmatch(cell)):
                raise ValueError
            cell = cell.replace(",", ".")
        return float(cell)

    def seconds(self, cell: str) -> float:
        """The time in a cell: seconds, ``m:ss`` or ``h:mm:ss``, each with decimals if you like.

        Raises:
            ValueError: It is none.
        """
        clock = _CLOCK.fullmatch(cell)
        if clock is None:
            return self.number(cell)
        hours, minutes, seconds = int(clock[1] or 0), int(clock[2]), float(clock[3].replace(",", "."))
        if seconds >= 60 or (clock[1] and minutes >= 60):
            raise ValueError
        return 3600.0 * hours + 60.0 * minutes + seconds


def title_key(title: str) -> str:
    """A title as it is compared: ``Start Frame`` and ``start-frame`` are ``start_frame``."""
    return re.sub(r"[ \-]", "_", fold(title))


def is_index(title: str) -> bool:
    """Whether a column that nobody asked for holds the numbers of the rows, as pandas and R write them, or nothing."""
    return _INDEX.fullmatch(title_key(title)) is not None


def read_spreadsheet(path: str | os.PathLike[str]) -> Spreadsheet:
    """Open a table; its rows are read one after the other.

    Raises:
        InputError: The file cannot be read; later, while its rows are read, too, if it is no CSV.
    """
    mark, rows = read_rows(path)
    titles = next(rows, (1, []))[1]
    while titles and not titles[-1]:
        titles.pop()
    return Spreadsheet(path, titles, _cut(rows, len(titles)), mark)


def read_rows(path: str | os.PathLike[str], limit: int = TABLE_LIMIT) -> tuple[str, Iterator[tuple[int, list[str]]]]:
    """Open a table that may have no titles: what separates its cells, and the rows that are not blank.

    Commas, semicolons, tabs or bars separate cells, whichever is most frequent in the first line that has one, or the
    one that Excel's first line ``sep=;`` names. Cells may stand in quotation marks.

    Args:
        path: The file.
        limit: The most bytes that it may have.

    Returns:
        The separator, and for each row its line, counted from 1, and its cells without blanks around them.

    Raises:
        InputError: As :func:`read_spreadsheet`.
    """
    stream = io.StringIO(read_text(path, limit), newline="")
    first = stream.readline()
    named = _EXCEL_MARK.fullmatch(first)
    if named is None:
        stream.seek(0)
    mark = named[1] if named else _mark(stream)
    return mark, _rows(stream, mark, int(named is not None), path)


def _mark(stream: io.StringIO) -> str:
    mark = ","
    for line in stream:
        plain = _QUOTED.sub("", line).strip(" \r\n")
        if any(one in plain for one in _MARKS[:-1]):
            plain = _WITHIN_NUMBERS.sub("", plain)
        if any(one in plain for one in _MARKS):
            mark = max(_MARKS, key=plain.count)
            break
    stream.seek(0)
    return mark


def _rows(stream: io.StringIO, mark: str, before: int, path: str | os.PathLike[str]) -> Iterator[tuple[int, list[str]]]:
    # Without skipinitialspace the quotation mark in `a, "b, c"` would be a letter.
    reader = csv.reader(stream, delimiter=mark, strict=True, skipinitialspace=mark != "\t")
    line = before + 1
    try:
        for cells in reader:
            stripped = [cell.strip() for cell in cells]
            if any(stripped):
                yield line, stripped
            line = before + reader.line_num + 1
    except csv.Error as error:
        where = f"line {line}" if before + reader.line_num <= line else f"the row that begins in line {line}"
        raise InputError(f"{where}: expected CSV ({error})", file=path) from None


def _cut(rows: Iterator[tuple[int, list[str]]], columns: int) -> Iterator[tuple[int, list[str]]]:
    for line, cells in rows:
        while len(cells) > columns and not cells[-1]:
            cells.pop()
        yield line, cells
