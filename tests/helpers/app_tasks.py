"""Tasks for a worker's process; they must be importable there."""

import os
import time

from pyskl_semloss.errors import InputError


def make():
    """A function that counts its calls, so that a replaced process is seen."""
    calls = []

    def work(task, progress):
        calls.append(task)
        progress("working", 0.5)
        if task == "die":
            os.kill(os.getpid(), 9)
        if task == "wait":
            time.sleep(60)
        if task == "refuse":
            raise InputError("it is too short", file="/secret/folder/film.mp4", clip=3, field="fps", fix="Film longer.")
        if task == "break":
            raise KeyError("inner")
        return os.getpid(), len(calls)

    return work


def make_nothing():
    """Models that cannot be loaded."""
    raise InputError("there is no such file", file="/models/joint.pth")
