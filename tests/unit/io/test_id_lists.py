"""Lists of ids in the forms that they come in, and what an id means among those that there are."""

import pytest

from pyskl_semloss.errors import InputError
from pyskl_semloss.io.id_lists import IdList, KnownNames, read_id_list


def read(tmp_path, text):
    (tmp_path / "ids.txt").write_text(text, encoding="utf-8")
    return read_id_list(tmp_path / "ids.txt")


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("0054_0\n0054_1\n", ["0054_0", "0054_1"]),
        ("0054_0,0054_1,0067_0", ["0054_0", "0054_1", "0067_0"]),
        ("0054_0, 0054_1,\n0067_0\n", ["0054_0", "0054_1", "0067_0"]),
        ("0054_0;0054_1\n0067_0;0067_1\n", ["0054_0", "0054_1", "0067_0", "0067_1"]),
        ("0054_0,31\n0054_1,2\n", ["0054_0", "0054_1"]),
        ("id,class\n0054_0,31\n", ["0054_0"]),
        ("ID;Class\n0054_0;31\n", ["0054_0"]),
        ("class,Sample ID\n31,0054_0\n2,0054_1\n", ["0054_0", "0054_1"]),
        ("video,clip\n0054,0054_0\n", ["0054_0"]),
        (",id\n0,0054_0\n1,0054_1\n", ["0054_0", "0054_1"]),
        ("0,0054_0,31\n1,0054_1,2\n", ["0054_0", "0054_1"]),
        ("clip\n0054_0\n", ["0054_0"]),
        ("0054\n0067\n", ["0054", "0067"]),
        ("0054,0067\n", ["0054", "0067"]),
        ("1,2,3\n", ["1", "2", "3"]),
        ("0054_0,clap\n0054_1,wave\n", ["0054_0", "clap", "0054_1", "wave"]),  # which no clip is called
        ("a 1\nb\n", ["a 1", "b"]),
    ],
)
def test_forms(tmp_path, text, ids):
    found = read(tmp_path, text)
    assert list(found) == ids and len(found.lines) == len(ids) and found.file == str(tmp_path / "ids.txt")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "expected ids, one a line, got no id"),
        ("\n,,\n", "got no id"),
        ("id\n", "got no id"),
        ("id,class\n,3\n", "line 2 has no id"),
        ("class,id\n3\n", "line 2 has no id"),
        ("a,,b\n", "line 1 has no id"),
        ("54,3\n67,5\n", "it has 2 numbers a line: are they ids, or an id and its class.* the titles above"),
        ('"a\n', "expected CSV"),
    ],
)
def test_what_is_refused(tmp_path, text, words):
    with pytest.raises(InputError, match=f"ids.txt: .*{words}"):
        read(tmp_path, text)


def test_a_clip_that_is_called_like_a_title(tmp_path):
    """Taken for a title it would not test, and so train."""
    known = KnownNames(["video", "talk"])
    assert list(read(tmp_path, "video\ntalk\n").among(known)) == ["video", "talk"]
    assert list(read(tmp_path, "id\ntalk\n").among(known)) == ["talk"]
    with pytest.raises(InputError, match="'video' in the first line may be the title of a column, or an id"):
        read(tmp_path, "video,talk\nwalk,nod\n").among(known)


def test_names_are_found_by_what_they_are_called():
    names = KnownNames(["0001_0", "0001_1", "0001", "Mu\u0308ller", "Talk 1", "b.c"])
    for called, name in (
        ("0001_0", "0001_0"), ("1_0", "0001_0"), ("1_00", "0001_0"), ("01", "0001"), ("0001_1.mp4", "0001_1"),
        ("raw/0001_1.csv", "0001_1"), ("raw\\1_1.NPZ", "0001_1"), ("m\u00fcller", "Mu\u0308ller"),
        ("talk\u00a01", "Talk 1"), ("videos/TALK 1.MOV", "Talk 1"), ("b.c", "b.c"), ("b.c.json", "b.c"),
        ("b", None), ("0001_2", None), ("2", None), ("", None), ("Talk 1.5", None), ("0001/", "0001"),
    ):  # fmt: skip
        assert names.find(called) == name, called


def test_what_would_mean_two_names_means_none():
    names = KnownNames(["0001", "001", "a", "A"])
    assert names.find("1") is None and names.find("0001") == "0001"
    assert names.find("a") == "a" and names.find("a.mp4") is None
    assert names.hint("1") == "; it may mean '0001' or '001'"
    assert KnownNames(["Sample0001"]).hint("Sample1") == "; did you mean 'Sample0001'?"
    assert KnownNames(["x"]).hint("unlike") == ""


def test_places_for_messages():
    assert IdList(["a", "b"], "f", (3, 4)).place(1) == "line 4: " and IdList(["a"]).place(0) == ""
