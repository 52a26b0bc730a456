"""Is there an MMAction2 here that can work? Answered before anything of it is imported."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

from pyskl_semloss.errors import HostError

INSTALL = "pip install -r requirements/mmaction2.txt"
# The MMAction2 releases that the package is tested with, and the mmcv range [from, below) that each accepts.
_MMCV_RANGES = {"1.1.0": ("2.0.0", "2.1.0"), "1.2.0": ("2.0.0", "2.2.0")}


def _found(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


def _package(name: str) -> tuple[Path, str] | None:
    """Folder and version of a package, without importing it; None where it is absent."""
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        return None
    folder = Path(next(iter(spec.submodule_search_locations)))
    version_file = folder / "version.py"
    text = version_file.read_text(encoding="utf-8") if version_file.is_file() else ""
    found = re.search(r"^__version__\s*(?::\s*\w+\s*)?=\s*['\"]([^'\"]+)", text, re.MULTILINE)
    return folder, found[1] if found else "unknown"


def _number(version: str) -> tuple[int, ...]:
    """Leading numbers of a version, comparable: '2.0.0rc4' is taken as 2.0.0."""
    found = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(int(part) for part in found[0].split(".")) if found else ()


def check_environment() -> str:
    """The version of the MMAction2 that is installed.

    Raises:
        HostError: A part is missing or of a version that cannot work; the message has the command that mends it.
    """
    action, engine, vision, torch = (_package(name) for name in ("mmaction", "mmengine", "mmcv", "torch"))
    for name, package in (("MMAction2", action), ("mmengine", engine), ("mmcv", vision), ("torch", torch)):
        if package is None:
            raise HostError(f"{name} is not installed; run: {INSTALL}")
    assert action and engine and vision and torch
    version = action[1]
    if version not in _MMCV_RANGES:
        raise HostError(
            f"MMAction2 {version} is not supported (1.1.0 and 1.2.0 are); run: pip install mmaction2==1.1.0"
        )
    if version == "1.2.0" and not (action[0] / "models" / "localizers" / "drn").is_dir():
        raise HostError(
            "this MMAction2 1.2.0 lacks mmaction/models/localizers/drn, as the wheel on PyPI does, and cannot be "
            "imported; run: pip install mmaction2==1.1.0"
        )
    missing = [name for name in ("torchvision", "importlib_metadata") if version == "1.2.0" and not _found(name)]
    if missing:
        raise HostError(f"MMAction2 1.2.0 needs {' and '.join(missing)}; run: pip install {' '.join(missing)}")
    low, below = _MMCV_RANGES[version]
    if not _number(low) <= _number(vision[1]) < _number(below):
        raise HostError(
            f"MMAction2 {version} needs mmcv from {low} to below {below}, but {vision[1]} is installed; "
            "run: pip uninstall -y mmcv mmcv-lite && pip install mmcv-lite==2.0.1"
        )
    if not (0, 10, 5) <= _number(engine[1]) < (1,):
        raise HostError(
            f"mmengine from 0.10.5 to below 1 is needed, but {engine[1]} is installed; "
            "run: pip install mmengine==0.10.7"
        )
    if not _number(torch[1]) >= (2, 6):
        raise HostError(
            f"torch from 2.6 on is needed, which never unpickles code from a checkpoint, but {torch[1]} is installed; "
            "run: pip install torch==2.13.0"
        )
    return version
