import re
import warnings

import numpy as np
import pytest

from pyskl_semloss.errors import InputError
from pyskl_semloss.recordings.recording import Recording, read_recording

OWN = dict(name="arm", joints=["shoulder", "elbow", "hand"], limbs=[[0, 1], [1, 2]], mirror_pairs=[])


def recording(layout=OWN, joints=3, **changes):
    rng = np.random.default_rng(0)
    keypoint = rng.uniform(0, 100, (2, 7, joints, 2)).astype(np.float32)
    score = rng.uniform(0, 1, (2, 7, joints)).astype(np.float32)
    fields = dict(layout=layout, image_shape=(120, 160), fps=12.5, video="film.mp4") | changes
    return Recording("film", keypoint, score, **fields)


@pytest.mark.parametrize(("layout", "joints"), [(OWN, 3), ("coco17", 17)])
def test_what_was_saved_is_read_again(tmp_path, layout, joints):
    mine = recording(layout, joints)
    mine.save(tmp_path / "a.npz")
    again = read_recording(tmp_path / "a.npz")
    assert again.keypoint.tobytes() == mine.keypoint.tobytes()
    assert again.keypoint_score.tobytes() == mine.keypoint_score.tobytes()
    assert (again.name, again.layout, again.image_shape, again.fps, again.video) == (
        "film", mine.layout, (120, 160), 12.5, "film.mp4",
    )  # fmt: skip
    assert again.seconds == 7 / 12.5


def test_a_clip_is_cut_by_frames():
    mine = recording()
    clip = mine.clip(2, 5, label=4)
    assert (clip.frame_dir, clip.label, clip.total_frames) == ("film_2_5", 4, 3)
    assert np.array_equal(clip.keypoint, mine.keypoint[:, [2, 3, 4]])
    for start, end in ((-1, 3), (3, 3), (0, 8)):
        with pytest.raises(InputError, match="within 0 to 7"):
            mine.clip(start, end)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (dict(fps=0), "field 'fps'"),
        (dict(fps=float("nan")), "field 'fps'"),
        (dict(image_shape=(0, 5)), "img_shape"),
        (dict(layout="coco17"), "has 17 joints, got 3"),
    ],
)
def test_wrong_fields_are_named(changes, said):
    with pytest.raises(InputError, match=said):
        recording(**changes)


def test_a_file_that_is_no_recording_is_named(tmp_path):
    path = tmp_path / "b.npz"
    np.savez(path, keypoint=np.zeros((1, 2, 3, 2)))
    with pytest.raises(InputError, match=r"b\.npz: it lacks keypoint_score, image_shape, fps, layout"):
        read_recording(path)
    np.savez(
        path, keypoint=np.zeros((1, 2, 3, 2)), keypoint_score=np.zeros((1, 2, 3)), image_shape=[1, 1], fps=1,
        layout="{",
    )  # fmt: skip
    with pytest.raises(InputError, match=r"b\.npz"):
        read_recording(path)


def saved(path, **members):
    """A recording's archive with some members that may be wrong."""
    mine = recording()
    mine.save(path)
    with np.load(path) as archive:
        kept = dict(archive)
    np.savez_compressed(path, **{**kept, **members})
    return path


@pytest.mark.parametrize(
    ("member", "value", "said"),
    [
        ("fps", 1e300, "field 'fps': expected frames per second from 0.001 to 1000, got 1e+300"),
        ("fps", 1e8, "from 0.001 to 1000, got 100000000.0"),
        ("fps", 1e-300, "from 0.001 to 1000, got 1e-300"),
        ("fps", np.inf, "got inf"),
        ("fps", np.nan, "got nan"),
        ("fps", -25, "got -25"),
        ("fps", "25", "expected frames per second, got an array of <U2 ()"),
        ("fps", np.ones(10**6), "expected frames per second, got an array of float64 (1000000,)"),
        ("image_shape", [np.inf, 5.0], "field 'image_shape': expected (height, width), two whole numbers from 1"),
        ("image_shape", [np.nan, 5.0], "with [nan, 5.0]"),
        ("image_shape", [1.5, 5.0], "with [1.5, 5.0]"),
        ("image_shape", [0, 5], "with [0, 5]"),
        ("image_shape", [10**6, 5], "from 1 to 999999"),
        ("image_shape", [2**62, 2**62], "from 1 to 999999"),
        ("image_shape", np.ones(10**6, int), "got an array of int64 (1000000,)."),
        ("image_shape", "a", "two whole numbers"),
        ("layout", "x" * (300 << 10), "field 'layout': expected up to 262144 characters, got 307200"),
        ("layout", 3, "expected a layout's name or its fields as JSON, got an array of int64 ()"),
        ("layout", '{"name": ' + "[" * 100_000, "expected a layout's fields as JSON"),
        ("layout", '{"name": ' + "9" * 5000 + "}", "expected a layout's fields as JSON (Exceeds the limit"),
        ("name", "a\0b", r"field 'name': 'a\x00b' holds the character U+0000, which no name may have"),
        ("name", "a\nb", "holds the character U+000A"),
        ("name", "a" * 1001, "expected up to 1000 characters, got 1001"),
        ("name", 7, "field 'name': expected a text, got an array of int64 ()"),
        ("video", "a\0 b.mp4", r"field 'video': 'a\x00 b.mp4' holds the character U+0000"),
        ("video", "\u202ea.mp4", "field 'video'"),
        ("keypoint", np.full((2, 7, 3, 2), 1e300), "expected coordinates in px, got some beyond float32"),
    ],
)
def test_numbers_and_names_of_a_file_are_checked(tmp_path, member, value, said):
    path = saved(tmp_path / "r.npz", **{member: value})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(InputError, match=re.escape(said)) as error:
            read_recording(path)
    assert str(error.value).startswith(str(path)) and "\n" not in str(error.value) and len(str(error.value)) < 1000


@pytest.mark.parametrize("fps", [0.001, 1, np.float32(29.97), np.int64(25), np.array([50.0]), 1000])
def test_honest_rates_and_sizes(tmp_path, fps):
    again = read_recording(saved(tmp_path / "r.npz", fps=fps, image_shape=[1080.0, 999_999.0]))
    assert again.fps == np.asarray(fps).item() and again.image_shape == (1080, 999_999)
    assert type(again.image_shape[0]) is int


def test_the_failing_files_in_the_common_folder(shared_dir):
    folder = shared_dir / "cases" / "21_numbers_in_files"
    for name, field in (("fps_1e300.npz", "fps"), ("video_nul.npz", "video")):
        with pytest.raises(InputError) as error:
            read_recording(folder / name)
        assert name in str(error.value) and f"field '{field}'" in str(error.value)
