"""The picture of the cosines between label vectors: its colours are those of the numbers."""

import numpy as np
import pytest

from pyskl_semloss.drawing.cosines import draw_cosines
from pyskl_semloss.drawing.palette import ON_LIGHT, rgb
from pyskl_semloss.errors import InputError

pytest.importorskip("matplotlib")
Image = pytest.importorskip("PIL.Image")
OPPOSITE, PERPENDICULAR = np.array([[2.0, 0], [-3.0, 0]]), np.array([[0.0, 4], [1, 0]])


def painted(path):
    """The colours of the picture that are on more than 2 % of it, with their share."""
    with Image.open(path) as image:
        colours, counts = np.unique(np.asarray(image.convert("RGB")).reshape(-1, 3), axis=0, return_counts=True)
    share = counts / counts.sum()
    return {tuple(colour.tolist()): float(part) for colour, part in zip(colours, share, strict=True) if part > 0.02}


def test_equal_is_orange_opposite_is_blue_and_perpendicular_is_white(tmp_path):
    draw_cosines({"a": OPPOSITE}, ["x", "y"], tmp_path / "one.png")
    shares = painted(tmp_path / "one.png")
    orange, blue = rgb(ON_LIGHT.right), rgb(ON_LIGHT.left)
    assert set(shares) == {orange, blue, (255, 255, 255)} and shares[orange] == pytest.approx(shares[blue], rel=0.05)
    draw_cosines({"a": PERPENDICULAR}, ["x", "y"], tmp_path / "two.png")
    assert set(painted(tmp_path / "two.png")) == {orange, (255, 255, 255)}


def test_two_matrices_stand_side_by_side_on_one_scale(tmp_path):
    draw_cosines({"before": OPPOSITE, "after": PERPENDICULAR}, ["x", "$y_$"], tmp_path / "both.png")
    with Image.open(tmp_path / "both.png") as image:
        # The scale takes the right margin.
        halves = np.split(np.asarray(image.convert("RGB")), [int(0.45 * image.width)], axis=1)
    blue = [(half == rgb(ON_LIGHT.left)).all(-1).sum() for half in halves]
    orange = [(half == rgb(ON_LIGHT.right)).all(-1).sum() for half in halves]
    assert blue[0] > 10_000 > blue[1] and orange[0] == pytest.approx(orange[1], rel=0.15)


def test_many_classes_of_long_names_and_the_same_bytes_again(tmp_path):
    vectors = np.random.default_rng(0).normal(size=(150, 8))
    names = [f"a name of very many words, number {number}" for number in range(150)]
    for name in ("a.png", "b.png"):
        draw_cosines({"v": vectors}, names, tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_matrices_of_other_classes_are_refused(tmp_path):
    with pytest.raises(InputError, match="expected matrices of 3 rows, got 2"):
        draw_cosines({"a": OPPOSITE}, ["x", "y", "z"], tmp_path / "a.png")
    with pytest.raises(InputError, match="expected matrices of 1 rows, got none"):
        draw_cosines({}, ["x"], tmp_path / "a.png")
