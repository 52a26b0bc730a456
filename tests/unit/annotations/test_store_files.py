"""Keypoint stores as files: cut off or changed ones are refused by name, writing is whole or not at all."""

import copy
import json
import os
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest

from helpers.small_sets import hard_set
from pyskl_semloss.annotations import Clip, write_annotations
from pyskl_semloss.annotations.dataset_clips import dataset_clips
from pyskl_semloss.annotations.store import LAYOUT, KeypointStore
from pyskl_semloss.annotations.store_writer import pickle_to_store, store_to_pickle, write_store
from pyskl_semloss.errors import InputError

PLAIN = dict(layout=None, num_classes=None, test_mode=True, off_image="keep", binary_score=False, strict=False)


@pytest.fixture
def both(tmp_path):
    write_annotations(tmp_path / "set.pkl", hard_set())
    pickle_to_store(tmp_path / "set.pkl", tmp_path / "store")
    return tmp_path / "set.pkl", tmp_path / "store"


def edit(name, change):
    def damage(store):
        array = np.load(store / f"{name}.npy").copy()
        result = change(array)
        np.save(store / f"{name}.npy", array if result is None else result)

    return name, damage


def put(index, value):
    return lambda array: array.__setitem__(index, value)


def in_head(**changes):
    def damage(store):
        head = json.loads((store / "store.json").read_text())
        (store / "store.json").write_text(json.dumps({**head, **changes}))

    return "store.json", damage


def cut(name, length):
    return name, lambda store: os.truncate(store / f"{name}.npy", length)


def swap_first_two(array):
    array[[0, 1]] = array[[1, 0]]


DAMAGE = [
    *(cut(name, 200 if name != "flags" else 130) for name in LAYOUT),
    cut("points", 60),
    cut("labels", 0),
    *((name, lambda store, name=name: (store / f"{name}.npy").unlink()) for name in ("points", "ids", "flags")),
    ("points", lambda store: (store / "points.npy").open("ab").write(b"more")),
    ("labels", lambda store: np.save(store / "labels.npy", np.array([{}] * 13), allow_pickle=True)),
    ("labels", lambda store: (store / "labels.npy").write_bytes(pickle.dumps([0] * 13))),
    ("points", lambda store: (store / "points.npy").write_bytes((store / "scores.npy").read_bytes())),
    edit("labels", lambda array: array.astype(">i8")),
    edit("labels", lambda array: array.astype("i4")),
    edit("labels", lambda array: array[:-1]),
    edit("labels", put(3, -2)),
    edit("sizes", np.asfortranarray),
    edit("sizes", put((2, 1), 0)),
    edit("sizes", put((2, 0), 1 << 40)),
    edit("sizes", put(2, (3, 0x5555555555555557, 17))),  # 5 x 17, modulo 2 ** 64
    edit("sizes", put((2, 1), 1)),
    edit("sizes", put(0, (1, 17, 3))),
    edit("offsets", put(0, 1)),
    edit("offsets", put(-1, 1 << 60)),
    edit("offsets", put(4, -5)),
    edit("offsets", put(4, 1 << 60)),
    edit("id_offsets", lambda array: put(4, array[3])(array)),
    edit("id_offsets", put(4, 1 << 60)),
    edit("ids", put(0, 0xFF)),
    edit("id_offsets", lambda array: put(2, array[2] - 1)(array)),
    edit("image_sizes", put((1, 2), 0)),
    edit("flags", put(0, 8)),
    edit("split_clips", put(0, 13)),
    edit("split_clips", put(0, -1)),
    in_head(version=2),
    in_head(version=None),
    in_head(format="other"),
    in_head(splits=["train"]),
    in_head(splits={"train": -1}),
    in_head(splits={"train": 10.5}),
    in_head(mended_splits=3),
    in_head(clips=0),
    in_head(clips=True),
    in_head(points=None),
    ("store.json", lambda store: (store / "store.json").write_text("[" * 100_000)),
    ("store.json", lambda store: (store / "store.json").write_bytes(b"\xff")),
    ("store.json", lambda store: (store / "store.json").unlink()),
    ("store.json", lambda store: shutil.rmtree(store)),
]


@pytest.mark.parametrize(("name", "damage"), DAMAGE, ids=[f"{row[0]}{i}" for i, row in enumerate(DAMAGE)])
def test_damaged_stores_are_refused_by_file(both, name, damage):
    damage(both[1])
    # An id that ends amid a character is told by the ids; a size that does not fit its offset, by the sizes.
    names = {"id_offsets": ("id_offsets", "ids"), "offsets": ("offsets", "sizes")}.get(name, (name,))
    with pytest.raises(InputError) as error:
        KeypointStore(both[1])
    assert Path(str(error.value.file)).stem in [Path(one).stem for one in names]


@pytest.mark.parametrize("change", [dict(clips=12), dict(points=12), dict(splits={"train": 3})])
def test_a_head_of_another_store_is_refused(both, change):
    in_head(**change)[1](both[1])
    with pytest.raises(InputError, match="as store.json says"):
        KeypointStore(both[1])


def test_what_changes_after_opening_is_refused_when_it_is_read(both):
    clips = dataset_clips(str(both[1]), split="train", **PLAIN)
    values = np.load(both[1] / "points.npy", mmap_mode="r+")
    values[:] = np.nan
    with pytest.raises(InputError, match="damaged.*anew") as error:
        clips[0]
    assert error.value.clip == clips.info(0)["frame_dir"]
    with pytest.raises(InputError, match="finite"):
        store_to_pickle(both[1], both[1] / "x.pkl")
    os.truncate(both[1] / "points.npy", 200)
    with pytest.raises(InputError, match="points.npy.*cut off"):
        clips[0]


def test_writing_is_whole_or_not_at_all(tmp_path):
    clips, out = hard_set().clips, tmp_path / "new" / "store"
    absurd = copy.deepcopy(clips[0])
    absurd.keypoint[0, 0, 0] = 1e6
    fewer = Clip("b", 0, (9, 9), (9, 9), np.ones((1, 2, 3, 2), "f4"), np.ones((1, 2, 3), "f4"))
    surrogate = Clip("\ud800", 0, (99, 99), (99, 99), clips[0].keypoint, clips[0].keypoint_score)
    for wrong, splits, reason in (
        ([clips[0], clips[0]], {}, "two clips"),
        ([clips[0], fewer], {}, "3 joints"),
        ([clips[0], absurd], {}, "two clips"),
        ([absurd], {}, "far outside"),
        ([surrogate], {}, "cannot be stored"),
        ([], {}, "no clip"),
        (clips, {"a": ["gone"]}, "no clip.*gone"),
        (clips, {"a": [clips[0].frame_dir] * 2}, "twice"),
    ):
        with pytest.raises(InputError, match=f"store.*{reason}"):
            write_store(out, iter(wrong), splits)
        assert list(out.parent.iterdir()) == []
    write_store(out, iter(clips), {"a": [clips[1].frame_dir]})
    assert [path.name for path in out.parent.iterdir()] == ["store"]
    opened = KeypointStore(out)
    with pytest.raises(RuntimeError):
        write_store(out, (clip if number else exec("raise RuntimeError") for number, clip in enumerate(clips)), {})
    assert len(KeypointStore(out)) == 13
    write_store(out, iter(clips[:4]), {})
    assert len(KeypointStore(out)) == 4 and [path.name for path in out.parent.iterdir()] == ["store"]
    np.testing.assert_array_equal(opened.entry(9)["keypoint"], clips[9].keypoint)
    assert (out.stat().st_mode & 0o777) == (out.parent.stat().st_mode & 0o777)


def test_nothing_but_a_store_is_replaced(tmp_path):
    clips = hard_set().clips[:2]
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "thing").write_text("mine")
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "behind")
    for name in ("file", "folder"):
        with pytest.raises(InputError, match="no keypoint store"):
            write_store(tmp_path / name, clips, {})
    assert (tmp_path / "file").read_text() == (tmp_path / "folder" / "thing").read_text() == "mine"
    for name in ("empty", "link", "link"):
        write_store(tmp_path / name, clips, {})
        assert len(KeypointStore(tmp_path / name)) == 2
    assert (tmp_path / "link").is_symlink() and (tmp_path / "behind").is_dir()


@pytest.mark.parametrize("length", [0, 100, 200])
def test_an_index_that_is_cut_short_while_the_store_is_open_harms_nobody(both, length):
    """Mapped, it ended the process, and the workers of a loader, by SIGBUS."""
    store, clips = KeypointStore(both[1]), hard_set().clips
    entries = [store.entry(number) for number in range(len(store))]
    for name in LAYOUT:
        if name not in ("points", "scores"):
            os.truncate(both[1] / f"{name}.npy", length)
    for number, entry in enumerate(entries):
        again = store.entry(number)
        assert again["frame_dir"] == entry["frame_dir"] == clips[number].frame_dir
        assert np.array_equal(again["keypoint"], entry["keypoint"])
    with pytest.raises(InputError, match="npy"):
        KeypointStore(both[1])
    os.truncate(both[1] / "scores.npy", length)
    with pytest.raises(InputError, match="scores.npy: the file has been cut off since the store was opened"):
        store.entry(len(store) - 1)
