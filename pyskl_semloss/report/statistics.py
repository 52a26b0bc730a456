"""Statistics of the page: headline table, comparisons, classes, neighbours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import NormalDist
from typing import Any

import numpy as np

from pyskl_semloss.errors import InputError
from pyskl_semloss.evaluation.comparison import mcnemar, paired_bootstrap
from pyskl_semloss.evaluation.metrics import all_metrics, class_numbers, confusion_matrix, true_class_ranks
from pyskl_semloss.evaluation.neighbours import name_nearness
from pyskl_semloss.evaluation.resampling import bootstrap, resampled_accuracy, sampling_units, wilson_interval
from pyskl_semloss.evaluation.scores import Scores
from pyskl_semloss.report.inputs import ReportInputs
from pyskl_semloss.semantic.label_vectors import cosines

RESAMPLES = 2_000
FEW_PERSONS = 10
COLUMNS = {
    "top1": "Top-1",
    "top5": "Top-5",
    "mean_class": "Mean class",
    "macro_f1": "Macro F1",
    "nearest_name_top1": "Nearest name",
    "nearest_name_top5": "Nearest name, Top-5",
    "nearest_name_mean_class": "Nearest name, mean class",
    "ece": "ECE",
}


def intervals(
    parts: Sequence[Scores],
    *,
    resamples: int = RESAMPLES,
    level: float = 0.95,
    seed: int = 0,
    persons: Mapping[str, str] | None = None,
) -> list[dict[str, tuple[float, float]]]:
    """Percentile bootstrap intervals of ``top1``, ``top5`` and ``mean_class``.

    Clips, or persons, are resampled. The same draws serve all models. Mean-class accuracy is over the classes that
    occur in a resample. Where all or none of the clips are right, all resamples are equal, and the interval is Wilson's
    for as many trials as units are drawn.

    Args:
        parts: Scores of the same clips in the same order.
        resamples: Number of resamples.
        level: Of the intervals.
        seed: Of the draws.
        persons: Person of each clip by id, see :func:`pyskl_semloss.evaluation.resampling.sampling_units`.

    Returns:
        For each model (low, high) of each number, as fractions; empty dicts if no label is known.
    """
    labelled = parts[0].label >= 0
    if not labelled.any():
        return [{} for _ in parts]
    label, units = parts[0].label[labelled], sampling_units(parts[0].sample_id[labelled], persons)
    ranks = np.stack([true_class_ranks(part.score[labelled], label) for part in parts])
    top1, top5 = (ranks < 1).astype(np.float64), (ranks < 5).astype(np.float64)
    ends = bootstrap(
        units,
        lambda counts: np.stack(
            [resampled_accuracy(counts, *args) for args in ((top1,), (top5,), (top1, label))], axis=1
        ),
        resamples=resamples, level=level, seed=seed,
    )  # fmt: skip
    correct = {"top1": top1, "top5": top5, "mean_class": top1}
    return [
        {
            name: _one_sided(outcomes[n], units.count, level) or (float(ends[0, row, n]), float(ends[1, row, n]))
            for row, (name, outcomes) in enumerate(correct.items())
        }
        for n in range(len(parts))
    ]


def _one_sided(right: np.ndarray, count: int, level: float) -> tuple[float, float] | None:
    """Wilson interval if all or no clips (N,) are correct, else None."""
    if right.min() != right.max():
        return None
    low, high = wilson_interval(right[:1], np.array([count]), NormalDist().inv_cdf((1 + level) / 2))
    return max(0.0, float(low[0])), min(1.0, float(high[0]))


def headline_table(inputs: ReportInputs) -> dict[str, Any]:
    """Headline table in percent: column titles, and a row per model.

    A row has values and interval ends.
    """
    models = inputs.models
    numbers = [all_metrics(model.scores) for model in models]
    spans = intervals([model.scores for model in models], persons=inputs.persons)
    columns = [name for name in COLUMNS if any(name in row for row in numbers)]
    rows = []
    for model, values, span in zip(models, numbers, spans, strict=True):
        cells = [
            {"value": _percent(values.get(name)), "low": _percent(span.get(name, (None, None))[0]),
             "high": _percent(span.get(name, (None, None))[1])}
            for name in columns
        ]  # fmt: skip
        row = {"name": model.name, "role": model.role, "weight": model.weight, "temperature": model.temperature}
        rows.append({**row, "cells": cells})
    return {"columns": [COLUMNS[name] for name in columns], "keys": columns, "rows": rows}


def comparison(inputs: ReportInputs) -> list[dict[str, Any]]:
    """Comparison of the final model with baseline, parts, and the fusions without a part.

    Differences with intervals in percent points, clips gained and lost, p-value.
    """
    if inputs.final.scores.label.max() < 0:
        return []
    final = inputs.final
    rivals = [
        *([inputs.baseline] if inputs.baseline else []),
        *(inputs.parts if inputs.fusion else ()),
        *inputs.without,
    ]
    rows = []
    for rival in rivals:
        exact = mcnemar(rival.scores, final.scores)
        spans = {metric: _difference(rival.scores, final.scores, metric, inputs) for metric in ("top1", "mean_class")}
        rows.append(
            {
                "name": rival.name,
                "role": rival.role,
                **spans,
                "p": exact.p_value,
                "gained": int(exact.table[1, 0]),
                "lost": int(exact.table[0, 1]),
            }
        )
    return rows


def _difference(a: Scores, b: Scores, metric: str, inputs: ReportInputs) -> list[float | None]:
    """Difference and interval ends in percent points.

    There is no interval where no clip tells the models apart.
    """
    result = paired_bootstrap([a], [b], metric, resamples=RESAMPLES, persons=inputs.persons)
    if result.low == result.high:
        return [_percent(result.estimate), None, None]
    return [_percent(result.estimate), _percent(result.low), _percent(result.high)]


def resampling_note(inputs: ReportInputs) -> str:
    """Sentence about the resampling; empty if no label is known."""
    scores = inputs.final.scores
    labelled = scores.label >= 0
    if not labelled.any():
        return ""
    units = sampling_units(scores.sample_id[labelled], inputs.persons)
    if units.kind == "persons":
        few = " With so few persons they are rough." if units.count < FEW_PERSONS else ""
        return f"Intervals: clips of one person are resampled together ({units.count} persons).{few}"
    return (
        f"Intervals: clips are resampled one by one ({units.count} clips), as several persons are not known. Clips "
        "of one person resemble each other, so that the true intervals are wider (--subjects)."
    )


def classes(inputs: ReportInputs) -> list[dict[str, Any]]:
    """Name, clips, recall and precision of each class.

    Recall and precision are in percent, None without clips.
    """
    final = inputs.final.scores
    numbers = class_numbers(final.score, final.label)
    sizes = inputs.train_sizes
    return [
        {
            "name": name,
            "test": int(numbers.support[n]),
            "train": None if sizes is None else int(sizes[n]),
            "recall": _percent(numbers.recall[n]),
            "precision": _percent(numbers.precision[n]),
        }
        for n, name in enumerate(inputs.class_names)
    ]


def matrix(inputs: ReportInputs) -> list[list[int]]:
    """Confusion matrix of the final model, true class by predicted class."""
    return confusion_matrix(inputs.final.scores.score, inputs.final.scores.label).tolist()


def nearest_names(inputs: ReportInputs, count: int = 3) -> list[list[tuple[int, float]]]:
    """Nearest other names of each class as (class, cosine).

    The nearest is first; empty without label vectors.
    """
    if inputs.vectors is None:
        return []
    table = cosines(inputs.vectors)
    np.fill_diagonal(table, -np.inf)
    order = np.argsort(-table, axis=1, kind="stable")[:, : min(count, len(table) - 1)]
    return [[(int(other), round(float(table[n, other]), 3)) for other in row] for n, row in enumerate(order)]


def nearness(inputs: ReportInputs) -> dict[str, Any] | None:
    """Neighbour test of the final model's mistakes, or None.

    It needs label vectors and mistakes.
    """
    if inputs.vectors is None:
        return None
    try:
        test = name_nearness([inputs.final.scores], inputs.vectors)
    except InputError:
        return None  # no mistake, no label, or fewer than three classes
    return test._asdict()


def _percent(value: float | None) -> float | None:
    return None if value is None or np.isnan(value) else round(100 * float(value), 4)
