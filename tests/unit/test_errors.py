"""What an error says, wherever it goes; names that are compared, and the nearest to a wrong one."""

import copy
import pickle
import unicodedata
from concurrent.futures import ProcessPoolExecutor

import pytest

from pyskl_semloss.errors import InputError, located
from pyskl_semloss.io.reading import closest_names, did_you_mean, fold_name

PLACES = dict(file="a.npz", clip="c1", field="score", fix="Do that.")


def fails(_):
    raise InputError("two words have no vector", items=["clap", "jog\x1b[2J\nerror: made up"], **PLACES)


def test_things_that_are_listed_are_lines_and_each_is_escaped():
    with pytest.raises(InputError) as error:
        fails(None)
    assert str(error.value).split("\n") == [
        "a.npz: clip 'c1': field 'score': two words have no vector:",
        "  clap",
        "  jog\\x1b[2J\\nerror: made up",
        "Do that.",
    ]


def test_of_many_things_the_first_and_the_number_of_the_others_are_said():
    lines = str(InputError("such", items=[str(number) * 1000 for number in range(45)])).split("\n")
    assert len(lines) == 22 and lines[-1] == "  and 25 more" and len(lines[1]) < 310
    assert InputError("such", items=[str(number) for number in range(45)]).items[44] == "44"


def test_a_question_has_no_full_stop():
    assert str(InputError("no 'a'; did you mean 'b'?", file="x")) == "x: no 'a'; did you mean 'b'?"
    assert str(InputError("no 'a'", fix="Did you mean 'b'?")) == "no 'a'. Did you mean 'b'?"


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda error: pickle.loads(pickle.dumps(error))])
def test_a_copy_says_the_same(again):
    for error in (InputError("Do x"), InputError("Do x", **PLACES), InputError("Do x", items=["a", "b"], **PLACES)):
        other = again(error)
        assert str(other) == str(error) and type(other) is InputError
        assert all(getattr(other, name) == getattr(error, name) for name in ("problem", "items", *PLACES))


def test_from_another_process_it_says_the_same():
    with ProcessPoolExecutor(1) as pool, pytest.raises(InputError, match="c1.*two words") as error:
        pool.submit(fails, None).result()
    assert error.value.items[0] == "clap" and str(error.value).endswith("\nDo that.")


def test_a_place_is_added_only_where_none_is_said():
    error = InputError("wrong", field="score", items=["a"])
    assert str(error.located(file="a.npz", field="label")) == "a.npz: field 'score': wrong:\n  a"
    assert str(error) == "field 'score': wrong:\n  a", "the first stays as it is"
    assert str(error.located(file="a").located(file="b", fix="Do.")) == "a: field 'score': wrong:\n  a\nDo."


def test_a_part_of_the_file_stands_before_the_problem():
    error = InputError("expected numbers", field="start", fix="Do that.").located("line 3", file="a.csv")
    assert str(error) == "a.csv: field 'start': line 3: expected numbers. Do that."
    assert error.problem == "line 3: expected numbers"
    assert str(InputError("expected numbers").located("", file="a.csv")) == "a.csv: expected numbers."


def test_a_place_is_replaced_whatever_is_said():
    error = InputError("wrong", items=["a"], **PLACES)
    assert str(error.replace(file="b.npz", fix=None)) == "b.npz: clip 'c1': field 'score': wrong:\n  a"


def test_names_are_equal_but_for_capitals_blanks_and_unicode_form():
    names = ["Müller  A", "müller\u00a0a", unicodedata.normalize("NFD", "MÜLLER a"), " müller a\t"]
    assert len({fold_name(name) for name in names}) == 1
    assert fold_name("straße") == fold_name("STRASSE") and fold_name("a") != fold_name("b")
    assert all(fold_name(fold_name(name)) == fold_name(name) for name in ["ǰ", "ŉ", "İ", "ᾳ", *names])


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("videos/Talk_1.MP4", "talk_1"),
        ("C:\\videos\\talk_1.csv", "talk_1"),
        ("TALK 2", "Talk 2"),
        ("talk_l", "talk_1"),
        (unicodedata.normalize("NFD", "müller"), "Müller"),
        ("v1.2", "v1.2"),
        ("something else", None),
    ],
)
def test_the_nearest_name(name, nearest):
    known = ["talk_1", "Talk 2", "Müller", "v1.2", "v1.3"]
    assert closest_names(name, known) == ([nearest] if nearest else [])
    assert did_you_mean(name, known) == (f"; did you mean {nearest!r}?" if nearest else "")


def test_equal_names_stand_before_similar_ones():
    assert closest_names("A.csv", ["ab.csv", "a.txt", "a.csv"], most=2) == ["a.csv", "a.txt"]


def test_the_location_of_a_block_fills_what_is_missing():
    with pytest.raises(InputError) as error, located("line 3", file="a.csv", field="label"):
        raise InputError("expected 1, got 2", field="score")
    assert str(error.value) == "a.csv: field 'score': line 3: expected 1, got 2." and error.value.__cause__ is None
    assert error.value.__suppress_context__
    with pytest.raises(ValueError, match="^other$"), located(file="a.csv"):
        raise ValueError("other")
