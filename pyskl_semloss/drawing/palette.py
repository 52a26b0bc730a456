"""Colours of every picture and page: left blue, right orange.

The sides can be told apart with every kind of colour vision and in grey, and stand out from their ground.
"""

from __future__ import annotations

from typing import NamedTuple


class SideColours(NamedTuple):
    """Colours of the sides of a body.

    They are in the order of the numbers in :mod:`.stick_figure`.
    """

    central: str
    left: str
    right: str

    def css(self) -> str:
        """Declarations of the variables ``--central``, ``--left`` and ``--right``."""
        return " ".join(f"--{side}: {colour};" for side, colour in self._asdict().items())


ON_LIGHT = SideColours("#6b6b6b", "#1f5fb4", "#d9730d")
"""On white, and in videos, where a white edge goes around."""
ON_DARK = SideColours("#a3a3a3", "#5b9df5", "#f9a04f")
WRONG, TEXT, FAINT = "#c81e1e", "#333333", "#555555"
# Okabe and Ito's; each picture gives its lines markers or names besides.
SERIES = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00")


def rgb(colour: str) -> tuple[int, int, int]:
    """Red, green and blue, 0 to 255, of ``#rrggbb``."""
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)
