"""Maps between layouts: against indices typed by hand, against a person in front of a camera, and laws."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyskl_semloss.errors import InputError
from pyskl_semloss.skeletons import SkeletonLayout, get_layout, joint_map, layout_names
from pyskl_semloss.skeletons.joint_names import point_of

NAMES = [name for name in layout_names() if "mistakes" not in name]
LARGE = ("openpose67", "wholebody133")


def numbered(layout):
    """Points that tell which joint they are: joint v is at (v + 1, 1000 + v), with score (v + 1) / 200."""
    at = np.arange(layout.num_joints, dtype=np.float64)
    return np.stack([at + 1, at + 1000], -1), (at + 1) / 200


def test_openpose22_is_made_of_body25_and_fingertips():
    """BODY_25's 0-7 and 15-18, OpenPose's right on the kit's left; then points 4, 8, 12, 16, 20 of each hand."""
    made = joint_map(get_layout("openpose67"), get_layout("openpose22"))
    right, left = [46 + at for at in (4, 8, 12, 16, 20)], [25 + at for at in (4, 8, 12, 16, 20)]
    assert [used for (used,) in made.joints] == [*range(8), *range(15, 19), *right, *left]
    assert made.missing == made.derived == ()


def test_wholebody_to_openpose22():
    made = joint_map(get_layout("wholebody133"), get_layout("openpose22"))
    body = [(0,), (5, 6), (6,), (8,), (10,), (5,), (7,), (9,), (2,), (1,), (4,), (3,)]
    right, left = [(112 + at,) for at in (4, 8, 12, 16, 20)], [(91 + at,) for at in (4, 8, 12, 16, 20)]
    assert list(made.joints) == [*body, *right, *left]
    assert made.derived == ("neck",) and made.missing == ()


def test_coco17_to_body25():
    made = joint_map(get_layout("coco17"), get_layout("openpose25"))
    expected = "0 5+6 6 8 10 5 7 9 11+12 12 14 16 11 13 15 2 1 4 3".split()
    assert ["+".join(map(str, used)) for used in made.joints[:19]] == expected
    assert made.joints[19:] == ((),) * 6 and made.derived == ("Neck", "MidHip")
    assert made.missing == ("LBigToe", "LSmallToe", "LHeel", "RBigToe", "RSmallToe", "RHeel")


@pytest.mark.parametrize("source", ["coco17", "openpose25", "kinect25", "wholebody133", "openpose67", "kinect20"])
def test_left_in_openpose22_is_left_in_the_image(source):
    """The rest poses are persons from the front, so that what is left must come to lie on the left."""
    layout, target = get_layout(source), get_layout("openpose22")
    points, scores = joint_map(layout, target).apply(np.array(layout.rest_pose), np.ones(layout.num_joints))
    for left, right in target.mirror_pairs:
        if scores[left] and scores[right]:
            assert points[left, 0] < 0.5 < points[right, 0]
    # The shoulders at least are there.
    assert scores[[2, 5]].all()
    back, known = joint_map(target, layout).apply(points, scores)
    same = known > 0
    derived = [layout.joints.index(name) for name in joint_map(target, layout).derived]
    same[derived] = False
    np.testing.assert_allclose(back[same], np.array(layout.rest_pose)[same])
    assert same.sum() >= 5


@pytest.mark.parametrize("source", NAMES)
@pytest.mark.parametrize("target", NAMES)
def test_a_mirrored_person_is_the_mirror_image(source, target):
    """Mirroring and then mapping is mapping and then mirroring; a wrong side anywhere breaks it."""
    a, b = get_layout(source), get_layout(target)
    rng = np.random.default_rng(3)
    points, scores = rng.uniform(0, 1, (2, a.num_joints, 2)), rng.uniform(0.1, 1, (2, a.num_joints))
    made = joint_map(a, b)

    def mirrored(points, scores, layout):
        order = list(layout.joint_mirror)
        return (points * [-1, 1] + [1, 0] * (scores > 0)[..., None])[:, order], scores[:, order]

    first = mirrored(*made.apply(points, scores), b)
    second = made.apply(*mirrored(points, scores, a))
    for one, other in zip(first, second, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-12)


@pytest.mark.parametrize("name", layout_names())
@pytest.mark.filterwarnings("ignore:.*release22_with_mistakes")
def test_a_layout_to_itself_changes_nothing(name):
    layout = get_layout(name)
    points, scores = numbered(layout)
    made = joint_map(layout, layout)
    np.testing.assert_array_equal(made.apply(points, scores)[0], points)
    np.testing.assert_array_equal(made.apply(points, scores)[1], scores)
    assert made.missing == made.derived == ()


def test_same_names_with_other_sides_are_exchanged():
    layout = get_layout("wholebody133")
    image = dataclasses.replace(layout, name="mine", sides="image")
    made = joint_map(layout, image)
    assert [used for (used,) in made.joints] == list(layout.joint_mirror)  # the face, too, which no name tells


def test_neck_is_the_middle_of_the_shoulders_with_the_lower_score():
    coco, target = get_layout("coco17"), get_layout("openpose22")
    points, scores = np.zeros((3, 17, 2), np.float32), np.zeros((3, 17), np.float32)
    points[:, 5], points[:, 6] = (400, 100), (200, 140)
    scores[:, 5], scores[:, 6] = 0.9, (0.4, 0.8, 0.0)
    made, known = joint_map(coco, target).apply(points, scores)
    np.testing.assert_allclose(made[:, 1], [(300, 120), (300, 120), (0, 0)])
    np.testing.assert_allclose(known[:, 1], [0.4, 0.8, 0])
    np.testing.assert_array_equal(made[:, 2], points[:, 6])  # person's right, image's left
    assert made.dtype == known.dtype == np.float32
    assert not made[:, 12:].any() and not known[:, 12:].any()


def test_kinects_neck_is_not_openposes():
    """SpineShoulder lies between the shoulders, where OpenPose's neck is; Kinect's own neck lies above it."""
    kinect = get_layout("kinect25")
    made = joint_map(kinect, get_layout("openpose22"))
    assert [kinect.joints[used] for used in made.joints[1]] == ["SpineShoulder"]
    back = joint_map(get_layout("wholebody133"), kinect)
    assert {"SpineShoulder", "SpineBase", "Neck", "Head", "HandLeft", "HandTipRight"} <= set(back.derived)
    assert back.joints[kinect.joints.index("SpineShoulder")] == (5, 6)
    assert back.joints[kinect.joints.index("HandLeft")] == (9, 100)
    assert back.missing == ("FootLeft", "FootRight")  # neither ankle nor toe


def test_hands_of_openpose22_are_wrists():
    made = joint_map(get_layout("openpose22"), get_layout("coco17"))
    assert made.joints[9] == (7,) and made.joints[10] == (4,)


@pytest.mark.parametrize(
    ("names", "point"),
    [
        (
            (
                "LShoulder",
                "left_shoulder",
                "ShoulderLeft",
                "shoulder_l",
                "Left Shoulder",
                "l-shoulder",
                "lshoulder",
                "leftshoulder",
                "LEFT_SHOULDER",
            ),
            ("left", "shoulder"),
        ),
        (("rightear", "REar", "right_ear"), ("right", "ear")),
        (("MidHip", "mid_hip", "hip_centre", "HipCenter", "pelvis", "SpineBase", "Hips", "midhip"), ("", "mid_hip")),
        (("right_forefinger4", "RIndex4", "right_index_finger_tip", "index_tip_r"), ("right", "index_4")),
        (("left_thumb4", "thumb_tip_l", "ThumbLeft"), ("left", "thumb_4")),
        (("left_thumb2", "left_thumb_mcp"), ("left", "thumb_2")),
        (("left_thumb3", "left_thumb_ip"), ("left", "thumb_3")),
        (("right_pinky_finger3", "RLittle3", "right_pinky_dip"), ("right", "little_3")),
        (("LSmallToe", "left_small_toe"), ("left", "small_toe")),
        (("nose", "Nose", "NOSE"), ("", "nose")),
    ],
)
def test_names_of_one_point(names, point):
    assert {name: point_of(name) for name in names} == dict.fromkeys(names, point)


def test_words_that_begin_with_a_letter_of_a_side_have_none():
    assert point_of("rear") == ("", "rear") and point_of("lip") == ("", "lip") and point_of("rib") == ("", "rib")


def test_ankle_and_foot_are_two_points():
    assert point_of("left_ankle") != point_of("FootLeft") != point_of("left_heel") != point_of("left_big_toe")


def test_aliases():
    mine = SkeletonLayout("mine", ("top", "a_b", "c_d"), ((0, 1), (0, 2)), ((1, 2),))
    coco = get_layout("coco17")
    with pytest.raises(InputError, match="no joint of layout 'coco17' is in layout 'mine'"):
        joint_map(mine, coco)
    made = joint_map(mine, coco, {"nose": "top", "left_wrist": "a_b"})
    assert made.joints[0] == (0,) and made.joints[9] == (1,) and len(made.missing) == 15
    with pytest.raises(InputError, match="layout 'mine' has no joint 'tip'.*did you mean 'top'"):
        joint_map(mine, coco, {"nose": "tip"})
    with pytest.raises(InputError, match="field 'aliases': layout 'coco17' has no joint 'noze'"):
        joint_map(mine, coco, {"noze": "top"})


def test_wrong_arrays_are_refused():
    made = joint_map(get_layout("coco17"), get_layout("openpose22"))
    with pytest.raises(InputError, match=r"expected \(\.\.\., 17, 2\)"):
        made.apply(np.zeros((5, 18, 2)), np.zeros((5, 18)))
    with pytest.raises(InputError, match="coco17"):
        made.apply(np.zeros((5, 17, 2)), np.zeros((4, 17)))


@settings(deadline=None, max_examples=30)
@given(st.sampled_from(NAMES), st.sampled_from(NAMES), st.integers(0, 2**32 - 1))
def test_what_is_made_lies_between_what_is_used(source, target, seed):
    a, b = get_layout(source), get_layout(target)
    rng = np.random.default_rng(seed)
    points = rng.uniform(-50, 50, (2, 3, a.num_joints, 2))
    scores = rng.uniform(0, 1, (2, 3, a.num_joints)) * (rng.random((2, 3, a.num_joints)) > 0.3)
    made = joint_map(a, b)
    out, known = made.apply(points, scores)
    assert out.shape == (2, 3, b.num_joints, 2)
    for joint, used in enumerate(made.joints):
        if not used:
            assert b.joints[joint] in made.missing and not known[..., joint].any()
            continue
        np.testing.assert_array_equal(known[..., joint], scores[..., used].min(-1))
        inside = known[..., joint] > 0
        low, high = points[..., used, :].min(-2), points[..., used, :].max(-2)
        assert ((out[..., joint, :] >= low - 1e-9) & (out[..., joint, :] <= high + 1e-9))[inside].all()


@pytest.mark.parametrize("name", LARGE)
def test_large_layouts_are_sound(name):
    layout = get_layout(name)
    joints, body = (133, "coco17") if name == "wholebody133" else (67, "openpose25")
    assert layout.num_joints == joints and layout.joints[: get_layout(body).num_joints] == get_layout(body).joints
    assert layout.unmirrored_limbs == () and layout.sides == "person"
    pose = np.array(layout.rest_pose)
    np.testing.assert_allclose(pose[list(layout.joint_mirror)], pose * [-1, 1] + [1, 0], atol=1e-9)
    apart = np.linalg.norm(pose[:, None] - pose[None], axis=-1) + np.eye(joints)
    assert apart.min() > 0.018
    for left, right in layout.mirror_pairs:
        a, b = layout.joints[left], layout.joints[right]
        assert a.startswith("face_") or b in (a.replace("left", "right"), "R" + a[1:])
        assert pose[left, 0] > 0.5  # the person's left, from the front
    hands = {91: 112} if joints == 133 else {25: 46}
    for left, right in hands.items():
        for first in (left, right):
            limbs = {limb for limb in layout.limbs if first <= limb[0] < first + 21}
            chains = {(first if at % 4 == 1 else first + at - 1, first + at) for at in range(1, 21)}
            assert limbs == chains


def test_wholebody_is_mmposes_order():
    """Names and pairs of some of MMPose's coco_wholebody, typed from its list."""
    layout = get_layout("wholebody133")
    names = {17: "left_big_toe", 19: "left_heel", 20: "right_big_toe", 23: "face_0", 90: "face_67",
             91: "left_hand_root",
             95: "left_thumb4", 99: "left_forefinger4", 111: "left_pinky_finger4", 112: "right_hand_root",
             116: "right_thumb4", 132: "right_pinky_finger4"}  # fmt: skip
    assert {at: layout.joints[at] for at in names} == names
    swaps = "0-16 8-8 17-26 21-22 27-27 31-35 33-33 36-45 39-42 40-47 41-46 48-54 51-51 55-59 57-57 60-64 62-62 65-67"
    for pair in swaps.split():
        a, b = (23 + int(number) for number in pair.split("-"))
        assert layout.joint_mirror[a] == b and layout.joint_mirror[b] == a
    assert len(layout.mirror_pairs) == 8 + 3 + 29 + 21
