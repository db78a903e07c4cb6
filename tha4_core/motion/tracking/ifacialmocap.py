"""iFacialMocap: packets as the app sends them, and text logs of them.

A packet is text, in version 2 `name&value|…|=head#rx,ry,rz,px,py,pz|rightEye#…|leftEye#…|` and in version 1
`name-value` instead. Values are 0..100, angles degrees, `_L` and `_R` are Left and Right. A log has one packet a line,
each with or without its time and a space, tab or comma before it; or it is what came over TCP, where `___iFacialMocap`
ends a packet.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from math import radians

from ...errors import MotionError
from .. import cancellation, reading
from .face import TrackedFace
from .frame_list import FrameList

ASSUMED_FPS = 60.0
"""The rate of a log without times: what the app sends at."""
END = "___iFacialMocap"
"""What ends a packet over TCP."""

_SHAPE = re.compile(r"([A-Za-z]\w*?(?:_[LR])?)[&-](-?[0-9]+(?:\.[0-9]+)?)")
_TIME = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)[\s,;]+(?=[A-Za-z=])")

Angles = tuple[float, float, float]


def parse(text: str, name: str, fps: float = ASSUMED_FPS) -> TrackedFace:
    """The tracked face in a log. Packets that are cut or spoilt are left out and counted in its notes.

    Raises MotionError, naming the file `name`, where no packet can be read.
    """
    frames = FrameList(name, "packet")
    for number, packet in _packets(text):
        cancellation.check()
        time = _TIME.match(packet)
        try:
            shapes, head = parse_packet(packet[time.end() :] if time else packet, f"{name}, line {number}")
        except MotionError as error:
            frames.leave_out(str(error))
        else:
            frames.add(float(time.group(1)) if time else None, shapes, head)
    frames.leave_out_headless()
    return frames.face(fps, units=None)


def _packets(text: str) -> Iterator[tuple[int, str]]:
    """The packets of a log, each with the number of its line."""
    for number, line in enumerate(text.splitlines(), start=1):
        for packet in line.split(END):
            if packet.strip():
                yield number, packet


def parse_packet(packet: str, where: str = "The packet") -> tuple[dict[str, float], Angles | None]:
    """The blend shapes (0..1, ARKit names) and the head's angles (radians; None: it has none) of one packet.

    Raises MotionError, naming `where`, for what is not one.
    """
    shapes: dict[str, float] = {}
    head: Angles | None = None
    for part in packet.strip().split("|"):
        title, hash_sign, rest = part.partition("#")
        if hash_sign:
            if title.lstrip("=") == "head":
                head = _head(rest, where)
        elif match := _SHAPE.fullmatch(part.strip()):
            shapes[_long_name(match.group(1))] = min(max(float(match.group(2)) / 100, 0.0), 1.0)
        elif part.strip() and part.strip() != "=":
            raise MotionError(f"{where}: {reading.shorten(part)} is not a blend shape with its value.")
    if not shapes:
        raise MotionError(f"{where}: an iFacialMocap packet has blend shapes; this is {reading.shorten(packet)}.")
    return shapes, head


def _head(text: str, where: str) -> Angles:
    numbers = [reading.parse_number(part, f"{where}: head") for part in text.split(",")]
    if len(numbers) < 3:
        raise MotionError(f"{where}: head needs three angles, not {reading.shorten(text)}.")
    return radians(numbers[0]), radians(numbers[1]), radians(numbers[2])


def _long_name(name: str) -> str:
    return {"_L": name[:-2] + "Left", "_R": name[:-2] + "Right"}.get(name[-2:], name)
