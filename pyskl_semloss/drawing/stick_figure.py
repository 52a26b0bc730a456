"""A person as a stick figure: the sides of its joints and limbs, and the script that draws it in a page."""

from __future__ import annotations

from importlib import resources
from typing import Any

from pyskl_semloss.skeletons import SkeletonLayout


def joint_sides(layout: SkeletonLayout) -> list[int]:
    """Sides of the V joints: 0 central, 1 left, 2 right."""
    left, right = set(layout.left_kp), set(layout.right_kp)
    return [1 if joint in left else 2 if joint in right else 0 for joint in range(layout.num_joints)]


def limb_sides(layout: SkeletonLayout) -> list[int]:
    """Sides of the L limbs: 1 left, 2 right; 0 between central joints, and from the left to the right."""
    sides = joint_sides(layout)
    return [(sides[a] | sides[b]) % 3 for a, b in layout.limbs]


def figure_data(layout: SkeletonLayout) -> dict[str, Any]:
    """What :func:`script` draws: ``sides`` of the joints, and ``limbs`` as their two joints and their side."""
    limbs = [[a, b, side] for (a, b), side in zip(layout.limbs, limb_sides(layout), strict=True)]
    return {"limbs": limbs, "sides": joint_sides(layout)}


def script() -> str:
    """JavaScript that defines ``drawFigure``, in the colours of the page's variables."""
    return (resources.files("pyskl_semloss.drawing") / "assets" / "stick_figure.js").read_text(encoding="utf-8")
