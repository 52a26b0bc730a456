"""Tables of own labels: times, frames, names, numbers, and what is refused or dropped with its row."""

import pytest

from pyskl_semloss.annotations.converters.findings import Findings
from pyskl_semloss.annotations.converters.label_tables import name_of_recording, read_label_table
from pyskl_semloss.errors import InputError

NAMES = ["wave", "touch neck", "7"]


def read(tmp_path, text, names=NAMES, strict=False):
    path = tmp_path / "labels.csv"
    path.write_text(text, encoding="utf-8")
    findings = Findings(strict)
    return read_label_table(path, names, findings), findings


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
        (",0,1,wave", "label_rows_unreadable", "row 2"),
        ("a,0", "label_rows_unreadable", "row 2"),
        ("a,0,1,touch neck, strongly", "label_rows_unreadable", "row 2: it has more cells .* into quotes"),
        ("a,0,1", "labels_unknown", "row 2: .* got ''"),
        ("a,0,1,wav", "labels_unknown", "got 'wav'; did you mean 'wave'"),
        ("a,0,1,3", "labels_unknown", "expected a class name or a number below 3, got '3'"),
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
        ("", "names no column recording, label, start and end"),
        ("recording,start,end", "names no column label"),
        ("recording,start_frame,end,label", "names no column start and end"),
        ("recording,start,end,start_frame,end_frame,label", "both in seconds and in frames"),
        ("recording,start,end,label,label", "two columns have one name"),
        ("recording,start,end,label,splt", "a column 'splt'; did you mean 'split'"),
        ("recording,start,end,label,Subjects", "a column 'subjects'; did you mean 'subject'"),
    ],
)
def test_first_lines_that_are_refused(tmp_path, head, message):
    with pytest.raises(InputError, match=message):
        read(tmp_path, head + "\na,0,1,wave\n")


def test_a_row_may_name_the_video():
    known = ["a", "b.c"]
    assert name_of_recording("a", known) == name_of_recording("a.mp4", known) == "a"
    assert name_of_recording("b.c", known) == name_of_recording("b.c.json", known) == "b.c"
    assert name_of_recording("d.mp4", known) is None
