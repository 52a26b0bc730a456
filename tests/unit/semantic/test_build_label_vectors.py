"""From class names to label vectors: words, aliases, hash vectors, the paper's matrix, and the tool."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers import ROOT
from pyskl_semloss.errors import InputError
from pyskl_semloss.io.files import sha256
from pyskl_semloss.semantic.class_names import parse_aliases
from pyskl_semloss.semantic.label_vectors import (
    LabelVectors,
    build_label_vectors,
    identical_classes,
    load_matrix,
    nearest_classes,
    read_class_names,
    split_words,
    summary,
)
from pyskl_semloss.semantic.word_vectors import HASH_SCALE, find_word_vectors, hash_vector


def _glove_text(path, words, dimension=4):
    lines = [f"{word} {' '.join(f'{i}.{j}5' for j in range(dimension))}" for i, word in enumerate(words)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_equals_the_papers_label_vectors_to_the_last_bit(shared_dir, tmp_path):
    glove = shared_dir / "data" / "glove"
    labels = build_label_vectors(
        read_class_names(ROOT / "data" / "imigue_labels.txt"), glove / "glove.6B.300d.imigue48.txt"
    )
    expected = np.load(glove / "imigue_label_vectors.npy")
    assert labels.vectors.dtype == np.float32
    np.testing.assert_array_equal(labels.vectors, expected)
    assert labels.checksum == sha256(glove / "glove.6B.300d.imigue48.txt")
    np.testing.assert_array_equal(build_label_vectors(labels.class_names, "shipped").vectors, expected)
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


def test_shipped_vectors_say_which_words_they_know():
    with pytest.raises(InputError, match="no vector for 1 of the words(.|\n)*those of iMiGUE's class names"):
        build_label_vectors(["touch face", "clap"], "shipped")
    with pytest.raises(InputError, match="'shiped' is neither 'shipped', nor 'hash'.* Near names: shipped"):
        build_label_vectors(["touch face"], "shiped")


@pytest.mark.parametrize("source", ["hash:", "hash:0", "hash:x", "hash:300:-1", "hash:300:1:2"])
def test_wrong_hash_sources(source):
    with pytest.raises(InputError, match="hash:DIM:SEED"):
        find_word_vectors(["hand"], source)


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


def _tool(*arguments):
    command = [sys.executable, str(ROOT / "tools" / "build_label_vectors.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=600, cwd=ROOT)


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


def test_numbers_in_front_of_names_are_no_words(tmp_path):
    """ "0", "1" and "2" were averaged in as words."""
    names, right, out = tmp_path / "space.txt", tmp_path / "right.txt", tmp_path / "out.npz"
    right.write_text("touch neck\nfold arm\nno gesture\n")
    assert _tool("--labels", right, "--vectors", "hash", "--out", out).stderr == ""
    expected = LabelVectors.load(out)
    for text in ("0 touch neck\n1 fold arm\n2 no gesture\n", "id,name\n2,fold arm\n1,touch neck\n3,no gesture\n"):
        names.write_text(text)
        done = _tool("--labels", names, "--vectors", "hash", "--out", out)
        assert done.returncode == 0 and "3 classes, 300 dimensions, 6 words" in done.stdout
        assert done.stderr.startswith(f"warning: {names}: the numbers ") and done.stderr.count("\n") == 1
        found = LabelVectors.load(out)
        assert found.class_names == expected.class_names and (found.vectors == expected.vectors).all()


def test_a_header_that_is_off_by_one(tmp_path):
    """The words that lack are listed, and where they may be left out, the vectors are made with a warning."""
    vectors, names = tmp_path / "off_by_one.vec", tmp_path / "names.txt"
    vectors.write_text(
        "5 3\n" + "".join(f"{word} {at}.1 0.2 0.3\n" for at, word in enumerate("touch neck fold arm".split()))
    )
    names.write_text("touch neck\nfold arm\narms akimbo\n")
    common = ("--labels", names, "--vectors", vectors, "--out", tmp_path / "out.npz")
    for options in ((), ("--oov", "skip")):
        done = _tool(*common, *options)
        assert done.returncode == 2 and "arms (in 'arms akimbo'); near spellings: arm" in done.stderr
        assert "line 1: the header promises 5 words, but 4 lines follow" in done.stderr
    names.write_text("touch neck\nfold arm\narm akimbo\n")
    done = _tool(*common, "--oov", "skip")
    assert done.returncode == 0 and "wrote 3 label vectors" in done.stdout and "without a vector: akimbo" in done.stdout
    assert done.stderr.startswith("warning: off_by_one.vec: line 1: the header promises 5 words, but 4 lines follow")


def test_importing_takes_no_heavy_package():
    code = "import sys, pyskl_semloss.semantic.label_vectors as m; m.build_label_vectors(['a'], 'hash'); "
    code += "print(sorted(sys.modules))"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not any(f"'{name}'" in modules for name in ("gensim", "torch", "numba", "mmengine", "scipy"))
