"""Container formats of videos, detected by content.

Only formats that hold their own pictures are given to the decoder.

FFmpeg goes by the content, too, and some of what it knows are lists of other files: playlists (HLS, DASH, concat),
session descriptions (SDP), patterns of file names, reference movies. A file of that kind, whatever its name, would make
it open any other file of the machine, or an address.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from typing import IO

from pyskl_semloss.errors import InputError
from pyskl_semloss.io.reading import AnyPath, open_regular

FFMPEG_NAMES = ("mov", "matroska", "avi", "asf", "flv", "ogg", "mpeg", "mpegts")
"""The kinds as FFmpeg calls them; ``mov`` is MP4 and QuickTime, ``matroska`` MKV and WebM."""
_EBML = b"\x1a\x45\xdf\xa3"
_KINDS = "MP4, MOV, MKV, WebM, AVI, WMV, FLV, Ogg, MPEG-PS or MPEG-TS"
_COPY = "'ffmpeg -i IN -c copy OUT.mp4'"
_FIX = f"Is it whole, and a video? {_COPY} makes one of other formats; leave -c copy out if it fails."
_ITSELF = f"Give the video itself; {_COPY} makes it where all that is named is there."
_BEGINNINGS = {
    b"\x30\x26\xb2\x75\x8e\x66\xcf\x11": "asf",
    b"FLV\x01": "flv",
    b"OggS": "ogg",
    b"\x00\x00\x01\xba": "mpeg",
}
# Old QuickTime files begin with any of these boxes.
_FIRST_BOXES = {b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"}
_PATH_TO_DREF = (b"moov", b"trak", b"mdia", b"minf", b"dinf")
_MOST_BOXES = 200_000
_LISTS = {
    b"#EXTM3U": "an HLS playlist",
    b"ffconcat": "a list for FFmpeg's concat",
    b"file ": "a list for FFmpeg's concat",
    b"v=0": "a session description (SDP)",
    b"<": "XML, such as a DASH manifest",
    b"[": "a list in text",
    b"#": "a list in text",
    b"rtsp": "an address",
    b"http": "an address",
}


def container(path: AnyPath) -> str:
    """Container of a video: one of :data:`FFMPEG_NAMES`, or ``"webm"``.

    Raises:
        InputError: There is no such file, it is none of these kinds, or its pictures are in other files.
    """
    with open_regular(path) as stream:
        size = os.fstat(stream.fileno()).st_size
        kind = _kind(stream.read(600))
        if kind is None:
            stream.seek(0)
            problem, fix = _what_else(stream.read(64))
            raise InputError(f"it cannot be opened as a video: {problem}", file=path, fix=fix)
        if kind == "mov" and (other := _foreign_pictures(stream, size)):
            raise InputError(f"it cannot be opened as a video: {other}, which are not opened", file=path, fix=_ITSELF)
    return kind


def _kind(head: bytes) -> str | None:
    for beginning, kind in _BEGINNINGS.items():
        if head.startswith(beginning):
            return kind
    if head.startswith(_EBML):
        return "webm" if b"webm" in head[:64] else "matroska"
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return "avi"
    if head[4:8] in _FIRST_BOXES:
        return "mov"
    # Packets of 188 bytes, in recordings of cameras with 4 bytes of time in front of each.
    packets = ((0, 188), (4, 192))
    if len(head) > 400 and any(all(head[at + n * step] == 0x47 for n in range(3)) for at, step in packets):
        return "mpegts"
    return None


def _what_else(head: bytes) -> tuple[str, str]:
    """Problem and fix for a file of an unknown kind."""
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    for beginning, name in _LISTS.items():
        if text.startswith(beginning.lower()):
            return f"it is {name}, and files or addresses that it names are not opened", _ITSELF
    return f"its content is no {_KINDS}" if head else "it is empty", _FIX


def _foreign_pictures(stream: IO[bytes], size: int) -> str | None:
    """Problem of a QuickTime or MP4 file with external pictures, or None."""
    boxes = [0]
    for kind, start, end in _boxes(stream, 0, size, boxes):
        if kind == b"moov" and any(name == b"rmra" for name, _, _ in _boxes(stream, start, end, boxes)):
            return "it is a reference movie to other files"
    for start, end in _data_references(stream, size, boxes):
        # Version and flags, then the number of entries, each a box.
        if any(_is_elsewhere(stream, *entry) for _, *entry in _boxes(stream, start + 8, end, boxes)):
            return "its pictures or its sound are in other files"
    return None


def _is_elsewhere(stream: IO[bytes], start: int, end: int) -> bool:
    """Test whether an entry names another file.

    Flag 1 says that the data are in this file.
    """
    stream.seek(start)
    flags, name = stream.read(4), stream.read(min(end - start - 4, 4096) if end - start > 4 else 0)
    return len(flags) == 4 and not flags[3] & 1 and bool(name.strip(b"\0"))


def _data_references(stream: IO[bytes], size: int, boxes: list[int]) -> Iterator[tuple[int, int]]:
    """Start and end of the content of each ``dref`` box."""
    level = [(0, size)]
    for name in _PATH_TO_DREF:
        level = [
            (start, end)
            for first, last in level
            for kind, start, end in _boxes(stream, first, last, boxes)
            if kind == name
        ]
    for first, last in level:
        for kind, start, end in _boxes(stream, first, last, boxes):
            if kind == b"dref":
                yield start, end


def _boxes(stream: IO[bytes], at: int, end: int, count: list[int]) -> Iterator[tuple[bytes, int, int]]:
    """Boxes in a range of a file: (type, start of content, end)."""
    while at + 8 <= end and count[0] < _MOST_BOXES:
        count[0] += 1
        stream.seek(at)
        length, kind = struct.unpack(">I4s", stream.read(8).ljust(8, b"\0"))
        header = 8
        if length == 1:
            length, header = int.from_bytes(stream.read(8), "big"), 16
        elif length == 0:
            length = end - at
        if length < header:
            return
        yield kind, at + header, min(at + length, end)
        at += length
