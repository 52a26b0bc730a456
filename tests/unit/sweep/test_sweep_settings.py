"""Files of settings, and differences between settings."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from pyskl_semloss.errors import InputError
from pyskl_semloss.evaluation.comparison import paired_bootstrap
from pyskl_semloss.evaluation.scores import Scores
from pyskl_semloss.sweep.differences import differences_csv, differences_markdown, paired_differences
from pyskl_semloss.sweep.plan import Run, Setting, fill_seed, read_settings
from pyskl_semloss.sweep.table import collect, rows, write_results

FILE = """
none: {vectors: baseline, options: {train_dataloader.batch_size: 4}}
glove: {alpha: 20}
cosine: {alpha: 1.5, loss: cosine, options: {model.cls_head.temperature: 0.2, fast: true}}
other: {alpha: 2, label_vectors: other.npz, transform: [centred], vectors: shuffled}
"""


def settings_of(folder, text=FILE, name="s.yml"):
    (folder / name).write_text(text)
    return read_settings(folder / name)


def test_a_file_of_settings_in_its_order(tmp_path):
    settings = settings_of(tmp_path)
    assert settings == [
        Setting("baseline", None, "none", options=(("train_dataloader.batch_size", "4"),)),
        Setting("given", 20.0, "glove"),
        Setting("given", 1.5, "cosine", options=(
            ("model.cls_head.loss", "cosine"), ("model.cls_head.temperature", "0.2"), ("fast", "True"))),
        Setting("shuffled", 2.0, "other", "other.npz", ("centred",)),
    ]  # fmt: skip
    as_json = json.dumps({"glove": {"alpha": 20}})
    assert settings_of(tmp_path, as_json, "s.json") == [Setting("given", 20.0, "glove")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{}", "no setting"),
        ("a: 3", "expected fields, got 3"),
        ("a: {alpha: x}", r"a\.alpha.*expected a number, got 'x'"),
        ("a: {alpha: true}", "expected a number"),
        ("a: {}", "expected a number, got None"),
        ("a: {alpha: -1}", r"a\.alpha.*not negative"),
        ("a: {alpha: 1, vector: given}", "no field 'vector'.*did you mean.*vectors"),
        ("a: {alpha: 1, vectors: glove}", r"a\.vectors.*expected one of baseline, given"),
        ("a: {vectors: baseline, alpha: 1}", "a baseline has no semantic branch, so no alpha"),
        ("a: {alpha: 1, transform: centred}", "expected a list of centred"),
        ("a: {alpha: 1, transform: [{b: 1}]}", "expected a list of centred"),
        ("a: {alpha: 1, label_vectors: 3}", "the name of a file"),
        ("a: {alpha: 1, options: [b]}", "KEY: VALUE"),
        ("a: {alpha: 1, options: {b: [1]}}", "text or a number"),
        ("a: {alpha: 1, options: {model.cls_head.alpha: 3}}", "set by the sweep"),
        ("a/b: {alpha: 1}", "letters, digits"),
    ],
)
def test_a_wrong_file_of_settings_is_named_with_its_field(tmp_path, text, message):
    with pytest.raises(InputError, match=message) as error:
        settings_of(tmp_path, text)
    assert "s.yml" in str(error.value)


def scores_with(wrong, clips=50, classes=2):
    label = np.arange(clips) % classes
    score = np.eye(classes, dtype=np.float32)[label]
    score[wrong] = np.roll(score[wrong], 1, axis=1)
    return Scores(np.array([f"c{n}" for n in range(clips)]), score, label)


def written(folder):
    """Two seeds of four settings: ``b`` has five clips more right than ``a`` with seed 0, and one with seed 1."""
    wrong = {
        ("a", 0): range(20), ("a", 1): range(12), ("b", 0): range(15), ("b", 1): range(11),
        ("none", 0): range(20), ("none", 1): range(20), ("late", 1): range(3),
    }  # fmt: skip
    for (name, seed), clips in wrong.items():
        run = folder / f"{name}_seed{seed}_joint"
        run.mkdir(parents=True)
        scores_with(list(clips)).save(run / "test_scores.npz")
        baseline = name == "none"
        content = {"model": "joint", "setting": name, "vectors": "baseline" if baseline else "given", "seed": seed,
                   "alpha": None if baseline else 1.0, "metrics": {"top1": 1 - len(clips) / 50},
                   "score_file": "test_scores.npz"}  # fmt: skip
        (run / "done.json").write_text(json.dumps(content))
    return collect(folder)


def test_differences_from_a_reference_are_paired_by_seed(tmp_path):
    results = written(tmp_path)
    compared = paired_differences(results, tmp_path, ["a", "none"], ["none", "b", "a"])
    assert [(each.reference, each.setting, each.seeds) for each in compared] == [
        ("a", "none", (0, 1)), ("a", "b", (0, 1)), ("a", "late", (1,)),
        ("none", "b", (0, 1)), ("none", "a", (0, 1)), ("none", "late", (1,)),
    ]  # fmt: skip
    top1 = compared[1].metrics[0]
    assert top1.metric == "top1" and top1.estimate == pytest.approx((5 + 1) / 2 / 50)
    # With both seeds drawn the same, it is 5/50 or 1/50 of clips that are drawn, too: wider than over clips alone.
    a, b = ([Scores.load(tmp_path / f"{name}_seed{seed}_joint/test_scores.npz") for seed in (0, 1)] for name in "ab")
    clips = paired_bootstrap(a, b)
    assert top1.low < clips.low < clips.estimate < clips.high < top1.high
    assert compared[2].metrics[0].estimate == pytest.approx((12 - 3) / 50)
    assert [each.reference for each in paired_differences(results, tmp_path)] == ["none"] * 3, "the baseline, by itself"
    with pytest.raises(InputError, match="there is no setting 'c'"):
        paired_differences(results, tmp_path, ["c"])
    assert paired_differences(results, tmp_path, ["c"], ["c", "a"]) == [], "it is planned, but no run has finished yet"
    (tmp_path / "b_seed0_joint" / "test_scores.npz").write_bytes(b"PK")
    with pytest.warns(UserWarning, match="1 pairs of settings could not be compared: b and none; the first: .*npz"):
        assert len(paired_differences(results, tmp_path)) == 2


def test_the_table_of_named_settings(tmp_path):
    results = written(tmp_path)
    table = rows(results, ["none", "b"])
    assert [(row.setting, len(row.seeds)) for row in table] == [("none", 2), ("b", 2), ("a", 2), ("late", 1)]
    names = [path.name for path in write_results(tmp_path, ["none", "b"], ["none"])]
    assert names == ["table.md", "table.csv", "differences.csv", "table.json", "plot.png", "plot.svg"]
    text = (tmp_path / "table.md").read_text()
    assert "| joint | b | 1 | 2 | 74.00 ± 5.66 |" in text and "| joint | b − none | 2 | +14.00 | " in text
    content = json.loads((tmp_path / "table.json").read_text())
    (first, *_) = content["differences"]
    assert first["setting"] == "b" and first["metrics"]["top1"]["estimate"] == pytest.approx(0.14)
    with open(tmp_path / "differences.csv", encoding="utf-8") as stream:
        row = next(csv.DictReader(stream))
    assert row["setting"] == "b" and row["seeds"] == "0 1" and float(row["top1_difference"]) == pytest.approx(0.14)
    assert float(row["top1_low"]) == first["metrics"]["top1"]["low"]
    assert write_results(tmp_path)[2].name == "table.json", "without references no differences"
    assert not (tmp_path / "differences.csv").exists(), "none of an earlier call"
    assert differences_markdown([]) == "" and differences_csv([]).count("\n") == 1


def test_the_seed_is_filled_in():
    run = Run(Path("joint.py"), "joint", Setting("given", 1.0, "a"), 12)
    assert fill_seed("split=t_{seed}", run) == "split=t_12" and fill_seed("plain", run) == "plain"
