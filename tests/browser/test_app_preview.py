"""The copy of a video for the browser: which videos need one, and that a real browser plays it."""

import numpy as np
import pytest

from helpers.chromium import Chromium, find_chromium

cv2 = pytest.importorskip("cv2", reason="needs OpenCV")

from pyskl_semloss.app.analysis import playable_as, write_preview  # noqa: E402
from pyskl_semloss.video import open_video  # noqa: E402

FPS, FRAMES = 12.5, 40


def film(path, fourcc, size=(1000, 502)):
    """A video that gets brighter frame by frame."""
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*fourcc), FPS, size)
    if not writer.isOpened():
        pytest.skip(f"this OpenCV cannot encode {fourcc}")
    for number in range(FRAMES):
        writer.write(np.full((size[1], size[0], 3), 20 + 5 * number, np.uint8))
    writer.release()
    return path


@pytest.mark.parametrize(
    ("name", "fourcc", "plays"),
    [
        ("a.mp4", "mp4v", None), ("a.avi", "MJPG", None), ("a.webm", "VP80", "webm"), ("a.webm", "VP90", "webm"),
        ("a.avi", "VP80", None), ("a.mkv", "VP80", None), ("a.mp4", "VP90", "mp4"),
    ],
)  # fmt: skip
def test_what_browsers_play(tmp_path, name, fourcc, plays):
    path = film(tmp_path / name, fourcc)
    # The content counts, whatever the name.
    assert playable_as(path) == playable_as(path.rename(tmp_path / "upload")) == plays


def test_what_is_no_video_is_not_played(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"no video")
    assert playable_as(tmp_path / "a.mp4") is None


def test_the_copy_has_the_frames_of_the_video_at_their_times(tmp_path):
    told = []
    video = open_video(film(tmp_path / "a.avi", "MJPG"))
    assert write_preview(video, tmp_path / "preview.webm", told.append)
    assert told == list(range(1, FRAMES + 1))
    copy = open_video(tmp_path / "preview.webm")
    assert (copy.image_shape, copy.fps) == ((322, 640), FPS)
    seen = [(number, float(frame.mean())) for number, frame in copy.frames()]
    assert [number for number, _ in seen] == list(range(FRAMES))
    np.testing.assert_allclose([light for _, light in seen], 20 + 5 * np.arange(FRAMES), atol=4)


@pytest.mark.skipif(find_chromium() is None, reason="needs Chromium: apt-get install chromium")
def test_a_browser_plays_the_copy_and_finds_its_places(tmp_path):
    write_preview(open_video(film(tmp_path / "a.avi", "MJPG")), tmp_path / "preview.webm")
    (tmp_path / "page.html").write_text('<video src="preview.webm" preload="auto" muted></video>')
    with Chromium() as browser:
        browser.open(tmp_path / "page.html", "document.querySelector('video')?.readyState === 4")
        assert browser.js("document.querySelector('video').duration") == pytest.approx(FRAMES / FPS, abs=0.01)
        for number in (30, 3, 39):
            browser.js(f"""new Promise((done) => {{
                const video = document.querySelector('video');
                video.onseeked = done;
                video.currentTime = {(number + 0.5) / FPS};
            }}).then(() => 0)""")
            browser.screenshot(tmp_path / "seen.png")
            box = browser.js("(b => [b.x + b.width / 2, b.y + b.height / 2])(document.querySelector('video')"
                             ".getBoundingClientRect())")  # fmt: skip
            seen = cv2.imread(str(tmp_path / "seen.png"))[int(box[1]), int(box[0])]
            np.testing.assert_allclose(seen, 20 + 5 * number, atol=4)
