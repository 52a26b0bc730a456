"""Frames of videos: which, how many, at what time, the right way up; files that are none."""

import numpy as np
import pytest

cv2 = pytest.importorskip("cv2", reason="needs OpenCV")

from helpers.dot_videos import FPS, HEIGHT, WIDTH, find_dots, places, turned, with_durations, write_video  # noqa: E402
from pyskl_semloss.errors import HostError, InputError  # noqa: E402
from pyskl_semloss.video import frames as module  # noqa: E402
from pyskl_semloss.video import open_video  # noqa: E402
from pyskl_semloss.video.frames import prefetch  # noqa: E402


def numbered(number, size):
    """A bar whose length says the number, up to 50."""
    picture = np.zeros((size[1], size[0], 3), np.uint8)
    picture[:, : 3 * (number + 1)] = 255
    return picture


def number_of(frame):
    return round((frame.mean((0, 2)) > 128).sum() / 3) - 1


@pytest.mark.parametrize(("suffix", "fourcc"), [(".mp4", "mp4v"), (".avi", "MJPG")])
def test_every_frame_is_given_once_and_shows_what_was_rendered(tmp_path, suffix, fourcc):
    video = open_video(write_video(tmp_path / f"a{suffix}", 30, fourcc=fourcc))
    assert (video.image_shape, video.fps, video.claimed) == ((HEIGHT, WIDTH), FPS, 30)
    given = list(video.frames())
    assert [number for number, _ in given] == list(range(30))
    for number, frame in given:
        points, _ = find_dots(frame[..., ::-1])
        np.testing.assert_allclose(points[0], places(number), atol=1.5)


def test_frames_that_are_not_wanted_are_not_given_and_the_others_are_the_same(tmp_path):
    video = open_video(write_video(tmp_path / "a.mp4", 45, picture=numbered))
    given = list(video.frames(lambda first, last: last >= 20, stop=33, threads=1))
    assert [number for number, _ in given] == list(range(20, 33))
    assert [number_of(frame) for _, frame in given] == list(range(20, 33))


def test_a_video_of_variable_rate_is_put_on_an_even_grid(tmp_path):
    path = write_video(tmp_path / "a.mp4", 40, picture=numbered)
    durations = [(20, 0.4), (10, 2.2), (10, 1.0)]
    path.write_bytes(with_durations(path.read_bytes(), durations))
    shown_at = np.concatenate([[0], np.cumsum([length for count, length in durations for _ in range(count)])])[:-1]
    given = list(open_video(path).frames())
    assert [number for number, _ in given] == list(range(round(shown_at[-1]) + 1))
    for place, frame in given:
        new = np.flatnonzero(np.abs(shown_at - place) < 0.5)
        seen = number_of(frame)
        # A new frame of this moment, or else what was shown until then.
        assert seen in new if len(new) else seen == np.flatnonzero(shown_at < place)[-1]
    even = [number_of(frame) for _, frame in open_video(path, fps=10.0).frames()]
    assert even == list(range(40))


def test_frames_are_dropped_before_a_gap_only_where_they_cannot_be_needed(tmp_path):
    path = write_video(tmp_path / "a.mp4", 40, picture=numbered)
    path.write_bytes(with_durations(path.read_bytes(), [(10, 0.1), (10, 3.8), (20, 0.05)]))
    video = open_video(path)
    everything = {number: number_of(frame) for number, frame in video.frames()}
    for start in range(len(everything)):
        part = {number: number_of(frame) for number, frame in video.frames(lambda low, high, s=start: high >= s)}
        assert part == {number: seen for number, seen in everything.items() if number >= start}


def test_a_rotation_that_the_file_asks_for_is_applied(tmp_path):
    path = write_video(tmp_path / "a.mp4", 3)
    path.write_bytes(turned(path.read_bytes()))
    video = open_video(path)
    assert video.image_shape == (WIDTH, HEIGHT)
    points, _ = find_dots(next(iter(video.frames()))[1][..., ::-1])
    x, y = places(0).T
    np.testing.assert_allclose(points[0], np.stack([HEIGHT - 1 - y, x], 1), atol=1.5)


@pytest.mark.parametrize("share", [0.3, 0.7])
def test_a_file_that_is_cut_off_names_the_frame_and_how_to_take_the_rest(tmp_path, share):
    whole = write_video(tmp_path / "a.avi", 60, fourcc="MJPG").read_bytes()
    (tmp_path / "cut.avi").write_bytes(whole[: int(len(whole) * share)])
    video = open_video(tmp_path / "cut.avi")
    with pytest.raises(InputError, match=r"cut\.avi: it ends after frame \d+ \(.* s\) of 60: it is cut off") as caught:
        list(video.frames())
    end = round(float(caught.value.fix.split()[1]) * FPS)
    assert abs(len(list(video.frames(stop=end))) - 60 * share) < 3


@pytest.mark.parametrize("content", [b"", b"no video", b"#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/a.ts\n"])
def test_what_is_no_video_is_refused_by_name(tmp_path, content):
    (tmp_path / "a.mp4").write_bytes(content)
    with pytest.raises(InputError, match=r"a\.mp4: it cannot be opened as a video"):
        open_video(tmp_path / "a.mp4")
    with pytest.raises(InputError, match="there is no such file"):
        open_video(tmp_path / "b.mp4")


class Stamps:
    """A capture that says a rate and time stamps, ms."""

    def __init__(self, rate, stamps):
        self.rate, self.stamps, self.at = rate, stamps, -1

    def grab(self):
        self.at += 1
        return self.at < len(self.stamps)

    def get(self, what):
        return self.rate if what == cv2.CAP_PROP_FPS else self.stamps[self.at]


@pytest.mark.parametrize("says", [0.0, 1000.0, float("nan"), -1.0])
def test_a_rate_that_the_file_does_not_say_is_seen_in_its_time_stamps(says):
    stamps = [round(at * 1000 / 30) for at in range(100)]
    assert module._rate("a.webm", Stamps(says, stamps)) == 30
    assert module._rate("a.webm", Stamps(says, [at * 143.0 for at in range(9)])) == 6.99
    with pytest.raises(InputError, match=r"a\.webm: it says .* Give the frame rate with --fps"):
        module._rate("a.webm", Stamps(says, [0.0] * 100))


def test_time_stamps_that_stand_still_count_the_frames_and_a_long_gap_is_damage():
    video = module.Video("a.avi", (4, 4), 10.0, 0)
    assert list(module._grid_indices(video, Stamps(10, [0] * 5))) == [0, 1, 2, 3, 4]
    assert list(module._grid_indices(video, Stamps(10, [500, 600, 600, 1500, 1600]))) == [0, 1, 2, 10, 11]
    with pytest.raises(InputError, match=r"a\.avi: after frame 1 \(0\.10 s\) the next comes 60 s later"):
        list(module._grid_indices(video, Stamps(10, [0, 100, 60100])))


def test_without_opencv_one_sentence_says_what_to_install(tmp_path, monkeypatch):
    (tmp_path / "a.mp4").write_bytes(b"x")
    monkeypatch.setitem(__import__("sys").modules, "cv2", None)
    with pytest.raises(HostError, match="videos need OpenCV; run: pip install -r requirements/video.txt"):
        open_video(tmp_path / "a.mp4")


def test_what_is_fetched_ahead_is_in_order_bounded_closed_and_keeps_its_error():
    fetched, closed = [], []

    def source():
        try:
            for at in range(100):
                fetched.append(at)
                yield at
            raise InputError("the end")
        finally:
            closed.append(True)

    items = prefetch(source(), steps=3)
    assert [next(items) for _ in range(5)] == [0, 1, 2, 3, 4]
    assert len(fetched) <= 5 + 3 + 1
    items.close()
    assert closed == [True]
    with pytest.raises(InputError, match="the end"):
        assert list(prefetch(source())) is None
    assert len(closed) == 2


def test_a_frame_of_more_pixels_than_a_frame_may_have_is_not_decoded(tmp_path):
    """Half a megabyte of file, 206 MB of frame."""
    path = tmp_path / "large.avi"
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*"MJPG"), 25, (9000, 8000))
    writer.write(np.zeros((8000, 9000, 3), np.uint8))
    writer.release()
    assert path.stat().st_size < 1e6
    with pytest.raises(InputError, match="9000 x 8000 px, more than the 67108864"):
        open_video(path)
