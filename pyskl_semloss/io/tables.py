"""Reader of CSV files from spreadsheets, programs and hand-typed text."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pyskl_semloss.errors import InputError
from pyskl_semloss.io.reading import TABLE_LIMIT, AnyPath, did_you_mean, fold_name, read_text, short_repr

_DELIMITERS = "\t;|,"
"""In order of precedence among equally frequent ones: commas also occur within cells."""
_EXCEL_DELIMITER = re.compile(r'\s*"?sep=([\t;|,])"?\s*')
_QUOTED = re.compile(r'"(?:[^"]|"")*"')
_WITHIN_NUMBERS = re.compile(r"(?<=\d),(?=\d)")
_DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d*(?:e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(?:,\d{3})+", re.ASCII)
_CLOCK = re.compile(r"(?:(\d{1,9}):)?(\d{1,9}):(\d{1,2}(?:[.,]\d*)?)", re.ASCII)
_INDEX = re.compile(r"|index|unnamed:_\d+")


@dataclass(frozen=True)
class Spreadsheet:
    """Table with column titles in its first row.

    Attributes:
        path: CSV file.
        titles: Column titles as written, without empty ones at the end.
        rows: Line number, counted from 1, and cells of each row that is not blank, without empty cells beyond the last
            title.
        delimiter: Separator of the cells.
    """

    path: AnyPath
    titles: list[str]
    rows: Iterator[tuple[int, list[str]]]
    delimiter: str

    def column_indices(self, names: Sequence[str]) -> dict[str, int]:
        """Index of each named column that exists.

        Case, blanks, hyphens and Unicode form are ignored, but a column with exactly the name takes precedence.

        Raises:
            InputError: Two columns have the same name.
        """
        exact = {title: index for index, title in enumerate(self.titles)}
        similar: dict[str, list[int]] = {}
        for index, title in enumerate(self.titles):
            similar.setdefault(title_key(title), []).append(index)
        columns: dict[str, int] = {}
        for name in names:
            matches = similar.get(title_key(name), [])
            if self.titles.count(name) > 1 or (name not in exact and len(matches) > 1):
                raise InputError(f"two columns are called {short_repr(name)}", file=self.path)
            if name in exact or matches:
                columns[name] = exact.get(name, matches[0])
        return columns

    def missing_columns(self, names: Sequence[str]) -> str:
        """Error text for missing columns, with the existing titles and a hint."""
        hints = [hint for name in names if (hint := did_you_mean(name, self.titles))]
        titles = short_repr(self.titles)
        return f"the first line names no column {', '.join(names)}; it names {titles}{''.join(hints[:1])}"

    def number(self, cell: str) -> float:
        """Number of a cell, with a decimal point or comma.

        Raises:
            ValueError: The cell is no number, or is like ``1,234`` in a table with commas between cells: it may mean
                1.234 or 1234.
        """
        if "_" in cell:  # which Python would allow
            raise ValueError
        if "," in cell:
            if not _DECIMAL_COMMA.fullmatch(cell) or (self.delimiter == "," and _THOUSANDS.fullmatch(cell)):
                raise ValueError
            cell = cell.replace(",", ".")
        return float(cell)

    def seconds(self, cell: str) -> float:
        """Time of a cell in seconds, from seconds, ``m:ss`` or ``h:mm:ss`` with optional decimals.

        Raises:
            ValueError: The cell is no time.
        """
        clock = _CLOCK.fullmatch(cell)
        if clock is None:
            return self.number(cell)
        hours, minutes, seconds = int(clock[1] or 0), int(clock[2]), float(clock[3].replace(",", "."))
        if seconds >= 60 or (clock[1] and minutes >= 60):
            raise ValueError
        return 3600.0 * hours + 60.0 * minutes + seconds


def title_key(title: str) -> str:
    """Normalized title for comparisons.

    Example:
        >>> title_key("Start Frame"), title_key("start-frame")
        ('start_frame', 'start_frame')
    """
    return re.sub(r"[ \-]", "_", fold_name(title))


def is_index(title: str) -> bool:
    """Whether a title is empty or that of a row index, as pandas and R write it."""
    return _INDEX.fullmatch(title_key(title)) is not None


def read_spreadsheet(path: AnyPath) -> Spreadsheet:
    """Open a table with titles; its rows are read lazily.

    Raises:
        InputError: The file cannot be read. Reading the rows raises it, too, if they are no CSV.
    """
    delimiter, rows = read_rows(path)
    titles = next(rows, (1, []))[1]
    while titles and not titles[-1]:
        titles.pop()
    return Spreadsheet(path, titles, _cut(rows, len(titles)), delimiter)


def read_rows(path: AnyPath, limit: int = TABLE_LIMIT) -> tuple[str, Iterator[tuple[int, list[str]]]]:
    """Open a table with or without titles; its rows are read lazily.

    The delimiter is the most frequent of comma, semicolon, tab and bar in the first line that has one, or that of
    Excel's first line ``sep=;``. Cells may be quoted.

    Args:
        path: CSV file.
        limit: Largest size of the file in bytes.

    Returns:
        The delimiter; line number, counted from 1, and stripped cells of each row that is not blank.

    Raises:
        InputError: As :func:`read_spreadsheet`.
    """
    stream = io.StringIO(read_text(path, limit), newline="")
    first = stream.readline()
    declared = _EXCEL_DELIMITER.fullmatch(first)
    if declared is None:
        stream.seek(0)
    delimiter = declared[1] if declared else _most_frequent_delimiter(stream)
    return delimiter, _rows(stream, delimiter, int(declared is not None), path)


def _most_frequent_delimiter(stream: io.StringIO) -> str:
    delimiter = ","
    for line in stream:
        plain = _QUOTED.sub("", line).strip(" \r\n")
        if any(char in plain for char in _DELIMITERS[:-1]):
            plain = _WITHIN_NUMBERS.sub("", plain)
        if any(char in plain for char in _DELIMITERS):
            delimiter = max(_DELIMITERS, key=plain.count)
            break
    stream.seek(0)
    return delimiter


def _rows(stream: io.StringIO, delimiter: str, before: int, path: AnyPath) -> Iterator[tuple[int, list[str]]]:
    # Without skipinitialspace the quotation mark in `a, "b, c"` would be a letter.
    reader = csv.reader(stream, delimiter=delimiter, strict=True, skipinitialspace=delimiter != "\t")
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
