"""Paired differences between the settings of a sweep, with intervals over clips and seeds."""

from __future__ import annotations

import csv
import functools
import io
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pyskl_semloss.errors import InputError
from pyskl_semloss.evaluation.comparison import METRICS, Difference, paired_bootstrap
from pyskl_semloss.evaluation.scores import Scores
from pyskl_semloss.io.reading import did_you_mean
from pyskl_semloss.sweep.plan import setting_label

TITLES = {"top1": "Top-1", "mean_class": "mean-class"}


@dataclass(frozen=True)
class PairedDifference:
    """Difference of a setting from a reference on the same clips and seeds.

    Attributes:
        model: Such as ``joint``.
        reference: Name of the setting that is subtracted.
        setting: Name of the other.
        seeds: The seeds that both have.
        metrics: The difference of each metric, setting minus reference.
    """

    model: str
    reference: str
    setting: str
    seeds: tuple[int, ...]
    metrics: tuple[Difference, ...]

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        metrics = {each.metric: each._asdict() for each in self.metrics}
        return {**asdict(self), "metrics": metrics}


def paired_differences(
    results: Sequence[dict[str, Any]], out: Path, references: Sequence[str] = (), order: Sequence[str] = ()
) -> list[PairedDifference]:
    """Differences of all settings from each reference, within each model.

    Those of a score file that is damaged or gone are left out with a warning.

    Args:
        results: Finished runs, see :func:`pyskl_semloss.sweep.table.collect`.
        out: The folder of the runs, with their score files.
        references: Names of settings, as in the names of the runs' folders. Without any the baselines are references
            where there are some.
        order: Names of settings that come first, in this order; a reference among them may have no finished run yet.

    Raises:
        InputError: There is no such setting.
    """
    by_model: dict[str, dict[str, dict[int, dict[str, Any]]]] = {}
    for run in results:
        by_model.setdefault(run["model"], {}).setdefault(_label(run), {})[run["seed"]] = run
    if not references:
        references = list(dict.fromkeys(_label(run) for run in results if run["alpha"] is None))
    check_references(references, results, order)
    position = {name: at for at, name in enumerate(order)}
    load = functools.cache(lambda path: Scores.load(out / path))
    differences: list[PairedDifference] = []
    failed: dict[str, str] = {}
    for model, settings in by_model.items():
        names = sorted(settings, key=lambda name: (position.get(name, len(position)), name))
        for reference, name in ((reference, name) for reference in references for name in names if name != reference):
            seeds = sorted(settings[name].keys() & settings.get(reference, {}).keys())
            if not seeds:
                continue
            try:
                a, b = ([load(_score_file(settings[side][seed])) for seed in seeds] for side in (reference, name))
                metrics = tuple(paired_bootstrap(a, b, metric, over_seeds=True) for metric in METRICS)
            except (InputError, KeyError) as error:
                failed[f"{name} and {reference}"] = str(error)
                continue
            differences.append(PairedDifference(model, reference, name, tuple(seeds), metrics))
    if failed:
        shown, reason = ", ".join(list(failed)[:3]), next(iter(failed.values()))
        problem = f"{len(failed)} pairs of settings could not be compared: {shown}; the first: {reason}"
        warnings.warn(problem, stacklevel=2)
    return differences


def check_references(references: Sequence[str], results: Sequence[dict[str, Any]], planned: Sequence[str]) -> None:
    """Check that references are settings that have finished runs or are planned.

    Raises:
        InputError: One is not.
    """
    known = list(dict.fromkeys([*planned, *map(_label, results)]))
    for name in references:
        if name not in known:
            problem = f"there is no setting {name!r}{did_you_mean(name, known)}"
            raise InputError(problem, field="against", fix=f"There are {', '.join(known)}.")


def _label(run: dict[str, Any]) -> str:
    return setting_label(run.get("setting") or "", run["vectors"], run["alpha"])


def _score_file(run: dict[str, Any]) -> str:
    return f"{run['name']}/{run['score_file']}"


def differences_markdown(differences: Sequence[PairedDifference]) -> str:
    """Table of the differences in points, with their intervals; empty where there are none."""
    if not differences:
        return ""
    titles = " | ".join(f"{TITLES[metric]}, points | 95 % interval" for metric in METRICS)
    lines = ["", f"| model | difference | n | {titles} |", f"|{'---|' * (3 + 2 * len(METRICS))}"]
    for each in differences:
        cells = [each.model, f"{each.setting} − {each.reference}", str(len(each.seeds))]
        for metric in each.metrics:
            cells += [f"{100 * metric.estimate:+.2f}", f"{100 * metric.low:+.2f} to {100 * metric.high:+.2f}"]
        lines.append(f"| {' | '.join(cells)} |")
    first = differences[0].metrics[0]
    note = (
        f"Differences of means over n seeds; {100 * first.level:.0f} % percentile intervals of {first.resamples} "
        f"resamples of {first.clips} clips and of the seeds, the same ones for both sides; with one seed of the clips "
        "alone."
    )
    return "\n".join([*lines, "", note]) + "\n"


def differences_csv(differences: Sequence[PairedDifference]) -> str:
    """Table of the differences as CSV, in fractions."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    columns = [f"{metric}_{end}" for metric in METRICS for end in ("difference", "low", "high")]
    writer.writerow(["model", "reference", "setting", "n", "seeds", *columns])
    for each in differences:
        numbers = [value for metric in each.metrics for value in (metric.estimate, metric.low, metric.high)]
        seeds = " ".join(map(str, each.seeds))
        writer.writerow([each.model, each.reference, each.setting, len(each.seeds), seeds, *numbers])
    return stream.getvalue()
