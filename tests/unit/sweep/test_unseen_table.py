"""The table of runs that hold classes out, from score files whose numbers are known."""

import csv
import hashlib
import json

import numpy as np
import pytest

from pyskl_semloss.errors import InputError
from pyskl_semloss.evaluation.scores import Scores
from pyskl_semloss.semantic.unseen import with_further_names
from pyskl_semloss.sweep.unseen_table import fold_numbers, groups, headline, standing, write_unseen_results

NAMES = ["swipe left", "swipe right", "draw x", "draw circle"]


def scores_of(label, nearest, best=None, second=None):
    """Clips whose nearest names, second ones and classes are as said."""
    cosine = 0.6 * np.eye(4)[nearest] - 0.1
    if second is not None:
        cosine += 0.3 * np.eye(4)[second]
    score = 0.04 + 0.84 * np.eye(4)[label if best is None else best]
    return Scores(np.array([f"c{n}" for n in range(len(label))]), score, np.array(label), semantic_cosine=cosine)


def finish(out, name, scores, unseen, **changes):
    folder = out / name
    folder.mkdir(parents=True)
    scores.save(folder / "test_scores.npz")
    done = {"model": "joint", "vectors": "given", "alpha": 3.0, "seed": 0, "unseen": unseen, "class_names": NAMES,
            "metrics": {"top1": 0.5}, "score_file": "test_scores.npz",
            "score_sha256": hashlib.sha256((folder / "test_scores.npz").read_bytes()).hexdigest()}  # fmt: skip
    (folder / "done.json").write_text(json.dumps({**done, **changes}))


@pytest.fixture
def out(tmp_path):
    label = [0, 0, 1, 1, 2, 2, 3, 3]
    finish(tmp_path, "fold0", scores_of(label, [1, 1, 1, 2, 2, 2, 3, 0], second=[3, 0, 0, 0, 0, 0, 0, 0]), [0, 3])
    finish(tmp_path, "fold1", scores_of(label, [0, 0, 1, 1, 2, 2, 0, 2], second=[1] * 8), [2, 3])
    return tmp_path


def test_numbers_over_the_folds(out):
    (group,) = groups(out)
    # Fold 0: clips 1 1 | 1 2 | 2 2 | 3 0 of 0 0 1 1 2 2 3 3, 0 and 3 unseen; among 0 and 3: 3 0 and 3 0.
    assert group.values["seen"] == [0.75, 1.0] and group.values["unseen"] == [0.25, 0.5]
    assert group.values["zero_shot"][0] == 0.5
    assert group.mean("seen") == 0.875 and group.deviation("seen") == pytest.approx(0.25 / 2**0.5)
    assert group.values["harmonic"] == pytest.approx([0.375, 2 / 3]) and group.values["chance"] == [0.5, 0.5]
    assert group.folds == [["swipe left", "draw circle"], ["draw x", "draw circle"]]


def test_confusions_are_summed_over_the_folds_and_opposites_are_marked(out):
    (group,) = groups(out)
    pairs = group.most_confused(False)
    assert pairs[0] == {"true": "swipe left", "predicted": "swipe right", "count": 2, "clips": 2, "opposites": True}
    assert {(pair["true"], pair["predicted"], pair["count"]) for pair in pairs[1:]} == {
        ("draw circle", "swipe left", 2), ("draw circle", "draw x", 1),
    }  # fmt: skip
    assert group.clips["draw circle"] == 4
    assert group.opposite_share(False) == pytest.approx(2 / 5)


def test_joined_numbers_are_those_of_a_prediction_with_further_names():
    rng = np.random.default_rng(0)
    label = rng.integers(0, 4, 60)
    scores = Scores(np.array([f"c{n}" for n in range(60)]), rng.dirichlet(np.ones(4), 60), label,
                    semantic_cosine=rng.uniform(-1, 1, (60, 4)))  # fmt: skip
    unseen, order = [0, 2], [1, 3, 0, 2]
    trained = scores.score[:, [1, 3]] / scores.score[:, [1, 3]].sum(1, keepdims=True)
    best = np.array(order)[with_further_names(trained, scores.semantic_cosine[:, order], 0.2).argmax(1)]
    numbers = fold_numbers(scores, unseen, 0.2)
    hidden = np.isin(label, unseen)
    assert numbers["joined_seen"] == pytest.approx((best == label)[~hidden].mean())
    assert numbers["joined_unseen"] == pytest.approx((best == label)[hidden].mean())
    seen = np.where(scores.score[:, 1] > scores.score[:, 3], 1, 3)
    assert numbers["classifier_seen"] == pytest.approx((seen == label)[~hidden].mean())


def test_a_bias_moves_clips_to_the_unseen_names(out):
    (plain,), (moved,) = groups(out), groups(out, 5.0)
    assert moved.mean("seen") == 0 and moved.mean("unseen") == plain.mean("zero_shot")
    assert moved.mean("zero_shot") == plain.mean("zero_shot") and moved.mean("area") == pytest.approx(
        plain.mean("area")
    )


def test_the_files_have_every_fold_and_the_confusions(out):
    finish(out, "fold0_shuffled", scores_of([0, 1, 2, 3], [3, 1, 2, 0]), [0, 3], vectors="shuffled")
    written = write_unseen_results(out)
    assert [path.name for path in written] == ["table.md", "table.csv", "table.json"]
    text = written[0].read_text()
    assert "| joint | given | 3 | 2 | 87.5 ± 17.7 | 37.5 ± 17.7 |" in text and "| joint | shuffled | 3 | 1 |" in text
    assert text.index("| given |") < text.index("| shuffled |")
    assert "| swipe left | swipe right | 2 | 2 | yes |" in text and "40.0 % of the mistakes are opposites" in text
    rows = list(csv.DictReader(written[1].read_text().splitlines()))
    assert rows[0]["held_out"] == "swipe left; draw circle"
    assert [row["row"] for row in rows[:4]] == ["fold 0", "fold 1", "mean", "deviation"]
    assert float(rows[0]["seen"]) == 0.75 and float(rows[2]["seen"]) == 0.875 and rows[0]["unseen"] == "0.25"
    content = json.loads(written[2].read_text())
    assert content["rows"][0]["metrics"]["seen"]["folds"] == [0.75, 1.0] and content["rows"][1]["n"] == 1
    assert content["rows"][0]["confusions"]["among all names"]["pairs"][0]["opposites"] is True
    assert headline(out / "fold0", {}) == "seen 75.0, unseen 25.0, zero-shot 50.0"
    assert "joint shuffled 0.0" in standing(out)


def test_rows_have_the_number_of_their_fold(out):
    (out / "fold0" / "done.json").unlink()
    finish(out, "fold10", scores_of([0, 1], [0, 1]), [0])
    finish(out, "fold2", scores_of([0, 1], [0, 1]), [1])
    table, _, _ = write_unseen_results(out)
    rows = list(csv.DictReader(table.with_suffix(".csv").read_text().splitlines()))
    assert [(row["row"], row["held_out"]) for row in rows[:3]] == [
        ("fold 1", "draw x; draw circle"), ("fold 2", "swipe right"), ("fold 10", "swipe left"),
    ]  # fmt: skip


def test_the_classifier_may_have_logits(out):
    rng = np.random.default_rng(0)
    logits = rng.normal(-9, 1, (40, 4))
    label = np.arange(40) % 4
    scores = Scores(np.array([f"c{n}" for n in range(40)]), logits, label, semantic_cosine=rng.uniform(-1, 1, (40, 4)))
    seen = np.isin(label, [1, 3])
    expected = (np.where(logits[:, 1] > logits[:, 3], 1, 3) == label)[seen].mean()
    assert fold_numbers(scores, [0, 2])["classifier_seen"] == pytest.approx(expected)


def test_runs_that_cannot_be_used_are_left_out_and_said(out, tmp_path):
    plain = Scores(np.array(["a", "b"]), np.full((2, 4), 0.25), np.array([0, 1]))
    finish(out, "plain", plain, [0])
    finish(out, "sweep", scores_of([0, 1], [0, 1]), None)
    with pytest.warns(UserWarning, match="2 runs are left out: plain, sweep; the first: .*no semantic branch"):
        (group,) = groups(out)
    assert len(group.folds) == 2
    with pytest.raises(InputError, match="there is no finished run"):
        write_unseen_results(tmp_path / "nothing")
