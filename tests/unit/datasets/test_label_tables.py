"""Tables of own labels: times, frames, names, numbers, and what is refused or dropped with its row."""

import pytest

from pyskl_semloss.datasets.findings import Findings
from pyskl_semloss.datasets.label_tables import read_label_table
from pyskl_semloss.errors import InputError
from pyskl_semloss.io.id_lists import KnownNames

NAMES = ["wave", "touch neck", "7"]


def read(tmp_path, text, names=NAMES, strict=False, labels_from=None):
    path = tmp_path / "labels.csv"
    path.write_text(text, encoding="utf-8")
    findings = Findings(strict)
    return read_label_table(path, names, findings, labels_from), findings


def test_seconds_names_and_numbers(tmp_path):
    rows, findings = read(
        tmp_path, "recording,start,end,label,note\na,0.5,1.5,wave,x\n\nb,1:00,1:02:03.5,Touch  Neck,\na,0,0,1,\n"
    )
    assert [(row.recording, row.start, row.end, row.label) for row in rows] == [
        ("a", 0.5, 1.5, 0), ("b", 60, 3723.5, 1), ("a", 0, 0, 1)
    ]  # fmt: skip
    assert [row.row for row in rows] == [0, 1, 2] and [row.line for row in rows] == [2, 4, 5]
    assert [row.frames(25) for row in rows] == [(13, 38), (1500, 93088), (0, 1)] and not findings.counts


def test_a_name_comes_before_a_number(tmp_path):
    rows, _ = read(
        tmp_path, "label,recording,start_frame,end_frame,split,subject\n7,a,3,3,train,Ann\n2,a,4,9,test,Bo\n"
    )
    assert [row.label for row in rows] == [2, 2]
    assert [row.frames(25) for row in rows] == [(3, 4), (4, 10)]  # the last frame is part of it
    assert [(row.split, row.subject) for row in rows] == [("train", "Ann"), ("test", "Bo")]


@pytest.mark.parametrize("mark", [";", "\t"])
def test_tables_of_spreadsheets(tmp_path, mark):
    text = "recording;start;end;label\r\na;0,5;1,25;wave\r\n".replace(";", mark)
    text = text if mark == ";" else text.replace("0,5", "0.5").replace("1,25", "1.25")
    rows, _ = read(tmp_path, "\ufeff" + text)
    assert (rows[0].start, rows[0].end) == (0.5, 1.25)


def test_blank_rows_and_columns_of_spreadsheets_are_nothing(tmp_path):
    text = "Recording ,Start,END,label,subject,,\na,0,1,wave,Ann,,\n,,,,,,\na,1,2,wave\n , ,,,,,\n"
    rows, findings = read(tmp_path, text)
    assert [(row.line, row.row, row.subject) for row in rows] == [(2, 0, "Ann"), (4, 1, "")] and not findings.counts


def test_a_row_that_stands_twice_is_used_once(tmp_path):
    """Twice in the set, a clip could train and test."""
    rows, findings = read(tmp_path, "recording,start,end,label\na,0,1,wave\na,0,1,7\na,0:00,1.0,Wave\nb,0,1,wave\n")
    assert [(row.row, row.label) for row in rows] == [(0, 0), (1, 2), (3, 0)]
    assert dict(findings.counts) == {"label_rows_twice": 1} and "row 4: it is row 2 again" in findings.lines()[0]
    with pytest.raises(InputError, match="row 3: it is row 2 again"):
        read(tmp_path, "recording,start,end,label\na,0,1,wave\na,0,1,wave\n", strict=True)


def test_without_names_labels_are_numbers(tmp_path):
    rows, findings = read(tmp_path, "recording,start,end,label\na,0,1,4\na,0,1,wave\n", names=None)
    assert [row.label for row in rows] == [4] and findings.counts["labels_unknown"] == 1


@pytest.mark.parametrize(
    ("row", "kind", "message"),
    [
        ("a,x,1,wave", "label_rows_unreadable", "row 2: expected a recording"),
        ("a,0,nan,wave", "label_rows_unreadable", "row 2"),
        ("a,0,1e99,wave", "label_rows_unreadable", "row 2"),
        ("a,0,-1:3,wave", "label_rows_unreadable", "row 2"),
        ("a,0,1:75,wave", "label_rows_unreadable", "row 2"),
        ('a,0,"1,234",wave', "label_rows_unreadable", "row 2"),
        (",0,1,wave", "label_rows_unreadable", "row 2"),
        ("a,0", "label_rows_unreadable", "row 2"),
        ("a,0,1,touch neck, strongly", "label_rows_unreadable", "row 2: it has more cells .* into quotes"),
        ("a,0,1", "labels_unknown", "row 2: .* got ''"),
        ("a,0,1,wav", "labels_unknown", "got 'wav'; did you mean 'wave'"),
        ("a,0,1,4", "labels_unknown", "expected a class name or a number from 0 to 2, got '4'"),
        ("a,0,1,-1", "labels_unknown", "got '-1'"),
        ("a,2,1,wave", "ends_before_starts", "the end, 1, is before the start, 2"),
    ],
)
def test_rows_that_cannot_be_used(tmp_path, row, kind, message):
    text = f"recording,start,end,label\n{row}\na,0,1,wave\n"
    rows, findings = read(tmp_path, text)
    assert [each.row for each in rows] == [1] and dict(findings.counts) == {kind: 1}
    with pytest.raises(InputError, match=message):
        read(tmp_path, text, strict=True)


@pytest.mark.parametrize(
    ("head", "message"),
    [
        ("", "names no column recording, label, start, end"),
        ("recording,start,end", "names no column label"),
        ("recording,start_frame,end,label", "names no column start; it names"),
        ("recording,start,end,start_frame,end_frame,label", "both in seconds and in frames"),
        ("recording,start,end,label,label", "two columns are called 'label'"),
        ("recording,start,end,label,splt", "a column 'splt'; did you mean 'split'"),
        ("recording,start,end,label,Subjects", "a column 'Subjects'; did you mean 'subject'"),
    ],
)
def test_first_lines_that_are_refused(tmp_path, head, message):
    with pytest.raises(InputError, match=message):
        read(tmp_path, head + "\na,0,1,wave\n")


def test_a_row_may_name_the_video():
    known = KnownNames(["a", "b.c"])
    assert known.find("a") == known.find("a.mp4") == known.find("videos/A.MP4") == "a"
    assert known.find("b.c") == known.find("b.c.json") == "b.c"
    assert known.find("d.mp4") is None


@pytest.mark.parametrize(
    "text",
    [
        "sep=;\nRecording;START ;End;Label\na;0:00,5;1,25;wave\n",
        ",recording,start,end,label\n0,a,0.5,1.25,wave\n",
        'recording,start,end,label\na,"0,5","1,25",0.0\n',
        "Unnamed: 0|label|end|start|recording\n0|wave|1.25|0.5|a\n",
        "recording\tstart\tend\tlabel\na\t00:00:00,500\t00:00:01,250\t Wave\u00a0\n",
    ],
)
def test_tables_as_programs_write_them(tmp_path, text):
    rows, findings = read(tmp_path, text)
    assert [(row.recording, row.start, row.end, row.label) for row in rows] == [("a", 0.5, 1.25, 0)]
    assert not findings.counts


def test_columns_in_other_words(tmp_path):
    rows, _ = read(tmp_path, "Recording,Start Frame,end-frame,label\na,3,4,wave\n")
    assert rows[0].frames(25) == (3, 5)
    with pytest.raises(InputError, match="names no column start, end; it names .*did you mean 'starts'"):
        read(tmp_path, "recording,starts,stop,label\na,0,1,wave\n")


HEAD = "recording,start,end,label\n"


def test_labels_that_seem_to_count_from_1_are_asked_about(tmp_path):
    """Else every clip is one class off, and those of the last class are dropped."""
    from_1 = HEAD + "a,0,1,1\na,1,2,2\na,2,3,3\n"
    names = ["touch neck", "fold arm", "no gesture"]
    asked = "Do they count from 1. Then give --labels-from 1; or --labels-from 0"
    with pytest.raises(InputError, match=f"no label is 0 and some are 3, but 3 classes .* end with 2. {asked}"):
        read(tmp_path, from_1, names)
    with pytest.raises(InputError, match=f"field 'label': the labels are numbers from 1 to 3, and none is 0. {asked}"):
        read(tmp_path, from_1, None)
    with pytest.raises(InputError, match="numbers from 1 to 2"):
        read(tmp_path, HEAD + "a,0,1,1\na,1,2,2.0\n", names)
    for chosen, labels in ((1, [0, 1, 2]), (0, [1, 2])):
        rows, findings = read(tmp_path, from_1, names, labels_from=chosen)
        assert [row.label for row in rows] == labels and findings.counts["labels_unknown"] == 3 - len(labels)
    rows, findings = read(tmp_path, HEAD + "a,0,1,0\na,1,2,1\na,2,3,3\n", names, labels_from=1)
    assert [row.label for row in rows] == [0, 2] and "a number from 1 to 3, got '0'" in findings.lines()[0]


@pytest.mark.parametrize(
    "labels", [["0", "3", "1"], ["2", "4"], ["wave", "1"], ["wave", "touch neck"], ["7", "7"], ["5", "2"]]
)
def test_other_labels_are_not_asked_about(tmp_path, labels):
    read(tmp_path, HEAD + "".join(f"a,{at},{at + 1},{label}\n" for at, label in enumerate(labels)))
