"""Reading the rows of raw CSV files: fast where all is well, cell by cell where it is not."""

from __future__ import annotations

import io
import os
import warnings
from pathlib import Path

import numpy as np

from pyskl_semloss.annotations.converters.findings import Findings
from pyskl_semloss.errors import InputError


def read_text(path: str | os.PathLike[str]) -> str:
    """The text of a CSV file, whatever its encoding: numbers are ASCII in all that occur.

    Raises:
        InputError: It cannot be read.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise InputError(f"it cannot be read ({error.strerror})", file=path) from None
    return data.removeprefix(b"\xef\xbb\xbf").decode("latin-1").replace("\r\n", "\n").replace("\r", "\n")


def parse_table(text: str, columns: int, findings: Findings, *, file: str | os.PathLike[str] = "") -> np.ndarray:
    """Parse rows of numbers; a row is a frame, so none is left out within the file.

    Args:
        text: Lines of numbers separated by commas, without column titles.
        columns: Columns of the format.
        findings: Counts what is mended or dropped.
        file: The name for messages.

    Returns:
        (rows, columns) float64. What a row lacks, and cells that are no numbers, are NaN; further columns are cut.
        No row where the text is empty or every row has too few columns; then the findings say so.

    Raises:
        InputError: The findings are strict, and the text has a defect; names file and row.
    """
    text = text.rstrip()
    if not text.strip():
        findings.add("videos_empty", "the skeleton file is empty", file=file)
        return np.empty((0, columns))
    values = _parse_fast(text)
    if values is None or values.shape[1] != columns:
        values = _parse_slowly(text.split("\n"), columns, findings, file)
    return values


def _parse_fast(text: str) -> np.ndarray | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            values = np.loadtxt(io.StringIO(text), delimiter=",", comments=None, ndmin=2)
    except (ValueError, UserWarning, DeprecationWarning):
        return None
    # The parser skips empty lines, which are frames.
    return values if len(values) == text.count("\n") + 1 else None


def _parse_slowly(lines: list[str], columns: int, findings: Findings, file: str | os.PathLike[str]) -> np.ndarray:
    rows = [line.split(",") if line.strip() else [] for line in lines]
    first = 0
    if rows[0] and all(_is_title(cell) for cell in rows[0]):
        findings.add("header_rows", "column titles, expected numbers", file=file, row=1)
        first = 1
    longest = max(map(len, rows[first:]), default=0)
    if longest < columns:
        problem = f"expected {columns} columns, got at most {longest}"
        findings.add("videos_of_another_format", problem, file=file, row=first + 1)
        return np.empty((0, columns))
    values = np.full((len(rows) - first, columns), np.nan)
    for number, cells in enumerate(rows[first:]):
        values[number, : min(len(cells), columns)] = _row(cells, columns, findings, file, first + number + 1)
    return values


def _row(cells: list[str], columns: int, findings: Findings, file: str | os.PathLike[str], row: int) -> list[float]:
    if not cells:
        findings.add("rows_empty", f"expected {columns} columns, got an empty row", file=file, row=row)
    elif len(cells) < columns:
        findings.add("rows_cut_short", f"expected {columns} columns, got {len(cells)}", file=file, row=row)
    elif len(cells) > columns:
        problem = f"expected {columns} columns, got {len(cells)}"
        findings.add("rows_with_extra_columns", problem, file=file, row=row)
    try:
        return list(map(float, cells[:columns]))
    except ValueError:
        pass
    numbers = [_number(cell) for cell in cells[:columns]]
    wrong = next(at for at, number in enumerate(numbers) if number is None)
    problem = f"expected a number in column {wrong + 1}, got {cells[wrong].strip()[:30]!r}"
    findings.add("rows_with_text", problem, file=file, row=row)
    return [np.nan if number is None else number for number in numbers]


def _number(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:
        return None


def _is_title(cell: str) -> bool:
    return _number(cell) is None and any(letter.isalpha() for letter in cell)
