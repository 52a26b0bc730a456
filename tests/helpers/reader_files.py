"""A small valid file of every format that a tool of ours reads, each with the function that reads it."""

import contextlib
import functools
import gzip
import importlib
import json
import os
import pickle
import shutil
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import torch

from helpers.own_keypoint_files import body, mmpose_frame, write_csv, write_mmpose, write_openpose
from helpers.raw_formats import imigue_clips, named, write_imigue_raw, write_kit
from helpers.small_sets import hard_set
from pyskl_semloss.annotations import read_annotations, write_annotations
from pyskl_semloss.annotations.store import HEAD, LAYOUT, KeypointStore
from pyskl_semloss.annotations.store_writer import pickle_to_store
from pyskl_semloss.datasets import IMIGUE, convert_kit, convert_raw, read_split_files, read_subjects
from pyskl_semloss.datasets.findings import Findings
from pyskl_semloss.datasets.formats import read_format
from pyskl_semloss.datasets.label_tables import read_label_table
from pyskl_semloss.evaluation.fusion_config import plan_from_config
from pyskl_semloss.evaluation.scores import Scores, read_scores
from pyskl_semloss.evaluation.submission import read_ids
from pyskl_semloss.evaluation.toolbox_results import read_clip_labels
from pyskl_semloss.hosts.checkpoints import read_state_dict
from pyskl_semloss.recordings.assembly import RecordingOptions, make_recording
from pyskl_semloss.recordings.keypoint_files import read_keypoints
from pyskl_semloss.segments.files import read_segments
from pyskl_semloss.semantic.class_names import read_class_names
from pyskl_semloss.semantic.label_vectors import LabelVectors, load_matrix
from pyskl_semloss.semantic.sentence_vectors import read_descriptions
from pyskl_semloss.semantic.word_vectors import find_word_vectors
from pyskl_semloss.skeletons import get_layout
from pyskl_semloss.sweep.plan import read_settings

KEYED_VECTORS = b"\x80\x02cgensim.models.keyedvectors\nKeyedVectors\n)\x81"

FORMAT = """name: Mine
skeleton_suffix: _a.csv
label_suffix: _b.csv
layout: {name: arms, joints: [a, b], limbs: [[a, b]], mirror_pairs: [[a, b]]}
columns: 6
values: [x, y, score]
num_classes: 2
img_shape: [720, 1280]
"""


class Reader(NamedTuple):
    """A file, and the function of the package that reads it."""

    path: Path
    read: object


def tool(name):
    """The module of a command."""
    return importlib.import_module(f"pyskl_semloss.cli.{name}")


def contents(files):
    """The bytes of the files, by path."""
    return {reader.path: reader.path.read_bytes() for reader in files.values()}


def restore(kept):
    """Write back what a test has changed, whatever it put in its place."""
    for path, data in kept.items():
        if (
            path.is_file()
            and not path.is_symlink()
            and os.stat(path).st_size == len(data)
            and path.read_bytes() == data
        ):
            continue
        remove(path)
        path.write_bytes(data)


def remove(path):
    """Remove a file, a folder, a link, or whatever is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def pickle_readers(files):
    """Those of the files that are read as pickles, also where whole they are none."""
    wanted = ("annotations", "annotations to a store", "annotations of results", "PySKL's results",
              "MMAction2's results", "labels of a kit", "gensim's vectors", "checkpoint", "old checkpoint")  # fmt: skip
    return {name: files[name] for name in wanted}


def make_files(folder, clips=None):
    """Name -> reader, for every format that a tool of ours reads; the files are small and valid."""
    folder.mkdir(parents=True, exist_ok=True)
    return (
        _annotation_files(folder, hard_set() if clips is None else clips)
        | _raw_files(folder)
        | _score_files(folder)
        | _vector_files(folder)
        | _texts(folder)
        | _own_keypoints(folder / "own")
        | _segments(folder)
    )


ELAN = """<ANNOTATION_DOCUMENT FORMAT="3.0"><HEADER TIME_UNITS="milliseconds"><MEDIA_DESCRIPTOR MEDIA_URL="file:///a.mp4"
MIME_TYPE="video/mp4" TIME_ORIGIN="5"/></HEADER><TIME_ORDER><TIME_SLOT TIME_SLOT_ID="t1" TIME_VALUE="10"/><TIME_SLOT
TIME_SLOT_ID="t2"/><TIME_SLOT TIME_SLOT_ID="t3" TIME_VALUE="30"/></TIME_ORDER><TIER TIER_ID="person 2"
LINGUISTIC_TYPE_REF="l"><ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a1" TIME_SLOT_REF1="t1" TIME_SLOT_REF2="t2"
CVE_REF="c"><ANNOTATION_VALUE/></ALIGNABLE_ANNOTATION></ANNOTATION><ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a2"
TIME_SLOT_REF1="t2" TIME_SLOT_REF2="t3"><ANNOTATION_VALUE>nod</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>
</TIER><TIER TIER_ID="person 2 confidence" LINGUISTIC_TYPE_REF="l" PARENT_REF="person 2"><ANNOTATION><REF_ANNOTATION
ANNOTATION_ID="a3" ANNOTATION_REF="a1"><ANNOTATION_VALUE>x</ANNOTATION_VALUE></REF_ANNOTATION></ANNOTATION></TIER>
<LINGUISTIC_TYPE LINGUISTIC_TYPE_ID="l" CONTROLLED_VOCABULARY_REF="v"/><CONTROLLED_VOCABULARY CV_ID="v"><CV_ENTRY_ML
CVE_ID="c"><CVE_VALUE LANG_REF="und">wave</CVE_VALUE></CV_ENTRY_ML></CONTROLLED_VOCABULARY></ANNOTATION_DOCUMENT>
"""


def _segments(folder):
    elan, table = folder / "talk.eaf", folder / "talk.csv"
    elan.write_text(ELAN)
    table.write_text("start,end,name,confidence,person\n1.0,2.5,nod,0.5,2\n3,4,wave,1,1\n")
    below = functools.partial(read_segments, elan, ["person 2 confidence"])
    return {
        "annotations of ELAN": Reader(elan, lambda: (read_segments(elan), below())),
        "table of segments": Reader(table, lambda: read_segments(table)),
    }


def _own_keypoints(folder):
    values, made = body("coco17", 3), RecordingOptions(image_shape=(1080, 1920), fps=25)
    talk = write_openpose(folder / "talk", {0: [body("openpose67", 1)[0]]})
    frame = talk / "talk_000000000000_keypoints.json"
    write_mmpose(folder / "demo.json", [[one] for one in values])
    write_mmpose(folder / "inferencer.json", [[one] for one in values], demo=False)
    (folder / "images").mkdir()
    image = folder / "images" / "000000.json"
    image.write_text(json.dumps(mmpose_frame(0, [values[0]])["instances"]))
    write_csv(folder / "own.csv", [(at, 0, one) for at, one in enumerate(values)], "coco17", person=True)
    np.savez(folder / "own.npz", keypoint=values[..., :2], keypoint_score=values[..., 2], layout="coco17")
    make_recording(read_keypoints(folder / "own.npz"), made)[0].save(folder / "recording.npz")
    (folder / "labels.csv").write_text("recording,start,end,label\nown,0,0.04,0\nown,0.04,0.1,1\n")
    (folder / "arms.yaml").write_text("name: arms\njoints: [a, b]\nlimbs: [[a, b]]\nmirror_pairs: [[a, b]]\n")

    def recorded(path, form, options=made):
        return make_recording(read_keypoints(path, form), options)

    path = {name: folder / name for name in ("demo.json", "inferencer.json", "own.csv", "own.npz", "recording.npz")}
    table = functools.partial(read_label_table, folder / "labels.csv", None, Findings(strict=True))
    return {
        "OpenPose's frame": Reader(frame, lambda: recorded(talk, "openpose")),
        "MMPose's demo": Reader(path["demo.json"], lambda: recorded(path["demo.json"], "mmpose")),
        "MMPose's inferencer": Reader(path["inferencer.json"], lambda: recorded(path["inferencer.json"], "mmpose")),
        "MMPose's image": Reader(image, lambda: recorded(folder / "images", "mmpose")),
        "own table": Reader(path["own.csv"], lambda: recorded(path["own.csv"], "csv")),
        "own archive": Reader(path["own.npz"], lambda: recorded(path["own.npz"], "npz")),
        "recording": Reader(path["recording.npz"], lambda: recorded(path["recording.npz"], "npz", RecordingOptions())),
        "own labels": Reader(folder / "labels.csv", table),
        "layout in YAML": Reader(folder / "arms.yaml", lambda: get_layout(folder / "arms.yaml")),
    }


def _annotation_files(folder, clips):
    path, other, store = folder / "set.pkl", folder / "tested.pkl", folder / "store"
    write_annotations(path, clips)
    write_annotations(other, clips)
    pickle_to_store(path, store)
    parts = [HEAD, *(f"{name}.npy" for name in LAYOUT)]
    opened = {f"store: {name}": Reader(store / name, lambda: KeypointStore(store).annotations()) for name in parts}
    return opened | {
        "annotations": Reader(path, lambda: read_annotations(path, unknown_labels=True)),
        "annotations to a store": Reader(path, lambda: pickle_to_store(path, folder / "new")),
        "annotations of results": Reader(other, lambda: read_clip_labels(other, "train")),
    }


def _raw_files(folder):
    raw, kit, out = folder / "raw", folder / "kit", folder / "out.pkl"
    clips = imigue_clips(2, frames=4)
    write_imigue_raw(raw, {"0001": clips})
    write_kit(kit, {"train": named(clips, "0001_{}")}, frames=4)
    converted = functools.partial(convert_raw, IMIGUE, raw, out, strict=True)
    packed = functools.partial(convert_kit, IMIGUE, kit, out, strict=True)
    return {
        "skeletons": Reader(raw / "0001" / "0001_light_hand.csv", converted),
        "labels": Reader(raw / "0001" / "0001_label.csv", converted),
        "arrays of a kit": Reader(kit / "train_data.npy", packed),
        "labels of a kit": Reader(kit / "train_label.pkl", packed),
    }


def _score_files(folder):
    ann_file, scores, theirs, dump = (folder / name for name in ("tested.pkl", "s.npz", "result.pkl", "dump.pkl"))
    ids, labels = read_clip_labels(ann_file, "train")
    table = np.full((len(ids), 5), 0.2, "f4")
    Scores(np.array(ids), table, np.array(labels), class_names=tuple("abcde")).save(scores)
    theirs.write_bytes(pickle.dumps(list(table)))
    listed, tabled, order = (folder / name for name in ("prediction.json", "scores.csv", "tested.txt"))
    listed.write_text(json.dumps(table.tolist()))
    order.write_text("".join(f"{name},{label}\n" for name, label in zip(ids, labels, strict=True)))
    rows = (f"{name},{label}" + ",0.2" * 5 for name, label in zip(ids, labels, strict=True))
    tabled.write_text("\n".join(["id,label,a,b,c,d,e", *rows]))
    dump.write_bytes(pickle.dumps([
        {"pred_score": torch.from_numpy(row.copy()), "gt_label": torch.tensor([label]), "frame_dir": name}
        for row, label, name in zip(table, labels, ids, strict=True)
    ]))  # fmt: skip
    weights = {"backbone.weight": torch.arange(12.0).reshape(3, 4), "head.bias": torch.zeros(3)}
    for name, zipped in (("new.pth", True), ("old.pth", False)):
        content = {"state_dict": weights, "meta": {"epoch": 1, "best": np.float64(0.5)}}
        torch.save(content, folder / name, _use_new_zipfile_serialization=zipped)
    return {
        "scores": Reader(scores, lambda: read_scores(scores)),
        "PySKL's results": Reader(theirs, lambda: read_scores(theirs, ann_file, "train")),
        "MMAction2's results": Reader(dump, lambda: read_scores(dump)),
        "list of scores": Reader(listed, lambda: read_scores(listed, order)),
        "order of scores": Reader(order, lambda: read_scores(listed, order)),
        "table of scores": Reader(tabled, lambda: read_scores(tabled)),
        "checkpoint": Reader(folder / "new.pth", lambda: read_state_dict(folder / "new.pth")),
        "old checkpoint": Reader(folder / "old.pth", lambda: read_state_dict(folder / "old.pth")),
    }


def _vector_files(folder):
    text = "a 0.1 0.2 0.3\nb 0.4 0.5 0.6\nc 0.7 0.8 0.9\n"
    numbers = np.arange(1, 7, dtype="<f4").reshape(2, 3)
    binary = b"2 3\n" + b"".join(
        word + b" " + row.tobytes() + b"\n" for word, row in zip((b"a", b"b"), numbers, strict=True)
    )
    state = {"key_to_index": {"a": 0, "b": 1}, "vector_size": 3}
    contents = {
        "v.txt": text.encode(), "v.gz": gzip.compress(text.encode()), "v.bin": binary,
        "v.kv": KEYED_VECTORS + pickle.dumps({**state, "vectors": numbers}, 2)[2:-1] + b"b.",
        "large.kv": KEYED_VECTORS + pickle.dumps(state, 2)[2:-1] + b"b.",
    }  # fmt: skip
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    np.save(folder / "large.kv.vectors.npy", numbers)
    np.save(folder / "m.npy", numbers)
    LabelVectors(("one", "two"), numbers, (("a",), ("b",)), "v.txt", "0", {"oov": "error"}).save(folder / "v.npz")
    names = {"GloVe": "v.txt", "gzipped vectors": "v.gz", "word2vec": "v.bin", "gensim's vectors": "v.kv"}
    read = {key: Reader(folder / name, lambda name=name: find_word_vectors(["a", "b"], folder / name))
            for key, name in names.items()}  # fmt: skip
    large = Reader(folder / "large.kv.vectors.npy", lambda: find_word_vectors(["a"], folder / "large.kv"))
    return read | {
        "gensim's second file": large,
        "label vectors": Reader(folder / "v.npz", lambda: LabelVectors.load(folder / "v.npz")),
        "matrix": Reader(folder / "m.npy", lambda: load_matrix(folder / "m.npy", 2)),
    }


def _texts(folder):
    layout = {"name": "mine", "joints": ["a", "b"], "limbs": [[0, 1]], "mirror_pairs": [[0, 1]]}
    texts = {
        "names.txt": "one\ntwo\n", "ids.csv": "id,other\na,1\nb,2\n", "list.txt": "a\nb\n", "people.csv": "v,s\nw,t\n",
        "lists.json": json.dumps({"train": ["a"], "test": ["b"]}), "layout.json": json.dumps(layout),
        "format.yaml": FORMAT, "descriptions.csv": "class,sentence\none,a hand\ntwo,a head\n",
        "settings.yaml": "none: {vectors: baseline}\nours:\n  alpha: 20\n  transform: [centred]\n  options: {a.b: 1}\n",
        "fusion.py": "parts = dict(joint=dict(scores='s.npz', weight=2))\n",
    }  # fmt: skip
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    path = {name: folder / name for name in texts}
    return {
        "class names": Reader(path["names.txt"], lambda: read_class_names(path["names.txt"])),
        "class names of a picture": Reader(
            path["names.txt"],
            lambda: tool("animate_clip")._title(SimpleNamespace(label=0, frame_dir="a"), path["names.txt"]),
        ),
        "official ids": Reader(path["ids.csv"], lambda: read_ids(path["ids.csv"])),
        "fusion config": Reader(path["fusion.py"], lambda: plan_from_config(path["fusion.py"])),
        "list of a split": Reader(path["list.txt"], lambda: read_split_files([f"train={path['list.txt']}"])),
        "lists of splits": Reader(path["lists.json"], lambda: read_split_files([str(path["lists.json"])])),
        "subjects": Reader(path["people.csv"], lambda: read_subjects(path["people.csv"])),
        "layout": Reader(path["layout.json"], lambda: get_layout(path["layout.json"])),
        "descriptions": Reader(
            path["descriptions.csv"], lambda: read_descriptions(path["descriptions.csv"], ["one", "two"])
        ),
        "settings of a sweep": Reader(path["settings.yaml"], lambda: read_settings(path["settings.yaml"])),
        "raw data set": Reader(path["format.yaml"], lambda: read_format(path["format.yaml"])),
    }


@contextlib.contextmanager
def time_limit(seconds):
    """An alarm, where a reader would wait for ever."""

    def ring(*_):
        raise TimeoutError(f"not done after {seconds} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
