"""The files that come with the package, by name, and the commands that bring configs out of it."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from helpers import ROOT
from pyskl_semloss.cli.configs import copy_config
from pyskl_semloss.cli.quickstart import run_command, steps
from pyskl_semloss.errors import InputError
from pyskl_semloss.evaluation.fusion_config import plan_from_config
from pyskl_semloss.io import resources as module
from pyskl_semloss.io.resources import config_and_bases, config_names, find_config, resource_path
from pyskl_semloss.semantic.class_names import read_class_names
from pyskl_semloss.semantic.label_vectors import build_label_vectors

TRACKED = subprocess.run(["git", "ls-files", "configs"], cwd=ROOT, capture_output=True, text=True).stdout.split()
WORDS = "data/glove.6B.300d.imigue48.txt"


def tracked_configs():
    names = (name.removeprefix("configs/") for name in TRACKED if name.endswith(".py"))
    return {name for name in names if "/_base_/" not in name}


def test_names_are_those_of_the_tracked_configs():
    assert len(tracked_configs()) > 40
    assert tracked_configs() <= set(config_names())
    assert {name for name in tracked_configs() if name.startswith("pyskl/")} <= set(config_names("pyskl"))
    assert not any(name.startswith("mmaction2/") for name in config_names("pyskl"))
    with pytest.raises(InputError, match="field 'host': expected mmaction2 or pyskl, got 'mmaction'"):
        config_names("mmaction")


@pytest.mark.parametrize("before", ["", "configs/", "pyskl_semloss::"])
@pytest.mark.parametrize("after", ["", ".py"])
def test_a_config_is_known_by_its_name(before, after, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = find_config(f"{before}mmaction2/imigue/joint{after}")
    assert Path(path).read_bytes() == (ROOT / "configs/mmaction2/imigue/joint.py").read_bytes()


def test_a_file_goes_before_a_shipped_config_of_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    own = Path("mmaction2/imigue/joint.py")
    own.parent.mkdir(parents=True)
    own.write_text("x = 1\n")
    assert find_config(str(own)) == str(own)
    assert find_config("mmaction2/imigue/joint") != str(own)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("mmaction2/imigue/jiont.py", "no such config file; did you mean mmaction2/imigue/joint.py"),
        ("configs/mmaction2/smg/limb_baselin", "did you mean mmaction2/smg/limb_baseline.py"),
        ("nowhere.py", "nowhere.py: there is no such config file. `semloss configs list` shows"),
        ("../../setup", "there is no such config file"),
        ("mine", "expected a config file, got a folder"),
    ],
)
def test_what_is_no_config_is_said(name, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("mine").mkdir()
    with pytest.raises(InputError, match=re.escape(message)):
        find_config(name)


def test_a_fusion_config_is_known_by_its_name_too(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plan = plan_from_config("mmaction2/smg/fusion")
    assert [part.weight for part in plan.parts] == [2, 3]
    assert plan.out == "work_dirs/smg/fusion/test_scores.npz"


def test_bases_are_all_that_a_config_needs():
    assert config_and_bases("mmaction2/synthetic/limb.py") == [
        "mmaction2/synthetic/limb.py",
        "mmaction2/synthetic/joint.py",
        "mmaction2/_base_/posec3d_small.py",
        "mmaction2/_base_/keypoints_16x32.py",
        "mmaction2/_base_/schedule.py",
        "mmaction2/_base_/runtime.py",
        "mmaction2/_base_/posec3d.py",
        "mmaction2/_base_/keypoints_48x56.py",
    ]
    assert config_and_bases("mmaction2/synthetic/fusion.py") == ["mmaction2/synthetic/fusion.py"]


def test_every_copy_reads_as_the_original(tmp_path):
    config = pytest.importorskip("mmengine.config").Config
    for name in sorted(name for name in tracked_configs() if name.startswith("mmaction2/") and "fusion" not in name):
        folder = tmp_path / name.removesuffix(".py").replace("/", "_")
        assert all(copy_config(name.removesuffix(".py"), folder).values())
        given = config.fromfile(folder / name, import_custom_modules=False)
        assert given.to_dict() == config.fromfile(ROOT / "configs" / name, import_custom_modules=False).to_dict()


def test_copies_share_their_bases_and_overwrite_nothing(tmp_path):
    copy_config("mmaction2/smg/joint", tmp_path)
    second = copy_config("mmaction2/smg/limb", tmp_path)
    written = {path.relative_to(tmp_path).as_posix() for path, new in second.items() if new}
    assert written == {"mmaction2/smg/limb.py"} and len(second) > 4

    base = tmp_path / "mmaction2/_base_/posec3d.py"
    base.write_text("model = dict()\n")
    with pytest.raises(InputError, match="posec3d.py: there is another file of this name, and it is kept"):
        copy_config("mmaction2/imigue/joint", tmp_path)
    assert base.read_text() == "model = dict()\n"
    assert not (tmp_path / "mmaction2/imigue").exists(), "nothing is written where one file cannot be"


def test_a_folder_of_configs_is_copied_whole(tmp_path):
    copied = copy_config("mmaction2/own", tmp_path / "mine")
    names = {path.relative_to(tmp_path / "mine").as_posix() for path in copied}
    assert {"mmaction2/own/joint.py", "mmaction2/own/limb.py", "mmaction2/own/fusion.py"} < names
    assert "mmaction2/_base_/runtime.py" in names


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["copy", "mmaction2/imigue/jiont"], "did you mean mmaction2/imigue/joint.py?"),
        (["copy", "mmaction2/imgue/joint"], "no such config file; did you mean mmaction2/imigue/joint.py?"),
        (["copy", "mmaction2/imigu"], "no such folder of configs; did you mean mmaction2/imigue?"),
        (["copy", "mmaction2/_base_/posec3d"], "it is no config of the package"),
        (["copy", "mmaction2/imigue/joint", "mine.py"], "expected a folder, got the name of a config"),
        (["list", "mmaction"], "invalid choice: 'mmaction'"),
    ],
)
def test_the_command_refuses_in_words(words, message, tmp_path):
    command = [sys.executable, "-m", "pyskl_semloss", "configs", *words]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 2 and message in done.stderr
    assert "Traceback" not in done.stderr and not list(tmp_path.iterdir())


def test_a_checkout_without_symbolic_links_has_the_same_files(tmp_path, monkeypatch):
    package = tmp_path / "pyskl_semloss"
    (package / ".mim").mkdir(parents=True)
    (package / ".mim/data").write_text("../../data")
    (tmp_path / "data").mkdir()
    (tmp_path / "data/imigue_labels.txt").write_text("turtle neck\n")
    monkeypatch.setattr(module, "_PACKAGE", package)
    assert resource_path("data/imigue_labels.txt") == tmp_path / "data/imigue_labels.txt"
    with pytest.raises(InputError, match="data/smg_labels.txt: the installation of pyskl_semloss lacks it"):
        resource_path("data/smg_labels.txt")


def test_the_shipped_words_are_those_of_the_names_and_give_the_papers_vectors(shared_dir):
    np = pytest.importorskip("numpy")
    assert resource_path(WORDS).read_bytes() == (shared_dir / "data/glove" / Path(WORDS).name).read_bytes()
    labels = build_label_vectors(read_class_names(resource_path("data/imigue_labels.txt")), "shipped")
    expected = np.load(shared_dir / "data/glove/imigue_label_vectors.npy")
    np.testing.assert_allclose(labels.vectors, expected, atol=1e-6)
    assert "Public Domain Dedication and License" in resource_path("data/NOTICE.txt").read_text()


def test_the_quickstart_takes_the_papers_vectors_and_no_random_ones(tmp_path):
    for name in ("synthetic", "synthetic_short"):
        for modality in ("joint", "limb"):
            run = tmp_path / "work_dirs" / name / modality
            run.mkdir(parents=True)
            (run / "last_checkpoint").write_text("epoch.pth")
    commands = {short: [words for _, words in steps(tmp_path, short)] for short in (False, True)}
    for short, sequence in commands.items():
        names = ["prepare", "label-vectors", "train", "test", "train", "test", "fuse", "report"]
        assert [words[0] for words in sequence] == names
        assert sequence[1][sequence[1].index("--vectors") + 1] == "shipped"
        assert ("--epochs" in sequence[2]) is short
        assert sequence[6][1:6] == [
            f"work_dirs/synthetic{'_short' if short else ''}/{part}/test_scores.npz" for part in ("joint", "limb")
        ] + ["--weights", "2", "3"]
    assert "1200" in commands[False][0] and "120" in commands[True][0]


def test_a_step_that_fails_ends_the_quickstart_with_its_status(tmp_path, capfd):
    run_command(["--version"], tmp_path)
    assert "semloss" in capfd.readouterr().out
    with pytest.raises(SystemExit) as ended:
        run_command(["label-vectors", "--labels", "absent.txt", "--vectors", "hash", "--out", "v.npz"], tmp_path)
    assert ended.value.code == 2
    assert "absent.txt" in capfd.readouterr().err and not list(tmp_path.iterdir())


def test_a_stopped_quickstart_leaves_no_step_behind(tmp_path):
    pytest.importorskip("mmaction")
    command = [sys.executable, "-m", "pyskl_semloss", "quickstart"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = subprocess.Popen(command, cwd=tmp_path, text=True, start_new_session=True, **pipes)
    while "== Data" not in process.stdout.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=600)
    assert process.returncode == 143 and "stopped by SIGTERM" in said and "Traceback" not in said
    # A step that was left running would write its file before its group is gone.
    end = time.monotonic() + 600
    with contextlib.suppress(ProcessLookupError):
        while time.monotonic() < end:
            os.killpg(process.pid, 0)
            time.sleep(0.1)
    assert time.monotonic() < end and not list(tmp_path.rglob("annotations.pkl"))
