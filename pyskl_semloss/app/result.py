"""What was found in a file: downloads, player, table and timeline; needs NiceGUI."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from nicegui import ui

from pyskl_semloss.app.figures import timeline_figure
from pyskl_semloss.app.sessions import split_name

_ASSETS = resources.files("pyskl_semloss.app") / "assets"
_PAGE = 12
"""Segments that the table shows at a time."""
_START = """
<q-td :props="props"><button type="button" class="semloss-jump" :title="`Go to ${props.row.name}`"
  @click.stop="$parent.$emit('jump', props.row)">{{ props.row.start.toFixed(2) }}</button></q-td>
"""
_SEEK = "window.semlossViewer?.seek(row.start)"


def show_result(name: str, found: dict[str, Any], folder: Path, address: str) -> None:
    """Show a result in the slot that is open.

    Args:
        name: Of the file.
        found: What :func:`pyskl_semloss.app.analysis.analyse` returned.
        folder: Of its files.
        address: Under which the browser gets them.
    """
    ui.separator()
    with ui.row().classes("items-center full-width"):
        ui.label(name).classes("text-h6 semloss-name").props('role="heading" aria-level="2"')
        with ui.row().classes("semloss-downloads").props('role="group" aria-label="Downloads"'):
            for file in found["files"]:
                _download(file, download_name(name, file), address)
    for note in found["notes"]:
        ui.label(note).classes("semloss-faint")
    with ui.row().classes("semloss-two"):
        viewer = ui.html((_ASSETS / "viewer.html").read_text(encoding="utf-8"), sanitize=False)
        viewer.classes("semloss-left")
        _table(found)
    plot = _figure(found, folder)
    about = {**found["viewer"]}
    for part in ("keypoints", "scores", "video"):
        about[part] = f"{address}/{quote(about[part])}" if about[part] else None
    # Where the elements are not there yet, the browser waits for them.
    ui.run_javascript(f"semlossOpen({json.dumps(viewer.html_id)}, {json.dumps(plot.html_id)}, {json.dumps(about)})")


def download_name(name: str, file: str) -> str:
    """What a file of the result of an uploaded one is called when it is kept.

    Example:
        >>> download_name("talk.mp4", "result.csv")
        'talk.csv'
    """
    return split_name(name)[0] + split_name(file)[1]


def _download(file: str, name: str, address: str) -> None:
    button = ui.button(split_name(file)[1][1:].upper()).props("outline dense no-caps icon=download")
    button.props["href"] = f"{address}/{quote(file)}?download=true"
    button.props["download"] = name
    button.props["aria-label"] = f"Download {name}"


def _table(found: dict[str, Any]) -> None:
    """The segments; a click goes there."""
    seconds, percent = "(value) => value.toFixed(2)", "(value) => `${Math.round(100 * value)} %`"
    columns = [
        ("start", "Start (s)", "right", {}),
        ("end", "End (s)", "right", {":format": seconds}),
        ("name", "Gesture", "left", {}),
        ("confidence", "Confidence", "right", {":format": percent}),
    ]
    if any(one["person"] is not None for one in found["segments"]):
        columns.append(("person", "Person", "right", {}))
    rows = [
        {"id": number, **{column[0]: one[column[0]] for column in columns}}
        for number, one in enumerate(found["segments"])
    ]
    table = ui.table(
        columns=[
            {"name": name, "field": name, "label": label, "align": align, "sortable": True, **shown}
            for name, label, align, shown in columns
        ],
        rows=rows, row_key="id", pagination=_PAGE,
    )  # fmt: skip
    table.classes("semloss-table").props("flat bordered dense wrap-cells")
    table.props["hide-bottom"] = 0 < len(rows) <= _PAGE
    table.props["no-data-label"] = found["nothing"]
    table.add_slot("body-cell-start", _START)
    table.on("rowClick", js_handler=f"(event, row) => {_SEEK}")
    table.on("jump", js_handler=f"(row) => {_SEEK}")


def _figure(found: dict[str, Any], folder: Path) -> Any:
    """The timeline."""
    view = found["viewer"]
    scores = np.fromfile(folder / view["scores"], np.uint8).reshape(view["rows"], -1)
    times = (np.arange(len(scores)) + 0.5) * view["row_seconds"]
    made = timeline_figure(
        found["segments"], times, scores / 255, view["class_names"], view["seconds"], found["leave_out"]
    )
    plot = ui.plotly(made).classes("full-width semloss-plot").style(f"height: {made['layout']['height']}px")
    plot.props["role"], plot.props["aria-label"] = "img", "Segments and probabilities over time; the table has them too"
    return plot
