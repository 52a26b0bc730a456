"""What is said where a host is missing or cannot work."""

import os
import subprocess
import sys
from pathlib import Path

import packaging
import pytest

from helpers import ROOT

MMACTION2 = dict(mmaction="1.1.0", mmengine="0.10.7", mmcv="2.0.1", torch="2.13.0", numpy="2.2.6")
SIMPLE = ("addict", "scipy", "fvcore", "tqdm", "requests", "setuptools", "cv2", "PIL", "yaml")
PYSKL = dict(pyskl="0.1.0", mmcv="1.7.2", torch="2.13.0+cpu", torchvision="0.16.2+cu121", numpy="1.26.4", yapf="0.43.0")
PYSKL |= dict.fromkeys(SIMPLE, "1.0")
VIDEO = dict(mediapipe="0.10.21", cv2="4.11.0", numpy="1.26.4")


def packages(folder, versions):
    """Folders that look like installed packages of these versions; importing one ends with an error."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "packaging").exists():
        (folder / "packaging").symlink_to(Path(packaging.__file__).parent)
    for name, version in versions.items():
        if version is not None:
            (folder / name).mkdir(parents=True)
            (folder / name / "__init__.py").write_text("raise RuntimeError('imported')")
            (folder / name / "version.py").write_text(f"__version__ = '{version}'\n")
    return folder


def run(code, folder):
    """Run code where only the standard library, this checkout and a folder of packages are."""
    lines = f"import sys; sys.path[:0] = {[str(folder), str(ROOT)]!r}\n{code}"
    command = [sys.executable, "-S", "-c", lines]
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, env=env, timeout=600)


def check(host, folder):
    return run(f"from pyskl_semloss.hosts.environment import check_{host} as check; print(check())", folder)


@pytest.mark.parametrize(
    ("change", "message", "command"),
    [
        (dict(mmaction=None), "MMAction2 is not installed", "pip install -r requirements/mmaction2.txt"),
        (dict(mmcv=None), "mmcv is not installed", "pip install -r requirements/mmaction2.txt"),
        (
            dict(mmcv=None, mmengine=None, torch=None),
            "mmengine, mmcv and torch are not installed",
            "pip install -r requirements/mmaction2.txt",
        ),
        (dict(mmaction="1.2.0"), "lacks mmaction/models/localizers/drn", "pip install mmaction2==1.1.0"),
        (dict(mmaction="0.24.1"), "MMAction2 0.24.1 is not supported", "pip install mmaction2==1.1.0"),
        (dict(mmcv="1.7.2"), "needs mmcv from 2.0.0 to below 2.1.0, but 1.7.2", "pip install mmcv-lite==2.0.1"),
        (dict(mmcv="2.1.0"), "needs mmcv from 2.0.0 to below 2.1.0, but 2.1.0", "pip install mmcv-lite==2.0.1"),
        (
            dict(mmcv="1.7.2", pyskl="0.1.0"),
            "PySKL's, and no environment holds both",
            "setup_env .venv requirements/mmaction2.txt",
        ),
        (
            dict(mmengine="0.7.1"),
            "mmengine from 0.10.5 to below 1 is needed, but 0.7.1",
            "pip install mmengine==0.10.7",
        ),
        (dict(torch="2.5.1+cpu"), "torch from 2.6 on is needed", "pip install torch==2.13.0"),
        (
            dict(torch="2.5.1", mmcv="2.1.0"),
            "2.1.0 is installed (1 more: semloss check --host mmaction2)",
            "pip install mmcv-lite==2.0.1",
        ),
    ],
)
def test_an_mmaction2_that_cannot_work_gives_one_sentence_with_the_command(tmp_path, change, message, command):
    done = run("import pyskl_semloss.hosts.mmaction2", packages(tmp_path, MMACTION2 | change))
    last = done.stderr.strip().splitlines()[-1]
    assert "HostError" in last and message in last and last.endswith(command)


BUILD = "MMCV_WITH_OPS=0 pip install --no-build-isolation mmcv==1.7.2"


@pytest.mark.parametrize(
    ("change", "message", "command"),
    [
        (dict(pyskl=None), "PySKL is not installed (it is not on PyPI)", "-e ../pyskl"),
        (dict(mmcv=None), "mmcv is not installed", BUILD),
        (dict(mmcv="1.4.0"), "needs mmcv from 1.4.8 to below 2, but 1.4.0 is installed", BUILD),
        (dict(mmcv="2.0.1"), "needs mmcv from 1.4.8 to below 2, but 2.0.1 is installed", BUILD),
        (
            dict(mmcv="2.0.1", mmaction="1.1.0", numpy="2.2.6"),
            "mmcv 2.0.1 is MMAction2's, PySKL needs mmcv 1.x, and no environment holds both; ",
            "setup_pyskl_env .venv-pyskl PATH_TO_PYSKL",
        ),
        (dict(mmcv="1.7.1"), "mmcv 1.7.1 cannot print a config with yapf 0.43.0", "pip install yapf==0.32.0"),
        (
            dict(numpy="2.2.6"),
            "numpy below 2 is needed",
            "numpy==1.26.4 'opencv-python<4.12' 'opencv-contrib-python<4.12'",
        ),
        (dict(torch="2.5.1"), "torch from 2.6 on is needed", "pip install torch==2.13.0 torchvision"),
        (dict(torchvision=None), "torchvision is not installed", "pip install --no-deps torchvision==0.16.2"),
        (
            dict(torch="2.13.0+cu130", torchvision=None),
            "torchvision is not installed",
            "pip install torchvision torch==2.13.0",
        ),
        (
            dict(torchvision="0.28.0+cu130"),
            "torchvision 0.28.0+cu130 is built for a GPU",
            "pip install --no-deps torchvision==0.16.2",
        ),
        *((({name: None}), f"{name} is not installed", "") for name in SIMPLE),
        (
            dict(cv2=None, PIL=None, tqdm=None),
            "tqdm, cv2 and PIL are not installed",
            "pip install tqdm 'opencv-python<4.12' pillow",
        ),
    ],
)
def test_a_pyskl_that_cannot_work_gives_one_sentence_with_the_command(tmp_path, change, message, command):
    done = check("pyskl", packages(tmp_path, PYSKL | change))
    last = done.stderr.strip().splitlines()[-1]
    assert "HostError" in last and message in last and last.endswith(command), last


@pytest.mark.parametrize(
    "change",
    [
        {},
        dict(mmcv="1.7.1", yapf="0.40.1"),
        dict(mmcv="1.4.8", yapf="0.32.0"),
        dict(torch="2.13.0+cu130", torchvision="0.28.0+cu130"),
        dict(torchvision="0.28.0+cpu"),
        dict(torch="2.6.0", torchvision="0.21.0"),
    ],
)
def test_a_pyskl_that_works_passes_and_nothing_of_it_is_imported(tmp_path, change):
    done = check("pyskl", packages(tmp_path, PYSKL | change))
    assert done.stdout.strip() == "0.1.0", done.stderr


def test_a_folder_of_the_name_is_no_package(tmp_path):
    (packages(tmp_path, PYSKL | dict(pyskl=None)) / "pyskl").mkdir()
    assert "PySKL is not installed" in check("pyskl", tmp_path).stderr


def test_a_complete_1_2_0_and_the_1_1_0_pass(tmp_path):
    for version in ("1.1.0", "1.2.0"):
        folder = packages(tmp_path / version, MMACTION2 | dict(mmaction=version))
        (folder / "mmaction" / "models" / "localizers" / "drn").mkdir(parents=True)
        (folder / "importlib_metadata.py").touch()
        if version == "1.2.0":
            assert "needs torchvision; run: pip install torchvision" in check("mmaction2", folder).stderr
        (folder / "torchvision.py").touch()
        assert check("mmaction2", folder).stdout.strip() == version


@pytest.mark.parametrize("host", ["mmaction2", "pyskl"])
def test_without_packaging_versions_are_not_compared(tmp_path, host):
    (packages(tmp_path, MMACTION2 if host == "mmaction2" else PYSKL) / "packaging").unlink()
    last = check(host, tmp_path).stderr.strip().splitlines()[-1]
    assert "HostError" in last and last.endswith("is not installed; run: pip install packaging")


@pytest.mark.parametrize(
    ("version", "problem"),
    [("2.0.0rc4", False), ("2.1.0rc1", True), ("1.99", True), ("2.0.10", False), ("2.0.1+cpu", False), ("old", True)],
)
def test_a_candidate_of_a_release_counts_as_the_release(tmp_path, version, problem):
    done = check("mmaction2", packages(tmp_path, MMACTION2 | dict(mmcv=version)))
    assert (f"but {version} is installed" in done.stderr) == problem == (done.returncode != 0)


def test_versions_are_found_in_what_packages_really_ship(tmp_path):
    packages(tmp_path, dict.fromkeys(("numpy", "cv2", "torch", "tqdm", "requests"), "0"))
    (tmp_path / "numpy" / "version.py").write_text('"""version."""\nversion = "1.26.4"\n__version__ = version\n')
    (tmp_path / "cv2" / "version.py").write_text('opencv_version = "4.11.0.86"\n')
    (tmp_path / "torch" / "version.py").write_text("__version__: str = '2.13.0+cpu'\n")
    for name in ("tqdm", "requests"):
        (tmp_path / name / "version.py").unlink()
    (tmp_path / "tqdm-4.67.1.dist-info").mkdir()
    (tmp_path / "tqdm-4.67.1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: tqdm\nVersion: 4.67.1\n")
    names = ("numpy", "cv2", "torch", "tqdm", "requests", "absent")
    done = run(
        f"from pyskl_semloss.hosts.environment import version_of; print([version_of(n) for n in {names}])", tmp_path
    )
    assert eval(done.stdout) == ["1.26.4", "4.11.0.86", "2.13.0+cpu", "4.67.1", "unknown", None]


@pytest.mark.parametrize(
    ("versions", "options", "status", "expected"),
    [
        (PYSKL, [], 0, ["mmcv         1.7.2", "pymemcache   -", "ready for PySKL"]),
        (MMACTION2, [], 0, ["mmcv      2.0.1", "ready for MMAction2"]),
        (PYSKL | dict(mmcv=None, numpy="2.0.0"), [], 1, ["1. mmcv is not", "2. numpy below 2", "2 problems for PySKL"]),
        (MMACTION2, ["--host", "pyskl"], 1, ["no environment holds both", "1 problem for PySKL"]),
        ({}, [], 1, ["1 problem for MMAction2", "1. PySKL is not installed", "4 problems for PySKL"]),
        (MMACTION2, [], 0, ["poses in videos is not installed: pip install -r", "ready for MMAction2"]),
        (MMACTION2 | VIDEO, [], 0, ["mediapipe  0.10.21", "ready for MMAction2", "ready for poses in videos"]),
        ({}, ["--host", "video"], 1, ["1. mediapipe, cv2 and numpy are not", "1 problem for poses in videos"]),
        (
            VIDEO | dict(numpy="2.2.6", mediapipe="0.10.30"),
            ["--host", "video"],
            1,
            ["1. MediaPipe 0.10.21 is needed", "2. MediaPipe needs numpy", "2 problems for poses in videos"],
        ),
    ],
)
def test_the_tool_reports_on_the_host_that_is_there(tmp_path, versions, options, status, expected):
    packages(tmp_path, versions)
    tool = str(ROOT / "tools" / "check_environment.py")
    code = f"import runpy; sys.argv[1:] = {options}; runpy.run_path({tool!r}, run_name='__main__')"
    done = run(code, tmp_path)
    assert done.returncode == status, done.stderr
    assert not done.stderr
    for text in expected:
        assert text in done.stdout
    assert done.stdout.strip().splitlines()[-1] == expected[-1]


@pytest.mark.parametrize(
    ("promised", "module"), [("mmaction2", "mmaction"), ("pyskl", "pyskl"), ("video", "mediapipe"), ("", "mmaction")]
)
def test_the_job_that_promises_a_host_fails_without_it(promised, module):
    code = (
        f"import sys; sys.modules[{module!r}] = None; import pytest; "
        "sys.exit(pytest.main(['-q', 'tests/test_imports.py', '-k', 'light']))"
    )
    env = {**os.environ, "PYSKL_SEMLOSS_HOST": promised}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True, text=True)
    assert done.returncode == (1 if promised else 0), done.stdout + done.stderr


def test_a_wrong_path_to_pyskl_is_one_sentence(tmp_path):
    command = ["bash", str(ROOT / "tools" / "run_tests.sh"), "--host", "pyskl"]
    done = subprocess.run([*command, "nowhere"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == f"error: '{tmp_path}/nowhere' is not PySKL's source: there is no pyskl/__init__.py in it.\n"
    assert subprocess.run(command, capture_output=True).returncode == 2
