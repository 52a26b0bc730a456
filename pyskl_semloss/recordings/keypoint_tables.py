"""Keypoints from npz archives and CSV tables."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pyskl_semloss.annotations.clip import check_keypoint_shape
from pyskl_semloss.errors import InputError, located
from pyskl_semloss.io.arrays import read_npz
from pyskl_semloss.io.reading import AnyPath, did_you_mean, short_repr
from pyskl_semloss.io.tables import Spreadsheet, is_index, read_spreadsheet, title_key
from pyskl_semloss.recordings.detections import MOST_FRAMES, MOST_PERSONS, Collector, Detections
from pyskl_semloss.recordings.recording import decode_fps, decode_image_shape, decode_layout, decode_name
from pyskl_semloss.skeletons import SkeletonLayout, get_layout
from pyskl_semloss.skeletons.builtin import KNOWN_LAYOUTS

_MEMBERS = ("keypoint", "keypoint_score", "image_shape", "fps", "layout", "name")
_EXPECTED = "Expected keypoint, (M persons, T frames, V joints, 2) or (T, V, 2), and the layout of its joints."


def read_npz_keypoints(path: AnyPath, layout: SkeletonLayout | None = None) -> Detections:
    """Detections from an npz archive, a recording's or a plain one.

    Its members: ``keypoint`` (M persons, T frames, V joints, 2) or (T, V, 2), x and y in px; optional
    ``keypoint_score`` (M, T, V) or (T, V), without which every point that is not (0, 0) scores 1; optional
    ``image_shape`` (height, width), ``fps``, ``layout`` (a name, or a layout's fields as JSON) and ``name``.

    Raises:
        InputError: A member is absent or wrong; names the file and the member.
    """
    members = read_npz(path, _MEMBERS)
    if "keypoint" not in members:
        problem = f"there is no such member; there are {', '.join(map(short_repr, list(read_npz(path))[:8])) or 'none'}"
        raise InputError(problem, file=path, field="keypoint", fix=_EXPECTED)
    points, scores = _arrays(members, path)
    if layout is None:
        if "layout" not in members:
            fix = "Name the layout, or a file that describes it, with --layout."
            raise InputError("there is no such member", file=path, field="layout", fix=fix)
        with located(file=path, field="layout"):
            layout = decode_layout(members["layout"])
    persons, frames, joints = scores.shape
    if joints != layout.num_joints:
        problem = f"layout {layout.name!r} has {layout.num_joints} joints, got {joints}"
        raise InputError(problem, file=path, field="keypoint", fix=_EXPECTED)
    if frames > MOST_FRAMES or persons > MOST_PERSONS:
        problem = f"expected up to {MOST_PERSONS} persons and {MOST_FRAMES} frames, got {persons} and {frames}"
        raise InputError(problem, file=path, field="keypoint")
    visible = (scores > 0).any(-1).T
    frame, person = np.nonzero(visible)
    return Detections(
        _optional(members, "name", lambda member: decode_name(member, "name"), path) or Path(path).stem,
        layout, frame, person, points[person, frame], scores[person, frame], frames, os.fspath(path),
        _optional(members, "image_shape", decode_image_shape, path), _optional(members, "fps", decode_fps, path),
    )  # fmt: skip


def _arrays(members: dict[str, np.ndarray], path: AnyPath) -> tuple[np.ndarray, np.ndarray]:
    points = members["keypoint"]
    if points.dtype.kind not in "fiu":
        raise InputError(f"expected numbers, got {points.dtype}", file=path, field="keypoint")
    points = points[None] if points.ndim == 3 else points
    with located(file=path, field="keypoint"):
        check_keypoint_shape(points.shape, None)
    with np.errstate(over="ignore"):
        points = points.astype(np.float32, copy=False)
        if "keypoint_score" not in members:
            return points, np.asarray(points.any(-1), np.float32)
        scores = members["keypoint_score"]
        scores = scores[None] if scores.ndim == 2 else scores
        if scores.dtype.kind not in "fiu" or scores.shape != points.shape[:3]:
            problem = f"expected numbers of the shape {points.shape[:3]}, got {scores.shape} of {scores.dtype}"
            raise InputError(problem, file=path, field="keypoint_score")
        return points, scores.astype(np.float32, copy=False)


def _optional(members: dict[str, np.ndarray], name: str, read: Any, path: AnyPath) -> Any:
    with located(file=path, field=name):
        return read(members[name]) if name in members else None


def read_csv_keypoints(path: AnyPath, layout: SkeletonLayout | None = None) -> Detections:
    """Detections from a CSV table: a row per person and frame.

    Its first line names the columns: ``frame`` from 0; optional ``person``, a whole number; and for each joint of the
    layout ``x_<joint>``, ``y_<joint>`` in px and, for all joints or none, ``score_<joint>``. An empty cell is a missing
    point. See :mod:`pyskl_semloss.io.tables` for separators, titles and numbers. Without scores every point that is
    there scores 1. Frames without a row have no person.

    Args:
        path: The file.
        layout: What the joints are; without it, the known layout whose joints the columns name.

    Raises:
        InputError: A column is absent or unknown, or a cell is no number; names line and column.
    """
    table = read_spreadsheet(path)
    layout, places = _columns(table, layout, path)
    collector = Collector(path, 3 * layout.num_joints)
    numbers = table.column_indices(("frame", "person"))
    for number, cells in table.rows:
        _add_row(collector, table, cells, numbers, places, number)
    return collector.detections(Path(path).stem, layout)


def _columns(table: Spreadsheet, layout: SkeletonLayout | None, path: AnyPath) -> tuple[SkeletonLayout, list[int]]:
    """Layout, and columns of x, y, score of each joint, -1 without."""
    keys = [title_key(title) for title in table.titles]
    named = {key[2:] for key in keys if key.startswith(("x_", "y_"))}
    named |= {key[6:] for key in keys if key.startswith("score_")}
    if not named:
        fix = "Expected frame, person if there are several, x_<joint>, y_<joint> and score_<joint>."
        raise InputError(f"no column is called x_<joint>; they are {short_repr(table.titles)}", file=path, fix=fix)
    if layout is None:
        fitting = [name for name, known in KNOWN_LAYOUTS.items() if set(map(title_key, known.joints)) == named]
        if not fitting:
            fix = "Name the layout, or a file that describes it, with --layout."
            raise InputError("the columns x_<joint> name the joints of no known layout", file=path, fix=fix)
        layout = get_layout(fitting[0])
    kinds = ("x", "y", "score") if any(key.startswith("score_") for key in keys) else ("x", "y")
    wanted = ["frame", *(f"{kind}_{joint}" for joint in layout.joints for kind in kinds)]
    column_of = table.column_indices([*wanted, "person"])
    missing = [name for name in wanted if name not in column_of]
    unknown = [title for at, title in enumerate(table.titles) if at not in column_of.values() and not is_index(title)]
    if missing or unknown:
        parts = [f"{label} {', '.join(map(short_repr, names[:5]))}{' …' * (len(names) > 5)}"
                 for label, names in (("it lacks", missing), ("unknown are", unknown)) if names]  # fmt: skip
        hint = did_you_mean(missing[0], unknown) if missing else ""
        problem = f"the columns are not those of layout {layout.name!r}: {'; '.join(parts)}{hint}"
        raise InputError(problem, file=path, fix="Expected frame, person if there are several, x_, y_ and score_.")
    return layout, [column_of.get(f"{kind}_{joint}", -1) for joint in layout.joints for kind in ("x", "y", "score")]


def _add_row(
    collector: Collector, table: Spreadsheet, cells: Sequence[str], numbers: Mapping[str, int], places: Sequence[int],
    number: int,
) -> None:  # fmt: skip
    if len(cells) != len(table.titles):
        raise InputError(f"line {number}: expected {len(table.titles)} cells, got {len(cells)}", file=collector.file)
    whole = dict.fromkeys(("frame", "person"), -1)
    for title, at in numbers.items():
        cell = cells[at]
        if not (cell.isascii() and cell.isdigit() and len(cell) < 16):
            problem = f"line {number}: expected a whole number from 0, got {short_repr(cell)}"
            raise InputError(problem, file=collector.file, field=title)
        whole[title] = int(cell)
    try:
        values = [table.number(cells[at] or "nan") if at >= 0 else 1.0 for at in places]
    except ValueError:
        at = next(at for at in places if at >= 0 and not _is_number(cells[at], table))
        problem = f"line {number}: expected a number, got {short_repr(cells[at])}"
        raise InputError(problem, file=collector.file, field=table.titles[at]) from None
    collector.add(collector.see_frame(whole["frame"]), whole["person"], values, f"line {number}", "x")


def _is_number(cell: str, table: Spreadsheet) -> bool:
    try:
        table.number(cell or "nan")
    except ValueError:
        return False
    return True
