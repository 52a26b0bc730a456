"""The recipe with a stub in the place of Python: which stages run, and which run again after what."""

import os
import signal
import subprocess
import sys
import time

import pytest

from pyskl_semloss.cli import reproduce

PYTHON = sys.executable


@pytest.fixture
def source(tmp_path):
    """Folders that look like raw files and like the kit."""
    for name in ("raw/0054/0054_light_hand.csv", "kit/train_data.npy", "smg/Sample0001/Sample0001_skeleton.csv"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()
    (tmp_path / "ids.txt").write_text("0054_0\n")
    (tmp_path / "empty").mkdir()
    return tmp_path


# Stands for Python: notes its arguments, and makes the file that the tool would make, of all files that it was given.
STUB = r"""#!/usr/bin/env bash
echo "${*##*/}" >>"$CALLS"
[[ $2 != ids ]] || [ -z "${FAIL_IDS:-}" ] || { echo "error: 1 missing"; exit 2; }
[[ $2 != ids ]] || exit 0
[ -z "${FAIL_AT:-}" ] || [[ $* != *$FAIL_AT* ]] || exit 7
[ -z "${HANG_AT:-}" ] || [[ $* != *$HANG_AT* ]] || exec sleep 60
tool=${1##*/} options="$*"
case $tool in prepare_data.py) out=$4; given=$(find "$3" -name '0054_*.csv' -exec cat {} +) ;; esac
for word in "${@:2}"; do [ ! -f "${word##*=}" ] || [ "${word##*=}" = "${out:-}" ] || given+=$(cat "${word##*=}"); done
while [ $# -gt 0 ]; do
    case $1 in --out | --work-dir) [ -n "${out:-}" ] || out=$2 ;; --submission) out=$2 ;; esac
    shift
done
[ $tool != test.py ] || out=$out/test_scores.npz
mkdir -p "${out%/*}"
if [ $tool = train.py ]; then
    mkdir -p "$out"
    echo "${given:-}$options" >"$out/epoch_1.pth"
    echo "$out/epoch_1.pth" >"$out/last_checkpoint"
else
    echo "${given:-}" >"$out"
fi
[ $tool != fuse_scores.py ] || echo the table
"""
ALL = ["prepare_data.py", "build_label_vectors.py", "train.py joint", "train.py limb", "test.py joint", "test.py limb",
       "fuse_scores.py"]  # fmt: skip


@pytest.fixture
def stubbed(source, monkeypatch, capfd):
    """Runs the recipe with the stub; returns the tools that it called, the exit status, and what it printed."""
    stub, calls = source / "python", source / "calls"
    stub.write_text(STUB)
    stub.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(stub))
    monkeypatch.setenv("CALLS", str(calls))

    def run(*options, form=("raw",), work=source / "out", **environment):
        calls.write_text("")
        folder = ["--work-dir", str(work)] if work else []
        with monkeypatch.context() as patch:
            patch.chdir(source)
            patch.setattr(sys, "argv", ["reproduce", "imigue", *form, "--gpus", "0", *folder, *options])
            for name, value in environment.items():
                patch.setenv(name, value)
            status = 0
            try:
                reproduce.main()
            except SystemExit as end:
                status = end.code
        names = []
        for line in calls.read_text().splitlines():
            tool, *rest = line.split()
            names.append(f"{tool} {rest[0].removesuffix('.py')}" if tool in ("train.py", "test.py") else tool)
        return names, status, "".join(capfd.readouterr())

    return run


def test_every_stage_runs_once(stubbed, source):
    names, status, out = stubbed()
    assert names == ALL and status == 0
    assert "== Stage 1/7: annotations from raw CSV files (0 h 0 min" in out and out.count("the table") == 1
    assert f"submission     {source}/out/fusion/Submission.zip" in out
    names, status, out = stubbed()
    assert names == [] and status == 0
    assert out.count("finished before, skipped") == 7 and out.count("the table") == 1


def test_what_depends_on_something_else_runs_again_and_a_training_is_kept_aside(stubbed, source):
    stubbed()
    (source / "raw/0054/0054_light_hand.csv").write_text("1")
    assert stubbed()[0] == ["prepare_data.py", *ALL[2:]]
    assert len(list((source / "out").glob("joint.before-*/epoch_1.pth"))) == 1
    (source / "out/limb/test_scores.npz").write_text("others")
    assert stubbed()[0] == ["fuse_scores.py"]
    (source / "out/joint/epoch_1.pth").write_text("others")
    assert stubbed()[0] == ["test.py joint", "fuse_scores.py"]
    (source / "out/fusion/Submission.zip").unlink()
    assert stubbed()[0] == ["fuse_scores.py"]
    assert stubbed("--ids", "ids.txt")[0] == ["prepare_data.py", "fuse_scores.py"]  # it checks the ids
    assert stubbed("--vectors", "hash", "--ids", "ids.txt")[0] == ALL


def test_a_wrong_list_of_ids_is_told_before_training(stubbed):
    names, status, out = stubbed("--ids", "ids.txt", FAIL_IDS="1")
    assert names == ["prepare_data.py"] * 2 and status == 2
    assert "error: 1 missing" in out and "Stopped in stage 1/7 (the official ids)" in out


def test_dates_do_not_count(stubbed, source):
    stubbed("--", "--epochs", "1")
    for path in [path for path in source.rglob("*") if path.is_file() and "stages" not in path.parts]:
        path.touch()
    assert stubbed("--", "--epochs", "1")[0] == [], "touched, but equal"
    # As a copy keeps it, or an archive that is unpacked.
    for path, calls in (
        (source / "raw/0054/0054_light_hand.csv", ["prepare_data.py", *ALL[2:]]),
        (source / "out/label_vectors.npz", ALL[2:]),
        (source / "out/joint/test_scores.npz", ["fuse_scores.py"]),
    ):
        path.write_text("changed")
        os.utime(path, (0, 0))
        assert stubbed("--", "--epochs", "1")[0] == calls, path
    (source / "raw/0054/0054_light_hand.csv").rename(source / "raw/0054/0054_2_light_hand.csv")
    assert stubbed("--", "--epochs", "1")[0] == ["prepare_data.py"], "another name, of which the same clips come"


def test_what_changes_while_a_stage_runs_is_noticed(stubbed, source):
    stub = source / "python"
    text = stub.read_text()
    stub.write_text(
        text.replace(
            "tool=${1##*/}",
            f"tool=${{1##*/}}\n[[ $* != *train.py*/limb* ]] || echo x >>{source}/out/annotations.pkl",
            1,
        )
    )
    assert stubbed()[0] == ALL
    stub.write_text(text)
    assert stubbed()[0] == ALL[2:5] + ALL[5:]


def test_other_configs_train_again(stubbed, source):
    configs = source / "mine"
    configs.mkdir()
    for modality in ("joint", "limb"):
        (configs / f"{modality}.py").write_text("")
    assert stubbed("--config-dir", "mine")[0] == ALL
    (configs / "limb.py").touch()
    assert stubbed("--config-dir", "mine")[0] == []
    (configs / "limb.py").write_text("x = 1")
    assert stubbed("--config-dir", "mine")[0] == ["train.py limb", "test.py limb", "fuse_scores.py"]


def test_outputs_in_the_source_folder_are_no_inputs(stubbed, source):
    assert stubbed("--work-dir", "raw")[0] == ALL
    (source / "raw/official_ids.csv").touch()
    assert stubbed("--work-dir", "raw")[0] == []
    (source / "raw/0054/0054_label.csv").write_text("1")
    assert stubbed("--work-dir", "raw")[0] == ["prepare_data.py", *ALL[2:]]


def test_links_are_followed_and_not_in_circles(stubbed, source):
    (source / "elsewhere").mkdir()
    (source / "elsewhere/0055_light_hand.csv").touch()
    (source / "raw/0055").symlink_to(source / "elsewhere")
    (source / "raw/again").symlink_to(source / "raw")
    (source / "raw/gone_light_hand.csv").symlink_to(source / "nowhere")
    assert stubbed()[0] == ALL
    assert stubbed()[0] == []
    (source / "elsewhere/0055_light_hand.csv").write_text("1")
    assert stubbed()[0] == ["prepare_data.py"], "the stub makes the same of it"


def test_both_variants_share_the_label_vectors_and_nothing_else(stubbed, source):
    tools = [call.split()[0] for call in ALL]
    for options, expected in (((), tools), (("--paper",), [tools[0], *tools[2:]]), ((), []), (("--paper",), [])):
        names, status, _ = stubbed(form=("kit", *options), work=None)
        assert [name.split()[0] for name in names] == expected and status == 0
    assert sorted(path.name for path in (source / "work_dirs").iterdir()) == ["imigue", "imigue_paper"]
    assert (source / "data/imigue/label_vectors.npz").is_file()


def test_other_training_options_train_again(stubbed):
    stubbed("--", "--epochs", "1")
    assert stubbed("--", "--epochs", "2")[0] == ALL[2:]
    assert stubbed("--", "--epochs", "2")[0] == []


@pytest.mark.parametrize("tool", range(len(ALL)))
def test_a_failed_stage_is_said_and_gone_on_from(stubbed, source, tool):
    at = ALL[tool].replace(" ", "*").replace("train.py*", "train.py*/").replace("test.py*", "test.py*/")
    names, status, out = stubbed(FAIL_AT=at)
    assert names == ALL[: tool + 1] and status == 7
    assert f"Stopped in stage {tool + 1}/7 (" in out and "The same command goes on from there." in out
    assert stubbed()[0] == ALL[tool:]
    assert not list((source / "out").glob("*.before-*"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_stage_and_says_where_it_stopped(stubbed, source, number):
    calls = source / "calls"
    code = f"import sys; sys.executable = {str(source / 'python')!r}; from pyskl_semloss.cli import reproduce; "
    run = subprocess.Popen(
        [PYTHON, "-c", f"{code}reproduce.main()", "imigue", "raw", "--gpus", "0", "--work-dir", source / "out"],
        cwd=source, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
        env={**os.environ, "HANG_AT": "train.py*/limb"},
        # A job in the background ignores Ctrl-C, and so would what it starts.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    while run.poll() is None and not (calls.exists() and "limb.py" in calls.read_text()):
        time.sleep(0.01)
    # Ctrl-C reaches the stage, too; anything else the recipe alone.
    os.killpg(run.pid, number) if number == signal.SIGINT else run.send_signal(number)
    out = run.communicate(timeout=600)[0]
    assert run.returncode == 128 + number and "Stopped in stage 4/7 (training limb) after 0 h 0 min" in out
    assert stubbed()[0] == ALL[3:]


def test_an_interrupted_training_is_gone_on_with_unless_its_data_changed(stubbed, source):
    stubbed(FAIL_AT="train.py*/limb")
    folder = source / "out" / "limb"
    folder.mkdir()
    (folder / "epoch_7.pth").touch()
    (folder / "last_checkpoint").touch()
    stubbed(FAIL_AT="train.py*/limb")
    assert (folder / "last_checkpoint").read_text() == f"{folder}/epoch_7.pth\n"
    (source / "out/annotations.pkl").write_text("others")
    stubbed(FAIL_AT="train.py*/limb")
    assert [path.name.split("-")[0] for path in (source / "out").glob("limb*")] == ["limb.before"]


@pytest.mark.parametrize(
    ("options", "tested"), [(("raw",), "epoch_1.pth"), (("kit", "--paper"), "best_acc_top1_epoch_3.pth")]
)
def test_the_paper_tests_the_best_checkpoint_and_others_the_last(stubbed, source, options, tested):
    stub = source / "python"
    stub.write_text(stub.read_text().replace("epoch_1.pth", "best_acc_top1_epoch_3.pth", 1).replace(
        'touch "$out/best', 'touch "$out/epoch_1.pth" "$out/best'))  # fmt: skip
    _, status, out = stubbed(form=options)
    assert status == 0
    calls = [line.split() for line in (source / "calls").read_text().splitlines()]
    assert [call[2] for call in calls if call[0] == "test.py"] == [tested] * 2
    assert f"checkpoints    {source}/out/joint/{tested}, {source}/out/limb/{tested}" in out
