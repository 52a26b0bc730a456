import json

import numpy as np
import pytest

from pyskl_semloss.errors import InputError
from pyskl_semloss.semantic.controls import CONTROLS, hash_like, random_like, shuffled
from pyskl_semloss.semantic.label_vectors import LabelVectors, build_label_vectors
from pyskl_semloss.semantic.word_vectors import hash_vector

NAMES = ["touch face", "touch hair", "fold arms", "cross legs", "rub hands", "touch neck and face"]


@pytest.fixture
def given():
    """Label vectors of a known source, and of another scale than that of hash vectors."""
    labels = build_label_vectors(NAMES, "hash:12:5")
    return LabelVectors(labels.class_names, 3 * labels.vectors, labels.words, "glove.txt", "abc", {"oov": "error"})


@pytest.mark.parametrize("kind", CONTROLS)
def test_what_every_control_keeps(given, kind, tmp_path):
    control = CONTROLS[kind](given, 3)
    assert control.class_names == given.class_names and control.vectors.shape == given.vectors.shape
    assert np.square(control.vectors).mean() == pytest.approx(np.square(given.vectors).mean(), rel=1e-5)
    assert (CONTROLS[kind](given, 3).vectors == control.vectors).all()
    assert (CONTROLS[kind](given, 4).vectors != control.vectors).any()
    control.save(tmp_path / "v.npz"), CONTROLS[kind](given, 3).save(tmp_path / "w.npz")
    assert (tmp_path / "v.npz").read_bytes() == (tmp_path / "w.npz").read_bytes()
    loaded = LabelVectors.load(tmp_path / "v.npz")
    assert (loaded.vectors == control.vectors).all() and loaded.words == control.words
    assert loaded.source.startswith(f"{kind}:") and loaded.notes["control"] == kind and loaded.notes["seed"] == 3
    assert loaded.notes["given"] == {"source": "glove.txt", "checksum": "abc", "notes": {"oov": "error"}}
    json.dumps(dict(loaded.notes))


@pytest.mark.parametrize("seed", range(20))
def test_shuffled_gives_every_class_the_vector_of_another(given, seed):
    control = shuffled(given, seed)
    order = control.notes["vector_of_class"]
    assert sorted(order) == list(range(6)) and all(order[n] != n for n in range(6))
    assert (control.vectors == given.vectors[order]).all()
    assert control.words == tuple(given.words[n] for n in order), "the words that were averaged, not those of the name"


def test_shuffled_does_not_exchange_equal_vectors():
    vectors = np.eye(6)[[0, 0, 1, 1, 2, 2]]
    labels = LabelVectors(tuple("abcdef"), vectors, (("a",),) * 6)
    for seed in range(10):
        assert (shuffled(labels, seed).vectors != labels.vectors).any(axis=1).all()
    most = LabelVectors(tuple("abc"), np.ones((3, 2)), (("a",),) * 3)
    with pytest.raises(InputError, match="found no order of the 3"):
        shuffled(most)


def test_random_keeps_the_lengths_alone(given):
    control = random_like(given, 0)
    np.testing.assert_allclose(
        np.linalg.norm(control.vectors, axis=1), np.linalg.norm(given.vectors, axis=1), rtol=1e-5
    )
    many = LabelVectors(tuple(map(str, range(400))), np.ones((400, 30)), ((),) * 400)
    units = random_like(many).vectors / np.sqrt(30)
    assert np.abs(units.mean(axis=0)).max() < 0.05, "directions have no preference"
    cosine = (units @ units.T)[~np.eye(400, dtype=bool)]
    assert cosine.mean() == pytest.approx(0, abs=0.01) and cosine.std() == pytest.approx(30**-0.5, rel=0.05)


def test_hash_is_the_mean_of_the_words_hash_vectors_but_for_one_factor(given):
    control = hash_like(given, 7)
    expected = np.mean([hash_vector(word, 12, 7) for word in ("touch", "face")], axis=0)
    np.testing.assert_allclose(control.vectors[0], expected * control.notes["scale"], rtol=1e-5)
    assert control.words == given.words and control.source == "hash:12:7"
    with pytest.raises(InputError, match="of no words"):
        hash_like(random_like(given))
