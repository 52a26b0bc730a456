"""Visibility of body, hands and face, in frames."""

from __future__ import annotations

import numpy as np

from pyskl_semloss.skeletons import SkeletonLayout
from pyskl_semloss.skeletons.joint_names import FINGERTIPS, body_points

_FINGERS = tuple(tip.removesuffix("4") for tip in FINGERTIPS)


def visible_frames(score: np.ndarray, layout: SkeletonLayout) -> dict[str, int]:
    """Number of frames with a visible point, by body part.

    Nose, eyes, ears, wrists and the roots of hands are the body's. Hands and the face are there where the layout has
    points of them; left and right are as the layout names them.

    Args:
        score: (M persons, T frames, V joints); 0 where a point is missing.
        layout: What the joints are.

    Example:
        >>> from pyskl_semloss.skeletons import get_layout
        >>> score = np.zeros((1, 5, 22))
        >>> score[:, :4, 0] = score[:, :1, 21] = 1
        >>> visible_frames(score, get_layout("openpose22"))
        {'body': 4, 'left_hand': 0, 'right_hand': 1}
    """
    joints: dict[str, list[int]] = {"body": [], "left_hand": [], "right_hand": [], "face": []}
    for at, (side, part) in enumerate(body_points(layout)):
        joints[_part(side, part)].append(at)
    frames = np.any(score > 0, axis=0)
    return {name: int(frames[..., places].any(-1).sum()) for name, places in joints.items() if places or name == "body"}


def visibility_text(parts: dict[str, int], frames: int) -> str:
    """Text such as ``" (left hand 40%, right hand 98%)"``.

    Empty without hands and face.
    """
    listed = [
        f"{name.replace('_', ' ')} {count / max(1, frames):.0%}" for name, count in parts.items() if name != "body"
    ]
    return f" ({', '.join(listed)})" if listed else ""


def _part(side: str, part: str) -> str:
    if side and (part == "hand_tip" or part.startswith(_FINGERS)):
        return f"{side}_hand"
    return "face" if part.startswith("face_") else "body"
