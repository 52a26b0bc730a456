"""A disk of a few megabytes that a test may fill: a tmpfs, which needs the right to mount."""

import os
import shutil
import subprocess
from pathlib import Path

PAGE = os.sysconf("SC_PAGE_SIZE")


class Disk:
    """A mounted tmpfs.

    Args:
        folder: Where to mount it.
        size: Its size in bytes.
        files: How many files it takes.
    """

    def __init__(self, folder, size=24 << 20, files=1000):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        options = f"size={size},nr_inodes={files},mode=777"
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "tmpfs", self.folder], capture_output=True, text=True
        )
        if done.returncode:
            raise PermissionError(done.stderr.strip())

    def read_only(self):
        subprocess.run(["mount", "-o", "remount,ro", self.folder], check=True)

    def unmount(self):
        subprocess.run(["umount", "-l", self.folder], check=True)

    def fill(self, leave=0):
        """Fill it up to whole pages of ``leave`` bytes."""
        self.drain()
        place = os.statvfs(self.folder)
        filler = os.open(self.folder / "filler", os.O_WRONLY | os.O_CREAT)
        os.posix_fallocate(filler, 0, max(PAGE, place.f_bavail * place.f_frsize - leave // PAGE * PAGE))
        os.close(filler)

    def drain(self):
        (self.folder / "filler").unlink(missing_ok=True)

    def content(self):
        """Every file by its path, but for the filler."""
        files = (path for path in sorted(self.folder.rglob("*")) if path.name != "filler")
        return {str(path.relative_to(self.folder)): path.read_bytes() if path.is_file() else None for path in files}

    def clear(self):
        for path in self.folder.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
