"""The commands of the recipe, as --dry-run prints them, and what it refuses."""

import dataclasses
import os
import subprocess
import sys

import pytest

from helpers import ROOT
from pyskl_semloss.cli import reproduce
from pyskl_semloss.datasets import IMIGUE

SCRIPT = ROOT / "tools" / "reproduce.sh"
SETTINGS = (
    "--cfg-options train_dataloader.dataset.ann_file={a} val_dataloader.dataset.ann_file={a} "
    "test_dataloader.dataset.ann_file={a} model.cls_head.label_vectors={v}"
)


@pytest.fixture
def dry_run(monkeypatch, capsys):
    """Returns the lines that a dry run prints; on an error the last one."""

    def run(*arguments, code=0, here=ROOT):
        monkeypatch.chdir(ROOT)
        monkeypatch.setattr(sys, "executable", "python")
        monkeypatch.setattr(sys, "argv", ["reproduce", "--here", str(here), "--dry-run", *map(str, arguments)])
        status = 0
        try:
            reproduce.main()
        except SystemExit as end:
            status = end.code
        printed = capsys.readouterr()
        assert status == code, printed
        return printed.err.splitlines()[-1] if code else printed.out.splitlines()

    return run


@pytest.fixture
def source(tmp_path):
    """Folders that look like the four forms."""
    for name in ("raw/0054/0054_light_hand.csv", "kit/train_data.npy", "smg/Sample0001/Sample0001_skeleton.csv"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()
    (tmp_path / "ids.txt").write_text("0054_0\n")
    (tmp_path / "empty").mkdir()
    return tmp_path


def test_imigue_raw(dry_run, source):
    settings = SETTINGS.format(a="data/imigue/annotations.pkl", v="data/imigue/label_vectors.npz")
    config, work = "configs/mmaction2/imigue", "work_dirs/imigue"
    assert dry_run("imigue", source / "raw") == [
        f"In {source}/raw are raw CSV files of imigue.",
        "# Stage 1/7: annotations from raw CSV files",
        f"python tools/prepare_data.py imigue {source}/raw data/imigue/annotations.pkl",
        "# Stage 2/7: label vectors from glove-wiki-gigaword-300",
        "python tools/build_label_vectors.py --labels data/imigue_labels.txt --vectors glove-wiki-gigaword-300 "
        "--out data/imigue/label_vectors.npz",
        "# Stage 3/7: training joint",
        f"python tools/train.py {config}/joint.py --work-dir {work}/joint --resume {settings}",
        "# Stage 4/7: training limb",
        f"python tools/train.py {config}/limb.py --work-dir {work}/limb --resume {settings}",
        "# Stage 5/7: testing joint",
        f'python tools/test.py {config}/joint.py "$(cat {work}/joint/last_checkpoint)" --work-dir {work}/joint '
        f"--out {work}/joint/test_scores.npz {settings}",
        "# Stage 6/7: testing limb",
        f'python tools/test.py {config}/limb.py "$(cat {work}/limb/last_checkpoint)" --work-dir {work}/limb '
        f"--out {work}/limb/test_scores.npz {settings}",
        "# Stage 7/7: fusion, joint : limb = 2 : 3, and submission",
        f"python tools/fuse_scores.py {work}/joint/test_scores.npz {work}/limb/test_scores.npz --weights 2 3 "
        f"--out {work}/fusion/test_scores.npz --submission {work}/fusion/Submission.zip",
    ]


def test_the_papers_variant_on_two_gpus(dry_run, source):
    lines = dry_run("imigue", source / "kit", "--paper", "--gpus", 2)
    settings = SETTINGS.format(a="data/imigue/annotations_padded90.pkl", v="data/imigue/label_vectors.npz")
    config, work = "configs/mmaction2/imigue", "work_dirs/imigue_paper"
    launch = "python -m torch.distributed.run --nproc_per_node 2 --master_addr 127.0.0.1 --master_port 29500"
    assert lines[0] == f"In {source}/kit are the challenge kit's arrays of imigue."
    assert lines[2] == (
        f"python tools/prepare_data.py imigue-kit {source}/kit data/imigue/annotations_padded90.pkl --keep-padding"
    )
    assert lines[6::2][:4] == [
        *(
            f"{launch} tools/train.py {config}/{modality}_paper.py --work-dir {work}/{modality} --resume {settings} "
            "--launcher pytorch"
            for modality in ("joint", "limb")
        ),
        *(
            f'{launch} tools/test.py {config}/{modality}_paper.py '
            f'"$(ls -t {work}/{modality}/best_acc_top1_epoch_*.pth | head -n 1)" --work-dir {work}/{modality} '
            f"--out {work}/{modality}/test_scores.npz {settings} --launcher pytorch"
            for modality in ("joint", "limb")
        ),
    ]  # fmt: skip


def test_the_kit_is_trimmed_without_paper(dry_run, source):
    assert dry_run("imigue", source / "kit")[2] == (
        f"python tools/prepare_data.py imigue-kit {source}/kit data/imigue/annotations.pkl"
    )
    assert dry_run("smg", source / "kit")[2] == (
        f"python tools/prepare_data.py smg-kit {source}/kit data/smg/annotations.pkl"
    )


def test_smg_with_every_option_from_another_folder(dry_run, source):
    configs = source / "mine"
    configs.mkdir()
    for modality in ("joint", "limb"):
        (configs / f"{modality}.py").touch()
    (source / "words.txt").touch()
    lines = dry_run(
        "smg", "smg", "--split-file", "test=ids.txt", "--subjects", "ids.txt", "--partial", "--gpus", 0, "--vectors",
        "words.txt",
        "--alias", "turtling=turtle", "--ids", "ids.txt", "--work-dir", "out", "--config-dir", "mine", "--", "--epochs",
        1, here=source,
    )  # fmt: skip
    out = source / "out"
    settings = SETTINGS.format(a=f"{out}/annotations.pkl", v=f"{out}/label_vectors.npz")
    cpu = "env CUDA_VISIBLE_DEVICES=-1 python"
    assert lines[2::2] == [
        f"python tools/prepare_data.py smg {source}/smg {out}/annotations.pkl --split-file test={source}/ids.txt "
        f"--subjects {source}/ids.txt --partial",
        f"python tools/prepare_data.py ids {out}/annotations.pkl {source}/ids.txt --split test",
        f"python tools/build_label_vectors.py --labels data/smg_labels.txt --vectors {source}/words.txt "
        f"--out {out}/label_vectors.npz --alias turtling=turtle --oov skip",
        f"{cpu} tools/train.py {configs}/joint.py --work-dir {out}/joint --resume {settings} --epochs 1",
        f"{cpu} tools/train.py {configs}/limb.py --work-dir {out}/limb --resume {settings} --epochs 1",
        f'{cpu} tools/test.py {configs}/joint.py "$(cat {out}/joint/last_checkpoint)" --work-dir {out}/joint '
        f"--out {out}/joint/test_scores.npz {settings}",
        f'{cpu} tools/test.py {configs}/limb.py "$(cat {out}/limb/last_checkpoint)" --work-dir {out}/limb '
        f"--out {out}/limb/test_scores.npz {settings}",
        f"python tools/fuse_scores.py {out}/joint/test_scores.npz {out}/limb/test_scores.npz --weights 2 3 "
        f"--out {out}/fusion/test_scores.npz --submission {out}/fusion/Submission.zip --ids {source}/ids.txt",
    ]
    assert not out.exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("imigue",), "expected a data set and its folder, got 1"),
        (("ntu", "raw"), "expected imigue or smg, got ntu"),
        (("imigu", "raw"), "expected imigue or smg, got imigu; did you mean 'imigue'?"),
        (("imigue", "nowhere"), "there is no such folder"),
        (("imigue", "empty"), "expected ID/ID_light_hand.csv (raw) or train_data.npy (kit); it has neither"),
        (("smg", "empty"), "expected SampleNNNN/SampleNNNN_skeleton.csv (raw) or train_data.npy (kit)"),
        (("smg", "raw"), "these are iMiGUE's raw files"),
        (("imigue", "smg"), "these are SMG's raw files"),
        (("imigue", "raw", "--paper"), "--paper needs iMiGUE's kit"),
        (("smg", "kit", "--paper"), "--paper needs iMiGUE's kit"),
        (("imigue", "raw", "--gpus", "two"), "--gpus: expected a number, got two"),
        (("imigue", "raw", "--ids", "nowhere.txt"), "nowhere.txt: there is no such file"),
        (("imigue", "raw", "--split-file", "test=nowhere.txt"), "nowhere.txt: there is no such file"),
        (("imigue", "raw", "--config-dir", "empty"), "empty/joint.py: there is no such config"),
        (("imigue", "raw", "--gpu", "2"), "there is no option --gpu"),
    ],
)
def test_wrong_arguments_are_one_sentence(dry_run, source, arguments, message):
    line = dry_run(*arguments, code=2, here=source)
    assert line.startswith("error: ") and message in line


def test_a_row_of_the_table_is_all_that_another_data_set_needs(dry_run, source, monkeypatch):
    raw = dataclasses.replace(IMIGUE, name="Third", skeleton_suffix="_points.csv", label_suffix="_gestures.csv")
    third = reproduce.DataSet(raw, "NAME", vector_options=("--oov", "skip"))
    monkeypatch.setitem(reproduce.DATA_SETS, "third", third)
    (source / "new/day1/0001").mkdir(parents=True)
    (source / "new/day1/0001/0001_points.csv").touch()
    for modality in ("joint", "limb"):
        (source / f"{modality}.py").touch()
    lines = dry_run("third", "new", "--config-dir", ".", "--work-dir", "out", here=source)
    assert lines[0] == f"In {source}/new are raw CSV files of third."
    assert lines[2] == f"python tools/prepare_data.py third {source}/new {source}/out/annotations.pkl"
    assert "--labels data/third_labels.txt" in lines[4] and lines[4].endswith("--oov skip")
    line = dry_run("third", "smg", code=2, here=source)
    assert "these are SMG's raw files (SampleNNNN_skeleton.csv), not third's" in line
    line = dry_run("imigue", "new", code=2, here=source)
    assert "these are Third's raw files (NAME_points.csv), not imigue's" in line
    line = dry_run("third", "empty", code=2, here=source)
    assert "expected NAME/NAME_points.csv (raw) or train_data.npy (kit)" in line


@pytest.mark.parametrize("python", ["", sys.executable])
def test_the_script_runs_it_in_the_checkout_with_paths_from_its_users_folder(source, python):
    environment = {name: value for name, value in os.environ.items() if name != "PYTHON"}
    environment |= {"PYTHON": python} if python else {}
    done = subprocess.run(
        ["bash", SCRIPT, "imigue", "raw", "--vectors", "hash", "--dry-run", "--", "--epochs", "1"],
        capture_output=True, text=True, cwd=source, env=environment, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == f"In {source}/raw are raw CSV files of imigue."
    command = f"tools/prepare_data.py imigue {source}/raw data/imigue/annotations.pkl"
    assert lines[2] == f"{python or '.venv/bin/python'} {command}"
    assert lines[6].endswith(" --epochs 1")


def test_the_script_tells_mistakes_before_it_makes_an_environment(source):
    environment = {name: value for name, value in os.environ.items() if name != "PYTHON"}
    command = ["bash", SCRIPT, "imigue", "nowhere"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=source, env=environment, timeout=600)
    assert done.returncode == 2 and not done.stdout
    assert done.stderr == f"error: {source}/nowhere: there is no such folder.\n"
