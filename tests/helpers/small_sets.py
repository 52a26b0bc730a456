"""A small annotation set with everything that the options of a dataset look at."""

import numpy as np

from pyskl_semloss.annotations import AnnotationSet, Clip


def hard_set():
    """A small set with everything that an option looks at: zero clips, clips outside, no labels, several persons."""
    rng = np.random.default_rng(0)
    clips = []
    for number in range(12):
        shape = (1 + number % 2, 3 + number, 17)
        points, scores = rng.uniform(-20, 120, (*shape, 2)), rng.random(shape)
        points[:, 1] = 0
        name = f"Clip {number} \N{GREEK SMALL LETTER ALPHA}" + "\N{SNOWMAN}" * number
        clips.append(Clip(name, number % 5, (100, 90 + number), (200, 300), points.astype("f4"), scores.astype("f4")))
    clips[3].keypoint[:] = 0
    clips[7].keypoint[:] = 0
    clips[5].keypoint[:] = -15
    names = [clip.frame_dir for clip in clips]
    clips.append(Clip("unlabelled", -1, (100, 100), (100, 100), clips[0].keypoint, clips[0].keypoint_score))
    splits = {"train": names[8:] + names[:6], "late": names[6:], "test": ["unlabelled", names[0]], "zero": [names[3]]}
    return AnnotationSet({**splits, "outside": [names[5]], "none": []}, clips)
