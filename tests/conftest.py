"""Fixtures that every test may use, and the rule for a missing host."""

import importlib.util
import os
import signal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).resolve().parents[1]


ONE_ENVIRONMENT = """
endurance exit_on_signal faults full_disk full_disk_training fuzz_corpus hostile_checkpoints hostile_files hostile_hosts
hostile_names hostile_text interruption messages mmaction2_benchmark mmaction2_ddp mmaction2_messages mmaction2_runs
other_systems pyskl_runs recorded_config repeatability reproduce reproduce_real reproduce_stages resume resume_deaths
resources resume_kills resume_malformed run_lock run_tests screen stopped_tools sweep_real graph_runs tutorial
unseen_real wheel
""".split()
"""Test files of real trainings, of processes that are started and killed, and of all readers with hostile files.

What they look at depends on no version of numpy. They are slow, and so are the files of SLOW.
"""

SLOW = """
app_server converters_splits mmaction2_configs mmaction2_gcn mmaction2_predictor mmaction2_recognizer onnx_export
outputs own_keypoints results store sweep video_estimate
""".split()
"""Other test files that take ten seconds and more, all together."""

FOLDERS = {"browser": "browser", "hosts/mmaction2": "mmaction2", "hosts/pyskl": "pyskl"}
"""Folders below tests/, and the marker of all that lies there."""


def pytest_collection_modifyitems(items):
    """Mark tests by their files; a contributor runs those with ``-m "not slow"``."""
    for item in items:
        name = item.path.stem.removeprefix("test_")
        if name in ONE_ENVIRONMENT:
            item.add_marker("one_environment")
        if name in ONE_ENVIRONMENT or name in SLOW:
            item.add_marker("slow")
        folder = item.path.parent.relative_to(ROOT / "tests").as_posix()
        if folder in FOLDERS:
            item.add_marker(FOLDERS[folder])


def pytest_configure():
    """A missing host skips its tests, except in the environment that promises it (PYSKL_SEMLOSS_HOST)."""
    hosts = {"mmaction2": ("MMAction2", "mmaction"), "pyskl": ("PySKL", "pyskl"), "video": ("MediaPipe", "mediapipe")}
    for promised in os.environ.get("PYSKL_SEMLOSS_HOST", "").split():
        name, module = hosts[promised]
        if importlib.util.find_spec(module) is None:
            pytest.exit(f"PYSKL_SEMLOSS_HOST promises {name}, but it is not installed", returncode=1)
    # A busy machine is no fault of an example; a profile that somebody else chose stays.
    if settings.get_current_profile_name() == "default":
        settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
        settings.load_profile("unhurried")
    # What a shell's & and nohup ignore, the tools that are tested would ignore, too.
    for number, heard in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, heard)


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """The folder of real data and golden outputs beside the checkout; tests that need it skip where it is absent."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip(f"needs the real data in {folder.name}/ beside the checkout")
    return folder


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Every valid file with its reader, by name, and their bytes."""
    from helpers.reader_files import contents, make_files

    files = make_files(tmp_path_factory.mktemp("files"))
    return files, contents(files)


@pytest.fixture
def files(made):
    """Every valid file with its reader; they are whole again after the test."""
    from helpers.reader_files import restore

    yield made[0]
    restore(made[1])
