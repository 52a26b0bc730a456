"""Reading label files: rows ``gesture,start,end``, one a clip."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from pyskl_semloss.datasets.findings import Findings


@dataclass(frozen=True)
class Segment:
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
    text: str, classes: Mapping[int, int], frames: int, findings: Findings, *, file: str | os.PathLike[str] = ""
) -> list[Segment]:
    """Parse a label file; rows that cannot be used are left out, and the others keep their numbers.

    Args:
        text: The file.
        classes: Gesture number to class.
        frames: Number of frames of the video.
        findings: Counts what is mended or dropped.
        file: The name for messages.

    Returns:
        The segments in the order of the file, all within the frames.

    Raises:
        InputError: The findings are strict, and a row has a defect; names file and row.
    """
    lines = text.rstrip().split("\n") if text.strip() else []
    first = 0
    if lines and lines[0].strip() and not any(_whole(cell) is not None for cell in lines[0].split(",")):
        findings.add("header_rows", "column titles, expected numbers", file=file, row=1)
        first = 1
    if len(lines) == first:
        findings.add("label_files_empty", "the label file has no row", file=file)
    found = []
    for number, line in enumerate(lines[first:]):
        segment = _parse_row(line, number, number + first + 1, classes, frames, findings, file)
        if segment is not None:
            found.append(segment)
    return found


def _parse_row(
    line: str,
    row: int,
    number: int,
    classes: Mapping[int, int],
    frames: int,
    findings: Findings,
    file: str | os.PathLike[str],
) -> Segment | None:
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
        findings.add("labels_unknown", f"expected a gesture of {_span(classes)}, got {gesture}", file=file, row=number)
    elif end < start:
        findings.add("ends_before_starts", f"the end, {end}, is before the start, {start}", file=file, row=number)
    elif end < 0 or start >= frames:
        problem = f"frames {start} to {end}, but the file has the frames 0 to {frames - 1}"
        findings.add("frames_outside", problem, file=file, row=number)
    else:
        if start < 0 or end >= frames:
            problem = f"frames {start} to {end}, but the file has the frames 0 to {frames - 1}"
            findings.add("frames_clipped", problem, file=file, row=number)
        return Segment(row, number, classes[gesture], max(start, 0), min(end, frames - 1))
    return None


def _whole(cell: str) -> int | None:
    try:
        value = float(cell)
    except ValueError:
        return None
    return int(value) if value.is_integer() else None


def _span(classes: Mapping[int, int]) -> str:
    numbers = sorted(classes)
    run = [number for at, number in enumerate(numbers) if number - at == numbers[0]]
    rest = [str(number) for number in numbers if number not in run]
    return " or ".join([f"{run[0]} to {run[-1]}", *rest])
