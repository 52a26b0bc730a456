"""Segments read back from files: those that were written here, and annotations made by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from pyskl_semloss.errors import InputError
from pyskl_semloss.io.reading import AnyPath, short_repr
from pyskl_semloss.io.tables import Spreadsheet, read_spreadsheet
from pyskl_semloss.segments.elan_reading import Tiers, read_eaf
from pyskl_semloss.segments.files import CSV_COLUMNS, FURTHER, unquoted
from pyskl_semloss.segments.segment import Segment, Segmentation

_NEEDED = CSV_COLUMNS[:3]


def read_segments(path: AnyPath, tiers: Tiers = (), video: str = "") -> Segmentation:
    """Read a CSV file with the columns start, end (s) and name, or the tiers of an ELAN file.

    Args:
        path: The file.
        tiers: Of an ELAN file, see :func:`pyskl_semloss.segments.elan_reading.read_eaf`.
        video: Of an ELAN file.

    Raises:
        InputError: The file is absent, of another kind, or damaged; names the line.
    """
    suffix = Path(path).suffix.lower()
    if suffix == ".eaf":
        return read_eaf(path, tiers, video)
    if suffix not in (".csv", ".tsv"):
        fix = "A spreadsheet saves its table as CSV."
        raise InputError("expected annotations in a .csv or .eaf file", file=path, fix=fix)
    if tiers or video:
        raise InputError("tiers and linked videos are those of ELAN files, this is a table", file=path)
    return read_csv(path)


def read_csv(path: AnyPath) -> Segmentation:
    """Read a CSV file as :func:`pyskl_semloss.segments.files.write_csv` writes it; start, end and name suffice.

    What spreadsheets make of it is read as well, see :mod:`pyskl_semloss.io.tables`; times may be ``m:ss``.

    Raises:
        InputError: The file is absent or damaged, a column is missing, or a value is wrong; names the line.
    """
    table = read_spreadsheet(path)
    places = table.column_indices(CSV_COLUMNS)
    missing = [name for name in _NEEDED if name not in places]
    if missing:
        raise InputError(table.missing_columns(missing), file=path, fix=f"Expected the columns {', '.join(_NEEDED)}.")
    segments = tuple(_segment(places, cells, line, table) for line, cells in table.rows)
    try:
        return Segmentation(segments, name=Path(path).stem)
    except InputError as error:
        raise error.located(file=path) from None


def _segment(places: Mapping[str, int], cells: Sequence[str], line: int, table: Spreadsheet) -> Segment:
    if len(cells) > len(table.titles):
        problem = f"line {line}: it has more cells than the first line names"
        raise InputError(problem, file=table.path, fix="Put a name that holds the separator into quotation marks.")
    row = {name: cells[at] if at < len(cells) else "" for name, at in places.items()}
    try:
        name, confidence = unquoted(row["name"]), table.number(row.get("confidence") or "1")
        further = [
            (unquoted(row[f"name_{n}"]), table.number(row[f"probability_{n}"]))
            for n in range(2, FURTHER + 2)
            if row.get(f"name_{n}") and row.get(f"probability_{n}")
        ]
        return Segment(
            table.seconds(row["start"]), table.seconds(row["end"]), name, confidence,
            ((name, confidence), *further) if further else (),
            unquoted(row.get("nearest_name") or ""), int(row.get("person") or 1) - 1,
        )  # fmt: skip
    except InputError as error:
        raise error.located(f"line {line}", file=table.path) from None
    except ValueError:
        values = ", ".join(short_repr(row.get(key)) for key in ("start", "end", "confidence", "person"))
        raise InputError(f"line {line}: expected numbers, got {values}", file=table.path) from None
