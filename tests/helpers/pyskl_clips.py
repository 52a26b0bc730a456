"""Small clips, and what the tests of PySKL's data set share; importable where PySKL is."""

import os

import numpy as np
from pyskl.datasets import build_dataloader, build_dataset

import pyskl_semloss.hosts.pyskl  # noqa: F401
from pyskl_semloss.annotations import AnnotationSet, Clip, write_annotations

ARRAYS = ("keypoint", "keypoint_score")
LONG_ID = "a clip with spaces\tand a tab " + "x" * 280
# Whatever draws is left out, so that every access gives the same.
STEPS = [
    dict(type="SampleKeypointFrames", clip_len=12, test_mode=True),
    dict(type="GeneratePoseHeatmap"),
    dict(type="FormatShape", input_format="NCTHW_Heatmap"),
    dict(type="Collect", keys=["imgs", "label"], meta_keys=[]),
    dict(type="ToTensor", keys=["imgs", "label"]),
]


def config(path, **options):
    return dict(type="KeypointDataset", **{"ann_file": str(path), "pipeline": [], **options})


def build(path, **options):
    return build_dataset(config(path, **options))


def write_small(folder):
    """Six clips of three classes, of one and two persons; one point lies outside its image."""
    rng = np.random.default_rng(0)
    names = ["c0", "c1", "c2", "c3", LONG_ID, "c5"]
    clips = []
    for index, name in enumerate(names):
        keypoint = rng.uniform(20, 90, (1 + index % 2, 10 + index, 17, 2)).astype(np.float32)
        keypoint[0, 0, 3] = 500, 50
        score = rng.uniform(0.1, 1, keypoint.shape[:3]).astype(np.float32)
        clips.append(Clip(name, index % 3, (100, 120), (100, 120), keypoint, score))
    path = folder / "small.pkl"
    write_annotations(path, AnnotationSet({"train": names, "some": names[1:3]}, clips))
    return path


def assert_same_clips(mine, theirs):
    assert len(mine) == len(theirs) > 0
    for one, other in zip((mine[i] for i in range(len(mine))), (theirs[i] for i in range(len(theirs))), strict=True):
        assert one["frame_dir"] == other["frame_dir"] and one["label"] == other["label"]
        for key in ARRAYS:
            np.testing.assert_array_equal(one[key], other[key])


def loader_of(dataset, workers=0, **options):
    return build_dataloader(dataset, videos_per_gpu=2, workers_per_gpu=workers, pin_memory=False, **options)


class Evil:
    def __reduce__(self):
        return os.system, ("touch evil_was_here",)


def overwrite(results):
    """A step of a pipeline that writes into all that it gets."""
    for key in ARRAYS:
        results[key] *= 0
    results["img_shape"] = results["label"] = None
    return results
