"""MMAction2 and PySKL, each in its own environment: same clips, same weights, same maps, scores, losses, gradients.

The other host's interpreter is named by PYSKL_SEMLOSS_PYTHON_MMACTION2 or PYSKL_SEMLOSS_PYTHON_PYSKL, or is the one
that tools/run_tests.sh made.
"""

import importlib.util
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

from helpers import ROOT
from pyskl_semloss.annotations import AnnotationSet, write_annotations
from pyskl_semloss.synthetic.clips import generate

HERE = "mmaction2" if importlib.util.find_spec("mmaction") else "pyskl" if importlib.util.find_spec("pyskl") else None
MADE = {"mmaction2": ROOT / ".venv" / "bin" / "python", "pyskl": ROOT / ".venv-pyskl" / "bin" / "python"}


def python_of(host):
    if host == HERE:
        return sys.executable
    return os.environ.get(f"PYSKL_SEMLOSS_PYTHON_{host.upper()}", str(MADE[host]))


def run(host, *command):
    env = {**os.environ, "OMP_NUM_THREADS": "2", "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        [python_of(host), *map(str, command)], capture_output=True, text=True, timeout=600, env=env, cwd=ROOT
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def found(tmp_path_factory, shared_dir):
    """Both hosts' numbers, by host."""
    for host, module in (("mmaction2", "mmaction"), ("pyskl", "pyskl")):
        probe = [python_of(host), "-c", f"import pyskl_semloss.hosts.{host}"]
        if not shutil.which(probe[0]) or subprocess.run(probe, capture_output=True, cwd=ROOT).returncode:
            pytest.skip(f"needs a Python that can import {module} beside this one")
    folder = tmp_path_factory.mktemp("parity")
    clips = generate(32, seed=3, subjects=4)
    ids = [clip.frame_dir for clip in clips.clips]
    write_annotations(folder / "imigue.pkl", AnnotationSet({"train": ids, "test": ids}, clips.clips))
    shutil.copy(shared_dir / "data" / "glove" / "imigue_label_vectors.npy", folder / "imigue.npy")
    shutil.copy(shared_dir / "data" / "msr_action3d" / "msr_action3d.pkl", folder / "msr_action3d.pkl")
    np.save(folder / "msr_action3d.npy", np.random.default_rng(0).normal(size=(20, 25)).astype(np.float32))
    result = {}
    for host in ("mmaction2", "pyskl"):
        run(host, "tests/helpers/host_outputs.py", host, folder, folder / f"{host}.npz")
        with np.load(folder / f"{host}.npz") as file:
            result[host] = dict(file)
    return result | {"folder": folder}


def test_the_same_parameters_and_every_map_score_and_loss(found):
    one, two = found["mmaction2"], found["pyskl"]
    assert set(one) == set(two) and len([key for key in one if "/grad/" in key]) > 100
    for key in one:
        if "/grad/" not in key:
            assert one[key].reshape(two[key].shape).shape == two[key].shape
            np.testing.assert_allclose(one[key].reshape(two[key].shape), two[key], atol=1e-5, err_msg=key)
    assert {len(one[f"{name}/scores"]) for name in ("imigue/joint", "imigue/limb")} == {32}


def test_every_gradient(found):
    """Relative to the largest entry of its tensor.

    CTR-GCN is our own module on one host: in float32 rounding puts single activations on the other side of a ReLU, so
    tests/hosts/pyskl/test_pyskl_gcn.py compares it in float64.
    """
    for key, value in found["pyskl"].items():
        if "/grad/" in key and "ctrgcn" not in key:
            scale = np.abs(value).max() + 1e-12
            difference = np.abs(found["mmaction2"][key] - value).max() / scale
            assert difference < 1e-5, (key, difference)


@pytest.mark.parametrize(("writer", "reader"), [("mmaction2", "pyskl"), ("pyskl", "mmaction2")])
@pytest.mark.parametrize(
    ("case", "through_the_release"),
    [("joint", False), ("joint", True), ("stgcnpp", False), ("ctrgcn", False)],
)
def test_checkpoints_cross(found, writer, reader, case, through_the_release):
    """Directly, and through the release's names and back, which is what the published files need."""
    folder, checkpoint = found["folder"], f"{writer}.npz.{case}.pth"
    if through_the_release:
        for old, new, *more in (
            (checkpoint, "release.pth", "--to", "release"),
            ("release.pth", "again.pth", "--label-vectors", folder / "msr_action3d.npy"),
        ):
            run(reader, "tools/convert_checkpoint.py", folder / old, folder / new, *more)
        checkpoint = "again.pth"
    loaded = f"msr_action3d/{case}", folder / checkpoint
    run(reader, "tests/helpers/host_outputs.py", reader, folder, folder / "crossed.npz", *loaded)
    with np.load(folder / "crossed.npz") as file:
        expected = found[writer][f"msr_action3d/{case}/scores"]
        np.testing.assert_allclose(file["scores"], expected, atol=1e-6)
    assert np.ptp(expected) > 5e-3
