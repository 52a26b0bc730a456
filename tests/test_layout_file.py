"""Layouts in files: wherever a name stands a path may, joints go by names, and errors say which file and field."""

import json

import pytest

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
