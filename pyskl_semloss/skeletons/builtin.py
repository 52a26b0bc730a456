"""Built-in layouts: joint names with (x, y) in the picture, y down."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from pyskl_semloss.skeletons.layout import SkeletonLayout

Position = tuple[float, float]
Pair = tuple[int, int]
_COCO_FINGERS = ("_thumb", "_forefinger", "_middle_finger", "_ring_finger", "_pinky_finger")
_OPENPOSE_FINGERS = ("Thumb", "Index", "Middle", "Ring", "Little")
_HAND_LIMBS = tuple((0 if step == 1 else at - 1, at) for at in range(1, 21) for step in ((at - 1) % 4 + 1,))
_FEET = ("left_big_toe", "left_small_toe", "left_heel", "right_big_toe", "right_small_toe", "right_heel")
_FEET_LIMBS = ((15, 17), (15, 18), (15, 19), (16, 20), (16, 21), (16, 22))
_FACE = 23
"""The first point of the face in COCO-WholeBody's order."""
# fmt: off
_FACE_PAIRS = (
    (16, 0), (15, 1), (14, 2), (13, 3), (12, 4), (11, 5), (10, 6), (9, 7),  # contour
    (26, 17), (25, 18), (24, 19), (23, 20), (22, 21),  # brows
    (35, 31), (34, 32),  # nose
    (45, 36), (44, 37), (43, 38), (42, 39), (47, 40), (46, 41),  # eyes
    (54, 48), (53, 49), (52, 50), (55, 59), (56, 58),  # outer lips
    (64, 60), (63, 61), (65, 67),  # inner lips
)
_RIGHT_FACE_POSITIONS: dict[int, Position] = {  # the person's right, on the left of the picture, and the middle
    8: (0.500, 0.375),
    17: (0.325, 0.110), 18: (0.355, 0.085), 19: (0.390, 0.075), 20: (0.425, 0.080), 21: (0.458, 0.095),
    27: (0.500, 0.120), 28: (0.500, 0.150), 29: (0.500, 0.180), 30: (0.500, 0.210),
    31: (0.440, 0.230), 32: (0.470, 0.240), 33: (0.500, 0.245),
    36: (0.345, 0.150), 37: (0.370, 0.125), 38: (0.410, 0.125), 39: (0.440, 0.150),
    40: (0.410, 0.172), 41: (0.370, 0.172),
    48: (0.405, 0.300), 49: (0.435, 0.280), 50: (0.468, 0.270), 51: (0.500, 0.275), 57: (0.500, 0.340),
    58: (0.462, 0.335), 59: (0.430, 0.322), 60: (0.438, 0.301), 61: (0.468, 0.295), 62: (0.500, 0.298),
    66: (0.500, 0.318), 67: (0.468, 0.314),
}
_RIGHT_FACE_POSITIONS |= {
    at: (0.5 - 0.215 * math.cos(math.pi / 2 * at / 8), 0.17 + 0.205 * math.sin(math.pi / 2 * at / 8)) for at in range(8)
}
_WHOLEBODY_POSITIONS: dict[str, Position] = {
    "nose": (0.500, 0.040), "left_eye": (0.560, 0.030), "left_ear": (0.640, 0.050),
    "left_shoulder": (0.64, 0.43), "left_elbow": (0.70, 0.50), "left_wrist": (0.74, 0.58),
    "left_hip": (0.57, 0.66), "left_knee": (0.56, 0.79), "left_ankle": (0.56, 0.90),
    "left_big_toe": (0.575, 0.96), "left_small_toe": (0.625, 0.95), "left_heel": (0.525, 0.94),
}
_OPENPOSE_POSITIONS: dict[str, Position] = {
    "Nose": (0.50, 0.12), "Neck": (0.50, 0.25), "MidHip": (0.50, 0.56), "LEye": (0.54, 0.07), "LEar": (0.60, 0.10),
    "LShoulder": (0.62, 0.27), "LElbow": (0.70, 0.39), "LWrist": (0.75, 0.50), "LHip": (0.56, 0.58),
    "LKnee": (0.57, 0.73), "LAnkle": (0.57, 0.87), "LBigToe": (0.60, 0.96), "LSmallToe": (0.66, 0.94),
    "LHeel": (0.54, 0.94),
}
# fmt: on


def _hand_names(root: str, fingers: Sequence[str], side: str) -> tuple[str, ...]:
    return (side + root, *(f"{side}{finger}{point}" for finger in fingers for point in range(1, 5)))


def _hand_positions(root: Position) -> list[Position]:
    """A left hand, on the right of the picture, pointing down, its thumb to the body."""
    positions = [root]
    for angle in (-38, -10, 8, 26, 44):
        turn = math.radians(angle)
        first = 0.06 if angle == -38 else 0.12
        for step in range(4):
            far = first + 0.052 * step
            positions.append((root[0] + far * math.sin(turn), root[1] + far * math.cos(turn)))
    return positions


def _mirrored(names: Sequence[str], pairs: Sequence[Pair], positions: Mapping[int, Position]) -> tuple[Position, ...]:
    """The positions, completed by the mirror images of those that are given."""
    partner = {a: b for pair in pairs for a, b in (pair, pair[::-1])}
    whole = [positions[at] if at in positions else positions[partner[at]] for at in range(len(names))]
    return tuple((x if at in positions else 1 - x, y) for at, (x, y) in enumerate(whole))


def _shifted(limbs: Sequence[Pair], first: int) -> tuple[Pair, ...]:
    return tuple((first + a, first + b) for a, b in limbs)


def wholebody133(coco17: SkeletonLayout) -> SkeletonLayout:
    """COCO-WholeBody on the joints, limbs and pairs of ``coco17``."""
    hands = [_hand_names("_hand_root", _COCO_FINGERS, side) for side in ("left", "right")]
    names = (*coco17.joints, *_FEET, *(f"face_{at}" for at in range(68)), *hands[0], *hands[1])
    left, right = _FACE + 68, _FACE + 68 + 21
    pairs = (
        *coco17.mirror_pairs,
        *((17 + at, 20 + at) for at in range(3)),
        *_shifted(_FACE_PAIRS, _FACE),
        *((left + at, right + at) for at in range(21)),
    )
    positions = {names.index(name): xy for name, xy in _WHOLEBODY_POSITIONS.items()}
    positions |= {_FACE + at: xy for at, xy in _RIGHT_FACE_POSITIONS.items()}
    positions |= {left + at: xy for at, xy in enumerate(_hand_positions((0.76, 0.625)))}
    limbs = (*coco17.limbs, *_FEET_LIMBS, *_shifted(_HAND_LIMBS, left), *_shifted(_HAND_LIMBS, right))
    hands_and_face: tuple[Pair, ...] = ((names.index("left_wrist"), left), (names.index("right_wrist"), right))
    hands_and_face += tuple((names.index("nose"), _FACE + at) for at in range(68))
    return SkeletonLayout(
        "wholebody133", names, limbs, pairs, graph_limbs=(*limbs, *hands_and_face),
        source="COCO-WholeBody, as MMPose writes it; left and right are the person's; the face has no limbs",
        rest_pose=_mirrored(names, pairs, positions),
    )  # fmt: skip


def openpose_with_hands(name: str, body: SkeletonLayout, source: str) -> SkeletonLayout:
    """OpenPose's hands added to a body layout of OpenPose."""
    hands = [_hand_names("HandRoot", _OPENPOSE_FINGERS, side) for side in ("L", "R")]
    names = (*body.joints, *hands[0], *hands[1])
    left, right = body.num_joints, body.num_joints + 21
    pairs = (*body.mirror_pairs, *((left + at, right + at) for at in range(21)))
    positions = {names.index(joint): xy for joint, xy in _OPENPOSE_POSITIONS.items() if joint in names}
    positions |= {left + at: xy for at, xy in enumerate(_hand_positions((0.77, 0.56)))}
    limbs = (*body.limbs, *_shifted(_HAND_LIMBS, left), *_shifted(_HAND_LIMBS, right))
    wrists = ((names.index("LWrist"), left), (names.index("RWrist"), right))
    return SkeletonLayout(
        name, names, limbs, pairs, graph_limbs=(*limbs, *wrists),
        source=source, rest_pose=_mirrored(names, pairs, positions),
    )  # fmt: skip


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
# The graph of NTU RGB+D hangs the thumbs on the hands; the Kinect SDK ties them to the wrists.
_KINECT25_GRAPH = tuple({(6, 22): (7, 22), (10, 24): (11, 24)}.get(limb, limb) for limb in _KINECT25_LIMBS)
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
    graph_limbs: tuple[Pair, ...] | None = None,
) -> SkeletonLayout:
    names, pose = tuple(row[0] for row in joints), tuple(row[1:] for row in joints)
    return SkeletonLayout(
        name, names, limbs, mirror_pairs, limb_mirror_pairs, source, mistakes, pose, sides, graph_limbs
    )


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
        graph_limbs=_KINECT25_GRAPH,
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
