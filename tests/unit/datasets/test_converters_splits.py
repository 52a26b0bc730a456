"""Splits by list, subject, folder or seed, never by clip; and the tool as it is called."""

import json
import subprocess
import sys
from collections import Counter

import pytest

from helpers import ROOT
from helpers.raw_formats import imigue_clips, named, smg_clips, write_imigue_raw, write_kit, write_smg_raw
from pyskl_semloss.datasets import SMG, SplitOptions, read_split_files, read_subjects
from pyskl_semloss.datasets.findings import Findings
from pyskl_semloss.datasets.splits import split_clips
from pyskl_semloss.errors import InputError

VIDEOS = [f"{number:04d}" for number in range(40)]
CLIPS = {f"{video}_{row}": video for video in VIDEOS for row in range(3)}
NONE = dict.fromkeys(VIDEOS, "")
TEST = (36, 37, 38, 39, 40)


def split(options=None, groups=NONE, clips=CLIPS, raw=None, findings=None):
    made = split_clips(clips, groups, options or SplitOptions(), raw, findings or Findings())
    placed = [item for ids in made.ids.values() for item in ids]
    assert len(placed) == len(set(placed))
    return made


def check_by_unit(made, unit_of):
    homes = {}
    for name, ids in made.ids.items():
        for item in ids:
            homes.setdefault(unit_of(item), set()).add(name)
    assert all(len(names) == 1 for names in homes.values())
    return {name: sum(home == {name} for home in homes.values()) for name in made.ids}


def test_by_video_with_a_seed():
    options = SplitOptions(val_fraction=0.1)
    made = split(options)
    assert check_by_unit(made, CLIPS.get) == {"train": 27, "val": 3, "test": 10}
    assert made == split(options) and made.ids != split(SplitOptions(val_fraction=0.1, seed=1)).ids
    assert made.rule.startswith("by video: 0.25 of them test") and "seed 0" in made.rule
    assert "val" not in split().ids and sum(map(len, made.ids.values())) == 120


def test_by_folder_and_validation_only_where_there_is_none():
    groups = {video: "test" if number < 10 else "train" for number, video in enumerate(VIDEOS)}
    made = split(SplitOptions(val_fraction=0.1), groups)
    assert check_by_unit(made, CLIPS.get) == {"train": 27, "val": 3, "test": 10}
    assert made.videos["test"] == VIDEOS[:10] and "folder" in made.rule and "validate" in made.rule
    made = split(SplitOptions(val_fraction=0.1), {**groups, "0039": "val"})
    assert made.videos["val"] == ["0039"] and "validate" not in made.rule


def test_by_subject_table():
    table = {video: f"s{number % 8}" for number, video in enumerate(VIDEOS)}
    spelled = {f"videos/{int(video)}.mp4": subject for video, subject in table.items()}
    assert split(SplitOptions(subjects=spelled, val_fraction=0.2)) == split(
        SplitOptions(subjects=table, val_fraction=0.2)
    )
    with pytest.raises(InputError, match=r"1 videos have no subject in the table: \['0039'\]; did you mean"):
        split(SplitOptions(subjects={video: name for video, name in table.items() if video != "0039"}))
    made = split(SplitOptions(subjects=table, val_fraction=0.2))
    assert check_by_unit(made, lambda item: table[CLIPS[item]]) == {"train": 5, "val": 1, "test": 2}
    assert made.rule.startswith("by subject") and "training subjects" in made.rule


def test_smg_subjects():
    clips = {f"Sample{number:04d}{row}": f"Sample{number:04d}" for number in range(1, 41) for row in range(2)}
    groups = dict.fromkeys(clips.values(), "train")
    made = split(SplitOptions(val_fraction=0.1), groups, clips, SMG)
    assert made.videos["test"] == [f"Sample{number:04d}" for number in TEST]
    assert check_by_unit(made, clips.get) == {"train": 31, "val": 4, "test": 5}
    assert made.rule.startswith("by subject: subjects 36 to 40 test (the number of a sample is its subject)")
    table = {video: str(41 - int(video[6:])) for video in clips.values()}
    assert split(SplitOptions(subjects=table), groups, clips, SMG).videos["test"] == [
        f"Sample000{n}" for n in range(1, 6)
    ]
    other = {"Sample01230": "Sample0123", "Sample00010": "Sample0001"}
    made = split(None, dict.fromkeys(other.values(), ""), other, SMG)
    assert "NOT the official split" in made.rule and sorted(made.ids) == ["test", "train"]


def test_official_lists_of_clips_or_videos():
    findings = Findings()
    lists = {"train": ["0001", "0002_1", "0077"], "test": ["0003_0", "0002_0", "0003_9"]}
    made = split(SplitOptions(lists, partial=True), findings=findings)
    assert made.ids == {"train": ["0001_0", "0001_1", "0001_2", "0002_1"], "test": ["0002_0", "0003_0"]}
    assert made.rule == "the lists given (1 of the videos have clips in several splits)"
    assert findings.counts == {"split_ids_without_clip": 2, "clips_without_split": 120 - 6}
    with pytest.raises(InputError, match="clip '0001_1'.*'train' and 'test'"):
        split(SplitOptions({"train": ["0001"], "test": ["0001_1"]}))


def test_videos_in_no_list_train_where_no_list_is_for_training():
    findings = Findings()
    made = split(SplitOptions({"test": ["0000_0", "0001"]}, val_fraction=0.1), findings=findings)
    assert made.ids["test"] == ["0000_0", "0001_0", "0001_1", "0001_2"]
    assert findings.counts == {"clips_without_split": 2}
    check_by_unit(made, CLIPS.get)
    assert {name: len(videos) for name, videos in made.videos.items()} == {"train": 34, "val": 4, "test": 2}
    assert "videos in none of them train, 0.1 of their videos validate" in made.rule
    table = {video: f"s{number // 2}" for number, video in enumerate(VIDEOS)}
    made = split(SplitOptions({"test": ["0000", "0001"]}, table, 0.1))
    assert check_by_unit(made, lambda item: table[CLIPS[item]]) == {"train": 17, "val": 2, "test": 1}
    assert sorted(split(SplitOptions({"test": VIDEOS})).ids) == ["test"]


def listed(path, text, name="test"):
    path.write_text(text, encoding="utf-8")
    return read_split_files([f"{name}={path}"])


@pytest.mark.parametrize(
    "text",
    [
        "0000_0\n0001\n", "0000_0,0001", "0000_0;0001\n", "id,class\n0000_0,31\n0001,2\n", "0000_0,31\n0001,2\n",
        "sep=;\nID;class\n0000_0;3\n0001;3\n", "0_0\n1\n", "raw/0000_0.csv\nvideos/0001.mp4\n",
        ",clip\n0,0000_0\n1,0001\n",
    ],
)  # fmt: skip
def test_a_list_is_read_in_each_form(tmp_path, text):
    """Ids that were not understood left the clips of the test to the training."""
    made = split(SplitOptions(listed(tmp_path / "ids.txt", text)))
    assert made.ids["test"] == ["0000_0", "0001_0", "0001_1", "0001_2"]
    assert made.videos["train"] == VIDEOS[2:]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("0000_0 0000_1\n", r"1 of 1 ids fit no clip and no video:\n  line 1: '0000_0 0000_1'"),
        ("0000_0\n\n0077_0\n0077_1\n", r"2 of 3 ids fit .*\n  line 3: '0077_0'.*\n  line 4: '0077_1'"),
        ("Sample0001\n", "1 of 1 ids fit no clip"),
        ("0001_7\n0001_0\n", "1 of 2 ids fit no clip and no video:\n  line 1: '0001_7'; did you mean"),
    ],
)
def test_ids_that_fit_no_clip_are_refused(tmp_path, text, words):
    lists = listed(tmp_path / "ids.txt", text)
    for strict in (False, True):
        with pytest.raises(InputError, match=rf"ids\.txt: field 'split-file': of the list of 'test', {words}") as error:
            split(SplitOptions(lists), findings=Findings(strict))
    assert "\nThe ids here are such as '0000_0'; write one a line." in str(error.value)
    assert "--partial leaves out the ids of what is not here" in str(error.value)


def test_of_a_part_of_the_data_set_ids_are_noted_where_some_fit(tmp_path):
    findings = Findings()
    lists = listed(tmp_path / "ids.txt", "0000_0\n0077_0\n")
    made = split(SplitOptions(lists, partial=True), findings=findings)
    assert made.ids["test"] == ["0000_0"] and findings.counts["split_ids_without_clip"] == 1
    with pytest.raises(InputError, match="2 of 2 ids fit no clip"):
        split(SplitOptions(listed(tmp_path / "ids.txt", "0077_0\n0077_1\n"), partial=True))


def test_ids_of_clips_that_were_dropped_are_noted_and_their_videos_do_not_train():
    findings = Findings(counts=Counter(ends_before_starts=1))
    made = split(SplitOptions({"test": ["0001_7", "0002"]}), findings=findings)
    assert made.videos == {"train": [VIDEOS[0], *VIDEOS[3:]], "test": ["0002"]}
    assert findings.counts["split_ids_without_clip"] == 1 and findings.counts["clips_without_split"] == 3
    with pytest.raises(InputError, match="1 of 3 ids fit no clip"):  # one row was dropped, not two
        split(SplitOptions({"test": ["0001_7", "0001_8", "0002"]}), findings=Findings(counts=findings.counts))
    # A video that could not be read has no clips at all.
    findings = Findings()
    made = split(
        SplitOptions({"test": ["0099_3", "0098", "0002"]}), {**NONE, "0098": "", "0099": ""}, findings=findings
    )
    assert made.videos["test"] == ["0002"] and findings.counts["split_ids_without_clip"] == 2


def test_a_list_for_one_split_leaves_the_test_of_the_source_alone():
    """Only a list for validation, and the folder or the subjects of the test would have trained."""
    groups = {video: "test" if number < 10 else "train" for number, video in enumerate(VIDEOS)}
    made = split(SplitOptions({"val": ["0020"]}), groups)
    assert {name: len(videos) for name, videos in made.videos.items()} == {"train": 29, "val": 1, "test": 10}
    findings = Findings()
    made = split(SplitOptions({"test": ["0020"]}), groups, findings=findings)
    assert made.videos["test"] == ["0020"] and len(made.videos["train"]) == 29
    assert findings.counts["clips_without_split"] == 30
    clips = {f"Sample{number:04d}{row}": f"Sample{number:04d}" for number in range(1, 41) for row in range(2)}
    made = split(SplitOptions({"val": ["Sample0001"]}), dict.fromkeys(clips.values(), "train"), clips, SMG)
    assert made.videos["test"] == [f"Sample{number:04d}" for number in TEST] and len(made.videos["train"]) == 34


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("valid", "val"),
        ("validation", "val"),
        ("dev", "val"),
        ("training", "train"),
        ("testing", "test"),
        ("trian", "train"),
    ],
)
def test_names_of_splits_are_checked(tmp_path, name, meant):
    (tmp_path / "ids.txt").write_text("0001\n")
    (tmp_path / "lists.json").write_text(json.dumps({name: ["0001"]}))
    for item in (f"{name}={tmp_path / 'ids.txt'}", str(tmp_path / "lists.json")):
        with pytest.raises(InputError, match=f"train, val, test, got '{name}'; did you mean '{meant}'") as error:
            read_split_files([item])
        assert str(error.value).startswith(str(tmp_path))
    with pytest.raises(InputError, match="did you mean"):
        SplitOptions({name: ["0001"]})
    assert list(read_split_files([f"TEST={tmp_path / 'ids.txt'}"])) == ["test"]


def test_a_split_that_comes_out_empty_says_what_to_do():
    one, two = {"a_0": "a"}, {"a_0": "a", "b_0": "b"}
    for clips, name, options in ((one, "test", {}), (two, "val", {"val_fraction": 0.2})):
        findings = Findings()
        made = split(SplitOptions(**options), dict.fromkeys(clips.values(), ""), clips, findings=findings)
        assert name not in made.ids and findings.counts == {"splits_empty": 1}
        (line,) = findings.lines()
        assert f"the split '{name}' is empty: of 'a' alone" in line.replace("'b' alone", "'a' alone")
        assert f"--{name}-fraction 0" in line and "column split" in line
        with pytest.raises(InputError, match=f"field '{name}-fraction': the split '{name}' is empty"):
            split(SplitOptions(**options, asked=[name]), dict.fromkeys(clips.values(), ""), clips)
    options = SplitOptions(subjects={"a": "P", "b": "P"})
    findings = Findings()
    split(options, {"a": "", "b": ""}, two, findings=findings)
    assert "of 'P' alone" in findings.lines()[0]


def test_small_and_wrong_fractions():
    one = {"a_0": "a"}
    assert split(SplitOptions(val_fraction=0.5), {"a": ""}, one).ids == {"train": ["a_0"]}
    two = {"a_0": "a", "b_0": "b"}
    assert sorted(split(None, {"a": "", "b": ""}, two).ids) == ["test", "train"]
    for options in ({"val_fraction": 1}, {"test_fraction": -0.1}, {"val_fraction": float("nan")}, {"seed": -1}):
        with pytest.raises(InputError):
            SplitOptions(**options)


def test_reading_lists_and_subjects(tmp_path):
    (tmp_path / "a.txt").write_text("\ufeff0001\n\n 0002 \n", encoding="utf-8")
    (tmp_path / "b.json").write_text(json.dumps({"val": ["x"], "test": ["y", "z"]}))
    found = read_split_files([f"train={tmp_path / 'a.txt'}", str(tmp_path / "b.json")])
    assert found == {"train": ("0001", "0002"), "val": ("x",), "test": ("y", "z")}
    (tmp_path / "empty.txt").write_text("")
    (tmp_path / "bad.json").write_text('{"train": [1]}')
    for items, words in (
        (["val=/nowhere"], "/nowhere: the list of 'val': there is no such file"),
        ([f"val={tmp_path / 'empty.txt'}"], "empty.txt: the list of 'val': .*got no id"),
        ([str(tmp_path / "bad.json")], "expected JSON"),
        ([str(tmp_path / "a.txt")], "expected JSON"),
        ([f"test={tmp_path / 'a.txt'}", str(tmp_path / "b.json")], "given twice"),
    ):
        with pytest.raises(InputError, match=words):
            read_split_files(items)
    (tmp_path / "s.csv").write_text("Sample0001,36\n\nSample0002 , 7\n")
    assert read_subjects(tmp_path / "s.csv") == {"Sample0001": "36", "Sample0002": "7"}
    for text in ("Video,Subject\nSample0001,36\nSample0002,7\n", "sep=;\nSample0001;36;\nSample0002;7;\n",
                 ",subject,note,video\n0,36,x,Sample0001\n1,7,,Sample0002\n"):  # fmt: skip
        (tmp_path / "s.csv").write_text(text)
        assert read_subjects(tmp_path / "s.csv") == {"Sample0001": "36", "Sample0002": "7"}
    for text in ("a,1\nb\n", "a,1\na,2\n", "a,1\nb,\n"):
        (tmp_path / "s.csv").write_text(text)
        with pytest.raises(InputError, match="s.csv: row 2: "):
            read_subjects(tmp_path / "s.csv")


def tool(*arguments):
    command = [sys.executable, ROOT / "tools" / "prepare_data.py", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=600, cwd=ROOT)


def test_the_tool(tmp_path):
    clips, kinect = imigue_clips(32, frames=12), smg_clips(32, frames=12)
    write_imigue_raw(tmp_path / "imigue", {f"{at:04d}": clips[at::4] for at in range(4)})
    write_smg_raw(tmp_path / "smg", {"Sample0001": kinect[:16], "Sample0040": kinect[16:]})
    write_kit(tmp_path / "imigue-kit", {"train": named(clips, "0001_{}")})
    write_kit(tmp_path / "smg-kit", {"test": named(kinect, "Sample0036{}")}, 60)
    for name in ("imigue", "smg", "imigue-kit", "smg-kit"):
        done = tool(name, tmp_path / name, tmp_path / f"{name}.pkl", "--strict")
        assert done.returncode == 0, done.stderr
        last = done.stdout.splitlines()[-1]
        assert last.startswith("Wrote 32 clips (") and f"{name}.pkl" in last and "100 %" in done.stderr
        assert all((tmp_path / f"{name}.{end}").is_file() for end in ("pkl", "json", "md"))
    (tmp_path / "list.txt").write_text("0001\n")
    arguments = ("--split-file", f"train={tmp_path / 'list.txt'}", "--workers", "1")
    done = tool("imigue", tmp_path / "imigue", tmp_path / "b.pkl", *arguments)
    assert "(train 8)" in done.stdout.splitlines()[-1] and "24 × clips that no split list names" in done.stdout
    file = tmp_path / "imigue" / "0002" / "0002_label.csv"
    file.write_text("7,5,4\n")
    done = tool("imigue", tmp_path / "imigue", tmp_path / "c.pkl", "--strict")
    expected = f"error: {file}: row 1: the end, 4, is before the start, 5. Without --strict"
    assert done.returncode == 2 and expected in done.stderr and "Traceback" not in done.stderr
    (tmp_path / "list.txt").write_text("0001_0,0001_1")
    done = tool("imigue", tmp_path / "imigue", tmp_path / "e.pkl", "--split-file", f"test={tmp_path / 'list.txt'}")
    assert "Wrote 24 clips (train 8, val 8, test 2)" in done.stdout, done.stdout
    (tmp_path / "list.txt").write_text("0001_0 0001_1")
    for command in ("imigue", "imigue-kit"):
        done = tool(command, tmp_path / command, tmp_path / "f.pkl", "--split-file", f"test={tmp_path / 'list.txt'}")
        assert done.returncode == 2 and "list.txt: field 'split-file': of the list of 'test', 1 of 1 ids" in done.stderr
        assert not (tmp_path / "f.pkl").exists()
    done = tool("imigue-kit", tmp_path / "imigue-kit", tmp_path / "f.pkl", "--val-fraction", "0.1")
    assert done.returncode == 2 and "field 'val-fraction': the split 'val' is empty: of '0001' alone" in done.stderr
    done = tool("imigue-kit", tmp_path / "imigue-kit", tmp_path / "f.pkl")
    assert done.returncode == 0 and "warning: the split 'val' is empty: of '0001' alone" in done.stderr
    padded = tool("imigue-kit", tmp_path / "imigue-kit", tmp_path / "d.pkl", "--keep-padding")
    assert padded.returncode == 0 and "Lengths: 90 to 90 frames" in padded.stdout


def test_an_official_list_of_ids_is_checked_before_training(tmp_path):
    clips = imigue_clips(32, frames=12)
    write_kit(tmp_path / "kit", {"train": named(clips[:30], "0001_{}"), "test": named(clips[30:], "0002_{}")})
    assert tool("imigue-kit", tmp_path / "kit", tmp_path / "a.pkl").returncode == 0
    ids = tmp_path / "ids.txt"
    ids.write_text("0002_1,0002_0")
    done = tool("ids", tmp_path / "a.pkl", ids)
    assert done.returncode == 0 and f"The 2 ids of {ids} are those of the split 'test'" in done.stdout
    for text, words in (
        ("0002_1\n", f"official list {ids} (2 for 1); 1 not in the list: '0002_0'. Test the split"),
        ("2_0\n2_1\n", "The list writes '2_0' for '0002_0'"),
        ("0002_0\n0002_0\n", "the id '0002_0' is on line 1 and again on line 2"),
    ):
        ids.write_text(text)
        done = tool("ids", tmp_path / "a.pkl", ids)
        assert done.returncode == 2 and words in done.stderr and "Traceback" not in done.stderr
    ids.write_text("0001_0\n")
    done = tool("ids", tmp_path / "a.pkl", ids, "--split", "val")
    assert done.returncode == 2 and "'val'" in done.stderr
