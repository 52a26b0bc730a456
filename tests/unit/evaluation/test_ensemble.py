"""Fusions of many parts: temperatures, what each part adds, and the config that repeats it."""

from dataclasses import replace

import numpy as np
import pytest

from pyskl_semloss.cli import fuse_scores
from pyskl_semloss.errors import InputError
from pyskl_semloss.evaluation import ensemble
from pyskl_semloss.evaluation.calibration import fit_temperature, softmax_rows, tempered
from pyskl_semloss.evaluation.ensemble import fuse_parts, run_fusion
from pyskl_semloss.evaluation.fusion import fuse
from pyskl_semloss.evaluation.fusion_config import plan_from_config
from pyskl_semloss.evaluation.fusion_plan import FusionPlan, fusion_inputs
from pyskl_semloss.evaluation.metrics import top_k_accuracy
from pyskl_semloss.evaluation.scores import Scores
from pyskl_semloss.evaluation.weight_search import cross_validate, search_weights

SHARP = (0.3, 1, 2, 5, 1)


def logits(seed, prefix, sharp=1.0):
    """Logits of 6 classes for 90 clips; models of one seed have one skill and sharpness on both splits."""
    label = np.random.default_rng(len(prefix)).integers(0, 6, 90)
    rng = np.random.default_rng([seed, len(prefix)])
    score = sharp * (rng.normal(size=(90, 6)) + (0.5 + 0.3 * seed) * np.eye(6)[label])
    return Scores(np.array([f"{prefix}c_{n}" for n in range(90)]), score, label)


def model(seed, prefix="", sharp=1.0):
    part = logits(seed, prefix, sharp)
    return replace(part, score=softmax_rows(part.score))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for seed, sharp in enumerate(SHARP):
        for prefix in ("", "val_"):
            model(seed, prefix, sharp).save(f"{prefix}m{seed}.npz")
            logits(seed, prefix, sharp).save(f"{prefix}logits{seed}.npz")
    return tmp_path


def plan(count=5, name="m", **options):
    files = [f"{name}{seed}.npz" for seed in range(count)]
    return FusionPlan(fusion_inputs(files, None, [f"val_{file}" for file in files]), **options)


def top1(scores):
    return top_k_accuracy(scores.score, scores.label, 1)


def column(table, title):
    """Cells of a column, which is found by the end of its title, as its cells stand to the right."""
    lines = table.splitlines()
    end = lines[0].index(title) + len(title)
    return [line[:end].rsplit("  ", 1)[-1].strip() for line in lines[1:]]


@pytest.mark.parametrize("calibrate", [False, True])
def test_weights_and_temperatures_are_those_of_the_validation_split(folder, calibrate):
    result = fuse_parts(plan(calibrate=calibrate))
    validation, tested = ([model(n, prefix, sharp) for n, sharp in enumerate(SHARP)] for prefix in ("val_", ""))
    cross = cross_validate(validation, calibrate=calibrate)
    if calibrate:
        fitted = [fit_temperature(part.score, part.label) for part in validation]
        assert result.temperatures == pytest.approx(fitted, rel=1e-6)
        # Sharper scores of one model are colder by as much.
        assert fitted[3] / fitted[0] > 5
        validation, tested = (
            [replace(part, score=tempered(part.score, t)) for part, t in zip(side, fitted, strict=True)]
            for side in (validation, tested)
        )
        assert column(result.table, "temperature") == [*(f"{t:.2f}" for t in fitted), ""]
        assert "The temperatures were fitted on the same clips." in result.notes
    else:
        assert result.temperatures == (None,) * 5 and "temperature" not in result.table
    weights = search_weights(validation)[0]
    assert result.weights == pytest.approx(weights, abs=1e-6)
    np.testing.assert_allclose(result.scores.score, fuse(tested, weights).score, atol=1e-5)
    assert f"Top-1 {100 * cross.searched:.2f} with weights searched on the other folds" in result.notes[-1]
    equal, alone = top1(fuse(validation, [1] * 5)), max(map(top1, validation))
    assert result.notes[0].startswith("The weights were searched on val_m0.npz … val_m4.npz (90 clips, step 0.05)")
    assert f"equal weights {100 * equal:.2f}, the best part alone {100 * alone:.2f}." in result.notes[0]


def test_cross_validation_sees_scores_without_the_temperatures_of_all_clips(folder, monkeypatch):
    seen = []

    def recorded(parts, *arguments, **options):
        seen.extend(parts)
        return cross_validate(parts, *arguments, **options)

    monkeypatch.setattr(ensemble, "cross_validate", recorded)
    fuse_parts(plan(3, calibrate=True))
    assert len(seen) == 3
    for n, part in enumerate(seen):
        np.testing.assert_array_equal(part.score, model(n, "val_", SHARP[n]).score.astype(np.float32))


def test_what_each_part_adds_is_the_fusion_without_it(folder):
    result = fuse_parts(plan())
    tested, validation = ([model(n, prefix, sharp) for n, sharp in enumerate(SHARP)] for prefix in ("", "val_"))
    expected, anew = [], []
    for n in range(5):
        kept, rest = [*tested[:n], *tested[n + 1 :]], [*result.weights[:n], *result.weights[n + 1 :]]
        expected.append(fuse(kept, rest))
        again = search_weights([*validation[:n], *validation[n + 1 :]])[0]
        anew.append(fuse(kept, again if result.weights[n] else rest))
    assert min(result.weights) == 0 or len(set(map(top1, expected))) > 1
    for fusions, references in ((result.without, expected), (result.without_anew, anew)):
        for fusion, reference in zip(fusions, references, strict=True):
            np.testing.assert_allclose(fusion.score, reference.score, atol=1e-6)
    assert column(result.table, "without it") == [*(f"{100 * top1(fusion):.2f}" for fusion in expected), ""]
    assert column(result.table, "searched anew") == [*(f"{100 * top1(fusion):.2f}" for fusion in anew), ""]


def test_given_weights_are_searched_neither_for_nor_without(folder):
    result = fuse_parts(FusionPlan(fusion_inputs(["m0.npz", "m1.npz", "m2.npz"], [0, 0, 2])))
    assert result.without_anew == () and result.without[2] is None
    assert column(result.table, "without it")[2:] == ["-", ""]
    np.testing.assert_array_equal(result.without[0].score, model(2, sharp=2).score)
    assert "without it" not in fuse_parts(FusionPlan(fusion_inputs(["m0.npz", "m1.npz"], [1, 1]))).table


@pytest.mark.parametrize(("name", "softmax"), [("m", False), ("logits", True)])
def test_the_config_that_is_saved_repeats_the_fusion(folder, name, softmax):
    result = run_fusion(plan(name=name, softmax=softmax, calibrate=True, out="a.npz", save_config="e.py"))
    assert result.written == ["a.npz", "e.py"]
    repeated = run_fusion(plan_from_config("e.py", out="b.npz"))
    np.testing.assert_array_equal(repeated.scores.score, result.scores.score)
    assert (folder / "a.npz").read_bytes() == (folder / "b.npz").read_bytes()
    assert repeated.weights == result.weights and repeated.temperatures == result.temperatures
    assert [part.name for part in plan_from_config("e.py").parts] == [
        f"{name}{n}.npz ({name}{n}.npz)" for n in range(5)
    ]


def test_parts_of_one_name_have_names_of_their_own_in_the_config(folder):
    inputs = fusion_inputs(["m0.npz", "m0.npz"], [1, 3])
    run_fusion(FusionPlan(inputs, save_config="e.py"))
    assert [part.weight for part in plan_from_config("e.py").parts] == [1, 3]
    names = ("a", "a", "a 1", "b")
    numbered = tuple(replace(part, name=name) for part, name in zip(inputs + inputs, names, strict=True))
    run_fusion(FusionPlan(numbered, save_config="n.py"))
    assert [part.weight for part in plan_from_config("n.py").parts] == [1, 3, 1, 3]
    with pytest.raises(InputError, match="one of the inputs"):
        FusionPlan(inputs, out="m0.npz")
    with pytest.raises(InputError, match="ends in .py"):
        FusionPlan(inputs, save_config="e.yaml")


def test_logits_give_what_their_probabilities_do(folder):
    from_logits, from_probabilities = (
        fuse_parts(plan(4, name, softmax=True, calibrate=True)) for name in ("logits", "m")
    )
    assert from_logits.temperatures == pytest.approx(from_probabilities.temperatures, rel=1e-3)
    np.testing.assert_allclose(from_logits.scores.score, from_probabilities.scores.score, atol=0.01)
    with pytest.raises(InputError, match="val_logits0.npz: .*no probabilities, which a temperature is for.*--logits"):
        fuse_parts(plan(4, "logits", calibrate=True))


def test_a_temperature_at_a_limit_is_said(folder):
    right = replace(model(1, "val_"), score=0.9 * np.eye(6)[model(1, "val_").label] + 0.1 / 6)
    right.save("val_m0.npz")
    notes = fuse_parts(plan(2, calibrate=True)).notes
    assert "Caution: the temperature of m0.npz is at a limit (0.05 or 20)." in notes


def test_folds_are_of_persons_where_they_are_known(folder):
    persons = {f"val_c_{n}": f"P{n % 7}" for n in range(90)}
    result = fuse_parts(plan(3), persons)
    assert result.notes[-1].startswith("Cross-validation (5 folds of persons)")
    with pytest.raises(InputError, match="clips belong to no video of the table"):
        fuse_parts(plan(3), {"other": "P1"})


def test_the_tool_with_all_of_it(folder, monkeypatch, capsys):
    (folder / "subjects.csv").write_text("video,subject\n" + "".join(f"val_c_{n},P{n % 6}\n" for n in range(90)))
    files = [f"m{n}.npz" for n in range(5)]
    arguments = [*files, "--search-on", *(f"val_{file}" for file in files), "--calibrate", "--subjects", "subjects.csv"]
    monkeypatch.setattr("sys.argv", ["fuse", *arguments, "--folds", "3", "--save-config", "e.py"])
    fuse_scores.main()
    out = capsys.readouterr().out
    assert "Cross-validation (3 folds of persons)" in out and "searched anew" in out.splitlines()[0]
    assert out.splitlines()[-1] == "Wrote e.py."
    monkeypatch.setattr("sys.argv", ["fuse", "m0.npz", "m1.npz", "--weights", "1", "1", "--subjects", "subjects.csv"])
    with pytest.raises(SystemExit):
        fuse_scores.main()
    assert "no weights are searched" in capsys.readouterr().err


@pytest.mark.parametrize("option", [["--folds", "3"], ["--search-step", "0.1"]])
def test_an_option_of_a_search_without_one_is_refused(folder, monkeypatch, capsys, option):
    monkeypatch.setattr("sys.argv", ["fuse", "m0.npz", "m1.npz", "--weights", "1", "1", *option])
    with pytest.raises(SystemExit):
        fuse_scores.main()
    words = f"field '{option[0]}': it is of a search, but no weights are searched. Give --search-on"
    assert words in capsys.readouterr().err
