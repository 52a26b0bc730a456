"""Whether points lie as the joints of a body lie: the face in one place, the head beyond the shoulders, and so on.

What is looked at does not change when a picture is turned or mirrored, so that who lies, or is filmed upside down, is
not doubted. Only points that are seen well, of persons of whom enough is seen, count, and most frames must agree.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from pyskl_semloss.skeletons import SkeletonLayout
from pyskl_semloss.skeletons.joint_names import FINGERTIPS, Point, point_of, points_of
from pyskl_semloss.skeletons.known import KNOWN_LAYOUTS

_KINECT_V1 = (
    "HipCenter Spine ShoulderCenter Head ShoulderLeft ElbowLeft WristLeft HandLeft ShoulderRight ElbowRight WristRight "
    "HandRight HipLeft KneeLeft AnkleLeft FootLeft HipRight KneeRight AnkleRight FootRight"
)
# fmt: off
_OTHERS = {
    "OpenPose BODY_25B": "Nose LEye REye LEar REar LShoulder RShoulder LElbow RElbow LWrist RWrist LHip RHip LKnee "
        "RKnee LAnkle RAnkle UpperNeck HeadTop LBigToe LSmallToe LHeel RBigToe RSmallToe RHeel",
    "Human3.6M": "Pelvis RHip RKnee RAnkle LHip LKnee LAnkle Spine Thorax NeckBase HeadTop LShoulder LElbow LWrist "
        "RShoulder RElbow RWrist",
    "Kinect v1": _KINECT_V1,
    "UTD-MHAD": "Head ShoulderCenter Spine HipCenter ShoulderLeft ElbowLeft WristLeft HandLeft ShoulderRight "
        "ElbowRight WristRight HandRight HipLeft KneeLeft AnkleLeft FootLeft HipRight KneeRight AnkleRight FootRight",
    "HALPE": "Nose LEye REye LEar REar LShoulder RShoulder LElbow RElbow LWrist RWrist LHip RHip LKnee RKnee LAnkle "
        "RAnkle Head NeckBase MidHip LBigToe RBigToe LSmallToe RSmallToe LHeel RHeel",
    "MPII": "RAnkle RKnee RHip LHip LKnee LAnkle MidHip Thorax UpperNeck HeadTop RWrist RElbow RShoulder LShoulder "
        "LElbow LWrist",
}
# fmt: on


def orders_of(joints: int) -> Iterator[tuple[str, tuple[Point, ...]]]:
    """Name, and the point of each joint, of every public order of so many joints."""
    for name, layout in KNOWN_LAYOUTS.items():
        if layout.num_joints == joints and not layout.mistakes:
            yield name, points_of(layout)
    for name, text in _OTHERS.items():
        names = text.split()
        if len(names) == joints:
            yield name, tuple(point_of(each) for each in names)


_FEWEST = 5
"""Persons in frames that a doubt needs."""
_FAR = 0.45
"""Points of one face, hand or foot are nearer to each other than this, in diagonals of the body's box."""
_BEYOND = 1.0
"""Where a head does not come to on the way from the shoulders, 0, to the hips, 1."""
_CROSSED = 1.3
"""So many times farther are both elbows from their own shoulders than from each other's where they are exchanged."""
_LONG = 0.8
"""Length of limbs, in distances of any two joints; up to 0.7 in bodies, 0.75 and more in joints that are mixed up."""
_CLEARLY = 0.01
"""Width of the shoulders times the height of the head above them, in squares of the box's diagonal."""
_SEEN_WELL = 0.3
"""Share of the highest score."""
_FACE = (("", "nose"), ("left", "eye"), ("right", "eye"), ("left", "ear"), ("right", "ear"))
_HAND = ("wrist", "hand", "hand_root", "hand_tip", *FINGERTIPS)
_FOOT = ("ankle", "foot", "heel", "big_toe", "small_toe")
_HEAD = (*_FACE, ("", "head"))
_SIDES = ("left", "right")
_OF_SIDES = (("shoulder", "elbow"), ("elbow", "wrist"), ("wrist", "hand"), ("hip", "knee"), ("knee", "ankle"),
             ("ankle", "foot"), ("ankle", "heel"), ("ankle", "big_toe"), ("eye", "ear"))  # fmt: skip
_TO_THE_CENTRE = (("shoulder", "neck"), ("hip", "mid_hip"), ("eye", "nose"))


def anatomical_doubts(points: np.ndarray, scores: np.ndarray, layout: SkeletonLayout) -> list[str]:
    """What no body looks like, in words; and whose order of joints would fit.

    Args:
        points: (N, V, 2) px of persons in frames.
        scores: (N, V); 0 where a point is missing.
        layout: What the joints should be.
    """
    if layout.mistakes:
        return []
    order = points_of(layout)
    issues = _doubts(_Bodies(points, scores, order), layout.limbs)
    if not issues:
        return []
    fitting = [
        name
        for name, other in orders_of(layout.num_joints)
        if other != order and not _doubts(_Bodies(points, scores, other), _limbs(other))
    ]
    hint = f"are these the joints of {layout.name}, in its order?"
    if fitting:
        hint = f"they lie like the joints of {' or '.join(fitting)}"
    return [f"{'; '.join(issues[:3])}: {hint}"]


def sides_doubts(points: np.ndarray, scores: np.ndarray, layout: SkeletonLayout) -> list[str]:
    """Whether the left of persons who face the camera is where their right must be; arguments as above."""
    return list(_turned(_Bodies(points, scores, points_of(layout)), layout))


class _Bodies:
    """The points of persons in frames, by what they are; NaN where one is missing or seen badly."""

    def __init__(self, points: np.ndarray, scores: np.ndarray, order: Sequence[Point]) -> None:
        well = scores > _SEEN_WELL * scores.max(initial=0.0)
        self.points = np.where(well[..., None], points, np.nan).astype(np.float64)
        self.joint_of = {point: at for at, point in reversed(list(enumerate(order)))}
        # Of a face alone nothing can be said about a body.
        body = [at for at, (_, part) in enumerate(order) if not _is_detail(part)]
        enough = well[:, body].sum(1) * 2 >= max(len(body), 1)
        self.points = self.points[enough & (well.sum(1) > 2)]
        with np.errstate(all="ignore"):
            span = np.nanmax(self.points, 1, initial=-np.inf) - np.nanmin(self.points, 1, initial=np.inf)
        self.size = np.hypot(*span.T)

    def __contains__(self, point: Point) -> bool:
        return point in self.joint_of

    def at(self, point: Point) -> np.ndarray:
        """(N, 2)."""
        return self.points[:, self.joint_of[point]]

    def apart(self, a: Point, b: Point) -> np.ndarray:
        """(N,) px."""
        return np.hypot(*(self.at(a) - self.at(b)).T)


def _is_detail(part: str) -> bool:
    """Points of a face or hand: many, and not always seen."""
    return (
        part.startswith("face_") or part in ("nose", "eye", "ear", "hand_root") or part[-2:] in ("_1", "_2", "_3", "_4")
    )


def _doubts(bodies: _Bodies, limbs: Sequence[tuple[int, int]]) -> list[str]:
    issues = [*_torn(bodies), *_upside_down(bodies), *_crossed(bodies)]
    return issues or list(_mixed(bodies, limbs))


def _limbs(order: Sequence[Point]) -> list[tuple[int, int]]:
    """The limbs between the joints of an order, by what they are."""
    joint_of = {point: at for at, point in reversed(list(enumerate(order)))}
    pairs = [((side, a), (side, b)) for side in _SIDES for a, b in _OF_SIDES]
    pairs += [((side, part), ("", centre)) for side in _SIDES for part, centre in _TO_THE_CENTRE]
    return [(joint_of[a], joint_of[b]) for a, b in pairs if a in joint_of and b in joint_of]


def _typical(values: np.ndarray) -> float:
    """The median of the values that are known; NaN where they are too few."""
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) >= _FEWEST else np.nan


def _torn(bodies: _Bodies) -> Iterator[str]:
    """Faces, hands and feet whose points lie all over the body."""
    clusters: list[list[Point]] = [list(_FACE)]
    clusters += [[(side, part) for part in parts] for parts in (_HAND, _FOOT) for side in _SIDES]
    for cluster in clusters:
        known = [point for point in cluster if point in bodies]
        for other in known[1:]:
            if _typical(bodies.apart(known[0], other) / bodies.size) > _FAR:
                yield f"the {_named(other)} is far from the {_named(known[0])}"
                break


def _upside_down(bodies: _Bodies) -> Iterator[str]:
    """Heads on the hips' side of the shoulders."""
    ends = [[(side, part) for side in _SIDES] for part in ("shoulder", "hip")]
    if not all(point in bodies for pair in ends for point in pair):
        return
    shoulders, hips = (np.mean([bodies.at(point) for point in pair], axis=0) for pair in ends)
    trunk = hips - shoulders
    length = np.hypot(*trunk.T)
    trunk[length < 0.15 * bodies.size] = np.nan
    for point in _HEAD:
        if point in bodies:
            along = _typical(((bodies.at(point) - shoulders) * trunk).sum(1) / length**2)
            if along > _BEYOND:
                beyond = "below" if _typical(trunk[:, 1] / length) > 0.5 else "beyond"
                yield f"the {_named(point)} is {beyond} the hips"
                return


def _crossed(bodies: _Bodies) -> Iterator[str]:
    """Left elbows that hang on right shoulders; not knees, which are at the other hip when legs are crossed."""
    for upper, lower in (("shoulder", "elbow"), ("eye", "ear")):
        own = [((side, upper), (side, lower)) for side in _SIDES]
        other = [((side, upper), (away, lower)) for side, away in zip(_SIDES, _SIDES[::-1], strict=True)]
        if all(point in bodies for pair in own for point in pair):
            straight, across = (sum(bodies.apart(a, b) for a, b in pairs) for pairs in (own, other))
            if _typical(straight / np.maximum(across, 1e-6)) > _CROSSED:
                yield f"the left {lower} is at the right {upper}"


def _turned(bodies: _Bodies, layout: SkeletonLayout) -> Iterator[str]:
    """Persons whose face is seen, and whose left is where the right of one who faces the camera is."""
    pairs = [[(side, part) for side in _SIDES] for part in ("eye", "shoulder")]
    if ("", "nose") not in bodies or not all(point in bodies for pair in pairs for point in pair):
        return
    eyes, shoulders = ([bodies.at(point) for point in pair] for pair in pairs)
    up = bodies.at(("", "nose")) - np.mean(shoulders, axis=0)
    # Whatever way a picture is turned, the left of a person who looks out of it is clockwise of where the head is.
    across = [left - right for left, right in (eyes, shoulders)]
    sides = [(up[:, 0] * each[:, 1] - up[:, 1] * each[:, 0]) / bodies.size**2 for each in across]
    clockwise = -1 if layout.sides == "image" else 1
    if all(_typical(np.sign(side)) == -clockwise for side in sides) and abs(_typical(sides[1])) > _CLEARLY:
        yield "left and right look exchanged, or the person is seen from behind"


def _mixed(bodies: _Bodies, limbs: Sequence[tuple[int, int]]) -> Iterator[str]:
    """Limbs that go across the body."""
    joints = bodies.points.shape[1]
    if joints < 10 or not 0 < len(limbs) <= joints * (joints - 1) / 6 or len(bodies.points) < _FEWEST:
        return
    some = bodies.points[:: -(-len(bodies.points) // 500)]
    apart = np.hypot(*(some[:, :, None] - some[:, None]).transpose(3, 0, 1, 2))
    apart[:, range(joints), range(joints)] = np.nan
    lengths = np.stack([apart[:, a, b] for a, b in limbs], 1)
    if _typical(_mean(lengths) / _mean(apart.reshape(len(apart), -1)).clip(1e-6)) > _LONG:
        yield "the limbs go across the body"


def _mean(values: np.ndarray) -> np.ndarray:
    """(N,) mean of the known values of each row; NaN where none is."""
    known = np.isfinite(values)
    with np.errstate(invalid="ignore"):
        return np.where(known, values, 0).sum(1) / np.where(known.any(1), known.sum(1), np.nan)


def _named(point: Point) -> str:
    return " ".join(filter(None, point)).replace("_", " ")


_OUTSIDE = 0.1
_STEEP = 0.12
"""Height of one shoulder above the other, in diagonals of the body's box; a quarter where x and y are exchanged."""
_FEW = 10


def outside_of(points: np.ndarray, shape: tuple[int, int]) -> float:
    """Share of the points (N, 2) px that are outside an image of (height, width)."""
    height, width = shape
    return float(((points < 0) | (points > (width, height))).any(-1).mean()) if len(points) else 0.0


def doubts_about(points: np.ndarray, scores: np.ndarray, layout: SkeletonLayout, shape: tuple[int, int]) -> list[str]:
    """What a person should look at, in words.

    Args:
        points: (N, V, 2) px.
        scores: (N, V); 0 where a point is missing.
        layout: What the joints are.
        shape: (height, width) px.
    """
    doubts = []
    known = points[scores > 0]
    share = outside_of(known, shape)
    if share > _OUTSIDE:
        height, width = shape
        size = f"an image of {width}x{height}"
        if outside_of(known, (width, height)):
            doubts.append(f"{share:.0%} of the points are outside {size}: is that its size?")
        else:
            doubts.append(f"{share:.0%} of the points are outside {size}, none of {height}x{width}: are its width and "
                          "height exchanged?")  # fmt: skip
    if _lies(points, scores, layout):
        doubts.append("one shoulder is above the other: are x and y exchanged, or does the person lie?")
    else:
        doubts += sides_doubts(points, scores, layout)
    return [*doubts, *anatomical_doubts(points, scores, layout)]


def _lies(points: np.ndarray, scores: np.ndarray, layout: SkeletonLayout) -> bool:
    places = [at for at, (side, part) in enumerate(points_of(layout)) if part == "shoulder" and side]
    if len(places) != 2:
        return False
    both = (scores[:, places] > 0).all(1)
    return bool(both.sum() >= _FEW and _steepness(points[both], scores[both], places) > _STEEP)


def _steepness(points: np.ndarray, scores: np.ndarray, shoulders: list[int]) -> float:
    """Median height of one shoulder above the other, in diagonals of the body's box, if it is more than the width."""
    there = (scores > 0)[..., None]
    low, high = np.where(there, points, np.inf).min(1), np.where(there, points, -np.inf).max(1)
    width, height = np.abs(points[:, shoulders[0]] - points[:, shoulders[1]]).T
    steep = height / np.hypot(*(high - low).T).clip(1e-6)
    return float(np.median(np.where(height > 2 * width, steep, 0)))
