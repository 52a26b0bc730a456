"""One palette for pictures and pages: seen by everybody on both grounds, and used by every drawing of a person."""

import json
import re
import shutil
import subprocess
from importlib import resources

import numpy as np
import pytest

from pyskl_semloss.annotations import Clip
from pyskl_semloss.drawing.animation import draw_clip
from pyskl_semloss.drawing.palette import ON_DARK, ON_LIGHT, SERIES, WRONG, rgb
from pyskl_semloss.drawing.stick_figure import figure, joint_sides, limb_sides, script
from pyskl_semloss.skeletons import SkeletonLayout, get_layout
from pyskl_semloss.skeletons.known import KNOWN_LAYOUTS

ARMS = SkeletonLayout(
    name="arms", joints=("neck", "l", "r", "nose"), limbs=((0, 1), (2, 0), (1, 2), (3, 0)), mirror_pairs=((1, 2),)
)
STYLES = {name: resources.files(f"pyskl_semloss.{name}") / "assets" for name in ("report", "app")}
# Of linear light: Machado, Oliveira and Fernandes, 2009, without one kind of cone.
NO_RED = [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
NO_GREEN = [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]]
NO_BLUE = [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]]


def light(colour):
    """Linear light of a colour."""
    part = np.array(rgb(colour)) / 255
    return np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)


def contrast(a, b):
    """The contrast of the Web Content Accessibility Guidelines, 1 to 21."""
    low, high = sorted(float(light(colour) @ [0.2126, 0.7152, 0.0722]) for colour in (a, b))
    return (high + 0.05) / (low + 0.05)


def lab(linear):
    """CIE 1976 L*, a*, b* of linear light."""
    to_xyz = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    share = np.array(to_xyz) @ np.clip(linear, 0, 1) / np.sum(to_xyz, axis=1)
    root = np.where(share > (6 / 29) ** 3, np.cbrt(share), share / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * root[1] - 16, 500 * (root[0] - root[1]), 200 * (root[1] - root[2])])


def grounds(name):
    """What figures are drawn on in the report, light and dark, and in the app."""
    css = (STYLES[name] / ("page.css" if name == "report" else "viewer.css")).read_text(encoding="utf-8")
    return re.findall(r"--ground: (#\w{6})" if name == "report" else r"stage \{[^}]*background: (#\w{6})", css)


def test_the_sides_stand_out_from_every_ground_and_from_each_other():
    on_light, *on_dark = [*grounds("report"), *grounds("app")]
    assert len(on_dark) == 2
    for sides, ground in [(ON_LIGHT, "#ffffff"), (ON_LIGHT, on_light), *((ON_DARK, ground) for ground in on_dark)]:
        assert all(contrast(colour, ground) >= 3 for colour in sides), (sides, ground)
    for sides in (ON_LIGHT, ON_DARK):
        (red, green, blue), (warm, middle, cold) = rgb(sides.left), rgb(sides.right)
        assert blue > green > red and warm > middle > cold
        for vision in (np.eye(3), NO_RED, NO_GREEN, NO_BLUE):
            left, right, central = (lab(vision @ light(colour)) for colour in (sides.left, sides.right, sides.central))
            assert np.linalg.norm(left - right) > 35
            assert min(np.linalg.norm(left - central), np.linalg.norm(right - central)) > 15


def test_no_page_has_sides_of_its_own():
    for folder in STYLES.values():
        for file in folder.iterdir():
            text = file.read_text(encoding="utf-8")
            assert not re.search(r"--(left|right|central)\s*:", text), file
            assert not {colour.lower() for colour in re.findall(r"#\w{6}\b", text)} & {*ON_LIGHT, *ON_DARK}, file
    assert ON_LIGHT.css() == "--central: #6b6b6b; --left: #1f5fb4; --right: #d9730d;"


def test_limbs_have_the_side_of_their_ends():
    assert joint_sides(ARMS) == [0, 1, 2, 0]
    assert limb_sides(ARMS) == [1, 2, 0, 0]
    assert figure(ARMS) == {"limbs": [[0, 1, 1], [2, 0, 2], [1, 2, 0], [3, 0, 0]], "sides": [0, 1, 2, 0]}
    for layout in KNOWN_LAYOUTS.values():
        if not layout.mistakes:
            mirrored = np.array(limb_sides(layout))[list(layout.limb_mirror)]
            np.testing.assert_array_equal(mirrored, np.array([0, 2, 1])[limb_sides(layout)])


def test_frames_of_a_clip_have_the_colours():
    pytest.importorskip("PIL")
    layout, points = get_layout("openpose22"), np.zeros((1, 1, 22, 2))
    places = np.linspace(100, 900, 22)
    points[0, 0] = np.stack([places, 500 + 300 * np.cos(places)], axis=1)
    (frame,) = draw_clip(
        Clip("x", 0, (1000, 1000), (1000, 1000), points, np.ones((1, 1, 22))), layout, size=1000, crop=False
    )
    for (x, y), side in zip(np.rint(points[0, 0]).astype(int), joint_sides(layout), strict=True):
        np.testing.assert_allclose(frame.getpixel((int(x), int(y))), rgb(ON_LIGHT[side]), atol=2)


def test_the_script_draws_limbs_and_joints_in_the_colours_of_the_page():
    node = shutil.which("node")
    if node is None:
        pytest.skip("needs node")
    program = f"""
    const window = globalThis, calls = [];
    globalThis.getComputedStyle = (canvas) => ({{ getPropertyValue: (name) => ` ${{canvas.colors[name]}}` }});
    {script()}
    const colors = {{ "--central": "grey", "--left": "blue", "--right": "orange" }};
    const pen = new Proxy({{ canvas: {{ colors }} }}, {{
      get: (at, name) => at[name] ?? ((...values) => calls.push([name, at.strokeStyle, at.fillStyle, ...values])),
    }});
    const points = [[1, 2], [3, 4], null, [5, 6]];
    drawFigure(pen, {json.dumps(figure(ARMS))}, (joint) => points[joint], 3);
    console.log(JSON.stringify({{ calls, width: pen.lineWidth }}));
    """
    done = subprocess.run([node, "-e", program], capture_output=True, text=True, check=True, timeout=600)
    drawn = json.loads(done.stdout)
    assert drawn["width"] == 3
    lines = [[call[1], *call[3:]] for call in drawn["calls"] if call[0] in ("moveTo", "lineTo")]
    # Without the right hand, and what hangs on it.
    assert lines == [["blue", 1, 2], ["blue", 3, 4], ["grey", 5, 6], ["grey", 1, 2]]
    joints = [call[2:5] for call in drawn["calls"] if call[0] == "arc"]
    assert joints == [["grey", 1, 2], ["blue", 3, 4], ["grey", 5, 6]]
    assert all(call[5] == 3.5 for call in drawn["calls"] if call[0] == "arc")


def test_series_and_warnings_differ():
    assert len({*SERIES, WRONG}) == 6
    for vision in (np.eye(3), NO_RED, NO_GREEN, NO_BLUE):
        points = [lab(vision @ light(colour)) for colour in SERIES]
        assert min(np.linalg.norm(a - b) for n, a in enumerate(points) for b in points[:n]) > 10
