"""MediaPipe Holistic: layout, mapping, scores, and what it finds in a portrait that sways.

PYSKL_SEMLOSS_VIDEO names a video of a person who faces the camera and shows both hands, to take in its place.
"""

import importlib.util
import os
from types import SimpleNamespace

import numpy as np
import pytest

from helpers.portrait import sway, write_portrait_video
from pyskl_semloss.errors import HostError
from pyskl_semloss.skeletons import get_layout, joint_map
from pyskl_semloss.video import estimate, load_estimator, mediapipe_holistic, open_video
from pyskl_semloss.video.estimate import _smaller
from pyskl_semloss.video.mediapipe_holistic import MEDIAPIPE75, keypoints_of

needs_mediapipe = pytest.mark.skipif(importlib.util.find_spec("mediapipe") is None, reason="needs MediaPipe")
VIDEO = "PYSKL_SEMLOSS_VIDEO"


@pytest.fixture(scope="module")
def portrait(tmp_path_factory):
    pytest.importorskip("skimage", reason="needs the picture of a person in scikit-image")
    return write_portrait_video(tmp_path_factory.mktemp("portrait") / "portrait.mp4")


@pytest.fixture(scope="module")
def path(request):
    """A video in which a person faces the camera."""
    return os.environ.get(VIDEO) or request.getfixturevalue("portrait")


@pytest.fixture(scope="module")
def person(path):
    """Its first 40 frames, RGB, at most 960 px."""
    video = open_video(path)
    return [frame for _, frame in video.frames(stop=40, change=_smaller(video, 960))]


def result(hands=()):
    """What MediaPipe returns for a person whose point n is at (n / 100, n / 200)."""
    body = [SimpleNamespace(x=at / 100, y=at / 200, visibility=at / 40) for at in range(33)]
    found = SimpleNamespace(pose_landmarks=SimpleNamespace(landmark=body))
    for number, (side, first) in enumerate((("left", 33), ("right", 54))):
        points = [SimpleNamespace(x=(first + at) / 100, y=(first + at) / 200) for at in range(21)]
        setattr(found, f"{side}_hand_landmarks", SimpleNamespace(landmark=points) if number in hands else None)
        setattr(found, mediapipe_holistic._PRESENCE.format(number + 1), 0.75 + number / 10)
    return found


def test_the_points_are_in_px_and_score_visibility_or_presence():
    keypoint, score = keypoints_of(result(hands=[1]), 200, 400)
    assert keypoint.shape == (1, 75, 2) and keypoint.dtype == score.dtype == np.float32
    given = np.r_[0:33, 54:75]
    np.testing.assert_allclose(keypoint[0, given], np.stack([2.0 * given, 2.0 * given], 1), rtol=1e-6)
    np.testing.assert_allclose(score[0, :33], np.arange(33) / 40, rtol=1e-6)
    np.testing.assert_allclose(score[0, 54:], 0.85)
    assert not keypoint[0, 33:54].any() and not score[0, 33:54].any()
    left = keypoints_of(result(hands=[0]), 200, 400)
    np.testing.assert_allclose(left[0][0, 33:54, 0], 2 * np.arange(33, 54), rtol=1e-6)
    np.testing.assert_allclose(left[1][0, 33:], [0.75] * 21 + [0] * 21)
    nobody = keypoints_of(SimpleNamespace(pose_landmarks=None), 200, 400)
    assert [array.shape for array in nobody] == [(0, 75, 2), (0, 75)]


# MediaPipe's: 11 the person's left shoulder, 15 the left wrist, 2 the left eye; tips of fingers are 4, 8, ..., 20.
@pytest.mark.parametrize(
    ("layout", "joint", "made_of"),
    [
        ("openpose22", "left_shoulder", (12,)),
        ("openpose22", "left_hand", (16,)),
        ("openpose22", "right_hand", (15,)),
        ("openpose22", "right_eye", (2,)),
        ("openpose22", "neck", (11, 12)),
        *(("openpose22", f"right_finger_{at}", (33 + 4 * at,)) for at in range(1, 6)),
        *(("openpose22", f"left_finger_{at}", (54 + 4 * at,)) for at in range(1, 6)),
        ("coco17", "left_shoulder", (11,)),
        ("coco17", "left_wrist", (15,)),
        ("coco17", "right_ankle", (28,)),
        ("wholebody133", "left_hand_root", (33,)),
        ("wholebody133", "left_thumb1", (34,)),
        ("wholebody133", "left_thumb2", (35,)),
        ("wholebody133", "left_thumb3", (36,)),
        ("wholebody133", "right_pinky_finger4", (74,)),
        ("wholebody133", "right_middle_finger2", (64,)),
        ("wholebody133", "left_heel", (29,)),
    ],
)
def test_joints_come_from_the_points_that_they_are(layout, joint, made_of):
    target = get_layout(layout)
    assert joint_map(MEDIAPIPE75, target).joints[target.joints.index(joint)] == made_of


@pytest.mark.parametrize(("layout", "missing"), [("openpose22", 0), ("coco17", 0), ("wholebody133", 68 + 4)])
def test_what_mediapipe_does_not_give_is_the_face_and_the_toes(layout, missing):
    names = joint_map(MEDIAPIPE75, get_layout(layout)).missing
    assert len(names) == missing and all("face" in name or "toe" in name for name in names)


def test_without_mediapipe_one_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "mediapipe", None)
    with pytest.raises(
        HostError, match="need MediaPipe, which is not installed; run: pip install -r requirements/video"
    ):
        load_estimator("mediapipe")


@needs_mediapipe
def test_a_model_that_is_not_there_is_told_and_not_fetched(capfd, monkeypatch, tmp_path):
    monkeypatch.setattr(mediapipe_holistic, "_mediapipe", lambda: tmp_path)
    with pytest.raises(HostError, match="wheel does not hold pose_landmark_heavy.tflite; .*model_complexity=2"):
        load_estimator("mediapipe-heavy")


@needs_mediapipe
def test_nobody_is_nobody_and_nothing_is_written_to_stderr(capfd):
    estimator = load_estimator("mediapipe")
    keypoint, score = estimator.find(np.full((120, 160, 3), 90, np.uint8))
    assert keypoint.shape == (0, 75, 2) and score.shape == (0, 75)
    assert capfd.readouterr().err == ""


@needs_mediapipe
def test_the_graph_without_the_face_gives_what_mediapipe_gives(person, capfd):
    import mediapipe

    own, official = load_estimator("mediapipe"), mediapipe.solutions.holistic.Holistic()
    hands = 0
    for frame in person[:15]:
        keypoint, score = own.find(frame)
        given = official.process(frame)
        height, width = frame.shape[:2]
        body = np.array([(point.x * width, point.y * height) for point in given.pose_landmarks.landmark])
        there = score[0, :33] > 0
        np.testing.assert_allclose(keypoint[0, :33][there], body[there], rtol=1e-5)
        for name, _, first in mediapipe_holistic._HANDS:
            hand = getattr(given, name)
            assert (score[0, first] > 0) == (hand is not None)
            if hand is not None:
                hands += 1
                points = np.array([(point.x * width, point.y * height) for point in hand.landmark])
                np.testing.assert_allclose(keypoint[0, first : first + 21], points, rtol=1e-5)
    assert hands > 5 or VIDEO not in os.environ


@needs_mediapipe
def test_it_is_repeatable_with_any_number_of_threads_and_after_a_reset(person):
    runs = []
    for threads in (0, 1, 2):
        estimator = load_estimator("mediapipe", threads)
        for _ in range(2):
            estimator.reset()
            runs.append(np.concatenate([estimator.find(frame)[0] for frame in person[:15]]))
    for run in runs[1:]:
        np.testing.assert_array_equal(run, runs[0])


@needs_mediapipe
def test_the_points_follow_the_person(portrait):
    recording = estimate(portrait, layout="coco17", end=2.0)
    assert recording.keypoint.shape == (1, 50, 17, 2) and recording.fps == 25
    for name in ("nose", "left_eye", "right_eye", "left_shoulder", "right_shoulder"):
        x, y = recording.keypoint[0, 10:, recording.layout.joints.index(name)].T
        # MediaPipe smooths, so that it comes a little behind: 5 px at 12 px a frame at most.
        assert np.abs(x - x.mean() - sway(50)[10:]).max() < 25 and np.ptp(y) < 40, name
        assert np.corrcoef(x, sway(50)[10:])[0, 1] > 0.97, name


@needs_mediapipe
def test_left_and_right_of_a_person_who_faces_the_camera(path):
    recordings = {layout: estimate(path, layout=layout, end=1.0) for layout in ("openpose22", "coco17", "wholebody133")}
    for layout, recording in recordings.items():
        joint = {name: at for at, name in enumerate(recording.layout.joints)}
        x = recording.keypoint[0, :, :, 0]
        left_first = (x[:, joint["left_shoulder"]] < x[:, joint["right_shoulder"]]).mean()
        # The person's left is on the right of the image; openpose22 names the sides of the image.
        assert left_first > 0.9 if layout == "openpose22" else left_first < 0.1
        assert (recording.keypoint_score[0, :, joint["nose"]] > 0.9).mean() > 0.9
        there = recording.keypoint[recording.keypoint_score > 0.5]
        assert (there > 0).all() and there[:, 0].max() < 2 * recording.image_shape[1]
    # Fingertips are near the wrist of their own side.
    recording = recordings["openpose22"]
    joint = {name: at for at, name in enumerate(recording.layout.joints)}
    for side, other in (("left", "right"), ("right", "left")):
        names = f"{side}_finger_3", f"{side}_hand", f"{other}_hand"
        tip, wrist, far = (recording.keypoint[0, :, joint[name]] for name in names)
        seen = recording.keypoint_score[0, :, joint[f"{side}_finger_3"]] > 0.5
        if seen.sum() > 5:
            assert np.median(np.linalg.norm(tip - wrist, axis=1)[seen] - np.linalg.norm(tip - far, axis=1)[seen]) < 0
