"""Checks of what pages and programs send. What passes is written anew, so that nothing unknown is relayed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import numpy as np

from ....tha4_core import pose
from ....tha4_core.errors import MotionError, THA4Error
from ....tha4_core.motion import expressions, reading
from ....tha4_core.motion.tracking.packets import face
from ..request import Refused, flag, number, text

MOST_SECONDS = 3600.0
MOST_TEXT = 2000
NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_MOST_SHAPES = 100
_MOST_TRACK = 20_000  # frames
_AUDIO = re.compile(r"/tha4/live/[A-Za-z0-9_-]{1,64}/audio/[A-Za-z0-9_-]{1,64}")

Message = dict[str, Any]


def check(content: Mapping[str, Any]) -> Message:
    """A message of a type that is relayed as it comes. Raises Refused, which says what is wrong with it."""
    kind = content.get("type")
    checks = {"face": _face, "pose": pose_message, "expression": expression_message, "say": _say}
    if not isinstance(kind, str) or kind not in checks:
        raise Refused(HTTPStatus.BAD_REQUEST, f"type must be one of {', '.join(checks)}.")
    try:
        return checks[kind](content)
    except THA4Error as error:
        raise Refused(HTTPStatus.BAD_REQUEST, str(error)) from error


def pose_message(content: Mapping[str, Any]) -> Message:
    """Parameters to hold, by their full names, and for how long. Raises Refused or THA4Error."""
    values = _object(content, "pose", len(pose.NAMES) * 2)
    held = {
        pose.NAMES[index]: expressions.check_value(name, value, "pose")
        for name, value in values.items()
        for index in pose.indices(name)
    }
    return {"type": "pose", "pose": held, "seconds": _seconds(content)}


def expression_message(content: Mapping[str, Any]) -> Message:
    """An expression by the name that the library has for it, or none. Raises Refused or THA4Error."""
    name = content.get("name")
    if name is not None and not isinstance(name, str):
        raise Refused(HTTPStatus.BAD_REQUEST, "name must be the name of an expression, or null.")
    found = expressions.find(name[:MOST_TEXT]).name if name else None
    strength = number({"strength": content.get("strength", 1)}, "strength", 0, 1)
    return {"type": "expression", "name": found, "seconds": _seconds(content), "strength": strength}


def caption(content: Mapping[str, Any]) -> Message:
    """The text that is spoken, for pages to show, where the content has one."""
    return {"text": text(content, "text", None, MOST_TEXT)} if content.get("text") else {}


def _face(content: Mapping[str, Any]) -> Message:
    source = text(content, "source", "page", 64)
    if not flag({"found": content.get("found", True)}, "found"):
        return face.message(face.LOST, source)
    shapes = _numbers(_object(content, "shapes", _MOST_SHAPES), "shapes")
    given = _numbers(_object(content, "pose", len(pose.NAMES) * 2), "pose")
    values = {
        pose.NAMES[index]: face.clamp(value, pose.PARAMETERS[index].minimum, pose.PARAMETERS[index].maximum)
        for name, value in given.items()
        for index in pose.indices(name)
    }
    return face.message(face.FacePacket(face.arkit_shapes(shapes.items()), _angles(content), values), source)


def _angles(content: Mapping[str, Any]) -> face.Angles:
    angles = content.get("angles", [0, 0, 0])
    if not isinstance(angles, list) or len(angles) != 3:
        raise Refused(HTTPStatus.BAD_REQUEST, "angles must be three numbers, in degrees.")
    x, y, z = (reading.number(angle, "angles") for angle in angles)
    return face.degrees(x, y, z)


def _say(content: Mapping[str, Any]) -> Message:
    """Speech whose track a page has already, or an end to it."""
    if content.get("track") is None:
        if content.get("id") is not None:
            raise Refused(HTTPStatus.BAD_REQUEST, "say needs timings, a track, or id null to stop.")
        return {"type": "say", "id": None}
    audio = content.get("audio")
    if audio is not None and not (isinstance(audio, str) and _AUDIO.fullmatch(audio)):
        raise Refused(HTTPStatus.BAD_REQUEST, "audio must be the path of a sound of a session, or null.")
    spoken = {"id": text(content, "id", None, 64), "track": _track(content["track"]), "audio": audio}
    return {"type": "say", **spoken, **caption(content)}


def _track(track: object) -> Message:
    if not isinstance(track, Mapping):
        raise Refused(HTTPStatus.BAD_REQUEST, "track must be an object with fps, names and values.")
    names = track.get("names")
    if not isinstance(names, list) or not all(isinstance(name, str) and name in pose.NAMES for name in names):
        raise Refused(HTTPStatus.BAD_REQUEST, "track.names must be a list of names of parameters.")
    values = _table(track.get("values"), len(names))
    ranges = np.array([(pose.PARAMETERS[i].minimum, pose.PARAMETERS[i].maximum) for i in map(pose.NAMES.index, names)])
    limited = values if not len(names) else np.clip(values, ranges[:, 0], ranges[:, 1])
    return {"fps": number(track, "fps", 1, 240), "names": names, "values": limited.round(3).tolist()}


def _table(values: object, width: int) -> Any:
    """Rows of `width` finite numbers, float64 `[N, width]`."""
    wanted = f"track.values must be at most {_MOST_TRACK:,} rows of {width} finite numbers."
    if not isinstance(values, list) or not 0 < len(values) <= _MOST_TRACK or width > len(pose.NAMES):
        raise Refused(HTTPStatus.BAD_REQUEST, wanted)
    if any(not isinstance(row, list) or any(type(one) not in (int, float) for one in row) for row in values):
        raise Refused(HTTPStatus.BAD_REQUEST, wanted)
    try:
        table = np.array(values, dtype=np.float64)
    except (ValueError, OverflowError):
        raise Refused(HTTPStatus.BAD_REQUEST, wanted) from None
    if table.shape != (len(values), width) or not np.isfinite(table).all():
        raise Refused(HTTPStatus.BAD_REQUEST, wanted)
    return table


def _object(content: Mapping[str, Any], name: str, at_most: int) -> Mapping[str, Any]:
    value = content.get(name, {})
    if not isinstance(value, Mapping) or len(value) > at_most:
        raise Refused(HTTPStatus.BAD_REQUEST, f"{name} must be an object of at most {at_most} names and numbers.")
    return value


def _numbers(values: Mapping[str, Any], name: str) -> dict[str, float]:
    return {key: reading.number(value, f"{name}.{reading.shorten(key)}") for key, value in values.items()}


def _seconds(content: Mapping[str, Any]) -> float | None:
    """For how long a message holds; None: until the next one."""
    if content.get("seconds") is None:
        return None
    try:
        seconds = reading.number(content["seconds"], "seconds")
    except MotionError as error:
        raise Refused(HTTPStatus.BAD_REQUEST, str(error)) from error
    if not 0 < seconds <= MOST_SECONDS:
        raise Refused(HTTPStatus.BAD_REQUEST, f"seconds must be above 0 and at most {MOST_SECONDS:g}, or null.")
    return seconds
