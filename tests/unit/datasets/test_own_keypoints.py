"""The command keypoints of tools/prepare_data.py, in a real process: from files to clips, what it says and refuses."""

import csv
import json
import os
import subprocess
import sys

import numpy as np
import pytest

from helpers import ROOT
from helpers.own_keypoint_files import body, write_csv, write_mmpose, write_openpose
from pyskl_semloss.annotations import read_annotations
from pyskl_semloss.datasets import (
    KeypointOptions,
    SplitOptions,
    convert_keypoints,
    convert_recordings,
)
from pyskl_semloss.errors import InputError
from pyskl_semloss.recordings.assembly import RecordingOptions
from pyskl_semloss.recordings.recording import read_recording
from pyskl_semloss.skeletons import get_layout

HD = ("--image-size", "1920x1080", "--fps", "25")


def run(*arguments, cwd):
    return subprocess.run(
        [sys.executable, ROOT / "tools" / "prepare_data.py", "keypoints", *map(str, arguments)],
        capture_output=True, text=True, cwd=cwd, env={**os.environ, "PYTHONPATH": str(ROOT)}, timeout=600,
    )  # fmt: skip


@pytest.fixture
def talks(tmp_path):
    """Three recordings of 50 frames in three formats, labels and names; and the arrays of the person in each."""
    main = body("openpose67", 50)
    beside = body("openpose67", 50, centre=(1600, 600), size=300, seed=1)
    frames = {t: [main[t], beside[t]] if t % 2 else [beside[t], main[t]] for t in range(50) if t != 20}
    write_openpose(tmp_path / "op" / "talk", frames)
    whole = body("wholebody133", 50, seed=2)
    write_mmpose(tmp_path / "walk.json", [[one] for one in whole])
    coco = body("coco17", 50, seed=3)
    write_csv(tmp_path / "sit.csv", [(t, 0, one) for t, one in enumerate(coco)], "coco17")
    rows = [("talk", 0, 1, "wave", "P1"), ("walk.mp4", 0.2, 1.2, "nod", "P2"), ("sit", 0, 2, "0", "P3"),
            ("talk", 1, 2, "Nod", "P1")]  # fmt: skip
    with open(tmp_path / "labels.csv", "w", newline="") as stream:
        csv.writer(stream).writerows([("recording", "start", "end", "label", "subject"), *rows])
    (tmp_path / "names.txt").write_text("wave\nnod\n")
    return tmp_path, {"talk": main, "walk": whole, "sit": coco}


def test_from_files_to_clips(talks):
    folder, arrays = talks
    done = run("op", "walk.json", "sit.csv", "own.pkl", "--to", "openpose22", "--labels", "labels.csv",
               "--class-names", "names.txt", *HD, cwd=folder)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "talk: 50 frames (2 s), openpose67, person 1 of 2 seen in 98% of them" in done.stdout
    assert "missing joints: left_finger_1" in done.stdout and done.stdout.strip().splitlines()[-1].startswith(
        "Wrote 4 clips"
    )
    clips = {clip.frame_dir: clip for clip in read_annotations(folder / "own.pkl")[0].clips}
    assert {name: (clip.label, clip.total_frames) for name, clip in clips.items()} == {
        "talk_0": (0, 25), "walk_1": (1, 25), "sit_2": (0, 50), "talk_3": (1, 25)
    }  # fmt: skip
    # The person's right shoulder is the image's left one.
    for name, source, first, layout, joint in (
        ("talk_0", "talk", 0, "openpose67", "RShoulder"), ("walk_1", "walk", 5, "wholebody133", "right_shoulder"),
        ("sit_2", "sit", 0, "coco17", "right_shoulder"), ("talk_3", "talk", 25, "openpose67", "RShoulder"),
    ):  # fmt: skip
        expected = arrays[source][first : first + clips[name].total_frames, get_layout(layout).joints.index(joint)]
        got = np.c_[clips[name].keypoint[0, :, 2], clips[name].keypoint_score[0, :, 2]]
        seen = got[:, 2] > 0
        np.testing.assert_allclose(got[seen], expected[seen], rtol=1e-4)
        assert seen.all() == (name != "talk_0")  # frame 20 lacks
    summary = json.loads((folder / "own.json").read_text())
    assert summary["findings"]["counts"] == {"persons_left_out": 1, "frames_without_person": 1, "zero_frames": 1}
    assert [each["recording"] for each in summary["recordings"]] == ["talk", "walk", "sit"]
    assert summary["class_names"] == ["wave", "nod"] and sorted(summary["splits"]) == ["test", "train", "val"]
    split_of = {clip: split for split, ids in read_annotations(folder / "own.pkl")[0].splits.items() for clip in ids}
    assert split_of["talk_0"] == split_of["talk_3"]  # one subject
    assert not (folder / "own.pkl.parts").exists()


def test_recordings_for_prediction_and_going_on(talks):
    folder, arrays = talks
    arguments = ("op/talk", "sit.csv", "out", "--person", "1", "--fill-gaps", "3", *HD)
    done = run("op/talk", "out", "--person", "all", "--fill-gaps", "3", *HD, cwd=folder)
    assert done.returncode == 0, done.stderr
    recording = read_recording(folder / "out" / "talk.npz")
    assert recording.keypoint.shape == (2, 50, 67, 2) and recording.layout.name == "openpose67"
    np.testing.assert_allclose(recording.keypoint[:, 10, 0, 0], [1600, arrays["talk"][10, 0, 0]], atol=12)
    about = json.loads((folder / "out" / "talk.json").read_text())
    assert about["points_filled"] == 2 * 67 and about["chosen"] == [0, 1] and about["frames_seen"] == 49
    again = run("out", "again", "--to", "coco17", cwd=folder)  # recordings are sources, and what is said of them is not
    assert again.returncode == 0 and [path.name for path in (folder / "again").glob("*.npz")] == ["talk.npz"], (
        again.stderr
    )
    stamp = os.stat(folder / "out" / "talk.npz").st_mtime_ns
    assert run("op/talk", "sit.csv", "out", "--person", "all", "--fill-gaps", "3", *HD, cwd=folder).returncode == 0
    assert os.stat(folder / "out" / "talk.npz").st_mtime_ns == stamp  # as it was
    done = run(*arguments, cwd=folder)
    assert done.returncode == 1 and "sit.csv: field 'person': there is no person 1, they are 0 to 0" in done.stderr
    assert "Wrote 1 of 2 recordings to out" in done.stdout
    assert os.stat(folder / "out" / "talk.npz").st_mtime_ns > stamp  # other options


def test_a_layout_of_ones_own(talks):
    folder, arrays = talks
    (folder / "arms.yaml").write_text(
        "name: arms\njoints: [nose, top_l, top_r]\n"
        "limbs: [[nose, top_l], [nose, top_r]]\nmirror_pairs: [[top_l, top_r]]\n"
    )
    aliases = ("--alias", "top_l=left_wrist", "--alias", "top_r=right_wrist")
    done = run("sit.csv", "out", "--to", "arms.yaml", *aliases, *HD, cwd=folder)
    assert done.returncode == 0, done.stderr
    recording = read_recording(folder / "out" / "sit.npz")
    np.testing.assert_allclose(recording.keypoint[0], arrays["sit"][:, [0, 9, 10], :2], rtol=1e-4)
    assert recording.layout.name == "arms"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("sit.csv", "own.pkl", *HD), "field 'labels': an annotation file needs labels"),
        (("sit.csv", "own.csv", "--labels", "labels.csv", *HD), "own.csv: expected a name that ends in .pkl"),
        (("none.csv", "out", *HD), "none.csv: there is no such file or folder"),
        (("sit.csv", "out", "--fps", "25"), "sit.csv: field 'image-size': the file does not say it"),
        (
            ("sit.csv", "out", "--fps", "25", "--image-size", "1920"),
            "expected WIDTHxHEIGHT in px, as 1920x1080, got '1920'",
        ),
        (("sit.csv", "out", "--fps", "0", "--image-size", "9x9"), "field 'fps': expected frames per second from 0.001"),
        (("sit.csv", "out", "--to", "openpose2", *HD), "there is no layout 'openpose2'. Did you mean 'openpose25'"),
        (("sit.csv", "out", "--to", "none.yaml", *HD), "none.yaml: there is no such file"),
        (("sit.csv", "out", "--alias", "nose", *HD), "field 'alias': expected TARGET=SOURCE"),
        (("sit.csv", "out", "--fill-gaps", "-1", *HD), "field 'fill-gaps': expected a number from 0, got -1"),
        (("sit.csv", "sit.csv", "copy/sit.csv", "out", *HD), "the recording 'sit' is sit.csv too"),
        (("sit.csv", "own.pkl", "--labels", "labels.csv", *HD), "no clip remains"),
        (("op", "out", "--layout", "coco17", *HD), "it has the joints of 'openpose67', not of 'coco17'"),
    ],
)
def test_it_refuses_in_one_line(talks, arguments, message):
    folder, _ = talks
    (folder / "copy").mkdir()
    (folder / "copy" / "sit.csv").write_bytes((folder / "sit.csv").read_bytes())
    (folder / "labels.csv").write_text("recording,start,end,label\nnobody,0,1,0\n")
    done = run(*arguments, cwd=folder)
    lines = [line for line in done.stderr.splitlines() if not line.endswith((" recordings", "left"))]
    assert done.returncode == 2 and len(lines) == 1 and message in lines[0], done.stderr
    assert not (folder / "own.pkl").exists()


def options(**making):
    return KeypointOptions(recording=RecordingOptions((1080, 1920), 25.0, **making))


def convert(folder, text, splits=None, strict=False):
    (folder / "labels.csv").write_text(text)
    sources = [folder / name for name in ("op", "walk.json", "sit.csv")]
    return convert_keypoints(sources, folder / "own.pkl", folder / "labels.csv", options(to=get_layout("coco17")),
                             folder / "names.txt", splits, strict=strict)  # fmt: skip


def test_splits_of_the_table(talks):
    folder, _ = talks
    head = "recording,start_frame,end_frame,label,split\n"
    summary = convert(folder, head + "talk,0,9,wave,test\ntalk,10,19,nod,train\nsit,0,9,nod,train\nwalk,5,5,nod,val\n")
    assert summary["splits"] == {"train": 2, "val": 1, "test": 1}
    assert "the column split of the labels (1 of the videos have clips in several splits)" in summary["split_rule"]
    assert summary["lengths"] == {"shortest": 1, "median": 10.0, "longest": 10}
    summary = convert(folder, head + "talk,0,9,wave,TEST\nsit,0,9,nod,Train\n")
    assert summary["splits"] == {"train": 1, "test": 1}
    with pytest.raises(
        InputError, match="row 2: expected one of the splits train, val, test, got 'validation'; did you mean 'val'"
    ):
        convert(folder, head + "talk,0,9,wave,validation\n")
    with pytest.raises(InputError, match="clip 'sit_1': field 'split': row 3: it has no split, and others do"):
        convert(folder, head + "talk,0,9,wave,test\nsit,0,9,nod,\n")
    with pytest.raises(InputError, match="field 'split': it has a column split, and there are lists"):
        convert(folder, head + "talk,0,9,wave,test\n", SplitOptions({"test": ["talk"]}))


def test_subjects_of_the_table(talks):
    folder, _ = talks
    head = "recording,start,end,label,subject\n"
    with pytest.raises(InputError, match="clip 'talk_1': field 'subject': row 3: recording 'talk' has the subject 'A'"):
        convert(folder, head + "talk,0,1,wave,A\ntalk,1,2,nod,B\n")
    with pytest.raises(InputError, match="recording 'sit' has no subject, and others do"):
        convert(folder, head + "talk,0,1,wave,A\nsit,1,2,nod,\n")


def test_what_no_recording_can_mend_is_said_before_any_is_made(talks):
    folder, _ = talks
    with pytest.raises(InputError, match=r"labels\.csv: no row of it can be used .*the end, 1, is before"):
        convert(folder, "recording,start,end,label\ntalk,2,1,wave\n")
    with pytest.raises(InputError, match="got 'validation'"):
        convert(folder, "recording,start,end,label,split\ntalk,1,2,wave,validation\n")
    assert not list(folder.glob("own.*"))


def test_names_of_recordings_in_other_letters_and_unicode_forms(talks):
    """macOS writes the umlaut of a file name as two characters, and a table as one."""
    folder, _ = talks
    decomposed, composed = "Mu\u0308ller", "m\u00fcller"
    (folder / "sit.csv").rename(folder / f"{decomposed}.csv")
    text = f"recording,start,end,label\n{composed},0,1,wave\nvideos/Talk.MP4,0,1,wave\ntalc,0,1,nod\nwalk,0,1,nod\n"
    (folder / "labels.csv").write_text(text, encoding="utf-8")
    sources = [folder / name for name in ("op", "walk.json", f"{decomposed}.csv")]
    summary = convert_keypoints(sources, folder / "own.pkl", folder / "labels.csv", options(to=get_layout("coco17")),
                                folder / "names.txt")  # fmt: skip
    found = read_annotations(folder / "own.pkl")[0].clips
    assert sorted(clip.frame_dir for clip in found) == sorted([f"{decomposed}_0", "talk_1", "walk_3"])
    (line,) = summary["findings"]["examples"]["labels_without_recording"]
    assert line.endswith("row 4: there is no recording 'talc'; did you mean 'talk'?")


def test_clips_at_the_edges(talks):
    """50 frames, 2 s: cut at the end, whole rows outside dropped, and each counted with its row."""
    folder, _ = talks
    text = (
        "recording,start,end,label\nsit,1.9,2.02,wave\nsit,1.5,9,wave\nsit,2,3,wave\nsit,-1,0.2,wave\nsit,-2,-1,wave\n"
    )
    summary = convert(folder, text)
    assert summary["clips"] == 3 and summary["lengths"] == {"shortest": 2, "median": 5.0, "longest": 12}
    counts = summary["findings"]["counts"]
    assert counts["frames_outside"] == 2 and counts["frames_clipped"] == 2 and counts["recordings_without_labels"] == 2
    with pytest.raises(InputError, match="row 3: frames 38 to 224, but recording 'sit' has the frames 0 to 49"):
        convert(folder, text, strict=True)


def test_several_processes_make_the_same(talks):
    folder, _ = talks
    sources = [folder / "op", folder / "walk.json", folder / "sit.csv"]
    seen = []
    one = convert_recordings(sources, folder / "one", options(), progress=lambda *at: seen.append(at))
    two = convert_recordings(sources, folder / "two", options(), workers=2)
    assert seen == [(0, 3), (1, 3), (2, 3), (3, 3)]
    for a, b in zip(one, two, strict=True):
        assert {**a, "file": ""} == {**b, "file": ""}
        x, y = read_recording(a["file"]), read_recording(b["file"])
        np.testing.assert_array_equal(x.keypoint, y.keypoint)
        np.testing.assert_array_equal(x.keypoint_score, y.keypoint_score)


def test_labels_that_count_from_1(talks):
    folder, _ = talks
    head = "recording,start,end,label\n"
    text = head + "talk,0,1,1\nwalk,0,1,2\nsit,0,1,3\n"
    (folder / "labels.csv").write_text(text)
    arguments = ("op", "walk.json", "sit.csv", "own.pkl", "--to", "openpose22", "--labels", "labels.csv", *HD)
    for names in ((), ("--class-names", "three.txt")):
        (folder / "three.txt").write_text("wave\nnod\nclap\n")
        done = run(*arguments, *names, cwd=folder)
        assert done.returncode == 2 and "give --labels-from 1" in done.stderr and not (folder / "own.pkl").exists()
        done = run(*arguments, *names, "--labels-from", 1, cwd=folder)
        assert done.returncode == 0, done.stderr
        assert [clip.label for clip in read_annotations(folder / "own.pkl")[0].clips] == [0, 1, 2]
        (folder / "own.pkl").unlink()
    # A list that numbers its names says from where labels count.
    (folder / "three.txt").write_text("1 wave\n2 nod\n3 clap\n")
    done = run(*arguments, "--class-names", "three.txt", cwd=folder)
    assert done.returncode == 0 and "warning: three.txt: the numbers 1 to 3 were taken for the labels" in done.stderr
    assert [clip.label for clip in read_annotations(folder / "own.pkl")[0].clips] == [0, 1, 2]
    assert json.loads((folder / "own.json").read_text())["class_names"] == ["wave", "nod", "clap"]


def test_lists_of_splits_for_own_recordings(talks):
    folder, _ = talks
    text = "recording,start,end,label\ntalk,0,1,wave\nwalk,0,1,nod\n"
    summary = convert(folder, text, SplitOptions({"test": ["Talk.mp4"]}))
    assert summary["split_videos"] == {"train": ["walk"], "test": ["talk"]}
    # A recording without labels is there, and has no clip.
    summary = convert(folder, text, SplitOptions({"test": ["talk", "sit"]}))
    assert summary["findings"]["counts"]["split_ids_without_clip"] == 1
    with pytest.raises(InputError, match="1 of 1 ids fit no clip and no video:\n  'talc'; did you mean 'talk'"):
        convert(folder, text, SplitOptions({"test": ["talc"]}))
    with pytest.raises(InputError, match="the list of 'test' names no clip that is there"):
        convert(folder, text, SplitOptions({"test": ["sit"]}))


def test_a_split_of_the_table_whose_clips_are_all_lost_is_said(talks):
    folder, _ = talks
    head = "recording,start,end,label,split\n"
    with pytest.raises(
        InputError, match=r"no clip of the split 'test' is left:\n  dropped: 1 × label rows of a recording"
    ):
        convert(folder, head + "talk,0,1,wave,train\nnobody,0,1,nod,test\n")


def test_with_one_recording_it_is_said_what_to_do_for_a_test(talks):
    folder, _ = talks
    (folder / "labels.csv").write_text("recording,start,end,label\nsit,0,1,0\nsit,1,2,1\n")
    arguments = ("sit.csv", "own.pkl", "--labels", "labels.csv", *HD)
    done = run(*arguments, cwd=folder)
    assert done.returncode == 0 and "Wrote 2 clips (train 2) to own.pkl" in done.stdout
    for name in ("test", "val"):
        assert f"warning: the split '{name}' is empty: of 'sit' alone" in done.stderr
        assert f"--{name}-fraction 0" in done.stderr
    done = run(*arguments, "--test-fraction", "0", "--val-fraction", "0", cwd=folder)
    assert done.returncode == 0 and "warning" not in done.stderr
    done = run(*arguments, "--test-fraction", "0.3", cwd=folder)
    assert done.returncode == 2 and "field 'test-fraction': the split 'test' is empty" in done.stderr


def test_one_that_nobody_is_in_stops_no_other(talks):
    """The others are made, each failure is named, and the status says that not all was done."""
    folder, _ = talks
    write_csv(folder / "empty.csv", [(t, 0, np.zeros((17, 3))) for t in range(9)], "coco17")
    (folder / "broken.json").write_text("[{")
    sources = ("empty.csv", "walk.json", "broken.json", "sit.csv")
    done = run(*sources, "out", *HD, cwd=folder)
    assert done.returncode == 1 and "Wrote 2 of 4 recordings to out" in done.stdout, done.stderr
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert errors[0] == "error: empty.csv: nobody is in it: every point is missing."
    assert errors[1].startswith("error: broken.json: expected JSON") and len(errors) == 2
    assert sorted(path.name for path in (folder / "out").glob("*.npz")) == ["sit.npz", "walk.npz"]
    (folder / "all.csv").write_text("recording,start,end,label\nempty,0,1,0\nwalk,0,1,1\nsit,0,1,0\n")
    arguments = (*sources, "own.pkl", "--to", "coco17", "--labels", "all.csv", *HD)
    refused = run(*arguments, "--strict", cwd=folder)
    assert refused.returncode == 2 and not (folder / "own.pkl").exists() and "error: " in refused.stderr
    done = run(*arguments, cwd=folder)
    assert done.returncode == 1 and "error: empty.csv: nobody is in it" in done.stderr
    summary = json.loads((folder / "own.json").read_text())
    assert summary["clips"] == 2 and [each["source"] for each in summary["recordings_failed"]] == [
        "empty.csv", "broken.json"
    ]  # fmt: skip
    counts = summary["findings"]["counts"]
    assert (counts["recordings_unreadable"], counts["labels_without_recording"]) == (2, 1)
    (line,) = summary["findings"]["examples"]["labels_without_recording"]
    assert line == "all.csv: row 2: the recording 'empty' cannot be read"


def test_when_none_can_be_made_all_are_named(talks):
    folder, _ = talks
    write_csv(folder / "empty.csv", [(0, 0, np.zeros((17, 3)))], "coco17")
    (folder / "broken.json").write_text("[{")
    done = run("empty.csv", "broken.json", "out", *HD, cwd=folder)
    assert done.returncode == 2 and "error: none of the 2 recordings can be made:\n  empty.csv: nobody" in done.stderr
    done = run("walk.json", "sit.csv", "out", "--image-size", "1920x1080", cwd=folder)
    assert done.returncode == 2
    assert "field 'fps': the file does not say it, and so in all 2 recordings. Give it as --fps." in done.stderr


def test_recordings_of_different_layouts_are_not_mixed(talks):
    folder, _ = talks
    text = "recording,start,end,label\ntalk,0,1,0\nwalk,0,1,1\nsit,0,1,0\n"
    (folder / "all.csv").write_text(text)
    arguments = ("op", "walk.json", "sit.csv", "own.pkl", "--labels", "all.csv", *HD)
    done = run(*arguments, cwd=folder)
    assert done.returncode == 2 and not (folder / "own.pkl").exists()
    assert (
        "error: field 'layout': the recordings are of different layouts:\n  talk (op/talk): openpose67" in done.stderr
    )
    assert "Make one layout of them: --to openpose67 or --to wholebody133 or --to coco17" in done.stderr
    # A recording that no label names may be of another one.
    (folder / "all.csv").write_text("recording,start,end,label\nsit,0,1,0\n")
    assert run(*arguments, cwd=folder).returncode == 0
    assert "They are of different layouts, openpose67, coco17" in run("op", "sit.csv", "out", *HD, cwd=folder).stdout


def test_layouts_of_as_many_joints_are_not_mixed_either(talks):
    """Seventeen joints in an order of one's own, and COCO's: the arrays would fit."""
    folder, arrays = talks
    mine = {"name": "mine", "joints": list(reversed(get_layout("coco17").joints)), "limbs": [[0, 1]],
            "mirror_pairs": [[1, 0]]}  # fmt: skip
    np.savez(folder / "other.npz", keypoint=arrays["sit"][:, ::-1, :2], layout=json.dumps(mine))
    (folder / "all.csv").write_text("recording,start,end,label\nother,0,1,0\nsit,0,1,0\n")
    with pytest.raises(InputError, match="different layouts") as error:
        convert_keypoints([folder / "other.npz", folder / "sit.csv"], folder / "own.pkl", folder / "all.csv", options())
    assert [line.rsplit(" ", 1)[1] for line in error.value.items] == ["mine", "coco17"]


def test_hands_in_one_recording_only(shared_dir, tmp_path):
    case = shared_dir / "cases" / "19_openpose_hands_in_one_video_only"
    out = tmp_path / "x.pkl"
    with pytest.raises(InputError, match=r"different layouts:\n  a .*openpose25\n  b .*openpose67\nMake one layout"):
        convert_keypoints([case / "src"], out, case / "labels.csv", options())
    summary = convert_keypoints([case / "src"], out, case / "labels.csv", options(to=get_layout("openpose22")))
    assert summary["joints"] == 22
    a, b = summary["recordings"]
    assert a["seen_by_part"] == {"body": 8, "left_hand": 0, "right_hand": 0}
    assert b["seen_by_part"] == {"body": 8, "left_hand": 0, "right_hand": 8}  # the person's left is the image's right


def test_shares_of_the_hands_are_said(talks):
    folder, arrays = talks
    values = arrays["talk"].copy()
    values[25:, 25:46] = 0
    write_openpose(folder / "half", {t: [one] for t, one in enumerate(values)})
    done = run("half", "out", *HD, cwd=folder)
    assert "person 0 of 1 seen in 100% of them (left hand 50%, right hand 100%)" in done.stdout
    about = json.loads((folder / "out" / "half.json").read_text())
    assert about["seen_by_part"] == {"body": 50, "left_hand": 25, "right_hand": 50}
    done = run("walk.json", "out", *HD, cwd=folder)
    assert "(left hand 100%, right hand 100%, face 100%)" in done.stdout
