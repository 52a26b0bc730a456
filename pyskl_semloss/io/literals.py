"""Literal assignments in Python's syntax, read without executing them."""

from __future__ import annotations

import ast
import warnings
from collections import Counter
from collections.abc import Iterator
from typing import Any

from pyskl_semloss.errors import InputError
from pyskl_semloss.io.reading import AnyPath, short_repr

CONFIG_LIMIT = 1 << 18
"""Bytes of a config; Python's parser takes some hundred times as many."""


def parse_literals(text: str, path: AnyPath, fix: str) -> dict[str, Any]:
    """Values of ``name = literal`` assignments.

    ``dict(key=literal, …)`` counts as a literal.

    Args:
        text: At most :data:`CONFIG_LIMIT` characters.
        path: Where it is from, for messages.
        fix: What to do where it holds anything else.

    Raises:
        InputError: It is too long, not Python's syntax, holds anything else, or a name or key twice. The message gives
            the line.
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
        values[name] = _literal(node, name, path, fix)
    return values


def _literal(node: ast.Assign, name: str, path: AnyPath, fix: str) -> Any:
    """Value of an assignment."""
    try:
        tree = _DictCalls().visit(node.value)
        if not all(map(_is_key, _keys(tree))):
            raise ValueError
        value, repeated = ast.literal_eval(tree), _repeated_keys(tree)
    except (ValueError, TypeError, RecursionError, MemoryError):
        raise InputError(
            f"line {node.lineno}: expected strings, numbers, True, False, None, lists and dicts only",
            file=path,
            field=name,
            fix=fix,
        ) from None
    if repeated:
        problem = f"line {node.lineno}: a dict has the key {short_repr(repeated[0])} twice"
        raise InputError(problem, file=path, field=name, fix="Python would keep the last one only: rename one of them.")
    return value


def _repeated_keys(tree: ast.AST) -> list[Any]:
    """Keys that a dict has more than once."""
    dicts = [node.keys for node in ast.walk(tree) if isinstance(node, ast.Dict)]
    counts = [Counter(ast.literal_eval(key) for key in keys if key is not None) for keys in dicts]
    return [key for count in counts for key, times in count.items() if times > 1]


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
