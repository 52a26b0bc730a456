"""Figures of the page as Plotly specifications.

They are plain dicts of numbers and text, in which colours are names.
A colour is ``joint``, ``limb``, ``fusion``, ``baseline``, ``ink``, ``muted`` …; the page puts in the values of its
theme, so that dark mode and print change them. Text from data passes through :func:`plain`.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any

import numpy as np

from pyskl_semloss.evaluation.fusion import fuse
from pyskl_semloss.evaluation.metrics import (
    calibration,
    class_numbers,
    confusion_matrix,
    mean_class_accuracy,
    top_k_accuracy,
)
from pyskl_semloss.evaluation.resampling import wilson_interval
from pyskl_semloss.io.reading import shorten
from pyskl_semloss.report.inputs import Model, ReportInputs
from pyskl_semloss.semantic.label_vectors import cosines

Figure = dict[str, Any]


def plain(text: str, length: int = 60) -> str:
    """Text escaped for Plotly and cut to ``length`` characters."""
    return html.escape(shorten(text, length), quote=False)


def figures(inputs: ReportInputs) -> dict[str, Figure]:
    """Figures about accuracy by name, as far as there are data."""
    by_name = {
        "loss": loss_curves(inputs.models),
        "accuracy": accuracy_curves(inputs.models),
        "size": recall_by_size(inputs),
        "calibration": reliability(inputs.models),
        "weights": weight_curve(inputs),
    }
    return {name: figure for name, figure in by_name.items() if figure is not None}


def loss_curves(models: Sequence[Model]) -> Figure | None:
    """Training loss by epoch: classifier solid, semantic branch dotted.

    The semantic loss is multiplied by alpha.
    """
    kinds = {"loss_cls": ("solid", "classification"), "loss_emb": ("dot", "semantic, times alpha")}
    traces = []
    for model in models:
        for key, (dash, title) in kinds.items():
            curve = model.history.get(key) if model.history else None
            if curve:
                name = f"{plain(model.name)}, {title}"
                traces.append(line(curve, name, model.role, dash=dash, hover="epoch %{x:.1f}: %{y:.3f}"))
    return figure_of(traces, "epoch", "training loss", yaxis={"rangemode": "tozero"}) if traces else None


def accuracy_curves(models: Sequence[Model]) -> Figure | None:
    """Validation accuracy by epoch: Top-1 solid, mean-class dotted."""
    traces = []
    for model in models:
        for key, dash, title in (("acc/top1", "solid", "Top-1"), ("acc/mean_class", "dot", "mean class")):
            curve = model.history.get(key) if model.history else None
            if curve:
                percents = [(epoch, 100 * value) for epoch, value in curve]
                hover = "epoch %{x}: %{y:.1f} %"
                traces.append(line(percents, f"{plain(model.name)}, {title}", model.role, dash=dash, hover=hover))
    if not traces:
        return None
    return figure_of(traces, "epoch", "validation accuracy (%)", yaxis={"range": [0, 100]})


def recall_by_size(inputs: ReportInputs) -> Figure | None:
    """Recall of each class against its training clips.

    Test clips are taken where the training clips are not known.
    """
    numbers = class_numbers(inputs.final.scores.score, inputs.final.scores.label)
    training = inputs.train_sizes is not None
    size = numbers.support if inputs.train_sizes is None else inputs.train_sizes
    occurring = np.flatnonzero((numbers.support > 0) & (size > 0))
    if not occurring.size:
        return None
    low, high = wilson_interval(numbers.recall[occurring], numbers.support[occurring])
    recall = 100 * numbers.recall[occurring]
    trace = {
        "type": "scatter",
        "mode": "markers",
        "x": rounded(_side_by_side(size[occurring])),
        "y": rounded(recall),
        "error_y": {
            "type": "data", "symmetric": False, "array": rounded(100 * high - recall),
            "arrayminus": rounded(recall - 100 * low), "width": 0, "thickness": 1, "color": "faint",
        },
        "marker": {"size": 9, "color": "fusion", "line": {"width": 1, "color": "paper"}},
        "text": [plain(inputs.class_names[n]) for n in occurring],
        "customdata": [[int(size[n]), int(numbers.support[n])] for n in occurring],
        "hovertemplate": "%{text}<br>recall %{y:.1f} % of %{customdata[1]} clips<br>"
                         "size %{customdata[0]}<extra></extra>",
        "showlegend": False,
    }  # fmt: skip
    title = "training clips of the class" if training else "test clips of the class"
    if len(np.unique(size[occurring])) < len(occurring):
        title += " (equal sizes are drawn side by side)"
    return figure_of([trace], title, "recall (%)", xaxis=_size_axis(size[occurring]), yaxis={"range": [-3, 103]})


def reliability(models: Sequence[Model]) -> Figure | None:
    """Reliability diagram with the bin counts of the final model."""
    if models[0].scores.label.max() < 0:
        return None
    traces: list[Figure] = [
        {"type": "scatter", "mode": "lines", "x": [0, 100], "y": [0, 100], "name": "perfect", "hoverinfo": "skip",
         "line": {"color": "faint", "dash": "dash", "width": 1.5}, "showlegend": False},
    ]  # fmt: skip
    bars = None
    for model in models:
        bins = calibration(model.scores.score, model.scores.label)
        if bins is None:
            return None
        filled = bins.count > 0
        points = list(zip(100 * bins.confidence[filled], 100 * bins.accuracy[filled], strict=True))
        name = f"{plain(model.name)} (ECE {100 * bins.ece:.1f} %)"
        trace = line(points, name, model.role, markers=True, hover="sure %{x:.0f} %: right %{y:.0f} % of %{text} clips")
        trace["text"] = [str(count) for count in bins.count[filled]]
        traces.append(trace)
        if model.role != "baseline":
            middle = 50 * (bins.edges[:-1] + bins.edges[1:])
            bars = {
                "type": "bar", "x": rounded(middle), "y": bins.count.tolist(), "yaxis": "y2", "showlegend": False,
                "width": float(96 / len(middle)), "marker": {"color": model.role, "opacity": 0.35},
                "name": f"clips of {plain(model.name)}", "hovertemplate": "%{y} clips<extra></extra>",
            }  # fmt: skip
    below = {"domain": [0, 0.17], "title": {"text": "clips"}, "nticks": 3, "rangemode": "tozero"}
    figure = figure_of(traces, "confidence (%)", "accuracy (%)", xaxis={"range": [0, 101]},
                     yaxis={"domain": [0.25, 1], "range": [0, 103]})  # fmt: skip
    figure["data"].append(bars)
    figure["layout"]["yaxis2"] = below
    figure["layout"]["xaxis"]["anchor"] = "y2"
    return figure


def weight_curve(inputs: ReportInputs, steps: int = 20) -> Figure | None:
    """Accuracy of the fusion against the weight of its last part.

    The other parts keep their proportions.
    """
    label = inputs.parts[0].scores.label
    if inputs.fusion is None or label.max() < 0:
        return None
    scores = [part.scores for part in inputs.parts]
    *others, used = (float(part.weight or 0) for part in inputs.parts)
    rest = np.asarray(others) / sum(others) if sum(others) else np.full(len(others), 1 / len(others))
    top1, mean_class = [], []
    for number in range(steps + 1):
        share = number / steps
        fused = fuse(scores, [*(rest * (1 - share)), share]).score
        top1.append((share, 100 * (top_k_accuracy(fused, label, 1) or 0)))
        mean_class.append((share, 100 * (mean_class_accuracy(fused, label) or 0)))
    last = inputs.parts[-1]
    hover = "weight %{x:.2f}: %{y:.2f} %"
    traces = [
        line(top1, "Top-1", "fusion", markers=True, hover=hover),
        line(mean_class, "mean class", "fusion", dash="dot", hover=hover),
    ]
    ends = [(0.0, inputs.parts[0]), (1.0, last)] if len(scores) == 2 else [(1.0, last)]
    for weight, model in ends:
        value = 100 * (top_k_accuracy(model.scores.score, label, 1) or 0)
        trace = line([(weight, value)], f"{plain(model.name)} alone", model.role, markers=True, hover=hover)
        trace["marker"]["size"] = 11
        traces.append(trace)
    if inputs.baseline is not None:
        value = 100 * (top_k_accuracy(inputs.baseline.scores.score, inputs.baseline.scores.label, 1) or 0)
        traces.append(line([(0, value), (1, value)], "baseline, Top-1", "baseline", dash="dash", hover="%{y:.2f} %"))
    figure = figure_of(traces, f"weight of {plain(last.name)}", "accuracy (%)", xaxis={"range": [-0.03, 1.03]})
    figure["layout"]["shapes"] = [
        {"type": "line", "x0": used, "x1": used, "yref": "paper", "y0": 0, "y1": 1, "layer": "below",
         "line": {"color": "faint", "width": 1.5, "dash": "dash"}}
    ]  # fmt: skip
    figure["layout"]["annotations"] = [
        {"x": used, "yref": "paper", "y": 1, "yanchor": "bottom", "text": f"used: {used:.2f}", "showarrow": False,
         "font": {"color": "muted", "size": 12}}
    ]  # fmt: skip
    return figure


def line(
    points: Sequence[tuple[float, float]],
    name: str,
    color: str,
    *,
    dash: str = "solid",
    markers: bool = False,
    hover: str,
) -> Figure:
    """A trace of (x, y) points; ``hover`` is Plotly's template."""
    return {
        "type": "scatter",
        "mode": "lines+markers" if markers or len(points) == 1 else "lines",
        "x": rounded([x for x, _ in points], 4),
        "y": rounded([y for _, y in points], 4),
        "name": name,
        "line": {"color": color, "dash": dash, "width": 2},
        "marker": {"color": color, "size": 6},
        "hovertemplate": f"{hover}<extra>%{{fullData.name}}</extra>",
    }


def figure_of(
    traces: list[Figure], x: str, y: str, *, xaxis: Figure | None = None, yaxis: Figure | None = None
) -> Figure:
    """Figure of traces with axis titles and options."""
    layout = {"xaxis": {"title": {"text": x}, **(xaxis or {})}, "yaxis": {"title": {"text": y}, **(yaxis or {})}}
    return {"data": traces, "layout": layout}


def _size_axis(sizes: np.ndarray) -> Figure:
    if sizes.max() < 5 * sizes.min():
        step = max(1, int(np.ptp(sizes)) // 8)
        return {"range": [float(sizes.min()) - 1, float(sizes.max()) + 1], "dtick": step}
    ticks = [digit * 10**power for power in range(7) for digit in (1, 2, 5)]
    ends = np.log10([sizes.min() / 1.15, sizes.max() * 1.15])
    return {"type": "log", "tickvals": ticks, "ticktext": [f"{tick:,}" for tick in ticks], "range": rounded(ends)}


def _side_by_side(sizes: np.ndarray) -> np.ndarray:
    """Sizes with equal values spread by at most 0.3."""
    apart = sizes.astype(np.float64)
    for size in np.unique(sizes):
        same = np.flatnonzero(sizes == size)
        apart[same] += np.linspace(-0.3, 0.3, len(same)) if len(same) > 1 else 0
    return apart


def rounded(values: Any, digits: int = 3) -> list[float]:
    """Rounded numbers for JSON."""
    return [round(float(value), digits) for value in values]


def name_figures(inputs: ReportInputs) -> dict[str, Figure]:
    """Figures about class names by name, as far as there are data."""
    by_name = {"map": name_map(inputs), "similarity": similarity(inputs)}
    return {name: figure for name, figure in by_name.items() if figure is not None}


def name_map(inputs: ReportInputs) -> Figure | None:
    """Map of the class names with the most confused pairs.

    Positions are from classical scaling of the cosine distances.
    """
    if inputs.vectors is None:
        return None
    coordinates, explained = scaled(1 - cosines(inputs.vectors))
    final = inputs.final.scores
    recall = class_numbers(final.score, final.label).recall
    table = confusion_matrix(final.score, final.label)
    confused = (table + table.T).max(1, where=~np.eye(len(table), dtype=bool), initial=0)
    labels = [plain(name) for name in inputs.class_names]
    traces = [
        {
            "type": "scatter", "mode": "markers+text", "x": rounded(coordinates[:, 0], 4),
            "y": rounded(coordinates[:, 1], 4),
            **_labels(coordinates, inputs.class_names, confused),
            "textfont": {"size": 11, "color": "muted"},
            "hovertext": [f"{name}<br>recall {'unknown' if np.isnan(r) else f'{100 * r:.0f} %'}"
                          for name, r in zip(labels, recall, strict=True)],
            "hovertemplate": "%{hovertext}<extra></extra>",
            "customdata": [[n] for n in range(len(labels))],
            "marker": {"size": 10, "color": "fusion", "line": {"width": 1, "color": "paper"}},
            "showlegend": False,
        }
    ]  # fmt: skip
    bare = {"showticklabels": False, "zeroline": False, "showgrid": False, "showline": False}
    figure = figure_of(traces, "", "", xaxis=bare, yaxis={**bare, "scaleanchor": "x"})
    figure["layout"]["meta"] = {"kept": round(100 * explained, 1)}
    figure["layout"]["shapes"] = _confused_pairs(table, coordinates)
    return figure


def scaled(distance: np.ndarray) -> tuple[np.ndarray, float]:
    """Classical scaling (Torgerson 1952) to the plane.

    Args:
        distance: (C, C), symmetric; squared distances of unit vectors are twice their cosine distance, so cosine
            distances stand for squared ones here.

    Returns:
        (C, 2) coordinates, and the share of the positive eigenvalues that the two axes hold.
    """
    centred = distance - distance.mean(0) - distance.mean(1)[:, None] + distance.mean()
    values, axes = np.linalg.eigh(-(centred + centred.T) / 4)
    values, axes = values[::-1], axes[:, ::-1]
    # An eigenvector's sign is arbitrary: the same names must make the same picture.
    axes = axes * np.where(axes[np.abs(axes).argmax(0), np.arange(len(axes))] < 0, -1, 1)
    coordinates = np.zeros((len(distance), 2))
    width = min(2, len(values))
    coordinates[:, :width] = axes[:, :width] * np.sqrt(values[:width].clip(0))
    total = values.clip(0).sum()
    return coordinates, float(values[:2].clip(0).sum() / total) if total > 0 else 1.0


def similarity(inputs: ReportInputs) -> Figure | None:
    """Confusion rate of class pairs against the cosine of their names.

    Each pair is a point; a line shows the mean over tenths of the pairs.
    """
    if inputs.vectors is None or inputs.final.scores.label.max() < 0:
        return None
    table = confusion_matrix(inputs.final.scores.score, inputs.final.scores.label)
    support = table.sum(1)
    true, guess = np.nonzero(~np.eye(len(table), dtype=bool) & (support > 0)[:, None])
    if len(true) < 2:
        return None
    cosine, count = cosines(inputs.vectors)[true, guess], table[true, guess]
    rate = 100 * count / support[true]
    names = [plain(name, 40) for name in inputs.class_names]
    seen = np.flatnonzero(count)
    order = np.argsort(cosine, kind="stable")
    tenths = [part for part in np.array_split(order, min(10, len(order))) if len(part)]
    means = [(float(cosine[part].mean()), float(rate[part].mean())) for part in tenths]
    pairs = {
        "type": "scatter", "mode": "markers", "name": "a pair of classes",
        "x": rounded(cosine[seen], 4), "y": rounded(rate[seen]),
        "marker": {"size": 7, "color": "muted", "opacity": 0.45},
        "text": [f"{names[true[n]]}<br>taken for {names[guess[n]]}<br>{count[n]} of {support[true[n]]} clips"
                 for n in seen],
        "hovertemplate": "%{text}<br>cosine %{x:.2f}<extra></extra>",
    }  # fmt: skip
    mean = line(means, "mean over a tenth of all pairs", "fusion", markers=True, hover="%{y:.2f} % at cosine %{x:.2f}")
    mean["yaxis"] = "y2"
    figure = figure_of([pairs, mean], "cosine of the two names", "% of the true class",
                     yaxis={"domain": [0.44, 1], "rangemode": "tozero"})  # fmt: skip
    # Most pairs are never confused, so that the mean would lie on the axis of the pairs that are.
    figure["layout"]["yaxis2"] = {"domain": [0, 0.34], "title": {"text": "mean, %"}, "rangemode": "tozero", "nticks": 4}
    figure["layout"]["xaxis"]["anchor"] = "y2"
    return figure


def _labels(
    coordinates: np.ndarray, names: Sequence[str], first: np.ndarray, width: float = 1000, height: float = 480
) -> Figure:
    """Text positions without overlap.

    A name without room appears only on hovering. Names of a high ``first`` (C,) choose first. Computed for a
    picture of this size in px, with letters 6.4 px wide.
    """
    span = np.ptp(coordinates, axis=0).clip(1e-9) * 1.12
    points = (coordinates - coordinates.mean(0)) * min(width / span[0], height / span[1]) * [1, -1]
    occupied = [(x - 5, y - 5, x + 5, y + 5) for x, y in points]
    text, position = [""] * len(names), ["top center"] * len(names)
    for n in np.argsort(-first, kind="stable"):
        short = shorten(names[n], 26)
        for side, box in _sides(points[n], 6.4 * len(short)).items():
            if not any(_overlap(box, other) for other in occupied):
                occupied.append(box)
                text[n], position[n] = plain(short), side
                break
    return {"text": text, "textposition": position}


def _sides(point: np.ndarray, long: float) -> dict[str, tuple[float, float, float, float]]:
    x, y = point.tolist()
    rows = {"top": (y - 21, y - 6), "bottom": (y + 6, y + 21), "middle": (y - 7, y + 7)}
    columns = {"center": (x - long / 2, x + long / 2), "right": (x + 6, x + 6 + long), "left": (x - 6 - long, x - 6)}
    order = ("top center", "bottom center", "middle right", "middle left", "top right", "top left", "bottom right",
             "bottom left")  # fmt: skip
    boxes = {}
    for side in order:
        row, column = side.split()
        (top, bottom), (left, right) = rows[row], columns[column]
        boxes[side] = (left, top, right, bottom)
    return boxes


def _overlap(a: Sequence[float], b: Sequence[float]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _confused_pairs(table: np.ndarray, coordinates: np.ndarray, most: int = 12) -> list[Figure]:
    both = np.triu(table + table.T, 1)
    order = np.argsort(-both, axis=None, kind="stable")[:most]
    shapes = []
    for first, second in zip(*np.unravel_index(order, both.shape), strict=True):
        if both[first, second]:
            (x0, y0), (x1, y1) = coordinates[[first, second]].round(4).tolist()
            width = 1 + 5 * float(both[first, second] / both.max())
            shapes.append({"type": "line", "x0": x0, "y0": y0, "x1": x1, "y1": y1, "layer": "below", "opacity": 0.55,
                           "line": {"color": "faint", "width": round(width, 1)}})  # fmt: skip
    return shapes
