"""Segments read back from files: those that were written here, and annotations made by hand."""

from __future__ import annotations

import csv
import io
import os
from pathlib import Path

from pyskl_semloss.errors import InputError
from pyskl_semloss.reading import TABLE_LIMIT, read_text, shown
from pyskl_semloss.segments.eaf import read_eaf
from pyskl_semloss.segments.files import CSV_COLUMNS, FURTHER, unquoted
from pyskl_semloss.segments.segment import Segment
from pyskl_semloss.segments.segmentation import Segmentation

AnyPath = str | os.PathLike[str]
_NEEDED = CSV_COLUMNS[:3]


def read_segments(path: AnyPath) -> Segmentation:
    """Read a CSV file with the columns start, end (s) and name, or the tiers of an ELAN file, one a person.

    Raises:
        InputError: The file is absent, of another kind, or damaged; names the line.
    """
    suffix = Path(path).suffix.lower()
    if suffix == ".csv":
        return read_csv(path)
    if suffix == ".eaf":
        return read_eaf(path)
    raise InputError("expected annotations in a .csv or .eaf file", file=path)


def read_csv(path: AnyPath) -> Segmentation:
    """Read a CSV file as :func:`pyskl_semloss.segments.files.write_csv` writes it; start, end and name suffice.

    Raises:
        InputError: The file is absent or damaged, a column is missing, or a value is wrong; names the line.
    """
    rows = csv.DictReader(io.StringIO(read_text(path, TABLE_LIMIT), newline=""))
    try:
        missing = [name for name in _NEEDED if name not in (rows.fieldnames or ())]
        if missing:
            raise InputError(f"expected the columns {', '.join(_NEEDED)}; {', '.join(missing)} is absent", file=path)
        segments = tuple(_segment(row, path, rows) for row in rows)
    except csv.Error as error:
        raise InputError(f"line {rows.line_num}: it is no CSV ({error})", file=path) from None
    try:
        return Segmentation(segments, name=Path(path).stem)
    except InputError as error:
        raise InputError(error.problem, file=path, field=error.field) from None


def _segment(row: dict[str, str], path: AnyPath, rows: csv.DictReader) -> Segment:
    try:
        name, confidence = unquoted(row["name"] or ""), float(row.get("confidence") or 1)
        further = [
            (unquoted(row[f"name_{n}"]), float(row[f"probability_{n}"]))
            for n in range(2, FURTHER + 2)
            if row.get(f"name_{n}") and row.get(f"probability_{n}")
        ]
        return Segment(
            float(row["start"]), float(row["end"]), name, confidence,
            ((name, confidence), *further) if further else (),
            unquoted(row.get("nearest_name") or ""), int(row.get("person") or 1) - 1,
        )  # fmt: skip
    except InputError as error:
        raise InputError(f"line {rows.line_num}: {error.problem}", file=path, field=error.field) from None
    except (TypeError, ValueError):
        values = ", ".join(shown(row.get(key)) for key in ("start", "end", "confidence", "person"))
        raise InputError(f"line {rows.line_num}: expected numbers, got {values}", file=path) from None
