"""Fixtures that every test may use, and the rule for a missing host."""

import importlib.util
import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def pytest_configure():
    """A missing host skips its tests, except in the environment that promises it (PYSKL_SEMLOSS_HOST)."""
    if os.environ.get("PYSKL_SEMLOSS_HOST") == "mmaction2" and importlib.util.find_spec("mmaction") is None:
        pytest.exit("PYSKL_SEMLOSS_HOST promises MMAction2, but it is not installed", returncode=1)


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """The folder of real data and golden outputs beside the checkout; tests that need it skip where it is absent."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip(f"needs the real data in {folder.name}/ beside the checkout")
    return folder
