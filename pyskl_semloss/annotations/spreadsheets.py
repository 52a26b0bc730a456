"""CSV tables with titles, as spreadsheets and people write them: commas, semicolons or tabs, blank rows and columns."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from dataclasses import dataclass

from pyskl_semloss.errors import InputError
from pyskl_semloss.reading import TABLE_LIMIT, read_text


@dataclass(frozen=True)
class Spreadsheet:
    """A table.

    Attributes:
        path: The file.
        titles: Of the columns; empty ones at the end are left out.
        rows: Line of the file, counted from 1, and the cells of each row that is not blank. Empty cells that stand
            behind the last title are left out.
        decimal_comma: Whether 0,5 is a number in it, because semicolons separate the cells.
    """

    path: str | os.PathLike[str]
    titles: list[str]
    rows: Iterator[tuple[int, list[str]]]
    decimal_comma: bool

    def number(self, cell: str) -> float:
        """The number in a cell.

        Raises:
            ValueError: It is none.
        """
        return float(cell.replace(",", ".") if self.decimal_comma else cell)


def read_spreadsheet(path: str | os.PathLike[str]) -> Spreadsheet:
    """Open a table; its rows are read one after the other.

    Raises:
        InputError: The file cannot be read; later, while its rows are read, too, if it is no CSV.
    """
    lines = read_text(path, TABLE_LIMIT).splitlines()
    mark = max(",;\t", key=(lines[0] if lines else "").count)
    table = _cells(csv.reader(lines, delimiter=mark, strict=True), path)
    titles = next(table, (1, []))[1]
    while titles and not titles[-1]:
        titles.pop()
    return Spreadsheet(path, titles, _rows(table, len(titles)), mark == ";")


def _cells(reader, path: str | os.PathLike[str]) -> Iterator[tuple[int, list[str]]]:  # type: ignore[no-untyped-def]
    try:
        for cells in reader:
            yield reader.line_num, [cell.strip() for cell in cells]
    except csv.Error as error:
        raise InputError(f"line {reader.line_num}: expected CSV ({error})", file=path) from None


def _rows(table: Iterator[tuple[int, list[str]]], columns: int) -> Iterator[tuple[int, list[str]]]:
    for line, cells in table:
        if any(cells):
            while len(cells) > columns and not cells[-1]:
                cells.pop()
            yield line, cells
