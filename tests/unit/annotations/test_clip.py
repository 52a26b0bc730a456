"""A clip is valid or refused, by field."""

import numpy as np
import pytest

from pyskl_semloss.annotations import Clip
from pyskl_semloss.errors import InputError

VALID = {
    "frame_dir": "a",
    "label": 0,
    "img_shape": (100, 200),
    "original_shape": (100, 200),
    "keypoint": np.ones((1, 6, 5, 2)),
    "keypoint_score": np.ones((1, 6, 5)),
}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("frame_dir", ""),
        ("label", True),
        ("label", -2),
        ("img_shape", [1, 2]),
        ("original_shape", (0, 1)),
        ("keypoint", np.ones((1, 6, 5, 2), int)),
        ("keypoint", np.full((1, 6, 5, 2), np.nan)),
        ("keypoint", np.ones((1, 6, 5))),
        ("keypoint_score", np.ones((1, 6, 6))),
        ("keypoint_score", np.full((1, 6, 5), 1.01)),
        ("keypoint_score", np.full((1, 6, 5), np.nan)),
    ],
)
def test_clip_is_valid_or_refused(field, value):
    assert Clip(**VALID).total_frames == 6
    with pytest.raises(InputError) as error:
        Clip(**{**VALID, field: value})
    assert error.value.field == field


def test_same_as_looks_at_every_value():
    clip = Clip(**VALID)
    assert clip.same_as(Clip(**VALID))
    for field, value in (("label", 1), ("img_shape", (1, 1)), ("keypoint_score", VALID["keypoint_score"] * 0.5)):
        assert not clip.same_as(Clip(**{**VALID, field: value}))
