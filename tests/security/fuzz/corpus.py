"""The archive of files that fuzzing kept: ``corpus/TARGET/NAME`` and ``findings/TARGET/NAME``."""

from __future__ import annotations

import zipfile
from pathlib import Path

ARCHIVE = Path(__file__).resolve().parent / "corpus.zip"


def read_archive(archive: Path = ARCHIVE) -> dict[str, bytes]:
    """Content of every file, by its name in the archive, sorted."""
    with zipfile.ZipFile(archive) as stream:
        return {name: stream.read(name) for name in sorted(stream.namelist())}


def write_archive(files: dict[str, bytes], archive: Path = ARCHIVE) -> None:
    """Replace the archive; the same files give the same bytes."""
    new = archive.with_suffix(".new")
    with zipfile.ZipFile(new, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as stream:
        for name in sorted(files):
            stream.writestr(zipfile.ZipInfo(name), files[name], zipfile.ZIP_DEFLATED)
    new.replace(archive)


def extract(kind: str, target: str, folder: Path) -> Path:
    """Write the files of a target below a folder; the folder that holds them."""
    files = folder / kind / target
    files.mkdir(parents=True, exist_ok=True)
    for name, data in read_archive().items():
        if name.startswith(f"{kind}/{target}/"):
            (files / name.rpartition("/")[2]).write_bytes(data)
    return files
