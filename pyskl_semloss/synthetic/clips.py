"""The synthetic set: the 32 iMiGUE classes acted out by a parametric upper body, in the form of the real data."""

from __future__ import annotations

import numpy as np

from pyskl_semloss.annotations.clip import AnnotationSet, Clip
from pyskl_semloss.errors import InputError
from pyskl_semloss.synthetic.body import MIRRORED, Actor, Subject, draw_subject
from pyskl_semloss.synthetic.camera import IMAGE, observe, project
from pyskl_semloss.synthetic.gestures import GESTURES

CLASS_NAMES = tuple(gesture.name for gesture in GESTURES)
OFFICIAL_COUNTS = (
    10, 418, 39, 207, 80, 23, 64, 858, 87, 3, 302, 154, 97, 41, 28, 27,
    322, 83, 2, 942, 170, 373, 657, 700, 11, 287, 87, 60, 1237, 6, 2272, 4023,
)  # fmt: skip
"""Clips of each class in iMiGUE's official training and validation sets."""
MIN_FRAMES, MAX_FRAMES = 30, 120


def generate(num_clips: int, seed: int = 0, *, subjects: int = 40, balance: str = "balanced") -> AnnotationSet:
    """Make the synthetic set.

    Args:
        num_clips: Number of clips in all splits together.
        seed: The same seed and arguments give the same clips.
        subjects: Number of persons; 65 % of them train, 10 % validate, 25 % test, at least one each.
        balance: ``"balanced"``, or ``"official"`` for the class shares of iMiGUE, at least one clip a class.

    Returns:
        Clips of one person, 22 joints and 30 to 120 frames in an image of 1920 x 1080, with the splits ``train``,
        ``val`` and ``test``, in which no person is shared.

    Raises:
        InputError: A seed below 0, fewer than 3 subjects, fewer clips than classes, or an unknown balance.
    """
    if seed < 0:
        raise InputError(f"expected a whole number from 0, got {seed}", field="seed")
    if subjects < 3:
        raise InputError(f"expected at least 3 subjects, one for each split, got {subjects}", field="subjects")
    if num_clips < len(GESTURES):
        raise InputError(f"expected at least {len(GESTURES)} clips, one of each class, got {num_clips}", field="clips")
    counts = class_counts(num_clips, balance)
    people = [draw_subject(np.random.default_rng([seed, 1, number])) for number in range(subjects)]
    split_of = split_of_subjects(subjects, np.random.default_rng([seed, 2]))
    labels, cast = _cast(counts, subjects, np.random.default_rng([seed, 3]))
    result = AnnotationSet({"train": [], "val": [], "test": []})
    for number, (label, who) in enumerate(zip(labels, cast, strict=True)):
        name = f"s{who:03d}_g{label + 1:02d}_{number:05d}"
        result.clips.append(act(label, people[who], np.random.default_rng([seed, 4, number]), name))
        result.splits[split_of[who]].append(name)
    return result


def act(label: int, subject: Subject, rng: np.random.Generator, name: str) -> Clip:
    """One clip of a class acted out by a subject."""
    actor = Actor(subject, int(rng.integers(MIN_FRAMES, MAX_FRAMES + 1)), rng)
    gesture = GESTURES[label]
    joints = actor.act(gesture)
    if rng.random() >= subject.right_share:
        joints = joints[:, MIRRORED] * [-1, 1, 1]
    hidden = actor.envelope if gesture.hidden_hands else None
    keypoint, score = observe(project(joints, subject, rng), subject.scale, hidden, rng)
    return Clip(name, label, IMAGE, IMAGE, keypoint[None], score[None])


def class_counts(num_clips: int, balance: str) -> list[int]:
    """Clips of each class: equal shares or those of iMiGUE, by largest remainders, at least one a class.

    Raises:
        InputError: ``balance`` is neither ``"balanced"`` nor ``"official"``.
    """
    shares = {"balanced": np.ones(len(GESTURES)), "official": np.array(OFFICIAL_COUNTS, float)}
    if balance not in shares:
        raise InputError(f"expected 'balanced' or 'official', got {balance!r}", field="balance")
    exact = shares[balance] / shares[balance].sum() * (num_clips - len(GESTURES))
    counts = exact.astype(int)
    rest = num_clips - len(GESTURES) - int(counts.sum())
    counts[np.argsort(counts - exact, kind="stable")[:rest]] += 1
    return [int(count) + 1 for count in counts]


def split_of_subjects(subjects: int, rng: np.random.Generator) -> list[str]:
    """The split of each subject, drawn at random."""
    test, val = max(1, round(0.25 * subjects)), max(1, round(0.10 * subjects))
    names = ["test"] * test + ["val"] * val + ["train"] * (subjects - test - val)
    return [names[place] for place in rng.permutation(subjects)]


def _cast(counts: list[int], subjects: int, rng: np.random.Generator) -> tuple[list[int], list[int]]:
    """Label and subject of every clip; those of a class go round the subjects, so that every split gets its share."""
    order = rng.permutation(sum(counts))
    labels = np.repeat(np.arange(len(counts)), counts)
    rounds = [(rng.permutation(subjects)[np.arange(count) % subjects]) for count in counts]
    cast = np.concatenate(rounds)
    return labels[order].tolist(), cast[order].tolist()
