"""The work on an uploaded video: read by content, named as the user named it, shown as browsers play it."""

import importlib
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("cv2", reason="needs OpenCV")

from helpers.dot_videos import DOTS, FPS, dots, places, write_video  # noqa: E402
from pyskl_semloss.app.analysis import Work, _recording, _shown_video, analyse  # noqa: E402
from pyskl_semloss.app.limits import Limits  # noqa: E402
from pyskl_semloss.errors import InputError  # noqa: E402
from pyskl_semloss.segments.find import SegmentRules  # noqa: E402
from pyskl_semloss.video import open_video  # noqa: E402

NAMES = ["preview.webm", "\u8bbf" * 80 + ".MP4", "a'b\"c 50%d #1?.mov", "VIDEO001", "result.avi"]


def work(folder, name, content, limits=None):
    (folder / "upload").write_bytes(content)
    return Work(folder / "upload", name, folder, limits or Limits())


@pytest.fixture(params=[(".webm", "VP80"), (".mp4", "mp4v"), (".avi", "MJPG")], ids=lambda kind: kind[1])
def content(tmp_path, request):
    suffix, code = request.param
    return code, write_video(tmp_path / f"a{suffix}", 30, fourcc=code).read_bytes()


@pytest.mark.parametrize("name", NAMES)
def test_a_video_keeps_its_name_and_is_shown(tmp_path, monkeypatch, content, name):
    # Dots in place of MediaPipe, which not every environment has; all else is as it is.
    monkeypatch.setattr(importlib.import_module("pyskl_semloss.video.estimate"), "load_estimator", lambda name: dots())
    code, data = content
    job = work(tmp_path, name, data)
    recording = _recording(job, DOTS, lambda *_: None)
    assert (recording.name, recording.video) == (name.rpartition(".")[0] or name, name)
    assert (recording.frames, recording.fps) == (30, FPS)
    np.testing.assert_allclose(recording.keypoint[0, 7], places(7), atol=3)
    shown, notes = _shown_video(job, lambda *_: None)
    if code == "VP80":
        assert (shown, notes) == ("video.webm", []) and (tmp_path / shown).read_bytes() == data
    else:
        assert shown == "preview.webm" and "smaller copy" in notes[0]
        assert len(list(open_video(tmp_path / shown).frames())) == 30


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        (
            "a.mkv",
            b"#EXTM3U\n#EXTINF:1,\n/etc/passwd\n",
            "a.mkv: it cannot be opened as a video: it is an HLS playlist",
        ),
        ("a 'b'.mp4", b"", "a 'b'.mp4: it cannot be opened as a video: it is empty"),
        ("notes.txt", b"notes", "notes.txt: expected a video or an .npz, this is text/plain"),
        ("a.npz", b"#EXTM3U", "a.npz: expected an npz archive of plain arrays"),
        ("a.mp4", b"PK\3\4", "a.mp4: expected an npz archive of plain arrays"),
    ],
)
def test_what_cannot_be_used_is_named_as_it_was_uploaded(tmp_path, name, data, said):
    job = work(tmp_path, name, data)
    with pytest.raises(InputError) as caught:
        analyse(SimpleNamespace(layout=DOTS), SegmentRules(), {}, job, lambda *_: None)
    assert str(caught.value).startswith(said) and str(tmp_path) not in str(caught.value)


def test_a_video_that_is_too_long_is_named_before_its_frames_are_looked_at(tmp_path, content):
    job = work(tmp_path, "film.mp4", content[1], Limits(minutes=0.01))
    with pytest.raises(InputError, match=r"film\.mp4: it lasts 0\.0 minutes, more than the 0\.01 that are taken"):
        analyse(SimpleNamespace(layout=DOTS), SegmentRules(), {}, job, lambda *_: pytest.fail("it began"))
