"""The table of tests/mutation names modules and tests that are there."""

import sys

import pytest

from helpers import ROOT

sys.path.insert(0, str(ROOT / "tests" / "mutation"))

from mutated_modules import TESTS  # noqa: E402


@pytest.mark.parametrize("module", TESTS)
def test_a_mutated_module_and_its_tests_are_there(module):
    assert (ROOT / "pyskl_semloss" / f"{module}.py").is_file()
    files = [name for name in TESTS[module] if name.startswith("tests/")]
    assert files and all((ROOT / name).is_file() for name in files)
