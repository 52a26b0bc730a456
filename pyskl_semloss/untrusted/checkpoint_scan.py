"""Check of a checkpoint before ``torch.load``: archive, sizes, plain data.

``torch.load(weights_only=True)`` runs no code of a file. But it trusts sizes, decompresses members, and passes states
of arrays and dtypes to numpy, where a forged state reads beyond the array's memory. So the pickle of a checkpoint is
first read as plain data, with placeholders for torch's types.
"""

from __future__ import annotations

import math
import struct
import zipfile
from collections.abc import Callable
from typing import IO, Any

from pyskl_semloss.io.reading import data_size
from pyskl_semloss.untrusted import safe_pickle
from pyskl_semloss.untrusted.pickle_scan import check_extent

_ZIP, _LEGACY = b"PK\x03\x04", b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
_LONGEST_LEGACY = 256 << 20
"""Bytes at the start of an old checkpoint that must hold everything but its storages."""
_END, _LOCATOR, _END_64 = struct.Struct("<4s4H2LH"), struct.Struct("<4sLQL"), 56
_ITEM_SIZES = {
    **{"Double": 8, "Float": 4, "Half": 2, "BFloat16": 2, "Bool": 1, "ComplexDouble": 16, "ComplexFloat": 8},
    **{"Long": 8, "Int": 4, "Short": 2, "Char": 1, "Byte": 1, "Untyped": 1},
}
# torch allows no more than 64.
_MOST_AXES = 64
_DTYPES = (
    *("float64 float32 float16 bfloat16 bool complex128 complex64 int64 int32 int16 int8 uint8".split()),
    *("double float half long int short cdouble cfloat".split()),
)


def check_checkpoint(stream: IO[bytes]) -> None:
    """Refuse a checkpoint that ``torch.load(weights_only=True)`` cannot read safely.

    Args:
        stream: Whole file, in the zip format or in that of torch before 1.6.

    Raises:
        ValueError: The file has another format; a member is compressed, duplicate or outside the folder; a storage or a
            tensor is larger than its data.
        InputError: The pickle is refused, see :func:`pyskl_semloss.untrusted.safe_pickle.loads`.
    """
    head = stream.read(len(_LEGACY))
    if head.startswith(_ZIP):
        _check_archive(stream)
    elif head == _LEGACY:
        _check_legacy(stream)
    else:
        raise ValueError("it is no file that torch.save writes")


class _Placeholder:
    """Placeholder of a torch object with a number of items; no attribute can be set."""

    __slots__ = ("items",)

    def __init__(self, items: int = 0) -> None:
        self.items = items

    def __setstate__(self, state: object) -> None:
        raise ValueError("it sets attributes of a tensor")


class _Storage(_Placeholder):
    """Placeholder of a storage type; ``items`` is the size of an item in bytes."""

    __slots__ = ()


class _Fields(dict[Any, Any]):
    """Placeholder of an OrderedDict; state that is set is kept as an item and checked, too."""

    def __init__(self) -> None:
        super().__init__()

    def __setstate__(self, state: object) -> None:
        self.setdefault(_STATE, []).append(state)


class _History(_Fields):
    """Placeholder of mmengine's HistoryBuffer."""


_STATE = _Placeholder()


def _tensor(storage: Any, offset: int, size: Any, stride: Any, *_: object) -> _Placeholder:
    if not isinstance(storage, _Placeholder) or isinstance(storage, _Storage):
        raise ValueError("a tensor without a storage")
    # Numbers of thousands of digits take minutes to multiply.
    if not all(_is_shape(numbers) for numbers in (size, stride, (offset,))):
        raise ValueError("a tensor whose shape is none")
    if math.prod(size) > storage.items:
        raise ValueError("a tensor that is larger than its data")
    return _Placeholder(storage.items)


def _is_shape(numbers: object) -> bool:
    if not isinstance(numbers, (tuple, list)) or len(numbers) > _MOST_AXES:
        return False
    return all(type(number) is int and 0 <= number < 1 << 63 for number in numbers)


def _parameter(tensor: Any, *_: object) -> _Placeholder:
    if not isinstance(tensor, _Placeholder):
        raise ValueError("a parameter without a tensor")
    return tensor


def _size(numbers: Any) -> tuple[int, ...]:
    if not isinstance(numbers, tuple) or not _is_shape(numbers):
        raise ValueError("a torch.Size of something else than whole numbers")
    return numbers


def _device(*args: Any) -> _Placeholder:
    return _Placeholder()


def _ordered(*items: object) -> _Fields:
    if items:
        raise ValueError("an ordered dict of items, expected an empty one that is filled")
    return _Fields()


def _method(owner: object, name: object) -> _Placeholder:
    if owner is not _History or name not in ("min", "max", "mean", "current"):
        raise ValueError("an attribute of something else than the log history")
    return _Placeholder()


_NAMES: dict[tuple[str, str], object] = {
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch._utils", "_rebuild_parameter"): _parameter,
    ("torch", "Size"): _size,
    ("torch", "device"): _device,
    ("collections", "OrderedDict"): _ordered,
    ("mmengine.logging.history_buffer", "HistoryBuffer"): _History,
    ("builtins", "getattr"): _method,
    ("__builtin__", "getattr"): _method,
    **{("torch", name): _Placeholder() for name in _DTYPES},
    **{("torch", f"{name}Storage"): _Storage(size) for name, size in _ITEM_SIZES.items()},
    ("torch.storage", "UntypedStorage"): _Storage(1),
}


def _storages(sizes: Callable[[str], int]) -> Callable[[Any], _Placeholder]:
    """Function of a persistent id; ``sizes`` gives the available bytes of a key."""

    def load(pid: Any) -> _Placeholder:
        kind, storage, key, _, items, *view = pid if isinstance(pid, tuple) and len(pid) in (5, 6) else [None] * 5
        if kind != "storage" or not isinstance(storage, _Storage) or not isinstance(key, str) or any(view):
            raise ValueError("it names something outside itself that is no storage")
        if type(items) is not int or not 0 <= items * storage.items <= sizes(key):
            raise ValueError("a storage that is larger than its data")
        return _Placeholder(items)

    return load


def _check_archive(stream: IO[bytes]) -> None:
    size = stream.seek(0, 2)
    with zipfile.ZipFile(stream) as archive:
        _check_end(archive, stream, size)
        infos = archive.infolist()
        root = infos[0].filename.partition("/")[0] if infos else ""
        members = {info.filename.removeprefix(f"{root}/"): info.file_size for info in infos}
        # torch ignores the case of member names.
        if len({name.lower() for name in members}) != len(infos):
            raise ValueError("a member of it is there twice")
        if not root or not all(info.filename.startswith(f"{root}/") for info in infos):
            raise ValueError("a member of it lies outside its folder")
        if any(info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1 for info in infos):
            raise ValueError("a member of it is compressed, which torch.save does not do")
        if sum(members.values()) > size:
            raise ValueError("its members are larger than the file")
        if "data.pkl" not in members:
            raise ValueError("it is a zip archive that torch.save has not written")
        data = archive.read(f"{root}/data.pkl")
    sizes = _storages(lambda key: members.get(f"data/{key}", -1))
    safe_pickle.loads(data, _NAMES, persistent=sizes, size=_allocated_size(stream, size))


def _check_end(archive: zipfile.ZipFile, stream: IO[bytes], size: int) -> None:
    """Refuse an archive whose member list two readers could find at different offsets."""
    tail = min(size, _END.size + _LOCATOR.size + _END_64)
    stream.seek(size - tail)
    data = stream.read(tail)
    signature, *_, start, comment = _END.unpack(data[-_END.size :])
    if signature != b"PK\x05\x06" or comment:
        raise ValueError("it goes on after the end of the archive")
    locator = data[-_END.size - _LOCATOR.size : -_END.size]
    if locator[:4] == b"PK\x06\x07":
        if _LOCATOR.unpack(locator)[2] != size - tail or data[:4] != b"PK\x06\x06":
            raise ValueError("its lists of members disagree")
        (start,) = struct.unpack("<Q", data[48:56])
    if archive.start_dir != start:
        raise ValueError("it begins before the archive")


def _check_legacy(stream: IO[bytes]) -> None:
    size = stream.seek(0, 2)
    allocated = _allocated_size(stream, size)
    stream.seek(0)
    # Read, not mapped: truncation of a mapped file ends the process.
    data = stream.read(_LONGEST_LEGACY)
    position, contents = 0, []
    declared: dict[str, int] = {}

    def declare(pid: Any) -> _Placeholder:
        storage = _storages(lambda key: size)(pid)
        declared[pid[2]] = max(declared.get(pid[2], 0), storage.items * pid[1].items)
        return storage

    # Magic number, version, facts of the machine, content, keys of the storages that follow.
    for _ in range(5):
        end = check_extent(data, position, allocated).end
        contents.append(safe_pickle.loads(data[position:end], _NAMES, persistent=declare, size=allocated))
        position = end
    if sorted(contents[4]) != sorted(declared):
        raise ValueError("its list of storages is another than those that it uses")
    if sum(declared.values()) > size - position:
        raise ValueError("its storages are larger than the file")


def _allocated_size(stream: IO[bytes], size: int) -> int:
    """Size in bytes of the file without its holes."""
    try:
        return data_size(stream.fileno())
    except OSError:
        return size
