"""What comes with the package, in a checkout and in the wheel: configs, label lists, word vectors, how to get more."""

from __future__ import annotations

import ast
import difflib
import os
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

from pyskl_semloss.errors import InputError

_PACKAGE = Path(__file__).resolve().parents[1]
IN_CHECKOUT = (_PACKAGE.parent / "setup.py").is_file() and (_PACKAGE.parent / "requirements").is_dir()
"""Whether the package lies in its checkout, where there are ``docs/``, ``requirements/`` and ``tools/``, too."""
DISTRIBUTION = "pyskl_semloss"
"""The name under which pip knows the package."""
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


def pip_install(extra: str) -> str:
    """The command that installs an extra: in a checkout the tested versions of it, where there is a list of them.

    Args:
        extra: As ``setup.py`` names it, such as ``"video"``.
    """
    if not IN_CHECKOUT:
        return f'pip install "{DISTRIBUTION}[{extra}]"'
    tested = f"requirements/{extra}.txt"
    return f"pip install -r {tested}" if (_PACKAGE.parent / tested).is_file() else f'pip install -e ".[{extra}]"'


def documentation(page: str) -> str:
    """A page of the documentation, for the middle of a sentence: its path in a checkout, else its name.

    Args:
        page: Its name, such as ``"predict"``. The address of the whole stands behind it where the package has one.
    """
    if IN_CHECKOUT:
        return f"docs/{page}.md"
    address = _address()
    return f"the page '{page}' of the project's documentation{f' ({address})' if address else ''}"


def _address() -> str | None:
    """What ``setup.py`` has as the address of the documentation."""
    try:
        addresses = metadata(DISTRIBUTION).get_all("Project-URL") or []
    except PackageNotFoundError:
        return None
    named = (each.partition(",") for each in addresses)
    return next((address.strip() for label, _, address in named if label.strip().lower() == "documentation"), None)


def config_names(host: str | None = None) -> list[str]:
    """Names of the package's configs, without their base files.

    Args:
        host: ``"mmaction2"`` or ``"pyskl"``; None lists both.

    Raises:
        InputError: Unknown host.

    Example:
        >>> config_names("mmaction2")[0]
        'mmaction2/imigue/aagcn.py'
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
    near = [each for each in known if each.endswith(f"/{config}")] or difflib.get_close_matches(
        config[:200], known, n=1
    )
    hint = f"; did you mean {near[0]}?" if near else ""
    fix = None if near else "`semloss configs list` shows those that come with the package."
    raise InputError(f"there is no such config file{hint}", file=name, fix=fix)


def normalize_config_name(name: str) -> str:
    """Config name in the form of :func:`config_names`.

    Example:
        >>> normalize_config_name("pyskl_semloss::mmaction2/imigue/joint")
        'mmaction2/imigue/joint.py'
    """
    config = name.removeprefix(PREFIX).replace(os.sep, "/").removeprefix("configs/")
    return config if config.endswith(".py") else f"{config}.py"


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
