"""The synthetic set: same seed same clips, a possible body, honest splits, and out of reach of a linear model."""

import re
import subprocess
import sys
import time

import numpy as np
import pytest

from helpers import ROOT
from pyskl_semloss.annotations import read_annotations
from pyskl_semloss.errors import InputError
from pyskl_semloss.skeletons import get_layout
from pyskl_semloss.synthetic.body import MIRRORED, Actor, bend, draw_subject
from pyskl_semloss.synthetic.clips import CLASS_NAMES, OFFICIAL_COUNTS, class_counts, generate
from pyskl_semloss.synthetic.gestures import BODY_TARGETS, GESTURES, HEAD_TARGETS, OTHER_ARM_TARGETS

TOOL = ROOT / "tools" / "prepare_data.py"


@pytest.fixture(scope="module")
def small():
    return generate(640, 0)


def test_classes_are_the_papers_in_its_order(shared_dir):
    assert list(CLASS_NAMES) == (shared_dir / "data" / "glove" / "imigue_labels.txt").read_text().splitlines()


def test_gestures_name_known_targets():
    known = {*HEAD_TARGETS, *BODY_TARGETS, *OTHER_ARM_TARGETS}
    for gesture in GESTURES:
        for arm in (gesture.arm, gesture.other):
            assert arm is None or (arm.targets and known.issuperset(arm.targets))


def test_mirror_is_the_layouts():
    mirror = np.arange(22)
    for a, b in get_layout("openpose22").mirror_pairs:
        mirror[[a, b]] = b, a
    assert (mirror == MIRRORED).all()


def test_counts():
    assert sum(OFFICIAL_COUNTS) == 12893 + 777
    for number in (32, 33, 640, 1001):
        balanced, official = class_counts(number, "balanced"), class_counts(number, "official")
        assert sum(balanced) == sum(official) == number and min(official) >= 1 and max(balanced) - min(balanced) <= 1
    share = np.array(class_counts(13670, "official")) / 13670
    np.testing.assert_allclose(share, np.array(OFFICIAL_COUNTS) / 13670, atol=1e-3)


def test_clips_are_what_they_promise(small):
    names = [clip.frame_dir for clip in small.clips]
    assert len(set(names)) == 640 and sorted(names) == sorted(sum(small.splits.values(), []))
    assert np.bincount([clip.label for clip in small.clips]).tolist() == [20] * 32
    people = {split: {re.match(r"s(\d+)_", name)[1] for name in ids} for split, ids in small.splits.items()}
    assert {split: len(who) for split, who in people.items()} == {"train": 26, "val": 4, "test": 10}
    assert len(set.union(*people.values())) == 40
    for split in ("train", "test"):
        assert {clip.label for clip in small.of_split(split)} == set(range(32))
    points = np.concatenate([clip.keypoint[0] for clip in small.clips])
    scores = np.concatenate([clip.keypoint_score[0] for clip in small.clips])
    assert {clip.keypoint.shape[2:] for clip in small.clips} == {(22, 2)}
    assert (
        30 <= min(clip.total_frames for clip in small.clips) and max(clip.total_frames for clip in small.clips) <= 120
    )
    missing = scores == 0
    assert (points[missing] == 0).all() and 0.005 < missing.mean() < 0.1
    assert (points[~missing] > 0).all() and (points[~missing] < (1920, 1080)).all() and scores.max() <= 1
    assert 0.5 < scores[~missing].mean() < 0.9


def test_seed_and_arguments_decide_everything(small):
    again = generate(640, 0)
    assert again.splits == small.splits and all(a.same_as(b) for a, b in zip(small.clips, again.clips, strict=True))
    other = generate(640, 1)
    assert not any(a.same_as(b) for a, b in zip(small.clips, other.clips, strict=True))


@pytest.mark.parametrize(
    "wrong",
    [{"num_clips": 31}, {"seed": -1}, {"subjects": 2}, {"balance": "even"}],
    ids=lambda wrong: next(iter(wrong)),
)
def test_wrong_arguments(wrong):
    with pytest.raises(InputError):
        generate(**{"num_clips": 64, **wrong})


def test_limbs_keep_their_lengths():
    """Before the camera a body is rigid: upper arms and forearms have the subject's lengths in every frame."""
    for label, gesture in enumerate(GESTURES):
        rng = np.random.default_rng(label)
        subject = draw_subject(rng)
        joints = Actor(subject, 60, rng).act(gesture)
        assert np.isfinite(joints).all()
        for shoulder, elbow, wrist in ((2, 3, 4), (5, 6, 7)):
            for a, b, length in ((shoulder, elbow, subject.upper_arm), (elbow, wrist, subject.forearm)):
                np.testing.assert_allclose(np.linalg.norm(joints[:, a] - joints[:, b], axis=-1), length, rtol=1e-6)
        assert np.abs(np.diff(joints[:, [4, 7]], axis=0)).max() < 0.45  # no hand leaps


def test_bend_reaches_what_can_be_reached():
    rng = np.random.default_rng(0)
    shoulder, wrist, pole = rng.normal(size=(3, 500, 3))
    found, _ = bend(shoulder, wrist, 1.5, 1.4, pole)
    distance = np.linalg.norm(wrist - shoulder, axis=-1)
    near = (distance > 0.15) & (distance < 0.995 * 2.9)
    np.testing.assert_allclose(found[near], wrist[near], atol=1e-9)
    assert 0 < near.sum() < 500 and np.linalg.norm(found - shoulder, axis=-1).max() < 2.9


def acted(name, **changes):
    """Joints of a gesture while it lasts, and while it does not, with a restful subject."""
    rng = np.random.default_rng(3)
    actor = Actor(draw_subject(rng), 90, rng)
    joints = actor.act(GESTURES[CLASS_NAMES.index(name)])
    return joints[actor.envelope > 0.99], joints[actor.envelope == 0]


@pytest.mark.parametrize(
    ("name", "joint"), [("touch chin", 0), ("rub eyes", 9), ("touch ears", 11), ("bite nails", 0), ("touch neck", 1)]
)
def test_hand_is_where_the_name_says(name, joint):
    during, rest = acted(name)
    distance = [np.linalg.norm(part[:, 17:, :2] - part[:, [joint], :2], axis=-1).min(-1) for part in (during, rest)]
    assert distance[0].max() < 0.45 and distance[1].min() > 0.7


def test_two_hands_meet_and_heads_and_shoulders_move():
    during, rest = acted("cross finger")
    assert np.abs(during[:, 12:17, :2].mean(1) - during[:, 17:, :2].mean(1)).max() < 0.3
    during, _ = acted("fold arm")
    assert (during[:, 4, 0] > during[:, 7, 0]).all()
    during, rest = acted("head up")
    assert (during[:, 0, 1] - during[:, 10, 1]).max() < (rest[:, 0, 1] - rest[:, 10, 1]).min() - 0.05
    during, rest = acted("turtle neck")
    assert (during[:, 1, 1] - during[:, 0, 1]).max() < (rest[:, 1, 1] - rest[:, 0, 1]).min()
    during, rest = acted("shake shoulder")
    assert np.ptp(during[:, 2, 1] - during[:, 5, 1]) > 5 * np.ptp(rest[:, 2, 1] - rest[:, 5, 1])


def test_a_linear_model_on_mean_positions_fails(small):
    pytest.importorskip("sklearn")
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    def features(clips):
        seen = [clip.keypoint_score[0, ..., None] > 0 for clip in clips]
        sums = [(clip.keypoint[0] * there).sum(0) for clip, there in zip(clips, seen, strict=True)]
        return np.array([(s / there.sum(0).clip(1)).ravel() for s, there in zip(sums, seen, strict=True)])

    train, test = small.of_split("train"), small.of_split("test")
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    model.fit(features(train), [clip.label for clip in train])
    top1 = model.score(features(test), [clip.label for clip in test])
    assert 2 / 32 < top1 < 0.5


def test_it_is_quick():
    start = time.perf_counter()
    generate(200, 5)
    assert time.perf_counter() - start < 3  # about 0.25 s on an idle core


def test_tool_writes_the_same_file_twice(tmp_path):
    for name in ("a.pkl", "b.pkl"):
        command = [
            sys.executable,
            str(TOOL),
            "synthetic",
            name,
            "--clips",
            "64",
            "--seed",
            "7",
            "--balance",
            "official",
        ]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
        assert "64 synthetic clips" in done.stdout and name in done.stdout
    assert (tmp_path / "a.pkl").read_bytes() == (tmp_path / "b.pkl").read_bytes()
    annotations, report = read_annotations(tmp_path / "a.pkl", num_classes=32, num_joints=22, strict=True)
    assert not report.counts and len(annotations.clips) == 64
    done = subprocess.run(
        [sys.executable, str(TOOL), "synthetic", "c.pkl", "--clips", "3"], capture_output=True, text=True
    )
    assert done.returncode == 2 and "at least 32 clips" in done.stderr and "Traceback" not in done.stderr


def test_sides_are_those_of_the_image_whichever_hand_acts(small):
    """Left joints are left in the image on average, mirrored clips included, and both hands take their turn."""
    for clip in small.clips:
        points, seen = clip.keypoint[0], clip.keypoint_score[0] > 0
        x = [np.median(points[seen[:, joint], joint, 0]) for joint in (2, 5)]
        assert x[0] < x[1]
    hats = [clip for clip in small.clips if CLASS_NAMES[clip.label] == "touch hat"]
    heights = [np.where(clip.keypoint_score[0] > 0, clip.keypoint[0, ..., 1], np.inf).min(0) for clip in hats]
    acting = [height[7] < height[4] for height in heights]
    assert 2 < sum(acting) < len(acting) - 2
