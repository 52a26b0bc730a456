"""Several processes compute what one computes: the gradient of the mean loss over all their clips."""

import os
import subprocess
import sys

import numpy as np
import pytest

from helpers import ROOT
from pyskl_semloss.annotations import AnnotationSet, write_annotations
from pyskl_semloss.synthetic.clips import generate

pytest.importorskip("mmaction")


def test_the_gradient_of_two_processes_is_that_of_one(tmp_path):
    full = generate(32, seed=1, subjects=4)
    ids = [clip.frame_dir for clip in full.clips]
    write_annotations(tmp_path / "a.pkl", AnnotationSet({"train": ids}, full.clips))
    np.save(tmp_path / "a.npy", np.random.default_rng(0).normal(size=(32, 9)).astype(np.float32))
    port = 20000 + os.getpid() % 20000
    launch = ["-m", "torch.distributed.run", "--nproc_per_node=2", f"--master_port={port}"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    found = []
    for name, how in (("one", []), ("two", launch)):
        command = [
            sys.executable,
            *how,
            ROOT / "tests" / "helpers" / "ddp_step.py",
            tmp_path / "a.pkl",
            tmp_path / f"{name}.npz",
        ]
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True, env=environment)
        assert done.returncode == 0, done.stderr[-3000:]
        with np.load(tmp_path / f"{name}.npz") as file:
            found.append(dict(file))
    one, two = found
    assert set(one) == set(two) and len(one) > 20
    for name in set(one) - {"loss"}:
        scale = np.abs(one[name]).max()
        assert scale > 0 and np.abs(one[name] - two[name]).max() < 1e-5 * scale, name
