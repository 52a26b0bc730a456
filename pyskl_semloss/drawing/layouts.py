"""Pictures of layouts: numbered joints, limbs, coloured sides, graph."""

from __future__ import annotations

import math
import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np

from pyskl_semloss.drawing.palette import FAINT, ON_LIGHT, TEXT, WRONG
from pyskl_semloss.drawing.stick_figure import joint_sides
from pyskl_semloss.errors import HostError, InputError
from pyskl_semloss.io.reading import AnyPath
from pyskl_semloss.io.results import result_file
from pyskl_semloss.skeletons.graph import SkeletonGraph, skeleton_graph
from pyskl_semloss.skeletons.layout import SkeletonLayout

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH = 6.0  # inches; 600 px wide, a point is 1.4 px
MARGIN = 0.05
LINE = 0.19  # inches between two lines of the table
SHORT = 17  # characters of a joint's entry that two columns of pairs have room for
MANY = 40  # joints, from which on everything is drawn smaller


def draw_layout(layout: SkeletonLayout, path: AnyPath, dpi: int = 150) -> None:
    """Write a PNG of a layout: title, skeleton and joint table.

    A layout without ``rest_pose`` is drawn on a circle, mirror pairs facing each other. Limbs whose mirror image is
    no limb are dashed and red; ``mistakes`` is printed in red. Arrows are the edges of the layout's graph, from child
    to parent, and a ring is its centre; an edge that is no limb is dotted. Of a layout without a graph, the picture
    says how many joints hang loose.

    Args:
        layout: The layout.
        path: The PNG file; missing folders are made.
        dpi: Pixels per inch of a picture 6 inches wide.

    Raises:
        HostError: matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
        from PIL import Image
    except ImportError:
        raise HostError("drawing needs matplotlib: pip install matplotlib") from None
    pose = layout.rest_pose or circle_pose(layout)
    (x_low, x_high), (y_low, y_high) = _limits(pose)
    body = WIDTH * (y_high - y_low) / (x_high - x_low)
    graph, no_graph = _graph_or_why_not(layout)
    heading, table = _heading(layout), _table(layout, no_graph)
    top, bottom = LINE * (len(heading) + 0.9), LINE * (len(table) + 1.0)
    total = top + body + bottom

    figure = Figure(figsize=(WIDTH, total), dpi=dpi)
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_axes((0.0, bottom / total, 1.0, body / total))
    _draw_skeleton(axes, layout, pose)
    if graph is not None:
        _draw_graph(axes, layout, graph, pose)
    _write_lines(figure, heading, total - 0.25)
    _write_lines(figure, table, bottom - 0.15)
    canvas.draw()
    # A palette makes the file four times smaller, and these pictures live in a repository.
    picture = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB").quantize(64, dither=Image.Dither.NONE)
    with result_file(path) as stream:
        picture.save(stream, format="png", optimize=True)


def circle_pose(layout: SkeletonLayout) -> tuple[tuple[float, float], ...]:
    """Positions for a layout without a rest pose.

    Pairs face each other on a circle, central joints go down its axis.

    Returns:
        (V, 2): x and y in a unit square, y down, the left joints on the right as in a person seen from the front.
    """
    central = [joint for joint in range(layout.num_joints) if layout.joint_mirror[joint] == joint]
    pose = [(0.5, 0.5)] * layout.num_joints
    for row, joint in enumerate(central):
        # A slight bow, so that limbs that skip a joint can be told from those that do not.
        bow = 0.04 * (-1) ** row if len(central) > 2 else 0.0
        pose[joint] = (0.5 + bow, 0.08 + 0.84 * (row + 0.5) / len(central))
    for row, (left, right) in enumerate(layout.mirror_pairs):
        angle = math.pi * (row + 0.5) / len(layout.mirror_pairs)
        x, y = 0.45 * math.sin(angle), 0.5 - 0.45 * math.cos(angle)
        pose[left], pose[right] = (0.5 + x, y), (0.5 - x, y)
    return tuple(pose)


def _draw_skeleton(axes: Axes, layout: SkeletonLayout, pose: tuple[tuple[float, float], ...]) -> None:
    left, right, broken = set(layout.left_limb), set(layout.right_limb), set(layout.unmirrored_limbs)
    for index, (a, b) in enumerate(layout.limbs):
        colour = ON_LIGHT.left if index in left else ON_LIGHT.right if index in right else ON_LIGHT.central
        wrong = (a, b) in broken
        ends = [pose[a][0], pose[b][0]], [pose[a][1], pose[b][1]]
        axes.plot(*ends, color=WRONG if wrong else colour, linestyle="--" if wrong else "-", linewidth=2.2, zorder=1)
    # Area, edge and letters of a joint, in points.
    area, edge, letters = (
        (230, 1.2, 8.5) if layout.num_joints <= MANY else (62, 0.4, 4.4 if layout.num_joints < 100 else 3.7)
    )
    sides = joint_sides(layout)
    for joint, (x, y) in enumerate(pose):
        axes.scatter(x, y, s=area, color=ON_LIGHT[sides[joint]], edgecolors="white", linewidths=edge, zorder=2)
        label: dict[str, Any] = {"color": "white", "fontsize": letters, "fontweight": "bold"}
        axes.text(x, y, str(joint), ha="center", va="center", zorder=3, **label)
    (x_low, x_high), (y_low, y_high) = _limits(pose)
    axes.set_xlim(x_low, x_high)
    axes.set_ylim(y_high, y_low)
    axes.axis("off")


def _graph_or_why_not(layout: SkeletonLayout) -> tuple[SkeletonGraph | None, str]:
    try:
        return skeleton_graph(layout), ""
    except InputError as error:
        return None, f"no graph: {error.problem.rpartition(': ')[2]}"


def _draw_graph(
    axes: Axes, layout: SkeletonLayout, graph: SkeletonGraph, pose: tuple[tuple[float, float], ...]
) -> None:
    limbs, many = {frozenset(limb) for limb in layout.limbs}, layout.num_joints > MANY
    arrow: dict[str, Any] = {"arrowstyle": "-|>,head_length=0.5,head_width=0.22", "linewidth": 0, "color": TEXT}
    arrow["mutation_scale"] = 7 if many else 14
    for edge in graph.edges:
        (x, y), (to_x, to_y) = (pose[joint] for joint in edge)
        if frozenset(edge) not in limbs:
            axes.plot([x, to_x], [y, to_y], color=FAINT, linestyle=":", linewidth=0.5 if many else 1.2, zorder=1)
        # The head is a little past the middle, where it is clear of both joints.
        tip = (x + 0.62 * (to_x - x), y + 0.62 * (to_y - y))
        axes.annotate("", xy=tip, xytext=(x, y), arrowprops=arrow, zorder=1.5)
    size = 130 if many else 420
    axes.scatter(*pose[graph.centre], s=size, facecolors="none", edgecolors=TEXT, linewidths=1.4, zorder=2.5)


def _limits(pose: tuple[tuple[float, float], ...]) -> tuple[tuple[float, float], tuple[float, float]]:
    xs, ys = [x for x, _ in pose], [y for _, y in pose]
    y_low, y_high = min(ys) - MARGIN, max(ys) + MARGIN
    # A narrow skeleton on the full width would make the picture needlessly tall.
    half, middle = max((max(xs) - min(xs)) / 2 + MARGIN, (y_high - y_low) / 2), (max(xs) + min(xs)) / 2
    return (middle - half, middle + half), (y_low, y_high)


Line = list[tuple[float, str, dict[str, Any]]]  # (x in inches, text, matplotlib text properties)


def _heading(layout: SkeletonLayout) -> list[Line]:
    counts = f"{layout.num_joints} joints, {layout.num_limbs} limbs, {len(layout.mirror_pairs)} mirror pairs"
    bold = {"fontsize": 11, "fontweight": "bold"}
    lines: list[Line] = [[(0.15, text, bold)] for text in textwrap.wrap(f"{layout.name}: {counts}", 62)]
    note = {"fontsize": 8.5, "color": TEXT}
    lines += [[(0.15, text, note)] for text in textwrap.wrap(layout.source, 90)]
    if not layout.rest_pose:
        lines.append([(0.15, "It has no rest_pose: pairs face each other on a circle.", note)])
    if layout.mistakes:
        red = {"fontsize": 8.5, "color": WRONG, "fontweight": "bold"}
        lines += [[(0.15, text, red)] for text in textwrap.wrap(f"WRONG ON PURPOSE: {layout.mistakes}", 84)]
    return lines


def _table(layout: SkeletonLayout, no_graph: str) -> list[Line]:
    many = layout.num_joints > MANY
    small = {"fontsize": 6.5 if many else 8.5}
    legend: Line = [
        (0.15, "left", {**small, "color": ON_LIGHT.left, "fontweight": "bold"}),
        (0.55, "right", {**small, "color": ON_LIGHT.right, "fontweight": "bold"}),
        (1.05, "central", {**small, "color": ON_LIGHT.central, "fontweight": "bold"}),
    ]
    if layout.unmirrored_limbs:
        text = f"dashed: the {len(layout.unmirrored_limbs)} limbs whose mirror image is no limb"
        legend.append((1.75, text, {**small, "color": WRONG, "fontweight": "bold"}))
    graph = "arrows: graph, child to parent; ring: its centre; dotted: edges that are no limbs"
    graph_line: Line = [(0.15, no_graph or graph, {**small, "color": WRONG if no_graph else TEXT})]
    lines = [legend, graph_line]
    entries = [f"{joint} {name}" for joint, name in enumerate(layout.joints)]
    central = [entry for joint, entry in enumerate(entries) if layout.joint_mirror[joint] == joint]
    lines += [
        [(0.15, text, {**small, "color": ON_LIGHT.central})]
        for text in textwrap.wrap("   ".join(central), 120 if many else 90)
    ]
    columns = 2 if many or max(map(len, entries)) <= SHORT else 1
    rows = math.ceil(len(layout.mirror_pairs) / columns)
    for row in range(rows):
        line: Line = []
        for column, (left, right) in enumerate(layout.mirror_pairs[row::rows]):
            start, half = 0.15 + column * WIDTH / columns, WIDTH / columns / 2
            line.append((start, entries[left], {**small, "color": ON_LIGHT.left}))
            line.append((start + half - 0.3, "\N{LEFT RIGHT ARROW}", {**small, "color": ON_LIGHT.central}))
            line.append((start + half - 0.08, entries[right], {**small, "color": ON_LIGHT.right}))
        lines.append(line)
    return lines


def _write_lines(figure: Figure, lines: list[Line], start: float) -> None:
    total = figure.get_figheight()
    for number, line in enumerate(lines):
        for x, text, properties in line:
            figure.text(x / WIDTH, (start - number * LINE) / total, text, va="baseline", **properties)
