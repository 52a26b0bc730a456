"""Ensembles: a fusion plan carried out, with what its weights and each of its parts are worth."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from pyskl_semloss.errors import InputError
from pyskl_semloss.evaluation.calibration import TEMPERATURE_RANGE, at_temperature
from pyskl_semloss.evaluation.fusion import align, fuse
from pyskl_semloss.evaluation.fusion_config import config_text
from pyskl_semloss.evaluation.fusion_plan import FusionPlan, modality, paper_weights, read_part
from pyskl_semloss.evaluation.metrics import accuracy_table, probability_rows, top_k_accuracy
from pyskl_semloss.evaluation.resampling import match_persons
from pyskl_semloss.evaluation.scores import Scores
from pyskl_semloss.evaluation.submission import read_ids, submission_csv, write_submission
from pyskl_semloss.evaluation.weight_search import GRID_PARTS, cross_validate, fit_temperatures, search_weights
from pyskl_semloss.io.results import guard_results, result_file


@dataclass(frozen=True)
class FusionResult:
    """Result of a fusion.

    Args:
        scores: The fused scores.
        parts: The scores of the parts in one order, at their temperatures.
        weights: The weights used, as given, or as found.
        temperatures: Those used; None where a part's scores are as they were.
        without: Of three or more parts, the fusion without each, the other weights as they are; None without a part
            that has all the weight.
        without_anew: The same with weights searched again; empty where they were given.
        table: Accuracies of the parts and of the fusion.
        notes: Sentences that belong under the table.
        written: The files written.
    """

    scores: Scores
    parts: tuple[Scores, ...]
    weights: tuple[float, ...]
    temperatures: tuple[float | None, ...]
    without: tuple[Scores | None, ...]
    without_anew: tuple[Scores, ...]
    table: str
    notes: list[str] = field(default_factory=list)
    written: list[str] = field(default_factory=list)


def run_fusion(plan: FusionPlan, subjects: Mapping[str, str] | None = None) -> FusionResult:
    """Read, fuse, measure, write.

    Args:
        plan: What is fused.
        subjects: Person by id of a clip or name of a video, for the folds of the cross-validation.

    Raises:
        InputError: A file is refused, or the files do not belong together.
    """
    ids = None if plan.ids is None else read_ids(plan.ids)
    result = fuse_parts(plan, subjects)
    if plan.submission is not None:
        submission_csv(result.scores, ids)  # refuses ids before anything is written
    if plan.out is not None:
        with guard_results(plan.out):
            result.scores.save(plan.out)
    notes = list(result.notes)
    if plan.submission is not None:
        write_submission(result.scores, plan.submission, ids)
        if ids is not None:
            notes.append(f"The submission has the {len(ids)} ids of {plan.ids}, in their order.")
    if plan.save_config is not None:
        with result_file(plan.save_config, "w", encoding="utf-8") as stream:
            stream.write(config_text(plan, result.weights, result.temperatures))
    written = [path for path in (plan.out, plan.submission, plan.save_config) if path]
    return replace(result, notes=notes, written=written)


def fuse_parts(plan: FusionPlan, subjects: Mapping[str, str] | None = None) -> FusionResult:
    """Read, fuse and measure; write nothing.

    Args:
        plan: As in :func:`run_fusion`.
        subjects: As in :func:`run_fusion`.

    Raises:
        InputError: As :func:`run_fusion`.
    """
    parts = align([read_part(part.scores, plan.ann_file, plan.split) for part in plan.parts])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fit = _fit(plan, parts[0], subjects)
        parts = _at_temperatures(parts, fit.temperatures, plan.softmax)
        fused = fuse(parts, fit.weights, softmax=plan.softmax)
        without, without_anew = _leave_one_out(plan, parts, fit)
    notes = [*fit.notes, *dict.fromkeys(f"Note: {warning.message}." for warning in caught)]
    unknown = int((fused.label < 0).sum())
    if unknown:
        which = "No clip has a label" if unknown == len(fused.label) else f"{unknown} clips have no label"
        notes.append(f"{which}: accuracies are over the others." if unknown < len(fused.label) else f"{which}.")
    table = _table(plan, parts, fit, fused, without, without_anew)
    return FusionResult(
        fused, tuple(parts), fit.weights, fit.temperatures, tuple(without), tuple(without_anew), table, notes
    )


def _table(
    plan: FusionPlan, parts: Sequence[Scores], fit: _Fit, fused: Scores,
    without: Sequence[Scores | None], without_anew: Sequence[Scores],
) -> str:  # fmt: skip
    """Accuracies of the parts and of the fusion; weights, temperatures, and Top-1 of the fusion without each part."""
    total = sum(fit.weights)
    rows = [
        (part.name, f"{weight:.4g} ({weight / total:.2f})", scores)
        for part, weight, scores in zip(plan.parts, fit.weights, parts, strict=True)
    ]
    more = {}
    if any(fit.temperatures):
        more["temperature"] = [f"{value:.2f}" if value else "" for value in fit.temperatures]
    if without:
        more["without it"] = [_top1(scores) for scores in without]
    if without_anew:
        more["searched anew"] = [_top1(scores) for scores in without_anew]
    return accuracy_table([*rows, ("fusion", "", fused)], {title: [*cells, ""] for title, cells in more.items()})


def _top1(scores: Scores | None) -> str:
    top1 = None if scores is None else top_k_accuracy(scores.score, scores.label, 1)
    return "-" if top1 is None else f"{100 * top1:.2f}"


class _Fit(NamedTuple):
    """Weights and temperatures, given or fitted; the validation scores they were fitted on; sentences about it."""

    weights: tuple[float, ...]
    temperatures: tuple[float | None, ...]
    validation: list[Scores]
    notes: list[str]


def _fit(plan: FusionPlan, tested: Scores, subjects: Mapping[str, str] | None) -> _Fit:
    fixed = [part.weight for part in plan.parts if part.weight is not None]
    temperatures: tuple[float | None, ...] = tuple(part.temperature for part in plan.parts)
    if plan.of_the_paper:
        fixed = _paper_weights(plan, tested)
    if fixed:
        return _Fit(tuple(fixed), temperatures, [], [])
    files = [part.search_on for part in plan.parts if part.search_on is not None]
    unfitted = validation = align([read_part(file, plan.ann_file, plan.search_split) for file in files])
    if plan.calibrate:
        _refuse_logits(validation, plan.softmax)
        temperatures = fit_temperatures(validation)
    validation = _at_temperatures(validation, temperatures, plan.softmax)
    weights, table = search_weights(validation, plan.search_step, plan.softmax)
    best, clips = table[0].top1, int((validation[0].label >= 0).sum())
    shown, searched_on = " ".join(f"{weight:g}" for weight in weights) + " ", ", ".join(files)
    reached = f"reached by {sum(row.top1 == best for row in table)} of {len(table)} weightings"
    if len(files) > GRID_PARTS:
        equal = top_k_accuracy(fuse(validation, [1] * len(files), plan.softmax).score, validation[0].label, 1)
        alone = max(top_k_accuracy(part.score, part.label, 1) or 0 for part in validation)
        shown, searched_on = "", f"{files[0]} … {files[-1]}"  # the table has them
        reached = f"equal weights {100 * (equal or 0):.2f}, the best part alone {100 * alone:.2f}"
    notes = [
        f"The weights {shown}were searched on {searched_on} ({clips} clips, step {plan.search_step:g}): Top-1 "
        f"{100 * best:.2f} there, {reached}."
    ]
    if plan.calibrate:
        notes += _temperature_notes(plan, temperatures)
    # Temperatures that were fitted on all clips would let the held-out ones have a say.
    notes += _cross_validation_notes(plan, unfitted if plan.calibrate else validation, subjects)
    seen = len(set(validation[0].sample_id.tolist()) & set(tested.sample_id.tolist()))
    if seen:
        notes.append(f"Caution: {seen} clips of the table were also searched on, so its fusion is too optimistic.")
    return _Fit(weights, temperatures, validation, notes)


def _paper_weights(plan: FusionPlan, tested: Scores) -> list[float]:
    weights = paper_weights([modality(part.scores) for part in plan.parts], tested.class_names, tested.score.shape[1])
    if weights is None:
        problem = "expected one weight per score file, got none; 2 3 is assumed for the classes of iMiGUE and SMG alone"
        fix = "Search them on a validation split with --search-on, or give --weights."
        raise InputError(problem, file=tested.source or None, field="weights", fix=fix)
    return list(weights)


def _temperature_notes(plan: FusionPlan, temperatures: Sequence[float | None]) -> list[str]:
    notes = ["The temperatures were fitted on the same clips."]
    ends = [part.name for part, value in zip(plan.parts, temperatures, strict=True) if value in TEMPERATURE_RANGE]
    if ends:
        low, high = TEMPERATURE_RANGE
        notes.append(f"Caution: the temperature of {', '.join(ends)} is at a limit ({low:g} or {high:g}).")
    return notes


def _cross_validation_notes(
    plan: FusionPlan, validation: Sequence[Scores], subjects: Mapping[str, str] | None
) -> list[str]:
    labelled = int((validation[0].label >= 0).sum())
    if not plan.folds or len(validation) == 1:
        return []
    if labelled < 2 * plan.folds:
        return [f"{labelled} clips are too few for {plan.folds} folds: what the search gains on others is not known."]
    persons = None if subjects is None else match_persons(validation[0].sample_id, subjects)
    result = cross_validate(
        validation, plan.search_step, plan.softmax, calibrate=plan.calibrate, folds=plan.folds, persons=persons
    )
    searched, equal, best_part, seen = (100 * value for value in result[:4])
    return [
        f"Cross-validation ({result.folds} folds of {result.unit}): Top-1 {searched:.2f} with weights searched on the "
        f"other folds, {equal:.2f} with equal weights, {best_part:.2f} with the part that is best on the other folds. "
        f"Of the {seen - equal:+.2f} over equal weights on the clips of the search, {seen - searched:+.2f} is the "
        f"search's own: other clips keep {searched - equal:+.2f}."
    ]


def _at_temperatures(parts: Sequence[Scores], temperatures: Sequence[float | None], softmax: bool) -> list[Scores]:
    if any(temperatures):
        _refuse_logits(parts, softmax)
    return [at_temperature(part, value) for part, value in zip(parts, temperatures, strict=True)]


def _refuse_logits(parts: Sequence[Scores], softmax: bool) -> None:
    """Temperatures make probabilities of logits; that they are logits is to be said."""
    for part in [] if softmax else parts:
        if not probability_rows(part.score).all():
            raise InputError(
                "its scores are no probabilities, which a temperature is for",
                file=part.source or None,
                field="score",
                fix="If they are logits, say so with --logits (softmax=True).",
            )


def _leave_one_out(plan: FusionPlan, parts: Sequence[Scores], fit: _Fit) -> tuple[list[Scores | None], list[Scores]]:
    """The fusion without each of three or more parts: with the other weights, and with weights searched again."""
    if len(parts) < 3:
        return [], []
    without: list[Scores | None] = []
    anew = []
    for n, weight in enumerate(fit.weights):
        others, rest = [*parts[:n], *parts[n + 1 :]], [*fit.weights[:n], *fit.weights[n + 1 :]]
        without.append(fuse(others, rest, plan.softmax) if any(rest) else None)
        if fit.validation:
            kept = [*fit.validation[:n], *fit.validation[n + 1 :]]
            # A part without weight is missed by nobody.
            again = search_weights(kept, plan.search_step, plan.softmax)[0] if weight else rest
            anew.append(fuse(others, again, plan.softmax))
    return without, anew
