"""A look at a pickle's opcodes before it is read, so that a few damaged bytes cannot claim all memory."""

from __future__ import annotations

import pickletools

_ARGUMENT = {ord(op.code): op.arg.n if op.arg else 0 for op in pickletools.opcodes}
_LENGTHS = {
    pickletools.TAKEN_FROM_ARGUMENT1: (1, False),
    pickletools.TAKEN_FROM_ARGUMENT4: (4, True),
    pickletools.TAKEN_FROM_ARGUMENT4U: (4, False),
    pickletools.TAKEN_FROM_ARGUMENT8U: (8, False),
}
_TWO_LINES = frozenset(b"ci")  # GLOBAL and INST
_PUT, _LONG_BINPUT, _STOP = b"pr."


def check_extent(data: bytes) -> None:
    """Refuse a pickle whose opcodes reach beyond its end.

    Python's reader allocates a string of the length that the file claims before it reads it, and a memo as long as the
    largest index that the file names (64 GB for five bytes).

    Raises:
        ValueError: An opcode is unknown, an argument ends beyond the data, a memo index exceeds their length, or the
            end mark is missing.
    """
    place, end = 0, len(data)
    while place < end:
        code = data[place]
        place += 1
        size = _ARGUMENT.get(code)
        if size is None:
            raise ValueError(f"unknown opcode {code} at byte {place - 1}")
        if size == pickletools.UP_TO_NEWLINE:
            start = place
            for _ in range(2 if code in _TWO_LINES else 1):
                place = data.index(b"\n", place) + 1
            if code == _PUT and not 0 <= int(data[start:place]) <= end:
                raise ValueError(f"memo index beyond the end at byte {start}")
            continue
        if size < 0:
            width, signed = _LENGTHS[size]
            size = width + int.from_bytes(data[place : place + width], "little", signed=signed)
            if size < width:
                raise ValueError(f"negative length at byte {place}")
        elif code == _LONG_BINPUT and int.from_bytes(data[place : place + 4], "little") > end:
            raise ValueError(f"memo index beyond the end at byte {place}")
        elif code == _STOP:
            return
        place += size
    raise ValueError("it ends too early")
