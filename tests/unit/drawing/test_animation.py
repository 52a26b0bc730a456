"""Animations: missing points are absent, every frame is there, and wrong requests are refused."""

import numpy as np
import pytest

from pyskl_semloss.annotations import Clip
from pyskl_semloss.drawing.animation import draw_clip, write_animation
from pyskl_semloss.errors import InputError
from pyskl_semloss.io.results import RECORD
from pyskl_semloss.skeletons import get_layout


def test_animation_leaves_missing_points_out(tmp_path):
    image = pytest.importorskip("PIL.Image")
    layout = get_layout("openpose22")
    rng = np.random.default_rng(0)
    points, scores = rng.uniform(100, 900, (1, 4, 22, 2)), np.ones((1, 4, 22))
    points[0, 3], scores[0, 3] = 0, 0
    frames = draw_clip(Clip("x", 0, (1080, 1920), (1080, 1920), points, scores), layout, size=200)
    coloured = [(np.asarray(frame)[30:].std(-1) > 20).sum() for frame in frames]
    assert coloured[3] == 0 and min(coloured[:3]) > 500 and max(frames[0].size) == 200
    write_animation(frames, tmp_path / "x.gif")
    with image.open(tmp_path / "x.gif") as animation:
        assert animation.n_frames == 4 and animation.info["duration"] == 40
    for wrong in ({"layout": get_layout("kinect20")}, {"layout": layout, "size": 5}):
        with pytest.raises(InputError):
            draw_clip(Clip("x", 0, (9, 9), (9, 9), points, scores), **wrong)
    with pytest.raises(InputError, match=".avi"):
        write_animation(frames, tmp_path / "x.avi")


def test_mp4_has_every_frame(tmp_path):
    pytest.importorskip("PIL.Image")
    cv2 = pytest.importorskip("cv2")
    points = np.random.default_rng(0).uniform(100, 900, (1, 4, 22, 2))
    clip = Clip("x", 0, (1080, 1920), (1080, 1920), points, np.ones((1, 4, 22)))
    write_animation(draw_clip(clip, get_layout("openpose22"), size=101), tmp_path / "new" / "x.mp4")
    video = cv2.VideoCapture(str(tmp_path / "new" / "x.mp4"))
    assert video.get(cv2.CAP_PROP_FRAME_COUNT) == 4
    assert [item.name for item in (tmp_path / "new").iterdir() if item.name != RECORD] == ["x.mp4"]


@pytest.mark.parametrize("name", ["a%03d.mp4", "http:/x.mp4", "-y.mp4", "0.mp4"])
def test_a_name_is_a_file_and_no_pattern_or_address(tmp_path, monkeypatch, name):
    pytest.importorskip("cv2")
    image = pytest.importorskip("PIL.Image")
    monkeypatch.chdir(tmp_path)
    write_animation([image.new("RGB", (64, 48), "red")] * 3, name)
    assert [
        str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file() and path.name != RECORD
    ] == [name]
