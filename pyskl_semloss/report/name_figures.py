"""Figures about the names: their map, and confusion against similarity. Colours and text as in ``figures``."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pyskl_semloss.evaluation.metrics import class_numbers, confusion_matrix
from pyskl_semloss.report.collect import Material
from pyskl_semloss.report.figures import Figure, figure_of, line, plain, rounded
from pyskl_semloss.report.headline import cosines


def name_figures(material: Material) -> dict[str, Figure]:
    """The figures about names for which there are data, by name."""
    made = {"map": name_map(material), "similarity": similarity(material)}
    return {name: figure for name, figure in made.items() if figure is not None}


def name_map(material: Material) -> Figure | None:
    """Names in the plane by classical scaling of the cosine distances, and the pairs confused most often."""
    if material.vectors is None:
        return None
    place, kept = scaled(1 - cosines(material.vectors))
    final = material.final.scores
    recall = class_numbers(final.score, final.label).recall
    table = confusion_matrix(final.score, final.label)
    confused = (table + table.T).max(1, where=~np.eye(len(table), dtype=bool), initial=0)
    shown = [plain(name) for name in material.class_names]
    traces = [
        {
            "type": "scatter", "mode": "markers+text", "x": rounded(place[:, 0], 4), "y": rounded(place[:, 1], 4), 
            **_labels(place, material.class_names, confused),
            "textfont": {"size": 11, "color": "muted"},
            "hovertext": [f"{name}<br>recall {'unknown' if np.isnan(r) else f'{100 * r:.0f} %'}"
                          for name, r in zip(shown, recall, strict=True)],
            "hovertemplate": "%{hovertext}<extra></extra>",
            "customdata": [[n] for n in range(len(shown))],
            "marker": {"size": 10, "color": "fusion", "line": {"width": 1, "color": "paper"}},
            "showlegend": False,
        }
    ]  # fmt: skip
    bare = {"showticklabels": False, "zeroline": False, "showgrid": False, "showline": False}
    figure = figure_of(traces, "", "", xaxis=bare, yaxis={**bare, "scaleanchor": "x"})
    figure["layout"]["meta"] = {"kept": round(100 * kept, 1)}
    figure["layout"]["shapes"] = _confused_pairs(table, place)
    return figure


def scaled(distance: np.ndarray) -> tuple[np.ndarray, float]:
    """Classical scaling (Torgerson 1952) to the plane.

    Args:
        distance: (C, C), symmetric; squared distances of unit vectors are twice their cosine distance, so cosine
            distances stand for squared ones here.

    Returns:
        (C, 2) places, and the share of the positive eigenvalues that the two axes hold.
    """
    centred = distance - distance.mean(0) - distance.mean(1)[:, None] + distance.mean()
    values, axes = np.linalg.eigh(-(centred + centred.T) / 4)
    values, axes = values[::-1], axes[:, ::-1]
    # An eigenvector's sign is arbitrary: the same names must make the same picture.
    axes = axes * np.where(axes[np.abs(axes).argmax(0), np.arange(len(axes))] < 0, -1, 1)
    places = np.zeros((len(distance), 2))
    width = min(2, len(values))
    places[:, :width] = axes[:, :width] * np.sqrt(values[:width].clip(0))
    total = values.clip(0).sum()
    return places, float(values[:2].clip(0).sum() / total) if total > 0 else 1.0


def similarity(material: Material) -> Figure | None:
    """How often a class is taken for another, against the cosine of their names: pairs, and the mean over tenths."""
    if material.vectors is None or material.final.scores.label.max() < 0:
        return None
    table = confusion_matrix(material.final.scores.score, material.final.scores.label)
    support = table.sum(1)
    true, guess = np.nonzero(~np.eye(len(table), dtype=bool) & (support > 0)[:, None])
    if len(true) < 2:
        return None
    cosine, count = cosines(material.vectors)[true, guess], table[true, guess]
    rate = 100 * count / support[true]
    names = [plain(name, 40) for name in material.class_names]
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
    place: np.ndarray, names: Sequence[str], first: np.ndarray, width: float = 1000, height: float = 480
) -> Figure:
    """Where each name stands beside its point so that none covers another; one that finds no place is left to hovering.

    Names of a high ``first`` (C,) choose first. Reckoned for a picture of this size in px, with letters 6.4 px wide.
    """
    span = np.ptp(place, axis=0).clip(1e-9) * 1.12
    points = (place - place.mean(0)) * min(width / span[0], height / span[1]) * [1, -1]
    taken = [(x - 5, y - 5, x + 5, y + 5) for x, y in points]
    text, position = [""] * len(names), ["top center"] * len(names)
    for n in np.argsort(-first, kind="stable"):
        short = names[n] if len(names[n]) <= 26 else names[n][:25].rstrip() + "…"
        for side, box in _sides(points[n], 6.4 * len(short)).items():
            if not any(_overlap(box, other) for other in taken):
                taken.append(box)
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


def _overlap(one: Sequence[float], other: Sequence[float]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _confused_pairs(table: np.ndarray, place: np.ndarray, most: int = 12) -> list[Figure]:
    both = np.triu(table + table.T, 1)
    order = np.argsort(-both, axis=None, kind="stable")[:most]
    shapes = []
    for first, second in zip(*np.unravel_index(order, both.shape), strict=True):
        if both[first, second]:
            (x0, y0), (x1, y1) = place[[first, second]].round(4).tolist()
            width = 1 + 5 * float(both[first, second] / both.max())
            shapes.append({"type": "line", "x0": x0, "y0": y0, "x1": x1, "y1": y1, "layer": "below", "opacity": 0.55,
                           "line": {"color": "faint", "width": round(width, 1)}})  # fmt: skip
    return shapes
