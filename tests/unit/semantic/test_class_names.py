"""Lists of class names: numbers in front, titles and tables are recognised or refused; names that hold numbers stay."""

import pytest

from pyskl_semloss.errors import InputError
from pyskl_semloss.semantic.class_names import read_class_names, read_name_list, refuse_numbered
from pyskl_semloss.semantic.label_vectors import build_label_vectors


def read(tmp_path, text):
    (tmp_path / "names.txt").write_text(text, encoding="utf-8")
    return read_name_list(tmp_path / "names.txt")


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("0 clap\n1 touch, neck\n2 nod\n", 0),
        ("1. clap\n2. touch, neck\n3. nod\n", 1),
        ("01\tclap\n02\ttouch, neck\n03\tnod\n", 1),
        ("(1) clap\n(2) touch, neck\n(3) nod\n", 1),
        ("#0 clap\n#1 touch, neck\n#2 nod", 0),
        ("class 1: clap\nClass 2: touch, neck\nclass 3: nod\n", 1),
        ("2 nod\n0 clap\n\n1 touch, neck\n", 0),
        ("The gestures\n0 - clap\n1 - touch, neck\n2 - nod\n", 0),
        ("class_name\n1 clap\n2 touch, neck\n3 nod\n", 1),
        ('id,name\n2,nod\n0,clap\n1,"touch, neck"\n', 0),
        ('Name;ID;note\nclap;1;\n"touch, neck";2;x\nnod;3;\n', 1),
        (',label,gesture\n0,1,clap\n1,2,"touch, neck"\n2,3,nod\n', 1),
        ('0,"touch, neck"\n1,nod\n2,clap\n', None),
        ('0,clap\n1,"touch, neck"\n2,nod\n', 0),
        ('"0","clap"\n"1","touch, neck"\n"2","nod"\n', 0),
        ("clap\t0\ntouch, neck\t1\nnod\t2\n", 0),
        ("sep=;\nid;name\n0;clap\n1;touch, neck\n2;nod\n", 0),
        ("\uff10 clap\n\uff11 touch, neck\n\uff12 nod\n", 0),
    ],
)
def test_numbers_are_labels_and_no_words(tmp_path, text, first):
    found = read(tmp_path, text)
    if first is None:
        assert (found.names, found.first) == (["touch, neck", "nod", "clap"], 0)
        return
    assert (found.names, found.first) == (["clap", "touch, neck", "nod"], first)
    assert found.note.startswith(f"the numbers {first} to {first + 2} were taken for the labels of the classes")
    assert ("put into their order" in found.note) == (text[0] == "2" or "\n2,nod" in text and text[3:8] == "name\n")
    with pytest.warns(UserWarning, match=r"names\.txt: the numbers"):
        assert read_class_names(tmp_path / "names.txt") == found.names


@pytest.mark.parametrize(
    "text",
    [
        "2 fingers up\nfist\nwave\n",
        "hand 1\nhand 2\nhand 3\n",
        "wave\nhand 1\nnod\n",
        "3D move\n2D move\n",
        "1st clap\n2nd clap\n",
        "no\nyes\n",
        "gesture\nno gesture\n",
        "A1\nA2\n",
        "Bulging face, deep breath\nTurtle neck\nplay, or adjust, hair\n",
        "step 1, left\nstep 1, right\n",
        "a|b\nc\n",
    ],
)
def test_names_with_numbers_and_separators_stay(tmp_path, text):
    found = read(tmp_path, text)
    assert (found.names, found.first, found.note) == (text.splitlines(), None, "")


def test_a_title_alone_and_cells_of_a_spreadsheet(tmp_path):
    found = read(tmp_path, "Class Name\nclap\nwave\n")
    assert found.names == ["clap", "wave"]
    assert found.note == "its first line, 'Class Name', was taken for a title, not for a class"
    with pytest.raises(InputError, match="line 4 repeats line 2 .'CLAP'."):
        read(tmp_path, "name\nclap\nwave\nCLAP\n")
    assert read(tmp_path, '"Bulging face, deep breath"\n"a ""b"""\nclap,,\n').names == [
        "Bulging face, deep breath", 'a "b"', "clap",
    ]  # fmt: skip
    with pytest.raises(InputError, match="line 2 repeats line 1"):
        read(tmp_path, "Mu\u0308ller\nm\u00fcller\n")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("0 clap\nwave\n2 nod\n", "2 of the 3 names begin with their labels, as '0 clap'"),
        ("clap 0\nwave 1\nnod 2\n", "the names end with their labels, as 'clap 0'"),
        ("clap (1)\nwave (2)\n", "the names end with their labels"),
        ("0 clap\n2 wave\n3 nod\n", "the numbers of the 3 names are not 0 to 2 or 1 to 3; there is no 1"),
        ("1 clap\n1 wave\n", "are not 0 to 1 or 1 to 2; there is no 2"),
        ("2 fingers\n3 fingers\n", "the smallest is 2.*write it as a word"),
        ("1,a\n2,b\n99,c\n", "there is no 3"),
        ("0\n1\n2\n", "the names are numbers"),
        ("no\n1 clap\n2 wave\n", "every line but the first, 'no', begins with a number"),
        ("1 clap\n2 clap\n", "number 2 repeats number 1 .'clap'."),
        ("0,0,clap\n1,1,wave\n", "a table of 3 columns without titles"),
        ("0,clap,hands\n1,wave,arm\n", "a table of 3 columns without titles: which are the names"),
        ("name,description\nclap,hands\n", r"its first line is titles, \['name', 'description'\]"),
        ("id,name\nx,clap\n", r"expected rows of a number and a name, got \['x', 'clap'\]"),
        ("id,name\n0,\n1,clap\n", "expected rows of a number and a name"),
        ("clap, wave, nod\n", "it is one line of 3 cells"),
        ('[\n"clap",\n"wave"\n]\n', "what looks like JSON"),
        ("PK\x03\x04", "a workbook"),
        ("{\\rtf1\n", "rich text"),
    ],
)
def test_what_is_refused(tmp_path, text, words):
    with pytest.raises(InputError, match=rf"names\.txt: .*{words}"):
        read(tmp_path, text)


def test_label_vectors_never_average_labels():
    for names in (["0 clap", "1 wave"], ["clap 1", "wave 2"], ["1. clap", "2. wave", "nod"], ["0", "1"]):
        with pytest.raises(InputError, match="field 'class_names'"):
            build_label_vectors(names, "hash")
    refuse_numbered(["hand 1", "hand 2", "2 fingers"])
    assert build_label_vectors(["2 fingers up", "fist"], "hash:8").words[0] == ("2", "fingers", "up")


def test_long_lines_take_no_time(tmp_path):
    for text in ("0" + " " * 10**6 + "!", "0" + "-" * 10**6, "a " * 10**6 + "5", "a" + "- " * 10**6 + "x"):
        assert len(read(tmp_path, f"clap\n{text}\n").names) == 2
