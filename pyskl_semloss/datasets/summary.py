"""Summary of a conversion, as JSON and as a Markdown page."""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pyskl_semloss import __version__
from pyskl_semloss.annotations.clip import AnnotationSet, Clip
from pyskl_semloss.annotations.pickles import write_annotations
from pyskl_semloss.datasets.findings import Findings, counted_kinds
from pyskl_semloss.datasets.splits import Splits
from pyskl_semloss.errors import InputError, escape_control_characters
from pyskl_semloss.io.files import acquire_lock
from pyskl_semloss.io.reading import AnyPath
from pyskl_semloss.io.results import refuse_changed, result_file

LENGTHS = (1, 2, 5, 10, 20, 30, 45, 60, 90, 120, 180, 300, 600)
"""Lower edges of the histogram of lengths, in frames."""
BAR = 40


def finish(
    out: AnyPath, clips: list[Clip], splits: Splits, findings: Findings, facts: dict[str, Any]
) -> dict[str, Any]:
    """Write the annotation file and its summary (``.json`` and ``.md``).

    Returns:
        The summary.

    Raises:
        InputError: There is no clip, or a file cannot be written.
    """
    if not clips:
        reasons = "; ".join(findings.lines()) or "nothing was dropped"
        raise InputError(f"no clip remains ({reasons})", file=facts.get("labels", facts["source"]))
    summary = summarize(clips, splits, findings, facts)
    write_annotations(out, AnnotationSet(splits.ids, clips))
    for suffix, text in ((".json", json.dumps(summary, indent=1)), (".md", summary_page(summary))):
        with result_file(Path(out).with_suffix(suffix), "w", encoding="utf-8") as stream:
            stream.write(text + "\n")
    return summary


@contextlib.contextmanager
def lock_target(out: AnyPath) -> Iterator[None]:
    """Lock of an annotation file that the block writes.

    Raises:
        InputError: Its name does not end in ``.pkl``, somebody changed what is there, or another process writes it.
    """
    if Path(out).suffix != ".pkl":
        raise InputError("expected a name that ends in .pkl", file=out, fix="The source comes first, then OUT.pkl.")
    refuse_changed(*(Path(out).with_suffix(suffix) for suffix in (".pkl", ".json", ".md")))
    with acquire_lock(out, "writes"):
        yield


def summarize(clips: Sequence[Clip], splits: Splits, findings: Findings, facts: dict[str, Any]) -> dict[str, Any]:
    """Numbers of a conversion as plain data.

    ``facts`` (data set, source, num_classes, …) come first.
    """
    lengths = np.array([clip.total_frames for clip in clips])
    labels = Counter(clip.label for clip in clips)
    label_of = {clip.frame_dir: clip.label for clip in clips}
    classes = list(range(facts["num_classes"]))
    # A point is missing where its coordinates are zero: a score of 0 alone may be an estimator's doubt.
    missing = sum((~clip.keypoint.any(-1)).sum(axis=(0, 1)) for clip in clips)
    frames = int(sum(clip.total_frames * len(clip.keypoint) for clip in clips))
    by_split = {name: Counter(label_of[item] for item in ids) for name, ids in splits.ids.items()}
    return {
        **facts,
        "version": __version__,
        "clips": len(clips),
        "frames": frames,
        "joints": clips[0].keypoint.shape[2],
        "splits": {name: len(ids) for name, ids in splits.ids.items()},
        "split_rule": splits.rule,
        "split_videos": splits.videos,
        "clips_of_class": [labels[label] for label in classes],
        "clips_of_class_by_split": {name: [count[label] for label in classes] for name, count in by_split.items()},
        "clips_of_unknown_class": labels[-1],
        "classes_without_clip": [label for label in classes if not labels[label]],
        "lengths": {"shortest": int(lengths.min()), "median": float(np.median(lengths)), "longest": int(lengths.max())},
        "length_histogram": _histogram(lengths),
        "missing_points": int(missing.sum()),
        "missing_share": float(missing.sum() / (frames * len(missing))),
        "missing_share_by_joint": [round(float(count / frames), 4) for count in missing],
        "findings": findings.to_dict(),
    }


def _histogram(lengths: np.ndarray) -> dict[str, int]:
    counts, _ = np.histogram(lengths, [*LENGTHS, np.inf])
    ends = [*LENGTHS[1:], None]
    names = [_range(first, after) for first, after in zip(LENGTHS, ends, strict=True)]
    return {name: int(count) for name, count in zip(names, counts, strict=True)}


def _range(first: int, after: int | None) -> str:
    if after is None:
        return f"{first} or more"
    return str(first) if after == first + 1 else f"{first} to {after - 1}"


def summary_page(summary: dict[str, Any]) -> str:
    """Markdown page with histograms of classes and lengths."""
    parts = ", ".join(f"{name} {count}" for name, count in summary["splits"].items())
    lengths = summary["lengths"]
    lines = [
        f"# {summary['data_set']}, {summary['form']} form",
        "",
        f"{summary['clips']} clips of {summary['joints']} joints from `{summary['source']}` ({parts}).",
        f"Splits: {summary['split_rule']}.",
        f"Lengths: {lengths['shortest']} to {lengths['longest']} frames, median {lengths['median']:g}.",
        f"Missing points: {summary['missing_points']} ({summary['missing_share']:.2%}).",
    ]
    if summary["classes_without_clip"]:
        lines.append(f"Classes without a clip: {', '.join(map(str, summary['classes_without_clip']))}.")
    lines += ["", "## Mended, dropped and noted", *_finding_lines(summary["findings"])]
    classes = {str(label): count for label, count in enumerate(summary["clips_of_class"])}
    lines += ["", "## Clips of each class", "```", *_bars(classes), "```"]
    lines += ["", "## Clips of each length in frames", "```", *_bars(summary["length_histogram"]), "```"]
    return "\n".join(map(escape_control_characters, lines))


def _finding_lines(findings: dict[str, Any]) -> list[str]:
    lines = []
    for kind, line in counted_kinds(findings["counts"]):
        lines += [f"- {line}", *(f"    - `{example}`" for example in findings["examples"][kind])]
    return lines or ["Nothing."]


def _bars(counts: dict[str, int]) -> list[str]:
    longest, wide = max(1, *counts.values()), max(map(len, counts))
    digits = len(str(longest))
    return [
        f"{name:>{wide}} {count:>{digits}} {'#' * -(-count * BAR // longest)}".rstrip()
        for name, count in counts.items()
    ]
