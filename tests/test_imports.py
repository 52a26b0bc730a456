"""What an import takes with it, and what is said where a host is missing or cannot work."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
HOST = ROOT / "pyskl_semloss" / "hosts" / "mmaction2"
HEAVY = ("torch", "numba", "gensim", "matplotlib", "mmengine", "mmcv", "mmaction", "sklearn", "cv2")


def run(code, *flags, path=()):
    lines = f"import sys; sys.path[:0] = {[str(p) for p in path]!r}\n{code}"
    return subprocess.run([sys.executable, *flags, "-c", lines], capture_output=True, text=True, cwd=ROOT, timeout=120)


def test_import_is_light():
    code = f"import pyskl_semloss; print([name for name in {HEAVY!r} if name in sys.modules])"
    assert run(code).stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("module", "allowed"),
    [
        ("skeletons", ()),
        ("label_vectors", ()),
        ("annotations", ()),
        ("annotations.synthetic", ()),
        ("evaluation.fusion_plan", ()),
        ("keypoint_ops", ()),
        ("heatmap", ()),
        ("heatmap.torch_engine", ("torch",)),
        ("heatmap.numba_engine", ("numba",)),
        ("semantic_loss", ("torch",)),
        ("checkpoints", ("torch",)),
    ],
)
def test_the_core_takes_no_host_and_only_what_it_is_about(module, allowed):
    code = f"import pyskl_semloss.{module}; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = run(code)
    assert done.returncode == 0, done.stderr
    assert set(eval(done.stdout)) <= set(allowed)


def packages(folder, **versions):
    """Folders that look like installed packages of these versions."""
    for name, version in versions.items():
        (folder / name).mkdir()
        (folder / name / "__init__.py").touch()
        (folder / name / "version.py").write_text(f"__version__ = '{version}'\n")
    return folder


GOOD = dict(mmaction="1.1.0", mmengine="0.10.7", mmcv="2.0.1", torch="2.13.0")


@pytest.mark.parametrize(
    ("change", "message", "command"),
    [
        (dict(mmaction=None), "MMAction2 is not installed", "pip install -r requirements/mmaction2.txt"),
        (dict(mmcv=None), "mmcv is not installed", "pip install -r requirements/mmaction2.txt"),
        (dict(mmaction="1.2.0"), "lacks mmaction/models/localizers/drn", "pip install mmaction2==1.1.0"),
        (dict(mmaction="0.24.1"), "MMAction2 0.24.1 is not supported", "pip install mmaction2==1.1.0"),
        (dict(mmcv="1.7.2"), "needs mmcv from 2.0.0 to below 2.1.0, but 1.7.2", "pip install mmcv-lite==2.0.1"),
        (dict(mmcv="2.1.0"), "needs mmcv from 2.0.0 to below 2.1.0, but 2.1.0", "pip install mmcv-lite==2.0.1"),
        (
            dict(mmengine="0.7.1"),
            "mmengine from 0.10.5 to below 1 is needed, but 0.7.1",
            "pip install mmengine==0.10.7",
        ),
        (dict(torch="2.5.1+cpu"), "torch from 2.6 on is needed", "pip install torch==2.13.0"),
    ],
)
def test_a_host_that_cannot_work_gives_one_sentence_with_the_command(tmp_path, change, message, command):
    versions = {name: version for name, version in {**GOOD, **change}.items() if version is not None}
    # Without site-packages: only these folders and the standard library are there.
    done = run("import pyskl_semloss.hosts.mmaction2", "-S", path=[packages(tmp_path, **versions), ROOT])
    last = done.stderr.strip().splitlines()[-1]
    assert "HostError" in last and message in last and last.endswith(command)


def test_the_job_that_promises_a_host_fails_without_it():
    code = (
        "import sys; sys.modules['mmaction'] = None; import pytest; "
        "sys.exit(pytest.main(['-q', 'tests/test_imports.py', '-k', 'light']))"
    )
    for promised, status in (("mmaction2", 1), ("", 0)):
        env = {**os.environ, "PYSKL_SEMLOSS_HOST": promised}
        done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True, text=True)
        assert done.returncode == status, done.stdout + done.stderr


def test_a_complete_1_2_0_and_the_1_1_0_pass(tmp_path):
    code = "from pyskl_semloss.hosts.mmaction2.environment import check_environment; print(check_environment())"
    code = code.replace("from pyskl_semloss.hosts.mmaction2.environment import", "from environment import")
    for number, version in enumerate(("1.1.0", "1.2.0")):
        folder = tmp_path / str(number)
        folder.mkdir()
        packages(folder, **{**GOOD, "mmaction": version})
        (folder / "mmaction" / "models" / "localizers" / "drn").mkdir(parents=True)
        (folder / "importlib_metadata.py").touch()
        if version == "1.2.0":
            where = [folder, ROOT, HOST]
            assert "needs torchvision; run: pip install torchvision" in run(code, "-S", path=where).stderr
        (folder / "torchvision.py").touch()
        assert run(code, "-S", path=[folder, ROOT, HOST]).stdout.strip() == version
