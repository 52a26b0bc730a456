"""Result of a file: downloads, player, table and timeline."""

from __future__ import annotations

import html
import json
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from nicegui import ui

from pyskl_semloss.app.sessions import split_name
from pyskl_semloss.drawing.palette import SERIES
from pyskl_semloss.io.reading import shorten

_ASSETS = resources.files("pyskl_semloss.app") / "assets"
_PAGE = 12
"""Segments that the table shows at a time."""
_START = """
<q-td :props="props"><button type="button" class="semloss-jump" :title="`Go to ${props.row.name}`"
  @click.stop="$parent.$emit('jump', props.row)">{{ props.row.start.toFixed(2) }}</button></q-td>
"""
_SEEK = "window.semlossViewer?.seek(row.start)"


def show_result(name: str, result: dict[str, Any], folder: Path, address: str) -> None:
    """Show a result in the slot that is open.

    Args:
        name: Of the file.
        result: What :func:`pyskl_semloss.app.analysis.analyse` returned.
        folder: Of its files.
        address: Under which the browser gets them.
    """
    ui.separator()
    with ui.row().classes("items-center full-width"):
        ui.label(name).classes("text-h6 semloss-name").props('role="heading" aria-level="2"')
        with ui.row().classes("semloss-downloads").props('role="group" aria-label="Downloads"'):
            for file in result["files"]:
                _download(file, download_name(name, file), address)
    for note in result["notes"]:
        ui.label(note).classes("semloss-faint")
    with ui.row().classes("semloss-two"):
        viewer = ui.html((_ASSETS / "viewer.html").read_text(encoding="utf-8"), sanitize=False)
        viewer.classes("semloss-left")
        _table(result)
    plot = _figure(result, folder)
    view = {**result["viewer"]}
    for part in ("keypoints", "scores", "video"):
        view[part] = f"{address}/{quote(view[part])}" if view[part] else None
    # Where the elements are not there yet, the browser waits for them.
    ui.run_javascript(f"semlossOpen({json.dumps(viewer.html_id)}, {json.dumps(plot.html_id)}, {json.dumps(view)})")


def download_name(name: str, file: str) -> str:
    """Download name of a result file, after the uploaded file.

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


def _table(result: dict[str, Any]) -> None:
    """Table of the segments; a click seeks to one."""
    seconds, percent = "(value) => value.toFixed(2)", "(value) => `${Math.round(100 * value)} %`"
    columns = [
        ("start", "Start (s)", "right", {}),
        ("end", "End (s)", "right", {":format": seconds}),
        ("name", "Gesture", "left", {}),
        ("confidence", "Confidence", "right", {":format": percent}),
    ]
    if any(segment["person"] is not None for segment in result["segments"]):
        columns.append(("person", "Person", "right", {}))
    rows = [
        {"id": number, **{column[0]: segment[column[0]] for column in columns}}
        for number, segment in enumerate(result["segments"])
    ]
    table = ui.table(
        columns=[
            {"name": name, "field": name, "label": label, "align": align, "sortable": True, **options}
            for name, label, align, options in columns
        ],
        rows=rows, row_key="id", pagination=_PAGE,
    )  # fmt: skip
    table.classes("semloss-table").props("flat bordered dense wrap-cells")
    table.props["hide-bottom"] = 0 < len(rows) <= _PAGE
    table.props["no-data-label"] = result["nothing"]
    table.add_slot("body-cell-start", _START)
    table.on("rowClick", js_handler=f"(event, row) => {_SEEK}")
    table.on("jump", js_handler=f"(row) => {_SEEK}")


def _figure(result: dict[str, Any], folder: Path) -> Any:
    """Timeline of segments and probabilities."""
    view = result["viewer"]
    scores = np.fromfile(folder / view["scores"], np.uint8).reshape(view["rows"], -1)
    times = (np.arange(len(scores)) + 0.5) * view["row_seconds"]
    figure = timeline_figure(
        result["segments"], times, scores / 255, view["class_names"], view["seconds"], result["leave_out"]
    )
    plot = ui.plotly(figure).classes("full-width semloss-plot").style(f"height: {figure['layout']['height']}px")
    plot.props["role"], plot.props["aria-label"] = "img", "Segments and probabilities over time; the table has them too"
    return plot


_GREY = "#94a3b8"
_MOST_POINTS = 4000


def strongest(probability: np.ndarray, leave_out: Sequence[int] = (), count: int = 5) -> list[int]:
    """Classes of the highest peak probability, the highest first.

    Args:
        probability: (W moments, C classes).
        leave_out: Classes that are no gesture.
        count: How many.
    """
    peaks = probability.max(0).astype(float)
    peaks[list(leave_out)] = -1
    order = np.argsort(-peaks, kind="stable")[:count]
    return [int(index) for index in order if peaks[index] >= 0]


def timeline_figure(
    segments: Sequence[dict[str, Any]],
    times: np.ndarray,
    probability: np.ndarray,
    class_names: Sequence[str],
    seconds: float,
    leave_out: Sequence[int] = (),
) -> dict[str, Any]:
    """Segments over time, above the five most probable classes.

    Args:
        segments: Each with ``start`` and ``end`` in s, ``name``, ``confidence`` 0 to 1, and ``person``.
        times: (W,) moments in s.
        probability: (W, C), 0 to 1.
        class_names: C names.
        seconds: Duration of the recording.
        leave_out: Indices of classes that are no gesture.

    Returns:
        A figure as a dict; each bar's ``customdata`` is its segment's start in s.
    """
    selected = strongest(probability, leave_out)
    color = {class_names[index]: SERIES[rank] for rank, index in enumerate(selected)}
    named = list(dict.fromkeys(segment["name"] for segment in segments))
    rows = {name: len(named) - 1 - rank for rank, name in enumerate(named)}
    data: list[dict[str, Any]] = [
        {
            "type": "bar", "orientation": "h", "showlegend": False, "xaxis": "x", "yaxis": "y2",
            "y": [rows[segment["name"]] for segment in segments],
            "base": [segment["start"] for segment in segments],
            "x": [segment["end"] - segment["start"] for segment in segments],
            "customdata": [segment["start"] for segment in segments],
            "marker": {"color": [color.get(segment["name"], _GREY) for segment in segments], "line": {"width": 0}},
            "text": [_hover(segment) for segment in segments], "textposition": "none",
            "hovertemplate": "%{text}<extra></extra>", "width": 0.7,
        }
    ]  # fmt: skip
    step = -(-len(times) // _MOST_POINTS) or 1
    for index in selected:
        data.append({
            "type": "scatter", "mode": "lines", "name": escaped(class_names[index]), "xaxis": "x", "yaxis": "y",
            "x": np.round(times[::step], 3).tolist(), "y": np.round(probability[::step, index], 3).tolist(),
            "line": {"color": color[class_names[index]], "width": 1.5}, "hovertemplate": "%{y:.0%} at %{x:.1f} s",
        })  # fmt: skip
    height = 28 * max(1, len(named))
    share = height / (height + 190)
    layout = {
        "height": height + 260, "margin": {"l": 10, "r": 10, "t": 10, "b": 40}, "bargap": 0.2, "hovermode": "closest",
        "paper_bgcolor": "rgba(0,0,0,0)", "plot_bgcolor": "rgba(0,0,0,0)", "dragmode": "pan",
        "legend": {"orientation": "h", "y": -0.12, "yanchor": "top"},
        "xaxis": {"range": [0, seconds], "ticksuffix": " s", "anchor": "y", "zeroline": False, "gridcolor": "#8883"},
        "yaxis": {"range": [0, 1.02], "domain": [0, 1 - share - 0.04], "tickformat": ".0%", "automargin": True,
                  "gridcolor": "#8883", "fixedrange": True},
        "yaxis2": {"domain": [1 - share, 1], "automargin": True, "fixedrange": True, "showgrid": False,
                   "zeroline": False, "range": [-0.5, max(0.5, len(named) - 0.5)],
                   "tickvals": list(rows.values()), "ticktext": [escaped(shorten(name, 32)) for name in rows]},
    }  # fmt: skip
    return {"data": data, "layout": layout, "config": {"displayModeBar": False, "scrollZoom": True, "responsive": True}}


def escaped(text: str) -> str:
    """Text escaped for Plotly, which reads markup in names."""
    return html.escape(text, quote=False)


def _hover(segment: dict[str, Any]) -> str:
    person = f", person {segment['person']}" if segment.get("person") is not None else ""
    return (
        f"<b>{escaped(segment['name'])}</b><br>{segment['start']:.2f} to {segment['end']:.2f} s{person}"
        f"<br>confidence {100 * segment['confidence']:.0f} %"
    )
