import numpy as np
import pytest

from pyskl_semloss.errors import InputError
from pyskl_semloss.segments.windows import Windows, movement
from pyskl_semloss.synthetic import clips as synthetic
from pyskl_semloss.synthetic.body import draw_subject
from pyskl_semloss.synthetic.recording import _subject_of, generate_recording


@pytest.fixture(scope="module")
def made():
    return generate_recording(40, seed=3, rest=(2.0, 4.0))


def test_every_class_is_acted_and_none_overlaps_another(made):
    recording, truth = made
    names = [one.name for one in truth]
    assert set(names[:32]) == set(synthetic.CLASS_NAMES) and len(names) == 40
    rests = [other.start - one.end for one, other in zip(truth, truth[1:], strict=False)]
    assert min(rests) >= 2.0 and truth[-1].end < recording.seconds and truth[0].start > 0
    assert (recording.layout.name, recording.fps, recording.keypoint.shape[0]) == ("openpose22", 25.0, 1)


def test_the_same_seed_gives_the_same_recording(made):
    again, truth = generate_recording(40, seed=3, rest=(2.0, 4.0))
    assert again.keypoint.tobytes() == made[0].keypoint.tobytes() and truth == made[1]
    assert generate_recording(40, seed=4, rest=(2.0, 4.0))[1] != truth


def test_the_body_never_leaps(made):
    recording = made[0]
    points, score = recording.keypoint[0], recording.keypoint_score[0]
    known = (score[1:] > 0.3) & (score[:-1] > 0.3)
    # Joints of the trunk, whose noise is small: neck and shoulders.
    step = np.hypot(*np.moveaxis(np.diff(points, axis=0), -1, 0))[:, [1, 2, 5]]
    width = np.median(np.hypot(*(points[:, 2] - points[:, 5]).T))
    assert np.quantile(step[known[:, [1, 2, 5]]], 0.995) < 0.25 * width


def test_where_a_gesture_is_there_is_more_movement_than_between(made):
    recording, truth = made
    middles = [round((one.start + one.end) / 2 * 25) for one in truth]
    between = [round((one.end + other.start) / 2 * 25) for one, other in zip(truth, truth[1:], strict=False)]

    def moved(frames):
        start = np.array(sorted(frames)) - 20
        return movement(recording.keypoint[0], recording.keypoint_score[0], Windows(start, 40, recording.frames))[0]

    assert np.median(moved(middles)) > 2 * np.median(moved(between))


def test_nobody_acts_in_two_splits():
    people = {split: set() for split in ("train", "val", "test")}
    for split, seen in people.items():
        for seed in range(60):
            seen.add(_subject_of(split, 12, 0, np.random.default_rng(seed)).scale)
    assert not people["train"] & people["test"] and not people["val"] & people["test"]
    set_of = [draw_subject(np.random.default_rng([0, 1, number])).scale for number in range(12)]
    assert people["train"] | people["val"] | people["test"] == set(set_of)


@pytest.mark.parametrize("options", [dict(gestures=0), dict(split="tset"), dict(rest=(0, 1)), dict(rest=(3, 1))])
def test_wrong_arguments_are_refused(options):
    with pytest.raises(InputError):
        generate_recording(**{"gestures": 2, **options})
