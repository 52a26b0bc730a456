"""Segments in files: CSV, JSON and WebVTT here, ELAN beside; each is written whole or not at all."""

from __future__ import annotations

import html
import json
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pyskl_semloss.errors import InputError
from pyskl_semloss.io.reading import AnyPath
from pyskl_semloss.io.results import result_file
from pyskl_semloss.segments.eaf import write_eaf
from pyskl_semloss.segments.segment import Segmentation

FURTHER = 4
"""Classes after the first one that a CSV file has columns for."""
CSV_COLUMNS = ("start", "end", "name", "confidence", "person", "nearest_name") + tuple(
    f"{field}_{rank}" for rank in range(2, FURTHER + 2) for field in ("name", "probability")
)
_FORMULA = ("=", "+", "-", "@", "'", "\uff1d", "\uff0b", "\uff0d", "\uff20")
# Where a semicolon separates, a cell begins behind each.
_CELL = re.compile(f';(?=[\\s"]*[{re.escape("".join(_FORMULA))}])')
_WRITTEN_CELL = re.compile(_CELL.pattern.replace(";", ";'", 1))


def write_segments(segmentation: Segmentation, path: AnyPath) -> None:
    """Write a segmentation in the format that the name ends in: .csv, .json, .vtt or .eaf.

    Raises:
        InputError: Another ending, or the file cannot be written.
    """
    write = WRITERS.get(Path(path).suffix.lower().lstrip("."))
    if write is None:
        raise InputError(f"expected a name that ends in {', '.join(f'.{name}' for name in WRITERS)}", file=path)
    write(segmentation, path)


def write_csv(segmentation: Segmentation, path: AnyPath) -> None:
    """Write a line a segment under the header :data:`CSV_COLUMNS`; times in s with three decimals, persons from 1.

    What a spreadsheet would take for a formula, at the beginning of a name or behind a semicolon, gets an apostrophe in
    front, which our reader takes off. A name with a separator or quotes is in quotes.
    """
    with result_file(path, "w", encoding="utf-8", newline="") as stream:
        stream.write(",".join(CSV_COLUMNS) + "\r\n")
        for start, end, segment in segmentation.in_milliseconds():
            row = [f"{start / 1000:.3f}", f"{end / 1000:.3f}", _plain(segment.name), f"{segment.confidence:.4f}"]
            row += [str(segment.person + 1), _plain(segment.nearest)]
            for name, probability in segment.top[1 : FURTHER + 1]:
                row += [_plain(name), f"{probability:.4f}"]
            cells = [*row, *[""] * (len(CSV_COLUMNS) - len(row))]
            stream.write(",".join(map(_quoted, cells)) + "\r\n")


def _quoted(cell: str) -> str:
    # Python's writer leaves a semicolon bare, at which other readers cut.
    return '"' + cell.replace('"', '""') + '"' if re.search(r"[,;\"\t\r\n]|^\s|\s$", cell) else cell


def _plain(name: str) -> str:
    name = _CELL.sub(";'", name)
    return f"'{name}" if name.startswith(_FORMULA) else name


def unquoted(name: str) -> str:
    """The name that :func:`write_csv` wrote."""
    name = name[1:] if name.startswith("'") and name[1:].startswith(_FORMULA) else name
    return _WRITTEN_CELL.sub(";", name)


def write_json(segmentation: Segmentation, path: AnyPath) -> None:
    """Write everything that is known: recording, settings, class names, and the segments with their best classes."""
    segments = [
        {
            "start": start / 1000,
            "end": end / 1000,
            "name": segment.name,
            "confidence": round(segment.confidence, 6),
            "person": segment.person + 1,
            "nearest_name": segment.nearest or None,
            "top": [{"name": name, "probability": round(value, 6)} for name, value in segment.top],
        }
        for start, end, segment in segmentation.in_milliseconds()
    ]
    content: dict[str, Any] = {
        "recording": segmentation.name,
        "video": os.path.basename(segmentation.video) or None,
        "seconds": round(segmentation.seconds, 3),
        "settings": dict(segmentation.settings),
        "class_names": list(segmentation.class_names),
        "segments": segments,
        "explanation": segmentation.explanation or None,
    }
    with result_file(path, "w", encoding="utf-8", newline="\n") as stream:
        json.dump(content, stream, indent=1, ensure_ascii=False, allow_nan=False)
        stream.write("\n")


def write_vtt(segmentation: Segmentation, path: AnyPath) -> None:
    """Write WebVTT subtitles: a cue a segment with its name and confidence; of several persons each is a voice."""
    several = len(segmentation.persons) > 1
    cues = sorted(segmentation.in_milliseconds(), key=lambda cue: (cue[0], cue[1]))
    with result_file(path, "w", encoding="utf-8", newline="\n") as stream:
        stream.write("WEBVTT\n")
        for number, (start, end, segment) in enumerate(cues, 1):
            voice = f"<v Person {segment.person + 1}>" if several else ""
            # The arrow that stands between two times may not stand in a cue; it needs no entity but the last.
            text = f"{voice}{html.escape(segment.name, quote=False)} ({100 * segment.confidence:.0f} %)"
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
    """Refuse a format that is not known, or whose library is missing, before any work is done.

    Raises:
        InputError: Names the format, and what installs the library.
    """
    from pyskl_semloss.segments.eaf import import_pympi

    for name in formats:
        if name not in WRITERS:
            raise InputError(f"expected {', '.join(WRITERS)}, got {name!r}", field="format")
    if "eaf" in formats:
        import_pympi()
