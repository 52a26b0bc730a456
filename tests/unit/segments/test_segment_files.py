"""Files of segments, each opened again by a reader that is not ours."""

import csv
import html
import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyskl_semloss.errors import InputError
from pyskl_semloss.io.results import RECORD, result_file
from pyskl_semloss.segments.agreement import agreement, temporal_iou
from pyskl_semloss.segments.files import (
    CSV_COLUMNS,
    _plain,
    _quoted,
    check_formats,
    read_segments,
    unescape_name,
    write_segments,
)
from pyskl_semloss.segments.segment import Segment, Segmentation, format_segments

NAMES = ("wave", 'say "no", <b>then</b> --> nod & go', "=SUM(A1)", "手を振る", "-1", "'tis", "<v Eve>", "a\\b")


def segmentation(**changes):
    segments = [
        Segment(0.5, 1.2504, NAMES[0], 0.5, ((NAMES[0], 0.5), (NAMES[2], 0.25), (NAMES[1], 0.125)), NAMES[3]),
        Segment(1.2504, 1.2508, NAMES[1], 1.0),
        Segment(3661.25, 3662.0, NAMES[2], 0.25),
        Segment(0.25, 1.0, NAMES[3], 0.75, person=1),
        Segment(2.0, 2.5, NAMES[4], 0.75, person=1),
        Segment(3.0, 3.5, NAMES[5], 0.75, nearest=NAMES[6], person=1),
        Segment(4.0, 4.5, NAMES[6], 0.875, person=1),
        Segment(5.0, 5.5, NAMES[7], 0.875, person=1),
    ]
    fields = dict(class_names=NAMES, name="film", seconds=3700.0, settings={"threshold": 0.45}) | changes
    return Segmentation(tuple(segments), **fields)


EXPECTED = [
    (0, 500, 1250, NAMES[0]), (0, 1250, 1251, NAMES[1]), (0, 3661250, 3662000, NAMES[2]), (1, 250, 1000, NAMES[3]),
    (1, 2000, 2500, NAMES[4]), (1, 3000, 3500, NAMES[5]), (1, 4000, 4500, NAMES[6]), (1, 5000, 5500, NAMES[7]),
]  # fmt: skip


def test_csv_is_read_by_the_csv_module(tmp_path):
    path = tmp_path / "a.csv"
    write_segments(segmentation(), path)
    with open(path, newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert tuple(rows[0]) == CSV_COLUMNS
    # What a spreadsheet would compute stands behind an apostrophe.
    shown = [f"'{name}" if name[0] in "=-'" else name for *_, name in EXPECTED]
    got = [(int(row["person"]) - 1, row["start"], row["end"], row["name"]) for row in rows]
    assert got == [
        (p, f"{a / 1000:.3f}", f"{b / 1000:.3f}", n) for (p, a, b, _), n in zip(EXPECTED, shown, strict=True)
    ]
    assert rows[0]["confidence"] == "0.5000" and rows[0]["nearest_name"] == NAMES[3]
    assert (rows[0]["name_2"], rows[0]["probability_2"]) == ("'" + NAMES[2], "0.2500")
    assert (rows[0]["name_3"], rows[0]["probability_3"], rows[0]["name_4"]) == (NAMES[1], "0.1250", "")


SEPARATED = (
    "a;b",
    "a;=cmd()|' /C calc'!A0",
    'a; "=1+1"',
    "a;'=1",
    ";@a",
    "a ; b, c",
    "\uff1d1",
    " =1",
    '"',
    "''=",
    ";;=a;-b",
)


def test_no_cell_is_a_formula_where_a_semicolon_separates(tmp_path):
    path = tmp_path / "a.csv"
    segments = tuple(Segment(at, at + 0.5, name, nearest=name) for at, name in enumerate(SEPARATED))
    write_segments(Segmentation(segments, SEPARATED), path)
    wanted = [name.strip() for name in SEPARATED]
    found = read_segments(path).segments
    assert [one.name for one in found] == wanted and [one.nearest for one in found] == wanted
    with open(path, newline="", encoding="utf-8") as stream:
        cells = [cell for row in csv.reader(stream, delimiter=";") for cell in row]
    assert len(cells) > 2 * len(SEPARATED) and not [
        cell for cell in cells if cell.lstrip('" ')[:1] in tuple("=+-@\uff1d")
    ]


@given(st.text(";=+-@'\" ,a\uff1d", min_size=1, max_size=12))
@settings(max_examples=300, deadline=None)
def test_any_name_comes_back_from_csv(name):
    assert unescape_name(_plain(name)) == name
    assert next(csv.reader([_quoted(_plain(name))])) == [_plain(name)]


def test_json_holds_everything(tmp_path):
    path = tmp_path / "a.json"
    write_segments(segmentation(video="clip.mp4"), path)
    content = json.loads(path.read_bytes())
    assert (content["recording"], content["video"], content["seconds"]) == ("film", "clip.mp4", 3700.0)
    assert content["class_names"] == list(NAMES) and content["settings"] == {"threshold": 0.45}
    got = [(one["person"] - 1, one["start"], one["end"], one["name"]) for one in content["segments"]]
    assert got == [(p, a / 1000, b / 1000, n) for p, a, b, n in EXPECTED]
    assert content["segments"][0]["top"][2] == {"name": NAMES[1], "probability": 0.125}
    assert content["segments"][1]["nearest_name"] is None


def test_webvtt_is_read_by_a_parser_of_webvtt(tmp_path):
    webvtt = pytest.importorskip("webvtt")
    path = tmp_path / "a.vtt"
    write_segments(segmentation(), path)
    captions = webvtt.read(path).captions
    expected = sorted(EXPECTED, key=lambda row: (row[1], row[2]))
    assert [(round(one.start_in_seconds * 1000) // 1000, one.voice) for one in captions] == [
        (start // 1000, f"Person {person + 1}") for person, start, *_ in expected
    ]
    assert [(one.start, one.end) for one in captions][-1] == ("01:01:01.250", "01:01:02.000")
    lines = path.read_text(encoding="utf-8").split("\n")
    assert sum("-->" in line for line in lines) == len(EXPECTED), "no name brings an arrow of its own"
    texts = [line.split(">", 1)[1].rsplit(" (", 1)[0] for line in lines if line.startswith("<v Person")]
    assert [html.unescape(text) for text in texts] == [name for *_, name in expected]
    assert all("<" not in text and ">" not in text for text in texts)
    one = segmentation().of_person(0)
    write_segments(Segmentation(tuple(one)), path)
    assert "<v" not in path.read_text(encoding="utf-8")


@pytest.fixture
def eaf(tmp_path):
    pytest.importorskip("pympi")
    (tmp_path / "videos").mkdir()
    video = tmp_path / "videos" / "my film#1.mp4"
    path = tmp_path / "out" / "a.eaf"
    write_segments(segmentation(video=str(video)), path)
    return path


def test_elan_files_are_read_by_pympi(eaf):
    import pympi

    read = pympi.Eaf(str(eaf), suppress_version_warning=True)
    assert list(read.get_tier_names()) == ["person 1", "person 1 confidence", "person 2", "person 2 confidence"]
    for person in (0, 1):
        got = sorted(read.get_annotation_data_for_tier(f"person {person + 1}"))
        assert got == [(a, b, n) for p, a, b, n in EXPECTED if p == person]
    notes = read.get_ref_annotation_data_for_tier("person 1 confidence")
    assert sorted((start, value, name) for start, _, value, name in notes) == [
        (500, "0.50", NAMES[0]), (1250, "1.00", NAMES[1]), (3661250, "0.25", NAMES[2]),
    ]  # fmt: skip
    assert [entry[0][0][0] for entry in read.get_cv_entries("gestures").values()] == list(NAMES)


def test_elan_files_keep_the_rules_of_the_schema(eaf):
    root = ElementTree.parse(eaf).getroot()
    assert root.tag == "ANNOTATION_DOCUMENT" and root.attrib["FORMAT"] == root.attrib["VERSION"] == "3.0"
    order = ["HEADER", "TIME_ORDER", "TIER", "LINGUISTIC_TYPE", "LOCALE", "LANGUAGE", "CONSTRAINT",
             "CONTROLLED_VOCABULARY"]  # fmt: skip
    places = [order.index(child.tag) for child in root]
    assert places == sorted(places)
    slots = {slot.get("TIME_SLOT_ID"): int(slot.get("TIME_VALUE")) for slot in root.find("TIME_ORDER")}
    assert list(slots.values()) == sorted(slots.values()) and min(slots.values()) >= 0
    ids = [*slots, *(one.get("ANNOTATION_ID") for one in root.iter() if one.get("ANNOTATION_ID")),
           *(one.get("CVE_ID") for one in root.iter("CV_ENTRY_ML"))]  # fmt: skip
    assert len(ids) == len(set(ids)), "xsd:ID is unique in the document"
    types = {one.get("LINGUISTIC_TYPE_ID"): one for one in root.iter("LINGUISTIC_TYPE")}
    stereotypes = {one.get("STEREOTYPE") for one in root.iter("CONSTRAINT")}
    tiers = {one.get("TIER_ID"): one for one in root.iter("TIER")}
    annotations = {one.get("ANNOTATION_ID") for one in root.iter() if one.get("ANNOTATION_ID")}
    for tier in tiers.values():
        assert tier.get("LINGUISTIC_TYPE_REF") in types
        assert tier.get("PARENT_REF") in (None, *tiers)
        times = []
        for one in tier.iter("ALIGNABLE_ANNOTATION"):
            times.append((slots[one.get("TIME_SLOT_REF1")], slots[one.get("TIME_SLOT_REF2")]))
        assert all(start < end for start, end in times)
        assert all(one[1] <= other[0] for one, other in zip(times, times[1:], strict=False)), "no overlap in a tier"
        assert all(one.get("ANNOTATION_REF") in annotations for one in tier.iter("REF_ANNOTATION"))
    assert types["gesture"].get("CONTROLLED_VOCABULARY_REF") == root.find("CONTROLLED_VOCABULARY").get("CV_ID")
    assert types["confidence"].get("CONSTRAINTS") in stereotypes
    languages = {one.get("LANG_ID") for one in root.iter("LANGUAGE")}
    assert {one.get("LANG_REF") for one in root.iter("CVE_VALUE")} <= languages
    media = root.find("HEADER/MEDIA_DESCRIPTOR")
    assert media.get("RELATIVE_MEDIA_URL") == "../videos/my film#1.mp4" and media.get("MIME_TYPE") == "video/mp4"
    assert media.get("MEDIA_URL").startswith("file:///") and media.get("MEDIA_URL").endswith("/my%20film%231.mp4")
    assert root.find("HEADER").get("TIME_UNITS") == "milliseconds"


def test_nothing_found_is_written_too(tmp_path):
    pytest.importorskip("pympi")
    for name in ("csv", "json", "vtt", "eaf"):
        write_segments(Segmentation((), NAMES, "film", 10.0), tmp_path / f"a.{name}")
    assert (tmp_path / "a.csv").read_text().splitlines() == [",".join(CSV_COLUMNS)]
    assert (tmp_path / "a.vtt").read_text() == "WEBVTT\n"
    assert read_segments(tmp_path / "a.csv").segments == read_segments(tmp_path / "a.eaf").segments == ()


def test_an_old_file_survives_a_failure_and_no_other_is_left(tmp_path, monkeypatch):
    import pyskl_semloss.segments.files as module

    for name in ("csv", "vtt", "json"):
        path = tmp_path / f"a.{name}"
        path.write_text("before")
        monkeypatch.setattr(module.Segmentation, "in_milliseconds", lambda self: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            write_segments(segmentation(), path)
        assert path.read_text() == "before"
    assert sorted(one.name for one in tmp_path.iterdir()) == ["a.csv", "a.json", "a.vtt"]


def test_elan_files_are_replaced_and_no_copy_is_left(tmp_path):
    pytest.importorskip("pympi")
    path = tmp_path / "a.eaf"
    with result_file(path, "w") as stream:
        stream.write("before")
    write_segments(segmentation(), path)
    assert (
        sorted(one.name for one in tmp_path.iterdir()) == [RECORD, "a.eaf"]
        and "ANNOTATION_DOCUMENT" in path.read_text()
    )


@settings(max_examples=200, deadline=None)
@given(st.lists(st.floats(0, 20, allow_nan=False), min_size=2, max_size=20, unique=True))
def test_rounding_to_milliseconds_keeps_segments_apart(borders):
    ordered = sorted(borders)
    segments = tuple(Segment(a, b, "x") for a, b in zip(ordered, ordered[1:], strict=False))
    whole = Segmentation(segments).in_milliseconds()
    assert all(0 <= start < end for start, end, _ in whole)
    assert all(one[1] <= other[0] for one, other in zip(whole, whole[1:], strict=False))
    assert len(whole) == len(segments)
    # Where nothing is shorter than a millisecond, every time is the nearest millisecond.
    if np.diff(ordered).min() > 0.0011:
        assert [(a, b) for a, b, _ in whole] == [(round(one.start * 1000), round(one.end * 1000)) for one in segments]


@pytest.mark.parametrize("suffix", ["csv", "eaf"])
def test_segments_are_read_back(tmp_path, suffix):
    pytest.importorskip("pympi")
    path = tmp_path / f"film.{suffix}"
    write_segments(segmentation(), path)
    again = read_segments(path)
    got = [(one.person, round(one.start * 1000), round(one.end * 1000), one.name) for one in again.segments]
    assert got == EXPECTED and again.name == "film"
    if suffix == "csv":
        first = again.segments[0]
        assert (first.confidence, first.nearest) == (0.5, NAMES[3])
        assert first.top == segmentation().segments[0].top


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "start,end\n1,2\n",
            r"a\.csv: the first line names no column name; it names .*Expected the columns start, end, name",
        ),
        ("start,end,name\n1,x,wave\n", "line 2: expected numbers, got '1', 'x'"),
        ("start,end,name\n1,2,wave\n2,1,nod\n", r"line 3: expected 0 <= start < end"),
        ("start,end,name\n1,3,wave\n2,4,nod\n", "overlap: 'wave' ends at 3 s, 'nod' begins at 2 s"),
        ("start,end,name\n1,3,\n", "line 2: expected the name of a class"),
        ("start,end,name\n1,nan,wave\n", "line 2: expected 0 <= start < end"),
        ("", "Expected the columns"),
        ("start,end,name\n1,2,wave, hello\n", "line 2: it has more cells than the first line names"),
        ("start,end,label\n1,2,wave\n", "names no column name; it names"),
        ("start,ends,name\n1,2,wave\n", "names no column end; .*did you mean 'ends'"),
        ("start;end;name\n1,0;2,x;wave\n", "line 2: expected numbers, got '1,0', '2,x'"),
        ("PK\x03\x04", "a workbook .*CSV UTF-8"),
    ],
)
def test_wrong_annotations_are_named(tmp_path, text, said):
    path = tmp_path / "a.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=said):
        read_segments(path)


@pytest.mark.parametrize(
    "text",
    [
        "start;end;name\r\n1,0;3,0;touch neck\r\n5,0;7,5;fold arm\r\n",
        "start,end,name\n1,3,touch neck \n5,7.5,\u00a0fold arm\n",
        "sep=;\nName;Start ;END\ntouch neck;0:01;0:00:03,0\n;;\nfold arm;00:05;7,50\n",
        ',start,end,name,confidence\n0,1,3,"touch neck",\n1,5,7.5,fold arm,\n',
        "start\tend\tname\tcomment\n1\t3\ttouch neck\n5\t7.5\tfold arm\tx\n\n",
    ],
)
def test_tables_of_segments_as_spreadsheets_write_them(tmp_path, text):
    (tmp_path / "a.csv").write_bytes(text.encode("utf-8"))
    found = [(one.start, one.end, one.name) for one in read_segments(tmp_path / "a.csv").segments]
    assert found == [(1, 3, "touch neck"), (5, 7.5, "fold arm")]


def test_segments_of_a_spreadsheet_with_decimal_commas_are_read_back(tmp_path):
    write_segments(segmentation(), tmp_path / "a.csv")
    rows = list(csv.reader((tmp_path / "a.csv").read_text(encoding="utf-8").splitlines()))
    numbers = [at for at, title in enumerate(rows[0]) if title in ("start", "end") or title.startswith(("con", "prob"))]
    for row in rows[1:]:
        for at in numbers:
            row[at] = row[at].replace(".", ",")
    with open(tmp_path / "b.csv", "w", newline="", encoding="utf-8") as stream:
        csv.writer(stream, delimiter=";").writerows(rows)
    assert read_segments(tmp_path / "b.csv").segments == read_segments(tmp_path / "a.csv").segments


def test_what_is_no_elan_file_is_named(tmp_path):
    pytest.importorskip("pympi")
    for text in ("<a>", "no xml", '<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>', "<ANNOTATION_DOCUMENT/>"):
        (tmp_path / "a.eaf").write_text(text)
        with pytest.raises(InputError, match=r"a\.eaf: .*ELAN file"):
            read_segments(tmp_path / "a.eaf")
    with pytest.raises(InputError, match=r"\.csv or \.eaf"):
        read_segments(tmp_path / "a.txt")


def test_unknown_formats_and_wrong_segments_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"ends in \.csv, \.json, \.vtt, \.eaf"):
        write_segments(segmentation(), tmp_path / "a.srt")
    with pytest.raises(InputError, match="got 'srt'"):
        check_formats(["csv", "srt"])
    wrongs = [
        dict(start=2.0, end=1.0),
        dict(start=-1.0),
        dict(end=float("inf")),
        dict(name=""),
        dict(name="two\nlines"),
    ]
    for wrong in [*wrongs, dict(confidence=1.5), dict(person=-1), dict(top=(("a\x1b", 0.1),))]:
        with pytest.raises(InputError):
            Segment(**{**dict(start=0.0, end=1.0, name="wave"), **wrong})
    with pytest.raises(InputError, match="overlap"):
        Segmentation((Segment(0, 2, "wave"), Segment(1, 3, "nod")))
    Segmentation((Segment(0, 2, "wave"), Segment(1, 3, "nod", person=1)))
    with pytest.raises(InputError, match="'nod' is none of the 1 class names"):
        Segmentation((Segment(0, 2, "nod"),), ("wave",))


def test_elan_without_its_library_is_one_sentence(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "pympi", None)
    check_formats(["csv", "vtt", "json"])
    with pytest.raises(InputError, match=r'pympi-ling.*pip install -e "\.\[elan\]"'):
        check_formats(["eaf"])


def test_agreement_is_counted_by_hand():
    truth = [Segment(0, 2, "a"), Segment(3, 5, "b"), Segment(6, 8, "a"), Segment(0, 2, "a", person=1)]
    found = [Segment(0.5, 2, "a"), Segment(3, 5, "a"), Segment(6, 7, "a"), Segment(6.9, 9, "a"), Segment(0, 1.9, "b")]
    assert temporal_iou(found[0], truth[0]) == 0.75 and temporal_iou(truth[0], truth[1]) == 0
    assert temporal_iou(Segment(0, 1, "a"), Segment(1, 2, "a")) == 0
    named, timed = agreement(found, truth), agreement(found, truth, names=False)
    assert tuple(named) == (2, 5, 4) and tuple(timed) == (3, 5, 4)
    assert (named.precision, named.recall, named.f1) == (0.4, 0.5, 4 / 9)
    assert tuple(agreement(found, truth, iou=0.9)) == (0, 5, 4)
    assert tuple(named + timed) == (5, 10, 8)
    assert agreement([], []).f1 == 1 and agreement([], truth).f1 == 0
    # Each is matched once: two halves are not two hits.
    assert agreement([Segment(0, 1, "a"), Segment(1, 2, "a")], [Segment(0, 2, "a")]).matched == 1
    with pytest.raises(InputError):
        agreement(found, truth, iou=0)


def test_the_table_names_persons_only_where_there_are_several():
    text = format_segments(segmentation().segments)
    assert len(text.splitlines()) == 9 and "(person 2)" in text and "3661.25   3662.00   0.25  =SUM(A1)" in text
    assert "person" not in format_segments(segmentation().of_person(0))


def test_the_segments_need_no_host_and_no_torch():
    import subprocess
    import sys

    code = (
        "import sys, pyskl_semloss.segments.windows, pyskl_semloss.segments.files, pyskl_semloss.segments.localization;"
        "print([name for name in ('torch', 'mmengine', 'mmaction', 'mmcv', 'pympi', 'numba') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parents[1])
    assert done.stdout.strip() == "[]", done.stdout + done.stderr
