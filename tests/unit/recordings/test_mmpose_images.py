"""MMPose's files of images: a folder of them is one recording; and results never take the places of their sources."""

import shutil

import numpy as np
import pytest

from helpers.own_keypoint_files import body, write_images, write_mmpose
from pyskl_semloss.datasets import convert_keypoints, convert_recordings
from pyskl_semloss.datasets.recordings import KeypointOptions
from pyskl_semloss.errors import InputError
from pyskl_semloss.recordings.assembly import RecordingOptions
from pyskl_semloss.recordings.keypoint_files import find_sources, guess_format, read_keypoints
from pyskl_semloss.recordings.recording import read_recording

OPTIONS = KeypointOptions(recording=RecordingOptions(image_shape=(1080, 1920), fps=25.0))


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize(
    ("numbers", "frames"), [((0, 1, 3), [0, 1, 3]), ((1, 2, 4), [0, 1, 3]), ((7, 8, 9), [7, 8, 9])]
)
def test_a_folder_of_images_is_a_recording(tmp_path, nested, numbers, frames):
    values = body("coco17", 3)
    folder = write_images(
        tmp_path / "talk.v1", {at: [each] for at, each in zip(numbers, values, strict=True)}, "shot_{}", nested
    )
    assert guess_format(folder) == "mmpose" and find_sources(folder) == [str(folder)]
    found = read_keypoints(folder)
    assert (found.name, found.layout.name, found.frames) == ("talk.v1", "coco17", frames[-1] + 1)
    assert found.frame.tolist() == frames
    np.testing.assert_allclose(found.keypoint, values[..., :2], rtol=1e-6)
    np.testing.assert_allclose(found.score, values[..., 2], rtol=1e-6)


def test_folders_of_images_beside_files_of_videos(tmp_path):
    values = body("coco17", 2)
    # Nobody is in the first images, and the tenth comes after the ninth.
    write_images(tmp_path / "all" / "walk", {8: [], 9: [], 10: [values[0]]}, "{}")
    write_images(tmp_path / "all" / "empty", {0: [], 1: []})
    write_mmpose(tmp_path / "all" / "talk1.json", [[values[0]]], demo=False)
    write_mmpose(tmp_path / "all" / "results_talk2.json", [[values[0]]])
    assert guess_format(tmp_path / "all") is None
    names = [path.rsplit("/", 1)[1] for path in find_sources(tmp_path / "all")]
    assert names == ["empty", "results_talk2.json", "talk1.json", "walk"]
    assert read_keypoints(tmp_path / "all" / "walk").frame.tolist() == [10]
    # The demo puts a word before the name of the video, which a table of labels does not know.
    assert read_keypoints(tmp_path / "all" / "results_talk2.json").name == "talk2"
    with pytest.raises(InputError, match="empty: field 'instances': no person"):
        read_keypoints(tmp_path / "all" / "empty")
    with pytest.raises(InputError, match=r"10\.json: it holds the persons of one image.*Give the folder"):
        read_keypoints(tmp_path / "all" / "walk" / "10.json")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("cover.json", "[]", r"cover\.json: its name does not end in the number of a frame"),
        ("run_0.json", "[]", r"images of several videos, as 000000\.json and run_0\.json"),
        ("0.json", "[]", r"0000\.json: frame 0 is in 0\.json too|0\.json: frame 0 is in 000000\.json too"),
        ("000002.json", "{}", r"000002\.json: expected a list of up to 200 persons, got \{\}"),
        ("000002.json", "[3]", r"000002\.json: field 'keypoints': person 0: expected a list, got None"),
        ("000002.json", "[", r"000002\.json: expected JSON"),
        ("000002.json", "[] 1", r"000002\.json: expected JSON"),
        ("99999999.json", "[]", r"99999999\.json: expected a frame number from 0 to 499999"),
        (
            "000002.json",
            '[{"keypoints": [[1, 2]], "keypoint_scores": [1]}]',
            r"000002\.json: .* person 0: expected 17 points",
        ),
    ],
)
def test_errors_name_the_image(tmp_path, name, text, message):
    folder = write_images(tmp_path / "talk", {0: [body("coco17", 1)[0]]})
    (folder / name).write_text(text)
    with pytest.raises(InputError, match=message):
        read_keypoints(folder)


def test_a_recording_made_of_images_is_kept(tmp_path):
    folder = write_images(tmp_path / "talk", {at: [each] for at, each in enumerate(body("coco17", 4))})
    (about,) = convert_recordings([folder], tmp_path / "out", OPTIONS)
    assert read_recording(about["file"]).frames == 4
    stamp = (tmp_path / "out" / "talk.npz").stat().st_mtime_ns
    convert_recordings([folder], tmp_path / "out", OPTIONS)
    assert (tmp_path / "out" / "talk.npz").stat().st_mtime_ns == stamp


def test_the_demos_prefix_does_not_hide_what_was_made(tmp_path):
    path = write_mmpose(tmp_path / "results_talk.json", [[body("coco17", 1)[0]]])
    convert_recordings([path], tmp_path / "out", OPTIONS)
    stamp = (tmp_path / "out" / "talk.npz").stat().st_mtime_ns
    convert_recordings([path], tmp_path / "out", OPTIONS)
    assert (tmp_path / "out" / "talk.npz").stat().st_mtime_ns == stamp


@pytest.mark.parametrize("folder", [".", "images"])
def test_recordings_are_not_written_among_their_sources(tmp_path, folder):
    """Their names are those of the sources: talk.json of MMPose would become what is said of talk.npz."""
    write_mmpose(tmp_path / "talk.json", [[body("coco17", 1)[0]]])
    write_images(tmp_path / "images", {0: [body("coco17", 1)[0]]})
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.json")}
    with pytest.raises(InputError, match="would be written among their sources.*Name another folder"):
        convert_recordings([tmp_path / "images", tmp_path], tmp_path / folder, OPTIONS)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("out", ["talk.pkl", "images/all.pkl"])
@pytest.mark.parametrize("whole", [True, False])
def test_the_summary_does_not_take_the_place_of_a_source(tmp_path, out, whole):
    write_mmpose(tmp_path / "talk.json", [[body("coco17", 1)[0]] * 2])
    write_images(tmp_path / "images", {0: [body("coco17", 1)[0]]})
    (tmp_path / "labels.csv").write_text("recording,start,end,label\ntalk,0,1,0\n")
    if whole:
        shutil.move(tmp_path / "labels.csv", tmp_path / "images" / "labels.csv")
    labels = next(tmp_path.rglob("labels.csv"))
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    sources = [tmp_path / "images", tmp_path if whole else tmp_path / "talk.json"]
    with pytest.raises(InputError, match="would be overwritten|among the frames"):
        convert_keypoints(sources, tmp_path / out, labels, OPTIONS)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_two_sources_of_one_name_are_told_before_any_is_read(tmp_path):
    (tmp_path / "copy").mkdir()
    for path in (tmp_path / "results_talk.json", tmp_path / "copy" / "talk.json"):
        path.write_text("not read")
    with pytest.raises(InputError, match=r"talk\.json: the recording 'talk' is .*results_talk\.json too. Rename"):
        convert_recordings([tmp_path, tmp_path / "copy"], tmp_path / "out", OPTIONS)
    assert not (tmp_path / "out").exists()
