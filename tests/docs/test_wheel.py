"""The wheel is enough: built, checked, and used in an empty folder with nothing of the checkout on the path."""

import os
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

from helpers import ROOT

BUILD = "from setuptools import build_meta; print(build_meta.build_{kind}({out!r}))"
LIMIT = 1800
"""Seconds for the whole short recipe, on two cores that have other work."""


def run(command, folder, timeout=600, **environment):
    """Run a command without a checkout on the path; it must succeed."""
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONSAFEPATH")}
    done = subprocess.run(
        [str(word) for word in command],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**kept, **environment},
        timeout=timeout,
    )
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


def build(kind, source, out):
    """Build an sdist or a wheel of a source folder with the setuptools that is installed."""
    return out / run([sys.executable, "-c", BUILD.format(kind=kind, out=str(out))], source).splitlines()[-1]


def sources():
    """The files of the checkout that are, or would be, tracked."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return [name for name in listed.stdout.splitlines() if os.path.lexists(ROOT / name)]


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Sdist and wheel: the wheel is built of the sdist, as a package index would get them."""
    folder = tmp_path_factory.mktemp("build")
    source = folder / "source"
    for name in sources():
        target = source / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_symlink():
            target.symlink_to(os.readlink(ROOT / name))
        else:
            target.write_bytes((ROOT / name).read_bytes())
    sdist = build("sdist", source, folder)
    with tarfile.open(sdist) as archive:
        archive.extractall(folder / "unpacked", filter="data")
    (unpacked,) = (folder / "unpacked").iterdir()
    return sdist, build("wheel", unpacked, folder), source


@pytest.fixture(scope="module")
def installed(built, tmp_path_factory):
    """The programs of a new environment with the wheel; it sees the other packages of the running one."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False)
    programs = folder / ("Scripts" if os.name == "nt" else "bin")
    python = programs / "python"
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    packages = Path(run([python, "-c", code], folder).strip())
    (packages / "running.pth").write_text(sysconfig.get_path("purelib") + "\n")
    pip = [sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check", "install", "--quiet"]
    run([*pip, "--no-index", "--no-deps", "--ignore-installed", built[1]], folder)
    return programs


def expected_data():
    """What the package needs beside its modules, as names in the wheel."""
    tracked = sources()
    names = {f"pyskl_semloss/.mim/{name}" for name in tracked if name.startswith("configs/")}
    names |= {f"pyskl_semloss/.mim/{name}" for name in tracked if name.startswith("data/")}
    names |= {name for name in tracked if name.startswith("pyskl_semloss/") and "/assets/" in name}
    return names | {"pyskl_semloss/py.typed", "pyskl_semloss/.mim/model-index.yml"}


def test_both_have_every_module_and_what_they_need_beside(built):
    sdist, wheel, source = built
    with zipfile.ZipFile(wheel) as archive:
        in_wheel = {name for name in archive.namelist() if ".dist-info/" not in name}
        links = [entry.filename for entry in archive.infolist() if (entry.external_attr >> 16) & 0o170000 == 0o120000]
    modules = {name for name in sources() if name.startswith("pyskl_semloss/") and name.endswith(".py")}
    data = expected_data()
    for name in ("data/imigue_labels.txt", "data/glove.6B.300d.imigue48.txt", "data/NOTICE.txt"):
        assert f"pyskl_semloss/.mim/{name}" in data
    assert "pyskl_semloss/.mim/configs/mmaction2/_base_/runtime.py" in data
    assert any(name.endswith(".js") for name in data)
    assert in_wheel == modules | data and not links
    with tarfile.open(sdist) as archive:
        assert not [entry.name for entry in archive if entry.issym() or entry.islnk()]
        in_sdist = {name.partition("/")[2] for name in archive.getnames()}
    assert modules | data | {"setup.py", "README.md", "LICENSE", "CITATION.cff"} <= in_sdist
    # As pip does of a checkout or an address of git.
    with zipfile.ZipFile(build("wheel", source, source.parent / "unpacked")) as archive:
        assert {name for name in archive.namelist() if ".dist-info/" not in name} == in_wheel


def test_the_checks_of_packages_pass(built):
    pytest.importorskip("twine")
    pytest.importorskip("check_wheel_contents")
    assert run([sys.executable, "-m", "twine", "check", "--strict", *built[:2]], ROOT).count("PASSED") == 2
    assert "OK" in run([sys.executable, "-m", "check_wheel_contents", built[1]], ROOT)


def test_it_is_imported_from_the_wheel(installed, tmp_path):
    code = "import pyskl_semloss; print(pyskl_semloss.__file__)"
    path = Path(run([installed / "python", "-c", code], tmp_path).strip())
    assert path.is_relative_to(installed.parent) and not path.is_relative_to(ROOT)


def test_configs_come_out_of_it(installed, tmp_path):
    names = run([installed / "semloss", "configs", "list", "mmaction2"], tmp_path).split()
    assert "mmaction2/imigue/joint.py" in names
    said = run([installed / "semloss", "configs", "copy", "mmaction2/imigue/joint"], tmp_path)
    copied = Path("configs/mmaction2/imigue/joint.py")
    assert f"wrote {copied}" in said
    assert (tmp_path / copied).read_bytes() == (ROOT / copied).read_bytes()
    assert (tmp_path / "configs/mmaction2/_base_/runtime.py").is_file()


def test_its_configs_are_bases_by_the_name_of_the_package(installed, tmp_path):
    pytest.importorskip("mmaction")
    (tmp_path / "mine.py").write_text(
        '_base_ = "pyskl_semloss::mmaction2/imigue/joint.py"\nmodel = dict(cls_head=dict(alpha=3.0))\n'
    )
    code = (
        "from pyskl_semloss.hosts.mmaction2.training.run_config import load_config\n"
        "from mmengine.hub import get_config\n"
        "config = load_config('mine.py', uses=[])\n"
        "print(config.model.cls_head.alpha, config.model.backbone.in_channels, '_scope_' in config.model)\n"
        "config = get_config('pyskl_semloss::mmaction2/imigue/limb.py')\n"
        "print(config.model.cls_head.alpha, config.model.backbone.in_channels)\n"
    )
    said = run([installed / "python", "-W", "ignore", "-c", code], tmp_path)
    assert said.splitlines()[-2:] == ["3.0 22 False", "20.0 21"]


def test_the_whole_recipe_runs_in_an_empty_folder(installed, tmp_path):
    pytest.importorskip("mmaction")
    pytest.importorskip("plotly")
    said = run([installed / "semloss", "quickstart", "--short"], tmp_path, LIMIT, OMP_NUM_THREADS="1")
    assert [path.name for path in tmp_path.iterdir()] == ["quickstart"]
    work = tmp_path / "quickstart/work_dirs/synthetic_short"
    assert "32 label vectors" in said and "hash" not in said
    assert said.splitlines()[-1] == str(work / "report/index.html")
    assert (work / "report/index.html").stat().st_size > 100_000
    assert "mean-class" in said and "fusion" in said
    for part in ("joint", "limb", "fusion"):
        assert (work / part / "test_scores.npz").is_file()
