"""Malicious pickles, bombs and archives, built in code."""

import functools
import io
import os
import pickle
import struct
import subprocess
import zipfile

import numpy as np

CORE = b"_core" if hasattr(np, "_core") else b"core"
RECONSTRUCT = b"cnumpy." + CORE + b".multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntC\x01btR"


class Call:
    """Pickles as a call, as an attack would: ``function(*arguments)``, with further parts of ``__reduce__``."""

    def __init__(self, function, *arguments, parts=()):
        self.call = (function, arguments, *parts)

    def __reduce__(self):
        return self.call


class Opener:
    """Makes a file when it is made, from protocol 2 on: what the class of any installed package may do."""

    def __new__(cls, path=None):
        made = object.__new__(cls)
        if path is not None:
            open(path, "w").close()
        return made

    def holding(self, path):
        """The same; it is made anew with the path when it is read."""
        self.path = path
        return self

    def __getnewargs__(self):
        return (self.path,)


class NamedOpener(Opener):
    """The same with a named argument, from protocol 4 on in an opcode of its own."""

    def __getnewargs_ex__(self):
        return (), {"path": self.path}


class Setter:
    """Makes a file when its state is set."""

    def __init__(self, path):
        self.path = path

    def __setstate__(self, state):
        open(state["path"], "w").close()


def command_pickles(canary):
    """Name -> a pickle that makes the file or folder ``canary`` when plain ``pickle.loads`` reads it."""
    made = {
        f"{name}, protocol {protocol}": pickle.dumps({"annotations": [thing], "split": {}}, protocol)
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1)
        for name, thing in _things(str(canary)).items()
        if not (name.startswith("NEWOBJ") and protocol < 2)
    }
    other = {
        f"{name}, numpy.{core}": data.replace(b"numpy." + CORE, b"numpy." + core.encode())
        for name, data in made.items()
        if "array, protocol 0" in name or "array, protocol 2" in name
        for core in ("core", "_core")
    }
    return made | other | _opcodes(str(canary).encode())


def _things(canary):
    python, mkdir = f"open({canary!r}, 'w').close()", Call(os.mkdir, canary)
    return {
        "os.system": Call(os.system, f"touch {canary}"),
        "subprocess": Call(subprocess.check_output, ["touch", canary]),
        "eval": Call(eval, python),
        "exec": Call(exec, python),
        "open": Call(open, canary, "w"),
        "partial": Call(functools.partial(eval, python)),
        "in a state": Call(list, parts=({"a": mkdir},)),
        "in a list": Call(list, parts=(None, iter([mkdir]))),
        "as a key": Call(dict, parts=(None, None, iter([(mkdir, 1)]))),
        "NEWOBJ": Opener().holding(canary),
        "NEWOBJ_EX": NamedOpener().holding(canary),
        "BUILD": Setter(canary),
        "object array": np.array([mkdir, 1], object),
        "object scalar": np.array(mkdir, object),
        "structured array": np.array([(1, mkdir)], [("a", int), ("b", object)]),
        "masked array": np.ma.masked_array([mkdir], [0], object),
    }


def _opcodes(path):
    """What Python's own writer does not use, or not so."""
    text = _text(path)
    call = b"cposix\nmkdir\n(" + text + b"tR"
    return {
        "INST": b"(" + text + b"iposix\nmkdir\n.",
        "OBJ": b"(cio\nFileIO\n" + text + b"X\x01\0\0\0wo.",
        "STACK_GLOBAL": b"\x80\x04\x8c\x05posix\x8c\x05mkdir\x93" + text + b"\x85R.",
        "FRAME": b"\x80\x04\x95" + struct.pack("<Q", len(call) + 1) + call + b".",
        "dropped": call + b"0N.",
        "kept in the memo": call + b"q\x000h\x00.",
        "behind a mark": b"(" + call + b"1N.",
        "before the content": call + b"0" + pickle.dumps({"annotations": []}, 2)[2:],
        "in a dtype": b"cnumpy\ndtype\n(" + call + b"tR.",
        "in an array's state": RECONSTRUCT + b"(I1\n(I1\nt" + call + b"I00\nC\x00tb.",
        "Python 2's names": b"c__builtin__\neval\n(S'open(\"" + path + b'", "w")\'\ntR.',
    }


REFUSED_PICKLES = {
    "PERSID": b"Pposix.system\n.",
    "BINPERSID": b"\x80\x02X\x03\0\0\0abcQ.",
    "EXT1": b"\x80\x02\x82\x01.",
    "EXT4": b"\x80\x02\x84\x01\x00\x00\x00.",
    "copyreg": b"ccopyreg\n_reconstructor\n(cbuiltins\nobject\ncbuiltins\nobject\nNtR.",
    "getattr": b"cbuiltins\ngetattr\n(cbuiltins\nstr\nX\x05\0\0\0uppertR.",
    "dotted name": b"\x80\x04\x8c\x05numpy\x8c\x0cndarray.dump\x93.",
    "numpy's own loader": b"cnumpy\nload\n(X\x0b\0\0\0/etc/passwdtR.",
}


def _text(text):
    return b"X" + struct.pack("<I", len(text)) + text


def _shared(data, call):
    """One large object, which is handed to a thousand calls; each would copy it."""
    return b"\x80\x02" + data + b"q\x000](" + call * 1000 + b"e."


def _laughs_as_key(levels=30):
    nested = b"".join(b"0(" + b"h%c" % (level - 1) * 9 + b"tq%c" % level for level in range(1, levels))
    return b"\x80\x02})q\x00" + nested + b"Ns."


MEGABYTE = b"B" + struct.pack("<I", 1 << 20) + bytes(1 << 20)
LONG_LIST = b"](" + b"".join(b"J" + struct.pack("<i", number) for number in range(10**5)) + b"e"
BOMBS = {
    "a string of 2**40 bytes": b"\x80\x04\x8e" + struct.pack("<Q", 1 << 40) + b".",
    "text of 2**40 bytes": b"\x80\x04\x8d" + struct.pack("<Q", 1 << 40) + b".",
    "an array of 2**33 bytes": b"\x80\x05\x96" + struct.pack("<Q", 1 << 33) + b".",
    "a frame of 2**60 bytes": b"\x80\x04\x95" + struct.pack("<Q", 1 << 60) + b"N.",
    "a number of 2**30 bytes": b"\x80\x02\x8b" + struct.pack("<i", 1 << 30) + b".",
    "a negative length": b"T" + struct.pack("<i", -1) + b".",
    "a memo of 2**31": b"\x80\x02]r\xff\xff\xff\x7f.",
    "a memo of 2**40": b"(lp1099511627776\n.",
    "sets": b"\x80\x04(" + b"\x8f" * 4_000_000 + b"t.",
    "lists": b"\x80\x02(" + b"]" * 4_000_000 + b"t.",
    "dicts": b"\x80\x02(" + b"}K\x01Ns" * 1_000_000 + b"t.",
    "an array of 2**40 numbers": b"cnumpy\nndarray\n((I1099511627776\ntVf8\nC\x00tR.",
    "an array of 2**33 empty texts": b"cnumpy\nndarray\n((I8589934592\ntV<U0\nC\x00tR.",
    "numpy's array of 2**33 numbers": RECONSTRUCT.replace(b"(I0\n", b"(I8589934592\n") + b".",
    "bytearray(2**33)": b"cbuiltins\nbytearray\n(I8589934592\ntR.",
    "one string for many arrays": _shared(MEGABYTE, b"cnumpy\nndarray\n(J\x00\x00\x10\x00\x85Vu1\nh\x00tR"),
    "one string copied": _shared(MEGABYTE, b"cbuiltins\nbytearray\n(h\x00tR"),
    "one text encoded": _shared(_text(b"a" * (1 << 20)), b"c_codecs\nencode\n(h\x00X\x06\0\0\0latin1tR"),
    "one list as many sets": _shared(LONG_LIST, b"cbuiltins\nset\n(h\x00tR"),
    "a billion laughs as a key": _laughs_as_key(),
    "a very deep key": b"\x80\x02}" + b")" + b"\x85" * 1_000_000 + b"Ns.",
}
"""Pickles that would take gigabytes, or end the process, in a plain reader."""


def laughs(levels=60):
    """A list that fills the memory when it is written out, and takes a kilobyte."""
    node = ["lol"]
    for _ in range(levels):
        node = [node] * 10
    return node


def deflated(members, compression=zipfile.ZIP_DEFLATED):
    """A zip archive; a member is bytes, or a number of zeros."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression, compresslevel=1) as archive:
        for name, content in members:
            with archive.open(name, "w", force_zip64=True) as member:
                if isinstance(content, int):
                    head = npy(np.zeros(0, "u1"), (content,))
                    member.write(head)
                    for _ in range(content >> 20):
                        member.write(bytes(1 << 20))
                else:
                    member.write(content)
    return stream.getvalue()


def npy(array, shape=None, version=1):
    """The bytes of an npy file, with a shape and a version of the format that may be wrong."""
    content = {
        "descr": np.lib.format.dtype_to_descr(array.dtype),
        "fortran_order": False,
        "shape": shape or array.shape,
    }
    stream = io.BytesIO()
    write = np.lib.format.write_array_header_1_0 if version == 1 else np.lib.format.write_array_header_2_0
    write(stream, content)
    return stream.getvalue() + (pickle.dumps(array) if array.dtype.hasobject else array.tobytes())


def archives():
    """Name -> a hostile npz."""
    lying = bytearray(deflated([("a.npy", 300 << 20)]))
    place = lying.rindex(b"PK\x01\x02")
    lying[place + 24 : place + 28] = (1000).to_bytes(4, "little")
    return {
        "a member of 300 MB": deflated([("score.npy", 300 << 20)]),
        "many members": deflated([(f"m{n}.npy", 30 << 20) for n in range(10)]),
        "a size that is a lie": bytes(lying),
        **small_archives(),
    }


def small_archives():
    """Those of them that take no time to make."""
    small = npy(np.zeros(3))
    return {
        "two of one name": deflated([("a.npy", small), ("a.npy", small)]),
        "a path": deflated([("../../a.npy", small)]),
        "a path in Windows": deflated([("..\\a.npy", small)]),
        "an absolute path": deflated([("/tmp/a.npy", small)]),
        "a folder": deflated([("a/", b"")]),
        "no array": deflated([("a.npy", b"hello")]),
        "no npy": deflated([("a", small)]),
        "another compression": deflated([("a.npy", small)], zipfile.ZIP_LZMA),
        "2**40 numbers": deflated([("a.npy", npy(np.zeros(3), (1 << 40,)))]),
        "2**33 empty texts": deflated([("a.npy", npy(np.zeros(0, "<U1"), (1 << 33,)).replace(b"<U1", b"<U0"))]),
        "a negative size": deflated([("a.npy", npy(np.zeros(3), (-1, -3)))]),
        "too few numbers": deflated([("a.npy", npy(np.zeros(3), (4,)))]),
        "too many numbers": deflated([("a.npy", npy(np.zeros(3), (2,)))]),
        "another version": deflated([("a.npy", npy(np.zeros(3), version=2))]),
        "a structure": deflated([("a.npy", npy(np.zeros(3, "i4,f4")))]),
        "dates": deflated([("a.npy", npy(np.zeros(3, "M8[s]")))]),
        "no letters": deflated([("a.npy", npy(np.full(3, 0x110000, "<u4").view("<U1")))]),
        "surrogates": deflated([("a.npy", npy(np.full(3, 0xD800, "<u4").view("<U1")))]),
        "a header of 64 KB": deflated([("a.npy", b"\x93NUMPY\x01\x00\xff\xff" + b"-" * 65535)]),
        "a deep header": deflated([("a.npy", b"\x93NUMPY\x01\x00\x00\x80" + b"(" * 32768)]),
    }
