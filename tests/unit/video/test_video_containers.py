"""What is opened as a video: files that hold their own pictures, by content; never a list of other files."""

import os
import struct
import subprocess
import sys

import pytest

cv2 = pytest.importorskip("cv2", reason="needs OpenCV")

from helpers.dot_videos import write_video  # noqa: E402
from pyskl_semloss.app.analysis import playable_as  # noqa: E402
from pyskl_semloss.errors import InputError  # noqa: E402
from pyskl_semloss.video import open_video  # noqa: E402
from pyskl_semloss.video.containers import container  # noqa: E402

KINDS = [
    ("a.mp4", "mp4v", "mov"), ("a.mov", "mp4v", "mov"), ("a.mkv", "mp4v", "matroska"), ("a.webm", "VP80", "webm"),
    ("a.avi", "MJPG", "avi"), ("a.ts", "MPG2", "mpegts"), ("a.mpg", "MPG2", "mpeg"), ("a.flv", "FLV1", "flv"),
    ("a.wmv", "WMV2", "asf"), ("a.ogv", "VP80", "ogg"),
]  # fmt: skip


def film(folder, name, fourcc, frames=12):
    """A video, or a skipped test where this OpenCV cannot write it."""
    path = folder / name
    try:
        return write_video(path, frames, fourcc=fourcc)
    except AssertionError:
        pytest.skip(f"this OpenCV cannot write {fourcc} into {path.suffix}")


@pytest.mark.parametrize(("name", "fourcc", "kind"), KINDS)
@pytest.mark.parametrize("rename", [None, "video.bin", "talk 50%d (ü) #1?.jpeg.mp4"])
def test_a_video_is_read_whatever_its_name(tmp_path, name, fourcc, kind, rename):
    path = film(tmp_path, name, fourcc)
    if rename:
        path = path.rename(tmp_path / rename)
    assert container(path) == kind
    # One format says at its end how many frames there are, another begins with a later one.
    assert 10 <= len(list(open_video(path).frames())) <= 13


LISTS = [
    ("#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{secret}\n#EXT-X-ENDLIST\n", "an HLS playlist"),
    ("\ufeff\n#EXTM3U\n#EXTINF:2,\nfile:{secret}\n", "an HLS playlist"),
    ("#EXTM3U\n#EXTINF:2,\nhttp://127.0.0.1:9/a.ts\n", "an HLS playlist"),
    ("ffconcat version 1.0\nfile {secret}\n", "a list for FFmpeg's concat"),
    ("file '{secret}'\n", "a list for FFmpeg's concat"),
    ("v=0\no=- 0 0 IN IP4 127.0.0.1\nc=IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 96\n", "a session description"),
    ("<?xml version='1.0'?><MPD><BaseURL>{secret}</BaseURL></MPD>", "XML, such as a DASH manifest"),
    ("[playlist]\nFile1={secret}\n", "a list in text"),
    ("[Reference]\nRef1=http://127.0.0.1:9/a.asf\n", "a list in text"),
    ("http://127.0.0.1:9/a.ts\n", "an address"),
    (";FFMETADATA1\ntitle={secret}\n", "its content is no MP4"),
    ("1\n00:00:00,000 --> 00:00:01,000\n{secret}\n", "its content is no MP4"),
    ("", "it is empty"),
]


@pytest.mark.parametrize(("text", "said"), LISTS)
@pytest.mark.parametrize("ending", ["mkv", "mp4", "avi", "mov", "webm", "m3u8"])
def test_a_list_of_other_files_is_none_whatever_its_name(tmp_path, text, said, ending):
    secret = film(tmp_path, "secret.ts", "MPG2")
    path = tmp_path / f"a.{ending}"
    path.write_text(text.format(secret=secret), encoding="utf-8")
    with pytest.raises(InputError, match=f"a.{ending}: it cannot be opened as a video: .*{said}") as caught:
        open_video(path)
    assert "ffmpeg -i IN -c copy OUT.mp4" in str(caught.value) and "\n" not in str(caught.value)
    assert playable_as(path) is None


@pytest.mark.parametrize("name", ["a%d.png", "a%02d.png", "a%*.png", "a%d.PNG", "b%d/a.jpg", "a%[0-9].bmp"])
def test_a_name_is_no_pattern_of_pictures(tmp_path, name):
    """FFmpeg takes NAME%d.png for a list of pictures before it looks into the file."""
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    (tmp_path / "b1").mkdir()
    for number in range(5):
        for picture in (f"a{number}.png", f"a0{number}.png", f"a{number}.bmp", "b1/a.jpg"):
            cv2.imwrite(str(tmp_path / picture), cv2.UMat(64, 48, cv2.CV_8UC3).get())
    path.write_bytes(film(tmp_path, "a.mp4", "mp4v").read_bytes())
    with pytest.raises(InputError, match=r"FFmpeg would take the % in its path for a list of pictures. Give it"):
        open_video(path)
    assert playable_as(path) is None
    assert open_video(path.rename(path.parent / "a%d.mp4")).image_shape == open_video(tmp_path / "a.mp4").image_shape


def test_a_percent_sign_that_is_no_pattern_is_a_name(tmp_path):
    path = film(tmp_path, "a.mp4", "mp4v").rename(tmp_path / "100 %.png")
    assert len(list(open_video(path).frames())) == 12


@pytest.mark.parametrize("name", ["0", "http:", "concat:a.mp4", "file:a.mp4", "-i", "rtsp:"])
def test_a_relative_name_is_a_file_and_no_camera_or_address(tmp_path, monkeypatch, name):
    film(tmp_path, "a.mp4", "mp4v", frames=3).rename(tmp_path / "b.mp4")
    (tmp_path / name).write_bytes(film(tmp_path, "c.mp4", "mp4v", frames=7).read_bytes())
    monkeypatch.chdir(tmp_path)
    assert len(list(open_video(name).frames())) == 7


def with_reference(data, entry):
    """An MP4 of OpenCV with another entry in its table of where the pictures are."""
    dref = data.index(b"dref", data.rfind(b"moov")) - 4
    end = dref + struct.unpack(">I", data[dref : dref + 4])[0]
    box = struct.pack(">I4sII", 16 + len(entry), b"dref", 0, 1) + entry
    grown, moov, changed = len(box) - (end - dref), data.rfind(b"moov"), bytearray(data)
    for parent in (b"moov", b"trak", b"mdia", b"minf", b"dinf"):
        at = data.index(parent, moov) - 4
        changed[at : at + 4] = struct.pack(">I", struct.unpack(">I", data[at : at + 4])[0] + grown)
    return bytes(changed[:dref]) + box + bytes(changed[end:])


def box(kind, *content):
    return struct.pack(">I4s", 8 + sum(map(len, content)), kind) + b"".join(content)


def alias(folder, name):
    """What QuickTime writes for a file elsewhere: a Macintosh alias with a path."""
    path = os.fsencode(folder / name)
    place = b"\0\x12" + struct.pack(">H", len(path)) + path + b"\0" * (len(path) % 2) + b"\xff\xff\0\0"
    content = (
        bytes(10)
        + bytes([4])
        + b"disk".ljust(27, b"\0")
        + bytes(12)
        + bytes([len(name)])
        + name.encode().ljust(63, b"\0")
    )
    return b"\0\0\0\0" + content + bytes(16) + struct.pack(">hh", 1, 1) + bytes(16) + place


def test_a_movie_whose_pictures_are_elsewhere_is_none(tmp_path):
    own = film(tmp_path, "secret.mp4", "mp4v").read_bytes()
    for entry in (
        box(b"url ", b"\0\0\0\0", f"file://{tmp_path}/secret.mp4\0".encode()),
        box(b"urn ", b"\0\0\0\0", b"name\0http://127.0.0.1:9/secret.mp4\0"),
        box(b"alis", alias(tmp_path, "secret.mp4")),
    ):
        (tmp_path / "a.mov").write_bytes(with_reference(own, entry))
        with pytest.raises(InputError, match="its pictures or its sound are in other files, which are not opened. Giv"):
            open_video(tmp_path / "a.mov")
    # Flag 1 says that they are in this file; some writers forget it, and name nothing.
    for entry in (box(b"url ", b"\0\0\0\1"), box(b"url ", b"\0\0\0\0"), box(b"alis", b"\0\0\0\1")):
        (tmp_path / "b.mov").write_bytes(with_reference(own, entry))
        assert len(list(open_video(tmp_path / "b.mov").frames())) == 12
    movie = box(b"moov", box(b"rmra", box(b"rmda", box(b"rdrf", b"\0\0\0\0", b"url ", b"\0\0\0\5http:"))))
    (tmp_path / "c.mov").write_bytes(movie)
    with pytest.raises(InputError, match=r"c\.mov: .*it is a reference movie to other files, which are not opened"):
        open_video(tmp_path / "c.mov")


def test_boxes_that_claim_anything_cost_nothing(tmp_path):
    huge = b"\0\0\0\1ftyp" + b"\xff" * 8
    endless = b"\0\0\0\0moov\0\0\0\0trak\0\0\0\0mdia"
    many = b"\0\0\0\x08free" * 300_000
    for number, data in enumerate((huge, endless, b"\0\0\0\7moov", b"\xff\xff\xff\xffmoov", many)):
        (tmp_path / f"{number}.mp4").write_bytes(data)
        assert container(tmp_path / f"{number}.mp4") == "mov"
        with pytest.raises(InputError, match="it cannot be opened as a video"):
            open_video(tmp_path / f"{number}.mp4")


@pytest.mark.parametrize(
    "before", ["", "hwaccel;none", "protocol_whitelist;file,http|format_whitelist;hls|enable_drefs;1"]
)
def test_what_the_environment_says_opens_nothing_more(tmp_path, before):
    path = film(tmp_path, "a.mp4", "mp4v")
    command = "import os, sys\nfrom pyskl_semloss.video import open_video\nfor _ in range(3): open_video(sys.argv[1])\n"
    command += "print(os.environ['OPENCV_FFMPEG_CAPTURE_OPTIONS'])"
    environment = {**os.environ, "OPENCV_FFMPEG_CAPTURE_OPTIONS": before}
    done = subprocess.run(
        [sys.executable, "-c", command, str(path)], env=environment, capture_output=True, text=True, timeout=600
    )
    ours = "protocol_whitelist;file|format_whitelist;mov,matroska,avi,asf,flv,ogg,mpeg,mpegts"
    ours += "|enable_drefs;0|max_pixels;67108864"
    assert done.stdout.strip() == "|".join(filter(None, (before, ours))), done.stderr
