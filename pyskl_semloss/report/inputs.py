"""Inputs of a report: scores, logs, class names, vectors and clips."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pyskl_semloss.annotations import AnnotationSet, Clip, read_annotations
from pyskl_semloss.datasets.splits import read_subjects
from pyskl_semloss.errors import InputError, located
from pyskl_semloss.evaluation.calibration import at_temperature, softmax_rows
from pyskl_semloss.evaluation.ensemble import fuse_parts
from pyskl_semloss.evaluation.fusion import align, fuse, normalise_weights
from pyskl_semloss.evaluation.fusion_config import plan_from_config
from pyskl_semloss.evaluation.fusion_plan import modality, paper_weights, score_file, unique_modalities
from pyskl_semloss.evaluation.metrics import probability_rows
from pyskl_semloss.evaluation.resampling import match_persons
from pyskl_semloss.evaluation.scores import Scores, first_ids, read_scores
from pyskl_semloss.io.reading import AnyPath, read_bytes
from pyskl_semloss.semantic.class_names import read_class_names
from pyskl_semloss.semantic.label_vectors import LabelVectors, load_matrix

_SCORE_FILE = "test_scores.npz"


@dataclass(frozen=True, eq=False)
class Model:
    """Model in the headline table.

    Args:
        name: What the page calls it.
        role: ``joint``, ``limb``, ``part3`` … ``part6``, ``fusion`` or ``baseline``: gives it its colour.
        scores: Its scores, in the order of the first part.
        weight: Its weight in the fusion, of all weights' sum 1; None for fusion and baseline.
        history: Its training curves, if a log was found.
        temperature: What its logits were divided by; None if they were not.
    """

    name: str
    role: str
    scores: Scores
    weight: float | None = None
    history: History | None = None
    temperature: float | None = None


@dataclass(frozen=True, eq=False)
class ReportInputs:
    """Inputs of a report.

    Args:
        parts: The models, in the order given.
        fusion: Their fusion; None with one part.
        baseline: What it is compared with, or None.
        class_names: C names.
        vectors: (C, D) label vectors, or None.
        clips: Keypoints by clip id; empty without an annotation file.
        train_sizes: (C,) clips of each class in the training split, or None.
        notes: Sentences about the inputs that a reader must know.
        persons: Person of each clip by id; empty where they are not known.
        without: The fusion without each of three or more parts, and the same with weights searched again.
    """

    parts: tuple[Model, ...]
    fusion: Model | None
    baseline: Model | None
    class_names: tuple[str, ...]
    vectors: np.ndarray | None = None
    clips: dict[str, Clip] = field(default_factory=dict)
    train_sizes: np.ndarray | None = None
    notes: tuple[str, ...] = ()
    persons: dict[str, str] = field(default_factory=dict)
    without: tuple[Model, ...] = ()

    @property
    def final(self) -> Model:
        """Model whose mistakes are shown: the fusion, or the only part."""
        return self.fusion or self.parts[0]

    @property
    def models(self) -> list[Model]:
        """Parts, fusion and baseline, as far as they exist."""
        return [*self.parts, *(model for model in (self.fusion, self.baseline) if model is not None)]


def read_inputs(
    inputs: Sequence[str],
    *,
    names: str | None = None,
    ann_file: str | None = None,
    split: str | None = None,
    label_vectors: str | None = None,
    baseline: Sequence[str] = (),
    weights: Sequence[float] | None = None,
    subjects: str | None = None,
    config: str | None = None,
) -> ReportInputs:
    """Read the inputs of a report, with all clips in one order.

    Args:
        inputs: Run folders that hold a ``test_scores.npz``, or score files.
        names: Text file, a class name a line.
        ann_file: Annotation file with the clips' keypoints.
        split: Its split that was tested; without it, clips are looked up in the whole file.
        label_vectors: File of label vectors.
        baseline: One score file or run folder, or one for each input, then fused with the same weights.
        weights: One per input; without them 2 : 3 for joint and limb of iMiGUE or SMG, else equal weights.
        subjects: CSV file ``video,subject`` that names the person of each clip or video.
        config: A fusion config in the place of inputs and weights.

    Raises:
        InputError: A file is refused, or files do not belong together.
    """
    if config is not None and (inputs or weights):
        raise InputError("expected no score files and no weights beside --config, which names them", file=config)
    given = _given(inputs, weights, ann_file, split) if config is None else _of_config(config, subjects)
    scores, notes = _probabilities(given.scores)
    roles = [kind or f"part{3 + n % 4}" for n, kind in enumerate(unique_modalities(given.files))]
    share = given.share
    parts = tuple(
        Model(name, role, part, weight, find_history(score_file(file)), temperature)
        for name, role, part, weight, file, temperature in zip(
            given.names, roles, scores, share, given.files, given.temperatures, strict=True
        )
    )
    fusion = Model("fusion", "fusion", fuse(scores, share)) if len(parts) > 1 else None
    compared, baseline_notes = _baseline(baseline, scores[0], given, ann_file, split)
    vectors, vector_names = _vectors(label_vectors, scores[0].score.shape[1])
    clips, sizes, clip_notes = _clips(ann_file, split, scores[0])
    return ReportInputs(
        parts=parts,
        fusion=fusion,
        baseline=compared,
        class_names=_class_names(names, [*scores, *([compared.scores] if compared else [])], vector_names),
        vectors=vectors,
        clips=clips,
        train_sizes=sizes,
        notes=(*given.notes, *notes, *baseline_notes, *clip_notes),
        persons=_persons(subjects, scores[0]),
        without=_without(parts, given.anew),
    )


class _Given(NamedTuple):
    """Parts as they are given: files and weights, or a fusion config."""

    files: list[str]
    names: list[str]
    scores: Sequence[Scores]
    share: tuple[float, ...]
    temperatures: tuple[float | None, ...]
    anew: tuple[Scores, ...]
    notes: list[str]


def _given(inputs: Sequence[str], weights: Sequence[float] | None, ann_file: str | None, split: str | None) -> _Given:
    if not inputs:
        raise InputError("expected run folders or score files, got none")
    files = [find_scores(path) for path in inputs]
    scores = align([read_scores(file, ann_file, split) for file in files])
    share, notes = _shares(files, weights, scores[0])
    return _Given(files, _part_names(files, unique_modalities(files)), scores, share, (None,) * len(files), (), notes)


def _of_config(config: str, subjects: str | None) -> _Given:
    # The page shows probabilities: weights are searched on, and parts left out of, sums of these.
    plan = plan_from_config(config, softmax=True)
    result = fuse_parts(plan, None if subjects is None else read_subjects(subjects))
    files, names = [part.scores for part in plan.parts], [part.short_name for part in plan.parts]
    share = normalise_weights(result.weights, len(files))
    return _Given(files, names, result.parts, share, result.temperatures, result.without_anew, result.notes)


def _without(parts: Sequence[Model], anew: Sequence[Scores]) -> tuple[Model, ...]:
    """The fusion without each of three or more parts that has a weight; with weights searched again, if they were."""
    models = []
    for n, part in enumerate(parts if len(parts) > 2 else ()):
        others = [*parts[:n], *parts[n + 1 :]]
        rest = [other.weight or 0.0 for other in others]
        if part.weight and any(rest):
            scores = fuse([other.scores for other in others], rest)
            models.append(Model(f"fusion without {part.name}", part.role, scores))
        if part.weight and anew:
            models.append(Model(f"fusion without {part.name}, weights searched anew", part.role, anew[n]))
    return tuple(models)


def find_scores(path: AnyPath) -> str:
    """Score file: the path itself, or ``test_scores.npz`` of a run folder.

    Raises:
        InputError: A folder has none.
    """
    if not os.path.isdir(path):
        return os.fspath(path)
    inside = Path(path) / _SCORE_FILE
    if not inside.is_file():
        raise InputError(
            f"this folder has no {_SCORE_FILE}", file=path, fix="Test the run first: semloss test writes it."
        )
    return str(inside)


def _shares(
    files: Sequence[str], weights: Sequence[float] | None, scores: Scores
) -> tuple[tuple[float, ...], list[str]]:
    """Weights that add up to 1, and what is to be said of them."""
    if weights is not None:
        return normalise_weights(weights, len(files)), []
    paper = paper_weights([modality(file) for file in files], scores.class_names, scores.score.shape[1])
    notes = [] if paper or len(files) == 1 else [f"The {len(files)} inputs weigh alike: no weights were given."]
    return normalise_weights(paper or [1.0] * len(files), len(files)), notes


def _part_names(files: Sequence[str], kinds: Sequence[str | None]) -> list[str]:
    """Name of each part.

    It is ``joint`` or ``limb`` where that is unique, else the name of folder or file, numbered if need be.
    """
    names = [Path(path).parent.name if Path(path).name == _SCORE_FILE else Path(path).stem for path in files]
    names = [kind or name or "run" for kind, name in zip(kinds, names, strict=True)]
    return [f"{name} {n + 1}" if names.count(name) > 1 else name for n, name in enumerate(names)]


def _probabilities(parts: Sequence[Scores]) -> tuple[list[Scores], list[str]]:
    """Scores as probabilities, by softmax where they are none."""
    need_softmax = [not probability_rows(scores.score).all() for scores in parts]
    notes = [
        f"The scores of {Path(scores.source).name} are no probabilities; their softmax is shown."
        for scores, needs_softmax in zip(parts, need_softmax, strict=True)
        if needs_softmax
    ]
    return [replace(scores, score=softmax_rows(scores.score)) if needs_softmax else scores
            for scores, needs_softmax in zip(parts, need_softmax, strict=True)], notes  # fmt: skip


def _baseline(
    paths: Sequence[str], first: Scores, given: _Given, ann_file: str | None, split: str | None
) -> tuple[Model | None, list[str]]:
    if not paths:
        return None, []
    share = given.share
    if len(paths) not in (1, len(share)):
        raise InputError(f"expected one file, or one per input ({len(share)}), got {len(paths)}", field="baseline")
    files = [find_scores(path) for path in paths]
    aligned = align([first, *(read_scores(file, ann_file, split) for file in files)])[1:]
    aligned, notes = _probabilities(aligned)
    if len(aligned) == len(share):
        aligned = [at_temperature(part, value) for part, value in zip(aligned, given.temperatures, strict=True)]
    scores = fuse(aligned, share) if len(aligned) > 1 else aligned[0]
    history = find_history(files[0]) if len(files) == 1 else None
    if len(files) > 1:
        same = "weights and temperatures" if any(given.temperatures) else "weights"
        notes.append(f"The baseline is fused with the same {same}.")
    return Model("baseline", "baseline", scores, None, history), notes


def _vectors(path: str | None, classes: int) -> tuple[np.ndarray | None, tuple[str, ...]]:
    if path is None:
        return None, ()
    matrix = load_matrix(path, classes)
    if Path(path).suffix != ".npz":
        return matrix, ()
    try:
        return matrix, LabelVectors.load(path).class_names
    except InputError:
        return matrix, ()  # an archive of vectors alone


def _class_names(path: str | None, scores: Sequence[Scores], vector_names: Sequence[str]) -> tuple[str, ...]:
    classes = scores[0].score.shape[1]
    if path is not None:
        names = read_class_names(path)
        if len(names) != classes:
            raise InputError(f"expected {classes} class names, as the scores have, got {len(names)}", file=path)
        return tuple(names)
    class_names = next((part.class_names for part in scores if part.class_names), ()) or vector_names
    return tuple(class_names) or tuple(f"class {number}" for number in range(classes))


def _clips(
    ann_file: str | None, split: str | None, scores: Scores
) -> tuple[dict[str, Clip], np.ndarray | None, list[str]]:
    if ann_file is None:
        if split is not None:
            raise InputError(
                "a split was named, but no annotation file to look it up in",
                field="ann_file",
                fix="Give it (--ann-file).",
            )
        return {}, None, []
    annotations, _ = read_annotations(ann_file, unknown_labels=True)
    with located(file=ann_file, field="split"):
        tested = annotations.clips if split is None else annotations.of_split(split)
    by_id = {clip.frame_dir: clip for clip in tested}
    ids = scores.sample_id.tolist()
    known_clips = {clip_id: by_id[clip_id] for clip_id in ids if clip_id in by_id}
    if not known_clips:
        where = "it" if split is None else f"its split {split!r}"
        raise InputError(f"{where} has none of the {len(ids)} clips: {first_ids(ids)}", file=ann_file)
    notes = []
    if len(known_clips) < len(ids):
        notes.append(
            f"{len(ids) - len(known_clips)} of {len(ids)} clips are not in the annotation file: they have no picture."
        )
    wrong = [clip_id for clip_id, label in zip(ids, scores.label.tolist(), strict=True)
             if clip_id in known_clips and label >= 0 and known_clips[clip_id].label not in (-1, label)]  # fmt: skip
    if wrong:
        raise InputError(
            f"{len(wrong)} clips have another label than in the scores: {first_ids(wrong)}",
            file=ann_file,
            clip=wrong[0],
            field="label",
        )
    return known_clips, _train_sizes(annotations, scores.score.shape[1]), notes


def _persons(subjects: str | None, scores: Scores) -> dict[str, str]:
    """Person of each clip by id, from the table."""
    if subjects is None:
        return {}
    with located(file=subjects):
        return match_persons(scores.sample_id, read_subjects(subjects))


def _train_sizes(annotations: AnnotationSet, classes: int) -> np.ndarray | None:
    """Training clips (C,) of each class, or None.

    The training split is ``train``, or the only one whose name contains ``train``.
    """
    named = [name for name in annotations.splits if "train" in name.lower()]
    name = "train" if "train" in named else named[0] if len(named) == 1 else None
    if name is None or not annotations.splits[name]:
        return None
    train = set(annotations.splits[name])
    labels = [clip.label for clip in annotations.clips if clip.frame_dir in train and clip.label >= 0]
    return np.bincount(labels, minlength=classes)[:classes]


History = dict[str, list[tuple[float, float]]]
"""Training curves: (epoch, value) points by name. Epochs of the training loss are fractions."""


def find_history(score_file: AnyPath) -> History | None:
    """Training curves of the run beside a score file, or None.

    They are MMEngine's scalars; resumed runs are joined, and damaged lines are skipped.

    Raises:
        InputError: A log cannot be read.
    """
    logs = sorted(Path(score_file).parent.glob("*/vis_data/scalars.json"))
    rows = [row for log in logs for row in _json_lines(log)]
    return read_history(rows) if rows else None


def read_history(rows: Sequence[dict[str, float]]) -> History | None:
    """Curves from MMEngine's scalars.

    A run that was resumed may repeat a step; the later row counts.
    Training rows have ``epoch`` and a running ``iter``; validation rows have ``acc/…`` and, as ``step``, the epoch.
    """
    ratios = [row["iter"] / row["epoch"] for row in rows if row.get("iter", 0) > 0 and row.get("epoch", 0) > 0]
    per_epoch = max((ratio for ratio in ratios if 0 < ratio < math.inf), default=1.0)
    points: dict[str, dict[float, float]] = {}
    for row in rows:
        training = "epoch" in row and "iter" in row
        epoch = row["iter"] / per_epoch if training else row.get("step")
        if epoch is None or not math.isfinite(epoch):
            continue
        for name, value in row.items():
            if name.startswith("acc/") or (training and name.startswith("loss")):
                points.setdefault(name, {})[float(epoch)] = float(value)
    return {name: sorted(curve.items()) for name, curve in points.items()} or None


def _json_lines(path: Path) -> list[dict[str, float]]:
    rows = []
    for line in read_bytes(path).decode("utf-8", "replace").splitlines():
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            continue  # the last line of a run that was killed, or damage
        if isinstance(row, dict):
            rows.append({key: value for key, value in row.items() if _is_number(value)})
    return rows


def _is_number(value: object) -> bool:
    # A whole number may be too large for a float.
    return isinstance(value, float) or (isinstance(value, int) and abs(value) < 1 << 53)
