"""Names, ids and fields of clips that are commands, paths, formulas, absurd numbers, or claims of files with holes."""

import contextlib
import json
import pickle
import sys
import warnings
import zipfile

import numpy as np
import pytest

from helpers.raw_formats import imigue_clips, named, write_kit
from helpers.reader_files import tool
from pyskl_semloss.annotations import AnnotationSet, Clip, read_annotations, write_annotations
from pyskl_semloss.annotations.store import KeypointStore
from pyskl_semloss.annotations.store_writer import store_to_pickle, write_store
from pyskl_semloss.datasets import IMIGUE, convert_kit
from pyskl_semloss.errors import InputError
from pyskl_semloss.evaluation.scores import Scores
from pyskl_semloss.evaluation.submission import read_ids, submission_csv, write_submission
from pyskl_semloss.io.reading import read_json, shown
from pyskl_semloss.io.results import RECORD
from pyskl_semloss.semantic.class_names import read_class_names
from test_hostile_files import refuse

LAYOUT = {"name": "mine", "joints": ["a", "b"], "limbs": [[0, 1]], "mirror_pairs": [[0, 1]]}
NAMES_OF_FILES = ["../mine", "a/b", "/tmp/mine", "..", "a\u0000", "a\nb", "a\x1b[2J"]


@pytest.mark.parametrize("name", NAMES_OF_FILES)
def test_a_layout_cannot_name_a_file_elsewhere(name, tmp_path, monkeypatch, capsys):
    (tmp_path / "layout.json").write_text(json.dumps({**LAYOUT, "name": name}))
    monkeypatch.setattr(sys, "argv", ["draw", str(tmp_path / "layout.json"), "--out", str(tmp_path / "out" / "below")])
    with contextlib.suppress(SystemExit):
        tool("draw_skeletons").main()
    written = {path for path in tmp_path.rglob("*") if path.is_file()} - {tmp_path / "layout.json"}
    assert all(path.parent == tmp_path / "out" / "below" for path in written)
    assert "Traceback" not in capsys.readouterr().err


def test_class_names_may_hold_markup_but_no_commands_to_the_terminal(tmp_path):
    path = tmp_path / "names.txt"
    markup = [
        "<script>alert(1)</script>",
        "a & b",
        "| a | b |",
        "[a](javascript:b)",
        "=cmd()",
        "'; drop table",
        "% \\n",
    ]
    path.write_text("\n".join(markup), encoding="utf-8")
    assert read_class_names(path) == markup
    for bad in (
        "a\x1b[2Jb",
        "a\x07b",
        "a\tb",
        "a\u202eb",
        "a\u2066b",
        "a\x9bb",
        "a\u200f",
        "a\u200eb",
        "\u061ca",
        "a\uffff",
        "a\ufffeb",
    ):
        path.write_text(f"one\n{bad}\n", encoding="utf-8")
        with pytest.raises(InputError, match="class 1, .* holds the character U"):
            read_class_names(path)
        with pytest.raises(InputError, match="class 0, .* holds the character U"):
            Scores(np.array(["a"]), np.ones((1, 1)), np.array([0]), class_names=(bad,))


BAD_IDS = [
    "=1+1",
    "+a",
    "-a",
    "@a",
    "a,b",
    'a"b',
    "a'b",
    "a\nb",
    "a\r",
    "a\tb",
    " a",
    "a ",
    "\x00a",
    "\ufeffa",
    "a\u2028b",
]
BAD_IDS += ["a\x1b[2J", "a\u202eb", "a\ud800", "=cmd|' /C calc'!A0"]


@pytest.mark.parametrize("one", BAD_IDS, ids=ascii)
def test_ids_that_a_submission_cannot_hold(one, tmp_path):
    scores = Scores(np.array([one, "b"]), np.eye(2), np.array([0, 1]))
    for ids in (None, ["b", one]):
        with pytest.raises(InputError, match="1 of 2 ids cannot stand in a submission"):
            write_submission(scores, tmp_path / "s.zip", ids)
    assert not list(tmp_path.iterdir())


def test_a_submission_has_one_member_whatever_the_ids(tmp_path):
    ids = ["../../a", "/etc/passwd", "a/b", "a\\b", "<b>", "a;b", "%n", "C:a", "..", "a:b"]
    scores = Scores(np.array(ids), np.eye(10), np.arange(10))
    write_submission(scores, tmp_path / "s.zip")
    with zipfile.ZipFile(tmp_path / "s.zip") as archive:
        assert archive.namelist() == ["Submission.csv"]
        assert archive.read("Submission.csv").decode() == submission_csv(scores)
    # A separator within an id needs quotation marks.
    (tmp_path / "ids.txt").write_text("\n".join(f'"{one}"' for one in ids))
    assert read_ids(tmp_path / "ids.txt") == tuple(ids)
    assert sorted(path.name for path in tmp_path.iterdir()) == [RECORD, "ids.txt", "s.zip"]


def test_clips_named_like_paths_write_nothing_elsewhere(tmp_path):
    names = ["../../a", "/tmp/a_1", "..", "a\nb", "=1", "a\x1b[2J", "C:\\a"]
    clips = [Clip(name, 0, clip.img_shape, clip.img_shape, clip.keypoint, clip.keypoint_score)
             for name, clip in zip(names, imigue_clips(7, frames=3), strict=True)]  # fmt: skip
    work = tmp_path / "a" / "b"
    write_kit(work / "kit", {"train": clips}, frames=3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        convert_kit(IMIGUE, work / "kit", work / "out.pkl")
    write_annotations(work / "set.pkl", AnnotationSet({"../../x": names}, clips))
    write_store(work / "store", clips, {"../../x": names})
    store_to_pickle(work / "store", work / "back.pkl")
    assert [clip.frame_dir for clip in read_annotations(work / "back.pkl")[0].clips] == names
    assert {path.name for path in tmp_path.iterdir()} == {"a"} and {
        path.name for path in (tmp_path / "a").iterdir()
    } == {"b"}
    expected = {RECORD, "kit", "out.pkl", "out.json", "out.md", "set.pkl", "store", "back.pkl"}
    assert {path.name for path in work.iterdir()} == expected


@pytest.mark.parametrize("name", ["a\0", "a\ud800"])
def test_ids_that_no_file_can_hold(files, name):
    clip = imigue_clips(1, frames=3)[0]
    bad = Clip(name, 0, clip.img_shape, clip.img_shape, clip.keypoint, clip.keypoint_score)
    write_annotations(files["annotations"].path, AnnotationSet({}, [bad]))
    assert "cannot be stored" in refuse(files["annotations"])


ABSURD = [
    ("label", 10**5000), ("label", 2**31), ("total_frames", 10**5000), ("total_frames", np.array([1, 2])),
    ("img_shape", (10**400, 3)), ("img_shape", (10**5000, 3)), ("img_shape", np.ones((2, 2))),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(ABSURD)))
def test_fields_of_absurd_values(files, number):
    (clip,) = named(imigue_clips(1, frames=3), "c{}")
    field, value = ABSURD[number]
    content = {"split": {}, "annotations": [{**clip.to_dict(), field: value}]}
    files["annotations"].path.write_bytes(pickle.dumps(content))
    assert f"field {field!r}" in refuse(files["annotations"])


def sparse(path, dtype, shape, last=None):
    """An npy file with holes: of any size, and none of it on the disk."""
    with open(path, "wb") as stream:
        content = {"descr": dtype, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(stream, content)
        size = stream.tell() + int(np.prod(shape, dtype=object)) * np.dtype(dtype).itemsize
        stream.truncate(size)
        if last is not None:
            stream.seek(size - np.dtype(dtype).itemsize)
            stream.write(np.array(last, dtype).tobytes())


def test_stores_with_holes_are_refused(tmp_path):
    (clip,) = named(imigue_clips(1, frames=3), "c{}")
    most = 1 << 36
    for place, field in enumerate(("points", "ids", "clips")):
        store = tmp_path / field
        write_store(store, [clip], {})
        head = read_json(store / "store.json")
        if field == "points":
            sparse(store / "points.npy", "<f4", (most, 2))
            sparse(store / "scores.npy", "<f4", (most,))
            sparse(store / "offsets.npy", "<i8", (2,), most)
            np.save(store / "sizes.npy", np.array([[1, most, 1]]))
        elif field == "ids":
            sparse(store / "ids.npy", "|u1", (most,))
            sparse(store / "id_offsets.npy", "<i8", (2,), most)
        counts = {"points": most} if field == "points" else {"clips": 10**9} if field == "clips" else {}
        (store / "store.json").write_text(json.dumps({**head, **counts}))
        message = (f"at most {1 << 26} points", "at most 4096 bytes", f"at most {10**8}")[place]
        with pytest.raises(InputError, match=f"{message}|the others are a hole in the file"):
            KeypointStore(store)


def test_a_kit_with_holes_is_refused(files):
    files["arrays of a kit"].path.unlink()
    sparse(files["arrays of a kit"].path, "<f4", (2, 3, 1 << 30, 22, 1))
    assert "the others are a hole in the file" in refuse(files["arrays of a kit"])
    np.save(files["arrays of a kit"].path, np.zeros((1, 3, 100_001, 22, 1), "<f4"))
    assert "at most 100000 frames" in refuse(files["arrays of a kit"])


def test_values_are_shown_in_a_few_characters():
    for value in (
        10**5000,
        -(10**5000),
        "a" * 10**6,
        b"a" * 10**6,
        [[["a"] * 99] * 99] * 99,
        np.zeros(10**6),
        {"a" * 10**5: 1},
        object(),
    ):
        assert len(shown(value)) < 700
    assert [shown(value) for value in (1, "a", None, 1.5, True, (1, "b"))] == [
        "1",
        "'a'",
        "None",
        "1.5",
        "True",
        "(1, 'b')",
    ]
