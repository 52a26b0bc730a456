"""Parsing rows without files: every defect of skeleton and label rows, counted once, or refused with its row."""

import io

import numpy as np
import pytest

from pyskl_semloss.cli.progress import ProgressLine
from pyskl_semloss.datasets import IMIGUE, SMG
from pyskl_semloss.datasets.findings import DROPPED, MENDED, NOTED, Findings
from pyskl_semloss.datasets.tables import joint_points, parse_labels, parse_table, read_text
from pyskl_semloss.errors import InputError

NAN = np.nan


def refused_when_strict(parse, kind, row):
    if kind in NOTED:
        parse(Findings(strict=True))
        return
    with pytest.raises(InputError) as error:
        parse(Findings(strict=True))
    assert error.value.file == "x.csv" and (row is None or f"x.csv: row {row}: " in str(error.value))


TABLES = [
    ("1,2,3\n4,5\n7,8,9\n", [[1, 2, 3], [4, 5, NAN], [7, 8, 9]], "rows_cut_short", 1, 2),
    ("1,2,3\n4\n7\n", [[1, 2, 3], [4, NAN, NAN], [7, NAN, NAN]], "rows_cut_short", 2, 2),
    ("1,2,3,4\n5,6,7\n8,9,10\n", [[1, 2, 3], [5, 6, 7], [8, 9, 10]], "rows_with_extra_columns", 1, 1),
    ("1,2,3,\n5,6,7, ,\n", [[1, 2, 3], [5, 6, 7]], "rows_with_extra_columns", 2, 1),
    ("1,2,3,4\n5,6,7,8\n", [], "videos_of_another_format", 1, 1),
    ("1,2,3,4\n\n5,6,7,8\n9,10\n", [], "videos_of_another_format", 1, 1),
    ("frame,x,y,z\n1,2,3,4\n5,6,7,8\n", [], "videos_of_another_format", 1, 1),
    ("1,2,3,4\n5,6,7,8\n5,6,7\n", [], "videos_of_another_format", 1, 1),
    ("1,2,3\n4,5,6,\n", [[1, 2, 3], [4, 5, 6]], "rows_with_extra_columns", 1, 2),
    ("1,2,3\n\n4,5,6\n", [[1, 2, 3], [NAN] * 3, [4, 5, 6]], "rows_empty", 1, 2),
    ("1,2,3\n4,abc,6\n", [[1, 2, 3], [4, NAN, 6]], "rows_with_text", 1, 2),
    ("1,2,3\n4,,6\n", [[1, 2, 3], [4, NAN, 6]], "rows_with_text", 1, 2),
    ("frame,x,y\n1,2,3\n", [[1, 2, 3]], "header_rows", 1, 1),
    ("", [], "videos_empty", 1, None),
    (" \n\n", [], "videos_empty", 1, None),
    ("1,2\n3,4\n", [], "videos_of_another_format", 1, 1),
    ("some words\nand more\n", [], "videos_of_another_format", 1, 1),
]


@pytest.mark.parametrize(
    ("text", "values", "kind", "count", "row"), TABLES, ids=[f"{r[2]}{i}" for i, r in enumerate(TABLES)]
)
def test_defects_of_skeleton_rows(text, values, kind, count, row):
    findings = Findings()
    table = parse_table(text, 3, findings, file="x.csv")
    np.testing.assert_array_equal(table, np.array(values, float).reshape(-1, 3))
    assert findings.counts[kind] == count and findings.examples[kind][0].startswith("x.csv: ")
    assert set(findings.counts) <= {kind, "header_rows"}
    refused_when_strict(lambda strict: parse_table(text, 3, strict, file="x.csv"), kind, row)


def test_whole_tables_by_both_paths():
    values = np.random.default_rng(0).normal(0, 1e3, (50, 3)).astype("f4")
    lines = [",".join(map(str, row)) for row in values]
    for text in ("\n".join(lines), "\n".join(lines) + "\n\n"):
        findings = Findings(strict=True)
        assert (parse_table(text, 3, findings).astype("f4") == values).all() and not findings.counts
    findings = Findings()
    slow = parse_table("\n".join([*lines, "1"]), 3, findings)
    assert (slow[:50].astype("f4") == values).all() and findings.counts == {"rows_cut_short": 1}
    table = parse_table("1,nan,-inf\n1e5, 2 ,3\n", 3, Findings(strict=True))
    np.testing.assert_array_equal(table, [[1, NAN, -np.inf], [1e5, 2, 3]])


def test_encodings_and_line_ends(tmp_path):
    for data in (b"\xef\xbb\xbf1,2,3\r\n4,5,6\r\n", b"1,2,3\r4,5,6"):
        (tmp_path / "x.csv").write_bytes(data)
        table = parse_table(read_text(tmp_path / "x.csv"), 3, Findings(strict=True))
        assert (table == [[1, 2, 3], [4, 5, 6]]).all()
    with pytest.raises(InputError, match="cannot be read"):
        read_text(tmp_path)
    for data in ("1,2,3\n".encode("utf-16"), b"PK\x03\x04"):
        (tmp_path / "x.csv").write_bytes(data)
        with pytest.raises(InputError, match="x.csv: expected UTF-8 text, got (UTF-16|a workbook)"):
            read_text(tmp_path / "x.csv")


@pytest.mark.parametrize("data", ["1,5;2;3\n4;5,25;6\n", "sep=;\n1,5;2;3\n4;5,25;6\n", "1.5\t2\t3\n4\t5.25\t6\n"])
def test_raw_files_that_a_spreadsheet_has_written_again(tmp_path, data):
    """Semicolons gave as many cells as there are decimals, none of them a number: a clip without points."""
    (tmp_path / "x.csv").write_text(data)
    table = parse_table(read_text(tmp_path / "x.csv"), 3, Findings(strict=True))
    assert (table == [[1.5, 2, 3], [4, 5.25, 6]]).all()
    (tmp_path / "x.csv").write_text("1,2,3\n4,5;6,7\n")
    assert read_text(tmp_path / "x.csv") == "1,2,3\n4,5;6,7\n"


LABELS = [
    ("0,1,2", "labels_unknown"),
    ("33,1,2", "labels_unknown"),
    ("-1,1,2", "labels_unknown"),
    ("98,1,2", "labels_unknown"),
    ("3,5,4", "ends_before_starts"),
    ("3,10,12", "frames_outside"),
    ("3,-4,-1", "frames_outside"),
    ("3,1", "label_rows_unreadable"),
    ("3,a,2", "label_rows_unreadable"),
    ("3,1.5,2", "label_rows_unreadable"),
    ("3,,2", "label_rows_unreadable"),
    ("", "label_rows_unreadable"),
    ("nan,1,2", "label_rows_unreadable"),
]


@pytest.mark.parametrize(("line", "kind"), LABELS, ids=[f"{r[1]}{i}" for i, r in enumerate(LABELS)])
def test_label_rows_that_are_dropped_keep_their_number(line, kind):
    def parse(findings):
        return parse_labels(f"1,0,3\n{line}\n2,4,4\n", IMIGUE.classes, 10, findings, file="x.csv")

    findings = Findings()
    found = parse(findings)
    assert [(each.row, each.label, each.start, each.end) for each in found] == [(0, 0, 0, 3), (2, 1, 4, 4)]
    assert findings.counts == {kind: 1} and kind in DROPPED
    refused_when_strict(parse, kind, 2)


@pytest.mark.parametrize(
    ("line", "kind", "expected"),
    [
        ("3,8,15", "frames_clipped", (2, 8, 9)),
        ("3,-2,1", "frames_clipped", (2, 0, 1)),
        ("3,0,10", "frames_clipped", (2, 0, 9)),
        ("3,1,2,9", "label_rows_with_extra_columns", (2, 1, 2)),
    ],
)
def test_label_rows_that_are_mended(line, kind, expected):
    def parse(findings):
        return parse_labels(line, IMIGUE.classes, 10, findings, file="x.csv")

    findings = Findings()
    (found,) = parse(findings)
    assert (found.label, found.start, found.end) == expected and findings.counts == {kind: 1} and kind in MENDED
    refused_when_strict(parse, kind, 1)


def test_classes_of_both_data_sets():
    strict = Findings(strict=True)
    found = parse_labels("1,0,0\n32,1,1\n99,2,9\n4.0, 3 ,4\n", IMIGUE.classes, 10, strict)
    assert [each.label for each in found] == [0, 31, 31, 3] and found[2].end == 9
    found = parse_labels("1,0,0\n17,1,1\n", SMG.classes, 10, strict)
    assert [each.label for each in found] == [0, 16]
    for gesture in (0, 18, 99):
        with pytest.raises(InputError, match=f"expected a gesture of 1 to 17, got {gesture}"):
            parse_labels(f"{gesture},0,0", SMG.classes, 10, strict)
    findings = Findings()
    found = parse_labels("gesture,start,end\n5,0,1\n", IMIGUE.classes, 10, findings)
    assert (found[0].row, found[0].line) == (0, 2) and findings.counts == {"header_rows": 1}
    for text in ("", "\n", "gesture,start,end\n"):
        findings = Findings()
        assert parse_labels(text, IMIGUE.classes, 10, findings) == [] and findings.counts["label_files_empty"] == 1


def test_columns_of_the_joints():
    row = np.arange(106.0)
    points, scores = joint_points(row[None], IMIGUE)
    assert points.shape == (1, 22, 2) and scores.shape == (1, 22)
    # Nose, the last of the first eight, right eye of BODY_25 (15), last finger point (34).
    for joint, point in ((0, 0), (7, 7), (8, 15), (11, 18), (12, 25), (21, 34)):
        assert points[0, joint].tolist() == [1 + 3 * point, 2 + 3 * point] and scores[0, joint] == 3 + 3 * point
    row = np.arange(275.0)
    row[7 + 11 * 4 : 9 + 11 * 4] = 0
    points, scores = joint_points(row[None], SMG)
    assert points[0, 24].tolist() == [24 * 11 + 7, 24 * 11 + 8]
    assert scores[0].tolist() == [float(joint != 4) for joint in range(25)]


def test_every_kind_is_said_once_and_findings_survive_a_file():
    assert not MENDED.keys() & DROPPED.keys() and not (MENDED.keys() | DROPPED.keys()) & NOTED.keys()
    findings = Findings()
    for number in range(9):
        findings.add("rows_empty", "nothing", file="a.csv", row=number + 1)
    again = Findings.from_dict(findings.to_dict())
    again.merge(findings)
    assert again.counts == {"rows_empty": 18} and len(again.examples["rows_empty"]) == 5
    (line,) = again.lines()
    assert line.startswith("mended: 18 × skeleton rows") and "(first: a.csv: row 1: nothing)" in line


def test_progress_line():
    stream = io.StringIO()
    line = ProgressLine(stream)
    for done in range(41):
        line(done, 40)
    lines = stream.getvalue().splitlines()
    assert len(lines) == 11 and lines[0].startswith("  0 %") and lines[-1] == "100 %  40 of 40 videos"
    assert "s left" in lines[5]
