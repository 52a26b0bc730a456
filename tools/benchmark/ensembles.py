"""Measure what searched weights and temperatures gain: 14 simple classifiers on real skeletons, persons apart.

python tools/benchmark/ensembles.py msr_action3d.pkl utd_mhad.pkl [--draws 5]

Of each annotation file a draw takes persons for training, validation and test; a clip's name holds its person, as s03.
Parts: logistic regression, forest and small network on joints, bones and the motion of both; nearest neighbours on
joints and their motion. A line for each file has means over the draws, Top-1 in percent. The last line has the time of
the search for drawn scores of the size of iMiGUE's test split. Needs scikit-learn.
"""

import argparse
import re
import statistics
import time
import warnings
from pathlib import Path

import numpy as np

from pyskl_semloss.annotations import Clip, read_annotations
from pyskl_semloss.cli.program import exit_on_error
from pyskl_semloss.errors import InputError
from pyskl_semloss.evaluation.calibration import at_temperature
from pyskl_semloss.evaluation.fusion import fuse
from pyskl_semloss.evaluation.metrics import top_k_accuracy
from pyskl_semloss.evaluation.scores import Scores
from pyskl_semloss.evaluation.weight_search import cross_validate, fit_temperatures, search_weights
from pyskl_semloss.skeletons import get_layout

FRAMES = 16
WEAKER = 10
"""Points of Top-1 by which the weaker part of a pair is meant to be below the best on validation."""


def resampled(clip: Clip) -> np.ndarray:
    """Keypoints (T, V, 2) of the first person at even times, about the body's middle, in units of its extent."""
    keypoint = np.asarray(clip.keypoint[0], float)
    at = np.linspace(0, len(keypoint) - 1, FRAMES)
    before = np.floor(at).astype(int)
    share = (at - before)[:, None, None]
    points = (1 - share) * keypoint[before] + share * keypoint[np.minimum(before + 1, len(keypoint) - 1)]
    extent = np.ptp(points.reshape(-1, 2), axis=0).max() + 1e-6
    return (points - points.mean((0, 1))) / extent


def person_of(name: str) -> int:
    """Number of the person in the name of a clip."""
    match = re.search(r"s(\d+)", name)
    if match is None:
        raise InputError("expected a name that holds the person's number, as a01_s03_e02", clip=name)
    return int(match[1])


def classifiers(seed: int) -> dict[str, object]:
    """The kinds of classifiers, untrained."""
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    network = MLPClassifier((96,), alpha=1e-4, max_iter=120, random_state=seed)
    return {
        "logistic": make_pipeline(StandardScaler(), LogisticRegression(C=0.05, max_iter=200)),
        "forest": RandomForestClassifier(150, random_state=seed),
        "network": make_pipeline(StandardScaler(), network),
        "neighbours": KNeighborsClassifier(5),
    }


def train_parts(
    clips: list[Clip], limbs: tuple[tuple[int, int], ...], masks: list[np.ndarray], seed: int
) -> tuple[list[Scores], list[Scores]]:
    """Scores of all parts on validation and on test; ``masks`` are of training, validation and test."""
    label = np.array([clip.label for clip in clips])
    ids = np.array([clip.frame_dir for clip in clips])
    joint = np.stack([resampled(clip) for clip in clips])
    ends = np.array(limbs)
    bone = joint[:, :, ends[:, 0]] - joint[:, :, ends[:, 1]]
    streams = {
        "joint": joint,
        "joint motion": np.diff(joint, axis=1),
        "bone": bone,
        "bone motion": np.diff(bone, axis=1),
    }
    scores: tuple[list[Scores], list[Scores]] = ([], [])
    for stream, values in streams.items():
        features = values.reshape(len(clips), -1)
        for kind, model in classifiers(seed).items():
            if kind == "neighbours" and stream.startswith("bone"):
                continue
            model.fit(features[masks[0]], label[masks[0]])
            for part, mask in zip(scores, masks[1:], strict=True):
                probability = np.zeros((mask.sum(), label.max() + 1))
                probability[:, model.classes_] = model.predict_proba(features[mask])
                part.append(Scores(ids[mask], probability, label[mask]))
    return scores


def top1(scores: Scores) -> float:
    """Top-1 in percent."""
    return 100 * top_k_accuracy(scores.score, scores.label, 1)


def measure(val: list[Scores], test: list[Scores], persons: dict[str, str]) -> dict[str, float]:
    """Top-1 of equal and searched weights, with and without temperatures, and of a pair of unequal parts."""
    equal = [1.0] * len(val)
    factors = fit_temperatures(val)
    warm_val = [at_temperature(part, factor) for part, factor in zip(val, factors, strict=True)]
    warm_test = [at_temperature(part, factor) for part, factor in zip(test, factors, strict=True)]
    weights, table = search_weights(val)
    others = cross_validate(val, persons=persons)
    alone = np.array([top1(part) for part in val])
    best = int(alone.argmax())
    second = int(np.abs(alone - alone[best] + WEAKER).argmin())
    pair, _ = search_weights([val[best], val[second]])
    return {
        "val: gain, same clips": 100 * (table[0].top1 - others.equal),
        "other persons": 100 * (others.searched - others.equal),
        "test: best part": top1(test[best]),
        "equal": top1(fuse(test, equal)),
        "searched": top1(fuse(test, weights)),
        "with temperatures: equal": top1(fuse(warm_test, equal)),
        "searched with temperatures": top1(fuse(warm_test, search_weights(warm_val)[0])),
        "weaker part": top1(test[second]),
        "2 : 3": top1(fuse([test[best], test[second]], [2, 3])),
        "pair searched": top1(fuse([test[best], test[second]], pair)),
    }


def search_seconds(parts: int = 14, clips: int = 4562, classes: int = 32) -> float:
    """Processor time of the search for drawn scores of parts that differ in strength."""
    rng = np.random.default_rng(0)
    label = rng.integers(0, classes, clips)
    scores = []
    for number in range(parts):
        logits = rng.normal(size=(clips, classes)) + (1.2 + 0.05 * number) * np.eye(classes)[label]
        probability = np.exp(logits)
        probability /= probability.sum(1, keepdims=True)
        scores.append(Scores(np.array([f"clip_{clip}" for clip in range(clips)]), probability, label))
    start = time.process_time()
    search_weights(scores)
    return time.process_time() - start


@exit_on_error
def main() -> None:
    """Draw persons, train the parts, and print the means."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", help="annotation files of the layout kinect20")
    parser.add_argument("--draws", type=int, default=5)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    limbs = get_layout("kinect20").limbs
    for file in args.files:
        clips = [clip for clip in read_annotations(file)[0].clips if np.any(clip.keypoint)]
        person = np.array([person_of(clip.frame_dir) for clip in clips])
        everybody, rng = np.unique(person), np.random.default_rng(0)
        num_val, num_test = round(0.28 * len(everybody)), round(0.4 * len(everybody))
        rows = []
        for draw in range(args.draws):
            order = rng.permutation(everybody)
            val = np.isin(person, order[:num_val])
            test = np.isin(person, order[num_val : num_val + num_test])
            parts = train_parts(clips, limbs, [~val & ~test, val, test], draw)
            rows.append(measure(*parts, {clip.frame_dir: str(n) for clip, n in zip(clips, person, strict=True)}))
        means = {name: statistics.mean(row[name] for row in rows) for name in rows[0]}
        print(f"{Path(file).stem}: " + ", ".join(f"{name} {value:.1f}" for name, value in means.items()), flush=True)
    print(f"search for 14 parts, 4,562 clips, 32 classes: {search_seconds():.1f} s of processor time")


if __name__ == "__main__":
    main()
