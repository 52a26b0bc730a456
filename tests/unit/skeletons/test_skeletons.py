"""Layouts against index lists typed by hand, the law that a mirror maps limbs onto limbs, and what is refused."""

import dataclasses
import json
import subprocess
import sys
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import ROOT
from pyskl_semloss import skeletons
from pyskl_semloss.errors import InputError
from pyskl_semloss.skeletons import SkeletonLayout, check_mirror, get_layout, layout_names, mirror_order

RIGHT_LAYOUTS = ("openpose22", "kinect25", "kinect20", "coco17", "openpose25")
RELEASE = "release22_with_mistakes"
TOOL = ROOT / "tools" / "draw_skeletons.py"

ARM = {  # neck, two shoulders, two hands
    "name": "arms",
    "joints": ["neck", "shoulder_l", "shoulder_r", "hand_l", "hand_r"],
    "limbs": [[0, 1], [2, 0], [1, 3], [2, 4]],
    "mirror_pairs": [[1, 2], [3, 4]],
}


@pytest.fixture(autouse=True)
def fresh_process(monkeypatch):
    monkeypatch.setattr(skeletons, "_warned", set())


@pytest.fixture
def release():
    with pytest.warns(UserWarning, match=RELEASE):
        return get_layout(RELEASE)


def test_openpose22_by_hand():
    layout = get_layout("openpose22")
    body = "nose neck left_shoulder left_elbow left_hand right_shoulder right_elbow right_hand".split()
    assert layout.joints[:12] == (*body, "left_eye", "right_eye", "left_ear", "right_ear")
    assert [name.rsplit("_", 1)[0] for name in layout.joints[12:]] == ["left_finger"] * 5 + ["right_finger"] * 5
    ends = "0-1 1-2 2-3 3-4 1-5 5-6 6-7 0-8 8-10 0-9 9-11 4-12 4-13 4-14 4-15 4-16 7-17 7-18 7-19 7-20 7-21"
    assert ["{}-{}".format(*limb) for limb in layout.limbs] == ends.split()
    pairs = "2-5 3-6 4-7 8-9 10-11 12-17 13-18 14-19 15-20 16-21"
    assert ["{}-{}".format(*pair) for pair in layout.mirror_pairs] == pairs.split()
    assert layout.left_kp == (2, 3, 4, 8, 10, 12, 13, 14, 15, 16)
    assert layout.right_kp == (5, 6, 7, 9, 11, 17, 18, 19, 20, 21)
    assert layout.left_limb == (1, 2, 3, 7, 8, 11, 12, 13, 14, 15)
    assert layout.right_limb == (4, 5, 6, 9, 10, 16, 17, 18, 19, 20)
    assert layout.joint_mirror == (0, 1, 5, 6, 7, 2, 3, 4, 9, 8, 11, 10, 17, 18, 19, 20, 21, 12, 13, 14, 15, 16)
    assert (layout.num_channels("joint"), layout.num_channels("limb")) == (22, 21)


def test_coco17_limb_sides_are_those_of_posec3d():
    layout = get_layout("coco17")
    assert layout.left_kp == tuple(range(1, 16, 2)) and layout.right_kp == tuple(range(2, 17, 2))
    assert layout.left_limb == (0, 2, 4, 5, 6, 10, 11, 12) and layout.right_limb == (1, 3, 7, 8, 9, 13, 14, 15)
    assert layout.limb_mirror[16] == 16  # hip to hip is its own mirror image


def test_kinect25_is_the_sdk_order():
    layout = get_layout("kinect25")
    arm, leg = ("Shoulder", "Elbow", "Wrist", "Hand"), ("Hip", "Knee", "Ankle", "Foot")
    names = ["SpineBase", "SpineMid", "Neck", "Head"]
    names += [part + side for limb in (arm, leg) for side in ("Left", "Right") for part in limb]
    assert list(layout.joints) == [*names, "SpineShoulder", "HandTipLeft", "ThumbLeft", "HandTipRight", "ThumbRight"]
    bones = {frozenset(layout.joints[joint] for joint in limb) for limb in layout.limbs}
    some = ("Neck", "SpineShoulder"), ("WristLeft", "ThumbLeft"), ("HandRight", "HandTipRight")
    assert len(bones) == 24 and {frozenset(bone) for bone in some} <= bones


def test_openpose25_joints_are_those_of_openpose22():
    """The kit keeps BODY_25's 0-7 and 15-18 and calls OpenPose's right its left."""
    kit, body = get_layout("openpose22").joints[:12], get_layout("openpose25").joints
    for name, source in zip(kit, (*range(8), *range(15, 19)), strict=True):
        expected = name.replace("left_", "R").replace("right_", "L").replace("hand", "wrist").lower()
        assert body[source].lower() == expected


def test_kinect20_agrees_with_the_golden_pipeline(shared_dir):
    golden = np.load(shared_dir / "golden" / "pyskl_val_pipeline_a11_s02_e02.npz")
    layout = get_layout("kinect20")
    theirs = {frozenset(pair) for pair in zip(golden["left_kp"].tolist(), golden["right_kp"].tolist(), strict=True)}
    assert {frozenset(pair) for pair in layout.mirror_pairs} == theirs
    assert layout.limbs == tuple(map(tuple, golden["limbs"].tolist()))
    assert layout.num_joints == golden["joint_imgs"].shape[1]


@pytest.mark.parametrize("name", RIGHT_LAYOUTS)
def test_the_mirror_maps_limbs_onto_limbs(name):
    assert name in layout_names() and get_layout(name).name == name
    layout = get_layout(name)
    mirror = layout.joint_mirror
    assert [mirror[mirror[joint]] for joint in range(layout.num_joints)] == list(range(layout.num_joints))
    for index, (a, b) in enumerate(layout.limbs):
        image = layout.limb_mirror[index]
        assert set(layout.limbs[image]) == {mirror[a], mirror[b]}
        assert layout.limb_mirror[image] == index
        assert (image == index) == (index not in layout.left_limb + layout.right_limb)
    assert layout.unmirrored_limbs == () == check_mirror(layout.limbs, layout.left_kp, layout.right_kp)
    for left, right in zip(layout.left_limb, layout.right_limb, strict=True):
        assert set(layout.limbs[left]) & set(layout.left_kp) and set(layout.limbs[right]) & set(layout.right_kp)


@pytest.mark.parametrize("name", RIGHT_LAYOUTS)
def test_names_and_pose_confirm_the_pairs(name):
    """The names of a pair differ in their side alone, and the drawn pose is symmetric and has room for the numbers."""
    layout = get_layout(name)
    for left, right in layout.mirror_pairs:
        a, b = layout.joints[left], layout.joints[right]
        assert b in (a.replace("left", "right"), a.replace("Left", "Right"), "R" + a[1:]) and a != b
    pose = np.array(layout.rest_pose)
    np.testing.assert_allclose(pose[list(layout.joint_mirror)], pose * [-1, 1] + [1, 0], atol=1e-9)
    distances = np.linalg.norm(pose[:, None] - pose[None], axis=-1) + np.eye(len(pose))
    assert distances.min() > 0.05


def test_the_release_as_published(release):
    """Of its own 22 limbs, 3 stay limbs under its own swap; its limb mirrors are declared odd-even."""
    assert release.left_kp == release.left_limb == (1, 3, 5, 7, 9, 11, 13, 15, 17, 19)
    assert release.right_kp == release.right_limb == (2, 4, 6, 8, 10, 12, 14, 16, 18, 20)
    assert release.limb_mirror[:3] == (0, 2, 1) and release.limb_mirror[19:] == (20, 19, 21)
    sound = [limb for limb in release.limbs if limb not in release.unmirrored_limbs]
    assert (release.num_limbs, sound) == (22, [(2, 1), (3, 4), (7, 8)])
    assert check_mirror(release.limbs, release.left_kp, release.right_kp) == release.unmirrored_limbs
    assert release.joints == get_layout("openpose22").joints


def test_mistakes_are_warned_about_once():
    with pytest.warns(UserWarning) as caught:
        assert get_layout(RELEASE) is get_layout(RELEASE)
    (warning,) = caught
    assert RELEASE in str(warning.message) and "use 'openpose22'" in str(warning.message)
    assert warning.filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in RIGHT_LAYOUTS:
            get_layout(name)


def test_check_mirror_of_config_lists():
    limbs = get_layout("openpose22").limbs
    coco = check_mirror(limbs, range(1, 20, 2), range(2, 21, 2))
    assert (1, 2) not in coco and (0, 1) in coco
    assert check_mirror([[0, 1], [0, 2], [1, 3]], [1], [2]) == ((1, 3),)
    assert check_mirror([], [], []) == ()
    with pytest.raises(InputError, match="2 left joints face 1 right joint"):
        check_mirror(limbs, [1, 3], [2])
    with pytest.raises(InputError, match="joint 2 stands in two pairs"):
        check_mirror(limbs, [1, 2], [2, 3])
    with pytest.raises(InputError, match="'left_kp': expected a list of whole numbers"):
        check_mirror(limbs, None, [2])


def test_own_layout_from_a_mapping():
    layout = get_layout(ARM)
    assert layout.limbs == ((0, 1), (2, 0), (1, 3), (2, 4)) and layout.mirror_pairs == ((1, 2), (3, 4))
    assert (layout.left_limb, layout.right_limb) == ((0, 2), (1, 3))
    assert hash(layout) == hash(get_layout(layout)) and get_layout(dataclasses.asdict(layout)) == layout
    declared = {"limbs": np.array(ARM["limbs"]), "limb_mirror_pairs": [[1, 0], [3, 2]]}
    assert get_layout({**ARM, **declared}).left_limb == (1, 3)
    assert get_layout({**ARM, "mirror_pairs": []}).left_limb == ()
    swapped = get_layout({**ARM, "limbs": [[2, 4], [1, 3]]})
    assert (swapped.left_limb, swapped.right_limb) == ((1,), (0,))
    crossed = get_layout({**ARM, "limbs": [[1, 4], [2, 3]]})
    assert (crossed.left_limb, crossed.right_limb) == ((0,), (1,))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": ""}, "'name': a layout needs a name"),
        ({"name": 3}, "'name': layout 3: expected text, got 3"),
        ({"joints": "neck"}, "'joints': layout 'arms': expected a list of joint names"),
        ({"joints": ["a", "b", "c", "d", "a"]}, "a joint name stands twice: a"),
        ({"limbs": [[0, 5]]}, r"limb \(0, 5\) names a joint that is not in 0..4"),
        ({"limbs": [[3, 3]]}, r"limb \(3, 3\) goes from a joint to itself"),
        ({"limbs": [[0, 1], [0, 2], [1, 0]]}, r"limb \(1, 0\) stands twice"),
        ({"limbs": [[0, 1.5]]}, "'limbs': layout 'arms': expected a list of pairs of whole numbers"),
        ({"mirror_pairs": [[1, 2], [3, 9]]}, "'mirror_pairs': layout 'arms': joint 9 is not in 0..4"),
        ({"mirror_pairs": [[1, 2], [2, 3]]}, "joint 2 stands in two pairs"),
        ({"mirror_pairs": [[0, 0]]}, "joint 0 is paired with itself.*Leave a central joint out"),
        ({"mirror_pairs": [[1, 4], [2, 3]]}, r"'arms': 2 of 4 limbs .* no limb: \(0, 1\) -> \(0, 4\) \(neck - hand_r"),
        ({"limb_mirror_pairs": [[0, 2], [1, 3]]}, r"limb 0 \(0, 1\) is mirrored onto limb 1, not 2.*derived"),
        ({"limb_mirror_pairs": [[0, 4]]}, "limb 4 is not in 0..3"),
        ({"rest_pose": [[0, 0]]}, "1 points for 5 joints"),
        ({"rest_pose": [[0.5, float("nan")]] * 5}, "joint 0 at .* is outside the unit square"),
        ({"rest_pose": [0.5] * 5}, r"expected a list of \(x, y\)"),
        ({"edges": []}, "layout 'arms' has unknown fields edges.*Its fields are name, joints, limbs"),
        ({"name": "coco17"}, "'coco17' is the name of another layout"),
        ({"mistakes": True}, "'mistakes': layout 'arms': expected text"),
    ],
)
def test_refused_by_name(change, message):
    with pytest.raises(InputError, match=message):
        get_layout({**ARM, **change})


def test_a_wrong_mirror_needs_mistakes():
    wrong = {**ARM, "mirror_pairs": [[1, 4], [2, 3]], "mistakes": "pairs of another order"}
    with pytest.warns(UserWarning, match="'arms' is wrong on purpose: pairs of another order"):
        layout = get_layout(wrong)
    assert layout.unmirrored_limbs == ((0, 1), (2, 0)) and layout.limb_mirror == (0, 1, 3, 2)


def test_unknown_specs():
    with pytest.raises(InputError, match="no layout 'coco_17'. Did you mean 'coco17'"):
        get_layout("coco_17")
    with pytest.raises(InputError, match="got int"):
        get_layout(17)
    with pytest.raises(InputError, match="layout 'x' lacks joints, limbs, mirror_pairs"):
        get_layout({"name": "x"})
    with pytest.raises(InputError, match="expected 'joint' or 'limb', got 'bone'"):
        get_layout("coco17").num_channels("bone")
    with pytest.raises(dataclasses.FrozenInstanceError):
        get_layout("coco17").name = "other"


@st.composite
def sound_fields(draw):
    """A random layout made symmetric: each limb comes with the image that an independent formula gives."""
    sides, central = draw(st.integers(1, 5)), draw(st.integers(0, 3))
    order = draw(st.permutations(range(2 * sides + central)))
    pairs = [(order[2 * i], order[2 * i + 1]) for i in range(sides)]
    image = {joint: joint for joint in order} | dict(pairs) | {right: left for left, right in pairs}
    joint = st.integers(0, len(order) - 1)
    chosen = draw(st.lists(st.tuples(joint, joint).filter(lambda limb: limb[0] != limb[1]), max_size=12))
    limbs = {tuple(sorted(limb)) for limb in chosen}
    limbs |= {tuple(sorted((image[a], image[b]))) for a, b in limbs}
    limbs = draw(st.permutations(sorted(limbs)))
    return {"name": "random", "joints": [f"j{i}" for i in order], "limbs": limbs, "mirror_pairs": pairs}, image


@settings(deadline=None, max_examples=100)
@given(sound_fields())
def test_laws_of_random_layouts(drawn):
    fields, image = drawn
    layout = SkeletonLayout(**fields)
    assert dict(enumerate(layout.joint_mirror)) == image
    for (a, b), partner in zip(layout.limbs, layout.limb_mirror, strict=True):
        assert set(layout.limbs[partner]) == {image[a], image[b]}
    assert mirror_order(layout.num_limbs, zip(layout.left_limb, layout.right_limb, strict=True)) == layout.limb_mirror
    lone = next((limb for limb in layout.limbs if {image[limb[0]], image[limb[1]]} != set(limb)), None)
    if lone is not None:
        rest = [limb for limb in layout.limbs if limb != lone]
        with pytest.raises(InputError, match="1 of .* limbs have a mirror image that is no limb"):
            SkeletonLayout(**{**fields, "limbs": rest})


def test_the_import_is_light():
    code = "import sys, pyskl_semloss.skeletons as s; s.get_layout('coco17'); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "matplotlib", "numba", "mmengine"} & set(loaded)


def run_tool(*arguments):
    return subprocess.run([sys.executable, TOOL, *arguments], capture_output=True, text=True, check=False)


def test_the_tool_draws(tmp_path):
    pytest.importorskip("matplotlib")
    from PIL import Image

    own = tmp_path / "own.json"
    own.write_text(json.dumps(ARM))
    done = run_tool("openpose22", RELEASE, own, "--out", tmp_path / "new" / "pictures")
    assert (done.returncode, done.stderr) == (0, "") and done.stdout.startswith("wrote 3 pictures")
    red, arrows = {}, {}
    for name in ("openpose22", RELEASE, "arms"):
        path = tmp_path / "new" / "pictures" / f"{name}.png"
        with Image.open(path) as picture:
            assert picture.width == 900 and path.stat().st_size < 100_000
            r, g, b = np.moveaxis(np.asarray(picture.convert("RGB")).astype(int), -1, 0)
        assert ((b > 150) & (r < 60)).sum() > 500 and ((r > 200) & (g > 90) & (g < 140) & (b < 60)).sum() > 500
        body = slice(len(r) // 4, len(r) * 3 // 4)  # without the heading and the legend, which are red too
        r, g, b = r[body], g[body], b[body]
        red[name] = ((r > 180) & (g < 60) & (b < 60)).sum()
        arrows[name] = ((abs(r - 51) < 12) & (abs(g - 51) < 12) & (abs(b - 51) < 12)).sum()
    assert red[RELEASE] > 5000 and red["openpose22"] == red["arms"] == 0
    assert min(arrows["openpose22"], arrows[RELEASE]) > 1000 and arrows["arms"] > 250


def test_a_picture_says_why_there_is_no_graph():
    pytest.importorskip("matplotlib")
    from pyskl_semloss.drawing.layouts import _graph_or_why_not

    loose = get_layout({**ARM, "limbs": [[0, 1], [0, 2]]})
    assert _graph_or_why_not(loose) == (None, "no graph: 2 of 5 joints hang loose")
    graph, why = _graph_or_why_not(get_layout(ARM))
    assert (graph.edges, graph.centre, why) == (((1, 0), (2, 0), (3, 1), (4, 2)), 0, "")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"name": "x"}', "own.json: field 'layout': layout 'x' lacks joints"),
        ("{", "own.json: expected JSON"),
        ("[1]", "own.json: expected the fields of a layout"),
        (json.dumps({**ARM, "name": "../up"}), "field 'name': '../up' cannot be the name of a file"),
    ],
)
def test_the_tool_refuses_in_one_line(tmp_path, content, message):
    own = tmp_path / "own.json"
    own.write_text(content)
    done = run_tool(own, "--out", tmp_path / "pictures")
    assert done.returncode == 2 and message in done.stderr and done.stderr.count("\n") == 1
    assert not (tmp_path / "pictures").exists()
