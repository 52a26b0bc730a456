"""Resource files of the package: configs, label lists, word vectors."""

from __future__ import annotations

import ast
import difflib
import os
from pathlib import Path

from pyskl_semloss.errors import InputError

_PACKAGE = Path(__file__).resolve().parents[1]
PREFIX = "pyskl_semloss::"
"""mmengine's prefix for a config of this package."""


def resource_path(name: str) -> Path:
    """Path of a file or folder that the package contains.

    Args:
        name: Path in the checkout, such as ``"data/imigue_labels.txt"``.

    Raises:
        InputError: The installation lacks the file.

    Example:
        >>> resource_path("data/imigue_labels.txt").read_text().splitlines()[1]
        'deep breath'
    """
    # The hosts look for configs in .mim; checkouts without symbolic links have only the second path.
    for path in (_PACKAGE / ".mim" / name, _PACKAGE.parent / name):
        if path.exists():
            return path
    raise InputError("the installation of pyskl_semloss lacks it", file=name, fix="Install the package again.")


def config_names(host: str | None = None) -> list[str]:
    """Names of the package's configs, without their base files.

    Args:
        host: ``"mmaction2"`` or ``"pyskl"``; None lists both.

    Raises:
        InputError: Unknown host.

    Example:
        >>> config_names("mmaction2")[0]
        'mmaction2/imigue/fusion.py'
    """
    names = [name for name in _files() if "/_base_/" not in name]
    hosts = sorted({name.split("/")[0] for name in names})
    if host is not None and host not in hosts:
        raise InputError(f"expected {' or '.join(hosts)}, got {host!r}", field="host")
    return [name for name in names if host is None or name.startswith(f"{host}/")]


def find_config(name: str) -> str:
    """Path of a config, given as a file or by its name in the package.

    Args:
        name: Path, or name such as ``mmaction2/imigue/joint``. The ending ``.py`` is optional, and so are the prefixes
            ``configs/`` and ``pyskl_semloss::``. An existing file takes precedence.

    Raises:
        InputError: There is no such file and no such name.
    """
    if os.path.isfile(name):
        return name
    known, config = _files(), normalize_config_name(name)
    if config in known:
        return str(resource_path(f"configs/{config}"))
    if os.path.isdir(name):
        raise InputError("expected a config file, got a folder", file=name)
    near = difflib.get_close_matches(config[:200], known, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    fix = None if near else "`semloss configs list` shows those that come with the package."
    raise InputError(f"there is no such config file{hint}", file=name, fix=fix)


def normalize_config_name(name: str) -> str:
    """Config name in the form of :func:`config_names`.

    Example:
        >>> normalize_config_name("pyskl_semloss::mmaction2/imigue/joint")
        'mmaction2/imigue/joint.py'
    """
    short = name.removeprefix(PREFIX).replace(os.sep, "/").removeprefix("configs/")
    return short if short.endswith(".py") else f"{short}.py"


def config_and_bases(name: str) -> list[str]:
    """Names of a config and, after it, of all its direct and indirect bases.

    Args:
        name: Name from :func:`config_names`.
    """
    names = [name]
    for config in names:
        folder = os.path.dirname(config)
        bases = (os.path.normpath(os.path.join(folder, base)).replace(os.sep, "/") for base in _bases(config))
        names += [base for base in bases if base not in names]
    return names


def _bases(name: str) -> list[str]:
    """Values of a config's ``_base_``, read without executing the file."""
    for statement in ast.parse(resource_path(f"configs/{name}").read_text(encoding="utf-8")).body:
        if isinstance(statement, ast.Assign) and getattr(statement.targets[0], "id", None) == "_base_":
            bases = ast.literal_eval(statement.value)
            return [bases] if isinstance(bases, str) else list(bases)
    return []


def _files() -> list[str]:
    folder = resource_path("configs")
    return sorted(path.relative_to(folder).as_posix() for path in folder.glob("*/*/*.py"))
