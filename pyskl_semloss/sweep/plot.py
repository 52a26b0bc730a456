"""The plot of a sweep: accuracy against alpha, with the spread over seeds, and the baseline as a band."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyskl_semloss.io.results import result_file
from pyskl_semloss.sweep.plan import number

if TYPE_CHECKING:
    from pyskl_semloss.sweep.table import Row

# Okabe and Ito's colours, which differ for every kind of colour vision; markers differ too, for print.
_LOOK = {
    "given": ("#0072B2", "o", "-"),
    "hash": ("#E69F00", "s", "--"),
    "shuffled": ("#CC79A7", "^", "-."),
    "random": ("#009E73", "D", ":"),
}
_BASELINE = "#555555"


def write_plot(table: Sequence[Row], out: Path, metric: str = "top1") -> list[Path]:
    """Write ``plot.png`` and ``plot.svg``: one panel for each model, one line for each kind of label vectors.

    Error bars and the band are one standard deviation over the seeds; the small points are the single seeds.

    Args:
        table: Rows as the table has them.
        out: The folder.
        metric: What is shown, a key of the rows' values.

    Returns:
        The files written.
    """
    import matplotlib
    from matplotlib.figure import Figure

    models = list(dict.fromkeys(row.model for row in table))
    with matplotlib.rc_context({"svg.hashsalt": "pyskl_semloss", "font.size": 10}):
        figure = Figure(figsize=(2.2 + 4.4 * len(models), 4.0), layout="constrained")
        panels = figure.subplots(1, len(models), sharey=True, squeeze=False)[0]
        for model, panel in zip(models, panels, strict=True):
            _draw([row for row in table if row.model == model and metric in row.values], panel, metric)
            panel.set_title(model)
        panels[0].set_ylabel("Top-1, %" if metric == "top1" else f"{metric}, %")
        entries = {
            name: line for panel in panels for line, name in zip(*panel.get_legend_handles_labels(), strict=True)
        }
        figure.legend(entries.values(), entries.keys(), loc="outside right upper", frameon=False, title=_label(table))
        written = [out / "plot.png", out / "plot.svg"]
        for path, metadata in zip(written, ({"Software": None}, {"Date": None}), strict=True):
            with result_file(path) as stream:
                figure.savefig(stream, format=path.suffix[1:], dpi=150, metadata=metadata)
    return written


def _draw(rows: Sequence[Row], panel: Any, metric: str) -> None:
    for row in rows:
        if row.alpha is None:
            mean, spread = 100 * (row.mean(metric) or 0), 100 * (row.deviation(metric) or 0)
            panel.axhspan(mean - spread, mean + spread, color=_BASELINE, alpha=0.15, linewidth=0)
            panel.axhline(mean, color=_BASELINE, linewidth=1.2, label="baseline")
    curves = [row for row in rows if row.alpha is not None]
    alphas = sorted({row.alpha for row in curves if row.alpha is not None})
    kinds = list(dict.fromkeys(row.vectors for row in curves))
    for place, kind in enumerate(kinds):
        # Side by side, so that no error bar hides another.
        shift = 0.1 * (place - (len(kinds) - 1) / 2)
        chosen = [row for row in curves if row.vectors == kind]
        _curve([(alphas.index(row.alpha) + shift, row) for row in chosen if row.alpha is not None], kind, panel, metric)
    # Even steps: alphas such as 0, 1, 2, 50 would lie on each other on a scale.
    panel.set_xticks(range(len(alphas)), [number(alpha) for alpha in alphas])
    panel.set_xlim(-0.5, max(len(alphas), 1) - 0.5)
    if alphas:
        apart = "\n(label vectors are drawn side by side)" if len(kinds) > 1 else ""
        panel.set_xlabel(f"alpha, weight of the semantic loss{apart}")
    panel.spines[["top", "right"]].set_visible(False)
    panel.grid(axis="y", alpha=0.3, linewidth=0.6)


def _curve(points: Sequence[tuple[float, Row]], kind: str, panel: Any, metric: str) -> None:
    colour, marker, line = _LOOK.get(kind, ("#000000", "x", "-"))
    places = [place for place, _ in points]
    means = [100 * (row.mean(metric) or 0) for _, row in points]
    spread = [100 * (row.deviation(metric) or 0) for _, row in points]
    panel.errorbar(
        places, means, yerr=spread, color=colour, marker=marker, linestyle=line, markersize=5, capsize=3, label=kind
    )
    for place, row in points:
        values = [100 * value for value in row.values[metric]]
        panel.plot([place] * len(values), values, ".", color=colour, alpha=0.45, markersize=4)


def _label(rows: Sequence[Row]) -> str:
    counts = sorted({len(row.seeds) for row in rows})
    seeds = f"{counts[0]} to {counts[-1]} seeds" if len(counts) > 1 else f"{counts[0]} seed{'s' * (counts[0] != 1)}"
    return f"mean, deviation,\n{seeds}"
