"""A made-up third raw data set of 41 joints: one YAML file describes it, and the tool converts it."""

import json
import re
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
import yaml

from helpers import ROOT
from helpers.raw_formats import forged, same_clips, write_kit
from pyskl_semloss.annotations import Clip, read_annotations
from pyskl_semloss.datasets import FORMATS, IMIGUE, SMG, convert_kit, convert_raw, get_format
from pyskl_semloss.datasets.formats import read_format
from pyskl_semloss.datasets.raw_format import MOST_CLASSES, MOST_COLUMNS
from pyskl_semloss.datasets.tables import MOST_CELLS, joint_points
from pyskl_semloss.errors import InputError
from pyskl_semloss.skeletons import get_layout

DOCUMENT = (ROOT / "docs" / "conversion.md").read_text(encoding="utf-8")
(EXAMPLE,) = re.findall(r"```yaml\n(.*?)```", DOCUMENT, re.DOTALL)
POINTS = [*range(8), *range(15, 19), *range(25, 35), *range(35, 54)]
NAMES = [f"j{at}" for at in range(41)]
LAYOUT = {"name": "interviews41", "joints": NAMES, "limbs": [[0, at] for at in range(1, 41)],
          "mirror_pairs": [[at, at + 1] for at in range(1, 41, 2)]}  # fmt: skip


def described(folder, **changes):
    """The file of the documentation with its layout beside it, and with other values; None leaves a field out."""
    folder.mkdir(exist_ok=True)
    (folder / "interviews41.yaml").write_text(yaml.safe_dump(LAYOUT))
    fields = {**yaml.safe_load(EXAMPLE), **changes}
    fields = {name: value for name, value in fields.items() if value is not None}
    (folder / "interviews.yaml").write_text(yaml.safe_dump(fields) if changes else EXAMPLE)
    return folder / "interviews.yaml"


def write_raw(folder):
    """Videos of subjects 3, 7 and 11; returns the clips that the conversion must give."""
    rng = np.random.default_rng(0)
    expected = []
    for subject in (3, 7, 11):
        video = f"Talk{subject:02d}"
        points = np.round(rng.uniform(1, 700, (12, 54, 4)), 3)
        points[..., 3] = np.round(rng.uniform(0, 1, (12, 54)), 3)
        table = np.concatenate([np.arange(24).reshape(12, 2), points.reshape(12, 216), np.full((12, 1), 7)], 1)
        titles = ",".join(["frame", "time", *(f"{n}{v}" for n in range(54) for v in ("x", "y", "z", "s")), "note"])
        (folder / video).mkdir(parents=True)
        rows = "".join(",".join(map(str, row)) + "\n" for row in table)
        (folder / video / f"{video}_points.csv").write_text(f"{titles}\n{rows}")
        (folder / video / f"{video}_gestures.csv").write_text("0,0,3\n5,4,4\n99,6,11\n")
        for row, (label, start, end) in enumerate(((0, 0, 4), (5, 4, 5), (5, 6, 12))):
            chosen = points[None, start:end][:, :, POINTS].astype("f4")
            clip = Clip(f"{video}-{row}", label, (720, 1280), (720, 1280), chosen[..., :2], chosen[..., 3])
            expected.append(clip)
    return expected


def tool(*arguments, cwd=ROOT):
    command = [sys.executable, ROOT / "tools" / "prepare_data.py", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=600, cwd=cwd)


def test_the_tool_converts_it_from_the_file_alone(tmp_path):
    source, expected = described(tmp_path / "about"), write_raw(tmp_path / "src")
    (tmp_path / "src" / "Talk04").mkdir()
    done = tool("raw", source, tmp_path / "src", tmp_path / "a.pkl")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].startswith("Wrote 9 clips (train 6, test 3) to ")
    assert "# Interviews, raw form" in done.stdout and "by subject: subjects 10 to 12 test" in done.stdout
    assert "1 × folders named like a video with neither file" in done.stdout
    written = read_annotations(tmp_path / "a.pkl")[0]
    assert same_clips(written.clips, expected)
    assert written.splits["test"] == ["Talk11-0", "Talk11-1", "Talk11-2"]
    summary = json.loads((tmp_path / "a.json").read_text())
    assert summary["joints"] == 41 and summary["clips_of_class"] == [3, 0, 0, 0, 0, 6]
    assert summary["findings"]["counts"] == {"one_frame_clips": 3, "videos_without_files": 1}


def test_the_tool_converts_its_kit(tmp_path):
    source, clips = described(tmp_path / "about"), write_raw(tmp_path / "src")
    expected = write_kit(tmp_path / "kit", {"train": clips[:6], "test": clips[6:]}, 20)
    done = tool("kit", "interviews.yaml", tmp_path / "kit", tmp_path / "k.pkl", cwd=source.parent)
    assert done.returncode == 0, done.stderr
    written = read_annotations(tmp_path / "k.pkl")[0]
    assert same_clips(written.clips, expected)
    assert json.loads((tmp_path / "k.json").read_text())["split_videos"] == {"train": ["Talk03", "Talk07"],
                                                                             "test": ["Talk11"]}  # fmt: skip
    with pytest.raises(InputError, match=r"41 joints.*got \(3, 3, 20, 22, 1\).*So many joints has iMiGUE, imigue-kit"):
        few = [forged(clip, keypoint=clip.keypoint[:, :, :22]) for clip in clips[:3]]
        few = [forged(clip, keypoint_score=clip.keypoint_score[:, :, :22]) for clip in few]
        write_kit(tmp_path / "other", {"train": few}, 20)
        convert_kit(read_format(source), tmp_path / "other", tmp_path / "o.pkl")
    done = tool("raw", source, tmp_path / "kit", tmp_path / "b.pkl")
    assert done.returncode == 2 and "arrays of a challenge kit: take the command kit." in done.stderr


def test_share_that_validates_comes_from_the_file_or_the_command_line(tmp_path):
    source = described(tmp_path / "about", val_fraction=0.5)
    write_raw(tmp_path / "src")
    done = tool("raw", source, tmp_path / "src", tmp_path / "a.pkl")
    assert "Wrote 9 clips (train 3, val 3, test 3)" in done.stdout, done.stderr
    done = tool("raw", source, tmp_path / "src", tmp_path / "b.pkl", "--val-fraction", "0")
    assert "Wrote 9 clips (train 6, test 3)" in done.stdout, done.stderr


def test_known_names_and_files_are_formats(tmp_path):
    assert FORMATS == {"imigue": IMIGUE, "smg": SMG} and get_format("smg") is SMG
    raw = get_format(str(described(tmp_path)))
    assert raw.num_joints == 41 and raw.points == tuple(POINTS) and raw.test_subjects == (10, 11, 12)
    assert raw.classes == {0: 0, 1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 99: 5} and raw.val_fraction == 0
    whole = yaml.safe_load(EXAMPLE) | {"layout": LAYOUT, "other_gestures": {"99": 5}}
    (tmp_path / "whole.json").write_text(json.dumps(whole))
    assert get_format(str(tmp_path / "whole.json")) == raw
    with pytest.raises(InputError, match="no raw data set 'imigeu'; did you mean 'imigue'.*ends in .yaml"):
        get_format("imigeu")
    with pytest.raises(InputError, match="interviews.yaml: field 'name': 'smg' is the name of another data set"):
        read_format(described(tmp_path, name="smg"))


def test_every_mistake_is_told_at_once(tmp_path):
    source = described(
        tmp_path, columns=True, values=["x", "score", "z"], label_suffix="../b.csv", img_shape=None, colums=3,
        points=["7-0"], num_classes=0, clip_separator="1", video_name="Talk{number}", units="cm", subjects=[1.5],
        layout="none41.yaml", skeleton_header="yes", other_gestures={99: -1}, first_gesture=-1, val_fraction=1,
    )  # fmt: skip
    with pytest.raises(InputError) as error:
        read_format(source)
    first, *mistakes, last = str(error.value).splitlines()
    assert first == f"{source}: the description of a raw data set has 16 mistakes:"
    assert last.startswith("See 'Another raw data set' in docs/conversion.md")
    for at, words in enumerate((
        "img_shape: it is missing", "'colums': there is no such field; did you mean 'columns'?",
        "clip_separator: expected no digit", "columns: expected a whole number from 2 to 4096, got True",
        "first_gesture: expected a whole number from 0", "label_suffix: expected the end of a file's name, got '../b",
        f"layout: {tmp_path / 'none41.yaml'}: there is no such file", "num_classes: expected a whole number from 1",
        "other_gestures: expected a whole number from 0", "points: expected at most 10000 numbers, upwards, got '7-0'",
        "skeleton_header: expected true or false, got 'yes'", "subjects: expected a whole number",
        "units: expected px or kinect, got 'cm'", "val_fraction: expected a share", "values: expected 'y' once",
        "video_name: expected text with up to 3 numbers",
    )):  # fmt: skip
        assert any(line.strip().startswith(words) for line in mistakes), (at, words, mistakes)
    done = tool("raw", source, tmp_path, tmp_path / "a.pkl")
    assert done.returncode == 2 and "has 16 mistakes:\n  img_shape: it is missing\n" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"columns": 5}, "columns: 5 are too few for 2 leading ones and a point of 4"),
        ({"columns": 216}, "points: there is no point 53, the columns are of the points 0 to 52"),
        ({"points": ["0-39"]}, "points: 40 points for the 41 joints of the layout 'interviews41'"),
        ({"points": []}, "points: 54 points for the 41 joints"),
        ({"points": ["0-39", 3]}, r"points: \[3\] more than once"),
        ({"label_suffix": "_points.csv"}, "label_suffix: it is the same as skeleton_suffix"),
        ({"other_gestures": {5: 0}}, "other_gestures: 5 is one of the gestures 0 to 5"),
        ({"other_gestures": {99: 6}}, "expected a class from 0 to 5 for 99, got 6"),
        ({"clip_separator": ""}, "kit_video_name: it is needed where clip_separator is empty"),
        ({"kit_video_name": "Talk{digits}"}, "kit_video_name: expected the number of digits"),
        ({"test_subjects": [13]}, r"test_subjects: \[13\] are not among the subjects"),
        ({"test_subjects": []}, "test_subjects: expected some of the subjects"),
        ({"layout": "openpose23"}, "layout: field 'layout': there is no layout 'openpose23'"),
        ({"name": "a\u202eb"}, r"name: it holds the character U\+202E"),
    ],
)
def test_fields_that_contradict_each_other(tmp_path, changes, words):
    with pytest.raises(
        InputError, match=f"interviews.yaml: the description of a raw data set has a mistake:\n  .*{words}"
    ):
        read_format(described(tmp_path, **changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"columns": MOST_COLUMNS + 1}, {"columns": 1 << 70}, {"num_classes": MOST_CLASSES + 1},
        {"points": ["0-999999"]}, {"points": [1 << 70]},
        {"subjects": [f"{n}-{n + 9000}" for n in range(0, 99_000, 9001)]},
        {"first_gesture": 1 << 70}, {"img_shape": [1 << 40, 1]}, {"other_gestures": {1 << 70: 0}},
        {"video_name": "{digits:9999999}"}, {"video_name": "{digits}" * 4}, {"video_name": "a" * 101},
        {"val_fraction": float("nan")}, {"leading_columns": 219}, {"values": ["x"] * 5000},
    ],
)  # fmt: skip
def test_numbers_and_patterns_that_would_cost_much_are_refused(tmp_path, changes):
    start = time.process_time()
    with pytest.raises(InputError, match="interviews.yaml: the description of a raw data set has") as error:
        read_format(described(tmp_path, **changes))
    assert time.process_time() - start < 5 and len(str(error.value)) < 1000


def test_names_are_templates_and_no_regular_expressions(tmp_path):
    raw = read_format(described(tmp_path, video_name="(a+)+${digits}"))
    assert raw.is_video("(a+)+$7") and not raw.is_video("aaa$7") and not raw.is_video("(a+)+$x")
    raw = read_format(described(tmp_path, video_name="{digits}1{digits}1{digits}x"))
    start = time.process_time()
    assert not raw.is_video("1" * 250) and not raw.is_video("1" * 1_000_000)
    assert time.process_time() - start < 5
    raw = read_format(described(tmp_path, clip_separator="", kit_video_name="P{digits:2}T{digits:1}"))
    assert raw.video_of_clip("P07T212") == "P07T2" and raw.video_of_clip("P7T212") is None
    assert raw.video_of_clip("P07T2") is None
    assert SMG.video_of_clip("Sample00127") == "Sample0012" and SMG.video_of_clip("0012_7") is None
    assert IMIGUE.video_of_clip("a_b_7") == "a_b" and IMIGUE.video_of_clip("a_b") is None


def test_titles_that_the_format_has_and_a_file_lacks_are_counted(tmp_path):
    source = read_format(described(tmp_path / "about", label_header=True))
    expected = write_raw(tmp_path / "src")
    for file in (tmp_path / "src").glob("*/*_points.csv"):
        if file.name != "Talk03_points.csv":
            file.write_text(file.read_text().partition("\n")[2])
        else:
            # Read cell by cell; rows in messages are lines of the file.
            file.write_text(file.read_text().rstrip("\n").rpartition(",")[0])
    labels = tmp_path / "src" / "Talk07" / "Talk07_gestures.csv"
    labels.write_text("gesture,start,end\n" + labels.read_text())
    summary = convert_raw(source, tmp_path / "src", tmp_path / "a.pkl")
    assert same_clips(read_annotations(tmp_path / "a.pkl")[0].clips, expected)
    counts = summary["findings"]["counts"]
    assert (counts["titles_missing"], counts["rows_cut_short"]) == (4, 1) and "header_rows" not in counts
    assert summary["findings"]["examples"]["rows_cut_short"][0].endswith("row 13: expected 219 columns, got 218")
    file = tmp_path / "src" / "Talk03" / "Talk03_points.csv"
    file.write_text(file.read_text().partition("\n")[0] + "\n")
    assert convert_raw(source, tmp_path / "src", tmp_path / "a.pkl")["findings"]["counts"]["videos_empty"] == 1


def test_another_description_reads_the_videos_again(tmp_path):
    raw = read_format(described(tmp_path / "about"))
    write_raw(tmp_path / "src")

    def interrupt(done, total):
        if done == total:
            raise KeyboardInterrupt

    for other, reused in ((raw, 3), (replace(raw, img_shape=(721, 1280)), 0)):
        with pytest.raises(KeyboardInterrupt):
            convert_raw(raw, tmp_path / "src", tmp_path / "a.pkl", progress=interrupt)
        assert convert_raw(other, tmp_path / "src", tmp_path / "a.pkl")["videos_reused"] == reused
    assert read_annotations(tmp_path / "a.pkl")[0].clips[0].img_shape == (721, 1280)


def test_rows_of_many_columns_have_a_limit_of_cells(tmp_path):
    layout = {**LAYOUT, "joints": NAMES[:2], "limbs": [[0, 1]], "mirror_pairs": [[0, 1]]}
    raw = read_format(described(tmp_path / "about", layout=layout, columns=4096, points=[0, 1]))
    write_raw(tmp_path / "src")
    most = MOST_CELLS // 4096
    file = tmp_path / "src" / "Talk03" / "Talk03_points.csv"
    file.write_text("1\n" * (most + 1))
    with pytest.raises(InputError, match=f"it has {most + 1} rows, more than the {most} frames"):
        convert_raw(raw, tmp_path / "src", tmp_path / "a.pkl", strict=True)


def test_the_known_data_sets_have_the_joints_of_their_layouts():
    assert IMIGUE.layout == get_layout("openpose22") and SMG.layout == get_layout("kinect25")
    positions, scores = joint_points(np.arange(106.0)[None], IMIGUE)
    assert positions[0, 12].tolist() == [76.0, 77.0] and scores[0, 12] == 78.0
    assert (IMIGUE.val_fraction, SMG.val_fraction, SMG.units, IMIGUE.units) == (0.06, 0.0, "kinect", "px")
