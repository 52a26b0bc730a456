"""Vectors of further names: built as those of the model were, and refused where they cannot be."""

import dataclasses

import numpy as np
import pytest

from pyskl_semloss.errors import InputError
from pyskl_semloss.semantic.controls import shuffled
from pyskl_semloss.semantic.label_vectors import LabelVectors, build_label_vectors
from pyskl_semloss.semantic.targets import TARGETS, rescaled, transform, transform_with
from pyskl_semloss.semantic.unseen import FurtherNames, calibrated, further_vectors, with_further_names

KNOWN = ["touch face", "cross arms", "draw circle", "swipe left"]
NEW = ["swipe right", "draw x"]


def known(source="hash:12:3", **rules):
    return build_label_vectors(KNOWN, source, **rules)


def changed(labels, **notes):
    return dataclasses.replace(labels, notes={**labels.notes, **notes})


def test_further_vectors_are_those_of_a_list_with_all_names():
    together = build_label_vectors(KNOWN + NEW, "hash:12:3").vectors
    np.testing.assert_array_equal(further_vectors(known(), NEW), together[4:])


def test_a_model_with_rescaled_vectors_gets_further_ones_at_its_scale():
    labels = known()
    model = dataclasses.replace(labels, vectors=rescaled(labels.vectors))
    factor = model.vectors[0, 0] / labels.vectors[0, 0]
    assert abs(factor - 1) > 0.1
    np.testing.assert_allclose(further_vectors(model, NEW), factor * further_vectors(labels, NEW), rtol=1e-5)


def test_centred_further_vectors_are_less_the_mean_of_the_trained_names_alone():
    labels = known()
    model = transform(labels, ["centred"])
    raw = build_label_vectors(NEW, "hash:12:3").vectors
    expected = raw - labels.vectors.mean(0)
    scale = np.linalg.norm(model.vectors) / np.linalg.norm(labels.vectors - labels.vectors.mean(0))
    np.testing.assert_allclose(further_vectors(model, NEW), scale * expected, atol=1e-6)


@pytest.mark.parametrize("name", TARGETS)
def test_the_maps_of_further_vectors_give_the_label_vectors_themselves(name):
    labels = known()
    after, same = transform_with(labels, labels.vectors, [name])
    np.testing.assert_allclose(same, after.vectors, atol=1e-5)
    np.testing.assert_array_equal(after.vectors, transform(labels, [name]).vectors)


def test_several_transforms_are_done_in_their_order():
    labels = known()
    after, same = transform_with(labels, labels.vectors, ["centred", "simplex"])
    np.testing.assert_allclose(same, after.vectors, atol=1e-5)
    assert np.abs(further_vectors(after, NEW) - further_vectors(transform(labels, ["centred"]), NEW)).max() > 1e-3


def test_a_further_vector_of_which_nothing_is_left_is_refused():
    labels = known()
    with pytest.raises(InputError, match="nothing is left of the vector of further name 1 after 'centred'"):
        transform_with(labels, np.stack([labels.vectors[0], labels.vectors.mean(0)]), ["centred"])


def test_aliases_count_for_further_names_too(tmp_path):
    (tmp_path / "words.txt").write_text("".join(f"{word} {n} {n % 3}\n" for n, word in enumerate(
        "touch face cross arms draw circle swipe left right".split(), 1)))  # fmt: skip
    file = str(tmp_path / "words.txt")
    labels = build_label_vectors(["touch face", "wipe left"], file, aliases={"wipe": "swipe"})
    assert further_vectors(labels, ["wipe right"], file).tolist() == [[8.0, 0.5]]
    with pytest.raises(InputError, match=r"(?s)no vector for 1 of the words.*zigzag.*Word the names otherwise"):
        further_vectors(labels, ["zigzag"], file)
    skipping = build_label_vectors(["touch face", "wipe left"], file, oov="skip")
    with pytest.warns(UserWarning, match="without a vector are left out: zigzag"):
        assert further_vectors(skipping, ["zigzag right"], file).tolist() == [[9.0, 0.0]]


def test_names_that_are_known_are_refused():
    with pytest.raises(InputError, match=r"(?s)1 of the 2 names are known to the model already:\n  'Cross  Arms'"):
        further_vectors(known(), ["swipe right", "Cross  Arms"])
    with pytest.raises(InputError, match="'swipe Right' is there twice"):
        FurtherNames(("swipe right", "swipe Right"))
    with pytest.raises(InputError, match="got none"):
        FurtherNames(())


def test_sources_that_are_not_there_or_others_are_refused(tmp_path):
    labels = known()
    recorded = dataclasses.replace(labels, source="glove.6B.300d.txt")
    with pytest.raises(InputError, match=r"built from 'glove.6B.300d.txt', which is not opened by itself.*--vectors F"):
        further_vectors(recorded, NEW)
    with pytest.raises(InputError, match=r"built from 'sentence:mini'.*--vectors sentence:NAME_OR_FOLDER"):
        further_vectors(dataclasses.replace(labels, source="sentence:mini"), NEW)
    with pytest.raises(InputError, match=r"not recorded.*--label-vectors FILE\.npz"):
        further_vectors(dataclasses.replace(labels, source=""), NEW)
    with pytest.raises(InputError, match=r"built from 'hash:12:4', are not its label vectors.*from 'hash:12:3'"):
        further_vectors(labels, NEW, "hash:12:4")
    with pytest.raises(InputError, match="are not its label vectors"):
        further_vectors(labels, NEW, "hash:11:3")
    with pytest.raises(InputError, match=r"are a control \('shuffled'\)"):
        further_vectors(shuffled(labels), NEW)
    with pytest.raises(InputError, match="there is no such file of word vectors"):
        further_vectors(recorded, NEW, str(tmp_path / "glove.txt"))
    with pytest.raises(InputError, match="are not its label vectors"):
        further_vectors(changed(labels, transform=["centred"]), NEW)


@pytest.mark.parametrize("notes", [{"aliases": 3}, {"aliases": {"a": "b"}}, {"oov": "run"}, {"transform": "centred"},
                                   {"transform": [1]}, {"descriptions": ["x"]}])  # fmt: skip
def test_notes_of_other_kinds_are_refused(notes):
    with pytest.raises(InputError, match="are not as semloss label-vectors writes them"):
        further_vectors(changed(known(), **notes), NEW)


def test_shipped_vectors_are_found_without_being_named():
    labels = build_label_vectors(["touch face", "fold arms"], "shipped")
    further = further_vectors(labels, ["touch arms"])
    own = build_label_vectors(["touch arms"], "shipped").vectors
    np.testing.assert_array_equal(further, own)


def test_templates_and_descriptions_of_a_text_encoder(monkeypatch):
    """The sentences that the encoder gets; the encoder itself is tested in test_sentence_vectors."""
    asked = []

    def encode(model, texts):
        asked.append(dict(texts))
        rows = [[len(" ".join(sentences)), sum(map(ord, sentences[0])), 1.0] for sentences in texts.values()]
        return np.array(rows, np.float32), "abc"

    monkeypatch.setattr("pyskl_semloss.semantic.label_vectors.encode", encode)
    texts = {"nod": ["a person nod ping"], "shrug": ["a person shrug ping"]}
    labels = build_label_vectors(list(texts), "sentence:mini", descriptions=texts)
    further_vectors(labels, ["wave"], "sentence:mini")
    assert asked[-1] == {**texts, "wave": ["a person wave ping"]}
    texts = {"nod": ["a person nods"], "shrug": ["raises the shoulders", "shrugs"]}
    labels = build_label_vectors(list(texts), "sentence:mini", descriptions=texts)
    with pytest.warns(UserWarning, match="of further ones the names are encoded"):
        further_vectors(labels, ["wave"], "sentence:mini")
    assert asked[-1] == {**texts, "wave": ["wave"]}


def test_a_bias_is_taken_off_the_trained_names_alone():
    cosine = np.array([[0.9, 0.1, 0.6], [0.2, 0.3, 0.1]])
    assert calibrated(cosine, [0, 1], 0.4).argmax(1).tolist() == [2, 2]
    assert calibrated(cosine, [0, 1], 0.0).argmax(1).tolist() == [0, 1]


def test_the_names_decide_how_much_the_further_classes_have():
    probability = np.array([[0.7, 0.3], [0.7, 0.3]])
    cosine = np.array([[0.9, 0.0, -0.5], [0.1, 0.0, 0.9]])
    joined = with_further_names(probability, cosine)
    names = np.exp(cosine / 0.1)
    share = names[:, 2] / names.sum(1)
    np.testing.assert_allclose(joined[:, 2], share, rtol=1e-6)
    np.testing.assert_allclose(joined[:, :2], probability * (1 - share)[:, None], rtol=1e-6)
    assert joined.argmax(1).tolist() == [0, 2] and joined.dtype == np.float32
    # A large bias leaves nothing to the trained classes, a large negative one all.
    np.testing.assert_allclose(with_further_names(probability, cosine, bias=50.0)[:, 2], 1, atol=1e-6)
    np.testing.assert_allclose(with_further_names(probability, cosine, bias=-50.0)[:, :2], probability, atol=1e-6)


def test_a_saved_file_of_label_vectors_has_all_that_is_needed(tmp_path):
    labels = known()
    labels.save(tmp_path / "v.npz")
    loaded = LabelVectors.load(tmp_path / "v.npz")
    np.testing.assert_array_equal(further_vectors(loaded, NEW), further_vectors(labels, NEW))
