"""The allocator setting: in a process of its own, since it cannot be taken back."""

import os
import subprocess
import sys

import pytest

COUNT_FAULTS = """
import resource, numpy as np
from pyskl_semloss.cpu.allocator import keep_large_blocks
made = keep_large_blocks()
def use():
    np.ones(1 << 23)  # 64 MB, freed at once
use(), use()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    use()
print(made, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(**environment):
    done = subprocess.run(
        [sys.executable, "-c", COUNT_FAULTS], capture_output=True, text=True, env={**os.environ, **environment}
    )
    assert done.returncode == 0, done.stderr
    made, count = done.stdout.split()
    return made == "True", int(count)


@pytest.mark.skipif("glibc" not in (os.confstr("CS_GNU_LIBC_VERSION") or ""), reason="needs glibc")
def test_large_blocks_are_kept_and_the_switch_turns_it_off():
    made, kept = faults()
    assert made
    made, returned = faults(PYSKL_SEMLOSS_MALLOC="default")
    assert not made
    # Huge pages make one fault of 512.
    assert returned > 100 and kept < returned / 10
