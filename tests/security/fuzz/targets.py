"""What is fuzzed: every reader with a small file, mutations that know its format, and the rules that it must keep."""

import functools
import json
import pickle
import random
import re
import shutil
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fuzz import mutators
from fuzz.mutators import Mutation
from helpers.hostile_files import BOMBS, REFUSED_PICKLES, archives, command_pickles
from helpers.raw_formats import imigue_clips, smg_clips, write_imigue_raw, write_smg_raw
from helpers.reader_files import make_files
from pyskl_semloss.annotations import AnnotationSet, Clip
from pyskl_semloss.datasets import IMIGUE, SMG, convert_raw
from pyskl_semloss.datasets.findings import Findings
from pyskl_semloss.datasets.raw import read_part, write_part
from pyskl_semloss.report.inputs import find_history
from pyskl_semloss.sweep.table import best_so_far, collect, csv_text, markdown, rows

MOST_SEED = 10_000
"""Bytes of a file to begin with; larger ones make a fuzzer slow."""
_JSON = mutators.text(
    *'{ } [ ] [[[[[[[[[[[[[[[[ : , "a" "train" null true NaN Infinity "\\ud800" "iter" "epoch" "step"'.split(),
    *'"version" "name" "joints" "limbs" "mirror_pairs" "limb_mirror_pairs" "rest_pose" "mistakes" [0,1]'.split(),
)
_TABLE = mutators.text(",", "\n", "\r\n", ";", '"', "x", "1,2,3\n", "99,0,1", "\ufeff")
_LIST = mutators.text("\n", "\r", ",", '"', "a", "\u2028", "\x1b", "\u202e", "\ufeff", "\x00", "=1")
_CONFIG = mutators.text(
    *"dict( ) [ ] { } : , = - ** parts scores weight search_on ann_file split softmax True None 1j lambda:0".split(),
    *("'a.npz'", "'v'", "b'a'", "f'{1}'", "\n"),
)
_ELAN = mutators.text(
    *"< > & ; / ' = t1 t2 t3 a1 a2 a3 -1 1e9 <a> </a> <!-- <![CDATA[ ]]> &#0; &#x202e; FORMAT PARENT_REF".split(),
    *('PREVIOUS_ANNOTATION="a1"', 'LANG_REF="und"', 'PARTICIPANT="person 1"', "<!DOCTYPE a [", "<!ENTITY b 'c'>", '"'),
)
_VECTORS = mutators.text("a", "b", " ", "\t", "\n", "2 3\n", "0.1", "\x00")
_NPZ, _CHECKPOINT = mutators.archive(mutators.npy), mutators.archive(mutators.checkpoint_member, zipfile.ZIP_STORED)


class Target(NamedTuple):
    """A reader, the file that it reads, what to begin with, and how to change it."""

    name: str
    path: Path
    read: Callable[[], object]
    seeds: list[bytes]
    mutate: Mutation


def small_set() -> AnnotationSet:
    """Three clips of three joints, one of them zero, one without a label."""
    points = np.arange(24, dtype="f4").reshape(2, 2, 3, 2)
    clips = [
        Clip("a", 0, (30, 40), (30, 40), points[:1], points[:1, ..., 0] / 24),
        Clip("b \u03b1", 3, (30, 41), (60, 82), points[:, :1] * 0, points[:, :1, :, 0] * 0),
        Clip("c", -1, (20, 20), (20, 20), points, points[..., 1] / 24),
    ]
    return AnnotationSet({"train": ["c", "a"], "test": ["b \u03b1"]}, clips)


def make_targets(folder: Path) -> dict[str, Target]:
    """Name -> target; the files lie in the folder, each valid."""
    files = make_files(folder / "files", small_set())
    readers = {name: (reader.path, reader.read) for name, reader in files.items()}
    readers |= _raw_readers(folder) | _own_files(folder)
    files["skeletons"].path.write_text(_row(IMIGUE.columns) * files["skeletons"].path.read_bytes().count(b"\n"))
    parts = Path(f"{folder}/files/out.pkl.parts")
    made = {}
    for name, (path, read) in readers.items():
        key = re.sub(r"[^a-z0-9]+", "-", name.lower())
        # What an interrupted conversion left would be taken for this one's.
        read = functools.partial(_without, parts, read) if name in ("skeletons", "labels") else read
        made[key] = Target(key, path, read, *_start(name, path, folder))
    return made


def _row(columns: int) -> str:
    """A row of short numbers, of which every third, a score in iMiGUE, is 1."""
    return ",".join(str(1 if number % 3 == 0 else number % 9 + 1) for number in range(columns)) + "\n"


def _without(left: Path, read: Callable[[], object]) -> object:
    shutil.rmtree(left, ignore_errors=True)
    return read()


def _start(name: str, path: Path, folder: Path) -> tuple[list[bytes], Mutation]:
    """Files to begin with and the mutation of a format, which the name and the ending tell."""
    data = path.read_bytes()
    if path.suffix in (".pkl", ".kv") or name == "old checkpoint":
        attacks = {**command_pickles("canary"), **REFUSED_PICKLES, **BOMBS}
        seeds = [data, *_protocols(name, path), *(one for one in attacks.values() if len(one) < 2000)]
        return seeds, mutators.pickled
    if path.suffix in (".npz", ".pth"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # members of one name
            hostile = [one for one in archives().values() if len(one) < 2000]
        mutate = _CHECKPOINT if path.suffix == ".pth" else _NPZ
        return [data, *(mutate(data, random.Random(n)) or b"" for n in range(8)), *hostile], mutate
    if path.suffix == ".npy":
        return [data], mutators.npy
    by_suffix = {".json": _JSON, ".gz": mutators.zipped_text, ".py": _CONFIG, ".csv": _TABLE, ".eaf": _ELAN}
    vectors = _VECTORS if name in ("GloVe", "word2vec") else _LIST
    return [data], by_suffix.get(path.suffix, vectors)


def _protocols(name: str, path: Path) -> list[bytes]:
    if not name.startswith(("annotations", "labels of a kit", "PySKL")):
        return []
    content = pickle.loads(path.read_bytes())
    return [pickle.dumps(content, protocol) for protocol in (0, 2, 5)]


def _raw_readers(folder: Path) -> dict[str, tuple[Path, Callable[[], object]]]:
    """Skeletons and labels where defects are mended, not refused, for both data sets; in the columns, short numbers."""
    readers = {}
    for raw, write, clips, end in (
        (IMIGUE, write_imigue_raw, imigue_clips, "0001_light_hand.csv"),
        (SMG, write_smg_raw, smg_clips, "Sample0001_skeleton.csv"),
    ):
        video, source = end.partition("_")[0], folder / raw.name
        write(source, {video: clips(1, frames=3)})
        path = source / video / end
        path.write_text(_row(raw.columns) * 3)
        labels = path.with_name(end.replace("_light_hand", "_label").replace("_skeleton", "_finelabels"))
        labels.write_text("1,0,2\n")
        read = functools.partial(_mended, raw, source, folder / f"{raw.name}.pkl")
        readers |= {f"mended skeletons of {raw.name}": (path, read), f"mended labels of {raw.name}": (labels, read)}
    return readers


def _mended(raw: object, source: Path, out: Path) -> object:
    return _without(Path(f"{out}.parts"), functools.partial(convert_raw, raw, source, out))


def _own_files(folder: Path) -> dict[str, tuple[Path, Callable[[], object]]]:
    """What our own tools and the host leave for later."""
    part, log = folder / "part.npz", folder / "run" / "1" / "vis_data" / "scalars.json"
    write_part(part, "key", small_set().clips[:1], Findings())
    log.parent.mkdir(parents=True)
    lines = [{"loss": 1.5, "iter": 2, "epoch": 1}, {"acc/top1": 0.5, "step": 1}, {"lr": 0.1}]
    log.write_text("".join(json.dumps(row) + "\n" for row in lines))
    done = folder / "sweep" / "run" / "done.json"
    done.parent.mkdir(parents=True)
    metrics = {"top1": 0.5, "top5": 1.0, "mean_class": 0.25}
    done.write_text(json.dumps({"model": "joint", "vectors": "given", "alpha": 20, "seed": 0, "metrics": metrics}))
    return {
        "result of a sweep": (done, lambda: _table(done.parents[1])),
        "part of a conversion": (part, lambda: read_part(part, "key")),
        "log of a training": (log, lambda: find_history(folder / "run" / "scores.npz")),
    }


def _table(out: Path) -> str:
    results = collect(out)
    return markdown(rows(results)) + csv_text(rows(results)) + (best_so_far(out) if results else "")
