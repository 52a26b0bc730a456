"""Tables of raw skeletons and of their labels.

A sound table of skeletons is parsed by NumPy, a defective one cell by cell.
"""

from __future__ import annotations

import io
import warnings
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pyskl_semloss.datasets.findings import Findings
from pyskl_semloss.datasets.raw_format import RawFormat
from pyskl_semloss.errors import InputError
from pyskl_semloss.io.reading import TABLE_LIMIT, AnyPath, read_bytes, refuse_binary_text

MOST_ROWS, MOST_CELLS = 500_000, 500_000 * 275
"""Frames of a video: five hours; and cells, a gigabyte of them: as many rows of the 275 columns of SMG."""


def read_text(path: AnyPath) -> str:
    """Text of a CSV file in any encoding that contains ASCII.

    What a spreadsheet made of the file is read as it was: semicolons between the cells and commas within, or tabs.

    Raises:
        InputError: It cannot be read, is UTF-16 text or a workbook, or has more than
            :data:`pyskl_semloss.io.reading.TABLE_LIMIT` bytes.
    """
    data = read_bytes(path, TABLE_LIMIT)
    refuse_binary_text(data, path)
    text = data.removeprefix(b"\xef\xbb\xbf").decode("latin-1").replace("\r\n", "\n").replace("\r", "\n")
    first, _, rest = text.partition("\n")
    if first.strip().strip('"') in ("sep=;", "sep=,", "sep="):
        text, (first, _, _) = rest, rest.partition("\n")
    for mark in ";\t":
        if first.count(mark) >= max(1, first.count(",")):
            return text.replace(",", ".").replace(mark, ",")
    return text


def parse_table(text: str, columns: int, findings: Findings, *, file: AnyPath = "", header: bool = False) -> np.ndarray:
    """Parse rows of numbers; a row is a frame, so none is skipped.

    Args:
        text: Lines of numbers separated by commas.
        columns: Columns of the format.
        findings: Counts what is mended or dropped.
        file: The name for messages.
        header: Whether the format begins with a row of titles.

    Returns:
        (rows, columns) float64. What a row lacks, and cells that are no numbers, are NaN; further columns are cut.
        No row where the text is empty, where no row has as many columns as the format, or where most have more: then
        it is of another format, and what stands in its first columns is something else. The findings say so.

    Raises:
        InputError: It has more than ``MOST_ROWS`` rows or ``MOST_CELLS`` cells, or the findings are strict and the
            text has a defect; names file and row.
    """
    text = text.rstrip()
    if not text.strip():
        findings.add("videos_empty", "the skeleton file is empty", file=file)
        return np.empty((0, columns))
    most = min(MOST_ROWS, MOST_CELLS // columns)
    if (rows := text.count("\n") + 1) > most:
        raise InputError(f"it has {rows} rows, more than the {most} frames that a video may have", file=file)
    first, _, rest = text.partition("\n")
    titles = header and first.strip() != "" and all(_number(cell) is None for cell in first.split(","))
    if titles and not rest:
        findings.add("videos_empty", "the skeleton file has titles and no row", file=file)
        return np.empty((0, columns))
    if header and not titles:
        findings.add("titles_missing", "numbers, expected column titles", file=file, row=1)
    values = _parse_fast(rest if titles else text)
    if values is None or values.shape[1] != columns:
        values = _parse_slowly(text.split("\n"), columns, findings, file, titles)
    return values


def joint_points(table: np.ndarray, raw: RawFormat) -> tuple[np.ndarray, np.ndarray]:
    """Positions and scores of the joints in a table (T, columns).

    Positions are (T, V, 2) in px, scores (T, V). Without scores in the
    format the score is 1, and 0 where the position is (0, 0) or no number.
    """
    points = table[:, np.stack([raw.columns_of("x"), raw.columns_of("y")], -1)]
    if "score" in raw.values:
        return points, table[:, raw.columns_of("score")]
    return points, (np.isfinite(points).all(-1) & points.any(-1)).astype(float)


def _parse_fast(text: str) -> np.ndarray | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            values = np.loadtxt(io.StringIO(text), delimiter=",", comments=None, ndmin=2)
    except (ValueError, UserWarning, DeprecationWarning):
        return None
    # The parser skips empty lines, which are frames.
    return values if len(values) == text.count("\n") + 1 else None


def _parse_slowly(lines: list[str], columns: int, findings: Findings, file: AnyPath, titles: bool) -> np.ndarray:
    first = int(titles)
    if not titles and lines[0].strip() and all(_is_title(cell) for cell in lines[0].split(",")):
        findings.add("header_rows", "column titles, expected numbers", file=file, row=1)
        first = 1
    widths = Counter(_width(line, columns) for line in lines[first:] if line.strip())
    wider = sum(count for width, count in widths.items() if width > columns)
    if max(widths, default=0) < columns or wider and (columns not in widths or 2 * wider > widths.total()):
        problem = f"expected {columns} columns, got {_span(sorted(widths))}"
        findings.add("videos_of_another_format", problem, file=file, row=first + 1)
        return np.empty((0, columns))
    values = np.full((len(lines) - first, columns), np.nan)
    for number, line in enumerate(lines[first:]):
        cells = line.split(",") if line.strip() else []
        values[number, : min(len(cells), columns)] = _row(cells, columns, findings, file, first + number + 1)
    return values


def _width(line: str, columns: int) -> int:
    """Number of columns of a row, without empty ones beyond the format."""
    width = line.count(",") + 1
    return max(columns, len(line.rstrip(", \t").split(","))) if width > columns else width


def _span(widths: list[int]) -> str:
    if not widths:
        return "none"
    return f"{widths[0]} in every row" if len(widths) == 1 else f"{widths[0]} to {widths[-1]}"


def _row(cells: list[str], columns: int, findings: Findings, file: AnyPath, row: int) -> list[float]:
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


@dataclass(frozen=True)
class RawLabel:
    """One row of a label file.

    Attributes:
        row: Number of the row in the sample id, counted from 0.
        line: Line of the file, counted from 1.
        label: Class, counted from 0.
        start: First frame, counted from 0.
        end: Last frame, inclusive.
    """

    row: int
    line: int
    label: int
    start: int
    end: int


def parse_labels(
    text: str,
    classes: Mapping[int, int],
    frames: int,
    findings: Findings,
    *,
    file: AnyPath = "",
    header: bool = False,
) -> list[RawLabel]:
    """Parse a label file; unusable rows are dropped, the others keep their numbers.

    Args:
        text: The file.
        classes: Gesture number to class.
        frames: Number of frames of the video.
        findings: Counts what is mended or dropped.
        file: The name for messages.
        header: Whether the format begins with a row of titles.

    Returns:
        The segments in the order of the file, all within the frames.

    Raises:
        InputError: The findings are strict, and a row has a defect; names file and row.
    """
    lines = text.rstrip().split("\n") if text.strip() else []
    first = 0
    if lines and lines[0].strip() and not any(_whole(cell) is not None for cell in lines[0].split(",")):
        if not header:
            findings.add("header_rows", "column titles, expected numbers", file=file, row=1)
        first = 1
    elif lines and header:
        findings.add("titles_missing", "numbers, expected column titles", file=file, row=1)
    if len(lines) == first:
        findings.add("label_files_empty", "the label file has no row", file=file)
    segments = []
    for number, line in enumerate(lines[first:]):
        segment = _parse_row(line, number, number + first + 1, classes, frames, findings, file)
        if segment is not None:
            segments.append(segment)
    return segments


def _parse_row(
    line: str,
    row: int,
    number: int,
    classes: Mapping[int, int],
    frames: int,
    findings: Findings,
    file: AnyPath,
) -> RawLabel | None:
    cells = line.split(",")
    values = [_whole(cell) for cell in cells[:3]]
    if len(values) < 3 or None in values:
        problem = f"expected gesture,start,end, three whole numbers, got {line.strip()[:40]!r}"
        findings.add("label_rows_unreadable", problem, file=file, row=number)
        return None
    if len(cells) > 3:
        problem = f"expected three columns, got {len(cells)}"
        findings.add("label_rows_with_extra_columns", problem, file=file, row=number)
    gesture, start, end = (value for value in values if value is not None)
    if gesture not in classes:
        findings.add(
            "labels_unknown", f"expected a gesture of {_gestures(classes)}, got {gesture}", file=file, row=number
        )
    elif end < start:
        findings.add("ends_before_starts", f"the end, {end}, is before the start, {start}", file=file, row=number)
    elif end < 0 or start >= frames:
        problem = f"frames {start} to {end}, but the file has the frames 0 to {frames - 1}"
        findings.add("frames_outside", problem, file=file, row=number)
    else:
        if start < 0 or end >= frames:
            problem = f"frames {start} to {end}, but the file has the frames 0 to {frames - 1}"
            findings.add("frames_clipped", problem, file=file, row=number)
        return RawLabel(row, number, classes[gesture], max(start, 0), min(end, frames - 1))
    return None


def _whole(cell: str) -> int | None:
    try:
        value = float(cell)
    except ValueError:
        return None
    return int(value) if value.is_integer() else None


def _gestures(classes: Mapping[int, int]) -> str:
    numbers = sorted(classes)
    run = [number for at, number in enumerate(numbers) if number - at == numbers[0]]
    rest = [str(number) for number in numbers if number not in run]
    return " or ".join([f"{run[0]} to {run[-1]}", *rest])
