"""Is there a toolbox here that can work, and if not, what mends it? Answered before anything of it is imported."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pyskl_semloss.errors import HostError
from pyskl_semloss.io.resources import IN_CHECKOUT, documentation, pip_install

HOSTS = ("mmaction2", "pyskl")
# The MMAction2 releases that the package is tested with, and the mmcv range [from, below) that each accepts.
_MMCV_RANGES = {"1.1.0": ("2.0.0", "2.1.0"), "1.2.0": ("2.0.0", "2.2.0")}
_INSTALL_MMACTION2 = pip_install("mmaction2")
_INSTALL_PYSKL = "git clone https://github.com/kennymckormick/pyskl ../pyskl && pip install --no-deps -e ../pyskl"
_INSTALL_MMCV1 = "pip install 'setuptools<80' && MMCV_WITH_OPS=0 pip install --no-build-isolation mmcv==1.7.2"
_INSTALL_VIDEO = pip_install("video")
if IN_CHECKOUT:
    _NEW_MMACTION2 = "source tools/setup_env.sh && setup_env .venv requirements/mmaction2.txt"
    _NEW_PYSKL = "source tools/setup_env.sh && setup_pyskl_env .venv-pyskl PATH_TO_PYSKL"
    _INSTALL_VIDEO_ON_NUMPY1 = f"pip install -r requirements/mmaction2-numpy1.txt && {_INSTALL_VIDEO}"
else:
    _NEW = "python -m venv .venv-{0} && .venv-{0}/bin/pip install 'PATH_TO_THE_WHEEL[{0}]'"
    _NEW_MMACTION2, _NEW_PYSKL = _NEW.format("mmaction2"), _NEW.format("pyskl")
    _INSTALL_VIDEO_ON_NUMPY1 = _INSTALL_VIDEO


@dataclass(frozen=True)
class Problem:
    """A defect of an environment and the command that mends it.

    Attributes:
        description: The defect, as a clause without a full stop.
        command: The command that mends it.
    """

    description: str
    command: str

    def __str__(self) -> str:
        return f"{self.description}; run: {self.command}"


@dataclass(frozen=True)
class Package:
    """A package that a host needs.

    Attributes:
        module: The name under which it is imported.
        install: The name under which pip knows it.
        wanted: The versions that work, or what it is for where the host can do without it.
        optional: Only what ``wanted`` names is impossible without it.
    """

    module: str
    install: str
    wanted: str = "any"
    optional: bool = False


_PACKAGES = {
    "mmaction2": (
        Package("mmaction", "mmaction2==1.1.0", "1.1.0 or 1.2.0"),
        Package("mmengine", "mmengine==0.10.7", ">=0.10.5,<1"),
        Package("mmcv", "mmcv-lite==2.0.1", ">=2.0,<2.1 (<2.2 for MMAction2 1.2.0)"),
        Package("torch", "torch==2.13.0", ">=2.6"),
        Package("numpy", "numpy==2.2.6"),
    ),
    "pyskl": (
        Package("pyskl", "", f"the source, see {documentation('installation')}"),
        Package("mmcv", "mmcv==1.7.2", ">=1.4.8,<2"),
        Package("torch", "torch==2.13.0", ">=2.6"),
        Package("torchvision", "torchvision==0.16.2", "what fits torch"),
        Package("numpy", "'numpy<2'", "<2"),
        Package("yapf", "yapf", "any (<0.40.2 for mmcv below 1.7.2)"),
        *(Package(name, name) for name in ("addict", "scipy", "fvcore", "tqdm", "requests", "setuptools")),
        Package("cv2", "'opencv-python<4.12'"),
        Package("PIL", "pillow"),
        Package("yaml", "pyyaml"),
        Package("pymemcache", "pymemcache", "only for memcached", optional=True),
        Package("decord", "decord", "only for videos", optional=True),
        Package("matplotlib", "matplotlib", "only for pictures", optional=True),
    ),
    "video": (
        Package("mediapipe", "mediapipe==0.10.21", "0.10.21"),
        Package("cv2", "opencv-contrib-python==4.11.0.86"),
        Package("numpy", "numpy==1.26.4", "<2"),
    ),
}


def _folder(name: str) -> Path | None:
    """Folder, or file, of a module, without importing it; None where it is absent or only a folder of that name."""
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin)
    return path.parent if path.name == "__init__.py" else path


def version_of(name: str) -> str | None:
    """Version of a module, without importing it; ``"unknown"`` where nothing says it, None where it is absent."""
    folder = _folder(name)
    if folder is None:
        return None
    for file in (folder / "version.py", folder / "_version.py"):
        text = file.read_text(encoding="utf-8") if file.is_file() else ""
        line = r"^(?:__version__|(?:opencv_)?version)\s*(?::\s*\w+\s*)?=\s*['\"]([^'\"]+)"
        if found := re.search(line, text, re.MULTILINE):
            return found[1]
    try:
        return importlib.metadata.version({"PIL": "pillow", "yaml": "pyyaml"}.get(name, name))
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


def _fits(version: str, wanted: str) -> bool:
    """Whether a version is within a range; ``2.0.0rc4`` is taken as 2.0.0, and what is no version as 0."""
    # Not above: where nothing is installed at all, there is no version to compare.
    from packaging.specifiers import SpecifierSet
    from packaging.version import InvalidVersion, Version

    try:
        return Version(version).base_version in SpecifierSet(wanted)
    except InvalidVersion:
        return "0" in SpecifierSet(wanted)


def _missing(packages: Sequence[Package]) -> list[Package]:
    return [package for package in packages if not package.optional and _folder(package.module) is None]


def _mmaction2_problems() -> list[Problem]:
    names = {"mmaction": "MMAction2"}
    missing = [names.get(package.module, package.module) for package in _missing(_PACKAGES["mmaction2"])]
    if missing:
        return [Problem(f"{_listed(missing)} not installed", _INSTALL_MMACTION2)]
    versions = {package.module: version_of(package.module) or "" for package in _PACKAGES["mmaction2"]}
    problems = _mmaction_release_problems(versions["mmaction"])
    low, below = _MMCV_RANGES.get(versions["mmaction"], _MMCV_RANGES["1.1.0"])
    mmcv = versions["mmcv"]
    if not _fits(mmcv, f">={low},<{below}"):
        what = f"MMAction2 {versions['mmaction']} needs mmcv from {low} to below {below}, but {mmcv} is installed"
        if _folder("pyskl") is not None and _fits(mmcv, "<2"):
            problems.append(Problem(f"{what}, which is PySKL's, and no environment holds both", _NEW_MMACTION2))
        else:
            problems.append(Problem(what, "pip uninstall -y mmcv mmcv-lite && pip install mmcv-lite==2.0.1"))
    if not _fits(versions["mmengine"], ">=0.10.5,<1"):
        what = f"mmengine from 0.10.5 to below 1 is needed, but {versions['mmengine']} is installed"
        problems.append(Problem(what, "pip install mmengine==0.10.7"))
    if _fits(versions["torch"], "<2.6"):
        what = "torch from 2.6 on is needed, which never unpickles code from a checkpoint, but "
        problems.append(Problem(f"{what}{versions['torch']} is installed", "pip install torch==2.13.0"))
    return problems


def _mmaction_release_problems(version: str) -> list[Problem]:
    install = "pip install mmaction2==1.1.0"
    if version not in _MMCV_RANGES:
        return [Problem(f"MMAction2 {version} is not supported (1.1.0 and 1.2.0 are)", install)]
    if version != "1.2.0":
        return []
    folder = _folder("mmaction")
    if folder is not None and not (folder / "models" / "localizers" / "drn").is_dir():
        what = "this MMAction2 1.2.0 lacks mmaction/models/localizers/drn, as the wheel on PyPI does, and cannot be "
        return [Problem(what + "imported", install)]
    missing = [name for name in ("torchvision", "importlib_metadata") if _folder(name) is None]
    if missing:
        return [Problem(f"MMAction2 1.2.0 needs {' and '.join(missing)}", f"pip install {' '.join(missing)}")]
    return []


def _listed(names: Sequence[str]) -> str:
    return (", ".join(names[:-1]) + " and " if names[1:] else "") + names[-1] + (" are" if names[1:] else " is")


def _pyskl_problems() -> list[Problem]:
    mmcv = version_of("mmcv")
    if mmcv is not None and _fits(mmcv, ">=2") and _folder("mmaction") is not None:
        # Alone: mending anything else here would break MMAction2.
        what = f"mmcv {mmcv} is MMAction2's, PySKL needs mmcv 1.x, and no environment holds both"
        return [Problem(what, _NEW_PYSKL)]
    problems = []
    if _folder("pyskl") is None:
        problems.append(Problem("PySKL is not installed (it is not on PyPI)", _INSTALL_PYSKL))
    special = ("pyskl", "mmcv", "torchvision")
    missing = [package for package in _missing(_PACKAGES["pyskl"]) if package.module not in special]
    if missing:
        what = f"{_listed([package.module for package in missing])} not installed"
        problems.append(Problem(what, "pip install " + " ".join(package.install for package in missing)))
    problems += _torch_problems(version_of("torch"), version_of("torchvision"))
    problems += _mmcv1_problems(mmcv, version_of("yapf"))
    numpy = version_of("numpy")
    if numpy is not None and _fits(numpy, ">=2"):
        what = f"numpy below 2 is needed, since PySKL's PoseCompact uses np.Inf, but {numpy} is installed"
        problems.append(Problem(what, "pip install numpy==1.26.4 'opencv-python<4.12' 'opencv-contrib-python<4.12'"))
    return problems


def _torch_problems(torch: str | None, torchvision: str | None) -> list[Problem]:
    if torch is not None and _fits(torch, "<2.6"):
        what = f"torch from 2.6 on is needed, which never unpickles code from a checkpoint, but {torch} is installed"
        return [Problem(what, "pip install torch==2.13.0 torchvision")]
    cpu_only = torch is not None and torch.endswith("+cpu")
    # Beside the release of torch that is there: on its own pip takes the newest torchvision and another torch with it.
    release = "2.13.0" if torch is None else torch.split("+")[0]
    fitting = "--no-deps torchvision==0.16.2" if cpu_only else f"torchvision torch=={release}"
    fitting = f"pip install {fitting}"
    if torchvision is None:
        return [Problem("torchvision is not installed", fitting)]
    # Up to 0.16 it tolerates that its operators cannot be loaded; later ones fail on import.
    if cpu_only and "+cu" in torchvision and _fits(torchvision, ">=0.17"):
        what = f"torchvision {torchvision} is built for a GPU and cannot be imported beside torch {torch}"
        return [Problem(what, fitting)]
    return []


def _mmcv1_problems(mmcv: str | None, yapf: str | None) -> list[Problem]:
    if mmcv is None:
        return [Problem("mmcv is not installed", _INSTALL_MMCV1)]
    if not _fits(mmcv, ">=1.4.8,<2"):
        command = f"pip uninstall -y mmcv mmcv-full mmcv-lite && {_INSTALL_MMCV1}"
        return [Problem(f"PySKL needs mmcv from 1.4.8 to below 2, but {mmcv} is installed", command)]
    if _fits(mmcv, "<1.7.2") and yapf is not None and _fits(yapf, ">=0.40.2"):
        return [Problem(f"mmcv {mmcv} cannot print a config with yapf {yapf}", "pip install yapf==0.32.0")]
    return []


def _video_problems() -> list[Problem]:
    if missing := [package.module for package in _missing(_PACKAGES["video"])]:
        return [Problem(f"{_listed(missing)} not installed", _INSTALL_VIDEO)]
    mediapipe, numpy = version_of("mediapipe") or "", version_of("numpy") or ""
    problems = []
    if not _fits(mediapipe, "==0.10.21"):
        what = f"MediaPipe 0.10.21 is needed, the last one with its models in the wheel, but {mediapipe} is installed"
        problems.append(Problem(what, _INSTALL_VIDEO))
    if _fits(numpy, ">=2"):
        what = f"MediaPipe needs numpy below 2, but {numpy} is installed"
        problems.append(Problem(what, _INSTALL_VIDEO_ON_NUMPY1))
    return problems


def problems_of(host: str) -> list[Problem]:
    """Everything that keeps a host, or the poses in videos, from working here; nothing of it is imported.

    Args:
        host: ``"mmaction2"``, ``"pyskl"`` or ``"video"``.
    """
    if _folder("packaging") is None and any(_folder(package.module) for package in _PACKAGES[host]):
        return [Problem("packaging, which compares versions, is not installed", "pip install packaging")]
    return {"mmaction2": _mmaction2_problems, "pyskl": _pyskl_problems, "video": _video_problems}[host]()


def packages_of(host: str) -> list[tuple[str, str | None, str]]:
    """Module, version that is installed (None: absent) and what is wanted, for each package that a host needs."""
    return [(package.module, version_of(package.module), package.wanted) for package in _PACKAGES[host]]


def hosts_here() -> list[str]:
    """The hosts that are installed, whether or not they can work."""
    return [host for host, module in (("mmaction2", "mmaction"), ("pyskl", "pyskl")) if _folder(module) is not None]


def video_is_here() -> bool:
    """Whether MediaPipe is installed, whether or not it can work."""
    return _folder("mediapipe") is not None


def _check(host: str, module: str) -> str:
    problems = problems_of(host)
    if problems:
        first, more = problems[0], len(problems) - 1
        rest = f" ({more} more: semloss check --host {host})" if more else ""
        raise HostError(f"{first.description}{rest}; run: {first.command}")
    return version_of(module) or "unknown"


def check_mmaction2() -> str:
    """The version of the MMAction2 that is installed.

    Raises:
        HostError: A part is missing or of a version that cannot work; the message ends with the command that mends it.
    """
    return _check("mmaction2", "mmaction")


def check_pyskl() -> str:
    """The version of the PySKL that is installed.

    Raises:
        HostError: A part is missing or of a version that cannot work; the message ends with the command that mends it.
    """
    return _check("pyskl", "pyskl")
