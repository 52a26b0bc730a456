import gzip
import json
import os
import pickle
import socket
import subprocess
import sys
import tracemalloc
import urllib.error
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyskl_semloss.class_names import parse_aliases
from pyskl_semloss.errors import InputError
from pyskl_semloss.files import sha256
from pyskl_semloss.label_vectors import (
    LabelVectors,
    build_label_vectors,
    identical_classes,
    load_matrix,
    nearest_classes,
    read_class_names,
    split_words,
    summary,
)
from pyskl_semloss.word_vectors import HASH_SCALE, find_word_vectors, hash_vector

ROOT = Path(__file__).resolve().parents[1]
WORDS = ["hand", "arm", "wave", "naïve", "clap", "x"]


@pytest.fixture(scope="module")
def gensim_vectors():
    keyedvectors = pytest.importorskip("gensim.models.keyedvectors")
    model = keyedvectors.KeyedVectors(vector_size=7)
    model.add_vectors(WORDS, np.random.default_rng(5).normal(size=(len(WORDS), 7)).astype(np.float32))
    return model


def _glove_text(path, words=WORDS, dimension=4, numbers=None):
    lines = [f"{word} {' '.join(numbers or [f'{i}.{j}5' for j in range(dimension)])}" for i, word in enumerate(words)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


# --- the paper's matrix and the real class lists


def test_equals_the_papers_label_vectors_to_the_last_bit(shared_dir, tmp_path):
    glove = shared_dir / "data" / "glove"
    labels = build_label_vectors(
        read_class_names(ROOT / "data" / "imigue_labels.txt"), glove / "glove.6B.300d.imigue48.txt"
    )
    expected = np.load(glove / "imigue_label_vectors.npy")
    assert labels.vectors.dtype == np.float32
    np.testing.assert_array_equal(labels.vectors, expected)
    assert labels.checksum == sha256(glove / "glove.6B.300d.imigue48.txt")
    labels.save(tmp_path / "v.npz")
    np.testing.assert_array_equal(load_matrix(tmp_path / "v.npz", 32), expected)
    assert "mean square per dimension 0.0769" in summary(labels)


def test_class_lists(shared_dir):
    short = (ROOT / "data" / "imigue_labels.txt").read_bytes()
    assert short == (shared_dir / "data" / "glove" / "imigue_labels.txt").read_bytes()
    full = read_class_names(ROOT / "data" / "imigue_labels_full.txt")
    assert len(full) == len(short.decode().splitlines()) == 32
    # Classes 3, 10, 14 and 17 are worded anew (face/head, chin/jaw, chest/suprasternal notch, sleeve/clothes).
    stems = "turtle breath hat - forehead face eyes part ears nails - neck hair tie - back arm - arm torso sit arm hand"
    stems += " finger minaret play arms head lip akimbo shoulder illustrative"
    for stem, name, other in zip(stems.split(), full, short.decode().splitlines(), strict=True):
        assert stem == "-" or (stem in name.lower() and stem in other), (stem, name, other)
    smg = read_class_names(ROOT / "data" / "smg_labels.txt")
    assert len(smg) == 17 and smg[0] == "turtling neck and shoulder" and smg[16] == "illustrative hand gestures"


def test_words_without_a_vector_in_a_real_source(shared_dir):
    names = read_class_names(shared_dir / "data" / "msr_action3d" / "labels.txt")
    source = shared_dir / "data" / "glove" / "glove.twitter.27B.25d.common.txt"
    with pytest.raises(InputError) as caught:
        build_label_vectors(names, source)
    message = str(caught.value)
    assert "clap (in 'hand clap'); near spellings: cap, lap" in message
    assert "jogging (in 'jogging'); near spellings: logging, blogging" in message
    assert "--alias clap=" in message and "--oov skip" in message
    with pytest.raises(InputError, match="no word at all is left for 'jogging'"):
        build_label_vectors(names, source, oov="skip")

    labels = build_label_vectors(names, source, aliases={"jogging": "running,slowly"}, oov="skip")
    vectors = find_word_vectors(["hand", "running", "slowly"], source).vectors
    clap, jogging = names.index("hand clap"), names.index("jogging")
    np.testing.assert_array_equal(labels.vectors[clap], vectors["hand"])
    np.testing.assert_allclose(labels.vectors[jogging], (vectors["running"] + vectors["slowly"]) / 2, atol=1e-6)
    assert labels.words[clap] == ("hand",) and labels.words[jogging] == ("running", "slowly")
    assert labels.notes["skipped"] == ["clap"] and labels.notes["aliases"] == {"jogging": ["running", "slowly"]}
    assert "alias jogging = running, slowly" in summary(labels) and "skipped, without a vector: clap" in summary(labels)


# --- each kind of file, with gensim's own reading as the oracle


def _write(model, kind, folder):
    path = folder / f"vectors.{kind}"
    if kind.startswith("w2v"):
        plain = folder / "plain"
        model.save_word2vec_format(str(plain), binary=".bin" in kind)
        data = plain.read_bytes()
        path.write_bytes(gzip.compress(data) if kind.endswith("gz") else data)
    elif kind.startswith("kv"):
        model.save(str(path), sep_limit=0 if kind == "kv_two_files" else 10**9)
    else:
        rows = [f"{word} {' '.join(repr(float(x)) for x in model[word])}" for word in WORDS]
        text = ("\n".join(rows) + "\n").encode()
        path.write_bytes(gzip.compress(text) if kind.endswith("gz") else text)
    return path


@pytest.mark.parametrize(
    "kind", ["w2v.txt", "w2v.txt.gz", "w2v.bin", "w2v.bin.gz", "glove.txt", "glove.txt.gz", "kv", "kv_two_files"]
)
def test_each_kind_of_file_reads_as_gensim_reads_it(gensim_vectors, kind, tmp_path):
    from gensim.models import KeyedVectors

    path = _write(gensim_vectors, kind, tmp_path)
    if kind.startswith("kv"):
        oracle = KeyedVectors.load(str(path))
    else:
        is_binary, no_header = ".bin" in kind, kind.startswith("glove")
        oracle = KeyedVectors.load_word2vec_format(str(path), binary=is_binary, no_header=no_header)
    found = find_word_vectors([*WORDS, "clip"], path)
    assert set(found.vectors) == set(WORDS)
    for word in WORDS:
        assert found.vectors[word].dtype == np.float32
        np.testing.assert_array_equal(found.vectors[word], oracle[word])
    assert found.near["clip"] == ["clap"]
    assert found.source == path.name and found.checksum == sha256(path)
    beside = path.with_name(path.name + ".vectors.npy")
    assert found.side_files == ({beside.name: sha256(beside)} if kind == "kv_two_files" else {})


def test_binary_file_with_a_line_break_after_each_vector(tmp_path):
    matrix = np.arange(6, dtype=np.float32).reshape(2, 3)
    records = b"".join(word + b" " + row.tobytes() + b"\n" for word, row in zip([b"arm", b"hand"], matrix, strict=True))
    (tmp_path / "v.bin").write_bytes(b"2 3\n" + records)
    found = find_word_vectors(["hand", "arm", "leg"], tmp_path / "v.bin").vectors
    np.testing.assert_array_equal(found["arm"], matrix[0])
    np.testing.assert_array_equal(found["hand"], matrix[1])


def test_kv_of_gensim_3(gensim_vectors, tmp_path, monkeypatch):
    from gensim.models import keyedvectors

    state = {"vectors": gensim_vectors.vectors, "index2word": WORDS, "vector_size": 7}
    old = type("Word2VecKeyedVectors", (), {"__module__": keyedvectors.__name__})
    monkeypatch.setattr(keyedvectors, "Word2VecKeyedVectors", old)
    model = old()
    model.__dict__.update(state)
    (tmp_path / "old.kv").write_bytes(pickle.dumps(model, protocol=2))
    found = find_word_vectors(["clap"], tmp_path / "old.kv")
    np.testing.assert_array_equal(found.vectors["clap"], gensim_vectors["clap"])


class _Evil:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_a_pickle_is_never_executed(tmp_path):
    (tmp_path / "evil.kv").write_bytes(pickle.dumps(_Evil(tmp_path / "made")))
    with pytest.raises(InputError, match="not executed"):
        find_word_vectors(["hand"], tmp_path / "evil.kv")
    assert not (tmp_path / "made").exists()


def test_glove_840b_words_with_spaces_and_the_first_of_two_vectors(tmp_path):
    (tmp_path / "v.txt").write_text("a 1 2\n. . . 3 4\nb 5 6 \nb 7 8\nc\t9\t10\n")
    found = find_word_vectors(["a", "b", "c", "d"], tmp_path / "v.txt").vectors
    assert {word: vector.tolist() for word, vector in found.items()} == {"a": [1, 2], "b": [5, 6], "c": [9, 10]}


# --- malformed files

_BINARY = b"3 2\n" + b"".join(word + b" " + np.float32([1.5, -2]).tobytes() for word in (b"arm", b"hand", b"leg"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (b"\n\n", "the file is empty"),
        (b"a 1 2\nb 1 2 3\n", "line 2: expected a word and 2 numbers, as line 1 has or promises, got 3"),
        (b"a 1 2\nb 1\n", "line 2: .* got 1"),
        (b"a 1 2\nhand 1 two\n", "line 2: expected numbers after the word, got '1 two'"),
        (b"turtle neck\nhand clap\n", "line 1: expected numbers after the word, got 'neck'"),
        (b"hand\n", "line 1: expected numbers"),
        (b"5 2\na 1 2\nb 1 2\n", "line 1: the header promises 5 words, but 2 lines follow"),
        (b"2 3\na 1 2\nb 1 2\n", "line 2: expected a word and 3 numbers"),
        (b"a 1 2\nhand nan 2\n", "word 'hand' holds NaN"),
        (b"a 1 2\nhand 1e39 2\n", "word 'hand' holds NaN, infinity or a number beyond float32"),
        (gzip.compress(b"a 1 2\n" * 2000)[:-20], "truncated or damaged, after line or word"),
        (gzip.compress(np.random.default_rng(1).bytes(3000))[:900], "truncated|none of these"),
        (b"\x1f\x8bnot gzip", "gzip file is truncated or damaged"),
        (_BINARY[:-3], "word 3: the header .line 1. promises 3 words of 2 numbers"),
        (_BINARY.replace(b"3 2", b"4 2"), "word 4: the header .line 1. promises 4 words"),
        (_BINARY.replace(b"3 2", b"2 2"), "line 1: the file goes on after the 2 words"),
        (_BINARY.replace(b"3 2", b"3 0"), "line 1: the header gives the dimension 0"),
        (b"\x00\x01\x02 no header \xff", "none of these"),
        (b"PK\x03\x04....", "zip archive"),
        (gzip.compress(pickle.dumps({})), "gzipped gensim file. Unzip it"),
        (pickle.dumps({"a": 1}), "expected gensim's KeyedVectors, got another pickle"),
        (pickle.dumps({"a": 1})[:-3], "damaged, truncated"),
        (b"a" * (1 << 20), "line 1: .* bytes or more"),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else f"{len(value)} bytes",
)
def test_malformed_files_are_refused_with_file_and_place(content, message, tmp_path):
    path = tmp_path / "vectors.any"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        find_word_vectors(["hand", "absent"], path)
    assert str(path) in str(caught.value)


def test_reading_ends_with_the_last_needed_word(tmp_path):
    (tmp_path / "v.txt").write_text("a 1 2\nhand 3 4\nbroken\n")
    assert find_word_vectors(["hand"], tmp_path / "v.txt").vectors["hand"].tolist() == [3, 4]


def test_a_kv_whose_second_file_is_missing(gensim_vectors, tmp_path):
    path = _write(gensim_vectors, "kv_two_files", tmp_path)
    (tmp_path / "vectors.kv_two_files.vectors.npy").unlink()
    with pytest.raises(InputError, match="in a second file, vectors.kv_two_files.vectors.npy, which is not beside it"):
        find_word_vectors(["hand"], path)


@pytest.mark.parametrize("zipped", [False, True])
def test_only_the_needed_words_are_kept_in_memory(zipped, tmp_path):
    row = " ".join(f"0.{i:05}" for i in range(100))
    opener = gzip.open if zipped else open
    with opener(tmp_path / "large", "wt") as stream:
        stream.writelines(f"word{i} {row}\n" for i in range(25_000))
    tracemalloc.start()
    found = find_word_vectors(["word7", "word24999"], tmp_path / "large")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(found.vectors) == 2
    assert peak < 3 * 2**20  # all vectors would take 10 MB; two blocks of 1 MiB are read for the checksum


def test_the_matrix_beside_a_kv_is_not_read_whole(tmp_path):
    keyedvectors = pytest.importorskip("gensim.models.keyedvectors")
    model = keyedvectors.KeyedVectors(vector_size=4000)
    model.add_vectors([f"word{i}" for i in range(1000)], np.ones((1000, 4000), np.float32))
    model.save(str(tmp_path / "large.kv"), sep_limit=10**6)
    tracemalloc.start()
    found = find_word_vectors(["word7"], tmp_path / "large.kv")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.vectors["word7"].sum() == 4000 and (tmp_path / "large.kv.vectors.npy").is_file()
    assert peak < 4 * 2**20  # the matrix has 16 MB


# --- sources


def test_hash_vectors_depend_on_word_dimension_and_seed_only():
    np.testing.assert_allclose(hash_vector("hand", 4), [-0.567004, -0.10993, -0.294894, 0.151255], atol=1e-6)
    one = find_word_vectors(["hand", "arm"], "hash:50:3").vectors
    other = find_word_vectors(["leg", "arm"], "hash:50:3").vectors
    np.testing.assert_array_equal(one["arm"], other["arm"])
    assert not np.array_equal(one["arm"], one["hand"])
    assert not np.array_equal(one["arm"], find_word_vectors(["arm"], "hash:50:4").vectors["arm"])
    found = find_word_vectors(["arm"], "hash")
    assert found.vectors["arm"].shape == (300,) and (found.source, found.checksum) == ("hash:300:0", "seed 0")


def test_hash_vectors_have_the_scale_of_glove(shared_dir):
    words = split_words((shared_dir / "data" / "glove" / "imigue_labels.txt").read_text())
    glove = find_word_vectors(words, shared_dir / "data" / "glove" / "glove.6B.300d.imigue48.txt").vectors
    rms = np.sqrt(np.mean(np.square(np.stack(list(glove.values())))))
    assert pytest.approx(rms, abs=1e-4) == HASH_SCALE
    drawn = np.stack([hash_vector(f"word{i}") for i in range(300)])
    assert np.sqrt(np.mean(np.square(drawn))) == pytest.approx(HASH_SCALE, rel=0.01)


def test_hash_makes_neighbours_of_names_that_share_words():
    labels = build_label_vectors(["touch left ear", "cross legs", "touch right ear"], "hash")
    cosine, one, other = nearest_classes(labels)[0]
    assert {one, other} == {"touch left ear", "touch right ear"} and 0.5 < cosine < 0.8


@pytest.mark.parametrize("source", ["hash:", "hash:0", "hash:x", "hash:300:-1", "hash:300:1:2"])
def test_wrong_hash_sources(source):
    with pytest.raises(InputError, match="hash:DIM:SEED"):
        find_word_vectors(["hand"], source)


def test_sources_that_do_not_exist(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        find_word_vectors(["hand"], tmp_path / "absent.txt")
    with pytest.raises(InputError, match="got a folder"):
        find_word_vectors(["hand"], tmp_path)
    with pytest.raises(InputError, match="nor a name of gensim's downloader. Near names: glove-wiki-gigaword-300"):
        find_word_vectors(["hand"], "glove-wiki-gigawords-300")


def test_without_network_the_message_says_what_to_fetch_and_where_to_put_it(tmp_path, monkeypatch, capfd):
    downloader = pytest.importorskip("gensim.downloader")
    limits = []

    def no_network(*args):
        limits.append(socket.getdefaulttimeout())
        raise urllib.error.URLError("no network")

    monkeypatch.setenv("GENSIM_DATA_DIR", str(tmp_path))
    monkeypatch.setattr(downloader, "BASE_DIR", str(tmp_path))
    monkeypatch.setattr(downloader, "urlopen", no_network)
    before = socket.getdefaulttimeout()
    with pytest.raises(InputError) as caught:
        find_word_vectors(["hand"], "glove-twitter-25")
    message = str(caught.value)
    by_hand = tmp_path / "glove-twitter-25" / "glove-twitter-25.gz"
    assert "Fetch glove-twitter-25.gz by hand from the release 'glove-twitter-25' of github.com/" in message
    assert str(by_hand) in message and "local file" in message
    assert limits and all(limit is not None and limit <= 30 for limit in limits)
    assert socket.getdefaulttimeout() == before
    assert "Traceback" not in "".join(capfd.readouterr())

    by_hand.parent.mkdir()
    (by_hand.parent / "__init__.py").write_text("raise SystemError('executed')")
    by_hand.write_bytes(gzip.compress(b"2 3\narm 1 2 3\nhand 4 5 6\n"))
    found = find_word_vectors(["hand"], "glove-twitter-25")
    assert found.vectors["hand"].tolist() == [4, 5, 6] and found.source == "glove-twitter-25"


# --- names, words, aliases


def test_split_words():
    assert split_words("Bulging face, deep-breath / person's_hat (2)") == [
        *("bulging", "face", "deep", "breath", "person's", "hat", "2")
    ]
    assert split_words("person\u2019s cafe\u0301") == ["person's", "caf\u00e9"]
    assert split_words(" -- ' ") == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a\n\nb\n \n", "line 2 is blank; line 4 is blank"),
        (b"a\nb\nA\nb\n", "line 3 repeats line 1 .'A'.; line 4 repeats line 2"),
        (b"\n", "empty"),
        (b"caf\xe9\n", "UTF-8"),
    ],
)
def test_class_lists_are_refused_by_line(content, message, tmp_path):
    (tmp_path / "labels.txt").write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        read_class_names(tmp_path / "labels.txt")
    assert "labels.txt" in str(caught.value)


def test_class_lists_of_windows_are_read(tmp_path):
    (tmp_path / "labels.txt").write_bytes(b"\xef\xbb\xbfhand wave \r\ncaf\xc3\xa9\r\n")
    assert read_class_names(tmp_path / "labels.txt") == ["hand wave", "café"]
    with pytest.raises(InputError, match="absent"):
        read_class_names(tmp_path / "absent.txt")


def test_parse_aliases():
    assert parse_aliases(["Clap=hands", "jog=run, slowly"]) == {"clap": ("hands",), "jog": ("run", "slowly")}
    for wrong in ["clap", "clap=", "=hands", "clap=a,,b", "hand clap=applause", "clap=New York"]:
        with pytest.raises(InputError, match="expected word=word"):
            parse_aliases([wrong])
    with pytest.raises(InputError, match="two aliases"):
        parse_aliases(["clap=a", "Clap=b"])


def test_aliases_replace_words_and_keep_their_spelling(tmp_path):
    source = _glove_text(tmp_path / "v.txt", ["hand", "London", "arm"], 2)
    labels = build_label_vectors(["Hand-wave", "arm"], source, aliases={"wave": ["London", "arm"]})
    assert labels.words == (("hand", "London", "arm"), ("arm",))
    np.testing.assert_allclose(labels.vectors[0], [1.05, 1.15])
    with pytest.warns(UserWarning, match="1 aliases name no word of the class names: leg"):
        build_label_vectors(["arm"], source, aliases={"leg": "arm"})


def test_every_missing_word_is_listed_with_all_its_classes(tmp_path):
    source = _glove_text(tmp_path / "v.txt", ["hand", "arm"], 2)
    with pytest.raises(InputError) as caught:
        build_label_vectors(["wave hand", "arms wave", "arm"], source, aliases={"arms": "limb"})
    message = str(caught.value)
    assert "no vector for 2 of the words" in message
    assert "wave (in 'wave hand', 'arms wave'); near spellings: none" in message
    assert "limb (in 'arms wave')" in message


def test_wrong_arguments():
    with pytest.raises(InputError, match="'error' or 'skip'"):
        build_label_vectors(["hand"], "hash", oov="ignore")
    with pytest.raises(InputError, match="without any word: '--', '/'"):
        build_label_vectors(["hand", "--", "/"], "hash")
    with pytest.raises(InputError, match="the list is empty"):
        build_label_vectors([], "hash")


@given(st.permutations(["hand wave", "arm", "leg kick high", "hand", "arm kick"]))
def test_permuting_classes_permutes_rows(names):
    order = sorted(names)
    rows = dict(zip(order, build_label_vectors(order, "hash:8").vectors, strict=True))
    np.testing.assert_array_equal(build_label_vectors(names, "hash:8").vectors, [rows[name] for name in names])


def test_classes_with_the_same_words_are_warned_about():
    names = ["high arm wave", "wave arm high", "leg", "leg leg"]
    with pytest.warns(UserWarning, match="2 groups of classes .*'high arm wave' = 'wave arm high'; 'leg' = 'leg leg'"):
        labels = build_label_vectors(names, "hash")
    assert identical_classes(labels) == [("high arm wave", "wave arm high"), ("leg", "leg leg")]


# --- the file and the matrix


def test_saved_label_vectors_come_back_equal_and_hold_no_pickle(tmp_path):
    labels = build_label_vectors(["Touching hat", "naïve"], "hash:5:9", aliases={"hat": "cap,head"})
    labels.save(tmp_path / "deep" / "v.npz")
    back = LabelVectors.load(tmp_path / "deep" / "v.npz")
    np.testing.assert_array_equal(back.vectors, labels.vectors)
    for name in ("class_names", "words", "source", "checksum"):
        assert getattr(back, name) == getattr(labels, name)
    assert (
        back.notes
        == labels.notes
        == {"casing": "lower", "oov": "error", "aliases": {"hat": ["cap", "head"]}} | {"skipped": []}
    )
    with np.load(tmp_path / "deep" / "v.npz", allow_pickle=False) as archive:
        assert archive["class_names"].tolist() == ["Touching hat", "naïve"]
        assert json.loads(str(archive["notes"]))["casing"] == "lower"
    first = (tmp_path / "deep" / "v.npz").read_bytes()
    labels.save(tmp_path / "deep" / "v.npz")
    assert (tmp_path / "deep" / "v.npz").read_bytes() == first


def test_label_vector_files_that_do_not_fit(tmp_path):
    good = {
        "class_names": ["a"],
        "vectors": np.ones((1, 2)),
        "words": ["a"],
        "source": "",
        "checksum": "",
        "notes": "{}",
    }
    for change, message in [
        ({"class_names": ["a", "b"]}, "expected 2 classes, got 1 rows"),
        ({"words": ["a", "b"]}, "words of 1 classes, got 2"),
        ({"notes": "{"}, "no file of label vectors"),
        ({"vectors": np.full((1, 2), np.nan)}, "NaN"),
    ]:
        np.savez(tmp_path / "v.npz", **{**good, **change})
        with pytest.raises(InputError, match=message) as caught:
            LabelVectors.load(tmp_path / "v.npz")
        assert "v.npz" in str(caught.value)
    np.savez(tmp_path / "v.npz", vectors=np.ones((1, 2)))
    with pytest.raises(InputError, match="lacks checksum, class_names"):
        LabelVectors.load(tmp_path / "v.npz")


def test_load_matrix_from_each_kind_of_source(tmp_path):
    matrix = np.arange(1.0, 7).reshape(2, 3)
    np.save(tmp_path / "v.npy", matrix)
    np.savez(tmp_path / "v.npz", vectors=matrix)
    for source in (tmp_path / "v.npy", str(tmp_path / "v.npz"), matrix, matrix.tolist(), matrix.astype(int)):
        result = load_matrix(source, num_classes=2)
        assert result.dtype == np.float32 and result.flags.c_contiguous and result.flags.writeable
        np.testing.assert_array_equal(result, matrix)
    ours = matrix.astype(np.float32)
    load_matrix(ours)[0] = 9
    assert ours[0, 0] == 1


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (np.ones(3), r"shape \(3,\)"),
        (np.ones((2, 3, 1)), r"shape \(2, 3, 1\)"),
        (np.ones((0, 3)), r"shape \(0, 3\)"),
        (np.ones((3, 2)), "expected 2 classes, got 3 rows"),
        ([[1, np.nan], [1, 2]], "NaN, infinity or a number beyond float32 in 1 rows, the first is row 0"),
        ([[1, 2], [1, np.inf]], "the first is row 1"),
        ([[1, 2], [1, 1e39]], "the first is row 1"),
        ([[1, 2], [0, 0]], "1 rows are all zeros, the first is row 1"),
        ([["a", "b"], ["c", "d"]], "real numbers"),
        ([[1, 2j], [1, 2]], "real numbers"),
        ([[1, 2], [1]], "a matrix"),
    ],
)
def test_load_matrix_refuses(matrix, message):
    with pytest.raises(InputError, match=message):
        load_matrix(matrix, num_classes=2)


def test_load_matrix_refuses_files(tmp_path):
    (tmp_path / "names.txt").write_text("hand\n")
    np.savez(tmp_path / "other.npz", score=np.ones((2, 2)))
    np.save(tmp_path / "pickled.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    for name, message in [
        ("absent.npz", "no such file"),
        ("names.txt", "build_label_vectors.py makes one"),
        ("other.npz", "expected a member 'vectors', got score"),
        ("pickled.npy", "cannot be read"),
        (".", "cannot be read"),
    ]:
        with pytest.raises(InputError, match=message):
            load_matrix(tmp_path / name)


# --- the tool, and what importing costs


def _tool(*arguments):
    command = [sys.executable, str(ROOT / "tools" / "build_label_vectors.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=ROOT)


def test_the_tool(tmp_path):
    (tmp_path / "labels.txt").write_text("hand clap\nclap hand\narm\n")
    source = _glove_text(tmp_path / "v.txt", ["hand", "arm", "cap"])
    common = ("--labels", tmp_path / "labels.txt", "--vectors", source, "--out", tmp_path / "out.npz")
    failed = _tool(*common)
    assert failed.returncode == 2 and failed.stdout == "" and not (tmp_path / "out.npz").exists()
    assert failed.stderr.startswith("error: v.txt: no vector for 1 of the words")
    assert "clap (in 'hand clap', 'clap hand'); near spellings: cap" in failed.stderr
    done = _tool(*common, "--alias", "clap=cap")
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith("warning: 1 groups of classes have the same vector") and done.stderr.count("\n") == 1
    assert "3 classes, 4 dimensions, 3 words" in done.stdout and "alias clap = cap" in done.stdout
    assert done.stdout.splitlines()[-1] == f"wrote 3 label vectors to {tmp_path / 'out.npz'}"
    assert LabelVectors.load(tmp_path / "out.npz").notes["aliases"] == {"clap": ["cap"]}
    skipped = _tool(*common, "--oov", "skip")
    assert "skipped, without a vector: clap" in skipped.stdout


def test_importing_takes_no_heavy_package():
    code = (
        "import sys, pyskl_semloss.label_vectors as m; m.build_label_vectors(['a'], 'hash'); print(sorted(sys.modules))"
    )
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not any(f"'{name}'" in modules for name in ("gensim", "torch", "numba", "mmengine", "scipy"))
