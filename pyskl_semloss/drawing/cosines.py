"""Picture of the cosines between label vectors, such as before and after a transform."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from pyskl_semloss.drawing.palette import ON_LIGHT, TEXT
from pyskl_semloss.errors import HostError, InputError, escape_control_characters
from pyskl_semloss.io.reading import AnyPath, shorten
from pyskl_semloss.io.results import result_file
from pyskl_semloss.semantic.label_vectors import cosines

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CELL, SIDE = 0.17, 16.0  # inches of a class, and the most of a matrix
NAME = 28  # characters of a class name
GAP, TITLE, BAR = 0.35, 0.55, 0.9  # inches between matrices, above them, and for the scale


def draw_cosines(matrices: Mapping[str, np.ndarray], class_names: Sequence[str], path: AnyPath) -> None:
    """PNG of the cosines between label vectors, one square for each matrix, all on the scale from -1 to 1.

    Args:
        matrices: Title -> (C, D) label vectors; below the title stands the mean cosine between two classes.
        class_names: The C names, in the order of the rows.
        path: The PNG file; missing folders are made.

    Raises:
        HostError: matplotlib is not installed.
        InputError: There is no matrix, or one is not of C rows.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.colors import LinearSegmentedColormap
        from matplotlib.figure import Figure
    except ImportError:
        raise HostError("drawing needs matplotlib: pip install matplotlib") from None
    classes = len(class_names)
    if not matrices or any(len(vectors) != classes for vectors in matrices.values()):
        rows = ", ".join(str(len(vectors)) for vectors in matrices.values())
        raise InputError(f"expected matrices of {classes} rows, got {rows or 'none'}", field="matrices")
    side = max(min(CELL * classes, SIDE), 2.0)
    size = min(72 * side / classes * 0.8, 9.0)
    names = [shorten(escape_control_characters(name), NAME) for name in class_names]
    # A letter of DejaVu Sans is about 0.6 of its size wide.
    margin = 0.3 + 0.6 * size / 72 * max(map(len, names))
    width = margin + len(matrices) * (side + GAP) + BAR
    height = TITLE + side + margin
    figure = Figure(figsize=(width, height), dpi=150)
    FigureCanvasAgg(figure)
    # An odd number of colours, so that 0 is white.
    colours = LinearSegmentedColormap.from_list("cosines", [ON_LIGHT.left, "#ffffff", ON_LIGHT.right], N=257)
    for number, (title, vectors) in enumerate(matrices.items()):
        place = (margin + number * (side + GAP)) / width, margin / height, side / width, side / height
        axes = figure.add_axes(place)
        image = _draw(axes, cosines(vectors), title, colours)
        _name(axes, names, size, left=number == 0)
    scale = figure.add_axes(((width - BAR + 0.05) / width, margin / height, 0.15 / width, side / height))
    figure.colorbar(image, cax=scale, ticks=[-1, -0.5, 0, 0.5, 1]).set_label("cosine", color=TEXT)
    with result_file(path) as stream:
        figure.savefig(stream, format="png", metadata={"Software": None})


def _draw(axes: Axes, table: np.ndarray, title: str, colours: Any) -> Any:
    others = table[~np.eye(len(table), dtype=bool)]
    mean = f"\nmean {others.mean():.2f}, from {others.min():.2f} to {others.max():.2f}" if others.size else ""
    axes.set_title(escape_control_characters(title) + mean, fontsize=10, color=TEXT, parse_math=False)
    return axes.imshow(table, cmap=colours, vmin=-1, vmax=1, interpolation="nearest")


def _name(axes: Axes, names: Sequence[str], size: float, *, left: bool) -> None:
    """Names below, and at the left of the first matrix; of very many, those that have room."""
    places = range(0, len(names), max(1, round(4 / size)))
    shown = [names[place] for place in places]
    axes.set_xticks(places, shown, rotation=90, fontsize=max(size, 4), parse_math=False)
    axes.set_yticks(places, shown if left else [""] * len(shown), fontsize=max(size, 4), parse_math=False)
    axes.tick_params(length=2, colors=TEXT)
