"""The table of accuracies that the tools print."""

from __future__ import annotations

from collections.abc import Sequence

from pyskl_semloss.errors import one_line
from pyskl_semloss.evaluation.metrics import summary
from pyskl_semloss.evaluation.scores import Scores

_COLUMNS = {"top1": "Top-1", "top5": "Top-5", "mean_class": "mean-class", "nearest_name_top1": "nearest-name"}


def accuracy_table(rows: Sequence[tuple[str, str, Scores]]) -> str:
    """A table of one line per row, accuracies in percent, ``-`` where there is none.

    Args:
        rows: Name, weight as text (empty everywhere if weights have no meaning here), scores.
    """
    numbers = [summary(scores) for *_, scores in rows]
    weighted = any(weight for _, weight, _ in rows)
    named = any(scores.semantic_cosine is not None for *_, scores in rows)
    shown = [key for key in _COLUMNS if named or key != "nearest_name_top1"]
    table = [["", *(["weight"] if weighted else []), *(_COLUMNS[key] for key in shown), "clips", "labelled"]]
    for (name, weight, scores), values in zip(rows, numbers, strict=True):
        percents = [f"{100 * values[key]:.2f}" if key in values else "-" for key in shown]
        counts = [str(len(scores.label)), str(int((scores.label >= 0).sum()))]
        table.append([one_line(name), *([weight] if weighted else []), *percents, *counts])
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return "\n".join(
        "  ".join([line[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(line[1:], widths[1:], strict=True))])
        for line in table
    )
