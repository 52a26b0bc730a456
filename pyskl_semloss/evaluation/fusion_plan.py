"""Fusion plans: inputs, weights and outputs."""

from __future__ import annotations

import math
import os
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pyskl_semloss.errors import InputError
from pyskl_semloss.evaluation.fusion import as_semantic, normalise_weights
from pyskl_semloss.evaluation.metrics import accuracy_table, probability_rows
from pyskl_semloss.evaluation.scores import Scores, read_scores
from pyskl_semloss.evaluation.weight_search import search_weights
from pyskl_semloss.io.resources import resource_path
from pyskl_semloss.semantic.class_names import read_class_names

_SEMANTIC = ":semantic"
PAPER_WEIGHTS = {"joint": 2.0, "limb": 3.0}
"""Of the paper's fusion, on its data sets."""
_PAPER_NAMES = ("imigue_labels", "imigue_labels_full", "smg_labels")


@dataclass(frozen=True)
class FusionInput:
    """Score file of a model, with its weight in a fusion.

    Args:
        name: What the table calls it.
        scores: Its score file; with ``:semantic`` at the end its semantic scores are meant.
        weight: Its weight; None where weights are searched, or the paper's are asked for.
        search_on: Its validation scores, on which weights are searched.
        temperature: Divides its logits before fusing; None leaves its scores as they are.
    """

    name: str
    scores: str
    weight: float | None = None
    search_on: str | None = None
    temperature: float | None = None

    @property
    def short_name(self) -> str:
        """Name without the score file, which a table shows beside it."""
        return self.name.removesuffix(f" ({self.scores})")


@dataclass(frozen=True)
class FusionPlan:
    """Inputs, weights and outputs of a fusion.

    Args:
        parts: The models.
        ann_file: The annotation file of the parts that are a toolbox's pickles.
        split: The split of it that was tested.
        search_split: The split of it that ``search_on`` pickles are of.
        search_step: Grid step of the search.
        softmax: Turn scores that are no probabilities into such.
        calibrate: Fit a temperature for each part on its validation scores, before the weights are searched.
        folds: Folds of the cross-validation of the search; 0 for none.
        out: The score file to write (.npz).
        submission: The submission to write (.zip).
        ids: The official list of ids: the order of the submission, which must have these and no others.
        save_config: The fusion config to write (.py), with the weights and temperatures that were used.
    """

    parts: tuple[FusionInput, ...]
    ann_file: str | None = None
    split: str | None = None
    search_split: str | None = None
    search_step: float = 0.05
    softmax: bool = False
    calibrate: bool = False
    folds: int = 5
    out: str | None = None
    submission: str | None = None
    ids: str | None = None
    save_config: str | None = None

    def __post_init__(self) -> None:
        if not self.parts:
            raise InputError("expected at least one part, got none", field="parts")
        self._check_weights()
        self._check_temperatures()
        self._check_outputs()
        if (self.split or self.search_split) and not self.ann_file:
            raise InputError(
                "a split was named, but no annotation file to look it up in",
                field="ann_file",
                fix="Give it (--ann-file).",
            )
        read = [spec for part in self.parts for spec in (part.scores, part.search_on) if spec]
        if self.ann_file and all(score_file(spec).lower().endswith(".npz") for spec in read):
            problem = "it is read for the results of other programs (.pkl, .json, .csv) only, and no part is one"
            raise InputError(problem, file=self.ann_file, field="ann_file")

    @property
    def of_the_paper(self) -> bool:
        """Whether joint and limb alone are fused, without a word about weights."""
        return [modality(part.scores) for part in self.parts] == list(PAPER_WEIGHTS) and all(
            part.weight is None and part.search_on is None and not part.scores.endswith(_SEMANTIC)
            for part in self.parts
        )

    def _check_weights(self) -> None:
        searched = [part for part in self.parts if part.search_on is not None]
        if not searched and self.of_the_paper:
            return
        for part in self.parts:
            if searched and part.search_on is None:
                raise InputError(
                    f"part {part.name!r} has no validation scores, but {searched[0].name!r} has", field="search_on"
                )
            if (part.weight is None) == (part.search_on is None):
                got = "neither" if part.weight is None else "both"
                raise InputError(
                    f"part {part.name!r}: expected a weight, or validation scores to search it on, got {got}",
                    field="weight",
                )
        if not searched:
            normalise_weights([part.weight for part in self.parts if part.weight is not None], len(self.parts))
        for part in searched:
            both = (part.scores, part.search_on or "")
            kinds = {modality(spec) for spec in both} - {None}
            if len(kinds) > 1 or len({spec.endswith(_SEMANTIC) for spec in both}) > 1:
                raise InputError(
                    f"the scores {both[0]} would get the weight found on {both[1]}, another modality",
                    field="search_on",
                    fix="Give the validation scores in the order of the parts.",
                )

    def _check_temperatures(self) -> None:
        fixed = [part for part in self.parts if part.temperature is not None]
        for part in fixed:
            if not (part.temperature and math.isfinite(part.temperature) and part.temperature > 0):
                problem = f"part {part.name!r}: expected a number above 0, got {part.temperature:g}"
                raise InputError(problem, field="temperature")
        if self.calibrate and (fixed or self.parts[0].search_on is None):
            got = f"that of {fixed[0].name!r}" if fixed else "no validation scores"
            raise InputError(f"expected validation scores to fit temperatures on, got {got}", field="calibrate")
        if self.folds < 0 or self.folds == 1:
            raise InputError(f"expected 2 or more, or 0 for no cross-validation, got {self.folds}", field="folds")

    def _check_outputs(self) -> None:
        inputs = {
            os.path.realpath(score_file(spec)) for part in self.parts for spec in (part.scores, part.search_on) if spec
        }
        for path, suffix in ((self.out, ".npz"), (self.submission, ".zip"), (self.save_config, ".py")):
            if path is not None and Path(path).suffix != suffix:
                raise InputError(f"expected a name that ends in {suffix}", file=path)
            if path is not None and os.path.realpath(path) in inputs:
                raise InputError("it is one of the inputs and would be overwritten", file=path)
        if self.ids is not None and self.submission is None:
            raise InputError(
                "an official list of ids was named, but no submission to check", field="ids", fix="Give --submission."
            )


def fusion_inputs(
    files: Sequence[str], weights: Sequence[float] | None = None, search_on: Sequence[str] | None = None
) -> tuple[FusionInput, ...]:
    """Fusion inputs from parallel lists; the names come from the paths.

    Without weights and validation scores the two paths must say ``joint`` and ``limb``, in this order. They are then
    fused by :func:`paper_weights`.

    Raises:
        InputError: A list has another length than ``files``, both kinds of weights are given, or none that is needed.
    """
    if not files:
        raise InputError("expected score files to fuse, got none", fix="Name them, or give --config.")
    if weights is not None and search_on is not None:
        raise InputError("expected weights, or validation scores to search them on, got both", field="weights")
    kinds = [modality(file) for file in files]
    if weights is None and search_on is None:
        _check_joint_and_limb(files, kinds)
    for name, values in (("weights", weights), ("search_on", search_on)):
        if values is not None and len(values) != len(files):
            raise InputError(f"expected one per score file, got {len(values)} for {len(files)}", field=name)
    names = [f"{kind} ({file})" if kind else file for kind, file in zip(unique_modalities(files), files, strict=True)]
    return tuple(
        FusionInput(names[n], files[n], weights[n] if weights else None, search_on[n] if search_on else None)
        for n in range(len(files))
    )


def modality(spec: str) -> str | None:
    """Modality, ``joint`` or ``limb``, that a path names, else None.

    The name of the file counts first, then that of the nearest folder.
    """
    path = Path(score_file(spec))
    for component in (path.stem, *reversed(path.parent.parts)):
        words = set(re.split("[^a-z]+", component.lower())) & PAPER_WEIGHTS.keys()
        if words:
            return words.pop() if len(words) == 1 else None
    return None


def unique_modalities(specs: Sequence[str]) -> list[str | None]:
    """Modality of each path, None where it names none or shares it with another."""
    kinds = [modality(spec) for spec in specs]
    return [kind if kinds.count(kind) == 1 else None for kind in kinds]


def result_table(name: str, scores: Scores) -> str:
    """Accuracies of a tested model, and in a line of their own those of its nearest names.

    Args:
        name: What the table calls the model.
        scores: Its scores.
    """
    if scores.semantic_cosine is None:
        return accuracy_table([(name, "", scores)])
    parts = {"classifier": scores, "nearest name": as_semantic(scores)}
    return accuracy_table(
        [(f"{name}, {kind}", "", replace(part, semantic_cosine=None)) for kind, part in parts.items()]
    )


def validation_notes(scores: Scores, validation: str, test: str) -> list[str]:
    """Sentences about the best weights of classifier and nearest name on a validation split, and how to use them.

    Args:
        scores: Of the validation split.
        validation: Their file.
        test: The file of the test split's scores, for the command.

    Returns:
        Nothing without semantic scores or known labels.
    """
    if scores.semantic_cosine is None or (scores.label < 0).all():
        return []
    (classifier, name), table = search_weights([scores, as_semantic(scores)], softmax=True)
    alone = next(row.top1 for row in table if row.weights == (1.0, 0.0))
    logits = "" if probability_rows(scores.score).all() else " --logits"
    return [
        f"The weights {classifier:g} of the classifier and {name:g} of the nearest name are the best of {len(table)} "
        f"on these {int((scores.label >= 0).sum())} clips: Top-1 {100 * table[0].top1:.2f}, the classifier alone "
        f"{100 * alone:.2f}.",
        "They were chosen on these clips, so that this Top-1 is too optimistic. On the test split they are applied by:",
        f"  semloss fuse {shlex.quote(test)} {shlex.quote(test + _SEMANTIC)} --search-on {shlex.quote(validation)} "
        f"{shlex.quote(validation + _SEMANTIC)}{logits}",
    ]


def is_validation(split: str | None) -> bool:
    """Whether the name of a split says that it is for validation: ``val``, ``valid``, ``xsub_validation``.

    Example:
        >>> [is_validation(name) for name in ("val", "xsub_val", "interval", "test", None)]
        [True, True, False, False, False]
    """
    return split is not None and re.search(r"(?<![a-z])val(id(ation)?)?(?![a-z])", split.lower()) is not None


def paper_weights(kinds: Sequence[str | None], class_names: Sequence[str], classes: int) -> tuple[float, ...] | None:
    """The paper's 2 : 3 for a joint and a limb model of iMiGUE or SMG; None for everything else.

    On other data limb may be the weaker model, and 2 : 3 worse than joint alone.

    Args:
        kinds: Modality of each part.
        class_names: C names; empty where they are unknown, so that their number decides.
        classes: The number C.

    Example:
        >>> paper_weights(["limb", "joint"], (), 32), paper_weights(["joint", "limb"], ["wave", "clap"], 2)
        ((3.0, 2.0), None)
    """
    if sorted(map(str, kinds)) != sorted(PAPER_WEIGHTS):
        return None
    lists = [tuple(read_class_names(resource_path(f"data/{name}.txt"))) for name in _PAPER_NAMES]
    names = tuple(name.strip().lower() for name in class_names)
    known = names in lists if names else classes in map(len, lists)
    return tuple(PAPER_WEIGHTS[str(kind)] for kind in kinds) if known else None


def _check_joint_and_limb(files: Sequence[str], kinds: Sequence[str | None]) -> None:
    if list(kinds) != list(PAPER_WEIGHTS) or any(file.endswith(_SEMANTIC) for file in files):
        raise InputError(
            "expected one weight per score file, got none; 2 3 is assumed only for two files whose paths say joint and "
            f"limb, in this order, and these say {', '.join(kind or 'neither' for kind in kinds)}",
            field="weights",
            fix="Give --weights, or --search-on with validation scores.",
        )


def score_file(spec: str) -> str:
    """Path of a part without ``:semantic``."""
    return spec.removesuffix(_SEMANTIC)


def read_part(spec: str, ann_file: str | None, split: str | None) -> Scores:
    """Scores that a part names; with ``:semantic`` at the end, its semantic ones."""
    scores = read_scores(score_file(spec), ann_file, split)
    return as_semantic(scores) if spec.endswith(_SEMANTIC) else scores
