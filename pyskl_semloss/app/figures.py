"""The timeline as a Plotly figure: a bar for each segment, and below it the probabilities over time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

COLORS = ("#2563eb", "#d97706", "#059669", "#c026d3", "#dc2626")
"""Of the five classes that are drawn."""
_GREY = "#94a3b8"
_MOST_POINTS = 4000


def strongest(probability: np.ndarray, leave_out: Sequence[int] = (), count: int = 5) -> list[int]:
    """The classes whose probability gets highest, the highest first.

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
    """Segments over time, above the probabilities of the five classes that get highest.

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
    drawn = strongest(probability, leave_out)
    color = {class_names[index]: COLORS[place] for place, index in enumerate(drawn)}
    named = list(dict.fromkeys(one["name"] for one in segments))
    rows = {name: len(named) - 1 - place for place, name in enumerate(named)}
    data: list[dict[str, Any]] = [
        {
            "type": "bar", "orientation": "h", "showlegend": False, "xaxis": "x", "yaxis": "y2",
            "y": [rows[one["name"]] for one in segments],
            "base": [one["start"] for one in segments],
            "x": [one["end"] - one["start"] for one in segments],
            "customdata": [one["start"] for one in segments],
            "marker": {"color": [color.get(one["name"], _GREY) for one in segments], "line": {"width": 0}},
            "text": [_hover(one) for one in segments], "textposition": "none",
            "hovertemplate": "%{text}<extra></extra>", "width": 0.7,
        }
    ]  # fmt: skip
    step = -(-len(times) // _MOST_POINTS) or 1
    for index in drawn:
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
                   "tickvals": list(rows.values()), "ticktext": [escaped(_short(name)) for name in rows]},
    }  # fmt: skip
    return {"data": data, "layout": layout, "config": {"displayModeBar": False, "scrollZoom": True, "responsive": True}}


def escaped(text: str) -> str:
    """Text as Plotly shows it: it reads markup in names otherwise."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _short(text: str, length: int = 32) -> str:
    return text if len(text) <= length else f"{text[: length - 1].rstrip()}…"


def _hover(one: dict[str, Any]) -> str:
    person = f", person {one['person']}" if one.get("person") is not None else ""
    return (
        f"<b>{escaped(one['name'])}</b><br>{one['start']:.2f} to {one['end']:.2f} s{person}"
        f"<br>confidence {100 * one['confidence']:.0f} %"
    )
