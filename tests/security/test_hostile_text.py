"""Text of every wrong shape: CSV, JSON, lists, configs, word vectors, ids in submissions, names that are paths."""

import gzip
import json
import os

import numpy as np
import pytest

from helpers.raw_formats import imigue_clips, write_imigue_raw
from pyskl_semloss.annotations import read_annotations
from pyskl_semloss.datasets import IMIGUE, convert_raw, raw
from pyskl_semloss.datasets.raw import read_part
from pyskl_semloss.io.reading import TEXT_LIMIT
from test_hostile_files import refuse

NO_JSON = {
    "deep": b"[" * 200_000,
    "deep object": b'{"a":' * 200_000,
    "a huge number": b'{"train": ' + b"9" * 10_000 + b"}",
    "NaN": b'{"train": NaN, "joints": NaN}',
    "Infinity": b'{"train": Infinity}',
    "-Infinity": b"-Infinity",
    "NUL": b'{"train": ["a\0"]}',
    "an escaped NUL in a key only": b'{"\\u0000": 1}',
    "not UTF-8": b'{"train": ["\xff"]}',
    "UTF-16": '{"train": ["a"]}'.encode("utf-16"),
    "cut off": b'{"train": ["a"',
    "two": b"{}{}",
    "a list": b'["train"]',
    "a text": b'"train"',
    "a number": b"1e999",
    "null": b"null",
    "of other types": b'{"train": {"a": 1}, "name": 3, "joints": 4, "limbs": "a", "mirror_pairs": null, "format": []}',
    "a list of lists": b'{"train": [["a"]], "joints": [[1]]}',
    "code": b'__import__("os").mkdir("canary")',
}


@pytest.mark.parametrize("kind", NO_JSON)
def test_json_of_a_wrong_shape(files, kind, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("store: store.json", "lists of splits", "layout"):
        files[name].path.write_bytes(NO_JSON[kind])
        refuse(files[name])
    assert not (tmp_path / "canary").exists()


def test_a_byte_order_mark_is_no_error(files):
    for name in ("store: store.json", "lists of splits", "layout", "class names", "official ids", "fusion config"):
        files[name].path.write_bytes(b"\xef\xbb\xbf" + files[name].path.read_bytes())
        files[name].read()


LAYOUT = {"name": "mine", "joints": ["a", "b"], "limbs": [[0, 1]], "mirror_pairs": [[0, 1]]}


@pytest.mark.parametrize(
    ("field", "value"), [("rest_pose", [[10**400, 0], [0, 0]]), ("limbs", [[0, 10**400]]), ("joints", {})], ids=ascii
)
def test_a_layout_of_wrong_values(files, field, value):
    files["layout"].path.write_text(json.dumps({**LAYOUT, field: value}))
    refuse(files["layout"])


TABLES = {
    "column titles alone": b"x,y,score\n",
    "one column": b"1\n2\n3\n",
    "bars": b"1|2|3\n4|5|6\n",
    "text": b"hello\nworld\n",
    "NUL": b"\0" * 1000,
    "quotes": b'"1","2\n3"\n',
    "UTF-16": "1,2,3\n".encode("utf-16"),
    "markup": b"<html><body>404</body></html>",
    "many frames": b"1" + b"\n" * 600_000 + b"1" + b",1" * 105,
    "many columns": b"1" + b",1" * 500_000,
    "commas": b"," * 500_000,
}


@pytest.mark.parametrize("kind", TABLES)
@pytest.mark.parametrize("name", ["skeletons", "labels"])
def test_tables_of_a_wrong_shape(files, name, kind):
    files[name].path.write_bytes(TABLES[kind])
    refuse(files[name])


@pytest.mark.parametrize(
    "row",
    ["1e308,0,1", "1,-1e308,1e308", "nan,0,1", "1,inf,2", "1,0", "1,0,1,2", "99999,0,1", "1,3,0", "1,90,95", "-1,0,1"],
)
def test_rows_of_labels_that_are_wrong(files, row):
    files["labels"].path.write_text(f"{row}\n")
    refuse(files["labels"])


def test_numbers_that_are_no_places_are_missing_points(tmp_path):
    write_imigue_raw(tmp_path / "raw", {"0001": imigue_clips(1, frames=3)})
    path = tmp_path / "raw" / "0001" / "0001_light_hand.csv"
    rows = path.read_text().splitlines()
    huge = ",".join(["1e308", "1e999", "nan", "-inf", "1" * 500] * 21 + ["0"])
    path.write_text("\n".join([huge, *rows[1:]]))
    convert_raw(IMIGUE, tmp_path / "raw", tmp_path / "a.pkl")
    (clip,) = read_annotations(tmp_path / "a.pkl")[0].clips
    assert np.isfinite(clip.keypoint).all() and not clip.keypoint[0, 0].any()


def test_labels_cannot_multiply_the_frames_of_a_video(files, monkeypatch):
    """Each row of a label file may name every frame: a megabyte of them would make terabytes of clips."""
    assert raw.MOST_CLIP_FRAMES == 10**6
    monkeypatch.setattr(raw, "MOST_CLIP_FRAMES", 100)
    files["labels"].path.write_text("1,0,7\n" * 13)
    assert "104 frames in all, more than the 100 of one video" in refuse(files["labels"])


def test_links_in_a_data_set_do_not_go_round_for_ever(tmp_path):
    write_imigue_raw(tmp_path / "raw", {"0001": imigue_clips(1, frames=3), "0002": imigue_clips(1, frames=3)})
    for folder in ("0001", "0002"):
        for name in ("a", "b", "c"):
            (tmp_path / "raw" / folder / name).symlink_to(tmp_path / "raw")
    summary = convert_raw(IMIGUE, tmp_path / "raw", tmp_path / "a.pkl")
    assert summary["clips"] == 2


def test_a_part_that_is_no_file_is_made_anew(tmp_path):
    os.mkfifo(tmp_path / "pipe.npz")
    (tmp_path / "folder.npz").mkdir()
    (tmp_path / "text.npz").write_bytes(b"PK\x03\x04")
    for name in ("pipe", "folder", "text"):
        assert read_part(tmp_path / f"{name}.npz", "key") is None


NO_LIST = {
    "NUL": b"one\0\ntwo\n",
    "not UTF-8": b"one\n\xff\xfe\n",
    "UTF-16": "one\ntwo\n".encode("utf-16"),
    "too long": b"a\n" * (TEXT_LIMIT // 2 + 1),
    "nothing": b"\n\n \n",
}


@pytest.mark.parametrize("kind", NO_LIST)
def test_lists_of_a_wrong_shape(files, kind):
    for name in (
        "class names",
        "class names of a picture",
        "official ids",
        "list of a split",
        "subjects",
        "fusion config",
    ):
        files[name].path.write_bytes(NO_LIST[kind])
        refuse(files[name])


@pytest.mark.parametrize("text", ["a\n", "a,b,c\n", "a,\n", ",b\n", "a,b\na,c\n", "a;b;c\n"])
def test_subjects_of_a_wrong_shape(files, text):
    files["subjects"].path.write_text(text)
    refuse(files["subjects"])


@pytest.mark.parametrize("text", ['"a\n', "a\n,b\n", "a\na\n", '"' + "a" * 200_000 + '"\n'])
def test_official_ids_of_a_wrong_shape(files, text):
    files["official ids"].path.write_text(text)
    refuse(files["official ids"])


CODE = [
    "import os\nos.mkdir('canary')",
    "parts = __import__('os').mkdir('canary')",
    "parts = dict(a=[x for x in ().__class__.__base__.__subclasses__()])",
    "parts = dict(**dict(a=1))",
    "parts = (lambda: 1)()",
    'parts = f\'{open("canary", "w")}\'',
    "parts = (a := 1)",
    "parts, out = 1, 2",
    "parts.__class__ = 1",
    "exec('1')",
    "parts = " + "[" * 150 + "]" * 150,
    "parts = " + "-" * 50_000 + "1",
    "parts = " + "(" * 5000,
    "parts = dict(a=dict(scores='a.npz', weight=1" + "0" * 400 + "))",
    "parts = dict(a=dict(scores='a.npz', weight=1e400))",
    "parts = dict(a=dict(scores='a.npz', weight=" + "9" * 5000 + "))",
    "parts = dict(a=dict(scores=1, weight=2))",
    "parts = dict(a=1)",
    "parts = 'a' * 10**9",
    "parts = 2 ** 10000000000",
    "\f\x1a",
    "while True:\n pass",
]


@pytest.mark.parametrize("number", range(len(CODE)))
def test_fusion_configs_are_never_run(files, number, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    files["fusion config"].path.write_text(CODE[number])
    refuse(files["fusion config"])
    assert not (tmp_path / "canary").exists()


VECTORS = {
    "a dimension of 10**11": b"1 99999999999\na \xff\xff" + bytes(1000),
    "a dimension of 10**11, zipped": gzip.compress(b"1 99999999999\na " + b"\xff" * 20_000_000, 1),
    "a word without an end": b"2 3\n" + b"\xff" * 3_000_000,
    "a line without an end": b"a 0.1 0.2\n" + b"1" * 3_000_000,
    "ragged": b"a 0.1 0.2\nb 0.1\n",
    "NaN": b"a nan 0.2\nb 1 2\n",
    "beyond float32": b"a 1e300 0.2\nb 1 2\n",
    "NUL": b"a 0.1 0.2\n\0 0.1 0.2\nb 0.1 x\n",
    "two gzips, the second cut": gzip.compress(b"a 0.1 0.2\n") + gzip.compress(b"c 0.1 0.2\n" * 99)[:-9],
    "a zip": b"PK\x03\x04",
    "no words": b"5 3\n",
}


@pytest.mark.parametrize("kind", VECTORS)
def test_word_vectors_of_a_wrong_shape(files, kind):
    files["GloVe"].path.write_bytes(VECTORS[kind])
    refuse(files["GloVe"])
