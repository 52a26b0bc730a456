"""Tables of own labels: one row per clip, any number of recordings."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from pyskl_semloss.datasets.findings import Findings
from pyskl_semloss.errors import InputError
from pyskl_semloss.io.reading import AnyPath, closest_names, did_you_mean, fold_name, short_repr
from pyskl_semloss.io.tables import Spreadsheet, is_index, read_spreadsheet, title_key

_OPTIONAL = ("split", "subject")
_SECONDS, _FRAMES = ("start", "end"), ("start_frame", "end_frame")
_COLUMNS = ("recording", "label", *_SECONDS, *_FRAMES, *_OPTIONAL)
_NUMBER = re.compile(r"(\d{1,6})(?:[.,]0*)?", re.ASCII)
"""A label, also as pandas writes a column of numbers with gaps."""


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
        """First frame, and the one after the last; at least one frame.

        Frame t lasts from t / fps to (t + 1) / fps.
        """
        if self.in_frames:
            return int(self.start), int(self.end) + 1
        first = math.floor(self.start * fps + 0.5)
        return first, max(math.floor(self.end * fps + 0.5), first + 1)


def read_label_table(
    path: AnyPath,
    class_names: Sequence[str] | None,
    findings: Findings,
    labels_from: int | None = None,
) -> list[LabelRow]:
    """Read a CSV table ``recording,start,end,label``, further ``split`` and ``subject``.

    Columns may stand in any order, see :mod:`pyskl_semloss.io.tables` for separators, titles and numbers. Times are
    seconds, ``m:ss`` or ``h:mm:ss``; ``start_frame`` and ``end_frame`` in place of ``start`` and ``end`` are frames
    from 0, the last one included. A label is a class name or its number. Other columns are not used.

    Args:
        path: The file.
        class_names: In the order of the classes; without them every label is a number.
        findings: Counts rows that cannot be used.
        labels_from: The number of the first class; without it 0, but numbers that seem to count from 1 are refused.

    Raises:
        InputError: The file cannot be read, a column is absent, the labels seem to count from 1, or the findings are
            strict and a row has a defect.
    """
    table = read_spreadsheet(path)
    columns = _columns(table)
    parsed = [
        (line, cells, {name: cells[at] if at < len(cells) else "" for name, at in columns.items()})
        for line, cells in table.rows
    ]
    labels = _Labels(class_names, [values["label"] for *_, values in parsed], labels_from, path)
    rows: list[LabelRow] = []
    line_of: dict[LabelRow, int] = {}
    for number, (line, cells, values) in enumerate(parsed):
        row = _row(table, cells, values, number, line, labels, findings)
        if row is None:
            continue
        first_line = line_of.setdefault(replace(row, row=0, line=0), line)
        if first_line == line:
            rows.append(row)
        else:
            findings.add("label_rows_twice", f"it is row {first_line} again", file=path, row=line)
    return rows


def _columns(table: Spreadsheet) -> dict[str, int]:
    """Column indices by name.

    Raises:
        InputError: One is absent, there twice, or nearly one that may be there.
    """
    columns = table.column_indices(_COLUMNS)
    expected = (
        "recording,start,end,label, or start_frame,end_frame in place of start,end, and if you like split,subject"
    )
    missing = [name for name in ("recording", "label") if name not in columns]
    times = [pair for pair in (_SECONDS, _FRAMES) if set(pair) <= columns.keys()]
    if missing or not times:
        missing += [] if times else [name for name in _SECONDS if name not in columns]
        raise InputError(table.missing_columns(missing), file=table.path, fix=f"Expected {expected}.")
    if len(times) == 2:
        raise InputError("it has start and end both in seconds and in frames", file=table.path, fix="Keep one pair.")
    for title in table.titles:
        similar = closest_names(title_key(title), _OPTIONAL)
        if title_key(title) not in _COLUMNS and not is_index(title) and similar and similar[0] not in columns:
            raise InputError(f"there is a column {short_repr(title)}; did you mean {similar[0]!r}?", file=table.path)
    return columns


def first_label(
    labels: Iterable[int],
    classes: int | None,
    labels_from: int | None,
    file: AnyPath,
    *,
    named: bool = True,
) -> int:
    """Number of the first class.

    Args:
        labels: Numbers of classes; those below 0 do not count.
        classes: How many classes there are, where that is known.
        labels_from: The number that the user gives; it has precedence.
        file: Where they are from.
        named: Whether numbers from 1 on alone are no reason to ask.

    Raises:
        InputError: They seem to count from 1.
    """
    if labels_from is not None:
        return labels_from
    numbers = {label for label in labels if label >= 0}
    if not numbers or 0 in numbers:
        return 0
    if classes is not None and classes in numbers:
        problem = f"no label is 0 and some are {classes}, but {classes} classes counted from 0 end with {classes - 1}"
    elif min(numbers) == 1 and not named:
        problem = f"the labels are numbers from 1 to {max(numbers)}, and none is 0"
    else:
        return 0
    fix = "Do they count from 1? Then give --labels-from 1; or --labels-from 0 if it is right that class 0 has no clip."
    raise InputError(problem, file=file, field="label", fix=fix)


class _Labels:
    """Classes of the cells in the column ``label``.

    Args:
        names: Of the classes, None where there are none.
        cells: All cells, to see from where numbers count.
        labels_from: The number of the first class, if the user gives it.
        path: The file.
    """

    def __init__(
        self, names: Sequence[str] | None, cells: Sequence[str], labels_from: int | None, path: AnyPath
    ) -> None:
        self.names = names
        self._class_of = {fold_name(name): number for number, name in reversed(list(enumerate(names or [])))}
        numbers = [self._number(cell) for cell in cells if cell]
        parsed = [number for number in numbers if number is not None]
        classes = None if names is None else len(names)
        self.first = first_label(parsed, classes, labels_from, path, named=len(parsed) < len(numbers))

    def _number(self, cell: str) -> int | None:
        number = None if fold_name(cell) in self._class_of else _NUMBER.fullmatch(cell)
        return int(number[1]) if number else None

    def find(self, cell: str) -> int | None:
        """Class that a cell names, or None."""
        if (number := self._number(cell)) is None:
            return self._class_of.get(fold_name(cell))
        number -= self.first
        return number if number >= 0 and (self.names is None or number < len(self.names)) else None

    def expected(self, cell: str) -> str:
        """Expectation and suggestion for a cell that names no class."""
        if not self.names:
            return f"a number from {self.first} (names need --class-names), got {short_repr(cell)}"
        last = self.first + len(self.names) - 1
        hint = did_you_mean(cell, self.names)
        return f"a class name or a number from {self.first} to {last}, got {short_repr(cell)}{hint}"


def _span(table: Spreadsheet, values: Mapping[str, str]) -> tuple[float, float] | None:
    """Start and end, None where one is no time or frame."""
    in_frames = set(_FRAMES) <= values.keys()
    read = table.number if in_frames else table.seconds
    try:
        start, end = (read(values[title]) for title in (_FRAMES if in_frames else _SECONDS))
    except ValueError:
        return None
    integral = not in_frames or (start.is_integer() and end.is_integer())
    return (start, end) if integral and all(abs(value) < 1e9 for value in (start, end)) else None


def _row(
    table: Spreadsheet, cells: list[str], values: Mapping[str, str], number: int, line: int, labels: _Labels,
    findings: Findings,
) -> LabelRow | None:  # fmt: skip
    span, in_frames = _span(table, values), set(_FRAMES) <= values.keys()
    if len(cells) > len(table.titles):
        findings.add("label_rows_unreadable", "it has more cells than the first line names: put a name that holds the "
                     "separator into quotes", file=table.path, row=line)  # fmt: skip
    elif span is None or not values["recording"]:
        times = "start_frame and end_frame, whole numbers" if in_frames else "start and end, in seconds or m:ss"
        problem = f"expected a recording, a label and {times}, got {short_repr(cells)}"
        findings.add("label_rows_unreadable", problem, file=table.path, row=line)
    elif (label := labels.find(values["label"])) is None:
        findings.add("labels_unknown", f"expected {labels.expected(values['label'])}", file=table.path, row=line)
    elif span[1] < span[0]:
        problem = f"the end, {span[1]:g}, is before the start, {span[0]:g}"
        findings.add("ends_before_starts", problem, file=table.path, row=line)
    else:
        further = values.get("split", ""), values.get("subject", "")
        return LabelRow(number, line, values["recording"], label, *span, in_frames, *further)
    return None
