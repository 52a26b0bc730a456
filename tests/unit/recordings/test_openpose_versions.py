"""OpenPose's older files and other models: read where their joints are known, else named; hands in some files only."""

import json

import numpy as np
import pytest

from helpers.own_keypoint_files import body, openpose_person, write_openpose
from pyskl_semloss.errors import InputError
from pyskl_semloss.recordings.assembly import RecordingOptions, make_recording
from pyskl_semloss.recordings.openpose import read_openpose
from pyskl_semloss.skeletons import get_layout, joint_map

ORDER = (
    "Nose Neck RShoulder RElbow RWrist LShoulder LElbow LWrist RHip RKnee RAnkle LHip LKnee LAnkle REye LEye REar LEar"
)


def write_people(folder, frames):
    """``frames`` lists the persons of each file, as they stand in it."""
    folder.mkdir()
    for frame, people in enumerate(frames):
        text = json.dumps({"version": 1.0, "people": people})
        (folder / f"talk_{frame:012d}_keypoints.json").write_text(text)
    return folder


def flat(values):
    return values.ravel().tolist()


def test_the_18_joints_are_openposes():
    """The order of OpenPose's COCO model, and where each goes in iMiGUE's, whose left is the image's."""
    assert " ".join(get_layout("openpose18").joints) == ORDER
    made = joint_map(get_layout("openpose18"), get_layout("openpose22"))
    assert [used for (used,) in made.joints[:12]] == [0, 1, 2, 3, 4, 5, 6, 7, 14, 15, 16, 17]
    assert len(made.missing) == 10 and all("finger" in name for name in made.missing)
    hands = joint_map(get_layout("openpose60"), get_layout("openpose22"))
    assert [used for (used,) in hands.joints[12:]] == [39 + at for at in (4, 8, 12, 16, 20)] + [
        18 + at for at in (4, 8, 12, 16, 20)
    ]
    back = joint_map(get_layout("openpose18"), get_layout("openpose25"))
    assert back.derived == ("MidHip",) and back.joints[8] == (11, 8)


@pytest.mark.parametrize("end", ["", "_2d"])
def test_old_fields_and_54_numbers_are_read(tmp_path, end):
    values, hands = body("openpose18", 6), body("openpose60", 6)
    people = [[{f"pose_keypoints{end}": flat(each), f"face_keypoints{end}": []}] for each in values]
    found = read_openpose(write_people(tmp_path / "talk", people))
    assert found.layout.name == "openpose18"
    np.testing.assert_allclose(found.keypoint, values[..., :2], rtol=1e-6)
    recording, facts, _ = make_recording(found, RecordingOptions((1080, 1920), 25.0, get_layout("openpose22")))
    np.testing.assert_allclose(recording.keypoint[0, :, 8], values[:, 14, :2], rtol=1e-6)
    assert facts["doubts"] == []
    people = [
        [{f"pose_keypoints{end}": flat(each[:18]), f"hand_left_keypoints{end}": flat(each[18:39]),
          f"hand_right_keypoints{end}": flat(each[39:])}] for each in hands
    ]  # fmt: skip
    found = read_openpose(write_people(tmp_path / "hands", people))
    assert found.layout.name == "openpose60"
    np.testing.assert_allclose(found.keypoint, hands[..., :2], rtol=1e-6)


def test_the_shared_recording_with_old_fields_is_read(shared_dir):
    found = read_openpose(shared_dir / "cases" / "13_openpose_old_keys" / "talk")
    assert (found.layout.name, found.frames, len(found.frame)) == ("openpose18", 5, 5)
    np.testing.assert_allclose(found.keypoint[0, 2], [884.537, 249.752], rtol=1e-6)


def test_hands_that_some_files_lack(tmp_path):
    values = body("openpose67", 4)
    people = [[openpose_person(each, hands=at == 2)] for at, each in enumerate(values)]
    del people[3][0]["hand_left_keypoints_2d"], people[3][0]["face_keypoints_2d"]
    found = read_openpose(write_people(tmp_path / "a", people))
    assert found.layout.name == "openpose67" and found.score[:, 25:].any(1).tolist() == [False, False, True, False]
    # They were looked for and not found: the layout is that of the other recordings with hands.
    values[:, 25:] = 0
    found = read_openpose(write_openpose(tmp_path / "b", {at: [each] for at, each in enumerate(values)}))
    assert found.layout.name == "openpose67" and not found.score[:, 25:].any()


@pytest.mark.parametrize(
    ("people", "message"),
    [
        ([[{"pose_keypoints_2d": [1.0] * 75}], [{"pose_keypoints_2d": [1.0] * 54}]],
         "'pose_keypoints_2d': its files are of two models of OpenPose: 25 joints in .*0_key.* 18 joints in .*1_key"),
        ([[{"pose_keypoints_2d": [1.0] * 405}]], "got 405, those of OpenPose's model BODY_135"),
        ([[{"pose_keypoints": [1.0] * 45}]], "field 'pose_keypoints': .*got 45, those of OpenPose's model MPI"),
        ([[{"keypoints": [1.0] * 75}]], "'pose_keypoints_2d': person 0: there is no point in it, it has 'keypoints'"),
        ([[{}]], "person 0: there is no point in it, it has nothing"),
        ([[{"pose_keypoints_2d": [], "pose_keypoints_3d": [1.0] * 100}]],
         "it has 'pose_keypoints_3d'. Points in space are not used: give the folder of one camera"),
        ([[{"pose_keypoints_2d": None}]], "there is no point in it|expected 75 numbers, got None"),
    ],
)  # fmt: skip
def test_other_files_are_named(tmp_path, people, message):
    with pytest.raises(InputError, match=message):
        read_openpose(write_people(tmp_path / "talk", people))


def test_a_file_without_people_says_what_it_has(tmp_path):
    write_people(tmp_path / "talk", [[]])
    (tmp_path / "talk" / "talk_000000000000_keypoints.json").write_text('{"version": 1.3, "part_candidates": []}')
    with pytest.raises(
        InputError, match="field 'people': expected a list, got None; its fields are .'version', 'part_candidates'"
    ):
        read_openpose(tmp_path / "talk")
