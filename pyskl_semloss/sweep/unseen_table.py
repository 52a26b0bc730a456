"""The table of runs that hold classes out: numbers over the folds, and what unseen classes are taken for."""

from __future__ import annotations

import csv
import io
import re
import statistics
import warnings
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from pyskl_semloss.errors import InputError, escape_control_characters
from pyskl_semloss.evaluation.metrics import top_k_accuracy
from pyskl_semloss.evaluation.scores import Scores
from pyskl_semloss.evaluation.unseen import are_opposites, unseen_confusions, unseen_metrics
from pyskl_semloss.io.records import write_record
from pyskl_semloss.io.results import result_file
from pyskl_semloss.semantic.unseen import calibrated, with_further_names
from pyskl_semloss.sweep.plan import number
from pyskl_semloss.sweep.table import collect

METRICS = {
    "seen": "seen",
    "unseen": "unseen",
    "harmonic": "harmonic mean",
    "zero_shot": "zero-shot",
    "chance": "chance",
    "area": "area",
    "harmonic_mean_class": "harmonic mean, mean-class",
    "zero_shot_mean_class": "zero-shot, mean-class",
    "classifier_seen": "classifier, seen",
    "joined_seen": "joined, seen",
    "joined_unseen": "joined, unseen",
    "joined_harmonic": "joined, harmonic mean",
}
FURTHER = ("seen_mean_class", "unseen_mean_class")
SHOWN = 12
"""Confusions of each kind in the Markdown table."""
NOTE = (
    "Percent, mean ± standard deviation (n - 1) over the folds, which differ in the classes that are held out and in "
    "the training's seed. By the nearest name: seen and unseen are the accuracies on the clips of trained and of "
    "held-out classes among all names, zero-shot on those of held-out classes among the names of these alone, where "
    "chance is 1 over their number. Area is that under the curve of unseen over seen as a bias on the trained names "
    "changes. Joined is what semloss predict --names does: the classifier among the trained classes, the names for the "
    "others."
)
_KINDS = {False: "among all names", True: "zero-shot"}


@dataclass
class Group:
    """Runs of a model and a kind of label vectors, over the folds.

    Attributes:
        model: Such as ``joint``.
        vectors: What the label vectors are.
        alpha: Weight of the semantic loss.
        runs: Names of the runs' folders.
        folds: The classes that each run held out, by name.
        values: Metric -> its value in each run, as fractions.
        confusions: Zero-shot or not -> (true name, predicted name) -> clips.
        clips: Name -> test clips of the class in the runs that held it out.
    """

    model: str
    vectors: str
    alpha: float
    runs: list[str] = field(default_factory=list)
    folds: list[list[str]] = field(default_factory=list)
    values: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    confusions: dict[bool, dict[tuple[str, str], int]] = field(
        default_factory=lambda: {kind: defaultdict(int) for kind in _KINDS}
    )
    clips: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def mean(self, metric: str) -> float:
        """Mean over the folds."""
        return statistics.fmean(self.values[metric])

    def deviation(self, metric: str) -> float | None:
        """Standard deviation over the folds, with n - 1; None for a single fold."""
        values = self.values[metric]
        return statistics.stdev(values) if len(values) > 1 else None

    def most_confused(self, zero_shot: bool) -> list[dict[str, Any]]:
        """Confused names, the most frequent first.

        Of equally frequent ones the first has the larger share of its class's clips.
        """
        pairs = sorted(self.confusions[zero_shot].items(), key=lambda item: (-item[1], self.clips[item[0][0]], item[0]))
        return [
            {"true": true, "predicted": best, "count": count, "clips": self.clips[true],
             "opposites": are_opposites(true, best)}
            for (true, best), count in pairs
        ]  # fmt: skip

    def opposite_share(self, zero_shot: bool) -> float | None:
        """Share of opposites among the mistakes; None without mistakes."""
        pairs = self.most_confused(zero_shot)
        total = sum(pair["count"] for pair in pairs)
        return sum(pair["count"] for pair in pairs if pair["opposites"]) / total if total else None


def fold_numbers(scores: Scores, unseen: Sequence[int], seen_bias: float = 0.0) -> dict[str, float]:
    """Numbers of a run, as fractions.

    They are by the nearest name, by the classifier on trained classes, and joined.

    Args:
        scores: Of the test, with the cosines to all C names.
        unseen: The classes that were held out.
        seen_bias: Subtracted from the cosines of the trained names.

    Raises:
        InputError: There are no cosines, or no clips of either kind of class.
    """
    cosine = _cosine(scores)
    hidden = np.isin(np.arange(cosine.shape[1]), list(unseen))
    numbers = unseen_metrics(calibrated(cosine, np.flatnonzero(~hidden), seen_bias), scores.label, unseen)
    numbers["chance"] = 1 / len(unseen)
    of_seen = (scores.label >= 0) & ~hidden[scores.label]
    among = np.where(hidden, scores.score.min() - 1, scores.score)
    numbers["classifier_seen"] = top_k_accuracy(among[of_seen], scores.label[of_seen], 1) or 0.0
    joined = unseen_metrics(joined_probabilities(scores, hidden, seen_bias), scores.label, unseen)
    return numbers | {f"joined_{name}": joined[name] for name in ("seen", "unseen", "harmonic")}


def joined_probabilities(scores: Scores, hidden: np.ndarray, seen_bias: float = 0.0) -> np.ndarray:
    """Probabilities (N, C) of a prediction with the hidden classes as further names.

    Args:
        scores: Of the test, with the cosines to all C names.
        hidden: (C,) whether a class was held out.
        seen_bias: Subtracted from the cosines of the trained names.
    """
    order = np.argsort(hidden, kind="stable")
    trained = scores.score[:, ~hidden].astype(np.float64)
    trained /= np.maximum(trained.sum(1, keepdims=True), 1e-12)
    joined = np.empty(scores.score.shape)
    joined[:, order] = with_further_names(trained, _cosine(scores)[:, order], seen_bias)
    return joined


def groups(out: Path, seen_bias: float = 0.0) -> list[Group]:
    """Finished runs below a folder by model, label vectors and alpha.

    The given vectors stand before the controls. A run whose score file is damaged or gone is left out with a warning.
    """
    table: dict[tuple[str, str, float], Group] = {}
    failed: dict[str, str] = {}
    for done in sorted(collect(out), key=lambda run: _fold_number(run["name"])):
        unseen, names = done.get("unseen"), done.get("class_names")
        try:
            if not (isinstance(unseen, list) and isinstance(names, list) and unseen):
                raise InputError("it is no run that holds classes out", file=out / done["name"])
            scores = Scores.load(out / done["name"] / done["score_file"])
            numbers = fold_numbers(scores, unseen, seen_bias)
        except (InputError, KeyError) as error:
            failed[done["name"]] = str(error)
            continue
        key = (done["model"], done["vectors"], float(done["alpha"] or 0))
        group = table.setdefault(key, Group(*key))
        group.runs.append(done["name"])
        group.folds.append([names[label] for label in unseen])
        for metric, value in numbers.items():
            group.values[metric].append(value)
        _count(group, scores, unseen, names, seen_bias)
    if failed:
        shown, reason = ", ".join(list(failed)[:3]), next(iter(failed.values()))
        warnings.warn(f"{len(failed)} runs are left out: {shown}; the first: {reason}", stacklevel=2)
    return sorted(table.values(), key=lambda group: (group.model, group.vectors != "given", group.vectors, group.alpha))


def _fold_number(run: str) -> int:
    """Number of the fold in the name of a run's folder; -1 without one."""
    match = re.match(r"fold(\d+)", run)
    return int(match[1]) if match else -1


def _count(group: Group, scores: Scores, unseen: Sequence[int], names: Sequence[str], seen_bias: float) -> None:
    for label in unseen:
        group.clips[names[label]] += int((scores.label == label).sum())
    hidden = np.isin(np.arange(len(names)), list(unseen))
    cosine = calibrated(_cosine(scores), np.flatnonzero(~hidden), seen_bias)
    for zero_shot in _KINDS:
        for pair in unseen_confusions(cosine, scores.label, unseen, zero_shot=zero_shot):
            group.confusions[zero_shot][names[pair.true], names[pair.predicted]] += pair.count


def _cosine(scores: Scores) -> np.ndarray:
    if scores.semantic_cosine is None:
        problem = "there are no cosines in it: the model has no semantic branch"
        raise InputError(problem, file=scores.source or None, field="semantic_cosine")
    return scores.semantic_cosine


def markdown(table: Sequence[Group], seen_bias: float = 0.0) -> str:
    """Table as Markdown, in percent, and the most frequent confusions below it."""
    head = ["", "label vectors", "alpha", "folds", *METRICS.values()]
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for group in table:
        cells = [group.model, group.vectors, number(group.alpha), str(len(group.folds))]
        lines.append(f"| {' | '.join([*cells, *(_cell(group, metric) for metric in METRICS)])} |")
    bias = f" From the cosines of trained names {number(seen_bias)} is subtracted." if seen_bias else ""
    lines += ["", NOTE + bias]
    for group in table:
        for zero_shot, kind in _KINDS.items():
            lines += _confusion_lines(group, zero_shot, f"{group.model}, {group.vectors}, {kind}")
    return "\n".join(lines) + "\n"


def _confusion_lines(group: Group, zero_shot: bool, title: str) -> list[str]:
    pairs, share = group.most_confused(zero_shot), group.opposite_share(zero_shot)
    if share is None:
        return ["", f"**{title}**: no clip of an unseen class is taken for another."]
    lines = [
        "",
        f"**{title}**: what unseen classes are taken for; {100 * share:.1f} % of the mistakes are opposites.",
        "",
    ]
    lines += ["| class | taken for | clips | of | opposites |", "|---|---|---|---|---|"]
    for pair in pairs[:SHOWN]:
        cells = [pair["true"], pair["predicted"], str(pair["count"]), str(pair["clips"]), "yes" * pair["opposites"]]
        lines.append(f"| {' | '.join(escape_control_characters(cell).replace('|', chr(92) + '|') for cell in cells)} |")
    return lines


def csv_text(table: Sequence[Group]) -> str:
    """Table as CSV, in fractions.

    Each fold has a row; mean and standard deviation follow.
    """
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    metrics = [*METRICS, *FURTHER]
    writer.writerow(["model", "vectors", "alpha", "row", "held_out", *metrics])
    for group in table:
        start = [group.model, group.vectors, number(group.alpha)]
        for index, (run, names) in enumerate(zip(group.runs, group.folds, strict=True)):
            row = [group.values[metric][index] for metric in metrics]
            writer.writerow([*start, f"fold {_fold_number(run)}", "; ".join(names), *row])
        writer.writerow([*start, "mean", "", *(group.mean(metric) for metric in metrics)])
        writer.writerow([*start, "deviation", "", *(group.deviation(metric) for metric in metrics)])
    return stream.getvalue()


def write_unseen_results(out: Path, seen_bias: float = 0.0) -> list[Path]:
    """Rebuild ``table.md``, ``table.csv`` and ``table.json`` from the finished runs on disk.

    Args:
        out: The folder of the runs.
        seen_bias: Subtracted from the cosines of the trained names.

    Returns:
        The files written.

    Raises:
        InputError: There is no finished run.
    """
    table = groups(out, seen_bias)
    if not table:
        raise InputError("there is no finished run in this folder", file=out)
    written = [out / "table.md", out / "table.csv", out / "table.json"]
    for path, text in zip(written, (markdown(table, seen_bias), csv_text(table)), strict=False):
        with result_file(path, "w", encoding="utf-8") as stream:
            stream.write(text)
    write_record(written[2], {"note": NOTE, "seen_bias": seen_bias, "rows": [_as_json(group) for group in table]})
    return written


def headline(folder: Path, numbers: dict[str, float], seen_bias: float = 0.0) -> str:
    """A run's result in a few words."""
    done = next(each for each in collect(folder.parent) if each["name"] == folder.name)
    values = fold_numbers(Scores.load(folder / done["score_file"]), done["unseen"], seen_bias)
    return ", ".join(f"{METRICS[name]} {100 * values[name]:.1f}" for name in ("seen", "unseen", "zero_shot"))


def standing(out: Path, seen_bias: float = 0.0) -> str:
    """The zero-shot accuracies so far, in words."""
    shown = [f"{each.model} {each.vectors} {100 * each.mean('zero_shot'):.1f}" for each in groups(out, seen_bias)]
    return f"zero-shot so far {', '.join(shown)}"


def _cell(group: Group, metric: str) -> str:
    deviation = group.deviation(metric)
    spread = "" if deviation is None or metric == "chance" else f" ± {100 * deviation:.1f}"
    return f"{100 * group.mean(metric):.1f}{spread}"


def _as_json(group: Group) -> dict[str, Any]:
    metrics = {
        metric: {"mean": group.mean(metric), "deviation": group.deviation(metric), "folds": values}
        for metric, values in group.values.items()
    }
    confusions = {
        kind: {"opposites": group.opposite_share(zero_shot), "pairs": group.most_confused(zero_shot)}
        for zero_shot, kind in _KINDS.items()
    }
    return {
        "model": group.model, "vectors": group.vectors, "alpha": group.alpha, "n": len(group.folds),
        "runs": group.runs, "unseen": group.folds, "metrics": metrics, "confusions": confusions,
    }  # fmt: skip
