"""Reading own keypoints: numbers written by hand come back, and what is wrong is said with its place."""

import json
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from helpers.own_keypoint_files import body, mmpose_frame, write_csv, write_mmpose, write_openpose
from pyskl_semloss.errors import InputError
from pyskl_semloss.recordings.assembly import RecordingOptions, make_recording
from pyskl_semloss.recordings.detections import Detections
from pyskl_semloss.recordings.json_stream import JsonStream
from pyskl_semloss.recordings.keypoint_files import find_sources, guess_format, read_keypoints
from pyskl_semloss.recordings.keypoint_tables import read_csv_keypoints, read_npz_keypoints
from pyskl_semloss.recordings.mmpose import read_mmpose
from pyskl_semloss.recordings.openpose import read_openpose
from pyskl_semloss.recordings.recording import Recording
from pyskl_semloss.skeletons import get_layout

HD = RecordingOptions(image_shape=(1080, 1920), fps=25.0)


def test_openpose_by_hand(tmp_path):
    """Typed numbers: the pose's first and last joint, the first of the left and the last of the right hand."""
    values = np.zeros((67, 3))
    values[0], values[24], values[25], values[66] = (10, 20, 0.5), (30, 40, 0.25), (50, 60, 1), (70, 80, 0.75)
    found = read_openpose(write_openpose(tmp_path / "talk", {3: [values], 5: []}))
    assert found.layout.name == "openpose67" and found.frames == 6 and found.frame.tolist() == [3]
    for name, place in (("Nose", 0), ("RHeel", 24), ("LHandRoot", 25), ("RLittle4", 66)):
        joint = found.layout.joints.index(name)
        assert joint == place
        np.testing.assert_array_equal([*found.keypoint[0, joint], found.score[0, joint]], values[place])
    recording, facts, _ = make_recording(found, HD)
    assert recording.keypoint.shape == (1, 6, 67, 2) and recording.name == "talk" and facts["frames_seen"] == 1
    assert recording.keypoint_score[0].any(-1).tolist() == [False, False, False, True, False, False]


def test_openpose_without_hands_is_body25(tmp_path):
    found = read_openpose(write_openpose(tmp_path / "a", {0: [body("openpose67", 1)[0]]}, hands=False))
    assert found.layout.name == "openpose25" and found.keypoint.shape == (1, 25, 2)


def test_openposes_own_tracking_is_used(tmp_path):
    """Two persons who are each other's place: only their numbers tell them apart."""
    a, b = body("openpose67", 4), body("openpose67", 4, centre=(1300, 540))
    frames = {t: [(7, a[t]), (4, b[t])] if t < 2 else [(7, b[t]), (4, a[t])] for t in range(4)}
    found = read_openpose(write_openpose(tmp_path / "a", frames))
    recording, _, _ = make_recording(found, RecordingOptions((1080, 1920), 25, person="0"))
    np.testing.assert_allclose(recording.keypoint[0], np.stack([a[0], a[1], b[2], b[3]])[..., :2], rtol=1e-6)


@pytest.mark.parametrize("demo", [True, False])
@pytest.mark.parametrize("layout", ["coco17", "wholebody133"])
def test_mmpose_both_forms(tmp_path, demo, layout):
    values = body(layout, 3)
    found = read_mmpose(write_mmpose(tmp_path / "a.json", [[values[0]], [], [values[2]]], demo))
    assert found.layout.name == layout and found.frames == 3 and found.frame.tolist() == [0, 2]
    np.testing.assert_allclose(found.keypoint, values[[0, 2], :, :2], rtol=1e-6)
    np.testing.assert_allclose(found.score, values[[0, 2], :, 2], rtol=1e-6)


def test_scores_of_rtmpose_are_cut(tmp_path):
    values = body("coco17", 1)
    values[0, :4, 2] = (1.2, 7.5, np.nan, -0.5)
    recording, _, report = make_recording(read_mmpose(write_mmpose(tmp_path / "a.json", [[values[0]]])), HD)
    assert recording.keypoint_score[0, 0, :4].tolist() == [1, 1, 0, 0]
    assert dict(report.counts) == {"scores_above_one": 2, "scores_not_finite": 1, "scores_negative": 1}


def test_npz_plain_and_recording(tmp_path):
    values = body("coco17", 5).astype(np.float32)
    np.savez(tmp_path / "plain.npz", keypoint=values[..., :2])
    found = read_npz_keypoints(tmp_path / "plain.npz", get_layout("coco17"))
    assert found.name == "plain" and found.score.min() == 1 and found.fps is found.image_shape is None
    recording, _, _ = make_recording(found, HD)
    recording.save(tmp_path / "saved.npz")
    again, _, _ = make_recording(read_npz_keypoints(tmp_path / "saved.npz"), RecordingOptions())
    assert (again.name, again.fps, again.image_shape, again.layout) == ("plain", 25, (1080, 1920), get_layout("coco17"))
    np.testing.assert_array_equal(again.keypoint, recording.keypoint)
    np.testing.assert_array_equal(again.keypoint_score, recording.keypoint_score)
    with pytest.raises(InputError, match="saved.npz: field 'fps': the file says 25.0, the option 30"):
        make_recording(read_npz_keypoints(tmp_path / "saved.npz"), RecordingOptions(fps=30))


def test_csv_with_and_without_scores_and_persons(tmp_path):
    values = body("coco17", 4)
    rows = [(0, 0, values[0]), (0, 1, values[1]), (2, 0, values[2])]
    found = read_csv_keypoints(write_csv(tmp_path / "a.csv", rows, "coco17", person=True))
    assert found.layout.name == "coco17" and found.frames == 3
    assert found.frame.tolist() == [0, 0, 2] and found.person.tolist() == [0, 1, 0]
    np.testing.assert_allclose(found.keypoint, values[:3, :, :2], rtol=1e-5)
    plain = read_csv_keypoints(write_csv(tmp_path / "b.csv", rows[::2], "coco17", score=False))
    assert plain.person.tolist() == [-1, -1] and plain.score.min() == plain.score.max() == 1
    path = tmp_path / "c.csv"
    text = (tmp_path / "b.csv").read_text().splitlines()
    path.write_text("\n".join([text[0], ",".join(["0", "", "", *text[1].split(",")[3:]])]))
    recording, _, report = make_recording(read_csv_keypoints(path), HD)
    assert not recording.keypoint[0, 0, 0].any() and recording.keypoint_score[0, 0].tolist() == [0] + [1] * 16
    assert not report.counts  # an empty cell is no defect


@pytest.mark.parametrize("mark", [";", "\t"])
def test_csv_of_spreadsheets(tmp_path, mark):
    values = body("coco17", 4)
    path = write_csv(tmp_path / "a.csv", [(t, 0, values[t]) for t in range(4)], "coco17", person=True)
    plain, text = read_csv_keypoints(path), path.read_text()
    text = text.replace("frame", "Frame", 1).replace("person", "Person", 1).replace("\n", ",,\n") + ",,,,\n"
    text = text.replace(",", mark).replace(".", "," if mark == ";" else ".").replace("\n", "\r\n")
    path.write_bytes(b"\xef\xbb\xbf" + text.encode())
    found = read_csv_keypoints(path)
    assert found.frames == 4 and found.person.tolist() == [0] * 4
    np.testing.assert_array_equal(found.keypoint, plain.keypoint)
    np.testing.assert_array_equal(found.score, plain.score)


def test_csv_of_other_programs(tmp_path):
    """pandas writes an index, and people write titles their own way."""
    values = body("coco17", 4)
    path = write_csv(tmp_path / "a.csv", [(t, 0, values[t]) for t in range(4)], "coco17", person=True)
    plain, (head, *rows) = read_csv_keypoints(path), path.read_text().splitlines()
    for index in ("", "Unnamed: 0", "index"):
        titles = head.upper().replace("LEFT_EYE", "Left Eye")
        path.write_text("\n".join([f"{index},{titles}", *(f"{at},{row}" for at, row in enumerate(rows))]))
        found = read_csv_keypoints(path)
        assert found.layout.name == "coco17"
        np.testing.assert_array_equal(found.keypoint, plain.keypoint)
        np.testing.assert_array_equal(found.person, plain.person)
    path.write_text("\n".join([head.replace("x_left_eye", "x_left_eyes"), *rows]))
    with pytest.raises(InputError, match="lacks 'x_left_eye'; unknown are 'x_left_eyes'; did you mean 'x_left_eyes'"):
        read_csv_keypoints(path, get_layout("coco17"))
    path.write_text("\n".join([f"{head},frame", *(f"{row},0" for row in rows)]))
    with pytest.raises(InputError, match="two columns are called 'frame'"):
        read_csv_keypoints(path)


@pytest.mark.parametrize("layout", ["coco17", "openpose22", "kinect25"])
def test_exchanged_coordinates_and_a_small_image_are_doubted(layout):
    shape = get_layout(layout)

    def doubts(points, image=(1080, 1920)):
        found = Detections("a", shape, np.arange(20), np.full(20, -1), points, np.ones(points.shape[:2]), 20, "a.npz")
        return make_recording(found, RecordingOptions(image, 25.0))[1]["doubts"]

    points = body(layout, 20)[..., :2]
    assert doubts(points) == []
    (doubt,) = doubts(points[..., ::-1])
    assert "are x and y exchanged" in doubt
    # Seen from the side, the shoulders are in one place.
    assert doubts((points - 540) * [0.1, 1] + 540) == []
    (doubt,) = doubts(points, (750, 1000))
    assert "outside an image of 1000x750" in doubt


def test_formats_are_guessed(tmp_path):
    write_openpose(tmp_path / "all" / "talk", {0: []})
    write_mmpose(tmp_path / "all" / "b.json", [[]])
    (tmp_path / "all" / "notes.txt").write_text("")
    assert guess_format(tmp_path / "all" / "talk") == "openpose" and guess_format(tmp_path / "all") is None
    names = [path.rsplit("/", 1)[1] for path in find_sources(tmp_path / "all")]
    assert names == ["b.json", "talk"] and len(find_sources(tmp_path / "all", "mmpose")) == 1
    with pytest.raises(InputError, match="no recording .* is in this folder"):
        find_sources(tmp_path / "all", "npz")
    with pytest.raises(InputError, match="a single frame of OpenPose.*Give the folder"):
        read_keypoints(tmp_path / "all" / "talk" / "talk_000000000000_keypoints.json")
    (tmp_path / "dlc.csv").write_text("frame,nose_x,nose_y\n0,1,2\n")
    with pytest.raises(InputError, match="no column is called x_<joint>; they are .'frame', 'nose_x', 'nose_y'"):
        read_keypoints(tmp_path / "dlc.csv")
    with pytest.raises(InputError, match="notes.txt: its name says no format"):
        read_keypoints(tmp_path / "all" / "notes.txt")


def frame_file(tmp_path):
    return tmp_path / "talk" / "talk_000000000000_keypoints.json"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.pop("people"), "_keypoints.json: field 'people': expected a list, got None"),
        (lambda d: d["people"].append(3), "field 'people': person 1: expected an object, got 3"),
        (
            lambda d: d["people"][0].update(pose_keypoints_2d=[0.0] * 45),
            "person 0: expected 75 numbers .BODY_25. or 54 .COCO., got 45, those of OpenPose's model MPI",
        ),
        (lambda d: d["people"][0].update(pose_keypoints_2d=[0.0] * 74), "person 0: expected 75 numbers, got 74"),
        (
            lambda d: d["people"][0].update(hand_left_keypoints_2d=["a"] * 63),
            "'hand_left_keypoints_2d': person 0: expected 63",
        ),
        (lambda d: d["people"][0].update(hand_right_keypoints_2d=[[1]] * 63), "'hand_right_keypoints_2d': person 0"),
        (lambda d: d.update(people=[{}] * 201), "it has 201 persons"),
    ],
)
def test_openpose_errors(tmp_path, change, message):
    write_openpose(tmp_path / "talk", {0: [body("openpose67", 1)[0]]})
    content = json.loads(frame_file(tmp_path).read_text())
    change(content)
    frame_file(tmp_path).write_text(json.dumps(content))
    with pytest.raises(InputError, match=message):
        read_openpose(tmp_path / "talk")


def test_openpose_names_of_files(tmp_path):
    folder = write_openpose(tmp_path / "talk", {0: [body("openpose67", 1)[0]]})
    write_openpose(folder, {0: []}, name="walk")
    with pytest.raises(InputError, match="several videos, 'talk', 'walk'"):
        read_openpose(folder)
    (folder / "walk_000000000000_keypoints.json").rename(folder / "talk_0_keypoints.json")
    with pytest.raises(InputError, match="frame 0 is in talk_0"):
        read_openpose(folder)
    (folder / "talk_0_keypoints.json").rename(folder / "talk_99999999999_keypoints.json")
    with pytest.raises(InputError, match="expected a frame number from 0 to 499999, got 99999999999"):
        read_openpose(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f[0].pop("frame_id"), "field 'frame_id': expected a whole number, got None"),
        (lambda f: f[1].update(frame_id=0), "field 'frame_id': frame_id 0 is there twice"),
        (lambda f: f[1].update(frame_id=-1), "expected a frame number from 0"),
        (lambda f: f[1].update(instances=None), "frame_id 1: expected a list of up to 200 persons"),
        (
            lambda f: f[1]["instances"][0].pop("keypoints"),
            "'keypoints': frame_id 1, person 0: expected a list, got None",
        ),
        (
            lambda f: f[1]["instances"][0]["keypoints"].pop(),
            "person 0: expected 17 points .x, y. of layout 'coco17', got 16",
        ),
        (lambda f: f[1]["instances"][0]["keypoints"].__setitem__(2, [1, 2, 3]), "expected 17 points"),
        (
            lambda f: f[1]["instances"][0]["keypoints"].__setitem__(2, [1, "b"]),
            "frame_id 1, person 0: expected 51 numbers",
        ),
        (
            lambda f: f[1]["instances"][0]["keypoint_scores"].pop(),
            "'keypoint_scores': frame_id 1, person 0: expected 17",
        ),
        (lambda f: f.__setitem__(0, [1]), "expected a whole number, got"),
        (lambda f: f.clear(), "there is no frame in it"),
        (lambda f: [frame.update(instances=[]) for frame in f], "no person is in any of its frames"),
    ],
)
def test_mmpose_errors(tmp_path, change, message):
    values = body("coco17", 2)
    path = write_mmpose(tmp_path / "a.json", [[values[0]], [values[1]]], demo=False)
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match=message) as error:
        read_mmpose(path)
    assert "a.json" in str(error.value)


def test_mmpose_of_another_skeleton(tmp_path):
    values = body("coco17", 1)
    path = write_mmpose(tmp_path / "a.json", [[values[0]]])
    content = json.loads(path.read_text())
    animal = ["L_Eye", "R_Eye", "Nose", "Neck", "Root of tail"] + [f"paw {at}" for at in range(12)]
    content["meta_info"]["keypoint_id2name"] = {str(at): name for at, name in enumerate(animal)}
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match="its 17 joints are not those of 'coco17': 'L_Eye' where 'nose' is"):
        read_mmpose(path)
    content["meta_info"]["keypoint_id2name"] = dict(enumerate(get_layout("coco17").joints))
    path.write_text(json.dumps(content))
    assert read_mmpose(path).layout.name == "coco17"
    content["instance_info"][0] = {"frame_id": 1, "instances": [{"keypoints": [[1, 2]], "keypoint_scores": [1]}]}
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match="1 joints are no layout .*--layout"):
        read_mmpose(path)


@pytest.mark.parametrize(
    ("line", "old", "new", "message"),
    [
        (0, "x_nose", "x_noze", "layout 'coco17': it lacks 'x_nose'; unknown are 'x_noze'"),
        (0, "frame", "time", "it lacks 'frame'; unknown are 'time'"),
        (0, "y_nose", "x_nose", "two columns are called 'x_nose'"),
        (2, "1,", "1.5,", "field 'frame': line 3: expected a whole number from 0, got '1.5'"),
        (2, "1,", "-1,", "field 'frame': line 3: expected a whole number from 0, got '-1'"),
        (2, "1,", "99999999,", "expected a frame number from 0 to 499999"),
        (2, "1,", "1,9,", "line 3: expected 52 cells, got 53"),
        (2, "1,", "1,a", "field 'x_nose': line 3: expected a number, got"),
        (2, "1,", '1,"', "expected CSV"),
    ],
)
def test_csv_errors(tmp_path, line, old, new, message):
    values = body("coco17", 2)
    path = write_csv(tmp_path / "a.csv", [(0, 0, values[0]), (1, 0, values[1])], "coco17")
    lines = path.read_text().splitlines()
    lines[line] = lines[line].replace(old, new, 1)
    path.write_text("\n".join(lines))
    with pytest.raises(InputError, match=message) as error:
        read_csv_keypoints(path, get_layout("coco17"))
    assert "a.csv" in str(error.value)


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"keypoint": np.ones((2, 17, 2)), "image_shape": np.array([1.5, 2])}, "field 'image_shape': expected"),
        (
            {"keypoint": np.ones((2, 17, 2)), "fps": np.array(-3.0)},
            "field 'fps': expected frames per second from",
        ),
        (
            {"keypoint": np.ones((2, 17, 2)), "keypoint_score": np.ones((2, 16))},
            "field 'keypoint_score': expected numbers",
        ),
        ({"keypoint": np.ones((2, 17, 3))}, "field 'keypoint': expected the shape .M persons"),
        (
            {"keypoint": np.ones((2, 18, 2))},
            "field 'keypoint': layout 'coco17' has 17 joints, got 18. Expected keypoint, .M persons",
        ),
        ({"keypoint": np.array(["a"])}, "field 'keypoint': expected numbers"),
        ({"points": np.ones((2, 17, 2))}, "field 'keypoint': there is no such member; there are 'points'"),
        (
            {"keypoint": np.ones((2, 17, 2)), "layout": np.array("coco18")},
            "field 'layout': there is no layout 'coco18'",
        ),
        ({"keypoint": np.ones((2, 17, 2)), "layout": np.array("{}")}, "field 'layout': a layout lacks name"),
        (
            {"keypoint": np.ones((2, 17, 2)), "layout": np.array("{")},
            "field 'layout': expected a layout's fields as JSON",
        ),
    ],
)
def test_npz_errors(tmp_path, members, message):
    np.savez(tmp_path / "a.npz", **members)
    with pytest.raises(InputError, match=message) as error:
        read_npz_keypoints(tmp_path / "a.npz", None if "layout" in members else get_layout("coco17"))
    assert "a.npz" in str(error.value)


def test_a_recording_cannot_be_written_elsewhere(tmp_path):
    """The name in an archive becomes the name of a file."""
    np.savez(tmp_path / "a.npz", keypoint=np.full((2, 17, 2), 9.0), layout="coco17", name="../../up")
    with pytest.raises(InputError, match="'../../up' cannot be the name of a recording"):
        make_recording(read_npz_keypoints(tmp_path / "a.npz"), HD)


@pytest.mark.parametrize(
    ("factor", "options", "message"),
    [
        (1, {"image_shape": None}, "field 'image-size': the file does not say it. Give it as --image-size"),
        (1, {"fps": None}, "field 'fps': the file does not say it. Give it as --fps."),
        (1, {"image_shape": (480, 640)}, r"field 'image-size': \d+% of the points are outside an image of 640x480"),
        (0.0005, {}, "field .keypoint.: expected px of an image.*Multiply shares"),
        (0, {}, "nobody is in it"),
        (1, {"person": "3"}, "field 'person': there is no person 3, they are 0 to 0"),
        (1, {"to": "mine"}, "no joint of layout 'mine'"),
    ],
)
def test_a_recording_that_cannot_be(tmp_path, factor, options, message):
    values = body("coco17", 2, centre=(1000, 540)) * [factor, factor, 1]
    path = write_csv(tmp_path / "a.csv", [(0, 0, values[0]), (1, 0, values[1])], "coco17")
    mine = get_layout({"name": "mine", "joints": ["a", "b"], "limbs": [[0, 1]], "mirror_pairs": []})
    options = {"image_shape": (1080, 1920), "fps": 25, **options} | ({"to": mine} if "to" in options else {})
    with pytest.raises(InputError, match=message) as error:
        make_recording(read_csv_keypoints(path), RecordingOptions(**options))
    assert "a.csv" in str(error.value)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"person": "tallest"}, "field 'person': expected largest, .* or a number, got 'tallest'"),
        ({"person": "-1"}, "field 'person'"),
        ({"max_persons": 0}, "field 'max-persons': expected a number from 1, got 0"),
        ({"pause": -1}, "field 'pause': expected a number from 0, got -1"),
        ({"fill_gaps": -1}, "field 'fill-gaps': expected a number from 0, got -1"),
    ],
)
def test_options_are_checked_before_any_file_is_read(wrong, message):
    with pytest.raises(InputError, match=message):
        RecordingOptions(**wrong)


def test_a_layout_of_ones_own_comes_back(tmp_path):
    """A recording in a layout that nobody knows keeps it."""
    mine = get_layout({"name": "mine", "joints": ["nose", "left_wrist", "right_wrist"], "limbs": [[0, 1], [0, 2]],
                       "mirror_pairs": [[1, 2]]})  # fmt: skip
    values = body("coco17", 2)
    path = write_csv(tmp_path / "a.csv", [(0, 0, values[0])], "coco17")
    recording, facts, _ = make_recording(read_csv_keypoints(path), RecordingOptions((1080, 1920), 25, to=mine))
    np.testing.assert_allclose(recording.keypoint[0, 0], values[0, [0, 9, 10], :2], rtol=1e-5)
    assert facts["missing"] == [] and isinstance(recording, Recording)
    recording.save(tmp_path / "r.npz")
    assert read_npz_keypoints(tmp_path / "r.npz").layout == mine


@pytest.mark.parametrize(
    "text", ['{"a": 1, "b": [1, [2], {"c": null}], "d": {}}', '{"a":[]}', "{}", ' { "b" : [ 3 ] } ']
)
def test_the_stream_reads_what_json_reads(text):
    stream, whole = JsonStream(text), {}
    for key in stream.members():
        whole[key] = list(stream.items()) if stream.sees("[") else stream.value()
    stream.end()
    assert whole == json.loads(text)


@pytest.mark.parametrize(
    "text", ['{"a": 1', '{"a" 1}', '{"a": 1} 2', "{1: 2}", '{"a": [1 2]}', '{"a": [1', "", "[", '{"a": 1 "b": 2}']
)
def test_the_stream_refuses_what_json_refuses(text):
    with pytest.raises(ValueError):
        json.loads(text)
    with pytest.raises(ValueError):
        stream = JsonStream(text)
        for _ in stream.members():
            list(stream.items()) if stream.sees("[") else stream.value()
        stream.end()


def far_apart(path, form, layout="wholebody133"):
    """Two persons half a million frames apart, in each format."""
    person, last = body(layout, 1)[0], 499_999
    if form == "openpose":
        return write_openpose(path, {0: [body("openpose67", 1)[0]], last: [body("openpose67", 1)[0]]})
    if form == "csv":
        return write_csv(path.with_suffix(".csv"), [(0, 0, person), (last, 0, person)], layout)
    if form == "mmpose":
        path = path.with_suffix(".json")
        path.write_text(json.dumps([mmpose_frame(0, [person]), mmpose_frame(last, [person])]))
        return path
    path.mkdir()
    for number in (0, last):
        (path / f"{number:06d}.json").write_text(json.dumps(mmpose_frame(0, [person])["instances"]))
    return path


@pytest.mark.parametrize("form", ["openpose", "csv", "mmpose", "images"])
def test_a_frame_number_costs_no_more_than_its_file_explains(tmp_path, form):
    """8.6 kB took 1.3 GB."""
    path = far_apart(tmp_path / "far", form)
    found = read_keypoints(path)
    tracemalloc.start()
    with pytest.raises(InputError) as error:
        make_recording(found, HD)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10 << 20
    message = str(error.value)
    assert (
        message.startswith(str(path)) and "the last of its 500000 frames is 499999, and somebody is in 2 of" in message
    )
    assert f"of {found.size} bytes a recording of" in message and "Is a frame number wrong?" in message


def test_honest_recordings_of_few_frames_with_a_person_are_read(tmp_path):
    """One in 20 frames for an hour, with 133 joints, and a short look at the end of 20 minutes."""
    values = np.round(body("wholebody133", 1)[0])
    path = write_csv(tmp_path / "rare.csv", [(20 * n, 0, values) for n in range(4_500)], "wholebody133", score=False)
    assert make_recording(read_keypoints(path), HD)[0].frames == 89_981
    path = write_csv(tmp_path / "late.csv", [(30_000 + n, 0, values) for n in range(20)], "wholebody133", score=False)
    assert make_recording(read_keypoints(path), HD)[0].frames == 30_020


def test_the_frames_that_a_file_explains(tmp_path):
    """64 MiB and 32 times its bytes, at 12 bytes for each joint of a frame."""
    person = body("coco17", 1)[0]
    path = write_csv(tmp_path / "a.csv", [(0, 0, person), (1, 0, person)], "coco17")
    found = read_keypoints(path)
    assert found.size == path.stat().st_size
    most = ((64 << 20) + 32 * found.size) // (12 * 17)
    assert make_recording(replace(found, frames=most), HD)[0].frames == most
    for frames, options in ((most + 1, HD), (most, replace(HD, to=get_layout("openpose25")))):
        with pytest.raises(InputError, match="field 'frame': the last of its"):
            make_recording(replace(found, frames=frames), options)
    assert make_recording(replace(found, frames=most + 1, size=None), HD)[0].frames == most + 1


def test_the_failing_file_in_the_common_folder(shared_dir):
    path = shared_dir / "cases" / "21_numbers_in_files" / "far_frame.json"
    with pytest.raises(InputError, match=r"far_frame.json: field 'frame': the last of its 500000 frames"):
        make_recording(read_keypoints(path), HD)
