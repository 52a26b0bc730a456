"""Fusion configs: literal assignments in Python's syntax, never executed."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from pyskl_semloss.errors import InputError, located
from pyskl_semloss.evaluation.fusion_plan import FusionInput, FusionPlan
from pyskl_semloss.io.literals import CONFIG_LIMIT, parse_literals
from pyskl_semloss.io.reading import AnyPath, read_text, short_repr
from pyskl_semloss.io.resources import find_config

_OPTIONS: dict[str, tuple[type, ...]] = {
    "ann_file": (str,),
    "split": (str,),
    "search_split": (str,),
    "search_step": (int, float),
    "softmax": (bool,),
    "calibrate": (bool,),
    "folds": (int,),
    "out": (str,),
    "submission": (str,),
    "ids": (str,),
}
_PART: dict[str, tuple[type, ...]] = {
    "scores": (str,),
    "weight": (int, float),
    "search_on": (str,),
    "temperature": (int, float),
}


def plan_from_config(path: AnyPath, **overrides: Any) -> FusionPlan:
    """Read a fusion config; its paths are relative to the working directory.

    Args:
        path: A file, or the name of a shipped one, that assigns ``parts``, a dict of ``name=dict(scores=…, weight=…)``
            or ``name=dict(scores=…, search_on=…)``, and optionally the other fields of :class:`FusionPlan`.
        **overrides: Fields of :class:`FusionPlan` that replace the config's; None replaces nothing.

    Raises:
        InputError: The file is absent, holds anything but literal assignments, or a name or value is wrong.
    """
    path = find_config(os.fspath(path))
    values = read_literals(path)
    _check_keys(path, "the config", values, ["parts", *_OPTIONS])
    parts = values.pop("parts", None)
    if not isinstance(parts, dict) or not parts:
        raise InputError("expected a dict of parts", file=path, field="parts")
    for name, value in values.items():
        _check_type(path, name, value, _OPTIONS[name])
    values.update({name: value for name, value in overrides.items() if value is not None})
    with located(file=path):
        return FusionPlan(tuple(_part(path, str(name), part) for name, part in parts.items()), **values)


def config_text(plan: FusionPlan, weights: Sequence[float], temperatures: Sequence[float | None]) -> str:
    """Text of a fusion config that gives the same fusion with fixed weights and temperatures.

    Args:
        plan: What was fused.
        weights: Those used.
        temperatures: Those used; None where there is none.
    """
    names = [part.short_name for part in plan.parts]
    if len(set(names)) < len(names):
        names = [f"{name} {n + 1}" for n, name in enumerate(names)]
    lines = ["# Weights and temperatures as semloss fuse used them.", "parts = {"]
    for name, part, weight, temperature in zip(names, plan.parts, weights, temperatures, strict=True):
        end = "" if temperature is None else f", temperature={float(temperature)!r}"
        lines.append(f"    {name!r}: dict(scores={part.scores!r}, weight={float(weight)!r}{end}),")
    lines.append("}")
    kept = ("ann_file", "split", "softmax", "out", "submission", "ids")
    lines += [f"{name} = {getattr(plan, name)!r}" for name in kept if getattr(plan, name)]
    return "\n".join(lines) + "\n"


def read_literals(path: AnyPath) -> dict[str, Any]:
    """Read a file of ``name = literal`` assignments; see :func:`pyskl_semloss.io.literals.parse_literals`.

    Raises:
        InputError: The file is absent, is not Python's syntax, or holds anything else. The message gives the line.
    """
    return parse_literals(read_text(path, CONFIG_LIMIT), path, "A fusion config is never executed.")


def _part(path: AnyPath, name: str, value: object) -> FusionInput:
    where = f"parts.{name}"
    if not isinstance(value, dict) or "scores" not in value:
        raise InputError("expected dict(scores=…, weight=…)", file=path, field=where)
    _check_keys(path, where, value, list(_PART))
    for key, option in value.items():
        _check_type(path, f"{where}.{key}", option, _PART[key])
    return replace(FusionInput(**{"name": name, **value}), name=f"{name} ({value['scores']})")


def _check_keys(path: AnyPath, where: str, mapping: Mapping[Any, Any], known: list[str]) -> None:
    unknown = [key if isinstance(key, str) else short_repr(key) for key in mapping if key not in known]
    if unknown:
        raise InputError(
            f"{where} knows {', '.join(known)}; it does not know {', '.join(unknown)}", file=path, field=unknown[0]
        )


def _check_type(path: AnyPath, name: str, value: object, types: tuple[type, ...]) -> None:
    fits = isinstance(value, types) and (bool in types or not isinstance(value, bool))
    # A whole number may be too large for the floats that weights are.
    if not fits or (isinstance(value, int) and abs(value) > 2**53):
        expected = "text" if str in types else "True or False" if bool in types else "a number"
        raise InputError(f"expected {expected}, got {short_repr(value)}", file=path, field=name)
