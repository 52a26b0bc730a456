"""Sweeps that run, with stand-ins for the training and test tools."""

import functools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from pyskl_semloss.errors import InputError
from pyskl_semloss.evaluation.scores import Scores
from pyskl_semloss.io.files import sha256
from pyskl_semloss.semantic.label_vectors import LabelVectors, build_label_vectors
from pyskl_semloss.semantic.targets import transform
from pyskl_semloss.sweep.plan import Run, Setting, plan_runs, read_settings, run_options
from pyskl_semloss.sweep.runs import Reporting, Tools, check_runs, execute, run_all, test_command, train_command
from pyskl_semloss.sweep.settings import Describer
from pyskl_semloss.sweep.table import collect, write_results

test_command.__test__ = False

TRAIN = """
import sys
from pathlib import Path
folder, seed = Path(sys.argv[3]), sys.argv[5]
print("training with", *sys.argv[6:])
if Path(sys.argv[1] + ".broken").exists() and seed == "1":
    sys.exit("the loss is NaN")
with open(folder / "calls", "a") as stream:
    stream.write("train\\n")
(folder / "epoch_2.pth").touch()
(folder / "last_checkpoint").write_text("/elsewhere/epoch_2.pth")
"""
TEST = """
import sys, zlib
from pathlib import Path
import numpy as np
from pyskl_semloss.evaluation.scores import Scores
assert Path(sys.argv[2]).name == "epoch_2.pth" and Path(sys.argv[2]).is_file()
with open(Path(sys.argv[4]) / "calls", "a") as stream:
    stream.write("test\\n")
rng = np.random.default_rng(zlib.crc32(Path(sys.argv[4]).name.encode()))
label = np.arange(40) % 4
Scores(np.array([f"c{n}" for n in range(40)]), rng.dirichlet(np.ones(4), 40), label).save(sys.argv[6])
"""


@pytest.fixture
def place(tmp_path):
    """Configs, data, and tools that take no time; what the stand-in for mmengine's reader returns can be changed."""
    for name in ("joint", "joint_baseline", "limb", "limb_baseline"):
        (tmp_path / f"{name}.py").touch()
    (tmp_path / "data.pkl").write_bytes(b"clips")
    build_label_vectors(["touch face", "fold arms", "cross legs", "rub hands"], "hash:6:0").save(tmp_path / "v.npz")
    (tmp_path / "train.py").write_text(TRAIN)
    (tmp_path / "test.py").write_text(TEST)
    return tmp_path


def describer(place, epochs=2, options=(), **changes):
    """Settings over a config of three entries."""

    def read_config(path, given):
        dataset = {"ann_file": str(place / "data.pkl"), "split": "train"}
        return {
            "model": {"cls_head": {"label_vectors": str(place / "v.npz"), "alpha": 3.0}},
            "train_dataloader": {"dataset": dataset, "batch_size": 16},
            "train_cfg": {"max_epochs": 18},
            "work_dir": "anywhere",
            "log_level": path,
            **changes,
            **{key: value for key, _, value in (option.partition("=") for option in given) if "." not in key},
        }

    return Describer(place / "out", read_config, options, epochs)


def stand_ins(place):
    return Tools((sys.executable, str(place / "train.py")), (sys.executable, str(place / "test.py")))


def sweep(place, runs, **settings):
    """Run, and return the failures and the lines of progress."""
    lines = []
    tools = stand_ins(place)
    return run_all(runs, describer(place, **settings), tools, lines.append), lines


def calls(place, name):
    return (place / "out" / name / "calls").read_text().split()


def test_commands_and_options(place):
    given = Run(Path("j.py"), "joint", Setting("given", 20.0), 1)
    base = Run(Path("b.py"), "joint", Setting("baseline", None), 1)
    shuffled = Run(Path("j.py"), "joint", Setting("shuffled", 0.5), 1)
    options, tools = ["a.b=1", "model.cls_head.label_vectors=v.npz"], Tools(("python", "t.py"), ("python", "e.py"))
    settings = describer(place, options=options)
    folder, made = f"{place}/out/alpha20_given_seed1_joint", f"{place}/out/label_vectors/shuffled_seed1.npz"
    assert train_command(given, settings, tools) == [
        "python", "t.py", "j.py", "--work-dir", folder, "--seed", "1", "--epochs", "2", "--resume", "--cfg-options",
        *options, "model.cls_head.alpha=20",
    ]  # fmt: skip
    assert test_command(given, settings, tools, "c.pth")[2:8] == [
        "j.py", "c.pth", "--work-dir", folder, "--out", f"{folder}/test_scores.npz"
    ]  # fmt: skip
    ours = [sys.executable, "-m", "pyskl_semloss"]
    assert train_command(given, settings, Tools())[:5] == [*ours, "train", "j.py"]
    assert test_command(given, settings, Tools(), "c.pth")[:6] == [*ours, "test", "j.py", "c.pth"]
    branch = ["model.cls_head.loss=cosine", "model.cls_head.rescale=True"]
    assert run_options(base, [*options, *branch]) == ["a.b=1"], "a baseline has no semantic branch"
    assert settings.all_options(shuffled)[-2:] == ["model.cls_head.alpha=0.5", f"model.cls_head.label_vectors={made}"]
    assert train_command(base, describer(place, epochs=None), tools)[-1] == "--resume"
    for option, message in (("model.cls_head.alpha=3", "set by the sweep"), ("work_dir=x", "set by the sweep"),
                            ("randomness.seed=1", "set by the sweep"), ("loose", "KEY=VALUE")):  # fmt: skip
        with pytest.raises(InputError, match=message):
            run_options(given, [option])


def test_a_sweep_runs_once_and_a_second_call_skips_everything(place):
    runs = plan_runs(place / "joint.py", alphas=[1, 20], seeds=[0, 1], vectors=["baseline", "given", "random"])
    assert set(check_runs(runs, describer(place)).values()) == {"new"} and not (place / "out").exists()
    problems, lines = sweep(place, runs)
    assert problems == {} and "10 runs, 0 finished before" in lines[0]
    assert "[10/10]" in lines[-1] and "about 0 s left; best " in lines[-1]
    for run in runs:
        done = json.loads((place / "out" / run.name / "done.json").read_text())
        assert calls(place, run.name) == ["train", "test"]
        assert done["score_sha256"] == sha256(place / "out" / run.name / "test_scores.npz") and done["clips"] == 40
        assert done["metrics"].keys() == {"top1", "top5", "mean_class", "macro_f1", "ece"} and done["epochs"] == 2
    drawn = LabelVectors.load(place / "out" / "label_vectors" / "random_seed1.npz")
    assert drawn.notes["control"] == "random" and drawn.notes["seed"] == 1
    before = {path: path.stat().st_mtime_ns for path in (place / "out").glob("*/done.json")}
    problems, lines = sweep(place, runs)
    assert problems == {} and lines == [f"10 runs, 10 finished before, in {place / 'out'}"]
    assert {path: path.stat().st_mtime_ns for path in (place / "out").glob("*/done.json")} == before
    assert len(calls(place, runs[0].name)) == 2


def test_one_failing_run_does_not_stop_the_others_and_is_tried_again(place):
    runs = plan_runs(place / "joint.py", alphas=[1], seeds=[0, 1, 2], vectors=["given"])
    (place / "joint.py.broken").touch()
    problems, lines = sweep(place, runs)
    assert [run.seed for run in problems] == [1] and len(collect(place / "out")) == 2
    (reason,) = problems.values()
    assert "training ended with status 1: the loss is NaN" in reason and "sweep.log" in reason
    assert any("FAILED" in line for line in lines)
    assert check_runs(runs, describer(place))[runs[1]] == "cut off"
    (place / "joint.py.broken").unlink()
    problems, lines = sweep(place, runs)
    assert problems == {} and "2 finished before" in lines[0] and "going on" in lines[1]
    assert "the loss is NaN" in (place / "out" / runs[1].name / "sweep.log").read_text()


@pytest.mark.parametrize("state", ["finished", "cut off"])
def test_other_settings_in_the_same_folder_are_refused(place, state):
    runs = plan_runs(place / "joint.py", alphas=[1], seeds=[0], vectors=["given"])
    sweep(place, runs)
    if state == "cut off":
        (place / "out" / runs[0].name / "done.json").unlink()
    assert check_runs(runs, describer(place)) == {runs[0]: state}
    assert check_runs(runs, describer(place, log_level="x", work_dir="y")) == {runs[0]: state}, (
        "no number depends on it"
    )
    for settings, message in [
        (dict(epochs=3), "epochs 2 there, 3 now"),
        (dict(epochs=None), "epochs 2 there, 18 now"),
        (dict(train_dataloader={"batch_size": 8}), "config.train_dataloader.batch_size 16 there, 8 now"),
        (dict(optim_wrapper={"lr": 1}), "config.optim_wrapper.lr null there, 1 now"),
        (dict(options=["load_from=x.pth"]), "config.load_from null there"),
    ]:
        with pytest.raises(InputError, match=message) as error:
            sweep(place, runs, **settings)
        assert runs[0].name in str(error.value) and "Delete" in str(error.value)
    (place / "data.pkl").write_bytes(b"other clips")
    with pytest.raises(InputError, match="data.train"):
        sweep(place, runs)
    assert len(calls(place, runs[0].name)) == 2, "nothing ran"


def test_runs_that_could_not_be_compared_do_not_share_a_folder(place):
    first = plan_runs(place / "joint.py", alphas=[1], seeds=[0])
    sweep(place, first)
    more = plan_runs(place / "joint.py", alphas=[20], seeds=[0], vectors=["given"])
    with pytest.raises(InputError, match="a run there has other settings: epochs 2 there, 3 now"):
        sweep(place, more, epochs=3)
    with pytest.raises(InputError, match="batch_size 16 there"):
        sweep(place, more, train_dataloader={"dataset": {"ann_file": str(place / "data.pkl")}, "batch_size": 4})
    assert sweep(place, more)[0] == {}
    assert len(collect(place / "out")) == 3


def test_foreign_checkpoints_and_exchanged_scores_are_refused(place):
    runs = plan_runs(place / "joint.py", alphas=[1], seeds=[0], vectors=["given"])
    folder = place / "out" / runs[0].name
    folder.mkdir(parents=True)
    (folder / "last_checkpoint").write_text("epoch_1.pth")
    with pytest.raises(InputError, match="not the settings of it"):
        sweep(place, runs)
    (folder / "last_checkpoint").unlink()
    sweep(place, runs)
    rng = np.random.default_rng(0)
    Scores(np.array(["a"]), rng.dirichlet(np.ones(4), 1), np.array([0])).save(folder / "test_scores.npz")
    with pytest.raises(InputError, match="not the file that the numbers"):
        sweep(place, runs)


def test_a_store_counts_by_its_head(place):
    store = place / "store"
    store.mkdir()
    (store / "store.json").write_text('{"sha256": "a"}')
    loader = {"dataset": {"ann_file": str(store)}}
    (run,) = plan_runs(place / "joint.py", alphas=[1], seeds=[0], vectors=["given"])
    before = describer(place, train_dataloader=loader).describe(run)["data"]
    (store / "store.json").write_text('{"sha256": "b"}')
    assert before != describer(place, train_dataloader=loader).describe(run)["data"]


def test_missing_files_are_named_before_anything_runs(place):
    runs = plan_runs(place / "joint.py", alphas=[1], seeds=[0])
    (place / "v.npz").unlink()
    with pytest.raises(InputError, match=r"label_vectors.*no file .*v\.npz"):
        sweep(place, runs)
    with pytest.raises(InputError, match="expected the path of a file of label vectors"):
        sweep(place, runs, model={})
    (place / "data.pkl").unlink()
    with pytest.raises(InputError, match="train_dataloader.dataset.ann_file"):
        sweep(place, runs)
    assert not (place / "out").exists()


def test_a_folder_is_one_process_s_alone_also_when_only_its_child_lives(place):
    run = plan_runs(place / "joint.py", alphas=[1], seeds=[0], vectors=["given"])[0]
    folder = place / "out" / run.name
    folder.mkdir(parents=True)
    code = (
        "import fcntl, sys, time; s = open(sys.argv[1], 'a'); fcntl.flock(s, 2); print(1, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code, folder / ".lock"], stdout=subprocess.PIPE) as other:
        other.stdout.readline()
        try:
            with pytest.raises(InputError, match="another process works in it"):
                execute(run, describer(place), stand_ins(place))
        finally:
            other.kill()
    # The lock must be the child's, too: the training takes it over, and no other has it.
    (place / "train.py").write_text(
        "import sys; from pyskl_semloss.io.files import acquire_lock\n"
        "with acquire_lock(sys.argv[3], 'trains in'): print('held')\n" + TRAIN
    )
    assert sweep(place, [run])[0] == {}
    assert "held\n" in (folder / "sweep.log").read_text() and not (folder / ".lock").exists()


def settings_of(place, text):
    (place / "s.yml").write_text(text)
    return read_settings(place / "s.yml")


FILE = """
none: {vectors: baseline, options: {train_dataloader.batch_size: 4}}
glove: {alpha: 20}
cosine: {alpha: 1.5, loss: cosine, options: {model.cls_head.temperature: 0.2, fast: true}}
other: {alpha: 2, label_vectors: other.npz, transform: [centred], vectors: shuffled}
"""


def test_settings_are_runs_with_their_own_options_and_label_vectors(place):
    build_label_vectors(["touch face", "fold arms", "cross legs", "rub hands"], "hash:5:3").save(place / "other.npz")
    runs = plan_runs(place / "joint.py", seeds=[0, 7], settings=settings_of(place, FILE))
    assert [run.name for run in runs[:4]] == ["none_seed0_joint", "glove_seed0_joint", "cosine_seed0_joint",
                                              "other_seed0_joint"]  # fmt: skip
    assert runs[0].config.name == "joint_baseline.py" and runs[4].seed == 7
    both = plan_runs(place / "joint.py", seeds=[0], modalities=["joint", "limb"], settings=settings_of(place, FILE))
    assert len(both) == 8 and both[-1].name == "other_seed0_limb"
    options = ["train_dataloader.dataset.split=tail_seed{seed}", "model.cls_head.label_vectors=config.npz"]
    plan = describer(place, options=options)
    split = "train_dataloader.dataset.split=tail_seed7"
    assert plan.all_options(runs[4]) == [split, "train_dataloader.batch_size=4"]
    assert plan.all_options(runs[6]) == [
        split, options[1], "model.cls_head.loss=cosine", "model.cls_head.temperature=0.2", "fast=True",
        "model.cls_head.alpha=1.5",
    ]  # fmt: skip
    vectors = place / "out" / "label_vectors" / "other_seed7.npz"
    assert plan.all_options(runs[7])[-2:] == ["model.cls_head.alpha=2", f"model.cls_head.label_vectors={vectors}"]
    plan.make_vectors(runs[7])
    made, given = LabelVectors.load(vectors), transform(LabelVectors.load(place / "other.npz"), ["centred"])
    assert made.notes["control"] == "shuffled" and made.notes["given"]["notes"]["transform"] == ["centred"]
    assert (made.vectors == given.vectors[made.notes["vector_of_class"]]).all()
    plain = Setting("given", 1.0, "plain", "other.npz")
    run = plan_runs(place / "joint.py", seeds=[0], settings=[plain])[0]
    assert plan.all_options(run)[-1] == f"model.cls_head.label_vectors={place / 'other.npz'}"


def read_with_options(place, splits):
    """Settings over a reader that keeps the split and the batch size of the options, as mmengine's does."""
    plan = describer(place, options=[f"split={splits}"])
    read = plan._read_config

    def read_config(path, options):
        config = dict(read(path, options))
        given = dict(option.split("=", 1) for option in options)
        dataset = {**config["train_dataloader"]["dataset"], "split": given.get("split")}
        batch_size = given.get("train_dataloader.batch_size", config["train_dataloader"]["batch_size"])
        config["train_dataloader"] = {"dataset": dataset, "batch_size": batch_size}
        return config

    plan._read_config = read_config
    return plan


def test_settings_and_seeds_with_their_own_splits_share_a_folder_and_others_do_not(place):
    text = "none: {vectors: baseline}\na: {alpha: 1}\nb: {alpha: 1, options: {train_dataloader.batch_size: 8}}"
    runs = plan_runs(place / "joint.py", seeds=[0, 1], settings=settings_of(place, text))
    reporting = Reporting(functools.partial(write_results, order=["none", "a", "b"]))
    problems = run_all(runs, read_with_options(place, "tail_seed{seed}"), stand_ins(place), print, reporting)
    assert problems == {} and len(collect(place / "out")) == 6
    log = (place / "out" / "b_seed1_joint" / "sweep.log").read_text()
    assert "split=tail_seed1" in log and "{seed}" not in log and "train_dataloader.batch_size=8" in log
    assert set(check_runs(runs, read_with_options(place, "tail_seed{seed}")).values()) == {"finished"}
    assert calls(place, "a_seed0_joint") == ["train", "test"]
    with pytest.raises(InputError, match="config.train_dataloader.dataset.split"):
        check_runs(runs, read_with_options(place, "few_seed{seed}"))
    more = plan_runs(place / "joint.py", seeds=[0], settings=settings_of(place, "c: {alpha: 3}"))
    with pytest.raises(InputError, match="a run there has other settings: config.train_dataloader.dataset.split"):
        check_runs(more, read_with_options(place, "few_seed{seed}"))
    changed = settings_of(place, "b: {alpha: 1, options: {train_dataloader.batch_size: 9}}")
    with pytest.raises(InputError, match="batch_size"):
        check_runs(
            plan_runs(place / "joint.py", seeds=[0], settings=changed), read_with_options(place, "tail_seed{seed}")
        )


KILLED = """
import sys
sys.path[:0] = ["tests", "tests/unit/sweep"]
from pathlib import Path
from test_sweep import describer, sweep, plan_runs
place = Path(sys.argv[1])
sweep(place, plan_runs(place / "joint.py", alphas=[1], seeds=[0], vectors=["given"]))
"""


def test_a_training_whose_sweep_was_killed_keeps_its_folder(place):
    run = plan_runs(place / "joint.py", alphas=[1], seeds=[0], vectors=["given"])[0]
    folder = place / "out" / run.name
    log = folder / "sweep.log"
    (place / "train.py").write_text("import os, time; print('pid', os.getpid(), flush=True); time.sleep(60)")
    first = subprocess.Popen([sys.executable, "-c", KILLED, place])
    while first.poll() is None and "pid " not in (log.read_text() if log.exists() else ""):
        time.sleep(0.02)
    first.kill()
    first.wait()
    pid = int(log.read_text().split("pid ")[1])
    try:
        problems, _ = sweep(place, [run])
        assert "another process works in it" in problems[run]
    finally:
        os.kill(pid, signal.SIGKILL)
    while os.path.exists(f"/proc/{pid}") and "Z" not in Path(f"/proc/{pid}/stat").read_text().split(") ")[1][:1]:
        time.sleep(0.02)
    (place / "train.py").write_text(TRAIN)
    assert sweep(place, [run])[0] == {}


def test_an_interrupted_sweep_ends_its_training(place):
    run = plan_runs(place / "joint.py", alphas=[1], seeds=[0], vectors=["given"])[0]
    (place / "train.py").write_text("import os, time; print('pid', os.getpid(), flush=True); time.sleep(60)")

    def interrupt(*_):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 1.5)
    try:
        with pytest.raises(KeyboardInterrupt):
            sweep(place, [run])
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    log = (place / "out" / run.name / "sweep.log").read_text().splitlines()
    pid = int(next(line for line in log if line.startswith("pid ")).split()[1])
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_file_for_each_seed_goes_on_after_an_interruption(place):
    for seed in (0, 1):
        (place / f"data{seed}.pkl").write_bytes(b"clips of %d" % seed)
    dataset = {"type": "RepeatDataset", "dataset": {"ann_file": str(place / "data{seed}.pkl")}}
    loader = {"dataset": dataset, "batch_size": 16}
    runs = plan_runs(place / "joint.py", alphas=[1], seeds=[0, 1], vectors=["given"])
    assert sweep(place, runs[:1], train_dataloader=loader)[0] == {}
    assert list(check_runs(runs, describer(place, train_dataloader=loader)).values()) == ["finished", "new"]
    (place / "data0.pkl").write_bytes(b"others")
    with pytest.raises(InputError, match="data.train"):
        check_runs(runs[:1], describer(place, train_dataloader=loader))


def test_other_seeds_of_a_row_have_its_settings(place):
    labels = ["touch face", "fold arms", "cross legs", "rub hands"]
    build_label_vectors(labels, "hash:5:3").save(place / "other.npz")
    (first,) = plan_runs(place / "joint.py", seeds=[0], settings=settings_of(place, "a: {alpha: 1}"))
    (plain,) = plan_runs(place / "joint.py", alphas=[1], seeds=[0], vectors=["given"])
    assert sweep(place, [first, plain])[0] == {}
    for fields, message in [("alpha: 2", "alpha 1.0 there, 2.0 now"), ("alpha: 1, vectors: random", "vectors"),
                            ("alpha: 1, transform: [centred]", "transform null there"),
                            ("alpha: 1, label_vectors: other.npz", "label_vectors")]:  # fmt: skip
        later = plan_runs(place / "joint.py", seeds=[1], settings=settings_of(place, f"a: {{{fields}}}"))
        with pytest.raises(InputError, match=f"a run there has other settings: {message}"):
            check_runs(later, describer(place))
    another = plan_runs(place / "joint.py", seeds=[1], settings=settings_of(place, "b: {alpha: 2, vectors: random}"))
    assert list(check_runs(another, describer(place)).values()) == ["new"]
    build_label_vectors(labels, "hash:5:4").save(place / "v.npz")
    later = plan_runs(place / "joint.py", alphas=[1], seeds=[1], vectors=["shuffled"])
    with pytest.raises(InputError, match="a run there has other settings: label_vectors"):
        check_runs(later, describer(place))


def test_settings_that_cannot_be_compared_are_refused_before_anything_runs(place):
    runs = plan_runs(place / "joint.py", seeds=[0], settings=settings_of(
        place, "a: {alpha: 1}\nb: {alpha: 1, options: {train_cfg: 7}}"))  # fmt: skip
    plan = describer(place, epochs=None)
    read = plan._read_config
    plan._read_config = lambda path, options: {
        **read(path, options), "train_cfg": {"max_epochs": 7 if "train_cfg=7" in options else 18}
    }  # fmt: skip
    with pytest.raises(InputError, match="a_seed0_joint.*epochs 18 there, 7 now"):
        check_runs(runs, plan)
