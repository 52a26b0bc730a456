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
from pyskl_semloss.sweep.differences import differences_csv, differences_markdown, paired_differences
from pyskl_semloss.sweep.plan import KINDS, number
from pyskl_semloss.sweep.settings import DONE_FILE, advice

_SAME = ("setting", "vectors", "alpha", "seed")
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
    "joint and limb of the same seed and setting, 2 : 3."
)


@dataclass(frozen=True)
class Row:
    """Runs of one setting, over the seeds.

    Attributes:
        model: Such as ``joint``.
        setting: Its name, else the kind of the label vectors, or ``baseline``.
        alpha: None for a baseline.
        seeds: The n seeds, in order.
        values: Metric -> its n values, as fractions; a metric that a run lacks is left out.
    """

    model: str
    setting: str
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
    """Contents of ``done.json`` of every finished run, with the folder's ``name``.

    Damaged ones are left out with a warning.
    """
    results, damaged = [], []
    for path in sorted(out.glob(f"*/{DONE_FILE}")):
        try:
            done = read_record(path, advice(path.parent))
        except InputError:
            done = {}
        if done and _is_result(done):
            results.append({**done, "name": path.parent.name})
        elif done is not None:
            damaged.append(path.parent.name)
    if damaged:
        warnings.warn(f"{len(damaged)} runs have a damaged {DONE_FILE}: {', '.join(damaged[:3])}", stacklevel=2)
    return results


def _is_result(done: dict[str, Any]) -> bool:
    alpha, metrics = done.get("alpha", ""), done.get("metrics")
    return (
        isinstance(done.get("model"), str)
        and isinstance(done.get("vectors"), str)
        and isinstance(done.get("setting"), (str, type(None)))
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
    """Fusions of joint and limb runs that differ in nothing else, weighted as in the paper.

    Args:
        results: Of :func:`collect`.
        out: The folder of the runs, with their score files.

    Returns:
        As ``results``, ``model`` being ``fusion``, ``parts`` the two folders. A pair whose score files are damaged or
        gone is left out with a warning.
    """
    run_of = {(run["model"], *(run.get(key) for key in _SAME)): run for run in results}
    fused, failed = [], []
    for (model, *rest), joint in run_of.items():
        words = model.split("_")
        limb = run_of.get(("_".join("limb" if word == "joint" else word for word in words), *rest))
        if "joint" not in words or limb is None:
            continue
        pair = {"joint": joint, "limb": limb}
        try:
            scores = [Scores.load(out / run["name"] / run["score_file"]) for run in pair.values()]
            numbers = all_metrics(fuse(align(scores), [PAPER_WEIGHTS[modality] for modality in pair]))
        except (InputError, KeyError):
            failed.append(joint["name"])
            continue
        name = "_".join("fusion" if word == "joint" else word for word in words)
        parts = [run["name"] for run in pair.values()]
        fused.append({**dict(zip(_SAME, rest, strict=True)), "model": name, "metrics": numbers, "parts": parts})
    if failed:
        warnings.warn(f"{len(failed)} pairs could not be fused: {', '.join(failed[:3])}", stacklevel=2)
    return fused


def rows(results: Sequence[dict[str, Any]], order: Sequence[str] = ()) -> list[Row]:
    """Results grouped by setting, ordered by model, setting and alpha.

    Args:
        results: Of :func:`collect`, and :func:`fusions`.
        order: Names of settings that come first, in this order.
    """
    groups: dict[tuple[str, str, float | None], list[dict[str, Any]]] = {}
    for run in results:
        groups.setdefault((run["model"], run.get("setting") or run["vectors"], run["alpha"]), []).append(run)
    table = []
    for (model, setting, alpha), group in groups.items():
        group.sort(key=lambda run: run["seed"])
        values = {
            metric: tuple(run["metrics"][metric] for run in group)
            for metric in METRICS
            if all(metric in run["metrics"] for run in group)
        }
        table.append(Row(model, setting, alpha, tuple(run["seed"] for run in group), values))
    known = list(dict.fromkeys((*order, *KINDS)))
    position = {name: at for at, name in enumerate(known)}
    return sorted(
        table, key=lambda row: (row.model, position.get(row.setting, len(known)), row.setting, row.alpha or 0.0)
    )


def markdown(table: Sequence[Row]) -> str:
    """Table as Markdown, in percent, with what its numbers mean below it."""
    shown = [metric for metric in METRICS if any(metric in row.values for row in table)]
    head = ["model", "setting", "alpha", "n", *(METRICS[metric] for metric in shown)]
    head.insert(5, "best")
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for row in table:
        cells = [row.model, row.setting, "-" if row.alpha is None else number(row.alpha), str(len(row.seeds))]
        numbers = [mean_and_deviation(row, metric) for metric in shown]
        numbers.insert(1, _percent(row.best()))
        lines.append(f"| {' | '.join([*cells, *numbers])} |")
    return "\n".join([*lines, "", NOTE]) + "\n"


def csv_text(table: Sequence[Row]) -> str:
    """Table as CSV, in fractions: mean, standard deviation and best of every metric."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    ends = ("mean", "deviation", "best")
    columns = [f"{metric}_{end}" for metric in METRICS for end in ends]
    writer.writerow(["model", "setting", "alpha", "n", "seeds", *columns])
    for row in table:
        numbers = [getattr(row, end)(metric) for metric in METRICS for end in ends]
        alpha = "" if row.alpha is None else number(row.alpha)
        writer.writerow([row.model, row.setting, alpha, len(row.seeds), " ".join(map(str, row.seeds)), *numbers])
    return stream.getvalue()


def write_results(out: Path, order: Sequence[str] = (), references: Sequence[str] | None = None) -> list[Path]:
    """Rebuild table, differences and plot from the finished runs on disk.

    They are ``table.md``, ``.csv``, ``.json``, ``differences.csv`` and ``plot.png``, ``.svg``. Without matplotlib there
    is no plot, and a warning.

    Args:
        out: The folder of the runs.
        order: Names of settings that come first, in this order.
        references: Settings that others are compared with, by name; the baseline where it is empty, none where it is
            None: intervals take a second each.

    Returns:
        The files written.

    Raises:
        InputError: There is no finished run, or a reference is neither in ``order`` nor finished.
    """
    results = collect(out)
    if not results:
        raise InputError("there is no finished run in this folder", file=out)
    compared = [] if references is None else paired_differences(results, out, references, order)
    results += fusions(results, out)
    table = rows(results, order)
    texts = {"table.md": markdown(table) + differences_markdown(compared), "table.csv": csv_text(table)}
    if compared:
        texts["differences.csv"] = differences_csv(compared)
    else:
        # Those of an earlier call are of fewer runs than the table.
        (out / "differences.csv").unlink(missing_ok=True)
    for name, text in texts.items():
        with result_file(out / name, "w", encoding="utf-8") as stream:
            stream.write(text)
    content = {
        "note": NOTE,
        "rows": [_as_json(row) for row in table],
        "differences": [each.as_json() for each in compared],
        "runs": results,
    }
    write_record(out / "table.json", content)
    written = [out / name for name in (*texts, "table.json")]
    try:
        return written + write_plot(table, out)
    except ImportError:
        warnings.warn("matplotlib is not installed, so there is no plot", stacklevel=2)
        return written


def best_so_far(out: Path) -> str:
    """Finished run with the highest Top-1, in words."""
    best = max(collect(out), key=lambda run: run["metrics"]["top1"], default=None)
    return "nothing finished" if best is None else f"best {100 * best['metrics']['top1']:.2f} ({best['name']})"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.2f}"


def mean_and_deviation(row: Row, metric: str) -> str:
    """Mean over the seeds in percent, with the deviation where there are several."""
    deviation = row.deviation(metric)
    return _percent(row.mean(metric)) + ("" if deviation is None else f" ± {100 * deviation:.2f}")


def _as_json(row: Row) -> dict[str, Any]:
    metrics = {
        metric: {"mean": row.mean(metric), "deviation": row.deviation(metric), "best": row.best(metric)}
        for metric in row.values
    }
    return {
        "model": row.model, "setting": row.setting, "alpha": row.alpha, "n": len(row.seeds), "seeds": list(row.seeds),
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

    Settings with a name stand one below the other instead. Error bars and the band are one standard deviation over the
    seeds; the small points are the single seeds.

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
    named = list(dict.fromkeys(row.setting for row in table if row.setting not in KINDS))
    with matplotlib.rc_context({"svg.hashsalt": "pyskl_semloss", "font.size": 10}):
        figure = Figure(figsize=(2.2 + 4.4 * len(models), 4.0), layout="constrained")
        panels = figure.subplots(1, len(models), sharey=True, squeeze=False)[0]
        for model, panel in zip(models, panels, strict=True):
            shown = [row for row in table if row.model == model and metric in row.values]
            panel.set_title(model)
            if named:
                _draw_named(shown, list(dict.fromkeys(row.setting for row in table)), panel, metric)
            else:
                _draw(shown, panel, metric)
        title = "Top-1, %" if metric == "top1" else f"{metric}, %"
        if named:
            figure.supxlabel(f"{title} ({_label(table).replace(chr(10), ' ')})", fontsize="medium")
        else:
            panels[0].set_ylabel(title)
            entries = {
                name: line for panel in panels for line, name in zip(*panel.get_legend_handles_labels(), strict=True)
            }
            figure.legend(
                entries.values(), entries.keys(), loc="outside right upper", frameon=False, title=_label(table)
            )
        written = [out / "plot.png", out / "plot.svg"]
        for path, metadata in zip(written, ({"Software": None}, {"Date": None}), strict=True):
            with result_file(path) as stream:
                figure.savefig(stream, format=path.suffix[1:], dpi=150, metadata=metadata)
    return written


def _draw_named(rows: Sequence[Row], settings: list[str], panel: Any, metric: str) -> None:
    for row in rows:
        height, values = settings.index(row.setting), [100 * value for value in row.values[metric]]
        spread = 100 * (row.deviation(metric) or 0)
        panel.errorbar(statistics.fmean(values), height, xerr=spread, color=SERIES[0], marker="o", capsize=3)
        panel.plot(values, [height] * len(values), ".", color=FAINT, markersize=4)
    panel.set_yticks(range(len(settings)), settings)
    panel.set_ylim(len(settings) - 0.5, -0.5)
    panel.spines[["top", "right"]].set_visible(False)
    panel.grid(axis="x", alpha=0.3, linewidth=0.6)


def _draw(rows: Sequence[Row], panel: Any, metric: str) -> None:
    for row in rows:
        if row.alpha is None:
            mean, spread = 100 * (row.mean(metric) or 0), 100 * (row.deviation(metric) or 0)
            panel.axhspan(mean - spread, mean + spread, color=FAINT, alpha=0.15, linewidth=0)
            panel.axhline(mean, color=FAINT, linewidth=1.2, label="baseline")
    curves = [row for row in rows if row.alpha is not None]
    alphas = sorted({row.alpha for row in curves if row.alpha is not None})
    kinds = list(dict.fromkeys(row.setting for row in curves))
    for at, kind in enumerate(kinds):
        # Side by side, so that no error bar hides another.
        shift = 0.1 * (at - (len(kinds) - 1) / 2)
        chosen = [row for row in curves if row.setting == kind]
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
    steps = [step for step, _ in points]
    means = [100 * (row.mean(metric) or 0) for _, row in points]
    spread = [100 * (row.deviation(metric) or 0) for _, row in points]
    panel.errorbar(
        steps, means, yerr=spread, color=colour, marker=marker, linestyle=line, markersize=5, capsize=3, label=kind
    )
    for step, row in points:
        values = [100 * value for value in row.values[metric]]
        panel.plot([step] * len(values), values, ".", color=colour, alpha=0.45, markersize=4)


def _label(rows: Sequence[Row]) -> str:
    counts = sorted({len(row.seeds) for row in rows})
    seeds = f"{counts[0]} to {counts[-1]} seeds" if len(counts) > 1 else f"{counts[0]} seed{'s' * (counts[0] != 1)}"
    return f"mean, deviation,\n{seeds}"
