"""Which runs a sweep has, and which a shard takes."""

import pytest

from pyskl_semloss.errors import InputError
from pyskl_semloss.sweep.plan import plan_runs, take_shard
from pyskl_semloss.sweep.runs import RunError, _clock, _last_checkpoint


@pytest.fixture
def place(tmp_path):
    """A folder of configs."""
    for name in ("joint", "joint_baseline", "limb", "limb_baseline"):
        (tmp_path / f"{name}.py").touch()
    return tmp_path


def test_the_runs_are_every_combination_once(place):
    runs = plan_runs(place / "joint.py", alphas=[1, 20, 20.0], seeds=[0, 1, 0], modalities=["joint", "limb"],
                     vectors=["shuffled", "given", "baseline"])  # fmt: skip
    names = [run.name for run in runs]
    assert len(set(names)) == len(names) == 2 * 2 * (1 + 2 * 2)
    assert names[:5] == ["baseline_seed0_joint", "alpha1_given_seed0_joint", "alpha20_given_seed0_joint",
                         "alpha1_shuffled_seed0_joint", "alpha20_shuffled_seed0_joint"]  # fmt: skip
    assert runs[0].config.name == "joint_baseline.py" and runs[1].config.name == "joint.py"
    assert {run.config.name for run in runs if run.model == "limb"} == {"limb.py", "limb_baseline.py"}
    assert plan_runs(place / "joint.py", alphas=[0.5], seeds=[7])[1].name == "alpha0.5_given_seed7_joint"
    assert len(plan_runs(place / "joint.py")) == 3 * (1 + 6), "the paper's table 2, three seeds and the baseline"


@pytest.mark.parametrize("parts", [1, 2, 3, 5, 30])
def test_shards_are_disjoint_and_complete(place, parts):
    runs = plan_runs(place / "joint.py")
    shards = [take_shard(runs, f"{part}/{parts}") for part in range(1, parts + 1)]
    assert sorted(run.name for shard in shards for run in shard) == sorted(run.name for run in runs)
    assert max(map(len, shards)) - min(map(len, shards)) <= 1


@pytest.mark.parametrize("shard", ["0/2", "3/2", "1", "a/b", "1/0", "-1/2", "1/2/3", ""])
def test_wrong_shards(place, shard):
    with pytest.raises(InputError, match="i/n with i from 1 to n"):
        take_shard(plan_runs(place / "joint.py"), shard)


def test_wrong_plans(place):
    (place / "joint_mine.py").touch()
    (place / "pose.py").touch()
    for config, options, message in [
        ("none.py", {}, "no such config file"),
        ("joint_baseline.py", {}, "Give joint.py"),
        ("joint_mine.py", {}, "leave baseline out"),
        ("joint_mine.py", {"modalities": ["limb"], "vectors": ["given"]}, "limb_mine.py.*no such config"),
        ("pose.py", {"modalities": ["limb"]}, "called joint or limb"),
        ("joint.py", {"alphas": [-1]}, "not negative"),
        ("joint.py", {"alphas": [float("nan")]}, "not negative"),
        ("joint.py", {"seeds": [-1]}, "whole numbers"),
        ("joint.py", {"vectors": ["glove"]}, "got 'glove'"),
        ("joint.py", {"seeds": []}, "nothing to run"),
    ]:
        with pytest.raises(InputError, match=message):
            plan_runs(place / config, **options)


def test_the_last_checkpoint_of_a_run(tmp_path):
    with pytest.raises(RunError, match="training left no checkpoint in"):
        _last_checkpoint(tmp_path)
    # The folder was moved since: only the name counts.
    (tmp_path / "last_checkpoint").write_text("/gone/epoch_3.pth\n")
    with pytest.raises(RunError, match="training left no checkpoint .*epoch_3.pth"):
        _last_checkpoint(tmp_path)
    (tmp_path / "epoch_3.pth").touch()
    assert _last_checkpoint(tmp_path) == str(tmp_path / "epoch_3.pth")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (149, "149 s"), (151, "3 min"), (7169, "119 min"), (7200, "2 h 0 min"), (9000, "2 h 30 min")],
)
def test_lengths_of_time_are_read_at_a_glance(seconds, text):
    assert _clock(seconds) == text
