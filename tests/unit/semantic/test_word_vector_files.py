"""Word-vector files of each kind, whole and malformed, and gensim's downloader, with gensim's reading as the oracle."""

import gzip
import os
import pickle
import socket
import time
import tracemalloc
import urllib.error

import numpy as np
import pytest

from pyskl_semloss.errors import InputError
from pyskl_semloss.io.files import sha256
from pyskl_semloss.semantic.word_vector_files import read_word_vectors
from pyskl_semloss.semantic.word_vectors import find_word_vectors

WORDS = ["hand", "arm", "wave", "naïve", "clap", "x"]


@pytest.fixture(scope="module")
def gensim_vectors():
    keyedvectors = pytest.importorskip("gensim.models.keyedvectors")
    model = keyedvectors.KeyedVectors(vector_size=7)
    model.add_vectors(WORDS, np.random.default_rng(5).normal(size=(len(WORDS), 7)).astype(np.float32))
    return model


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
        (
            b"5 2\na 1 2\nb 1 2\n",
            "line 1: the header promises 5 words, but 2 lines follow: it is truncated, or its "
            "header is wrong; 2 of the words have no vector:\n  hand; near spellings: none\n  absent",
        ),
        (b"2 3\na 1 2\nb 1 2\n", "line 2: expected a word and 3 numbers"),
        (b"a 1 2\nhand nan 2\n", "word 'hand' holds NaN"),
        (b"a 1 2\nhand 1e39 2\n", "word 'hand' holds NaN, infinity or a number beyond float32"),
        (gzip.compress(b"a 1 2\n" * 2000)[:-20], "truncated or damaged, after line or word"),
        (gzip.compress(np.random.default_rng(1).bytes(3000))[:900], "truncated|none of these"),
        (b"\x1f\x8bnot gzip", "gzip file is truncated or damaged"),
        (_BINARY[:-3], "word 3: the header .line 1. promises 3 words of 2 numbers"),
        (_BINARY.replace(b"3 2", b"5 2"), "line 1: the header promises 5 words, but the file has 3.*\n  absent; near"),
        (_BINARY.replace(b"3 2", b"2 2"), "line 1: the file goes on after the 2 words .*\n  absent; near"),
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


@pytest.mark.parametrize(
    "content",
    [b"3 2\narm 1.5 -2\nhand 1.5 -2\n", b"1 2\narm 1.5 -2\nhand 1.5 -2\n", _BINARY.replace(b"3 2", b"4 2")],
    ids=["one too many", "one too few", "binary, one too many"],
)
def test_a_header_that_is_off_by_one_does_not_hide_the_missing_words(content, tmp_path):
    path = tmp_path / "v.vec"
    path.write_bytes(content)
    found = find_word_vectors(["hand", "arms"], path)
    assert found.vectors["hand"].tolist() == [1.5, -2] and found.near == {"arms": ["arm"]}
    assert found.doubt.startswith("line 1: the header promises ")
    assert find_word_vectors(["hand"], path).doubt == ""  # it is read no farther


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


def test_words_of_a_gensim_file_that_are_no_text_are_not_words(tmp_path):
    """A list of words may hold what is no key, or numbers of one hash."""
    words = [["list"], {"dict": 1}, *(((1 << 61) - 1) * at for at in range(8, 30_000)), "yes"]
    state = {"index2word": words, "vectors": np.eye(len(words), 3, dtype="f4")}
    state["vectors"][-1] = 7
    head = b"\x80\x02cgensim.models.keyedvectors\nKeyedVectors\n)\x81"
    (tmp_path / "a.kv").write_bytes(head + pickle.dumps(state, 2)[2:-1] + b"b.")
    start = time.process_time()
    vectors = read_word_vectors(tmp_path / "a.kv", ["yes"])[0]
    assert vectors["yes"].tolist() == [7, 7, 7] and time.process_time() - start < 5
