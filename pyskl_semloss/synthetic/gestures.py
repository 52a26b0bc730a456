"""The 32 iMiGUE gestures as data: where the hands go and how hands, head, shoulders and trunk move.

Lengths are in shoulder widths, angles in degrees, frequencies in Hz. x points outward on the arm's own side, y down,
z to the camera; the origin is the neck joint. A place on the head moves with the head, and the places of the other arm
("other …") with that arm.
"""

from __future__ import annotations

from dataclasses import dataclass

Vector = tuple[float, float, float]
ZERO: Vector = (0.0, 0.0, 0.0)
REST_POLE: Vector = (0.35, 0.8, -0.7)
"""Direction in which a resting elbow points."""

HEAD_TARGETS: dict[str, Vector] = {
    "crown": (0.10, -1.02, 0.12),
    "forehead": (0.05, -0.84, 0.20),
    "temple": (0.24, -0.86, 0.02),
    "eye": (0.10, -0.66, 0.20),
    "nose": (0.00, -0.54, 0.28),
    "cheek": (0.18, -0.50, 0.18),
    "mouth": (0.00, -0.43, 0.24),
    "chin": (0.02, -0.31, 0.20),
    "ear": (0.23, -0.60, 0.02),
}
BODY_TARGETS: dict[str, Vector] = {
    "neck": (0.14, -0.12, 0.12),
    "collar": (0.02, 0.10, 0.16),
    "tie": (0.02, 0.52, 0.22),
    "chest": (-0.12, 0.36, 0.20),
    "front": (0.06, 0.80, 0.45),
    "clasp": (-0.05, 0.84, 0.45),
    "steeple": (0.02, 0.66, 0.45),
    "across": (-0.20, 0.78, 0.40),
    "desk": (0.07, 1.12, 0.45),
    "side": (0.62, 0.95, -0.10),
    "hip": (0.40, 1.18, 0.00),
    "nape": (0.16, 0.12, -0.30),
    "behind": (0.02, 1.05, -0.38),
    "crossed": (-0.46, 0.62, 0.22),
    "air": (0.42, 0.50, 0.45),
}
OTHER_ARM_TARGETS = ("other wrist", "other forearm", "other elbow", "other upper arm")


@dataclass(frozen=True)
class Arm:
    """What one hand does while the gesture lasts; its fingertips go to the targets.

    Attributes:
        targets: Visited one after the other, each for the same time.
        wave: Oscillation of the hand about the place, amplitude along each axis.
        turn: The same, a quarter of a period later: with ``wave`` it makes a circle.
        hz: Frequency of both.
        opposed: Oscillate against the other arm's hand.
        roam: Amplitude of an irregular movement about the place.
        hand: Direction from the wrist to the fingertips; None continues the forearm.
        pole: Direction in which the elbow points away from the line from shoulder to wrist.
        curl: 0 for straight fingers, 1 for a fist.
        wiggle: Amplitude of the fingers' own bending, each in its turn.
        spread: Factor on the angles between the fingers.
    """

    targets: tuple[str, ...]
    wave: Vector = ZERO
    turn: Vector = ZERO
    hz: float = 0.0
    opposed: bool = False
    roam: float = 0.0
    hand: Vector | None = None
    pole: Vector = (0.45, 1.0, 0.5)
    curl: float = 0.25
    wiggle: float = 0.0
    spread: float = 1.0


@dataclass(frozen=True)
class Trunk:
    """What head, shoulders and trunk do while the gesture lasts: a held offset, and an oscillation at ``hz``.

    Attributes:
        head: Pitch (positive looks up), yaw and roll of the head.
        head_wave: Their oscillation.
        sink: How far the head goes down between the shoulders, and forward.
        lift: How far the shoulders rise, and its oscillation.
        rock: Oscillation of the shoulders against each other (one up, one down).
        shift: Where the neck joint goes; the hands stay where they rest.
        shift_wave: Its oscillation.
        hz: Frequency.
    """

    head: Vector = ZERO
    head_wave: Vector = ZERO
    sink: tuple[float, float] = (0.0, 0.0)
    lift: tuple[float, float] = (0.0, 0.0)
    rock: float = 0.0
    shift: Vector = ZERO
    shift_wave: Vector = ZERO
    hz: float = 0.0


STILL = Trunk()


@dataclass(frozen=True)
class Gesture:
    """One class: its name, the acting arm, the other arm, and the rest of the body. None rests."""

    name: str
    arm: Arm | None = None
    other: Arm | None = None
    trunk: Trunk = STILL
    hidden_hands: bool = False


def _both(name: str, arm: Arm, trunk: Trunk = STILL, hidden_hands: bool = False) -> Gesture:
    return Gesture(name, arm, arm, trunk, hidden_hands)


_UP: Vector = (-0.15, -1.0, 0.0)
_ACROSS = Arm(("across",), curl=0.5, hand=(-1.0, 0.15, 0.2))

GESTURES: tuple[Gesture, ...] = (
    Gesture("turtle neck", trunk=Trunk(sink=(0.20, 0.18), lift=(0.13, 0.0), head=(8, 0, 0))),
    Gesture("deep breath", trunk=Trunk(lift=(0.08, 0.13), shift=(0, -0.05, 0), shift_wave=(0, -0.09, 0), hz=0.55)),
    Gesture("touch hat", Arm(("crown",), wave=(0, 0.09, 0), hz=1.6, curl=0.5, pole=(1.0, 0.4, -0.2))),
    Gesture("touch face", Arm(("cheek",), curl=0.15, hand=_UP)),
    Gesture("touch forehead", Arm(("forehead",), curl=0.2), trunk=Trunk(head=(-8, 0, 0))),
    _both("cover face", Arm(("forehead",), hand=(-0.25, -1.0, 0.1), curl=0.05), Trunk(head=(-14, 0, 0))),
    Gesture("rub eyes", Arm(("eye",), wave=(0.12, 0.02, 0), hz=2.6, curl=0.6), trunk=Trunk(head=(-8, 0, 0))),
    Gesture("touch other face part", Arm(("nose", "mouth"), wave=(0, 0.04, 0.05), hz=1.5, curl=0.4)),
    Gesture("touch ears", Arm(("ear",), wave=(0.0, 0.03, 0), hz=1.2, curl=0.5, pole=(1.0, 0.7, -0.2))),
    Gesture(
        "bite nails",
        Arm(("mouth",), wave=(0.01, 0.05, 0), hz=3.2, curl=0.85, wiggle=0.15),
        trunk=Trunk(head=(-12, 0, 0)),
    ),
    Gesture("touch chin", Arm(("chin",), wave=(0.02, 0.05, 0), hz=0.7, curl=0.55)),
    Gesture("touch neck", Arm(("neck",), curl=0.1, hand=(-0.6, -0.6, -0.2)), trunk=Trunk(head=(0, 0, 6))),
    Gesture(
        "play hair", Arm(("temple",), wave=(0.10, 0, 0), turn=(0, 0.10, 0), hz=1.3, wiggle=0.3, pole=(1.0, 0.6, -0.2))
    ),
    Gesture(
        "adjust tie",
        Arm(("collar", "tie", "collar"), wave=(0.06, 0, 0), hz=2.0, curl=0.6),
        Arm(("collar",), curl=0.7),
    ),
    Gesture("touch chest", Arm(("chest",), wave=(0, 0.02, 0.03), hz=1.5, curl=0.05, hand=(-1.0, -0.25, -0.1))),
    Gesture(
        "scratch back",
        Arm(("nape",), wave=(0, 0.11, 0), hz=2.4, curl=0.5, pole=(1.0, -0.3, 0.5), hand=(-0.35, 0.8, -0.5)),
        trunk=Trunk(head=(-8, 0, 8)),
    ),
    Gesture(
        "fold arm",
        Arm(("crossed",), hand=(-1.0, 0.0, -0.2), curl=0.3, pole=(0.7, 1, 0)),
        Arm(("crossed",), hand=(-1.0, 0.15, -0.2), curl=0.3, pole=(0.7, 1, 0)),
    ),
    Gesture(
        "tidy sleeve", Arm(("other wrist", "other elbow", "other wrist"), curl=0.7), _ACROSS, Trunk(head=(-14, 0, 0))
    ),
    _both(
        "put arm back",
        Arm(("behind",), hand=(-0.8, 0.5, -0.2), pole=(1.0, 0.4, -0.6)),
        Trunk(shift=(0, -0.04, 0.04)),
        True,
    ),
    Gesture("move torso", trunk=Trunk(shift_wave=(0.26, 0.0, 0.0), head_wave=(0, 0, 6), hz=0.6)),
    Gesture("sit straight", trunk=Trunk(shift=(0, -0.27, -0.1), head=(6, 0, 0), lift=(-0.03, 0))),
    Gesture("scratch arm", Arm(("other forearm",), wave=(0.10, 0.06, 0), hz=2.6, curl=0.6), _ACROSS),
    Gesture(
        "rub hand",
        Arm(("front",), wave=(0.03, 0.12, 0.03), hz=2.0, hand=(-0.5, -0.7, 0.3), curl=0.1),
        Arm(("front",), wave=(0.03, 0.12, 0.03), hz=2.0, hand=(-0.5, -0.7, 0.3), curl=0.1, opposed=True),
    ),
    _both("cross finger", Arm(("clasp",), hand=(-0.9, -0.2, 0.3), curl=0.8, spread=0.6)),
    _both("minaret hand", Arm(("steeple",), hand=(-0.35, -1.0, 0.1), curl=0.0, spread=1.3), Trunk(head=(3, 0, 0))),
    Gesture(
        "play things",
        Arm(("desk",), roam=0.09, wiggle=0.4, curl=0.4),
        Arm(("desk",), roam=0.05, wiggle=0.3, curl=0.5),
        Trunk(head=(-18, 0, 0)),
    ),
    _both("withdraw arms", Arm(("side",), hand=(0.0, 0.7, 0.4), pole=(0.25, 0.2, -1.0)), Trunk(shift=(0, 0.0, -0.1))),
    Gesture("head up", trunk=Trunk(head=(40, 0, 0))),
    Gesture("bit lip", trunk=Trunk(head=(-16, 0, 0), head_wave=(5, 0, 5), hz=1.5)),
    _both("arm akimbo", Arm(("hip",), hand=(-0.8, 0.5, 0.2), pole=(1.0, 0.1, -0.3))),
    Gesture("shake shoulder", trunk=Trunk(lift=(0.04, 0.0), rock=0.18, hz=2.0)),
    Gesture(
        "illustrative",
        Arm(("air",), roam=0.32, hand=(-0.1, -0.9, 0.3), wiggle=0.15, curl=0.1, pole=REST_POLE),
        Arm(("air",), roam=0.26, hand=(-0.1, -0.9, 0.3), wiggle=0.15, curl=0.1, pole=REST_POLE),
        Trunk(head_wave=(4, 4, 0), hz=0.8),
    ),
)
