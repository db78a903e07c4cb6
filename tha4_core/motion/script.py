"""A motion as a small text, one line a key:

    TIME WHAT [STRENGTH] [EASING] [in SECONDS]

    # A wink, said in six lines.
    0.0  neutral
    0.4  smile 0.8 ease-out
    hold 0.5
    1.2  look left in 0.15
    1.5  head_y=-0.5 mouth_aaa=0.8 ease-in-out
    +0.3 blink
    2.4  key 2

TIME      seconds from the start, or `+` and the seconds since the line before ended. Lines are in order of time.
WHAT      an expression, in any of its languages: smile, wink left, look up, a, head down, ...
          `neutral`: the whole character at rest.
          `key N`: the Nth pose of the poses that are connected, counted from 1. It sets everything.
          `PARAMETER=VALUE`, one or several. A two-sided name without its side sets both.
          `blink`: the eyes close and open again, 0.16 s from this time on.
          `say "..."`: the mouth spells a text from this time on; `in` says how long it takes.
STRENGTH  0 to 1, for an expression, a key or a blink; 1 where none is given.
EASING    how the line's pose is reached: linear, ease, ease-in, ease-out, ease-in-out (if none is given),
          ease-out-back and the other names of CSS and Penner, step-end (jump), or spline (smooth through the keys).
in        how long the way there takes. Without it a parameter is on its way since its own last key.
hold S    everything stays as it is for S seconds.
#         the rest of the line is a comment.

What a line does not mention goes its own way. Everything is neutral at 0 unless a line says otherwise. Left and right
are the character's own.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from .. import pose
from ..errors import MotionError, THA4Error
from ..pose import Poses
from . import easing, expressions, keyframes, reading, timeline
from .expressions import Library
from .keyframes import Key, Keyframes
from .speech import phonemes

BLINK_SECONDS = 0.16
SOUND_SECONDS = 0.09
"""How long `say` takes for a sound where it is not told: about eleven a second, as in calm speech."""
RETURN_SECONDS = 0.5
"""How long a loop takes from its last key back to its first where no length is given."""

_MAX_CHARACTERS = 200_000
_MAX_SECONDS = 24 * 3600.0
_FORM = "A line is: TIME WHAT [STRENGTH] [EASING] [in SECONDS], such as: 0.4 smile 0.8 ease-out"
_SAY = re.compile(r'"([^"]*)"(?:\s+([\d.]+))?(?:\s+in\s+(\S+))?')
_CLOSING = ("eye_wink", "eye_happy_wink", "eye_relaxed")


@dataclass
class _Writer:
    """What the lines read so far have set."""

    known: Library
    poses: Poses | None
    tracks: dict[int, list[Key]] = field(default_factory=dict)
    time: float = 0.0
    end: float = 0.0

    def value(self, index: int) -> float:
        return self.tracks[index][-1].value if index in self.tracks else 0.0

    def set(self, index: int, time: float, value: float, curve: str, seconds: float | None = None) -> None:
        keys = self.tracks.setdefault(index, [Key(0.0, 0.0)])
        start = time - seconds if seconds is not None else 0.0
        if start > keys[-1].time:
            keyframes.set_key(keys, Key(start, keys[-1].value))
        keyframes.set_key(keys, Key(time, value, curve))


def parse(
    text: str,
    *,
    poses: Poses | None = None,
    known: Library | None = None,
    length: float | None = None,
    loop: bool = False,
) -> Keyframes:
    """The motion that a script describes (see the module's text for the grammar).

    `poses` are what `key N` counts in, `known` the expressions. `length` in seconds: None lasts to the last key, and a
    loop that does not end as it starts gets RETURN_SECONDS more to go back in.
    Raises MotionError with the number and the text of the line that is wrong, and what was expected there.
    """
    if len(text) > _MAX_CHARACTERS:
        raise MotionError(f"The script has {len(text):,} characters; at most {_MAX_CHARACTERS:,} are read.")
    writer = _Writer(expressions.built_in() if known is None else known, poses)
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.split("#", 1)[0].split()
        if words:
            try:
                _read_line(writer, words)
            except THA4Error as error:
                raise MotionError(f"Line {number}, {reading.shorten(line.strip(), 120)}: {error}") from error
    tracks = {index: tuple(keys) for index, keys in writer.tracks.items()}
    return Keyframes(tracks, _length(tracks, writer.end, loop) if length is None else length, loop)


def render(
    text: str,
    fps: float = 30.0,
    *,
    poses: Poses | None = None,
    known: Library | None = None,
    length: float | None = None,
    loop: bool = False,
) -> Poses:
    """The script's poses at `fps`. Without a length, and not in a loop, the last key's pose is the last frame."""
    motion = parse(text, poses=poses, known=known, length=length, loop=loop)
    frames = timeline.frame_count(motion.length, fps)
    return keyframes.sample(motion, fps, frames + 1 if length is None and not loop else frames)


def _length(tracks: Mapping[int, tuple[Key, ...]], end: float, loop: bool) -> float:
    closed = end > 0 and all(keys[-1].value == keys[0].value for keys in tracks.values())
    return end if closed or not loop else end + RETURN_SECONDS


def _read_line(writer: _Writer, words: list[str]) -> None:
    if words[0].lower() == "hold":
        _hold(writer, words)
        return
    time = _time(words[0], writer)
    if len(words) > 1 and words[1].lower() == "say":
        _say(writer, time, " ".join(words[2:]))
        return
    what, curve, seconds = _options(words[1:])
    writer.time, writer.end = time, max(writer.end, time)
    if what == ["blink"] or (len(what) == 2 and what[0].lower() == "blink"):
        _blink(writer, time, _strength(what[1:]))
        return
    for index, value in _wanted(what, writer).items():
        writer.set(index, time, value, curve, seconds)


def _time(word: str, writer: _Writer) -> float:
    time = _seconds(word.removeprefix("+"), "the time")
    if word.startswith("+"):
        time += writer.end
    elif time < writer.time:
        raise MotionError(f"{time:g} s is before the line above ({writer.time:g} s); put the lines in order of time.")
    if time > _MAX_SECONDS:
        raise MotionError(f"{time:g} s is more than a day.")
    return time


def _seconds(word: str, what: str) -> float:
    try:
        value = float(word)
    except ValueError:
        value = math.nan
    if not 0 <= value <= _MAX_SECONDS:
        raise MotionError(f"{what} must be seconds, 0 or more, not {reading.shorten(word)}. {_FORM}")
    return value


def _options(words: list[str]) -> tuple[list[str], str, float | None]:
    """What is left of a line without its easing and its `in SECONDS`, and these two."""
    curve, seconds, rest = keyframes.DEFAULT_EASING, None, list(words)
    while rest:
        if len(rest) > 1 and rest[-2].lower() == "in":
            seconds = _seconds(rest[-1], 'the time after "in"')
            del rest[-2:]
        elif easing.find_name(rest[-1]):
            curve = easing.check_name(rest.pop())
        else:
            break
    if not rest:
        raise MotionError(f"it does not say what happens. {_FORM}")
    return rest, curve, seconds


def _wanted(what: list[str], writer: _Writer) -> dict[int, float]:
    """The parameters that a line sets, and to what."""
    if "=" in what[0]:
        return _assignments(what)
    if what[0].lower() == "key" and len(what) > 1:
        return _key_pose(what, writer.poses)
    words = what[:-1] if len(what) > 1 and _is_number(what[-1]) else what
    odd = [word for word in words if _is_number(word) or word.startswith("-")]
    if odd:
        raise MotionError(f"{reading.shorten(odd[0])} is not expected here. {_FORM}")
    expression = expressions.find(" ".join(words), writer.known)
    strength = _strength(what[len(words) :])
    return {index: value * strength for index, value in expression.values.items()}


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _strength(words: list[str]) -> float:
    if not words:
        return 1.0
    value = reading.parse_number(words[0], "the strength") if len(words) == 1 else -1.0
    if not 0 <= value <= 1:
        raise MotionError(f"the strength must be one number from 0 to 1, not {reading.shorten(' '.join(words))}.")
    return value


def _assignments(words: list[str]) -> dict[int, float]:
    values: dict[int, float] = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not equals:
            raise MotionError(f"{reading.shorten(word)} is not PARAMETER=VALUE. {_FORM}")
        indices = pose.indices(name.lower())
        value = reading.parse_number(text, name)
        values.update(dict.fromkeys(indices, expressions.check_value(name.lower(), value, "here")))
    return values


def _key_pose(words: list[str], poses: Poses | None) -> dict[int, float]:
    if poses is None:
        raise MotionError("a key needs poses: connect the poses that it is one of.")
    if not (words[1].isdecimal() and len(words[1]) < 9 and 1 <= int(words[1]) <= len(poses)):
        raise MotionError(f"key must have a number from 1 to {len(poses)}, not {reading.shorten(words[1])}.")
    strength = _strength(words[2:])
    return {i: value * strength for i, value in enumerate(poses.values[int(words[1]) - 1].tolist())}


def _hold(writer: _Writer, words: list[str]) -> None:
    if len(words) != 2:
        raise MotionError("expected: hold SECONDS")
    until = writer.end + _seconds(words[1], "the time after hold")
    for index in list(writer.tracks):
        writer.set(index, until, writer.value(index), keyframes.DEFAULT_EASING)
    writer.time = writer.end = until


def _say(writer: _Writer, time: float, rest: str) -> None:
    """The mouths that a text spells, one after the other, then the mouth as it was."""
    found = _SAY.fullmatch(rest)
    if found is None:
        raise MotionError('expected: TIME say "TEXT" [STRENGTH] [in SECONDS]')
    text, strength, seconds = found.groups()
    mouths = phonemes.mouths(text)
    level = _strength([strength] if strength else [])
    length = _seconds(seconds, 'the time after "in"') if seconds else SOUND_SECONDS * len(mouths)
    before = [writer.value(index) for index in phonemes.SHAPES]
    for number, mouth in enumerate([*mouths, before]):
        at, size = time + length * (number + 0.5) / len(mouths), level if number < len(mouths) else 1.0
        for index, value in zip(phonemes.SHAPES, mouth, strict=True):
            writer.set(index, at, value * size, "ease-in-out-sine", length / len(mouths))
    writer.time, writer.end = time, max(writer.end, time + length * (1 + 0.5 / len(mouths)))


def _blink(writer: _Writer, time: float, strength: float) -> None:
    """Two half cosines: down and up again, from wherever the lids are. An eye that is shut otherwise stays as it is."""
    for side in ("_left", "_right"):
        shut, *others = (pose.indices(name + side)[0] for name in _CLOSING)
        before = writer.value(shut)
        most = max(before, strength * max(0.0, 1.0 - sum(writer.value(i) for i in others)))
        writer.set(shut, time, before, keyframes.DEFAULT_EASING)
        writer.set(shut, time + BLINK_SECONDS / 2, most, "ease-in-out-sine")
        writer.set(shut, time + BLINK_SECONDS, before, "ease-in-out-sine")
    writer.end = max(writer.end, time + BLINK_SECONDS)
