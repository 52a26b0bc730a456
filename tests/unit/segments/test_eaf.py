"""ELAN files: whose tiers they are, when annotations happen, what they are called, what is refused, what is said."""

import resource
import subprocess
import sys
import time
import warnings
from xml.sax.saxutils import escape, quoteattr

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import ROOT
from pyskl_semloss.errors import InputError
from pyskl_semloss.segments.elan_reading import read_eaf
from pyskl_semloss.segments.files import write_segments
from pyskl_semloss.segments.matching import agreement
from pyskl_semloss.segments.reading import read_segments
from pyskl_semloss.segments.segment import Segment, Segmentation

THREE = [(1000, 3000, "touch neck"), (5000, 7500, "fold arm"), (9000, 11000, "touch neck")]


def attributes(**values):
    return "".join(f" {key.upper()}={quoteattr(value)}" for key, value in values.items())


class Elan:
    """Writes a file as ELAN does."""

    def __init__(self, media="", header='MEDIA_FILE="" TIME_UNITS="milliseconds"', form="3.0", **replaced):
        self.head = f"<HEADER {header}>{media}</HEADER>"
        self.form, self.slots, self.tiers, self.more = form, [], "", ""
        self.count = 0

    def slot(self, value):
        self.slots.append(value)
        return f"ts{len(self.slots)}"

    def tier(self, name, annotations=(), kind="default-lt", **values):
        """Annotations are (start, end, text), or (id of the parent, id of the one before, text)."""
        lines = []
        for first, second, text, *more in annotations:
            self.count += 1
            more = "".join(more) + f' ANNOTATION_ID="a{self.count}"'
            if isinstance(first, str) and not first.startswith("ts"):
                previous = f' PREVIOUS_ANNOTATION="{second}"' if second else ""
                tag, where = "REF_ANNOTATION", f'ANNOTATION_REF="{first}"{previous}'
            else:
                first, second = (one if isinstance(one, str) else self.slot(one) for one in (first, second))
                tag, where = "ALIGNABLE_ANNOTATION", f'TIME_SLOT_REF1="{first}" TIME_SLOT_REF2="{second}"'
            value = f"<ANNOTATION_VALUE>{escape(text)}</ANNOTATION_VALUE>"
            lines.append(f"<ANNOTATION><{tag}{more} {where}>{value}</{tag}></ANNOTATION>")
        head = attributes(tier_id=name, linguistic_type_ref=kind, **values)
        self.tiers += f"<TIER{head}>{''.join(lines)}</TIER>"
        return self

    def add(self, text):
        self.more += text
        return self

    def write(self, path):
        order = "".join(
            f'<TIME_SLOT TIME_SLOT_ID="ts{number}"' + ("/>" if value is None else f' TIME_VALUE="{value}"/>')
            for number, value in enumerate(self.slots, 1)
        )
        path.write_text(
            '<?xml version="1.0" encoding="UTF-8"?>\n<ANNOTATION_DOCUMENT AUTHOR="" DATE="2024-05-01T10:00:00+01:00" '
            f'FORMAT="{self.form}" VERSION="{self.form}" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
            f'xsi:noNamespaceSchemaLocation="http://www.mpi.nl/tools/elan/EAFv{self.form}.xsd">{self.head}<TIME_ORDER>'
            f"{order}</TIME_ORDER>{self.tiers}{self.more}</ANNOTATION_DOCUMENT>\n",
            encoding="utf-8",
        )
        return path


@pytest.fixture
def file(tmp_path):
    return tmp_path / "talk.eaf"


@pytest.fixture(autouse=True)
def nothing_unexpected():
    """A warning that a test does not expect is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def rows(segmentation):
    return [(one.person, round(one.start * 1000), round(one.end * 1000), one.name) for one in segmentation.segments]


def mine(person, annotations=THREE):
    return [(person, *one) for one in annotations]


def test_an_empty_tier_is_nobody(file, shared_dir):
    Elan().tier("default").tier("gesture", THREE).tier("comments").write(file)
    assert rows(read_segments(file)) == mine(0)
    Elan().tier("gesture", [*THREE]).tier("blank", [(100, 200, "  \n")]).write(file)
    assert rows(read_segments(file)) == mine(0), "no more do annotations without text make a person"
    case = shared_dir / "cases" / "04_elan_tier_position_is_person"
    found = read_segments(case / "found.csv").segments
    for name in ("default_tier_first.eaf", "gesture_only_ok.eaf"):
        with pytest.warns(UserWarning, match=r"linked media that are not there: interview\.mp4"):
            assert tuple(agreement(found, read_segments(case / name).segments)) == (3, 3, 3)


def test_persons_are_those_of_the_names_wherever_they_lie(file):
    later = [(one + 100, two + 100, text) for one, two, text in THREE]
    Elan().tier("Person_03", later).tier("person 1").tier(" PERSON\u00a02", THREE).write(file)
    assert rows(read_segments(file)) == [*mine(1), *mine(2, later)]
    Elan().tier("gestures A", THREE, participant="person 2").write(file)
    assert rows(read_segments(file)) == mine(1)
    Elan().tier("gestures A", THREE, participant="Eve", annotator="Bob").write(file)
    assert rows(read_segments(file)) == mine(0)
    Elan().tier("person 1", THREE, participant="person 2").write(file)
    with pytest.raises(InputError, match="tier's name is one person's, its participant another"):
        read_segments(file)
    assert rows(read_segments(file, {"person 1": None})) == rows(read_segments(file, ["person 1"])) == mine(0)


def test_several_tiers_are_listed_and_chosen(file):
    elan = Elan().tier("speech", [(0, 9000, "well, you know")], participant="Eve").tier("Gesture", THREE)
    elan.tier("Gesture Bob", THREE[:1], participant="Bob").tier("notes").write(file)
    with pytest.raises(InputError) as raised:
        read_segments(file)
    assert str(raised.value).splitlines() == [
        f"{file}: field 'tiers': 3 tiers have annotations, and which are the gestures of which person is not clear:",
        "  'speech': 1 annotations, such as 'well, you know'; participant 'Eve'",
        "  'Gesture': 3 annotations, such as 'touch neck'",
        "  'Gesture Bob': 1 annotations, such as 'touch neck'; participant 'Bob'",
        "Choose with --tier NAME, or --tier NAME PERSON for each person; in Python tiers={NAME: PERSON}, from 0.",
    ]
    assert rows(read_segments(file, "gesture ")) == rows(read_segments(file, ["Gesture"])) == mine(0)
    assert rows(read_segments(file, {"Gesture": 3, "gesture bob": 1})) == [*mine(1, THREE[:1]), *mine(3)]
    with pytest.raises(InputError, match="which person the tier 'Gesture' is of is not clear.*--tier NAME PERSON"):
        read_segments(file, ["Gesture", "Gesture Bob"])
    with pytest.raises(InputError, match="there is no tier 'gestur'; there are:") as raised:
        read_segments(file, ["gestur"])
    assert str(raised.value).endswith("\nDid you mean 'Gesture'?")
    assert "\n  'notes': no annotations" in str(raised.value)
    with pytest.raises(InputError, match="a tier is named twice"):
        read_segments(file, {"Gesture": 0, "gesture": 1})
    with pytest.raises(InputError, match="two segments of a person overlap"):
        read_segments(file, {"speech": 0, "Gesture": 0})


def test_doubtful_tiers_are_never_guessed(file):
    Elan().tier("person 1", THREE).tier("notes", [(0, 100, "shy")]).write(file)
    with pytest.raises(InputError, match="2 tiers have annotations"):
        read_segments(file)
    Elan().tier("person 1", THREE).tier("Person 1 ", THREE).write(file)
    with pytest.raises(InputError, match="2 tiers have annotations"):
        read_segments(file)
    # What lies below may be the gestures, and the tier above the talk.
    Elan().tier("talk", THREE).tier("gesture", [("a1", "", "nod")], parent_ref="talk").write(file)
    with pytest.raises(InputError, match="'gesture': 1 annotations, such as 'nod'; depends on 'talk'"):
        read_segments(file)
    assert rows(read_segments(file, ["gesture"])) == [(0, 1000, 3000, "nod")]


def test_a_file_that_elan_saved_anew_keeps_its_persons(file):
    """Renamed in ELAN, with an empty tier in front: the confidences are no names."""
    elan = Elan().tier("default").tier("Eve", THREE, kind="gesture", participant="person 2")
    elan.tier("Eve sure", [("a1", "", "0.90")], kind="confidence", parent_ref="Eve").write(file)
    assert rows(read_segments(file)) == mine(1)


def test_the_moment_that_a_video_begins_at_is_added(file):
    sound = '<MEDIA_DESCRIPTOR MEDIA_URL="file:///c/talk.wav" MIME_TYPE="audio/x-wav"/>'
    video = '<MEDIA_DESCRIPTOR MEDIA_URL="file:///c/{0}" RELATIVE_MEDIA_URL="./{0}" MIME_TYPE="video/mp4"{1}/>'
    (file.parent / "front.mp4").write_bytes(b"")
    (file.parent / "talk.wav").write_bytes(b"")
    (file.parent / "side.mp4").write_bytes(b"")
    shifted = [(one + 500, two + 500, text) for one, two, text in THREE]
    Elan(sound + video.format("front.mp4", ' TIME_ORIGIN="500"')).tier("gesture", THREE).write(file)
    read = read_segments(file)
    assert rows(read) == mine(0, shifted) and read.video == str(file.parent / "front.mp4")
    assert rows(read_segments(file, video="talk.wav")) == mine(0)
    both = video.format("front.mp4", ' TIME_ORIGIN="500"') + video.format("side.mp4", ' TIME_ORIGIN="-1500"')
    Elan(both).tier("gesture", [(2000, 3000, "nod")]).write(file)
    with pytest.raises(InputError) as raised:
        read_segments(file)
    assert str(raised.value).splitlines()[1:] == [
        "  'front.mp4' begins at 0.500 s", "  'side.mp4' begins at -1.500 s",
        "Name it with --video NAME; in Python video=NAME.",
    ]  # fmt: skip
    assert rows(read_segments(file, video="/other/place/SIDE.MP4")) == [(0, 500, 1500, "nod")]
    assert rows(read_segments(file, video="front")) == [(0, 2500, 3500, "nod")]
    with pytest.raises(InputError, match="there is no video 'top.mp4'"):
        read_segments(file, video="top.mp4")
    Elan(video.format("side.mp4", ' TIME_ORIGIN="-1500"')).tier("gesture", THREE).write(file)
    with pytest.raises(InputError, match="tier 'gesture', annotation 'a1': expected 0 <= start < end"):
        read_segments(file)


@pytest.mark.parametrize("units", ["PAL-frames", "NTSC-frames", "seconds"])
def test_other_units_of_time_are_refused(file, units):
    Elan(header=f'TIME_UNITS="{units}"').tier("gesture", THREE).write(file)
    with pytest.raises(InputError, match=f"field 'TIME_UNITS': line 2: expected times in milliseconds, got '{units}'"):
        read_segments(file)


def test_formats_two_and_three_are_read(file):
    for form in ("2.0", "2.6", "2.8", "3.0", "3.1"):
        Elan(form=form).tier("gesture", THREE).write(file)
        assert rows(read_segments(file)) == mine(0)
    for form in ("4.0", "1.4", "", "30"):
        Elan(form=form).tier("gesture", THREE).write(file)
        with pytest.raises(InputError, match=f"expected the EAF format 2 or 3, got '{form}'"):
            read_segments(file)


def test_slots_without_times_lie_evenly_on_their_tier(file):
    elan = Elan().tier("talk", [(1000, 4000, "fold")])
    slots = [elan.slot(value) for value in (1000, None, None, 4000)]
    # A slot of another tier between them, in the order of the file, does not count.
    elan.tier("other", [(2000, 2100, "x")])
    elan.tier("gesture", [(*pair, text) for pair, text in zip(zip(slots, slots[1:], strict=False), "abc", strict=True)])
    elan.write(file)
    with pytest.warns(UserWarning, match="tier 'gesture': 2 time slots without times are taken to lie evenly"):
        read = read_segments(file, "gesture")
    assert rows(read) == [(0, 1000, 2000, "a"), (0, 2000, 3000, "b"), (0, 3000, 4000, "c")]
    Elan().tier("gesture", [(1000, None, "a")]).write(file)
    with pytest.raises(InputError, match="tier 'gesture': annotation 'a1': its time slots have no times, nor have"):
        read_segments(file)
    Elan().tier("gesture", [(1000, "ts9", "a")]).write(file)
    with pytest.raises(InputError, match="tier 'gesture': annotation 'a1': there is no time slot 'ts9'"):
        read_segments(file)


def test_annotations_that_refer_to_others_have_their_times(file):
    elan = Elan().tier("talk", [(1000, 4000, "u"), (5000, 6000, "v")])
    elan.tier("word", [("a1", "a4", "second"), ("a1", "", "first"), ("a2", "", "alone")], parent_ref="talk")
    elan.tier("gesture", [("a3", "", "wave"), ("a5", "", "nod")], parent_ref="word").write(file)
    assert rows(read_segments(file, "word")) == [
        (0, 1000, 2500, "first"), (0, 2500, 4000, "second"), (0, 5000, 6000, "alone"),
    ]  # fmt: skip
    assert rows(read_segments(file, "gesture")) == [(0, 2500, 4000, "wave"), (0, 5000, 6000, "nod")]


@pytest.mark.parametrize(
    ("elan", "said"),
    [
        (
            Elan().tier("g", [("a9", "", "x")], parent_ref="g"),
            "tier 'g': the tier that it depends on, 'g', depends on it",
        ),
        (
            Elan().tier("g", [("a9", "", "x")], parent_ref="h"),
            "tier 'g': the tier that it depends on, 'h', is not there",
        ),
        (Elan().tier("g", [("a9", "", "x")]), "tier 'g': the tier that it depends on, '', is not there"),
        (
            Elan().tier("h", THREE).tier("g", [("a9", "", "x")], parent_ref="h"),
            "tier 'g': annotation 'a4': there is no annotation 'a9' that it lies in",
        ),
        (
            Elan().tier("h", THREE).tier("g", [("a1", "a5", "x"), ("a1", "a4", "x")], parent_ref="h"),
            "tier 'g': annotation 'a4' and its 1 neighbours: PREVIOUS_ANNOTATION names no order of them",
        ),
        (
            Elan().tier("g", [(3000, 1000, "x")]),
            "tier 'g': annotation 'a1': expected an end behind the start, got 3.000",
        ),
        (
            Elan().tier("g", [(1000, 1000, "x")]),
            "tier 'g': annotation 'a1': expected an end behind the start, got 1.000",
        ),
        (Elan().tier("g").tier("g", THREE), "line 2: the tier 'g' is there twice"),
        (Elan().tier("g", [(1, 2, "x", ' TIME_VALUE="1"')]).add("<TIER/>"), "line 2: TIER_ID is absent"),
        (Elan().add('<ALIGNABLE_ANNOTATION ANNOTATION_ID="a"/>'), "the annotation 'a' lies in no tier"),
        (Elan().tier("g", [(1, "9" * 5000, "x")]), "there is no time slot '999"),
        (Elan('<MEDIA_DESCRIPTOR TIME_ORIGIN="1.5"/>'), "field 'TIME_ORIGIN': line 2: expected a whole number of mill"),
        (Elan().tier("g", [(0, "ts1", "x")]), "expected an end behind the start, got 0.000 and 0.000"),
    ],
)
def test_damage_is_named_with_its_tier(file, elan, said):
    elan.write(file)
    with pytest.raises(InputError, match=said) as raised:
        read_segments(file, ["g"])
    assert str(raised.value).startswith(str(file))


@pytest.mark.parametrize("value", ["", "1000.5", "0x10", "1" * 5000, "-", "1_000", "\u0661"])
def test_times_that_are_no_whole_numbers_are_refused(file, value):
    elan = Elan().tier("g", [(1, 2, "x")])
    elan.slots[0] = value
    elan.write(file)
    with pytest.raises(InputError, match="expected a whole number of milliseconds|have no times") as raised:
        read_segments(file)
    assert len(str(raised.value)) < len(str(file)) + 200


VOCABULARY = (
    '<LINGUISTIC_TYPE LINGUISTIC_TYPE_ID="named" CONTROLLED_VOCABULARY_REF="cv"/>'
    '<CONTROLLED_VOCABULARY CV_ID="cv"><DESCRIPTION LANG_REF="eng">all</DESCRIPTION>'
    '<CV_ENTRY_ML CVE_ID="c1"><CVE_VALUE LANG_REF="eng" DESCRIPTION="">touch neck</CVE_VALUE>'
    '<CVE_VALUE LANG_REF="nld" DESCRIPTION="">nek aanraken</CVE_VALUE></CV_ENTRY_ML>'
    '<CV_ENTRY_ML CVE_ID="c2"><CVE_VALUE LANG_REF="eng">fold arm</CVE_VALUE></CV_ENTRY_ML></CONTROLLED_VOCABULARY>'
)


def test_entries_of_vocabularies_give_the_names(file):
    elan = Elan().add(VOCABULARY)
    first = ' CVE_REF="c1"'
    annotations = [
        (0, 1, "touch neck", first), (1, 2, "Nek aanraken", first), (2, 3, "", first), (3, 4, "old text", first),
        (4, 5, "c2"), (5, 6, "free text"), (6, 7, "text", ' CVE_REF="absent"'), (7, 8, "", first, ' LANG_REF="nld"'),
    ]  # fmt: skip
    elan.tier("gesture", annotations, kind="named").write(file)
    with pytest.warns(UserWarning, match="tier 'gesture': 2 names are those of the controlled vocabulary"):
        names = [one.name for one in read_segments(file).segments]
    assert names == [
        "touch neck", "Nek aanraken", "touch neck", "touch neck", "fold arm", "free text", "text", "nek aanraken",
    ]  # fmt: skip
    # An external vocabulary is an address: what the annotation says is taken, and nothing is fetched.
    external = '<EXTERNAL_REF EXT_REF_ID="er1" TYPE="ecv" VALUE="http://127.0.0.1:9/v.ecv"/>'
    vocabulary = VOCABULARY.split("<CV_ENTRY_ML")[0].replace('CV_ID="cv"', 'CV_ID="cv" EXT_REF="er1"')
    Elan().tier("gesture", annotations[:1], kind="named").add(vocabulary + "</CONTROLLED_VOCABULARY>" + external).write(
        file
    )
    assert rows(read_segments(file)) == [(0, 0, 1, "touch neck")]


def test_annotations_without_a_name_are_counted(file):
    Elan().tier("gesture", [(0, 1, ""), (1, 2, " \n "), *THREE]).write(file)
    with pytest.warns(UserWarning, match="tier 'gesture': 2 annotations without a name are left out"):
        assert rows(read_segments(file)) == mine(0)


def test_texts_lose_what_is_no_name(file):
    Elan().tier("gesture", [(0, 1, "touch\nneck\n"), (1, 2, " fold\u00a0arm "), (2, 3, "a\t b")]).write(file)
    text = file.read_text(encoding="utf-8").replace("a\t b", "<![CDATA[a <b> & c]]>")
    file.write_text(text, encoding="utf-8-sig")
    names = [one.name for one in read_segments(file).segments]
    assert names == ["touch neck", "fold\u00a0arm", "a <b> & c"]
    Elan().tier("gesture", [(0, 1, "a\u202eb")]).write(file)
    with pytest.raises(InputError, match="tier 'gesture', annotation 'a1': .*holds the character U.202E"):
        read_segments(file)


def test_names_are_matched_as_in_tables_of_labels():
    found = [Segment(0, 1, "Mu\u0308ller wave"), Segment(2, 3, "fold  arm"), Segment(4, 5, "NOD"), Segment(6, 7, "a")]
    made = [
        Segment(0, 1, "M\u00fcller\u00a0Wave"),
        Segment(2, 3, "Fold arm "),
        Segment(4, 5, "nod"),
        Segment(6, 7, "b"),
    ]
    assert tuple(agreement(found, made)) == (3, 4, 4)


def test_linked_media_that_are_not_there_are_said(file):
    missing = (
        '<MEDIA_DESCRIPTOR MEDIA_URL="file:///no/a%20b.mp4" MIME_TYPE="video/mp4"/>'
        '<MEDIA_DESCRIPTOR MEDIA_URL="http://127.0.0.1:9/c.mp4" MIME_TYPE="video/mp4"/>'
        '<MEDIA_DESCRIPTOR MEDIA_URL="file://host/share/d.mp4" RELATIVE_MEDIA_URL="" MIME_TYPE="video/mp4"/>'
        '<MEDIA_DESCRIPTOR MEDIA_URL="file:///C:/e\\f.mp4" MIME_TYPE="video/mp4"/>'
        '<MEDIA_DESCRIPTOR MEDIA_URL="file://[x" MIME_TYPE="video/mp4"/>'
    )
    Elan(missing).tier("gesture", THREE).write(file)
    with pytest.warns(UserWarning, match=r"not there: a b\.mp4, c\.mp4, d\.mp4, f\.mp4, \[x$"):
        assert read_segments(file).video == "a b.mp4"
    (file.parent / "a b.mp4").write_bytes(b"")
    (file.parent / "videos").mkdir()
    (file.parent / "videos" / "c#1.mp4").write_bytes(b"")
    there = '<MEDIA_DESCRIPTOR MEDIA_URL="file:///no/a%20b.mp4" MIME_TYPE="video/mp4"/>'
    there += '<MEDIA_DESCRIPTOR MEDIA_URL="file:///x" RELATIVE_MEDIA_URL="videos/c#1.mp4" MIME_TYPE="video/mp4"/>'
    Elan(there).tier("gesture", THREE).write(file)
    assert read_segments(file).video == str(file.parent / "a b.mp4")
    assert read_segments(file, video="c#1").video == str(file.parent / "videos" / "c#1.mp4")
    Elan(header='MEDIA_FILE="old.mpg"').tier("gesture", THREE).write(file)
    with pytest.warns(UserWarning, match=r"not there: old\.mpg"):
        read_segments(file)
    Elan('<MEDIA_DESCRIPTOR MEDIA_URL="\x7f&#10;x" MIME_TYPE="v"/>').tier("gesture", THREE).write(file)
    with pytest.warns(UserWarning) as told:
        read_segments(file)
    assert str(told[0].message).isprintable()


@pytest.mark.parametrize("person", [0, 1, 7, 4321])
def test_a_person_alone_stays_the_same(file, person):
    pytest.importorskip("pympi")
    segments = (Segment(1, 3, "fold arm", person=person),)
    write_segments(Segmentation(segments), file)
    assert rows(read_segments(file)) == [(person, 1000, 3000, "fold arm")]


_LETTERS = st.characters(blacklist_categories=["Cc", "Cs", "Zl", "Zp", "Cn", "Cf"])
_NAMES = st.text(_LETTERS, min_size=1, max_size=8).filter(lambda name: name == name.strip())
_WRITTEN = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 10**7), st.integers(1, 10**4), _NAMES), min_size=1, max_size=12
)


@settings(max_examples=150, deadline=None)
@given(written=_WRITTEN)
def test_what_is_written_is_read_back(written, tmp_path_factory):
    pytest.importorskip("pympi")
    file = tmp_path_factory.mktemp("eaf") / "a.eaf"
    free: dict[int, int] = {}
    expected = []
    for person, start, length, name in sorted(written):
        start = max(start, free.get(person, 0))
        free[person] = start + length
        expected.append((person, start, start + length, name))
    segments = tuple(Segment(start / 1000, end / 1000, name, 0.5, person=who) for who, start, end, name in expected)
    write_segments(Segmentation(segments), file)
    assert rows(read_eaf(file)) == sorted(expected)


@pytest.mark.parametrize("video", ["film.mp4", "f\u00fclm 1#?%20.mp4", "film", ".mp4"])
def test_a_video_of_any_name_is_linked_and_found(file, video):
    pytest.importorskip("pympi")
    (file.parent / video).write_bytes(b"")
    segmentation = Segmentation((Segment(1, 3, "nod"),), video=str(file.parent / video))
    write_segments(segmentation, file)
    assert read_segments(file).video == str(file.parent / video)
    (file.parent / video).unlink()
    write_segments(Segmentation((Segment(1, 3, "nod"),), video=video), file)
    with pytest.warns(UserWarning, match="not there"):
        assert read_segments(file).video == video


def test_a_video_that_no_file_can_name_is_refused(file):
    pytest.importorskip("pympi")
    for video in ("a\0b.mp4", "a\nb.mp4", "a\ud800.mp4"):
        with pytest.raises(InputError, match="cannot be linked"):
            write_segments(Segmentation((), video=video), file)
    (file.parent / "a\nb").mkdir()
    (file.parent / "a\nb" / "c.mp4").write_bytes(b"")
    write_segments(Segmentation((), video=str(file.parent / "a\nb" / "c.mp4")), file)
    assert read_segments(file).video == str(file.parent / "a\nb" / "c.mp4")


BOMB = '<!DOCTYPE x [<!ENTITY a "{}">{}]>'.format(
    "ha" * 100, "".join(f'<!ENTITY {b} "{f"&{a};" * 100}">' for a, b in zip("abcdefgh", "bcdefghi", strict=True))
)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (BOMB + "<ANNOTATION_DOCUMENT>&i;</ANNOTATION_DOCUMENT>", "declares no document type"),
        ('<!DOCTYPE x SYSTEM "http://127.0.0.1:9/x.dtd"><ANNOTATION_DOCUMENT/>', "declares no document type"),
        ("<ANNOTATION_DOCUMENT>&a;</ANNOTATION_DOCUMENT>", "undefined entity"),
        ("<ANNOTATION_DOCUMENT>" + "<a>" * 500_000, "nested too deeply"),
        ('<?xml version="1.0" encoding="UTF-16"?><ANNOTATION_DOCUMENT/>', "lacks HEADER and TIME_ORDER"),
        ("<html><HEADER/><TIME_ORDER/></html>", "expected ANNOTATION_DOCUMENT at the top, got 'html'"),
        ("<ANNOTATION_DOCUMENT><x><HEADER/><TIME_ORDER/></x></ANNOTATION_DOCUMENT>", "lacks HEADER and TIME_ORDER"),
        ("", "no element found"),
        ("<ANNOTATION_DOCUMENT", "unclosed token"),
    ],
)
def test_hostile_files_are_refused_at_once(file, text, said):
    file.write_text(text)
    begin = time.perf_counter()
    with pytest.raises(InputError, match=said):
        read_eaf(file)
    assert time.perf_counter() - begin < 2


def test_memory_and_time_follow_the_file(tmp_path):
    """16 MB of elements that say nothing, and of annotations in one chain, in a process of its own."""
    nothing = "<ANNOTATION_DOCUMENT><HEADER/><TIME_ORDER/>" + "<a b='c'/>" * 1_600_000 + "</ANNOTATION_DOCUMENT>"
    (tmp_path / "nothing.eaf").write_text(nothing)
    count = 120_000
    elan = Elan().tier("talk", [(0, 10**6, "x")])
    links = [("a1", f"a{number}" if number > 1 else "", "y") for number in range(1, count + 1)]
    elan.tier("gesture", links, parent_ref="talk").write(tmp_path / "chain.eaf")
    code = (
        "import re, sys; from pyskl_semloss.segments.elan_reading import read_eaf\n"
        "found = len(read_eaf(sys.argv[1], sys.argv[2:]).segments)\n"
        # Not getrusage, whose maximum begins with that of the process that started this one.
        "print(found, re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1])"
    )
    for name, tiers, found, most in (("nothing", [], 0, 256 << 10), ("chain", ["gesture"], count, 512 << 10)):
        command = [sys.executable, "-c", code, tmp_path / f"{name}.eaf", *tiers]
        begin = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=600)
        assert done.returncode == 0, done.stderr
        segments, peak = map(int, done.stdout.split())
        assert segments == found and peak < most, (name, peak)
        assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - begin < 20, name


def test_agreement_of_many_segments_takes_no_square():
    many = [Segment(number, number + 0.9, "nod") for number in range(40_000)]
    begin = time.process_time()
    assert tuple(agreement(many, many)) == (40_000,) * 3
    assert time.process_time() - begin < 10


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 20), st.integers(1, 9), st.sampled_from("ab")), max_size=9),
       st.lists(st.tuples(st.integers(0, 1), st.integers(0, 20), st.integers(1, 9), st.sampled_from("aB")), max_size=9),
       st.booleans())  # fmt: skip
def test_agreement_is_that_of_all_pairs(found, made, names):
    found, made = ([Segment(s, s + n, name, person=p) for p, s, n, name in one] for one in (found, made))
    pairs = []
    for a, one in enumerate(found):
        for b, other in enumerate(made):
            common = min(one.end, other.end) - max(one.start, other.start)
            share = common / (max(one.end, other.end) - min(one.start, other.start))
            same = one.person == other.person and (one.name.lower() == other.name.lower() or not names)
            pairs += [(-share, a, b)] if same and share >= 0.25 else []
    left, right = set(), set()
    for _, a, b in sorted(pairs):
        if a not in left and b not in right:
            left.add(a)
            right.add(b)
    assert agreement(found, made, 0.25, names).matched == len(left)


def test_a_table_has_no_tiers(tmp_path):
    (tmp_path / "a.csv").write_text("start,end,name\n1,2,nod\n")
    with pytest.raises(InputError, match="tiers and linked videos are those of ELAN files"):
        read_segments(tmp_path / "a.csv", ["person 1"])


def compare(*words, code=0):
    command = [sys.executable, "tools/compare_segments.py", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=600)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout, done.stderr


def test_the_tool_compares_and_says_what_never_agrees(tmp_path, file):
    table = tmp_path / "found.csv"
    table.write_text("start,end,name,person\n1,3,touch neck,1\n5,7.5,fold arm,1\n20,21,touch neck,1\n")
    Elan().tier("gesture A", THREE).tier("gesture B", [(0, 900, "Fold  Arm")]).write(file)
    out, err = compare(table, file, code=2)
    assert (
        out == "" and err.startswith(f"error: {file}: field 'tiers': 2 tiers have annotations") and "--tier NAME" in err
    )
    out, err = compare(table, file, "--tier", "Gesture a")
    assert err == "" and out.splitlines() == [
        "2 of 3 annotated segments found, 1 of 3 false",
        "F1 0.667, precision 0.667, recall 0.667; times alone F1 0.667",
        "annotated  found  false  name",
        "        1      1      0  fold arm",
        "        2      1      1  touch neck",
    ]
    out, err = compare(table, file, "--tier", "gesture A", 1, "--tier", "gesture B", 2)
    assert out.startswith("2 of 4 annotated")
    assert err == "warning: person 2 has 1 annotated segments and no found one; found are those of person 1\n"
    Elan().tier("gesture", [(1000, 3000, "touch necks"), (5000, 7500, "FOLD arm")]).write(file)
    out, err = compare(table, file)
    assert out.startswith("1 of 2 annotated") and err == (
        "warning: 'touch necks' is annotated and never found, 'touch neck' is found and never annotated: are they the "
        "same?\n"
    )
    for tiers in (["x", "0"], ["x", "one"], ["a", "b", "c"], ["x", "\u0661"], ["x", "1.0"]):
        _, err = compare(table, file, "--tier", *tiers, code=2)
        assert err.startswith(f"error: field '--tier': expected NAME, or NAME and a person from 1, got {tiers}")
    _, err = compare(table, file, "--tier", "x", "--tier", "x", code=2)
    assert err == "error: field '--tier': 'x' is given twice.\n"
