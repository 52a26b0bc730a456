import numpy as np
import pytest

from pyskl_semloss.annotations.recording import Recording, read_recording
from pyskl_semloss.errors import InputError

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
