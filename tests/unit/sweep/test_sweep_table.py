"""The table and the plot of a sweep."""

import csv
import json
import statistics

import numpy as np
import pytest

from pyskl_semloss.errors import InputError
from pyskl_semloss.evaluation.scores import Scores
from pyskl_semloss.sweep.table import collect, fusions, markdown, rows, write_results


def results(spread=0.01):
    """Three seeds of a baseline and of two alphas, as ``done.json`` files hold them."""
    settings = [("baseline", None, 0.6), ("given", 20.0, 0.7), ("given", 3.0, 0.65)]
    return [
        {"model": "joint", "vectors": vectors, "alpha": alpha, "seed": seed, "name": f"{vectors}{seed}",
         "metrics": {"top1": mean + spread * seed, "mean_class": mean}}
        for seed in (2, 0, 1) for vectors, alpha, mean in settings
    ]  # fmt: skip


def test_the_table_has_mean_deviation_and_best_over_the_seeds():
    table = rows(results())
    assert [(row.setting, row.alpha, row.seeds) for row in table] == [
        ("baseline", None, (0, 1, 2)), ("given", 3.0, (0, 1, 2)), ("given", 20.0, (0, 1, 2))
    ]  # fmt: skip
    values = [0.6, 0.61, 0.62]
    assert table[0].mean("top1") == pytest.approx(np.mean(values))
    assert table[0].deviation("top1") == pytest.approx(statistics.stdev(values)) and table[0].best() == max(values)
    assert table[0].mean("ece") is table[0].best("ece") is table[0].deviation("ece") is None
    lines = markdown(table).splitlines()
    assert lines[0] == "| model | setting | alpha | n | Top-1 | best | mean-class |"
    assert lines[2] == "| joint | baseline | - | 3 | 61.00 ± 1.00 | 62.00 | 60.00 ± 0.00 |"
    assert lines[4] == "| joint | given | 20 | 3 | 71.00 ± 1.00 | 72.00 | 70.00 ± 0.00 |"
    single = markdown(rows(results()[:3])).splitlines()
    assert single[3] == "| joint | given | 3 | 1 | 67.00 | 67.00 | 65.00 |"


def test_table_and_plot_are_rebuilt_from_what_is_on_disk(tmp_path):
    with pytest.raises(InputError, match="no finished run"):
        write_results(tmp_path)
    for one in results():
        folder = tmp_path / f"{one['vectors']}{one['alpha']}{one['seed']}"
        folder.mkdir()
        (folder / "done.json").write_text(json.dumps({key: one[key] for key in one if key != "name"}))
    (tmp_path / "cut_off").mkdir()
    written = write_results(tmp_path)
    assert [path.name for path in written] == ["table.md", "table.csv", "table.json", "plot.png", "plot.svg"]
    with open(tmp_path / "table.csv", encoding="utf-8") as stream:
        table = list(csv.DictReader(stream))
    assert len(table) == 3 and table[2]["alpha"] == "20" and table[2]["seeds"] == "0 1 2"
    assert float(table[2]["top1_mean"]) == pytest.approx(0.71) and table[2]["ece_mean"] == ""
    content = json.loads((tmp_path / "table.json").read_text())
    assert len(content["runs"]) == 9 and content["rows"][0]["metrics"]["top1"]["deviation"] == pytest.approx(0.01)
    assert (tmp_path / "plot.png").read_bytes()[:4] == b"\x89PNG"
    drawing = (tmp_path / "plot.svg").read_bytes()
    (tmp_path / "cut_off" / "done.json").write_text('{"model": ')
    with pytest.warns(UserWarning, match="1 runs have a damaged done.json: cut_off"):
        write_results(tmp_path)
    assert (tmp_path / "plot.svg").read_bytes() == drawing, "the same results give the same file"


def test_joint_and_limb_of_one_setting_are_fused_two_to_three(tmp_path):
    ids, label = np.array(["a", "b", "c"]), np.array([0, 1, 1])
    joint = np.array([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3]], np.float32)
    limb = np.array([[0.45, 0.55], [0.35, 0.65], [0.25, 0.75]], np.float32)
    # By hand, 0.4 joint + 0.6 limb for class 0: 0.63, 0.53, 0.43. So a and c are right, and b is not; 3 : 2 would
    # lose c too.
    order = [2, 0, 1]
    for model, score, seeds in (("joint", joint, (0, 1, 2)), ("limb", limb, (0, 1)), ("limb_paper", limb, (2,))):
        for seed in seeds:
            folder = tmp_path / f"{model}{seed}"
            folder.mkdir()
            rows_of = order if model == "limb" else slice(None)
            Scores(ids[rows_of], score[rows_of], label[rows_of]).save(folder / "test_scores.npz")
            content = {"model": model, "vectors": "given", "alpha": 20.0, "seed": seed, "metrics": {"top1": 0.5},
                       "score_file": "test_scores.npz"}  # fmt: skip
            (folder / "done.json").write_text(json.dumps(content))
    (tmp_path / "limb1" / "test_scores.npz").write_bytes(b"PK")
    with pytest.warns(UserWarning, match="1 pairs could not be fused: joint1"):
        (fused,) = fusions(collect(tmp_path), tmp_path)
    assert fused["parts"] == ["joint0", "limb0"] and fused["model"] == "fusion" and fused["seed"] == 0
    assert fused["metrics"]["top1"] == pytest.approx(2 / 3) and fused["alpha"] == 20.0
    with pytest.warns(UserWarning, match="could not be fused"):
        write_results(tmp_path)
    assert "| fusion | given | 20 | 1 | 66.67 |" in (tmp_path / "table.md").read_text()
