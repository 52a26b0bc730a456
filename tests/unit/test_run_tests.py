"""tools/run_tests.sh: what fails in company is repeated alone, but what could not be collected is never hidden."""

import shutil
import subprocess
import sys

import pytest

from helpers import ROOT

pytest.importorskip("xdist")

GOOD = "def test_good():\n    pass\n"
FLAKY = """
from pathlib import Path
def test_flaky():
    mark = Path(__file__).with_name("ran")
    known = mark.exists()
    mark.touch()
    assert known
"""


@pytest.mark.parametrize(
    ("other", "status", "repeated"),
    [(FLAKY, 0, True), ("import no_such_module\n", 1, False), ("def test_bad():\n    assert False\n", 1, True)],
)
def test_a_failure_is_repeated_and_a_broken_collection_is_not(tmp_path, other, status, repeated):
    (tmp_path / "tools").mkdir()
    shutil.copy(ROOT / "tools" / "run_tests.sh", tmp_path / "tools")
    # Stands for the installation; the environment is the one that this test runs in.
    (tmp_path / "tools" / "setup_env.sh").write_text(f"setup_env() {{ PYTHON={sys.executable!r}; }}\n")
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "test_good.py").write_text(GOOD)
    (tmp_path / "test_other.py").write_text(other)
    done = subprocess.run(["bash", "tools/run_tests.sh"], cwd=tmp_path, capture_output=True, text=True, timeout=600)
    assert (done.returncode != 0) == status, done.stdout
    assert ("repeated alone" in done.stdout) == repeated
