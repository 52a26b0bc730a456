"""Layouts with hands: COCO-WholeBody's 133 points, and OpenPose's bodies with the 21 points of each hand.

Orders: COCO-WholeBody (Jin et al., ECCV 2020) has COCO's 17, six points of the feet, the 68 of the face in the order of
300-W, the left hand and the right. OpenPose writes ``pose_keypoints_2d``, ``hand_left_keypoints_2d`` and
``hand_right_keypoints_2d``. Both order a hand as root, then four points of each finger from the thumb on, tip last.
The pictures enlarge hands and face.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from pyskl_semloss.skeletons.layout import SkeletonLayout

Place = tuple[float, float]
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
_RIGHT_FACE_PLACES: dict[int, Place] = {  # the person's right, on the left of the picture, and the middle
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
_RIGHT_FACE_PLACES |= {
    at: (0.5 - 0.215 * math.cos(math.pi / 2 * at / 8), 0.17 + 0.205 * math.sin(math.pi / 2 * at / 8)) for at in range(8)
}
_WHOLEBODY_PLACES: dict[str, Place] = {
    "nose": (0.500, 0.040), "left_eye": (0.560, 0.030), "left_ear": (0.640, 0.050),
    "left_shoulder": (0.64, 0.43), "left_elbow": (0.70, 0.50), "left_wrist": (0.74, 0.58),
    "left_hip": (0.57, 0.66), "left_knee": (0.56, 0.79), "left_ankle": (0.56, 0.90),
    "left_big_toe": (0.575, 0.96), "left_small_toe": (0.625, 0.95), "left_heel": (0.525, 0.94),
}
_OPENPOSE_PLACES: dict[str, Place] = {
    "Nose": (0.50, 0.12), "Neck": (0.50, 0.25), "MidHip": (0.50, 0.56), "LEye": (0.54, 0.07), "LEar": (0.60, 0.10),
    "LShoulder": (0.62, 0.27), "LElbow": (0.70, 0.39), "LWrist": (0.75, 0.50), "LHip": (0.56, 0.58),
    "LKnee": (0.57, 0.73), "LAnkle": (0.57, 0.87), "LBigToe": (0.60, 0.96), "LSmallToe": (0.66, 0.94),
    "LHeel": (0.54, 0.94),
}
# fmt: on


def _hand_names(root: str, fingers: Sequence[str], side: str) -> tuple[str, ...]:
    return (side + root, *(f"{side}{finger}{point}" for finger in fingers for point in range(1, 5)))


def _hand_places(root: Place) -> list[Place]:
    """A left hand, on the right of the picture, pointing down, its thumb to the body."""
    places = [root]
    for angle in (-38, -10, 8, 26, 44):
        turn = math.radians(angle)
        first = 0.06 if angle == -38 else 0.12
        for step in range(4):
            far = first + 0.052 * step
            places.append((root[0] + far * math.sin(turn), root[1] + far * math.cos(turn)))
    return places


def _mirrored(names: Sequence[str], pairs: Sequence[Pair], places: Mapping[int, Place]) -> tuple[Place, ...]:
    """The places, completed by the mirror images of those that are given."""
    partner = {a: b for pair in pairs for a, b in (pair, pair[::-1])}
    whole = [places[at] if at in places else places[partner[at]] for at in range(len(names))]
    return tuple((x if at in places else 1 - x, y) for at, (x, y) in enumerate(whole))


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
    places = {names.index(name): place for name, place in _WHOLEBODY_PLACES.items()}
    places |= {_FACE + at: place for at, place in _RIGHT_FACE_PLACES.items()}
    places |= {left + at: place for at, place in enumerate(_hand_places((0.76, 0.625)))}
    return SkeletonLayout(
        "wholebody133", names,
        (*coco17.limbs, *_FEET_LIMBS, *_shifted(_HAND_LIMBS, left), *_shifted(_HAND_LIMBS, right)),
        pairs, source="COCO-WholeBody, as MMPose writes it; left and right are the person's; the face has no limbs",
        rest_pose=_mirrored(names, pairs, places),
    )  # fmt: skip


def openpose_with_hands(name: str, body: SkeletonLayout, source: str) -> SkeletonLayout:
    """OpenPose's body and hands on the joints, limbs and pairs of ``body``, one of OpenPose's own."""
    hands = [_hand_names("HandRoot", _OPENPOSE_FINGERS, side) for side in ("L", "R")]
    names = (*body.joints, *hands[0], *hands[1])
    left, right = body.num_joints, body.num_joints + 21
    pairs = (*body.mirror_pairs, *((left + at, right + at) for at in range(21)))
    places = {names.index(joint): place for joint, place in _OPENPOSE_PLACES.items() if joint in names}
    places |= {left + at: place for at, place in enumerate(_hand_places((0.77, 0.56)))}
    return SkeletonLayout(
        name, names, (*body.limbs, *_shifted(_HAND_LIMBS, left), *_shifted(_HAND_LIMBS, right)), pairs,
        source=source, rest_pose=_mirrored(names, pairs, places),
    )  # fmt: skip
