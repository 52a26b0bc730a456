"""The table of a sweep, from the finished runs on disk: mean, standard deviation and best over the seeds."""

from __future__ import annotations

import csv
import io
import statistics
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyskl_semloss.drawing.palette import FAINT, SERIES
from pyskl_semloss.errors import InputError
from pyskl_semloss.evaluation.fusion import align, fuse
from pyskl_semloss.evaluation.fusion_plan import PAPER_WEIGHTS
from pyskl_semloss.evaluation.metrics import all_metrics
from pyskl_semloss.evaluation.scores import Scores
from pyskl_semloss.io.records import read_record, write_record
from pyskl_semloss.io.results import result_file
from pyskl_semloss.sweep.plan import KINDS, number
from pyskl_semloss.sweep.settings import DONE_FILE, advice

METRICS = {
    "top1": "Top-1",
    "top5": "Top-5",
    "mean_class": "mean-class",
    "macro_f1": "macro F1",
    "ece": "calibration error",
    "nearest_name_top1": "nearest-name",
}
NOTE = (
    "Percent, mean ± standard deviation (n - 1) over the seeds; best is the best single seed, by Top-1. The numbers "
    "are of the split that the config tests on: an alpha that is chosen by them is not confirmed by them. Fusion is of "
    "joint and limb of the same seed, alpha and label vectors, 2 : 3."
)


@dataclass(frozen=True)
class Row:
    """The runs of one setting, over the seeds.

    Attributes:
        model: Such as ``joint``.
        vectors: What the label vectors are, or ``baseline``.
        alpha: None for a baseline.
        seeds: The n seeds, in order.
        values: Metric -> its n values, as fractions; a metric that a run lacks is left out.
    """

    model: str
    vectors: str
    alpha: float | None
    seeds: tuple[int, ...]
    values: dict[str, tuple[float, ...]]

    def mean(self, metric: str) -> float | None:
        """Mean over the seeds."""
        return statistics.fmean(self.values[metric]) if metric in self.values else None

    def deviation(self, metric: str) -> float | None:
        """Standard deviation over the seeds, with n - 1; None for a single seed."""
        values = self.values.get(metric, ())
        return statistics.stdev(values) if len(values) > 1 else None

    def best(self, metric: str = "top1") -> float | None:
        """The highest of the seeds."""
        return max(self.values[metric]) if metric in self.values else None


def collect(out: Path) -> list[dict[str, Any]]:
    """The ``done.json`` of every finished run, with the folder's ``name``; damaged ones are left out with a warning."""
    found, damaged = [], []
    for path in sorted(out.glob(f"*/{DONE_FILE}")):
        try:
            done = read_record(path, advice(path.parent))
        except InputError:
            done = {}
        if done and _is_result(done):
            found.append({**done, "name": path.parent.name})
        elif done is not None:
            damaged.append(path.parent.name)
    if damaged:
        warnings.warn(f"{len(damaged)} runs have a damaged {DONE_FILE}: {', '.join(damaged[:3])}", stacklevel=2)
    return found


def _is_result(done: dict[str, Any]) -> bool:
    alpha, metrics = done.get("alpha", ""), done.get("metrics")
    return (
        isinstance(done.get("model"), str)
        and isinstance(done.get("vectors"), str)
        and (alpha is None or _is_number(alpha))
        and type(done.get("seed")) is int
        and isinstance(done.get("score_file", ""), str)
        and isinstance(metrics, dict)
        and "top1" in metrics
        and all(map(_is_number, metrics.values()))
    )


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e9


def fusions(results: Sequence[dict[str, Any]], out: Path) -> list[dict[str, Any]]:
    """What joint and limb runs that differ in nothing else make together, weighted as in the paper.

    Args:
        results: What :func:`collect` found.
        out: The folder of the runs, with their score files.

    Returns:
        As ``results``, ``model`` being ``fusion``, ``parts`` the two folders. A pair whose score files are damaged or
        gone is left out with a warning.
    """
    place = {(one["model"], one["vectors"], one["alpha"], one["seed"]): one for one in results}
    found, failed = [], []
    for (model, *rest), joint in place.items():
        words = model.split("_")
        limb = place.get(("_".join("limb" if word == "joint" else word for word in words), *rest))
        if "joint" not in words or limb is None:
            continue
        pair = {"joint": joint, "limb": limb}
        try:
            scores = [Scores.load(out / one["name"] / one["score_file"]) for one in pair.values()]
            numbers = all_metrics(fuse(align(scores), [PAPER_WEIGHTS[modality] for modality in pair]))
        except (InputError, KeyError):
            failed.append(joint["name"])
            continue
        name = "_".join("fusion" if word == "joint" else word for word in words)
        parts = [one["name"] for one in pair.values()]
        found.append({**dict(zip(("vectors", "alpha", "seed"), rest, strict=True)), "model": name, "metrics": numbers,
                      "parts": parts})  # fmt: skip
    if failed:
        warnings.warn(f"{len(failed)} pairs could not be fused: {', '.join(failed[:3])}", stacklevel=2)
    return found


def rows(results: Sequence[dict[str, Any]]) -> list[Row]:
    """The results grouped by setting, ordered by model, kind of label vectors and alpha."""
    groups: dict[tuple[str, str, float | None], list[dict[str, Any]]] = {}
    for one in results:
        groups.setdefault((one["model"], one["vectors"], one["alpha"]), []).append(one)
    table = []
    for (model, vectors, alpha), group in groups.items():
        group.sort(key=lambda one: one["seed"])
        values = {
            metric: tuple(one["metrics"][metric] for one in group)
            for metric in METRICS
            if all(metric in one["metrics"] for one in group)
        }
        table.append(Row(model, vectors, alpha, tuple(one["seed"] for one in group), values))
    return sorted(table, key=lambda row: (row.model, _kind_order(row.vectors), row.alpha or 0.0))


def markdown(table: Sequence[Row]) -> str:
    """The table as Markdown, in percent, with what its numbers mean below it."""
    shown = [metric for metric in METRICS if any(metric in row.values for row in table)]
    head = ["model", "label vectors", "alpha", "n", *(METRICS[metric] for metric in shown)]
    head.insert(5, "best")
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for row in table:
        cells = [row.model, row.vectors, "-" if row.alpha is None else number(row.alpha), str(len(row.seeds))]
        numbers = [_cell(row, metric) for metric in shown]
        numbers.insert(1, _percent(row.best()))
        lines.append(f"| {' | '.join([*cells, *numbers])} |")
    return "\n".join([*lines, "", NOTE]) + "\n"


def csv_text(table: Sequence[Row]) -> str:
    """The table as CSV, in fractions: mean, standard deviation and best of every metric."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    ends = ("mean", "deviation", "best")
    columns = [f"{metric}_{end}" for metric in METRICS for end in ends]
    writer.writerow(["model", "vectors", "alpha", "n", "seeds", *columns])
    for row in table:
        numbers = [getattr(row, end)(metric) for metric in METRICS for end in ends]
        alpha = "" if row.alpha is None else number(row.alpha)
        writer.writerow([row.model, row.vectors, alpha, len(row.seeds), " ".join(map(str, row.seeds)), *numbers])
    return stream.getvalue()


def write_results(out: Path) -> list[Path]:
    """Rebuild ``table.md``, ``.csv``, ``.json`` and ``plot.png``, ``.svg`` from the finished runs on disk.

    Without matplotlib there is no plot, and a warning.

    Returns:
        The files written.

    Raises:
        InputError: There is no finished run.
    """
    results = collect(out)
    if not results:
        raise InputError("there is no finished run in this folder", file=out)
    results += fusions(results, out)
    table = rows(results)
    written = [out / "table.md", out / "table.csv", out / "table.json"]
    for path, text in zip(written, (markdown(table), csv_text(table)), strict=False):
        with result_file(path, "w", encoding="utf-8") as stream:
            stream.write(text)
    write_record(written[2], {"note": NOTE, "rows": [_as_json(row) for row in table], "runs": results})
    try:
        return written + write_plot(table, out)
    except ImportError:
        warnings.warn("matplotlib is not installed, so there is no plot", stacklevel=2)
        return written


def best_so_far(out: Path) -> str:
    """Which finished run has the highest Top-1, in words."""
    best = max(collect(out), key=lambda one: one["metrics"]["top1"], default=None)
    return "nothing finished" if best is None else f"best {100 * best['metrics']['top1']:.2f} ({best['name']})"


def _kind_order(kind: str) -> int:
    return KINDS.index(kind) if kind in KINDS else len(KINDS)


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.2f}"


def _cell(row: Row, metric: str) -> str:
    deviation = row.deviation(metric)
    return _percent(row.mean(metric)) + ("" if deviation is None else f" ± {100 * deviation:.2f}")


def _as_json(row: Row) -> dict[str, Any]:
    metrics = {
        metric: {"mean": row.mean(metric), "deviation": row.deviation(metric), "best": row.best(metric)}
        for metric in row.values
    }
    return {
        "model": row.model, "vectors": row.vectors, "alpha": row.alpha, "n": len(row.seeds), "seeds": list(row.seeds),
        "metrics": metrics,
    }  # fmt: skip


# Markers differ, too, for print.
_LOOK = {
    "given": (SERIES[0], "o", "-"),
    "hash": (SERIES[1], "s", "--"),
    "shuffled": (SERIES[3], "^", "-."),
    "random": (SERIES[2], "D", ":"),
}


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
            panel.axhspan(mean - spread, mean + spread, color=FAINT, alpha=0.15, linewidth=0)
            panel.axhline(mean, color=FAINT, linewidth=1.2, label="baseline")
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
