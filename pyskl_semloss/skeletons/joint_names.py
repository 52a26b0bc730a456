"""Body points from joint names in any spelling."""

from __future__ import annotations

import re

from pyskl_semloss.skeletons.layout import SkeletonLayout

_TOKEN = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_JOINED = re.compile(r"^(left|right|l|r)(shoulder|elbow|wrist|hand|hip|knee|ankle|foot|heel|eye|(?<=t)ear)$")
_SIDES = {"left": "left", "l": "left", "right": "right", "r": "right"}
_FINGERS = {
    "thumb": "thumb",
    "forefinger": "index",
    "index": "index",
    "middle": "middle",
    "ring": "ring",
    "pinky": "little",
    "little": "little",
    "small": "little",
}
_PHALANX = {"cmc": "1", "mcp": "1", "pip": "2", "ip": "3", "dip": "3", "tip": "4"}
_SAME = {
    "mid_hip": "mid_hip",
    "middle_hip": "mid_hip",
    "hip_center": "mid_hip",
    "center_hip": "mid_hip",
    "pelvis": "mid_hip",
    "hips": "mid_hip",
    "midhip": "mid_hip",
    "spine_base": "mid_hip",
    "spine_shoulder": "neck",
    "shoulder_center": "neck",
    "spine": "spine_mid",
    "hand_wrist": "hand_root",
    "small_toe": "small_toe",
    "little_toe": "small_toe",
    "thumb": "thumb_4",
}
"""Spellings of one point. Kinect's SpineShoulder is what OpenPose calls the neck, and its Thumb is the thumb's tip."""
FINGERTIPS = ("thumb_4", "index_4", "middle_4", "ring_4", "little_4")
"""The points 4, 8, 12, 16 and 20 of OpenPose's hand: thumb, index, middle, ring and little finger."""
Point = tuple[str, str]
"""Side (``"left"``, ``"right"`` or ``""``) and part."""


def body_points(layout: SkeletonLayout) -> tuple[Point, ...]:
    """Body point of each joint, (V,), with the layout's left and right.

    In a layout with Kinect's SpineShoulder the joint ``neck`` is the one above it. In a layout with five finger points
    a hand and no wrist, as in iMiGUE's, ``hand`` is the wrist and the points are the fingertips from the thumb on.
    """
    points = [body_point(name) for name in layout.joints]
    tokens = ["_".join(_tokens(name)) for name in layout.joints]
    parts = {part for _, part in points}
    if {"spine_shoulder", "neck"} <= set(tokens):
        points = [("", "upper_neck") if token == "neck" else at for token, at in zip(tokens, points, strict=True)]
    fingers = {f"finger_{number}": tip for number, tip in enumerate(FINGERTIPS, 1)}
    if fingers.keys() <= parts and "wrist" not in parts:
        meant = {**fingers, "hand": "wrist"}
        points = [(side, meant.get(part, part)) for side, part in points]
    return tuple(points)


def body_point(name: str) -> Point:
    """Side and part that a joint's name means.

    Example:
        >>> body_point("LBigToe"), body_point("right_forefinger4"), body_point("HandTipLeft")
        (('left', 'big_toe'), ('right', 'index_4'), ('left', 'hand_tip'))
    """
    tokens = _tokens(name)
    side = next((_SIDES[token] for token in tokens if token in _SIDES), "")
    rest = [token for token in tokens if token not in _SIDES]
    part = _finger(rest) or "_".join(rest)
    return side, _SAME.get(part, part)


def _tokens(name: str) -> list[str]:
    tokens = [token.lower() for token in _TOKEN.findall(name)]
    tokens = [part for token in tokens for part in _JOINED.sub(r"\1 \2", token).split()]
    return ["center" if token == "centre" else token for token in tokens]


def _finger(tokens: list[str]) -> str:
    """``"index_4"`` for ``forefinger 4``, ``index finger tip`` and so on; nothing where it is no finger."""
    if len(tokens) < 2 or tokens[0] not in _FINGERS:
        return ""
    last = _PHALANX.get(tokens[-1], tokens[-1])
    if tokens[0] == "thumb":  # its joints are cmc, mcp, ip and tip, without a pip
        last = "2" if tokens[-1] == "mcp" else last
    return f"{_FINGERS[tokens[0]]}_{last}" if last in ("1", "2", "3", "4") and tokens[1:-1] in ([], ["finger"]) else ""
