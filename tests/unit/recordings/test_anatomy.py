"""Doubts about the order of joints: no body looks like that, and whose order would fit; never about honest bodies."""

import pickle

import numpy as np
import pytest

from pyskl_semloss.recordings.assembly import RecordingOptions, make_recording
from pyskl_semloss.recordings.openpose import read_openpose
from pyskl_semloss.recordings.plausibility import anatomy_issues, joint_orders, plausibility_issues, side_issues
from pyskl_semloss.skeletons import get_layout, layout_names
from pyskl_semloss.skeletons.joint_names import body_points
from pyskl_semloss.synthetic.clips import generate

NAMES = [name for name in layout_names() if "mistakes" not in name]
_MIRRORED = {"left": "right", "right": "left", "": ""}


def bodies(joints, frames=12, seed=0):
    """Points (T, 2) by what they are, of a body of all the joints of the layouts of persons, which sways."""
    rng = np.random.default_rng(seed)
    places = {}
    for name in ("wholebody133", "kinect25", "openpose67", "openpose25", "coco17"):
        places |= dict(zip(body_points(get_layout(name)), get_layout(name).rest_pose, strict=True))
    neck, head = np.array(places["", "neck"]), np.array(places["", "head"])
    places |= {("", "head_top"): head + [0, -0.08], ("", "thorax"): neck, ("", "neck_base"): neck}
    places |= {("", "spine"): places["", "spine_mid"], ("", "pelvis"): places["", "mid_hip"]}
    sway = rng.normal(0, 0.004, (frames, 2))
    return np.stack([np.array(places[point]) + sway for point in joints], 1) * 800 + 100


def of_layout(layout):
    """Bodies in a layout's own order; where its sides are the image's, the person's right is the left."""
    exchanged = layout.sides == "image"
    return bodies([(_MIRRORED[side] if exchanged else side, part) for side, part in body_points(layout)])


def doubts(points, layout, scores=None):
    return anatomy_issues(points, np.ones(points.shape[:2]) if scores is None else scores, layout)


@pytest.mark.parametrize("name", NAMES)
def test_honest_bodies_are_not_doubted(name):
    layout = get_layout(name)
    points = of_layout(layout)
    turn = np.array([[0.6, -0.8], [0.8, 0.6]])
    for each in (points, points @ turn, -points, points * [-1, 1], points * [0.2, 1], points * [1, 0.4]):
        assert doubts(each, layout) == []
    for each in (points, points @ turn, -points):
        assert side_issues(each, np.ones(each.shape[:2]), layout) == []
    # Hips that are guessed at the edge of the image have low scores.
    scores = np.ones(points.shape[:2])
    low = [at for at, (_, part) in enumerate(body_points(layout)) if part in ("hip", "knee", "ankle", "mid_hip")]
    guessed, scores[:, low] = points.copy(), 0.2
    guessed[:, low] = np.random.default_rng(0).uniform(0, 1000, guessed[:, low].shape)
    assert doubts(guessed, layout, scores) == []


@pytest.mark.parametrize("name", NAMES)
def test_mixed_joints_are_doubted(name):
    layout = get_layout(name)
    rng = np.random.default_rng(3)
    for _ in range(5):
        (doubt,) = doubts(of_layout(layout)[:, rng.permutation(layout.num_joints)], layout)
        assert f"are these the joints of {name}, in its order?" in doubt or "they lie like the joints of" in doubt


@pytest.mark.parametrize(
    ("name", "title"),
    [("openpose25", "OpenPose BODY_25B"), ("openpose25", "kinect25"), ("kinect25", "openpose25"),
     ("kinect25", "OpenPose BODY_25B"), ("coco17", "Human3.6M"), ("kinect20", "Kinect v1"), ("kinect20", "UTD-MHAD")],
)  # fmt: skip
def test_points_in_the_order_of_another_layout(name, title):
    order = dict(joint_orders(get_layout(name).num_joints))[title]
    (doubt,) = doubts(bodies(order), get_layout(name))
    assert "they lie like the joints of " in doubt and title in doubt


def test_bodies_of_sitting_persons_are_not_doubted():
    """Knees at the hips, legs crossed, arms folded, head bowed to the chest."""
    layout = get_layout("openpose25")
    points, place = of_layout(layout), {point: at for at, point in enumerate(body_points(layout))}
    folded, seated, bowed = points.copy(), points.copy(), points.copy()
    for side, other in (("left", "right"), ("right", "left")):
        folded[:, place[side, "wrist"]] = points[:, place[other, "elbow"]]
        seated[:, place[side, "knee"]] = points[:, place[other, "hip"]] + [0, 20]
        for part in ("ankle", "heel", "big_toe", "small_toe"):
            seated[:, place[side, part]] = points[:, place[other, part]] - [0, 150]
    face = [at for point, at in place.items() if point[1] in ("nose", "eye", "ear")]
    bowed[:, face] += [0, 140]
    for each in (folded, seated, bowed):
        assert doubts(each, layout) == []


def test_real_and_synthetic_bodies_are_not_doubted(shared_dir):
    layout = get_layout("kinect20")
    for file in ("utd_mhad/utd_mhad.pkl", "msr_action3d/msr_action3d.pkl"):
        for clip in pickle.loads((shared_dir / "data" / file).read_bytes())["annotations"][::3]:
            points = clip["keypoint"][0].astype(float)
            scores = (points.any(-1) & (np.abs(points) < 5000).all(-1)).astype(float)
            assert doubts(np.where(scores[..., None] > 0, points, 0), layout, scores) == [], clip["frame_dir"]
    for clip in generate(320, 5).clips:
        found = plausibility_issues(clip.keypoint[0], clip.keypoint_score[0], get_layout("openpose22"), clip.img_shape)
        assert not any("joints" in doubt or "exchanged" in doubt for doubt in found)


def test_left_and_right_exchanged():
    for name in ("coco17", "openpose22", "openpose67"):
        layout = get_layout(name)
        exchanged = of_layout(layout)[:, list(layout.joint_mirror)]
        (doubt,) = plausibility_issues(exchanged, np.ones(exchanged.shape[:2]), layout, (1080, 1920))
        assert doubt == "left and right look exchanged, or the person is seen from behind"
    # A body whose left elbow is at its right shoulder.
    layout = get_layout("coco17")
    points = of_layout(layout)
    points[:, [7, 8, 9, 10]] = points[:, [8, 7, 10, 9]]
    (doubt,) = doubts(points, layout)
    assert doubt.startswith("the left elbow is at the right shoulder")


def test_a_few_frames_and_faces_alone_say_nothing():
    layout = get_layout("coco17")
    points = of_layout(layout)[:, np.random.default_rng(3).permutation(17)]
    assert doubts(points[:4], layout) == [] and doubts(points[:0], layout) == []
    face = np.zeros(points.shape[:2])
    face[:, :5] = 1
    assert doubts(points, layout, face) == [] and doubts(points, layout, face * 0) == []


def test_the_recording_of_body_25b_is_doubted(shared_dir):
    """Its eyes are said to be below the hips, and whose joints they are."""
    found = read_openpose(shared_dir / "cases" / "07_openpose_body_25b" / "talk")
    _, facts, _ = make_recording(found, RecordingOptions((1080, 1920), 25.0, get_layout("openpose22")))
    (doubt,) = facts["doubts"]
    assert "the left eye is below the hips" in doubt and doubt.endswith("the joints of OpenPose BODY_25B")


@pytest.mark.parametrize("turned", [False, True])
def test_an_image_whose_sides_are_exchanged(turned):
    layout = get_layout("coco17")
    points = of_layout(layout) * [1, 0.7] + [600, 0]
    shape = (1920, 1080) if turned else (1080, 1920)
    found = plausibility_issues(points, np.ones(points.shape[:2]), layout, shape)
    assert bool(found) == turned
    if turned:
        assert found[0].endswith(
            "outside an image of 1080x1920, none of 1920x1080: are its width and height exchanged?"
        )
