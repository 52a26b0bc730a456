"""The layouts that the recipes use, as data: for each joint its name and its place in the picture (x, y, y down)."""

from __future__ import annotations

from pyskl_semloss.skeletons.layout import SkeletonLayout
from pyskl_semloss.skeletons.wholebody import openpose_with_hands, wholebody133

# fmt: off
_OPENPOSE22 = (
    ("nose", 0.50, 0.13),
    ("neck", 0.50, 0.29),
    ("left_shoulder", 0.32, 0.31),
    ("left_elbow", 0.22, 0.49),
    ("left_hand", 0.22, 0.67),
    ("right_shoulder", 0.68, 0.31),
    ("right_elbow", 0.78, 0.49),
    ("right_hand", 0.78, 0.67),
    ("left_eye", 0.43, 0.06),
    ("right_eye", 0.57, 0.06),
    ("left_ear", 0.35, 0.11),
    ("right_ear", 0.65, 0.11),
    ("left_finger_1", 0.37, 0.77),
    ("left_finger_2", 0.31, 0.83),
    ("left_finger_3", 0.23, 0.86),
    ("left_finger_4", 0.15, 0.84),
    ("left_finger_5", 0.08, 0.79),
    ("right_finger_1", 0.63, 0.77),
    ("right_finger_2", 0.69, 0.83),
    ("right_finger_3", 0.77, 0.86),
    ("right_finger_4", 0.85, 0.84),
    ("right_finger_5", 0.92, 0.79),
)
_KINECT25 = (
    ("SpineBase", 0.50, 0.53),
    ("SpineMid", 0.50, 0.38),
    ("Neck", 0.50, 0.16),
    ("Head", 0.50, 0.05),
    ("ShoulderLeft", 0.65, 0.25),
    ("ElbowLeft", 0.74, 0.38),
    ("WristLeft", 0.79, 0.51),
    ("HandLeft", 0.81, 0.59),
    ("ShoulderRight", 0.35, 0.25),
    ("ElbowRight", 0.26, 0.38),
    ("WristRight", 0.21, 0.51),
    ("HandRight", 0.19, 0.59),
    ("HipLeft", 0.58, 0.56),
    ("KneeLeft", 0.61, 0.73),
    ("AnkleLeft", 0.62, 0.88),
    ("FootLeft", 0.68, 0.95),
    ("HipRight", 0.42, 0.56),
    ("KneeRight", 0.39, 0.73),
    ("AnkleRight", 0.38, 0.88),
    ("FootRight", 0.32, 0.95),
    ("SpineShoulder", 0.50, 0.23),
    ("HandTipLeft", 0.82, 0.68),
    ("ThumbLeft", 0.72, 0.58),
    ("HandTipRight", 0.18, 0.68),
    ("ThumbRight", 0.28, 0.58),
)
_KINECT20 = (
    ("right_shoulder", 0.36, 0.23),
    ("left_shoulder", 0.64, 0.23),
    ("neck", 0.50, 0.20),
    ("spine", 0.50, 0.38),
    ("right_hip", 0.42, 0.57),
    ("left_hip", 0.58, 0.57),
    ("hip_centre", 0.50, 0.51),
    ("right_elbow", 0.27, 0.37),
    ("left_elbow", 0.73, 0.37),
    ("right_wrist", 0.22, 0.50),
    ("left_wrist", 0.78, 0.50),
    ("right_hand", 0.20, 0.59),
    ("left_hand", 0.80, 0.59),
    ("right_knee", 0.40, 0.74),
    ("left_knee", 0.60, 0.74),
    ("right_ankle", 0.39, 0.88),
    ("left_ankle", 0.61, 0.88),
    ("right_foot", 0.33, 0.95),
    ("left_foot", 0.67, 0.95),
    ("head", 0.50, 0.07),
)
_COCO17 = (
    ("nose", 0.50, 0.10),
    ("left_eye", 0.57, 0.05),
    ("right_eye", 0.43, 0.05),
    ("left_ear", 0.64, 0.10),
    ("right_ear", 0.36, 0.10),
    ("left_shoulder", 0.65, 0.24),
    ("right_shoulder", 0.35, 0.24),
    ("left_elbow", 0.74, 0.38),
    ("right_elbow", 0.26, 0.38),
    ("left_wrist", 0.79, 0.52),
    ("right_wrist", 0.21, 0.52),
    ("left_hip", 0.59, 0.54),
    ("right_hip", 0.41, 0.54),
    ("left_knee", 0.61, 0.74),
    ("right_knee", 0.39, 0.74),
    ("left_ankle", 0.62, 0.94),
    ("right_ankle", 0.38, 0.94),
)
_OPENPOSE25 = (
    ("Nose", 0.50, 0.10),
    ("Neck", 0.50, 0.21),
    ("RShoulder", 0.36, 0.23),
    ("RElbow", 0.27, 0.37),
    ("RWrist", 0.22, 0.51),
    ("LShoulder", 0.64, 0.23),
    ("LElbow", 0.73, 0.37),
    ("LWrist", 0.78, 0.51),
    ("MidHip", 0.50, 0.51),
    ("RHip", 0.41, 0.53),
    ("RKnee", 0.39, 0.70),
    ("RAnkle", 0.38, 0.85),
    ("LHip", 0.59, 0.53),
    ("LKnee", 0.61, 0.70),
    ("LAnkle", 0.62, 0.85),
    ("REye", 0.43, 0.04),
    ("LEye", 0.57, 0.04),
    ("REar", 0.36, 0.09),
    ("LEar", 0.64, 0.09),
    ("LBigToe", 0.64, 0.95),
    ("LSmallToe", 0.71, 0.93),
    ("LHeel", 0.56, 0.92),
    ("RBigToe", 0.36, 0.95),
    ("RSmallToe", 0.29, 0.93),
    ("RHeel", 0.44, 0.92),
)
_PLACE25 = {row[0]: row for row in _OPENPOSE25}
_OPENPOSE18 = tuple(
    _PLACE25[name]
    for name in (
        "Nose", "Neck", "RShoulder", "RElbow", "RWrist", "LShoulder", "LElbow", "LWrist", "RHip", "RKnee", "RAnkle",
        "LHip", "LKnee", "LAnkle", "REye", "LEye", "REar", "LEar",
    )
)

_OPENPOSE22_LIMBS = (
    (0, 1), (1, 2), (2, 3), (3, 4), (1, 5), (5, 6), (6, 7), (0, 8), (8, 10), (0, 9), (9, 11),
    (4, 12), (4, 13), (4, 14), (4, 15), (4, 16), (7, 17), (7, 18), (7, 19), (7, 20), (7, 21),
)
_RELEASE22_LIMBS = (
    (0, 1), (2, 1), (2, 3), (3, 4), (4, 5), (2, 6), (6, 7), (7, 8), (1, 9), (9, 11), (1, 10), (10, 11),
    (5, 12), (5, 13), (5, 14), (5, 15), (5, 16), (8, 17), (8, 18), (8, 19), (8, 20), (8, 21),
)
_KINECT25_LIMBS = (
    (3, 2), (2, 20), (20, 1), (1, 0), (20, 4), (20, 8), (0, 12), (0, 16),
    (4, 5), (5, 6), (6, 7), (7, 21), (6, 22), (8, 9), (9, 10), (10, 11), (11, 23), (10, 24),
    (12, 13), (13, 14), (14, 15), (16, 17), (17, 18), (18, 19),
)
_KINECT20_LIMBS = (
    (19, 2), (2, 0), (2, 1), (2, 3), (3, 6), (0, 7), (7, 9), (9, 11), (1, 8), (8, 10), (10, 12),
    (6, 4), (6, 5), (4, 13), (13, 15), (15, 17), (5, 14), (14, 16), (16, 18),
)
_COCO17_LIMBS = (
    (0, 1), (0, 2), (1, 3), (2, 4), (0, 5), (5, 7), (7, 9), (0, 6), (6, 8), (8, 10),
    (5, 11), (11, 13), (13, 15), (6, 12), (12, 14), (14, 16), (11, 12),
)
_OPENPOSE25_LIMBS = (
    (1, 8), (1, 2), (1, 5), (2, 3), (3, 4), (5, 6), (6, 7), (8, 9), (9, 10), (10, 11), (8, 12), (12, 13), (13, 14),
    (1, 0), (0, 15), (15, 17), (0, 16), (16, 18), (14, 19), (19, 20), (14, 21), (11, 22), (22, 23), (11, 24),
)
_OPENPOSE18_LIMBS = (
    (1, 2), (1, 5), (2, 3), (3, 4), (5, 6), (6, 7), (1, 8), (8, 9), (9, 10), (1, 11), (11, 12), (12, 13), (1, 0),
    (0, 14), (14, 16), (0, 15), (15, 17),
)
# fmt: on


def _layout(
    name: str,
    joints: tuple[tuple[str, float, float], ...],
    limbs: tuple[tuple[int, int], ...],
    mirror_pairs: tuple[tuple[int, int], ...],
    source: str,
    limb_mirror_pairs: tuple[tuple[int, int], ...] | None = None,
    mistakes: str = "",
    sides: str = "person",
) -> SkeletonLayout:
    names, pose = tuple(row[0] for row in joints), tuple(row[1:] for row in joints)
    return SkeletonLayout(name, names, limbs, mirror_pairs, limb_mirror_pairs, source, mistakes, pose, sides)


_ODD_EVEN = tuple((odd, odd + 1) for odd in range(1, 20, 2))

_ALL = (
    _layout(
        "openpose22",
        _OPENPOSE22,
        _OPENPOSE22_LIMBS,
        ((2, 5), (3, 6), (4, 7), (8, 9), (10, 11), (12, 17), (13, 18), (14, 19), (15, 20), (16, 21)),
        "iMiGUE challenge kit; left and right are the image's, not the person's",
        sides="image",
    ),
    _layout(
        "kinect25",
        _KINECT25,
        _KINECT25_LIMBS,
        ((4, 8), (5, 9), (6, 10), (7, 11), (12, 16), (13, 17), (14, 18), (15, 19), (21, 23), (22, 24)),
        "SMG; joint types and bones of the Kinect v2 SDK; left and right are the person's",
    ),
    _layout(
        "kinect20",
        _KINECT20,
        _KINECT20_LIMBS,
        ((1, 0), (5, 4), (8, 7), (10, 9), (12, 11), (14, 13), (16, 15), (18, 17)),
        "MSR-Action3D, Kinect v1; left and right as its authors name them",
    ),
    _layout(
        "coco17",
        _COCO17,
        _COCO17_LIMBS,
        tuple((odd, odd + 1) for odd in range(1, 16, 2)),
        "COCO keypoints with the limbs of PoseC3D's configs; left and right are the person's",
    ),
    _layout(
        "openpose25",
        _OPENPOSE25,
        _OPENPOSE25_LIMBS,
        ((5, 2), (6, 3), (7, 4), (12, 9), (13, 10), (14, 11), (16, 15), (18, 17), (19, 22), (20, 23), (21, 24)),
        "OpenPose BODY_25 in its own order; left and right are the person's",
    ),
    _layout(
        "openpose18",
        _OPENPOSE18,
        _OPENPOSE18_LIMBS,
        ((5, 2), (6, 3), (7, 4), (11, 8), (12, 9), (13, 10), (15, 14), (17, 16)),
        "OpenPose COCO, 18 joints in its own order, of --model_pose COCO and of versions before BODY_25; "
        "left and right are the person's",
    ),
    _layout(
        "release22_with_mistakes",
        _OPENPOSE22,
        _RELEASE22_LIMBS,
        _ODD_EVEN,
        "the configuration released with the MiGA 2023 paper, on the joints of openpose22",
        limb_mirror_pairs=_ODD_EVEN,
        mistakes="its mirror pairs (1 and 2, 3 and 4, ...) are those of COCO and its limbs are numbered from 1, so "
        "that a flip maps only 3 of its 22 limbs onto limbs; use 'openpose22' unless you reproduce the release",
        sides="image",
    ),
)

_BY_NAME = {layout.name: layout for layout in _ALL}
_HANDS = "then the left and the right hand; left and right are the person's"
_LARGE = (
    openpose_with_hands("openpose67", _BY_NAME["openpose25"], f"OpenPose BODY_25, {_HANDS}"),
    openpose_with_hands("openpose60", _BY_NAME["openpose18"], f"OpenPose COCO, {_HANDS}"),
    wholebody133(_BY_NAME["coco17"]),
)
KNOWN_LAYOUTS: dict[str, SkeletonLayout] = {
    **{name: layout for name, layout in _BY_NAME.items() if not layout.mistakes},
    **{layout.name: layout for layout in _LARGE},
    **{name: layout for name, layout in _BY_NAME.items() if layout.mistakes},
}
