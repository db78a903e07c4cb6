"""Datagrams as face trackers send them, written from the descriptions of their protocols."""

from __future__ import annotations

import json
import random
import struct
from collections.abc import Iterable, Mapping, Sequence

_ARKIT = (
    "eyeBlinkLeft eyeLookDownLeft eyeLookInLeft eyeLookOutLeft eyeLookUpLeft eyeSquintLeft eyeWideLeft eyeBlinkRight "
    "eyeLookDownRight eyeLookInRight eyeLookOutRight eyeLookUpRight eyeSquintRight eyeWideRight jawForward jawRight "
    "jawLeft jawOpen mouthClose mouthFunnel mouthPucker mouthRight mouthLeft mouthSmileLeft mouthSmileRight "
    "mouthFrownLeft mouthFrownRight mouthDimpleLeft mouthDimpleRight mouthStretchLeft mouthStretchRight mouthRollLower "
    "mouthRollUpper mouthShrugLower mouthShrugUpper mouthPressLeft mouthPressRight mouthLowerDownLeft "
    "mouthLowerDownRight mouthUpperUpLeft mouthUpperUpRight browDownLeft browDownRight browInnerUp browOuterUpLeft "
    "browOuterUpRight cheekPuff cheekSquintLeft cheekSquintRight noseSneerLeft noseSneerRight tongueOut"
)
ARKIT = _ARKIT.split(" ")
"""In the order of Live Link Face, as the app's CSV has them."""

Angles = tuple[float, float, float]
SHAPES = {"jawOpen": 0.4, "eyeBlinkLeft": 0.9, "mouthSmileRight": 0.25}
ANGLES = (10.0, -20.0, 5.0)


def capital(name: str) -> str:
    return name[0].upper() + name[1:]


def short(name: str) -> str:
    return {"Left": name[:-4] + "_L"}.get(name[-4:]) or {"Right": name[:-5] + "_R"}.get(name[-5:]) or name


def ifacialmocap(
    shapes: Mapping[str, float] = SHAPES, angles: Angles = ANGLES, sign: str = "-", full_names: bool = False
) -> bytes:
    """Version 1; with `sign` & version 2; with `full_names` Facemotion3D."""
    named = {name: round(100 * shapes.get(name, 0)) for name in ARKIT}
    parts = [f"{name if full_names else short(name)}{sign}{value}" for name, value in named.items()]
    parts += [f"FM_SAD{sign}3"] if full_names else []
    head = ",".join(str(number) for number in (*angles, 0.1, 0.2, 0.3))
    return "|".join([*parts, f"=head#{head}", "rightEye#1,2,3", "leftEye#1,2,3", ""]).encode()


def facemotion3d(shapes: Mapping[str, float] = SHAPES, angles: Angles = ANGLES) -> bytes:
    return ifacialmocap(shapes, angles, "&", full_names=True)


def vtube_studio(shapes: Mapping[str, float] = SHAPES, angles: Angles = ANGLES, found: bool = True) -> bytes:
    x, y, z = angles
    zero = {"x": 0.0, "y": 0.0, "z": 0.0}
    content = {
        "Timestamp": 1700000000000,
        "Hotkey": -1,
        "FaceFound": found,
        "Rotation": {"x": -y, "y": x, "z": -z},
        "Position": zero,
        "EyeLeft": zero,
        "EyeRight": zero,
        "BlendShapes": [{"k": capital(name), "v": shapes.get(name, 0.0)} for name in ARKIT],
    }
    return json.dumps(content).encode()


def live_link(
    shapes: Mapping[str, float] = SHAPES, angles: Angles = ANGLES, found: bool = True, name: str = "iPhone"
) -> bytes:
    subject = name.encode()
    start = struct.pack("<i", 6) + b"$" + b"7a0c1b2d-0000-4000-8000-123456789abc"
    start += struct.pack(">i", len(subject)) + subject + struct.pack(">ifii", 12, 0.5, 60, 1)
    if not found:
        return start
    x, y, z = (angle * 3.141592653589793 / 180 for angle in angles)
    values = [shapes.get(each, 0.0) for each in ARKIT]
    return start + struct.pack(">B61f", 61, *values, y, x, z, *[0.0] * 6)


def openseeface_face(
    face_id: int = 0,
    right_open: float = 1.0,
    left_open: float = 1.0,
    euler: Angles = (180.0, 0.0, 90.0),
    success: bool = True,
    features: Sequence[float] = (0.0,) * 14,
    gaze: Angles = (0.0, 0.0, 1.0),
) -> bytes:
    """`gaze` is the way from eyeball to pupil: to the person's left, up, ahead."""
    left, up, ahead = gaze
    points = [0.0, 0.0, 0.0] * 66 + [-left, -up, -ahead] * 2 + [0.0, 0.0, 0.0] * 2
    start = struct.pack("<di2f2fBf", 1.0, face_id, 640, 480, right_open, left_open, success, 0.1)
    return start + struct.pack("<4f3f3f68f136f210f14f", *[0.5] * 4, *euler, *[0] * 3, *[1] * 68, *[100] * 136, *points,
                               *features)  # fmt: skip


def openseeface(*faces: bytes) -> bytes:
    return b"".join(faces or (openseeface_face(),))


def osc(address: str, *arguments: str | float | bool) -> bytes:
    kinds, body = ",", b""
    for argument in arguments:
        if isinstance(argument, bool):
            kinds += "T" if argument else "F"
        elif isinstance(argument, str):
            kinds, body = kinds + "s", body + _padded(argument)
        elif isinstance(argument, int):
            kinds, body = kinds + "i", body + struct.pack(">i", argument)
        else:
            kinds, body = kinds + "f", body + struct.pack(">f", argument)
    return _padded(address) + _padded(kinds) + body


def bundle(*elements: bytes) -> bytes:
    return b"#bundle\0" + bytes(7) + b"\1" + b"".join(struct.pack(">i", len(one)) + one for one in elements)


def vmc_values(values: Mapping[str, float]) -> list[bytes]:
    """Blend values with the message that applies them."""
    return [*(osc("/VMC/Ext/Blend/Val", name, float(value)) for name, value in values.items()),
            osc("/VMC/Ext/Blend/Apply")]  # fmt: skip


def vmc_bone(name: str, x: float = 0.0, y: float = 0.0, z: float = 0.0, w: float = 1.0) -> bytes:
    return osc("/VMC/Ext/Bone/Pos", name, 0.0, 1.2, 0.0, x, y, z, w)


def vmc(values: Mapping[str, float] = SHAPES) -> bytes:
    return bundle(osc("/VMC/Ext/OK", 1), osc("/VMC/Ext/T", 1.5), vmc_bone("Head"), bundle(*vmc_values(values)))


def _padded(text: str) -> bytes:
    encoded = text.encode() + b"\0"
    return encoded + bytes(-len(encoded) % 4)


EXAMPLES = {
    "ifacialmocap": ifacialmocap(),
    "facemotion3d": facemotion3d(),
    "vtube_studio": vtube_studio(),
    "live_link": live_link(),
    "openseeface": openseeface(openseeface_face(0), openseeface_face(1)),
    "vmc": vmc(),
}
"""One datagram of each protocol."""


def mutated(data: bytes, seed: int, count: int = 1000) -> Iterable[bytes]:
    """The datagram with bytes changed, cut out, doubled, put in, and cut short."""
    draw = random.Random(seed)
    for _ in range(count):
        changed = bytearray(data)
        for _ in range(draw.randint(1, 8)):
            at, length = draw.randrange(len(changed) + 1), draw.randint(1, 40)
            new = draw.choice((draw.randbytes(length), b"\xff" * length, b"\0" * length, b"", bytes(changed[at:])))
            end = at if draw.random() < 0.2 else at + draw.choice((1, length))
            changed[at:end] = new[:4000]
        yield bytes(changed[: draw.randrange(len(changed) + 1)] if draw.random() < 0.3 else changed)[:65_000]
