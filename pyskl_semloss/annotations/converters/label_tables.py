"""Reading a table of one's own labels: a row for each clip, of any number of recordings."""

from __future__ import annotations

import difflib
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pyskl_semloss.annotations.converters.findings import Findings
from pyskl_semloss.annotations.spreadsheets import Spreadsheet, read_spreadsheet
from pyskl_semloss.errors import InputError
from pyskl_semloss.reading import shown

_OPTIONAL = ("split", "subject")
_SECONDS, _FRAMES = ("start", "end"), ("start_frame", "end_frame")


@dataclass(frozen=True)
class LabelRow:
    """One row of a table of labels.

    Attributes:
        row: Number of the row, counted from 0; the clip's id is ``<recording>_<row>``.
        line: Line of the file, counted from 1.
        recording: Name of the recording.
        label: Class, counted from 0.
        start: In seconds, or the first frame.
        end: In seconds, or the last frame, inclusive.
        in_frames: Whether start and end are frames.
        split: Empty where the table says none.
        subject: Empty where the table says none.
    """

    row: int
    line: int
    recording: str
    label: int
    start: float
    end: float
    in_frames: bool
    split: str = ""
    subject: str = ""

    def frames(self, fps: float) -> tuple[int, int]:
        """First frame, and the one after the last; at least one frame. Frame t lasts from t / fps to (t + 1) / fps."""
        if self.in_frames:
            return int(self.start), int(self.end) + 1
        first = math.floor(self.start * fps + 0.5)
        return first, max(math.floor(self.end * fps + 0.5), first + 1)


def read_label_table(
    path: str | os.PathLike[str], class_names: Sequence[str] | None, findings: Findings
) -> list[LabelRow]:
    """Read a CSV table ``recording,start,end,label``, further ``split`` and ``subject``.

    Columns may stand in any order, and be separated by commas, semicolons (then with decimal commas) or tabs. Times are
    seconds, ``m:ss`` or ``h:mm:ss``; ``start_frame`` and ``end_frame`` in place of ``start`` and ``end`` are frames
    from 0, the last one included. A label is a class name or its number from 0. Other columns are not used.

    Args:
        path: The file.
        class_names: In the order of the classes; without them every label is a number.
        findings: Counts rows that cannot be used.

    Raises:
        InputError: The file cannot be read, a column is absent, or the findings are strict and a row has a defect.
    """
    table = read_spreadsheet(path)
    titles = [title.lower() for title in table.titles]
    _check_titles(titles, path)
    rows: list[LabelRow] = []
    line_of: dict[LabelRow, int] = {}
    for number, (line, cells) in enumerate(table.rows):
        row = _row(_Cells(titles, cells, table), number, line, class_names, findings, path)
        if row is None:
            continue
        before = line_of.setdefault(replace(row, row=0, line=0), line)
        if before == line:
            rows.append(row)
        else:
            findings.add("label_rows_twice", f"it is row {before} again", file=path, row=line)
    return rows


def _check_titles(titles: list[str], path: str | os.PathLike[str]) -> None:
    expected = (
        "recording,start,end,label, or start_frame,end_frame in place of start,end, and if you like split,subject"
    )
    missing = [name for name in ("recording", "label") if name not in titles]
    if missing or not any(set(pair) <= set(titles) for pair in (_SECONDS, _FRAMES)):
        missing += [] if any(set(pair) <= set(titles) for pair in (_SECONDS, _FRAMES)) else ["start and end"]
        problem = f"the first line names no column {', '.join(missing)}; it names {shown(titles)}"
        raise InputError(problem, file=path, fix=f"Expected {expected}.")
    if {*_SECONDS, *_FRAMES} <= set(titles):
        raise InputError("it has start and end both in seconds and in frames", file=path, fix="Keep one of the two.")
    known = {"recording", "label", *_SECONDS, *_FRAMES, *_OPTIONAL}
    if len(titles) != len(set(titles)):
        raise InputError("two columns have one name", file=path)
    for title in titles:
        near = difflib.get_close_matches(title, _OPTIONAL, n=1, cutoff=0.75)
        if title not in known and near and near[0] not in titles:
            raise InputError(f"there is a column {shown(title)}; did you mean {near[0]!r}?", file=path)


class _Cells:
    """The cells of a row by the names of their columns."""

    def __init__(self, titles: list[str], cells: list[str], table: Spreadsheet) -> None:
        self.too_many = len(cells) > len(titles)
        self._cells = dict(zip(titles, cells, strict=False))
        self._table = table
        self.in_frames = "start_frame" in titles and "end_frame" in titles

    def __getitem__(self, title: str) -> str:
        return self._cells.get(title, "")

    def span(self) -> tuple[float, float] | None:
        """Start and end, None where one is no time or frame."""
        try:
            start, end = (self._number(self[title]) for title in (_FRAMES if self.in_frames else _SECONDS))
        except ValueError:
            return None
        whole = not self.in_frames or (start.is_integer() and end.is_integer())
        return (start, end) if whole and all(abs(value) < 1e9 for value in (start, end)) else None

    def _number(self, cell: str) -> float:
        parts = cell.split(":")
        if len(parts) > 1 and (self.in_frames or len(parts) > 3 or not all(part.isdigit() for part in parts[:-1])):
            raise ValueError
        seconds = 0.0
        for part in parts:
            seconds = 60 * seconds + self._table.number(part)
        return seconds


def _row(
    cells: _Cells, number: int, line: int, names: Sequence[str] | None, findings: Findings,
    path: str | os.PathLike[str],
) -> LabelRow | None:  # fmt: skip
    span = cells.span()
    if cells.too_many:
        findings.add("label_rows_unreadable", "it has more cells than the first line names: put a name that holds the "
                     "separator into quotes", file=path, row=line)  # fmt: skip
        return None
    if span is None or not cells["recording"]:
        what = "start_frame and end_frame, whole numbers" if cells.in_frames else "start and end, in seconds or m:ss"
        problem = f"expected a recording, a label and {what}, got {shown(list(cells._cells.values()))}"
        findings.add("label_rows_unreadable", problem, file=path, row=line)
        return None
    label = _label(cells["label"], names)
    if label is None:
        near = difflib.get_close_matches(cells["label"], names or [], n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        expected = f"a class name or a number below {len(names)}" if names else "a number (names need --class-names)"
        findings.add("labels_unknown", f"expected {expected}, got {shown(cells['label'])}{hint}", file=path, row=line)
        return None
    start, end = span
    if end < start:
        findings.add("ends_before_starts", f"the end, {end:g}, is before the start, {start:g}", file=path, row=line)
        return None
    return LabelRow(
        number, line, cells["recording"], label, start, end, cells.in_frames, cells["split"], cells["subject"]
    )


def _label(cell: str, names: Sequence[str] | None) -> int | None:
    folded = " ".join(cell.casefold().split())
    for number, name in enumerate(names or []):
        if " ".join(name.casefold().split()) == folded:
            return number
    if cell.isascii() and cell.isdigit() and len(cell) < 7 and (names is None or int(cell) < len(names)):
        return int(cell)
    return None


def name_of_recording(cell: str, known: Sequence[str]) -> str | None:
    """The recording that a cell names: by its name, or by that of its video or file, ``a.mp4`` for ``a``."""
    if cell in known:
        return cell
    stem = Path(cell).stem
    return stem if stem in known else None
