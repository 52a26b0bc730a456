"""An example of an own study: recordings of several persons with a table of their labels, and one without labels."""

from __future__ import annotations

import csv
import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path

from pyskl_semloss.errors import InputError
from pyskl_semloss.io.results import refuse_changed, result_file
from pyskl_semloss.segments.segment import Segment
from pyskl_semloss.synthetic.clips import CLASS_NAMES
from pyskl_semloss.synthetic.recording import generate_recording

STUDY_GESTURES = ("touch face", "touch neck", "play hair", "fold arm", "rub hand", "shake shoulder")
"""What the persons do."""
REST = "no gesture"
"""Between two gestures. A model that was never shown it takes each change of posture for the gesture most like it."""
_SHORTEST_REST = 1.0


def write_example_study(folder: str | os.PathLike[str], persons: int = 12, gestures: int = 24, seed: int = 0) -> None:
    """Write a folder as the tutorial begins with: what a study has when the keypoints of its videos are estimated.

    ``recordings/interview_NN.npz``, one for each person, as ``semloss poses`` writes them; ``labels.csv``
    with recording, start and end in s, label and subject, rests of a second and more among them; ``names.txt``, the
    classes; ``new/interview.npz`` of one person more, and ``new/truth.csv``, what is to be found there.

    Args:
        folder: It is made; files of these names in it are replaced, unless somebody changed one.
        persons: How many are labelled, at least 3, so that each split has one.
        gestures: In each recording.
        seed: The same seed writes the same files.

    Raises:
        InputError: Too few persons or no gestures, somebody changed a file, or the folder cannot be written.
    """
    if persons < 3:
        raise InputError(f"expected at least 3, got {persons}", field="persons")
    folder = Path(folder)
    # Before the first is written, so that they go on fitting each other.
    recordings = [f"recordings/interview_{person + 1:02d}.npz" for person in range(persons)]
    others = ("labels.csv", "names.txt", "new/interview.npz", "new/truth.csv")
    refuse_changed(*(folder / name for name in (*recordings, *others)))
    classes = [CLASS_NAMES.index(name) for name in STUDY_GESTURES]
    rows: list[tuple[str, ...]] = []
    for person in range(persons + 1):
        recording, truth = generate_recording(gestures, person, set_seed=seed, person=person, classes=classes)
        name = f"interview_{person + 1:02d}" if person < persons else "interview"
        recording = dataclasses.replace(recording, name=name)
        if person == persons:
            recording.save(folder / "new" / f"{name}.npz")
            _write_table(folder / "new" / "truth.csv", ("start", "end", "name"), [_times(one) for one in truth])
        else:
            recording.save(folder / "recordings" / f"{name}.npz")
            labelled = sorted([*truth, *_rests(truth)], key=lambda one: one.start)
            rows += [(name, *_times(one), f"P{person + 1:02d}") for one in labelled]
    _write_table(folder / "labels.csv", ("recording", "start", "end", "label", "subject"), rows)
    with result_file(folder / "names.txt", "w", encoding="utf-8") as stream:
        stream.write("".join(f"{name}\n" for name in (*STUDY_GESTURES, REST)))


def _rests(truth: Sequence[Segment]) -> list[Segment]:
    between = zip(truth, truth[1:], strict=False)
    return [Segment(a.end, b.start, REST) for a, b in between if b.start - a.end >= _SHORTEST_REST]


def _times(one: Segment) -> tuple[str, str, str]:
    return f"{one.start:.2f}", f"{one.end:.2f}", one.name


def _write_table(path: Path, titles: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    with result_file(path, "w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerows([titles, *rows])
