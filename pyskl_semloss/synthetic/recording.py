"""Long synthetic recordings: one person acts gesture after gesture before one camera, and when is known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pyskl_semloss.errors import InputError
from pyskl_semloss.recordings.recording import Recording
from pyskl_semloss.segments.segment import Segment
from pyskl_semloss.synthetic import clips as synthetic
from pyskl_semloss.synthetic.body import FPS, MIRRORED, Actor, Subject, draw_subject, drift, smooth
from pyskl_semloss.synthetic.camera import IMAGE, observe, project
from pyskl_semloss.synthetic.gestures import GESTURES


def generate_recording(
    gestures: int = 30,
    seed: int = 0,
    *,
    split: str = "test",
    subjects: int = 40,
    set_seed: int = 0,
    rest: tuple[float, float] = (1.0, 5.0),
    person: int | None = None,
    classes: Sequence[int] | None = None,
) -> tuple[Recording, list[Segment]]:
    """Make a recording of random gestures with stillness between them.

    The person is one of those of :func:`pyskl_semloss.synthetic.clips.generate`, who share no split.

    Args:
        gestures: Number of gestures; every class comes once before one comes again.
        seed: Of person, order and movements; other seeds give other recordings.
        split: ``"train"``, ``"val"`` or ``"test"``: whose persons to take.
        subjects: As given to ``generate``.
        set_seed: The seed that was given to ``generate``.
        rest: Shortest and longest stillness between two gestures in s.
        person: Number of the person, whatever the split; one of the split's by the seed.
        classes: Which gestures; all.

    Returns:
        The recording at 25 frames per second in 1920 x 1080, 22 joints, and its gestures: each from where the body
        begins to leave its rest to where it has come back.

    Raises:
        InputError: No gestures, an unknown split, or a rest that is no range.
    """
    if gestures < 1:
        raise InputError(f"expected at least 1, got {gestures}", field="gestures")
    if not 0 < rest[0] <= rest[1]:
        raise InputError(f"expected 0 < shortest <= longest, got {rest!r}", field="rest")
    rng = np.random.default_rng([set_seed, 5, seed])
    subject = _subject_of(split, subjects, set_seed, rng) if person is None else _person(person, set_seed)
    pieces: list[np.ndarray] = []
    hidden: list[np.ndarray] = []
    truth: list[Segment] = []
    frame = 0
    for label in _order(gestures, range(len(GESTURES)) if classes is None else classes, rng):
        still = max(round(rng.uniform(*rest) * FPS), 2)
        joints, envelope, start, stop = _act(label, subject, rng)
        if pieces:
            pieces.append(_stillness(pieces[-1][-1], joints[0], still, rng))
            hidden.append(np.zeros(still))
            frame += still
        truth.append(Segment(frame / FPS + start, frame / FPS + stop, synthetic.CLASS_NAMES[label]))
        pieces.append(joints)
        hidden.append(envelope)
        frame += len(joints)
    pixels = project(np.concatenate(pieces), subject, rng)
    seen = [
        observe(part, subject.scale, veil, rng)
        for part, veil in zip(np.split(pixels, np.cumsum([len(one) for one in pieces])[:-1]), hidden, strict=True)
    ]
    keypoint, score = (np.concatenate(parts)[None] for parts in zip(*seen, strict=True))
    return Recording(f"{split}_{seed}", keypoint, score, "openpose22", IMAGE, FPS), truth  # type: ignore[arg-type]


def _subject_of(split: str, subjects: int, set_seed: int, rng: np.random.Generator) -> Subject:
    splits = synthetic.split_of_subjects(subjects, np.random.default_rng([set_seed, 2]))
    people = [number for number, name in enumerate(splits) if name == split]
    if not people:
        raise InputError(f"expected 'train', 'val' or 'test', got {split!r}", field="split")
    return _person(int(rng.choice(people)), set_seed)


def _person(number: int, set_seed: int) -> Subject:
    return draw_subject(np.random.default_rng([set_seed, 1, number]))


def _order(gestures: int, classes: Sequence[int], rng: np.random.Generator) -> list[int]:
    rounds = -(-gestures // len(classes))
    return np.concatenate([rng.permutation(classes) for _ in range(rounds)])[:gestures].tolist()


def _act(label: int, subject: Subject, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, float, float]:
    """Joints (T, 22, 3), how far the hands are out of sight (T,), and start and end of the gesture in s."""
    actor = Actor(subject, int(rng.integers(synthetic.MIN_FRAMES, synthetic.MAX_FRAMES + 1)), rng)
    joints = actor.act(GESTURES[label])
    if rng.random() >= subject.right_share:
        joints = joints[:, MIRRORED] * [-1, 1, 1]
    hidden = actor.envelope if GESTURES[label].hidden_hands else np.zeros(len(joints))
    return joints, hidden, float(actor.start), float(actor.stop)


def _stillness(first: np.ndarray, last: np.ndarray, frames: int, rng: np.random.Generator) -> np.ndarray:
    """From one pose to the next in half a second, somewhere in the time between, with the drift of a body at rest."""
    seconds = np.arange(frames) / FPS
    begin = rng.uniform(0, max(seconds[-1] - 0.5, 0))
    way = smooth((seconds - begin) / 0.5)[:, None, None]
    sway = drift(rng, seconds, first.size, 0.4).reshape(frames, *first.shape) * 0.004
    # No leap where the drift begins and ends.
    sway *= (smooth(seconds / 0.3) * smooth((seconds[-1] - seconds) / 0.3))[:, None, None]
    return first + way * (last - first) + sway
