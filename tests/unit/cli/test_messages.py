"""Every tool ends on a mistake with one line that names it: status 2, no traceback."""

import os
import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest

from helpers import ROOT
from pyskl_semloss.cli.program import exit_on_error
from pyskl_semloss.errors import TRACEBACK, InputError
from pyskl_semloss.evaluation.scores import Scores, check_score_file

TOOLS = ROOT / "tools"
# Beside the benchmarks lie their parts.
PROGRAMS = [path.stem for path in TOOLS.glob("*.py")] + [
    f"benchmark/{path.stem}" for path in TOOLS.glob("benchmark/*.py") if "@exit_on_error" in path.read_text()
]

# What of a missing file is typed after the tool's name, and whether the tool needs MMAction2.
MISSING = {
    "animate_clip": ("nothing clip --out a.gif", False),
    "app": ("--joint nothing", True),
    "benchmark/ensembles": ("nothing", False),
    "benchmark/prediction": ("--joint nothing --limb nothing", True),
    "benchmark/segments": ("--joint nothing", True),
    "build_label_vectors": ("--labels nothing --vectors hash --out v.npz", False),
    "compare_scores": ("nothing nothing", False),
    "compare_segments": ("nothing.csv nothing.csv", False),
    "convert_checkpoint": ("nothing out.pth", False),
    "draw_skeletons": ("nothing.json --out pictures", False),
    "export_onnx": ("--joint nothing --limb nothing -- a.onnx", True),
    "fuse_scores": ("nothing nothing", False),
    "predict": ("nothing --joint nothing", True),
    "prepare_data": ("store nothing out", False),
    "report": ("nothing", False),
    "sweep": ("nothing", False),
    "table3": ("nothing", False),
    "test": ("nothing nothing", True),
    "train": ("nothing", True),
    "unseen": ("nothing", False),
}
WITHOUT_FILES = {
    "benchmark/folding",
    "benchmark/graph_networks",
    "benchmark/throughput",
    "benchmark/store",
    "check_environment",
}
GOES_ON = {"estimate_poses"}
"""With the other videos, and says so: tests/unit/video/test_video_estimate.py."""


def tool(name, words, folder, **environment):
    """Run a tool as a user would, in a folder of its own."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **environment}
    command = [sys.executable, str(ROOT / "tools" / f"{name}.py"), *words.split()]
    return subprocess.run(command, capture_output=True, text=True, env=env, cwd=folder, timeout=600)


def test_no_tool_is_forgotten():
    assert MISSING.keys() | WITHOUT_FILES | GOES_ON == set(PROGRAMS)


@pytest.mark.parametrize("name", MISSING)
def test_a_missing_file_is_one_line(name, tmp_path):
    words, needs_host = MISSING[name]
    if needs_host:
        pytest.importorskip("mmaction")
    if name in ("convert_checkpoint", "draw_skeletons") and find_spec("torch") is None:
        pytest.importorskip("torch")
    done = tool(name, words, tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: nothing") and "no such" in line
    assert not list(tmp_path.iterdir())


def test_ctrl_c_and_missing_packages_are_one_line(monkeypatch, capsys):
    def interrupted():
        raise KeyboardInterrupt

    def without_package():
        import no_such_package.inside  # noqa: F401

    monkeypatch.delenv(TRACEBACK, raising=False)
    for main, status, words in (
        (interrupted, 130, "stopped by SIGINT"),
        (without_package, 2, "error: the package no_such_package is not installed; run: pip install no_such_package"),
    ):
        with pytest.raises(SystemExit) as end:
            exit_on_error(main)()
        assert end.value.code == status and capsys.readouterr().err == words + "\n"
    monkeypatch.setenv(TRACEBACK, "1")
    with pytest.raises(KeyboardInterrupt):
        exit_on_error(interrupted)()


@pytest.mark.parametrize(
    ("name", "words", "expected"),
    [
        ("prepare_data", "synthetic out.npz", "error: out.npz: expected a name that ends in .pkl."),
        ("prepare_data", "pickle store out", "error: out: expected a name that ends in .pkl."),
        ("fuse_scores", "run run", "error: run: expected a score file, got a folder. Give run/test_scores.npz."),
        ("report", "s.npz --ann-file store --split x", "It is a keypoint store; python tools/prepare_data.py pickle"),
        ("compare_scores", "s.npz s.npz --seed -1", "field 'seed': expected a whole number from 0, got -1."),
        ("compare_scores", "s.npz s.npz --vectors v.npy", "v.npy: field 'label_vectors': expected 3 classes, got 5"),
        ("report", "s.npz --out page.html", "page.html: field 'out': expected the name of a folder"),
        (
            "build_label_vectors",
            "--labels tab.txt --vectors hash --out v.npz",
            r"class 0, 'clap\thands', holds the char",
        ),
        ("sweep", "run/c.py --vectors given --epochs 0", "error: field '--epochs': expected at least 1, got 0."),
    ],
)
def test_mistakes_with_real_files(name, words, expected, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "store.json").write_text("{}")
    (tmp_path / "run" / "c.py").write_text("")
    (tmp_path / "tab.txt").write_text("clap\thands\nwave\n")
    np.save(tmp_path / "v.npy", np.eye(5, dtype=np.float32))
    scores = Scores(np.array(["a", "b"]), np.full((2, 3), 1 / 3, np.float32), np.array([0, 1]))
    for place in ("s.npz", "run/test_scores.npz"):
        scores.save(tmp_path / place)
    done = tool(name, words, tmp_path)
    assert done.returncode == 2 and expected in done.stderr and len(done.stderr.splitlines()) == 1


def test_a_folder_without_scores_says_what_writes_them(tmp_path):
    with pytest.raises(InputError, match="expected a score file, got a folder. semloss test writes one"):
        check_score_file(tmp_path)
