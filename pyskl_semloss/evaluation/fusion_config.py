"""Fusion configs: literal assignments in Python's syntax, never executed."""

from __future__ import annotations

import ast
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from pyskl_semloss.errors import InputError
from pyskl_semloss.evaluation.fusion_plan import FusionInput, FusionPlan
from pyskl_semloss.io.reading import AnyPath, read_text, short_repr
from pyskl_semloss.io.resources import find_config

CONFIG_LIMIT = 1 << 18
"""Bytes of a config; Python's parser takes some hundred times as many."""
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
    try:
        return FusionPlan(tuple(_part(path, str(name), part) for name, part in parts.items()), **values)
    except InputError as error:
        raise error.located(file=path) from None


def config_text(plan: FusionPlan, weights: Sequence[float], temperatures: Sequence[float | None]) -> str:
    """Text of a fusion config that gives the same fusion with fixed weights and temperatures.

    Args:
        plan: What was fused.
        weights: Those used.
        temperatures: Those used; None where there is none.
    """
    names = [part.short_name for part in plan.parts]
    names = [f"{name} {n + 1}" if names.count(name) > 1 else name for n, name in enumerate(names)]
    lines = ["# Weights and temperatures as semloss fuse used them.", "parts = {"]
    for name, part, weight, temperature in zip(names, plan.parts, weights, temperatures, strict=True):
        end = "" if temperature is None else f", temperature={float(temperature)!r}"
        lines.append(f"    {name!r}: dict(scores={part.scores!r}, weight={float(weight)!r}{end}),")
    lines.append("}")
    kept = ("ann_file", "split", "softmax", "out", "submission", "ids")
    lines += [f"{name} = {getattr(plan, name)!r}" for name in kept if getattr(plan, name)]
    return "\n".join(lines) + "\n"


def read_literals(path: AnyPath) -> dict[str, Any]:
    """Read a file of ``name = literal`` assignments; see :func:`parse_literals`.

    Raises:
        InputError: The file is absent, is not Python's syntax, or holds anything else. The message gives the line.
    """
    return parse_literals(read_text(path, CONFIG_LIMIT), path, "A fusion config is never executed.")


def parse_literals(text: str, path: AnyPath, fix: str) -> dict[str, Any]:
    """Values of ``name = literal`` assignments.

    ``dict(key=literal, …)`` counts as a literal.

    Args:
        text: At most :data:`CONFIG_LIMIT` characters.
        path: Where it is from, for messages.
        fix: What to do where it holds anything else.

    Raises:
        InputError: It is too long, not Python's syntax, or holds anything else. The message gives the line.
    """
    if len(text) > CONFIG_LIMIT:
        raise InputError(f"it has {len(text)} characters, more than {CONFIG_LIMIT}", file=path, fix=fix)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Python's parser, about code that is never run
            tree = ast.parse(text)
    except (SyntaxError, ValueError) as error:
        problem = f"line {error.lineno}: {error.msg}" if isinstance(error, SyntaxError) else str(error)
        raise InputError(problem, file=path) from None
    except (RecursionError, MemoryError):
        raise InputError("it cannot be read (it is nested too deeply)", file=path) from None
    values: dict[str, Any] = {}
    for node in tree.body:
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            continue
        if not (isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name)):
            raise InputError(f"line {node.lineno}: expected 'name = value', nothing else", file=path)
        name = node.targets[0].id
        if name in values:
            raise InputError(f"line {node.lineno}: it is assigned twice", file=path, field=name)
        try:
            value = _DictCalls().visit(node.value)
            if not all(map(_is_key, _keys(value))):
                raise ValueError
            values[name] = ast.literal_eval(value)
        except (ValueError, TypeError, RecursionError, MemoryError):
            raise InputError(
                f"line {node.lineno}: expected strings, numbers, True, False, None, lists and dicts only",
                file=path,
                field=name,
                fix=fix,
            ) from None
    return values


def _keys(tree: ast.AST) -> Iterator[ast.expr | None]:
    """The keys of all dicts, and the members of all sets."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict):
            yield from node.keys
        elif isinstance(node, ast.Set):
            yield from node.elts


def _is_key(node: ast.expr | None) -> bool:
    """True for text and numbers below 2**63.

    Others could be chosen to have equal hashes.
    """
    if isinstance(node, ast.UnaryOp):
        node = node.operand
    value = node.value if isinstance(node, ast.Constant) else node
    return isinstance(value, (str, float, type(None))) or (isinstance(value, int) and value < 1 << 63)


class _DictCalls(ast.NodeTransformer):
    """Transformer of ``dict(a=1)`` to ``{"a": 1}``.

    Any other call stays, and is refused later.
    """

    def visit_Call(self, node: ast.Call) -> ast.AST:  # noqa: N802
        self.generic_visit(node)
        plain = isinstance(node.func, ast.Name) and node.func.id == "dict" and not node.args
        if not plain or any(keyword.arg is None for keyword in node.keywords):
            return node
        keys: list[ast.expr | None] = [ast.Constant(keyword.arg) for keyword in node.keywords]
        return ast.Dict(keys=keys, values=[keyword.value for keyword in node.keywords])


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
