"""Layouts in files: wherever a name stands a path may, joints go by names, and errors say which file and field."""

import json
import subprocess
import sys
import time

import pytest
import yaml

from helpers import ROOT
from pyskl_semloss.errors import InputError
from pyskl_semloss.skeletons import get_layout, layout_fields, layout_names

YAML = """\
name: arms
joints: [neck, shoulder_l, shoulder_r, hand_l, hand_r]
limbs: [[neck, shoulder_l], [0, 2], [1, hand_l], [shoulder_r, hand_r]]
mirror_pairs:
  - [shoulder_l, shoulder_r]
  - [3, 4]
source: mine
sides: image
"""


@pytest.mark.parametrize("suffix", [".yaml", ".yml", ".json"])
def test_a_file_is_a_layout(tmp_path, suffix):
    path = tmp_path / f"arms{suffix}"
    fields = {"name": "arms", "joints": ["neck", "shoulder_l", "shoulder_r", "hand_l", "hand_r"],
              "limbs": [["neck", "shoulder_l"], [0, 2], [1, 3], [2, 4]], "mirror_pairs": [[1, 2], ["hand_l", "hand_r"]],
              "source": "mine", "sides": "image"}  # fmt: skip
    path.write_text(json.dumps(fields) if suffix == ".json" else YAML)
    for spec in (str(path), path):
        layout = get_layout(spec)
        assert layout.limbs == ((0, 1), (0, 2), (1, 3), (2, 4)) and layout.mirror_pairs == ((1, 2), (3, 4))
        assert layout.sides == "image" and layout.name == "arms"
    assert get_layout(fields) == layout


def test_the_ending_may_be_in_capitals(tmp_path):
    path = tmp_path / "ARMS.YAML"
    path.write_text(YAML)
    assert get_layout(str(path)).name == "arms"


def test_a_layout_is_made_again_of_its_fields(tmp_path):
    path = tmp_path / "arms.yaml"
    path.write_text(YAML)
    for layout in (get_layout(path), *map(get_layout, layout_names()[:-1])):
        fields = json.loads(json.dumps(layout_fields(layout)))
        assert get_layout(fields) == layout
    assert set(layout_fields(get_layout(path))) == {"name", "joints", "limbs", "mirror_pairs", "source", "sides"}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "[neck, shoulder_l]",
            "[neck, sholder_l]",
            "field 'limbs': layout 'arms' has no joint 'sholder_l'.*'shoulder_l'",
        ),
        ("[3, 4]", "[3, 9]", "field 'mirror_pairs': layout 'arms': joint 9 is not in 0..4"),
        ("sides: image", "sides: camera", "field 'sides': layout 'arms': expected 'person' or 'image', got 'camera'"),
        ("name: arms", "name: coco17", "field 'name': 'coco17' is the name of another layout"),
        ("name: arms", "titel: arms", "lacks name"),
        ("source: mine", "sauce: mine", "unknown fields sauce"),
        ("name: arms", "name: [", "expected YAML"),
        ("name: arms", "name: &a arms\ntitle: *a", "without references"),
        ("name: arms", "? [a]\n: b", "expected"),
        ("name: arms", "name: !!python/object/apply:os.system [ls]", "expected YAML"),
        ("name: arms", "name: 2001-99-99", "expected YAML"),
    ],
)
def test_what_is_wrong_is_said(tmp_path, old, new, message):
    path = tmp_path / "arms.yaml"
    path.write_text(YAML.replace(old, new))
    with pytest.raises(InputError, match=message) as error:
        get_layout(path)
    assert "arms.yaml" in str(error.value)


def test_absent_deep_and_large_files(tmp_path):
    with pytest.raises(InputError, match="nothing.yaml: there is no such file.*relative to the current folder"):
        get_layout("nothing.yaml")
    with pytest.raises(InputError, match="there is no layout 'coco18'.*or a file"):
        get_layout("coco18")
    deep = tmp_path / "deep.yaml"
    deep.write_text("[" * 5000)
    with pytest.raises(InputError, match="deep.yaml"):
        get_layout(deep)
    deep.write_text("a: b\n" * 100_000)
    with pytest.raises(InputError, match="more than the"):
        get_layout(deep)


def test_a_text_from_a_file_is_no_file(tmp_path):
    """The layout member of an archive may not make anybody open files."""
    path = tmp_path / "arms.yaml"
    path.write_text(YAML)
    with pytest.raises(InputError, match="there is no layout"):
        get_layout(str(path), files=False)


SLOW = {
    "brackets": "[" * 30_000,
    "braces": "{" * 30_000,
    "lists in lists": "- " * 30_000,
    "keys of keys": "? " * 30_000,
    "merged keys": "{<<: " * 100 + "{}" + "}" * 100,
    "anchors": "[" + ",".join(f"&a{at} x" for at in range(5000)) + "]",
    "types": "[" + "!!str a," * 6000 + "]",
    "a hexadecimal number": f"{YAML}mistakes: 0x{'f' * 60_000}",
    "an octal number": f"{YAML}mistakes: 0{'7' * 60_000}",
    "a binary number": f"{YAML}mistakes: 0b{'1' * 60_000}",
    "a decimal number": f"{YAML}mistakes: {'9' * 60_000}",
    "a number of base 60": f"{YAML}mistakes: 1{':59' * 20_000}",
    "a broken number of base 60": f"{YAML}mistakes: 1{':59' * 20_000}.5",
    "many flat items": "[" + "a," * 30_000 + "]",
    "numbers of one hash": "{" + ",".join(f"{((1 << 61) - 1) * at}: 1" for at in range(1, 2_500)) + "}",
}
WORDS = "nested too deeply|maximum nesting|without references|without types|numbers of up to 40|fields of a layout"


@pytest.mark.parametrize("pure", [False, True], ids=["libyaml", "without libyaml"])
@pytest.mark.parametrize("kind", SLOW)
def test_yaml_takes_little_time(tmp_path, monkeypatch, kind, pure):
    """30,000 open brackets took 45 s, and numbers in other bases are not limited in their digits by Python."""
    if pure:
        monkeypatch.delattr(yaml, "CSafeLoader", raising=False)
    path = tmp_path / "slow.yaml"
    path.write_text(SLOW[kind])
    start = time.process_time()
    with pytest.raises(InputError, match=WORDS) as error:
        get_layout(path)
    assert time.process_time() - start < 20
    assert "slow.yaml" in str(error.value) and len(str(error.value)) < 1000


@pytest.mark.parametrize("pure", [False, True], ids=["libyaml", "without libyaml"])
def test_a_layout_of_a_thousand_joints(tmp_path, monkeypatch, pure):
    if pure:
        monkeypatch.delattr(yaml, "CSafeLoader", raising=False)
    path = tmp_path / "large.yaml"
    names = [f"joint {at}" for at in range(1000)]
    pose = [[at / 1000, 0.123456789012345678901234567890] for at in range(1000)]
    content = {"name": "large", "joints": names, "limbs": [[at, at + 1] for at in range(999)], "mirror_pairs": []}
    path.write_text(yaml.safe_dump({**content, "rest_pose": pose}, default_flow_style=None, width=1000))
    assert get_layout(path).num_joints == 1000 and get_layout(path).rest_pose[999] == (0.999, pose[0][1])


def test_large_numbers_in_fields_are_named(tmp_path):
    """Python refuses to write them out, also in the message that refuses them."""
    huge = 1 << 20_000
    fields = {"name": "a", "joints": ["a", "b"], "limbs": [], "mirror_pairs": []}
    for field, value in (
        ("name", huge), ("source", huge), ("mistakes", huge), ("sides", huge), ("joints", [huge]), ("joints", huge),
        ("limbs", [[0, huge]]), ("limbs", huge), ("mirror_pairs", [[huge, 0]]), ("mirror_pairs", [[huge, huge]]),
        ("limb_mirror_pairs", [[0, huge]]), ("rest_pose", [[huge, 0], [0, 0]]), ("rest_pose", huge),
    ):  # fmt: skip
        with pytest.raises(InputError, match=f"field '{field}'"):
            get_layout({**fields, field: value})
    for key in (huge, "b" * 10_000):
        with pytest.raises(InputError, match="unknown fields"):
            get_layout({**fields, key: 1})


def test_the_failing_file_in_the_common_folder(shared_dir, tmp_path):
    path = shared_dir / "cases" / "21_numbers_in_files" / "hex.yaml"
    command = [sys.executable, "tools/draw_skeletons.py", str(path), "--out", str(tmp_path / "out")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2 and done.stdout == "" and not (tmp_path / "out").exists()
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"error: {path}: line 5: expected numbers of up to 40 characters, got one of ")
