"""What an import takes with it."""

import subprocess
import sys

import pytest

from helpers import HEAVY, ROOT


def run(code):
    lines = f"import sys; {code}"
    return subprocess.run([sys.executable, "-c", lines], capture_output=True, text=True, cwd=ROOT, timeout=600)


def test_import_is_light():
    code = f"import pyskl_semloss; print([name for name in {HEAVY!r} if name in sys.modules])"
    assert run(code).stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("module", "allowed"),
    [
        ("skeletons", ()),
        ("semantic.label_vectors", ()),
        ("annotations", ()),
        ("synthetic.clips", ()),
        ("evaluation.fusion_plan", ()),
        ("keypoint_ops", ()),
        ("gcn", ("torch",)),
        ("heatmap", ()),
        ("heatmap.torch_engine", ("torch",)),
        ("heatmap.numba_engine", ("numba",)),
        ("semantic.loss", ("torch",)),
        ("hosts.checkpoints", ("torch",)),
        ("hosts.environment", ()),
        ("video", ()),
    ],
)
def test_the_core_takes_no_host_and_only_what_it_is_about(module, allowed):
    code = f"import pyskl_semloss.{module}; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = run(code)
    assert done.returncode == 0, done.stderr
    assert set(eval(done.stdout)) <= set(allowed)
