"""A parametric upper body that acts out a gesture: positions of 22 joints in space, frame by frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pyskl_semloss.synthetic.gestures import (
    BODY_TARGETS,
    HEAD_TARGETS,
    OTHER_ARM_TARGETS,
    REST_POLE,
    Arm,
    Gesture,
    Trunk,
)

FPS = 25.0
FINGER_ANGLES = np.deg2rad([-48.0, -16.0, -4.0, 8.0, 20.0])
FINGER_LENGTHS = np.array([0.72, 0.96, 1.0, 0.95, 0.82])
MIRRORED = np.array([0, 1, 5, 6, 7, 2, 3, 4, 9, 8, 11, 10, 17, 18, 19, 20, 21, 12, 13, 14, 15, 16])
_HEAD_PIVOT = np.array([0.0, -0.22, 0.0])
_ELBOW_GUESS = np.array([0.70, 0.80, 0.10])


@dataclass(frozen=True)
class Subject:
    """The build and habits of one person; lengths in shoulder widths."""

    upper_arm: float
    forearm: float
    hand: float
    head: float
    neck: float
    tempo: float
    restless: float
    right_share: float
    rest: np.ndarray
    yaw: float
    scale: float
    seat: np.ndarray


def draw_subject(rng: np.random.Generator) -> Subject:
    """A person at random: proportions, tempo, handedness, resting place of the hands, distance and seat."""
    return Subject(
        upper_arm=rng.uniform(0.72, 0.86),
        forearm=rng.uniform(0.64, 0.76),
        hand=rng.uniform(0.38, 0.46),
        head=rng.uniform(0.90, 1.10),
        neck=rng.uniform(-0.05, 0.06),
        tempo=rng.uniform(0.8, 1.3),
        restless=rng.uniform(0.6, 1.5),
        right_share=rng.choice([0.2, 0.8], p=[0.25, 0.75]),
        rest=np.array([rng.uniform(0.05, 0.5), rng.uniform(1.0, 1.35), rng.uniform(0.2, 0.5)]),
        yaw=rng.uniform(-28, 28),
        scale=rng.uniform(190, 300),
        seat=rng.uniform(0, 1, 2),
    )


def drift(rng: np.random.Generator, seconds: np.ndarray, axes: int, hz: float) -> np.ndarray:
    """Smooth irregular movement of about unit size, shape (T, axes): three sines of random phase and frequency."""
    rate = rng.uniform(0.3, 1.0, (3, axes)) * hz * 2 * np.pi
    phase = rng.uniform(0, 2 * np.pi, (3, axes))
    return np.asarray(np.sin(seconds[:, None, None] * rate + phase).sum(1) * 0.7)


def smooth(steps: np.ndarray) -> np.ndarray:
    """The minimum-jerk ramp from 0 to 1 (Flash and Hogan, 1985), constant outside."""
    x = steps.clip(0, 1)
    return np.asarray(x**3 * (10 - 15 * x + 6 * x * x))


def _unit(vectors: np.ndarray) -> np.ndarray:
    return np.asarray(vectors / np.sqrt((vectors * vectors).sum(-1, keepdims=True)).clip(1e-6))


class Actor:
    """One clip being acted: the subject, the clock and the random choices that its parts share.

    Args:
        subject: Who acts.
        frames: Number of frames T.
        rng: Source of all variation within the clip.
    """

    def __init__(self, subject: Subject, frames: int, rng: np.random.Generator) -> None:
        self.subject, self.rng = subject, rng
        self.seconds = np.arange(frames) / FPS
        self.tempo = subject.tempo * rng.uniform(0.85, 1.15)
        length = self.seconds[-1]
        share = rng.uniform(0.40, 0.90)
        self.start = rng.uniform(0.02, 0.98 - share) * length
        self.stop = self.start + share * length
        ramp = min(rng.uniform(0.45, 0.75) / self.tempo, 0.4 * (self.stop - self.start))
        self.envelope = smooth((self.seconds - self.start) / ramp) * smooth((self.stop - self.seconds) / ramp)
        self.size = rng.uniform(0.8, 1.25)
        self.phase = rng.uniform(0, 2 * np.pi)
        self.aim = rng.normal(0, 0.035, 3)

    def act(self, gesture: Gesture) -> np.ndarray:
        """Act out a gesture with the arm of positive x.

        Returns:
            (T, 22, 3) positions in shoulder widths about the resting neck joint; x to the right in the image, y down,
            z to the camera. Order of joints as in iMiGUE's 22-joint layout.
        """
        joints = np.zeros((len(self.seconds), 22, 3))
        neck, head_turn, sink, lift = self._trunk(gesture.trunk)
        joints[:, 1] = neck
        joints[:, [0, 8, 9, 10, 11]] = self._head(
            np.array([[0, -0.54, 0.26], [-0.09, -0.64, 0.2], [0.09, -0.64, 0.2], [-0.21, -0.6, 0], [0.21, -0.6, 0]]),
            neck, head_turn, sink,
        )  # fmt: skip
        for side, first in ((-1, 2), (1, 5)):
            joints[:, first] = neck + [0.5 * side, 0.06, -0.02]
            joints[:, first, 1] -= lift[:, (side + 1) // 2]
        arms = ((-1, 2, gesture.other), (1, 5, gesture.arm))
        for side, first, arm in arms:
            places = self._places(arm, side, joints, neck, head_turn, sink)
            wrist, elbow, fingers = self._arm(arm, side, joints[:, first], places)
            joints[:, first + 1], joints[:, first + 2] = elbow, wrist
            fingers_at = 12 if side < 0 else 17
            joints[:, fingers_at : fingers_at + 5] = fingers
        return joints

    def _oscillation(self, hz: float, offset: float = 0.0) -> np.ndarray:
        return np.asarray(np.sin(2 * np.pi * hz * self.tempo * self.seconds + self.phase + offset) * self.envelope)

    def _trunk(self, trunk: Trunk) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Neck joint (T, 3), head angles (T, 3) in radians, sink of the head (T, 3), lift of the shoulders (T, 2)."""
        rng, idle = self.rng, self.subject.restless
        held, wave = self.envelope[:, None] * self.size, self._oscillation(trunk.hz)[:, None] * self.size
        sign = rng.choice([-1, 1])  # a trunk goes to either side whichever arm acts
        neck = drift(rng, self.seconds, 3, 0.4) * 0.018 * idle + rng.normal(0, [0.05, 0.05, 0.04])
        neck += held * trunk.shift + wave * trunk.shift_wave * np.array([sign, 1, 1])
        angles = drift(rng, self.seconds, 3, 0.5) * [2.0, 4.0, 2.0] * idle + rng.normal(0, 1, 3) * [3, 9, 3]
        if rng.random() < 0.4:
            turn = smooth((self.seconds - rng.uniform(0, self.seconds[-1])) / rng.uniform(0.4, 1.0))
            angles[:, 1] += turn * rng.uniform(-25, 25)
        angles += held * trunk.head + wave * trunk.head_wave
        sink = held * np.array([0, trunk.sink[0], trunk.sink[1]])
        lift = held * trunk.lift[0] + wave * trunk.lift[1] + wave * trunk.rock * np.array([-1, 1])
        return neck, np.deg2rad(angles), sink, lift + drift(rng, self.seconds, 2, 0.3) * 0.006 * idle

    def _head(self, points: np.ndarray, neck: np.ndarray, angles: np.ndarray, sink: np.ndarray) -> np.ndarray:
        """Points of the head (K, 3) turned by pitch, yaw and roll and carried along: (T, K, 3)."""
        x, y, z = ((points - _HEAD_PIVOT) * self.subject.head)[None].transpose(2, 0, 1)
        (sp, sy, sr), (cp, cy, cr) = np.sin(angles.T)[..., None], np.cos(angles.T)[..., None]
        y, z = y * cp - z * sp, y * sp + z * cp
        x, z = x * cy + z * sy, z * cy - x * sy
        x, y = x * cr - y * sr, x * sr + y * cr
        pivot = _HEAD_PIVOT - [0, self.subject.neck, 0]
        return np.stack([x, y, z], -1) + (pivot + neck + sink)[:, None]

    def _places(
        self, arm: Arm | None, side: int, joints: np.ndarray, neck: np.ndarray, head_turn: np.ndarray, sink: np.ndarray
    ) -> list[np.ndarray]:
        """Where the places of an arm are in every frame, each (T, 3)."""
        along = {"other wrist": 0.0, "other forearm": 0.45, "other elbow": 0.85, "other upper arm": 1.4}
        found = []
        for name in arm.targets if arm else ():
            if name in HEAD_TARGETS:
                found.append(self._head(np.array([HEAD_TARGETS[name]]) * [side, 1, 1], neck, head_turn, sink)[:, 0])
            elif name in OTHER_ARM_TARGETS:
                shoulder, elbow, wrist = (joints[:, index] for index in (2, 3, 4))
                share = along[name]
                lower = wrist + min(share, 1.0) * (elbow - wrist)
                found.append(lower + max(share - 1.0, 0.0) * (shoulder - elbow) + [0, 0, 0.1])
            else:
                found.append(neck + np.array(BODY_TARGETS[name]) * [side, 1, 1])
        # Both hands miss a place together, or hands that hold each other would part.
        offset = self.aim + self.rng.normal(0, 0.012, 3)
        return [place + offset for place in found]

    def _path(self, arm: Arm | None, side: int, places: list[np.ndarray]) -> np.ndarray:
        """The fingertips (T, 3): from the rest to the places, one after the other, and back to the rest."""
        rng, idle = self.rng, self.subject.restless
        rest = (self.subject.rest + rng.normal(0, [0.14, 0.09, 0.06])) * [side, 1, 1]
        path = rest + drift(rng, self.seconds, 3, 0.4) * 0.015 * idle
        if rng.random() < 0.4:
            move = smooth((self.seconds - rng.uniform(0, self.seconds[-1])) / rng.uniform(0.4, 0.8))
            path += move[:, None] * rng.normal(0, [0.18, 0.12, 0.06])
        if arm is None:
            return path
        target = places[0]
        for number, place in enumerate(places[1:], 1):
            switch = self.start + (self.stop - self.start) * number / len(places)
            target = target + smooth((self.seconds - switch) * 3 * self.tempo + 0.5)[:, None] * (place - target)
        opposed = np.pi if arm.opposed else 0.0
        mirror = np.array([side, 1, 1])
        motion = self._oscillation(arm.hz, opposed)[:, None] * arm.wave * mirror
        motion += self._oscillation(arm.hz, opposed + np.pi / 2)[:, None] * arm.turn * mirror
        motion += drift(rng, self.seconds, 3, 1.6 * self.tempo) * arm.roam * [0.8, 0.8, 0.4] * self.envelope[:, None]
        reach = self.envelope[:, None]
        # On a straight way the wrist would pass through the shoulder; hands go round it, to the front or the side.
        way = np.sqrt(((target - path) ** 2).sum(-1, keepdims=True))
        low_behind = (target[:, 2:] < 0) & (target[:, 1:2] > 0.5)
        arc = np.where(low_behind, [0.35 * side, 0, 0], [0.10 * side, 0, 0.28])
        return path + reach * (target - path) + 4 * reach * (1 - reach) * way * arc + motion * self.size

    def _arm(
        self, arm: Arm | None, side: int, shoulder: np.ndarray, places: list[np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Wrist (T, 3), elbow (T, 3) and fingertips (T, 5, 3) of the arm on a side."""
        tip, reach, mirror = self._path(arm, side, places), self.envelope[:, None], np.array([side, 1, 1])
        shape = arm or Arm((), pole=REST_POLE)
        forward = _unit(tip - _ELBOW_GUESS * mirror)
        if shape.hand is not None:
            forward = _unit(forward + reach * (_unit(np.array(shape.hand) * mirror) - forward))
        pole = np.array(REST_POLE) + reach * (np.array(shape.pole) - REST_POLE)
        wrist = tip - forward * self.subject.hand * (0.9 - 0.4 * shape.curl)
        wrist, elbow = bend(shoulder, wrist, self.subject.upper_arm, self.subject.forearm, pole * mirror)
        across = _unit(np.cross(forward, np.array([0.3 * side, 0.2, 1.0]))) * side
        curl = 0.3 + reach * (shape.curl - 0.3) + drift(self.rng, self.seconds, 5, 0.5) * 0.04
        if shape.wiggle:
            turns = np.arange(5) * 1.3 + self.phase + 2 * np.pi * 1.8 * self.tempo * self.seconds[:, None]
            curl = curl + reach * shape.wiggle * np.sin(turns)
        length = (self.subject.hand * FINGER_LENGTHS * (1 - 0.6 * curl.clip(0, 1)))[..., None]
        angle = (FINGER_ANGLES * (1 + reach * (shape.spread - 1)))[..., None]
        fingers = wrist[:, None] + length * (np.cos(angle) * forward[:, None] + np.sin(angle) * across[:, None])
        return wrist, elbow, fingers


def bend(
    shoulder: np.ndarray, wrist: np.ndarray, upper: float, lower: float, pole: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Two-link inverse kinematics by the law of cosines.

    Args:
        shoulder: (T, 3) root of the arm.
        wrist: (T, 3) where the wrist should be; brought into reach where it is too far or too near.
        upper: Length of the upper arm.
        lower: Length of the forearm.
        pole: (T, 3) direction to which the elbow points.

    Returns:
        Wrist and elbow, each (T, 3); their distances are the lengths of the links.
    """
    line = wrist - shoulder
    direction = _unit(line)
    reach = np.sqrt((line * line).sum(-1, keepdims=True)).clip(abs(upper - lower) + 0.05, 0.995 * (upper + lower))
    along = (reach**2 + upper**2 - lower**2) / (2 * reach)
    beside = np.sqrt((upper**2 - along**2).clip(0))
    sideways = _unit(pole - (pole * direction).sum(-1, keepdims=True) * direction)
    return shoulder + reach * direction, shoulder + along * direction + beside * sideways
