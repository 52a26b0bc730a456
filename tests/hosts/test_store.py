"""Keypoint stores serve the same samples as the pickle on every host, and hold nothing for a clip."""

import copy
import os
import pickle
import shutil
import subprocess
import sys
import warnings

import numpy as np
import pytest

from helpers import ROOT
from helpers.small_sets import hard_set
from pyskl_semloss.annotations import read_annotations, write_annotations
from pyskl_semloss.annotations.dataset_clips import StoredClips, dataset_clips
from pyskl_semloss.annotations.store import KeypointStore
from pyskl_semloss.annotations.store_writer import pickle_to_store, store_to_pickle
from pyskl_semloss.errors import InputError
from pyskl_semloss.skeletons import get_layout
from pyskl_semloss.synthetic.clips import generate
from pyskl_semloss.untrusted import safe_pickle

KEYS = ["frame_dir", "label", "img_shape", "original_shape", "total_frames", "keypoint", "keypoint_score"]
PLAIN = dict(split="train", layout=None, num_classes=None, test_mode=False, off_image="keep", binary_score=False)


def served(path, **options):
    """What a dataset would be served, or the refusal; and the clips that it was warned of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            clips = dataset_clips(str(path), **{**PLAIN, "strict": False, **options})
        except InputError as error:
            return "refused", error.clip, error.field
    texts = [str(one.message) for one in caught]
    left_out = [text.split("of zeros only")[1] for text in texts if "of zeros only" in text]
    return list(clips), left_out, None


def same(mine, theirs):
    if mine[0] == "refused" or theirs[0] == "refused":
        return mine == theirs
    assert [list(entry) for entry in mine[0]] == [list(entry) for entry in theirs[0]]
    for a, b in zip(mine[0], theirs[0], strict=True):
        for key in a:
            assert type(a[key]) is type(b[key]) and np.array_equal(a[key], b[key]), (a["frame_dir"], key)
            if "keypoint" in key:
                assert a[key].dtype == b[key].dtype and a[key].shape == b[key].shape and a[key].flags.writeable
    return mine[1:] == theirs[1:]


@pytest.fixture
def both(tmp_path):
    write_annotations(tmp_path / "set.pkl", hard_set())
    pickle_to_store(tmp_path / "set.pkl", tmp_path / "store")
    return tmp_path / "set.pkl", tmp_path / "store"


OPTIONS = [
    {},
    dict(split=None, test_mode=True),
    dict(split="late", off_image="drop"),
    dict(off_image="drop"),
    dict(off_image="drop", binary_score=True),
    dict(off_image="drop", test_mode=True),
    dict(binary_score=True, test_mode=True),
    dict(num_classes=5, layout=get_layout("coco17")),
    dict(num_classes=4),
    dict(layout=get_layout("openpose22")),
    dict(split="test"),
    dict(split="test", test_mode=True),
    dict(split=None),
    dict(split="zero"),
    dict(split="zero", test_mode=True),
    dict(split="outside"),
    dict(split="outside", off_image="drop"),
    dict(split="none"),
    dict(split="nowhere"),
    dict(off_image="maybe"),
    dict(strict=True),
    dict(strict=True, split="late"),
    dict(strict=True, test_mode=True),
    dict(strict=True, off_image="drop", test_mode=True),
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_every_option_means_the_same_on_both(both, options):
    mine, theirs = served(both[1], **options), served(both[0], **options)
    assert same(mine, theirs)
    if options in ({}, dict(off_image="drop")):
        assert [len(mine[0]), len(theirs[0])] == [9 - bool(options)] * 2 and mine[1]


def test_synthetic_set_and_back(tmp_path):
    wanted = generate(64, seed=1)
    write_annotations(tmp_path / "set.pkl", wanted)
    pickle_to_store(tmp_path / "set.pkl", tmp_path / "store", strict=True)
    assert store_to_pickle(tmp_path / "store", tmp_path / "back.pkl") == 64
    assert (tmp_path / "back.pkl").read_bytes() == (tmp_path / "set.pkl").read_bytes()
    options = dict(split="val", layout=get_layout("openpose22"), num_classes=32, off_image="drop")
    assert same(served(tmp_path / "store", **options), served(tmp_path / "set.pkl", **options))


@pytest.mark.filterwarnings("ignore:.*mended")
@pytest.mark.parametrize("split", [None, "xsub_train", "xsub_test"])
def test_real_set(shared_dir, tmp_path, split):
    path = shared_dir / "data" / "msr_action3d" / "msr_action3d.pkl"
    report = pickle_to_store(path, tmp_path / "store")
    assert report.counts["points_absurd"] == 85
    kinect = get_layout("kinect20")
    for options in (
        dict(layout=kinect, num_classes=20),
        dict(layout=kinect, num_classes=20, test_mode=True),
        dict(off_image="drop", binary_score=True),
        dict(strict=True),
    ):
        mine, theirs = served(tmp_path / "store", split=split, **options), served(path, split=split, **options)
        assert mine[:2] == theirs[:2] if "strict" in options else same(mine, theirs)
    store_to_pickle(tmp_path / "store", tmp_path / "back.pkl")
    before, _ = read_annotations(path)
    after, report = read_annotations(tmp_path / "back.pkl", strict=True)
    assert after.splits == before.splits
    assert all(a.same_as(b) for a, b in zip(after.clips, before.clips, strict=True))


def test_strict_remembers_what_was_mended_at_the_conversion(tmp_path):
    clips = [clip.to_dict() for clip in hard_set().clips[:3]]
    clips[1]["keypoint_score"] = clips[1]["keypoint_score"] * 2 - 1
    names = [clip["frame_dir"] for clip in clips]
    splits = {"a": [names[0]], "b": names[1:], "c": [names[0], names[0]], "d": [names[2], "gone"]}
    safe_pickle.dump({"split": splits, "annotations": clips}, tmp_path / "set.pkl")
    with pytest.warns(UserWarning, match="scores below 0"):
        pickle_to_store(tmp_path / "set.pkl", tmp_path / "store")
    for split in ("a", "b", "c", "d", None):
        mine, theirs = (
            served(tmp_path / name, split=split, strict=True, test_mode=True) for name in ("store", "set.pkl")
        )
        assert (mine[0] == "refused") == (theirs[0] == "refused") == (split != "a")
        assert same(*(served(tmp_path / name, split=split, test_mode=True) for name in ("store", "set.pkl")))
    with pytest.raises(InputError, match="Without strict"):
        pickle_to_store(tmp_path / "set.pkl", tmp_path / "other", strict=True)
    assert not (tmp_path / "other").exists()


def test_clips_are_ones_own_and_selections_read_nothing(both):
    clips = dataset_clips(str(both[1]), **{**PLAIN, "strict": False, "test_mode": True})
    before = clips[0]["keypoint"].copy()
    clips[0]["keypoint"][:] = 7
    np.testing.assert_array_equal(clips[0]["keypoint"], before)
    names = [entry["frame_dir"] for entry in clips]
    assert [one["frame_dir"] for one in clips[2:5]] == names[2:5] and clips[-1]["frame_dir"] == names[-1]
    assert [one["frame_dir"] for one in clips.take([4, -1, 4])] == [names[4], names[-1], names[4]]
    with pytest.raises(IndexError):
        clips[len(clips)]
    for copied in (pickle.loads(pickle.dumps(clips)), copy.deepcopy(clips)):
        assert [entry["frame_dir"] for entry in copied] == names
    assert len(pickle.dumps(clips.store)) < 1000
    shutil.rmtree(both[1])
    np.testing.assert_array_equal(clips[0]["keypoint"], before)


def test_list_without_splits(tmp_path):
    safe_pickle.dump([clip.to_dict() for clip in hard_set().clips[:3]], tmp_path / "set.pkl")
    pickle_to_store(tmp_path / "set.pkl", tmp_path / "store")
    assert same(*(served(tmp_path / name, split=None) for name in ("store", "set.pkl")))
    assert same(*(served(tmp_path / name, split="train") for name in ("store", "set.pkl")))


def test_tool(both):
    def tool(*arguments, code=0):
        command = [sys.executable, str(ROOT / "tools" / "prepare_data.py"), *map(str, arguments)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=600)
        assert done.returncode == code, done.stderr
        return done.stdout + done.stderr

    assert "store of 13 clips" in tool("store", both[0], both[0].parent / "again")
    assert "13 clips to" in tool("pickle", both[0].parent / "again", both[0].parent / "back.pkl")
    assert (both[0].parent / "back.pkl").read_bytes() == both[0].read_bytes()
    assert "no keypoint store" in tool("store", both[0], both[0].parent, code=2)
    assert "expected a keypoint store" in tool("pickle", both[0], both[0].parent / "x.pkl", code=2)


@pytest.fixture
def mmaction2():
    pytest.importorskip("mmaction")
    from mmaction.registry import DATASETS
    from mmengine.registry import DefaultScope

    import pyskl_semloss.hosts.mmaction2  # noqa: F401

    DefaultScope.get_instance("pyskl_semloss_tests", scope_name="mmaction")
    return lambda path, **options: DATASETS.build(
        dict(type="KeypointDataset", ann_file=str(path), pipeline=[], skeleton="coco17", **options)
    )


@pytest.mark.filterwarnings("ignore:.*mended")
def test_mmaction2_serves_the_same_and_holds_nothing_for_a_clip(mmaction2, both):
    for options in (dict(split="train"), dict(split="test", test_mode=True), dict(split="late", indices=[3, 0, -1])):
        theirs, mine = (mmaction2(path, **options) for path in both)
        assert len(mine) == len(theirs) and isinstance(mine.data_list, StoredClips) and not hasattr(mine, "data_bytes")
        for index in (*range(len(mine)), -1):
            a, b = mine[index], theirs[index]
            assert a.keys() == b.keys() and all(np.array_equal(a[key], b[key]) for key in a)
        subset = mine.get_subset(2)
        assert [subset[i]["frame_dir"] for i in range(len(subset))] == [mine[i]["frame_dir"] for i in range(2)]
        assert isinstance(subset.data_list, StoredClips) and len(mine.get_subset([1, 0])) == 2


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_loader_workers_read_the_store(mmaction2, both, start):
    from torch.utils.data import DataLoader

    data = mmaction2(both[1], split="test", test_mode=True)
    loader = DataLoader(data, batch_size=1, num_workers=1, multiprocessing_context=start, collate_fn=list)
    assert [batch[0]["frame_dir"] for batch in loader] == [data[i]["frame_dir"] for i in range(len(data))]


def test_mmaction2_run_takes_a_store(mmaction2, both):
    from pyskl_semloss.hosts.mmaction2.training.run_config import load_config

    config = str(ROOT / "configs" / "mmaction2" / "imigue" / "joint.py")
    key = "train_dataloader.dataset.ann_file"
    assert load_config(config, uses=["train"], options={key: str(both[1])})
    for wrong in (both[1].parent, both[1] / "nothing"):
        with pytest.raises(InputError, match="no file|got the folder"):
            load_config(config, uses=["train"], options={key: str(wrong)})


@pytest.mark.filterwarnings("ignore:.*mended")
def test_pyskl_serves_the_same_and_evaluates_without_reading(both, monkeypatch):
    pytest.importorskip("pyskl")
    from pyskl.datasets.samplers import ClassSpecificDistributedSampler

    from pyskl_semloss.hosts.pyskl.dataset import KeypointDataset

    for options in (dict(split="train"), dict(split="test", test_mode=True), dict(split="late", off_image="drop")):
        theirs, mine = (KeypointDataset(str(path), [], skeleton="coco17", **options) for path in both)
        assert len(mine) == len(theirs)
        for index in range(len(mine)):
            a, b = mine[index], theirs[index]
            assert a.keys() == b.keys() and all(np.array_equal(a[key], b[key]) for key in a)
            mine[index]["keypoint"][:] = 3
            assert np.array_equal(mine[index]["keypoint"], a["keypoint"])
    theirs, mine = (KeypointDataset(str(path), [], split="train", class_prob=[2] * 5) for path in both)
    first = mine[0]["frame_dir"]
    monkeypatch.setattr(KeypointStore, "entry", None)
    rng = np.random.default_rng(0)
    results = list(rng.random((len(mine), 5)))
    assert mine.evaluate(results) == theirs.evaluate(results)
    mine_order, theirs_order = (list(ClassSpecificDistributedSampler(data, 1, 0, [2] * 5)) for data in (mine, theirs))
    assert mine_order == theirs_order
    assert mine.video_infos[:1][0]["frame_dir"] == mine.video_infos[-len(mine)]["frame_dir"] == first
    with pytest.raises(InputError, match="'memcached'.*share"):
        KeypointDataset(str(both[1]), [], split="train", memcached=True)


def test_keys_of_an_entry_are_the_formats(both):
    assert list(KeypointStore(both[1]).entry(0)) == KEYS
