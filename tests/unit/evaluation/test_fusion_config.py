"""What a fusion is asked to do, by arguments or by a config, and what it writes and notes."""

import subprocess
import sys
from dataclasses import FrozenInstanceError, replace
from pathlib import Path

import numpy as np
import pytest

from helpers import ROOT
from pyskl_semloss.errors import InputError
from pyskl_semloss.evaluation.ensemble import run_fusion
from pyskl_semloss.evaluation.fusion import fuse
from pyskl_semloss.evaluation.fusion_config import plan_from_config, read_literals
from pyskl_semloss.evaluation.fusion_plan import FusionPlan, fusion_inputs, modality, paper_weights
from pyskl_semloss.evaluation.scores import Scores
from pyskl_semloss.evaluation.weight_search import cross_validate, search_weights
from pyskl_semloss.io.resources import resource_path
from pyskl_semloss.semantic.class_names import read_class_names

TOOL = ROOT / "tools" / "fuse_scores.py"


def model(seed, prefix=""):
    """Probabilities of 6 classes for 40 clips, right more often than not; every such model has the same labels."""
    label = np.random.default_rng(0).integers(0, 6, 40)
    power = np.exp(np.random.default_rng(seed).normal(size=(40, 6)) + 1.5 * np.eye(6)[label])
    return Scores(np.array([f"{prefix}c_{n}" for n in range(40)]), power / power.sum(1, keepdims=True), label)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for prefix, offset in (("", 0), ("val_", 10)):
        model(1 + offset, prefix).save(f"{prefix}joint.npz")
        limb = model(2 + offset, prefix)
        backward = {field: getattr(limb, field)[::-1] for field in ("sample_id", "score", "label")}
        replace(limb, **backward).save(f"{prefix}limb.npz")
    return tmp_path


CONFIG = '''"""A comment."""
# python tools/fuse_scores.py --config fusion.py
parts = dict(
    joint=dict(scores="joint.npz", weight=2),
    limb={"scores": "limb.npz", "weight": 3.0},
)
out = "work/fused.npz"
submission = "work/Submission.zip"
'''


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("joint.npz", "joint"),
        ("work_dirs/imigue/limb/test_scores.npz", "limb"),
        ("joint/limb_paper.npz", "limb"),
        ("a/joint_limb.npz", None),
        ("jointly/climb.npz", None),
        ("runs/Joint-2/x.pkl:semantic", "joint"),
    ],
)
def test_the_modality_is_read_from_whole_words(path, expected):
    assert modality(path) == expected


def test_the_papers_weights_are_given_by_name_only():
    assert FusionPlan(fusion_inputs(["x/joint/s.npz", "x/limb/s.npz"])).of_the_paper
    for files in (["limb.npz", "joint.npz"], ["a.npz", "b.npz"], ["joint.npz"], ["joint.npz:semantic", "limb.npz"]):
        with pytest.raises(InputError, match="expected one weight per score file"):
            fusion_inputs(files)


def test_the_papers_weights_are_for_its_own_classes_alone(folder):
    names = read_class_names(resource_path("data/smg_labels.txt"))
    for kinds, expected in ((["joint", "limb"], (2, 3)), (["limb", "joint"], (3, 2)), (["joint", "stgcn"], None)):
        assert paper_weights(kinds, names, 17) == paper_weights(kinds, (), 32) == expected
    assert paper_weights(["joint", "limb"], [f"my {name}" for name in names], 17) is None
    plan = FusionPlan(fusion_inputs(["joint.npz", "limb.npz"]), out="fused.npz")
    with pytest.raises(InputError, match="for the classes of iMiGUE and SMG alone.*--search-on"):
        run_fusion(plan)
    assert not Path("fused.npz").exists()
    for name in ("joint", "limb"):
        scores = Scores.load(f"{name}.npz")
        wide = np.pad(scores.score, ((0, 0), (0, 11)))
        replace(scores, score=wide, class_names=tuple(names)).save(f"{name}.npz")
    assert run_fusion(plan).weights == (2, 3)


def test_a_plan_that_contradicts_itself_is_refused(tmp_path):
    two = ["joint.npz", "limb.npz"]
    with pytest.raises(InputError, match="got both"):
        fusion_inputs(two, [1, 1], two)
    with pytest.raises(InputError, match="got 1 for 2"):
        fusion_inputs(two, None, ["v.npz"])
    with pytest.raises(InputError, match="another modality"):
        FusionPlan(fusion_inputs(two, None, ["val_limb.npz", "val_joint.npz"]))
    with pytest.raises(InputError, match="another modality"):
        FusionPlan(fusion_inputs(two, None, ["val_joint.npz:semantic", "val_limb.npz"]))
    with pytest.raises(InputError, match="would be overwritten"):
        FusionPlan(fusion_inputs(two), out="./limb.npz")
    for field, name in (("out", "a.pkl"), ("submission", "a.csv")):
        with pytest.raises(InputError, match="ends in"):
            FusionPlan(fusion_inputs(two), **{field: name})
    with pytest.raises(InputError, match="no part is one"):
        FusionPlan(fusion_inputs(two), ann_file="ann.pkl")
    with pytest.raises(InputError, match="no annotation file"):
        FusionPlan(fusion_inputs(two), split="test")


def test_a_config_and_the_arguments_mean_the_same(folder):
    Path("fusion.py").write_text(CONFIG)
    report = run_fusion(plan_from_config("fusion.py"))
    assert report.written == ["work/fused.npz", "work/Submission.zip"] and report.weights == (2, 3)
    by_hand = run_fusion(FusionPlan(fusion_inputs(["joint.npz", "limb.npz"], [2, 3]), out="other.npz"))
    assert Path("other.npz").read_bytes() == Path("work/fused.npz").read_bytes()
    assert by_hand.table.splitlines()[0] == report.table.splitlines()[0]
    np.testing.assert_array_equal(Scores.load("other.npz").score, fuse([model(1), model(2)], [2, 3]).score)
    assert plan_from_config("fusion.py", out="new.npz", split=None).out == "new.npz"


def test_a_config_can_search(folder):
    text = CONFIG.replace("weight=2", 'search_on="val_joint.npz"').replace(
        '"weight": 3.0', '"search_on": "val_limb.npz"'
    )
    Path("fusion.py").write_text(text)
    report = run_fusion(plan_from_config("fusion.py"))
    assert report.weights == search_weights([model(11, prefix="val_"), model(12, prefix="val_")])[0]
    assert "searched on val_joint.npz, val_limb.npz (40 clips, step 0.05)" in report.notes[0]
    assert report.notes[1].startswith("Cross-validation (5 folds of clips)") and len(report.notes) == 2
    again = run_fusion(FusionPlan(fusion_inputs(["joint.npz", "limb.npz"], None, ["joint.npz", "limb.npz"])))
    assert "40 clips of the table were also searched on" in again.notes[2]


def test_the_notes_of_a_search_in_full(folder):
    parts = [model(11, prefix="val_"), model(12, prefix="val_")]
    weights, table = search_weights(parts, 0.25)
    best = table[0].top1
    many = sum(row.top1 == best for row in table)
    assert 0 < best < 1 and 1 <= many < len(table) == 5
    plan = FusionPlan(
        fusion_inputs(["joint.npz", "limb.npz"], None, ["val_joint.npz", "val_limb.npz"]), search_step=0.25
    )
    searched, equal, best_part, seen = (100 * value for value in cross_validate(parts, 0.25)[:4])
    assert run_fusion(plan).notes == [
        f"The weights {weights[0]:g} {weights[1]:g} were searched on val_joint.npz, val_limb.npz (40 clips, step "
        f"0.25): Top-1 {100 * best:.2f} there, reached by {many} of 5 weightings.",
        f"Cross-validation (5 folds of clips): Top-1 {searched:.2f} with weights searched on the other folds, "
        f"{equal:.2f} with equal weights, {best_part:.2f} with the part that is best on the other folds. Of the "
        f"{seen - equal:+.2f} over equal weights on the clips of the search, {seen - searched:+.2f} is the search's "
        f"own: other clips keep {searched - equal:+.2f}.",
    ]
    assert len(run_fusion(replace(plan, folds=0)).notes) == 1
    assert run_fusion(replace(plan, folds=21)).notes[1].startswith("40 clips are too few for 21 folds")
    first = replace(model(1), sample_id=np.array([f"val_c_{n}" if n < 3 else f"c_{n}" for n in range(40)]))
    first.save("few.npz")
    top1 = 100 * float((parts[0].score.argmax(1) == parts[0].label).mean())
    assert run_fusion(FusionPlan(fusion_inputs(["few.npz"], None, ["val_joint.npz"]))).notes == [
        f"The weights 1 were searched on val_joint.npz (40 clips, step 0.05): Top-1 {top1:.2f} there, reached by 1 of "
        "1 weightings.",
        "Caution: 3 clips of the table were also searched on, so its fusion is too optimistic.",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import os", "line 1: expected 'name = value'"),
        ("x = 1\nprint('x')", "line 2: expected 'name = value'"),
        ("x = __import__('os')", "field 'x': line 1: .*never executed"),
        ("x = dict([('a', 1)])", "never executed"),
        ("x = dict(**{})", "never executed"),
        ("x = dict(a=open('b'))", "never executed"),
        ("x = [i for i in 'ab']", "never executed"),
        ("x = y", "never executed"),
        ("x = {[]: 1}", "never executed"),
        ("x = y = 1", "line 1: expected"),
        ("x = 1\nx = 2", "field 'x': line 2: it is assigned twice"),
        ("y = 1\nx = dict(a=1, b=2, a=3)", "field 'x': line 2: a dict has the key 'a' twice"),
        ("x = [{'b': {1: 2, True: 3}}]", "field 'x': line 1: a dict has the key 1 twice"),
        ("x = (", "line 1: "),
        ("x = " + "(" * 500 + ")" * 500, "f.py"),
    ],
)
def test_only_literals_are_read(tmp_path, text, message):
    path = tmp_path / "f.py"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_literals(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("out = 'a.npz'", "field 'parts': expected a dict of parts"),
        ("parts = dict(a='x.npz')", r"field 'parts.a': expected dict\(scores"),
        ("parts = dict(a=dict(scores='x.npz'))", "f.py: field 'weight': .*got neither"),
        ("parts = dict(a=dict(scores='x.npz', weight=1, search_on='y.npz'))", "got both"),
        ("parts = dict(a=dict(scores='x.npz', weight='1'))", "field 'parts.a.weight': expected a number, got '1'"),
        ("parts = dict(a=dict(scores='x.npz', weight=True))", "expected a number, got True"),
        ("parts = dict(a=dict(scores='x.npz', weight=-1))", "f.py: field 'weights': .*not negative"),
        ("parts = dict(a=dict(scores='x.npz', wieght=1))", "does not know wieght"),
        ("parts = dict(a=dict(scores=3, weight=1))", "expected text, got 3"),
        ("parts = dict(a=dict(scores='x.npz', weight=1))\nsoftmax = 1", "field 'softmax': expected True or False"),
        ("parts = dict(a=dict(scores='x.npz', weight=1))\noutput = 'x'", "does not know output"),
        ("parts = dict(a=dict(scores='x.npz', weight=1, temperature=0))", "temperature': part 'a .*above 0, got 0"),
        ("parts = dict(a=dict(scores='x.npz', weight=1))\ncalibrate = True", "calibrate': .*no validation scores"),
        ("parts = dict(a=dict(scores='x.npz', search_on='y.npz'))\nfolds = 1", "field 'folds': expected 2 or more"),
        (
            "parts = dict(a=dict(scores='x.npz', search_on='y.npz', temperature=2))\ncalibrate = True",
            "got that of 'a .x.npz.'",
        ),
        (
            "parts = dict(a=dict(scores='x.npz', weight=1), b=dict(scores='y.npz', search_on='z.npz'))",
            r"part 'a .x.npz.' has no validation scores",
        ),
    ],
)
def test_a_wrong_config_is_refused_by_name(tmp_path, text, message):
    path = tmp_path / "f.py"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        plan_from_config(path)


def test_lists_of_other_lengths_are_refused_and_plans_are_frozen(folder):
    for given, got in (([1], 1), ([1, 2, 3], 3)):
        with pytest.raises(InputError, match=f"'weights': expected one per score file, got {got} for 2"):
            fusion_inputs(["joint.npz", "limb.npz"], given)
        with pytest.raises(InputError, match=f"'search_on': expected one per score file, got {got} for 2"):
            fusion_inputs(["joint.npz", "limb.npz"], None, ["v.npz"] * got)
    plan = FusionPlan(fusion_inputs(["joint.npz", "limb.npz"], [2, 3]))
    for one in (plan, plan.parts[0], run_fusion(plan)):
        with pytest.raises(FrozenInstanceError):
            one.scores = "other.npz"


def test_refused_ids_leave_nothing_behind(folder):
    strange = replace(model(1), sample_id=np.char.add("=", model(1).sample_id))
    strange.save("strange.npz")
    with pytest.raises(InputError, match="cannot stand"):
        run_fusion(FusionPlan(fusion_inputs(["strange.npz"], [1]), out="o.npz", submission="s.zip"))
    assert not Path("o.npz").exists() and not Path("s.zip").exists()


def test_notes_on_missing_labels_and_logits(folder):
    replace(model(1), label=np.full(40, -1), score=np.log(model(1).score)).save("test.npz")
    report = run_fusion(FusionPlan(fusion_inputs(["test.npz"], [1])))
    assert (
        report.notes[0].startswith("Note: the scores are no probabilities")
        and report.notes[1] == "No clip has a label."
    )
    replace(model(1), label=np.where(np.arange(40) < 3, -1, model(1).label)).save("test.npz")
    report = run_fusion(FusionPlan(fusion_inputs(["test.npz"], [1])))
    assert report.notes == ["3 clips have no label: accuracies are over the others."]


def test_the_tool(folder):
    def tool(*arguments):
        return subprocess.run([sys.executable, TOOL, *arguments], capture_output=True, text=True)

    done = tool("joint.npz", "limb.npz")
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and "iMiGUE and SMG alone" in done.stderr
    done = tool("joint.npz", "limb.npz", "--weights", "2", "3", "--submission", "Submission.zip")
    assert done.returncode == 0 and "2 (0.40)" in done.stdout and "3 (0.60)" in done.stdout
    assert done.stdout.splitlines()[-1] == "Wrote Submission.zip."
    done = tool("limb.npz", "joint.npz")
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and "these say limb, joint" in done.stderr


ONE_HASH = (1 << 61) - 1
"""Whole numbers that differ by multiples of it have one hash."""
COLLIDING = {
    "keys": "parts = {" + ",".join(f"{ONE_HASH * at}: 1" for at in range(8, 9_500)) + "}",
    "negative keys": "parts = {" + ",".join(f"-{ONE_HASH * at}: 1" for at in range(8, 9_500)) + "}",
    "members of a set": "parts = {" + ",".join(str(ONE_HASH * at) for at in range(8, 9_500)) + "}",
    "tuples": "parts = {" + ",".join(f"({-1 - (at & 1)},{-1 - (at >> 1 & 1)},{at}): 1" for at in range(9_000)) + "}",
}


@pytest.mark.parametrize("kind", COLLIDING)
def test_keys_whose_hashes_may_be_chosen_are_refused(tmp_path, kind):
    """A dict compares each of them with all others: seconds for 240 kB, where texts and small numbers take none."""
    (tmp_path / "c.py").write_text(COLLIDING[kind])
    with pytest.raises(InputError, match="field 'parts': line 1: expected strings, numbers"):
        read_literals(tmp_path / "c.py")
    (tmp_path / "c.py").write_text("a = {'x': 1, 2: 3, -4: 5, 2.5: 6, None: 7, True: 8}\nb = {1, 'c'}")
    assert read_literals(tmp_path / "c.py")["b"] == {1, "c"}
    (tmp_path / "c.py").write_text("parts = {0x" + "f" * 15_000 + ": 1}")
    with pytest.raises(InputError, match="c.py: field 'parts'"):
        plan_from_config(tmp_path / "c.py")


SHIPPED = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "configs").glob("*/*/fusion*.py"))


@pytest.mark.parametrize("name", SHIPPED)
def test_own_data_get_searched_weights_and_the_papers_data_2_to_3(name):
    plan = plan_from_config(ROOT / name)
    assert [part.short_name for part in plan.parts] == ["joint", "limb"]
    if "/own/" in name:
        folders = [(Path(part.scores).parent, Path(part.search_on).name[:4]) for part in plan.parts]
        assert folders == [(Path("work_dirs/own/joint"), "val_"), (Path("work_dirs/own/limb"), "val_")]
        assert plan.search_split == ("val" if "pyskl" in name else None)
    else:
        assert [part.weight for part in plan.parts] == [2, 3]
