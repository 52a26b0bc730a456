"""The numbers of the page: headline table with intervals, comparisons, classes and their neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pyskl_semloss.errors import InputError
from pyskl_semloss.evaluation.comparison import mcnemar, paired_bootstrap
from pyskl_semloss.evaluation.metrics import class_numbers, confusion_matrix, summary
from pyskl_semloss.evaluation.neighbours import name_nearness
from pyskl_semloss.evaluation.scores import Scores
from pyskl_semloss.report.collect import Material

RESAMPLES = 2_000
COLUMNS = {
    "top1": "Top-1",
    "top5": "Top-5",
    "mean_class": "Mean class",
    "macro_f1": "Macro F1",
    "nearest_name_top1": "Nearest name",
    "ece": "ECE",
}


def intervals(
    parts: Sequence[Scores], *, resamples: int = RESAMPLES, level: float = 0.95, seed: int = 0
) -> list[dict[str, tuple[float, float]]]:
    """Percentile bootstrap intervals of ``top1``, ``top5`` and ``mean_class``, clips drawn with replacement.

    The same draws serve all models. Mean-class accuracy is over the classes that occur in a resample.

    Args:
        parts: Scores of the same clips in the same order.
        resamples: Number of resamples.
        level: Of the intervals.
        seed: Of the draws.

    Returns:
        For each model (low, high) of each number, as fractions; empty dicts if no label is known.
    """
    label = parts[0].label
    known = label >= 0
    if not known.any():
        return [{} for _ in parts]
    label, clips = label[known], int(known.sum())
    top1 = np.stack([_in_top(part.score[known], label, 1) for part in parts])
    top5 = np.stack([_in_top(part.score[known], label, 5) for part in parts])
    member = (label[:, None] == np.unique(label)).astype(np.float64)
    rng = np.random.default_rng(seed)
    drawn: dict[str, list[np.ndarray]] = {"top1": [], "top5": [], "mean_class": []}
    for start in range(0, resamples, 100):
        rows = min(100, resamples - start)
        places = rng.integers(0, clips, (rows, clips)) + clips * np.arange(rows)[:, None]
        times = np.bincount(places.ravel(), minlength=rows * clips).reshape(rows, clips).astype(np.float64)
        drawn["top1"].append(times @ top1.T / clips)
        drawn["top5"].append(times @ top5.T / clips)
        sizes = times @ member
        recall = np.stack([times @ (member * one[:, None]) for one in top1], axis=2) / np.maximum(sizes, 1)[..., None]
        drawn["mean_class"].append(recall.sum(1) / (sizes > 0).sum(1)[:, None])
    ends = [(1 - level) / 2, (1 + level) / 2]
    bounds = {name: np.quantile(np.concatenate(values), ends, axis=0) for name, values in drawn.items()}
    return [{name: (float(low[n]), float(high[n])) for name, (low, high) in bounds.items()} for n in range(len(parts))]


def headline(material: Material) -> dict[str, Any]:
    """The headline table, in percent: column titles, and a row for each model with values and interval ends."""
    models = material.models
    numbers = [summary(model.scores) for model in models]
    spans = intervals([model.scores for model in models])
    shown = [name for name in COLUMNS if any(name in row for row in numbers)]
    rows = []
    for model, values, span in zip(models, numbers, spans, strict=True):
        cells = [
            {"value": _percent(values.get(name)), "low": _percent(span.get(name, (None, None))[0]),
             "high": _percent(span.get(name, (None, None))[1])}
            for name in shown
        ]  # fmt: skip
        rows.append({"name": model.name, "role": model.role, "weight": model.weight, "cells": cells})
    return {"columns": [COLUMNS[name] for name in shown], "keys": shown, "rows": rows}


def comparison(material: Material) -> list[dict[str, Any]]:
    """The final model against baseline and parts: differences with intervals (percent points), clips, p-value."""
    if material.final.scores.label.max() < 0:
        return []
    final = material.final
    rivals = [*([material.baseline] if material.baseline else []), *(material.parts if material.fusion else ())]
    rows = []
    for rival in rivals:
        exact = mcnemar(rival.scores, final.scores)
        rows.append(
            {
                "name": rival.name,
                "role": rival.role,
                **{
                    metric: [_percent(one.estimate), _percent(one.low), _percent(one.high)]
                    for metric in ("top1", "mean_class")
                    for one in [paired_bootstrap([rival.scores], [final.scores], metric, resamples=RESAMPLES)]
                },
                "p": exact.p_value,
                "gained": int(exact.table[1, 0]),
                "lost": int(exact.table[0, 1]),
            }
        )
    return rows


def classes(material: Material) -> list[dict[str, Any]]:
    """Name, clips in test and training, recall and precision (percent; None without clips) of each class."""
    final = material.final.scores
    numbers = class_numbers(final.score, final.label)
    sizes = material.train_sizes
    return [
        {
            "name": name,
            "test": int(numbers.support[n]),
            "train": None if sizes is None else int(sizes[n]),
            "recall": _percent(numbers.recall[n]),
            "precision": _percent(numbers.precision[n]),
        }
        for n, name in enumerate(material.class_names)
    ]


def matrix(material: Material) -> list[list[int]]:
    """Clips of each true class (row) by predicted class (column), for the final model."""
    return confusion_matrix(material.final.scores.score, material.final.scores.label).tolist()


def cosines(vectors: np.ndarray) -> np.ndarray:
    """(C, C) cosines between label vectors."""
    units = vectors / np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    return units @ units.T


def neighbours(material: Material, count: int = 3) -> list[list[tuple[int, float]]]:
    """The nearest other names of each class, as (class, cosine), the nearest first; empty without label vectors."""
    if material.vectors is None:
        return []
    table = cosines(material.vectors)
    np.fill_diagonal(table, -np.inf)
    order = np.argsort(-table, axis=1, kind="stable")[:, : min(count, len(table) - 1)]
    return [[(int(one), round(float(table[n, one]), 3)) for one in row] for n, row in enumerate(order)]


def nearness(material: Material) -> dict[str, Any] | None:
    """The neighbour test of the final model's mistakes; None without label vectors or anything to test."""
    if material.vectors is None:
        return None
    try:
        found = name_nearness([material.final.scores], material.vectors)
    except InputError:
        return None  # no mistake, no label, or fewer than three classes
    return found._asdict()


def _in_top(score: np.ndarray, label: np.ndarray, k: int) -> np.ndarray:
    """(N,) 1 where the true class is among the k highest, of equal scores the lower index first."""
    own = np.take_along_axis(score, label[:, None], axis=1)
    before = (score > own) | ((score == own) & (np.arange(score.shape[1]) < label[:, None]))
    return (before.sum(axis=1) < k).astype(np.float64)


def _percent(value: float | None) -> float | None:
    return None if value is None or np.isnan(value) else round(100 * float(value), 4)
