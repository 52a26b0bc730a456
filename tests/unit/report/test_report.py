import dataclasses
import json
import subprocess
import sys
import warnings

import numpy as np
import pytest

from helpers import ROOT
from pyskl_semloss.annotations.clip import AnnotationSet
from pyskl_semloss.annotations.pickles import write_annotations
from pyskl_semloss.errors import InputError
from pyskl_semloss.evaluation.ensemble import fuse_parts
from pyskl_semloss.evaluation.fusion import fuse
from pyskl_semloss.evaluation.fusion_config import plan_from_config
from pyskl_semloss.evaluation.metrics import top_k_accuracy
from pyskl_semloss.evaluation.resampling import wilson_interval
from pyskl_semloss.evaluation.scores import Scores
from pyskl_semloss.report.clips import clip_table, pack_clips
from pyskl_semloss.report.figures import figures, name_figures, scaled, weight_curve
from pyskl_semloss.report.inputs import find_history, read_history, read_inputs
from pyskl_semloss.report.page import json_text, page_data
from pyskl_semloss.report.statistics import comparison, headline_table, intervals, nearest_names, resampling_note
from pyskl_semloss.synthetic.clips import generate

CLASSES = 32


def probabilities(label, seed, skill=1.5, classes=CLASSES):
    rng = np.random.default_rng(seed)
    logit = rng.normal(size=(len(label), classes))
    logit[np.arange(len(label)), label] += skill
    power = np.exp(logit)
    return (power / power.sum(1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two runs and two baselines of 150 clips, each file in an order of its own, with logs, clips and vectors."""
    folder = tmp_path_factory.mktemp("runs")
    data = generate(150, seed=1)
    ids = np.array([clip.frame_dir for clip in data.clips])
    label = np.array([clip.label for clip in data.clips])
    for seed, name in enumerate(("joint", "limb", "joint_baseline", "limb_baseline")):
        order = np.random.default_rng(seed).permutation(len(ids))
        (folder / name / "1" / "vis_data").mkdir(parents=True)
        score = probabilities(label, seed)
        Scores(ids[order], score[order], label[order]).save(folder / name / "test_scores.npz")
        rows = [{"loss": 2.0, "loss_cls": 1.5, "loss_emb": 0.5, "epoch": 1, "iter": 10, "step": 10}]
        rows += [{"acc/top1": 0.4, "acc/mean_class": 0.3, "step": 1}]
        log = "\n".join(map(json.dumps, rows)) + '\n{"loss": 1.'
        (folder / name / "1" / "vis_data" / "scalars.json").write_text(log)
    names = sorted(ids.tolist())
    write_annotations(folder / "clips.pkl", AnnotationSet({"train": names[:50], "test": names}, data.clips))
    np.save(folder / "vectors.npy", np.random.default_rng(9).normal(size=(CLASSES, 20)))
    return folder


@pytest.fixture(scope="module")
def material(runs):
    return read_inputs(
        [str(runs / "joint"), str(runs / "limb")],
        ann_file=str(runs / "clips.pkl"),
        split="test",
        label_vectors=str(runs / "vectors.npy"),
        baseline=[str(runs / "joint_baseline"), str(runs / "limb_baseline")],
    )


def test_models_are_aligned_by_id_and_weighted(material, runs):
    joint, limb = (Scores.load(runs / name / "test_scores.npz") for name in ("joint", "limb"))
    assert [part.name for part in material.parts] == ["joint", "limb"]
    assert [part.weight for part in material.parts] == pytest.approx([0.4, 0.6])
    np.testing.assert_array_equal(material.fusion.scores.score, fuse([joint, limb], [2, 3]).score)
    np.testing.assert_array_equal(material.baseline.scores.sample_id, joint.sample_id)
    assert len(material.clips) == 150 and material.train_sizes.sum() == 50
    assert material.parts[0].history["loss_cls"] == [(1.0, 1.5)]


def test_default_weights_follow_the_modality_and_not_the_position(runs):
    turned = read_inputs([str(runs / "limb"), str(runs / "joint")])
    assert [part.name for part in turned.parts] == ["limb", "joint"]
    assert [part.weight for part in turned.parts] == pytest.approx([0.6, 0.4])
    same = read_inputs([str(runs / "joint"), str(runs / "joint_baseline" / "test_scores.npz")])
    assert [part.weight for part in same.parts] == [0.5, 0.5]
    assert [part.role for part in same.parts] == ["part3", "part4"]
    assert any("weigh alike" in note for note in same.notes) and not any("alike" in note for note in turned.notes)


def test_joint_and_limb_of_own_classes_weigh_alike(runs, tmp_path):
    files = []
    for name in ("joint", "limb"):
        scores = Scores.load(runs / name / "test_scores.npz")
        own = tuple(f"own {n}" for n in range(scores.score.shape[1]))
        files.append(str(tmp_path / f"{name}.npz"))
        dataclasses.replace(scores, class_names=own).save(files[-1])
    assert [part.weight for part in read_inputs(files).parts] == [0.5, 0.5]
    assert [part.weight for part in read_inputs(files, weights=[1, 3]).parts] == [0.25, 0.75]


def test_logits_are_shown_as_probabilities_with_a_note(tmp_path, material):
    scores = material.parts[0].scores
    path = tmp_path / "logits.npz"
    dataclasses.replace(scores, score=np.log(scores.score) + 3).save(path)
    made = read_inputs([str(path)])
    np.testing.assert_allclose(made.final.scores.score, scores.score, atol=1e-6)
    assert "logits.npz" in made.notes[0]


@pytest.fixture(scope="module")
def ensemble(runs):
    """A fusion config of three models with validation scores, its weights, and the report's material."""
    label = np.random.default_rng(3).integers(0, CLASSES, 200)
    ids = np.array([f"val_{n}" for n in range(200)])
    lines = []
    for seed, name in enumerate(("joint", "limb", "joint_baseline")):
        Scores(ids, probabilities(label, 20 + seed, skill=2), label).save(runs / f"val_{name}.npz")
        path, search_on = str(runs / name / "test_scores.npz"), str(runs / f"val_{name}.npz")
        lines.append(f"{name}_part=dict(scores={path!r}, search_on={search_on!r})")
    config = runs / "ensemble.py"
    config.write_text(f"parts = dict({', '.join(lines)})\ncalibrate = True\n")
    return fuse_parts(plan_from_config(config)), read_inputs([], config=str(config))


def test_a_fusion_config_stands_for_inputs_weights_and_temperatures(ensemble, runs):
    result, material = ensemble
    assert [part.name for part in material.parts] == ["joint_part", "limb_part", "joint_baseline_part"]
    assert [part.weight for part in material.parts] == pytest.approx(result.weights)
    assert [part.temperature for part in material.parts] == pytest.approx(result.temperatures)
    np.testing.assert_allclose(material.fusion.scores.score, result.scores.score, atol=1e-6)
    assert any(note.startswith("Cross-validation") for note in material.notes)
    assert material.parts[0].history["loss_cls"] == [(1.0, 1.5)]
    with pytest.raises(InputError, match="ensemble.py: expected no score files and no weights beside --config"):
        read_inputs([str(runs / "joint")], config=str(runs / "ensemble.py"))


def test_a_fusion_config_of_logits_is_one_of_their_probabilities_throughout(material, runs, tmp_path):
    for part in material.parts:
        dataclasses.replace(part.scores, score=np.log(part.scores.score) + 3).save(tmp_path / f"{part.name}.npz")
    lines = [f"{name}=dict(scores={str(tmp_path / f'{name}.npz')!r}, search_on={str(tmp_path / f'{name}.npz')!r})"
             for name in ("joint", "limb")]  # fmt: skip
    config = tmp_path / "logits.py"
    config.write_text(f"parts = dict({', '.join(lines)})\n")
    inputs = read_inputs([], config=str(config))
    assert not any("summed as they are" in note for note in inputs.notes)
    top1 = 100 * top_k_accuracy(inputs.fusion.scores.score, inputs.fusion.scores.label, 1)
    assert f"Top-1 {top1:.2f} there" in inputs.notes[0]


def test_what_each_part_adds_is_compared_with_intervals(ensemble, runs):
    result, material = ensemble
    rows = {row["name"]: row for row in comparison(material)}
    final = top_k_accuracy(result.scores.score, result.scores.label, 1)
    for n, part in enumerate(material.parts):
        without = f"fusion without {part.name}"
        anew = f"{without}, weights searched anew"
        for name, scores in ((without, result.without[n]), (anew, result.without_anew[n])):
            if not part.weight:
                assert name not in rows
                continue
            value, low, high = rows[name]["top1"]
            assert value == pytest.approx(100 * (final - top_k_accuracy(scores.score, scores.label, 1)), abs=0.01)
            assert low is None or low <= value <= high
    assert any(part.weight for part in material.parts)
    data = page_data(material, pack_clips([None] * 150), None, title="t", fps=25.0)
    assert [row["temperature"] for row in data["headline"]["rows"]] == [*map(pytest.approx, result.temperatures), None]
    by_hand = read_inputs([str(runs / name) for name in ("joint", "limb", "joint_baseline")], weights=[1, 2, 0])
    assert [model.name for model in by_hand.without] == ["fusion without joint", "fusion without limb"]
    assert read_inputs([str(runs / "joint"), str(runs / "limb")]).without == ()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(inputs=["{}"]), "no test_scores.npz"),
        (dict(inputs=["{}/nothing.npz"]), "no such file"),
        (dict(names="{}/names.txt"), "expected 32 class names"),
        (dict(split="val", ann_file="{}/clips.pkl"), "expected one of the splits"),
        (dict(split="test"), "no annotation file"),
        (dict(baseline=["{}/joint"] * 3), "one per input"),
        (dict(weights=[1.0]), "one weight per score file"),
        (dict(ann_file="{}/other.pkl"), "none of the 150 clips"),
        (dict(ann_file="{}/wrong.pkl"), "another label"),
    ],
)
def test_wrong_inputs_are_named(runs, change, message):
    (runs / "names.txt").write_text("one\ntwo\n")
    clips = generate(40, seed=1).clips
    write_annotations(runs / "other.pkl", AnnotationSet({}, [dataclasses.replace(clips[0], frame_dir="x")]))
    known = str(Scores.load(runs / "joint" / "test_scores.npz").sample_id[0])
    label = (int(Scores.load(runs / "joint" / "test_scores.npz").label[0]) + 1) % CLASSES
    write_annotations(
        runs / "wrong.pkl", AnnotationSet({}, [dataclasses.replace(clips[0], frame_dir=known, label=label)])
    )
    given = {"inputs": ["{}/joint", "{}/limb"], **change}
    filled = {
        key: [v.format(runs) if isinstance(v, str) else v for v in value] if isinstance(value, list)
        else value.format(runs) if key != "split" else value
        for key, value in given.items()
    }  # fmt: skip
    with pytest.raises(InputError, match=message):
        read_inputs(filled.pop("inputs"), **filled)


def test_a_resumed_run_keeps_the_later_row():
    rows = [{"loss": 3.0, "epoch": 1, "iter": 5}, {"loss": 2.0, "epoch": 2, "iter": 10}, {"acc/top1": 0.1, "step": 2}]
    rows += [{"loss": 1.0, "epoch": 2, "iter": 10}, {"acc/top1": 0.2, "step": 2}]
    assert read_history(rows) == {"loss": [(1.0, 3.0), (2.0, 1.0)], "acc/top1": [(2.0, 0.2)]}
    assert read_history([{"time": 1.0}]) is None


def test_lines_of_a_log_that_are_no_rows_are_passed_over(tmp_path):
    log = tmp_path / "1" / "vis_data" / "scalars.json"
    log.parent.mkdir(parents=True)
    odd = [
        "[" * 100_000,
        '{"loss": ' + "9" * 5000 + "}",
        '{"loss": 1' + "0" * 400 + ', "epoch": 1, "iter": 5}',
        "3",
        '{"lo',
    ]
    log.write_text("\n".join([*odd, '{"loss": 3.0, "epoch": 1, "iter": 5}']))
    assert find_history(tmp_path / "test_scores.npz") == {"loss": [(1.0, 3.0)]}


def test_clip_table_is_what_the_scores_say(material):
    table, final = clip_table(material), material.fusion.scores
    top = np.array(table["top"]).reshape(150, 5)
    np.testing.assert_array_equal(top[:, 0], final.score.argmax(1))
    np.testing.assert_allclose(
        np.array(table["prob"]).reshape(150, 5) / 1e4, -np.sort(-final.score, 1)[:, :5], atol=1e-4
    )
    limb = material.parts[1].scores.score
    np.testing.assert_allclose(np.array(table["parts"][1]["truth"]) / 1e4, limb[np.arange(150), final.label], atol=1e-4)
    np.testing.assert_allclose(
        np.array(table["parts"][1]["at"]) / 1e4, np.take_along_axis(limb, top, 1).ravel(), atol=1e-4
    )


def test_intervals_are_near_the_normal_ones_and_leave_unknown_labels_out():
    label = np.random.default_rng(0).integers(0, CLASSES, 2000)
    scores = Scores(np.arange(2000).astype(str), probabilities(label, 1), label)
    found = intervals([scores])[0]
    for k, name in ((1, "top1"), (5, "top5")):
        share = top_k_accuracy(scores.score, label, k)
        half = 1.96 * np.sqrt(share * (1 - share) / 2000)
        np.testing.assert_allclose(found[name], [share - half, share + half], atol=0.003)
    assert intervals([scores])[0] == found
    doubled = Scores(
        np.arange(2100).astype(str), np.concatenate([scores.score, scores.score[:100]]), np.r_[label, np.full(100, -1)]
    )
    assert intervals([doubled])[0] == found
    assert intervals([dataclasses.replace(scores, label=np.full(2000, -1))]) == [{}]


def test_intervals_do_not_collapse_where_all_or_no_clips_are_right():
    label = np.arange(12) % 3
    right, wrong = np.eye(3, dtype=np.float32)[label], np.eye(3, dtype=np.float32)[(label + 1) % 3]
    found = [intervals([Scores(np.arange(12).astype(str), one, label)])[0] for one in (right, wrong)]
    low, high = wilson_interval(np.array([1.0]), np.array([12]))
    assert found[0]["top1"] == found[0]["mean_class"] == pytest.approx((low[0], 1.0), abs=1e-6) and high[0] == 1
    assert found[1]["top1"] == found[1]["mean_class"] == pytest.approx((0.0, 1 - low[0]), abs=1e-6)
    assert low[0] == pytest.approx(0.7575, abs=1e-4)
    persons = {str(n): f"p{n // 4}" for n in range(12)}
    few = intervals([Scores(np.arange(12).astype(str), right, label)], persons=persons)[0]
    assert few["top1"][0] == pytest.approx(wilson_interval(np.array([1.0]), np.array([3]))[0][0])


def test_clips_of_one_person_are_drawn_together(material):
    scores = material.parts[0].scores
    often = dataclasses.replace(
        scores, sample_id=np.char.add(np.repeat(scores.sample_id, 5), np.tile(list("abcde"), 150)),
        score=np.repeat(scores.score, 5, axis=0), label=np.repeat(scores.label, 5),
    )  # fmt: skip
    persons = dict(zip(often.sample_id.tolist(), np.repeat(scores.sample_id, 5).tolist(), strict=True))
    # Five equal clips of a person say no more than one.
    one, five = intervals([scores])[0], intervals([often], persons=persons)[0]
    assert {name: pytest.approx(span) for name, span in one.items()} == five
    low, high = intervals([often])[0]["top1"]
    assert high - low < 0.6 * (five["top1"][1] - five["top1"][0])


def test_the_page_says_what_was_resampled(material):
    who = {one: f"p{n % 7}" for n, one in enumerate(material.final.scores.sample_id.tolist())}
    known = dataclasses.replace(material, persons=who)
    data = page_data(known, pack_clips([None] * 150), None, title="t", fps=25)
    assert "together (7 persons). With so few" in data["resampling"]
    assert data["headline"]["rows"][0]["cells"][0] != headline_table(material)["rows"][0]["cells"][0]
    assert data["comparison"][0]["top1"][1:] != page_data(material, pack_clips([None] * 150), None, title="t", fps=25)[
        "comparison"][0]["top1"][1:]  # fmt: skip
    assert "one by one (150 clips)" in resampling_note(material)
    assert "one by one" in resampling_note(dataclasses.replace(material, persons=dict.fromkeys(who, "only")))


def test_subjects_come_from_a_table_of_videos(runs, tmp_path):
    table = tmp_path / "subjects.csv"
    table.write_text("".join(f"s{n:03d},{n}\n" for n in range(40)))
    made = read_inputs([str(runs / "joint")], subjects=str(table))
    assert made.persons == {one: str(int(one[1:4])) for one in made.final.scores.sample_id.tolist()}
    table.write_text("s001,1\n")
    with pytest.raises(InputError, match="subjects.csv.*clips belong to no video of the table"):
        read_inputs([str(runs / "joint")], subjects=str(table))


def test_an_axis_on_which_equal_sizes_lie_side_by_side_says_so(material):
    figure = figures(material)["size"]
    places, sizes = figure["data"][0]["x"], [row[0] for row in figure["data"][0]["customdata"]]
    assert places != sizes and "side by side" in figure["layout"]["xaxis"]["title"]["text"]
    apart = dataclasses.replace(material, train_sizes=np.arange(1, CLASSES + 1))
    figure = figures(apart)["size"]
    assert figure["data"][0]["x"] == [row[0] for row in figure["data"][0]["customdata"]]
    assert "side by side" not in figure["layout"]["xaxis"]["title"]["text"]


def test_wilson_against_scipy():
    stats = pytest.importorskip("scipy.stats")
    for hits, count in ((0, 3), (5, 5), (12, 40)):
        low, high = wilson_interval(np.array([hits / count]), np.array([count]), z=1.959963984540054)
        expected = stats.binomtest(hits, count).proportion_ci(method="wilson")
        np.testing.assert_allclose([low[0], high[0]], [expected.low, expected.high], atol=1e-12)


def test_scaling_gives_points_of_a_plane_back():
    points = np.random.default_rng(0).normal(size=(7, 2))
    squared = ((points[:, None] - points) ** 2).sum(-1)
    place, kept = scaled(squared)
    np.testing.assert_allclose(((place[:, None] - place) ** 2).sum(-1), squared, atol=1e-10)
    assert kept == pytest.approx(1)
    assert scaled(np.zeros((1, 1)))[0].shape == (1, 2)


def test_the_ends_of_the_weight_curve_are_the_parts(material):
    top1 = weight_curve(material)["data"][0]
    for at, part in ((0, material.parts[0]), (-1, material.parts[1])):
        assert top1["y"][at] == pytest.approx(100 * top_k_accuracy(part.scores.score, part.scores.label, 1), abs=1e-3)
    used = top1["x"].index(0.6)
    fused = material.fusion.scores
    assert top1["y"][used] == pytest.approx(100 * top_k_accuracy(fused.score, fused.label, 1), abs=1e-3)


def test_nearest_names(material):
    units = material.vectors / np.linalg.norm(material.vectors, axis=1, keepdims=True)
    cosine = units @ units.T - 2 * np.eye(CLASSES)
    assert [row[0][0] for row in nearest_names(material)] == cosine.argmax(1).tolist()


def test_plotly_accepts_every_figure(material):
    graph_objects = pytest.importorskip("plotly.graph_objects")

    def painted(value, key=""):
        if isinstance(value, dict):
            return {name: painted(one, name) for name, one in value.items()}
        if isinstance(value, list):
            return [painted(one, key) for one in value]
        return "#123456" if key == "color" else value

    made = {**figures(material), **name_figures(material)}
    assert set(made) == {"loss", "accuracy", "size", "calibration", "weights", "map", "similarity"}
    for figure in made.values():
        graph_objects.Figure(painted(figure))


def test_unlabelled_clips_and_a_single_part_make_a_report_too(material):
    scores = dataclasses.replace(material.parts[0].scores, label=np.full(150, -1))
    alone = dataclasses.replace(
        material, parts=(dataclasses.replace(material.parts[0], scores=scores),), fusion=None, baseline=None
    )
    data = page_data(alone, pack_clips([None] * 150), None, title="t", fps=25)
    assert data["labelled"] == 0 and data["comparison"] == [] and data["headline"]["keys"] == []
    assert set(data["figures"]) == {"loss", "accuracy", "map"}


def test_two_classes_and_one_clip_make_a_report(tmp_path):
    for n, name in enumerate(("a", "b")):
        Scores(np.array(["x"]), np.array([[0.4, 0.6]]), np.array([n * 0])).save(tmp_path / f"{name}.npz")
    np.save(tmp_path / "v.npy", np.eye(2))
    made = read_inputs([str(tmp_path / "a.npz"), str(tmp_path / "b.npz")], label_vectors=str(tmp_path / "v.npy"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data = page_data(made, pack_clips([None]), None, title="t", fps=25)
    json_text(data)
    assert headline_table(made)["rows"][0]["cells"][0]["value"] == 0


def test_the_tool_says_where_the_report_is(runs, tmp_path):
    pytest.importorskip("plotly")
    tool = [sys.executable, str(ROOT / "tools" / "report.py")]
    command = [*tool, str(runs / "joint"), str(runs / "limb"), "--out", str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert str(tmp_path / "out" / "index.html") in done.stdout.splitlines()[-1]
    wrong = subprocess.run([*tool, str(tmp_path)], capture_output=True, text=True, timeout=600)
    assert wrong.returncode == 2 and wrong.stderr.startswith("error: ") and wrong.stderr.count("\n") == 1
