"""Files of segments: CSV, JSON, WebVTT and ELAN."""

from __future__ import annotations

import html
import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pyskl_semloss.errors import InputError, located
from pyskl_semloss.io.reading import AnyPath, short_repr
from pyskl_semloss.io.results import result_file
from pyskl_semloss.io.tables import Spreadsheet, read_spreadsheet
from pyskl_semloss.segments.elan_reading import Tiers, read_eaf
from pyskl_semloss.segments.elan_writing import import_pympi, write_eaf
from pyskl_semloss.segments.segment import Segment, Segmentation

FURTHER = 4
"""Classes after the first one that a CSV file has columns for."""
CSV_COLUMNS = ("start", "end", "name", "confidence", "person", "nearest_name") + tuple(
    f"{field}_{rank}" for rank in range(2, FURTHER + 2) for field in ("name", "probability")
)
_NEEDED = CSV_COLUMNS[:3]
_MARK = "unseen"
"""A further column, and field, of segmentations with names that no model was trained on."""
_FORMULA = ("=", "+", "-", "@", "'", "\uff1d", "\uff0b", "\uff0d", "\uff20")
# Where a semicolon separates, a cell begins behind each.
_CELL = re.compile(f';(?=[\\s"]*[{re.escape("".join(_FORMULA))}])')
_WRITTEN_CELL = re.compile(_CELL.pattern.replace(";", ";'", 1))


def write_segments(segmentation: Segmentation, path: AnyPath) -> None:
    """Write a segmentation as .csv, .json, .vtt or .eaf.

    The name's ending chooses the format. A file is written whole or not at all.

    Raises:
        InputError: Another ending, or the file cannot be written.
    """
    write = WRITERS.get(Path(path).suffix.lower().lstrip("."))
    if write is None:
        raise InputError(f"expected a name that ends in {', '.join(f'.{name}' for name in WRITERS)}", file=path)
    write(segmentation, path)


def write_csv(segmentation: Segmentation, path: AnyPath) -> None:
    """Write a CSV table with the columns :data:`CSV_COLUMNS`.

    Times are in s with three decimals; persons count from 1. Where there are unseen names, a last column ``unseen`` has
    ``yes`` for the segments of such a name.

    What a spreadsheet would take for a formula, at the beginning of a name or behind a semicolon, gets an apostrophe in
    front, which our reader takes off. A name with a separator or quotes is in quotes.
    """
    with result_file(path, "w", encoding="utf-8", newline="") as stream:
        marked = bool(segmentation.unseen_names)
        stream.write(",".join([*CSV_COLUMNS, *[_MARK] * marked]) + "\r\n")
        for start, end, segment in segmentation.in_milliseconds():
            row = [f"{start / 1000:.3f}", f"{end / 1000:.3f}", _plain(segment.name), f"{segment.confidence:.4f}"]
            row += [str(segment.person + 1), _plain(segment.nearest)]
            for name, probability in segment.top[1 : FURTHER + 1]:
                row += [_plain(name), f"{probability:.4f}"]
            cells = [*row, *[""] * (len(CSV_COLUMNS) - len(row))]
            cells += ["yes" if segment.name in segmentation.unseen_names else ""] * marked
            stream.write(",".join(map(_quoted, cells)) + "\r\n")


def _quoted(cell: str) -> str:
    # Python's writer leaves a semicolon bare, at which other readers cut.
    return '"' + cell.replace('"', '""') + '"' if re.search(r"[,;\"\t\r\n]|^\s|\s$", cell) else cell


def _plain(name: str) -> str:
    name = _CELL.sub(";'", name)
    return f"'{name}" if name.startswith(_FORMULA) else name


def unescape_name(name: str) -> str:
    """Name without the apostrophes of :func:`write_csv`."""
    name = name[1:] if name.startswith("'") and name[1:].startswith(_FORMULA) else name
    return _WRITTEN_CELL.sub(";", name)


def write_json(segmentation: Segmentation, path: AnyPath) -> None:
    """Write a JSON object of recording, settings, class names and segments; unseen names are marked."""
    unseen = segmentation.unseen_names
    segments = [
        {
            "start": start / 1000,
            "end": end / 1000,
            "name": segment.name,
            "confidence": round(segment.confidence, 6),
            "person": segment.person + 1,
            "nearest_name": segment.nearest or None,
            "top": [{"name": name, "probability": round(value, 6)} for name, value in segment.top],
            **({_MARK: segment.name in unseen} if unseen else {}),
        }
        for start, end, segment in segmentation.in_milliseconds()
    ]
    content: dict[str, Any] = {
        "recording": segmentation.name,
        "video": os.path.basename(segmentation.video) or None,
        "seconds": round(segmentation.seconds, 3),
        "settings": dict(segmentation.settings),
        "class_names": list(segmentation.class_names),
        **({"unseen_names": list(unseen)} if unseen else {}),
        "segments": segments,
        "explanation": segmentation.explanation or None,
    }
    with result_file(path, "w", encoding="utf-8", newline="\n") as stream:
        json.dump(content, stream, indent=1, ensure_ascii=False, allow_nan=False)
        stream.write("\n")


def write_vtt(segmentation: Segmentation, path: AnyPath) -> None:
    """Write WebVTT subtitles, a cue per segment with name and confidence.

    Each of several persons is a voice.
    """
    several = len(segmentation.persons) > 1
    cues = sorted(segmentation.in_milliseconds(), key=lambda cue: (cue[0], cue[1]))
    with result_file(path, "w", encoding="utf-8", newline="\n") as stream:
        stream.write("WEBVTT\n")
        for number, (start, end, segment) in enumerate(cues, 1):
            voice = f"<v Person {segment.person + 1}>" if several else ""
            # The arrow that stands between two times may not stand in a cue; it needs no entity but the last.
            mark = "unseen, " if segment.name in segmentation.unseen_names else ""
            text = f"{voice}{html.escape(segment.name, quote=False)} ({mark}{100 * segment.confidence:.0f} %)"
            stream.write(f"\n{number}\n{_clock(start)} --> {_clock(end)}\n{text}\n")


def _clock(milliseconds: int) -> str:
    seconds, rest = divmod(milliseconds, 1000)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}.{rest:03d}"


WRITERS: dict[str, Callable[[Segmentation, AnyPath], None]] = {
    "csv": write_csv,
    "json": write_json,
    "vtt": write_vtt,
    "eaf": write_eaf,
}
"""What writes each format, by the ending of its files."""


def check_formats(formats: Sequence[str]) -> None:
    """Check that formats are known and their libraries installed.

    Raises:
        InputError: Names the format, and what installs the library.
    """
    for name in formats:
        if name not in WRITERS:
            raise InputError(f"expected {', '.join(WRITERS)}, got {name!r}", field="format")
    if "eaf" in formats:
        import_pympi()


def read_segments(path: AnyPath, tiers: Tiers = (), video: str = "") -> Segmentation:
    """Segments from a CSV table or an ELAN file.

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
    """Segments from a CSV table with at least start, end and name.

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
    with located(file=path):
        return Segmentation(segments, name=Path(path).stem)


def _segment(places: Mapping[str, int], cells: Sequence[str], line: int, table: Spreadsheet) -> Segment:
    if len(cells) > len(table.titles):
        problem = f"line {line}: it has more cells than the first line names"
        raise InputError(problem, file=table.path, fix="Put a name that holds the separator into quotation marks.")
    row = {name: cells[at] if at < len(cells) else "" for name, at in places.items()}
    try:
        name, confidence = unescape_name(row["name"]), table.number(row.get("confidence") or "1")
        further = [
            (unescape_name(row[f"name_{n}"]), table.number(row[f"probability_{n}"]))
            for n in range(2, FURTHER + 2)
            if row.get(f"name_{n}") and row.get(f"probability_{n}")
        ]
        return Segment(
            table.seconds(row["start"]), table.seconds(row["end"]), name, confidence,
            ((name, confidence), *further) if further else (),
            unescape_name(row.get("nearest_name") or ""), int(row.get("person") or 1) - 1,
        )  # fmt: skip
    except InputError as error:
        raise error.located(f"line {line}", file=table.path) from None
    except ValueError:
        values = ", ".join(short_repr(row.get(key)) for key in ("start", "end", "confidence", "person"))
        raise InputError(f"line {line}: expected numbers, got {values}", file=table.path) from None
