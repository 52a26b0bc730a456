"""Arrays of npz and npy files: what honest writers write is read, each refusal is for its own reason."""

import io
import os
import re
import struct
import zipfile

import numpy as np
import pytest

from helpers.hostile_files import deflated, npy, small_archives
from pyskl_semloss.errors import InputError
from pyskl_semloss.io.arrays import NpyRows, check_letters, read_npy, read_npz

ARRAYS = {
    "numbers": np.arange(6, dtype="<f4").reshape(2, 3),
    "columns": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "big": np.arange(3, dtype=">i2"),
    "complex": np.array([1 + 2j]),
    "truth": np.array([True, False]),
    "words": np.array(["é", "bcd", "\U0010ffff"]),
    "bytes": np.array([b"a", b"bc"]),
    "none": np.zeros((0, 3), np.int64),
    "point": np.array(3.5),
    "long": np.arange(24.0),
    "unsigned": np.array([255], np.uint8),
}
ARCHIVES = small_archives()
REASONS = {
    "two of one name": "two members are called a.npy",
    "a path": r"a member is called '../../a.npy', expected NAME.npy",
    "a path in Windows": "a member is called '",
    "an absolute path": "a member is called '/tmp/a.npy'",
    "a folder": "a member is called 'a/'",
    "no array": "member a.npy: EOF: reading magic string",
    "no npy": "a member is called 'a'",
    "another compression": "member a.npy: another compression than deflate",
    "2**40 numbers": r"member a.npy: an array \(1099511627776,\) of <f8 needs 8796093022336 bytes, it has 152",
    "2**33 empty texts": "member a.npy: it holds <U0, expected numbers or text",
    "a negative size": r"member a.npy: an array \(-1, -3\) of <f8 needs 152 bytes, it has 152",
    "too few numbers": "needs 160 bytes, it has 152",
    "too many numbers": "needs 144 bytes, it has 152",
    "another version": r"member a.npy: version \(2, 0\) of the format",
    "a structure": r"it holds \|V8, expected numbers or text",
    "dates": r"it holds <M8\[s\], expected numbers or text",
    "no letters": "member a.npy: it holds text with characters that do not exist",
    "surrogates": "member a.npy: it holds text with characters that do not exist",
    "a header of 64 KB": "member a.npy",
    "a deep header": "expected an npz archive of plain arrays, but it cannot be read",
}


def same(one, other):
    return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_archives_come_back(tmp_path, save):
    path = tmp_path / "a.npz"
    save(path, **ARRAYS)
    found = read_npz(path)
    assert list(found) == list(ARRAYS) and all(same(found[name], ARRAYS[name]) for name in ARRAYS)
    assert found["columns"].flags.f_contiguous and not found["columns"].flags.c_contiguous
    assert list(read_npz(path, ["big", "words", "absent"])) == ["big", "words"]
    assert read_npz(path, ()) == {}
    np.savez(path)
    assert read_npz(path) == {}


@pytest.mark.parametrize("name", ARRAYS)
def test_single_arrays_come_back(tmp_path, name):
    path = tmp_path / "a.npy"
    np.save(path, ARRAYS[name])
    assert same(read_npy(path), ARRAYS[name])
    array = ARRAYS[name]
    if not array.shape:
        with pytest.raises(InputError, match="it holds a single number, expected rows"):
            NpyRows(path)
        return
    rows = NpyRows(path)
    assert (rows.shape, rows.dtype, rows.ndim, len(rows)) == (array.shape, array.dtype, array.ndim, len(array))
    assert rows.c_contiguous == array.flags.c_contiguous
    assert np.array_equal(rows.read(0, len(rows)), array) and rows.read(0, 0).shape == (0, *array.shape[1:])
    for at in range(-len(array), len(array)):
        assert np.array_equal(rows[at], array[at])
    for at in (len(array), -len(array) - 1):
        with pytest.raises(IndexError):
            rows[at]
    if len(array):
        assert rows.read(0, 1).flags.writeable


@pytest.mark.parametrize("size", [100, 150, 4096, 1 << 20])
def test_a_file_that_is_cut_short_while_it_is_open(tmp_path, size):
    """Mapped, it ended the process by SIGBUS."""
    path = tmp_path / "a.npy"
    np.save(path, np.ones((1000, 1000)))
    rows = NpyRows(path)
    os.truncate(path, size)
    with pytest.raises(InputError, match="a.npy: the file has been cut off since it was opened"):
        rows[999]
    if size > 8200:
        assert rows[0].sum() == 1000


@pytest.mark.parametrize(("kind", "words"), REASONS.items())
def test_each_hostile_archive_has_its_reason(tmp_path, kind, words):
    path = tmp_path / "hostile.npz"
    path.write_bytes(ARCHIVES[kind])
    with pytest.raises(InputError, match=words) as error:
        read_npz(path)
    assert error.value.file == path


def test_every_hostile_archive_has_a_reason():
    assert REASONS.keys() == ARCHIVES.keys()


def test_a_single_array_is_no_archive_and_an_archive_is_no_array(tmp_path):
    path = tmp_path / "a"
    np.save(tmp_path / "a.npy", ARRAYS["numbers"])
    with pytest.raises(InputError, match="npz archive, got a single npy array"):
        read_npz(tmp_path / "a.npy")
    path.write_bytes(deflated([("a.npy", npy(np.zeros(3)))]))
    for read in (read_npy, NpyRows):
        with pytest.raises(InputError, match=re.escape("(.npy), got an archive of several")):
            read(path)
        with pytest.raises(InputError, match="no such file"):
            read(tmp_path / "absent")
    for content in (b"", b"hello", b"\xff" * 9, b"PJ", b"\x92NUMPY"):
        path.write_bytes(content)
        for read, words in (
            (read_npz, "expected an npz archive of plain arrays, but it cannot be read"),
            (read_npy, r"expected an array of numbers \(.npy\), but it cannot be read"),
            (NpyRows, r"expected an array of numbers \(.npy\), but it cannot be read"),
        ):
            with pytest.raises(InputError, match=words) as error:
                read(path)
            assert error.value.file == path


@pytest.mark.parametrize("read", [read_npy, NpyRows])
def test_an_array_has_just_the_bytes_that_its_header_says(tmp_path, read):
    path = tmp_path / "a.npy"
    whole = npy(np.arange(3.0))
    for content, size in ((whole[:-1], 151), (whole + b"\0", 153), (whole[:-8], 144)):
        path.write_bytes(content)
        with pytest.raises(InputError, match=f"needs 152 bytes, it has {size}"):
            read(path)
    path.write_bytes(npy(np.array([None])))
    with pytest.raises(InputError, match="it holds objects, which are pickles"):
        read(path)
    for version in (b"\x00\x09", b"\x01\x01", b"\x03\x00"):
        path.write_bytes(whole[:6] + version + whole[8:])
        with pytest.raises(InputError, match=rf"version \({version[0]}, {version[1]}\) of the format"):
            read(path)


def test_a_member_is_as_long_as_it_claims_and_has_its_checksum(tmp_path):
    path = tmp_path / "a.npz"
    whole = npy(np.arange(1.0, 4.0))
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("a.npy", whole)
    data = stream.getvalue()
    path.write_bytes(data)
    assert read_npz(path)["a"].tolist() == [1, 2, 3]
    at = data.index(whole)
    path.write_bytes(data[: at + 150] + b"\x55" + data[at + 151 :])
    with pytest.raises(InputError, match="CRC"):
        read_npz(path)
    # The list of members claims other sizes than there are.
    place = data.rindex(b"PK\x01\x02")
    for size, words in ((144, "CRC"), (160, "member a.npy: an array .* needs 152 bytes, it has 160")):
        lying = bytearray(data)
        lying[place + 24 : place + 28] = size.to_bytes(4, "little")
        path.write_bytes(lying)
        with pytest.raises(InputError, match=words):
            read_npz(path)
    # An array that is cut off, and of which it is claimed that it is whole.
    cut = bytearray(deflated([("a.npy", whole[:-8])]))
    place = cut.rindex(b"PK\x01\x02")
    cut[place + 24 : place + 28] = (152).to_bytes(4, "little")
    path.write_bytes(cut)
    with pytest.raises(InputError, match="member a.npy: it ends too early"):
        read_npz(path)


def test_what_unfolds_to_the_limit_is_read_and_one_byte_more_is_not(tmp_path, monkeypatch):
    path = tmp_path / "a.npz"
    path.write_bytes(deflated([("a.npy", npy(np.zeros(3))), ("b.npy", npy(np.ones(2)))]))
    for limit, fine in ((296, True), (295, False)):
        monkeypatch.setattr("pyskl_semloss.io.arrays.memory_limit", lambda size, limit=limit: limit)
        if fine:
            assert read_npz(path)["b"].tolist() == [1, 1]
        else:
            with pytest.raises(InputError, match="unfold to 296 bytes; of an archive of its size at most 295"):
                read_npz(path)


@pytest.mark.parametrize("order", ["<", ">"])
def test_letters_are_unicodes(order):
    for fine in (0x41, 0xD7FF, 0xE000, 0x10FFFF):
        check_letters(np.array([fine], f"{order}u4").view(f"{order}U1"))
    for bad in (0xD800, 0xDBFF, 0xDC00, 0xDFFF, 0x110000, 0xFFFFFFFF):
        with pytest.raises(ValueError, match="characters that do not exist"):
            check_letters(np.array([0x41, bad], f"{order}u4").view(f"{order}U2"))
    check_letters(np.array([0xD800], "<u4"))
    check_letters(np.zeros(0, "<U3"))
    check_letters(np.array([b"\xff"]))
    check_letters(np.array([["a", "b"], ["c", "d"]])[:, ::-1])


def test_holes_of_an_archive_give_no_memory(tmp_path):
    """A member that is stored, not compressed, may claim gigabytes that are a hole."""
    path = tmp_path / "sparse.npz"
    size = 1 << 30
    content = npy(np.zeros(0, "u1"), (size,))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.npy", content + bytes(1 << 20))
    data = path.read_bytes()
    place, end = data.rindex(b"PK\x01\x02"), len(content) + (1 << 20)
    hole = size - (1 << 20)
    local = 30 + len("a.npy")
    with open(path, "wb") as stream:
        head = bytearray(data[:local])
        head[18:26] = struct.pack("<LL", len(content) + size, len(content) + size)
        stream.write(head + content)
        stream.seek(local + len(content) + size)
        entry = bytearray(data[place:])
        entry[20:28] = struct.pack("<LL", len(content) + size, len(content) + size)
        at = entry.rindex(b"PK\x05\x06")
        entry[at + 16 : at + 20] = struct.pack("<L", local + len(content) + size)
        stream.write(entry)
    assert path.stat().st_size > hole and path.stat().st_blocks * 512 < end
    with pytest.raises(InputError, match=r"only \d+ of its \d+ bytes are there, the others are a hole"):
        read_npz(path)
    # Below 64 MiB a hole is let pass, but it unfolds to no more than the data explain.
    lying = deflated([("a.npy", 100 << 20)])
    with open(path, "wb") as stream:
        stream.seek(30 << 20)
        stream.write(lying)
    with pytest.raises(InputError, match=r"it would unfold to 1048\d+ bytes; of an archive of its size at most"):
        read_npz(path)
