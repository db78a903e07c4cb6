"""A motion as a small text, one line a key:

    TIME WHAT [STRENGTH] [EASING] [in SECONDS]

    # A wink, said in six lines.
    0.0  neutral
    0.4  smile 0.8 ease-out
    hold 0.5
    1.2  look left in 0.15
    1.5  head_y=-0.5 and mouth_aaa=0.8
    +0.3 blink
    2.4  key 2

TIME      when it begins: seconds from the start, such as 0.5, 1s or 0:01.5, in order. `+` counts from the line before:
          from its TIME or, where that line says how long it takes, from its end.
WHAT      an expression, in any of its languages: smile, wink left, look up, a, head down, ...
          `neutral`: the whole character at rest.
          `key N`: the Nth pose of the poses that are connected, counted from 1. It sets everything.
          `PARAMETER=VALUE`. A two-sided name without its side sets both.
          `blink`, `nod`, `shake`: they come and go by themselves; `blink x2` does it twice.
          `say "..."`: the mouth spells a text; `in` says how long it takes.
          Several of them with `and` or a comma between: smile and look left.
STRENGTH  0 to 1 or 0% to 100%, for all but parameters; 1 where none is given.
in        how long it takes from TIME on: in 0.3. Without it an expression is there after 0.4 s, or sooner where the
          next line changes the same thing. What begins at 0 is there from the first frame.
EASING    how it gets there: linear, ease, ease-in, ease-out, ease-in-out (if none is given), ease-out-back and the
          other names of CSS and Penner, step-end (at once). `spline` without `in` goes smoothly from key to key: the
          parameter is there at TIME, on its way since the line before that changed it.
hold S    nothing new begins for S seconds.
#         the rest of the line is a comment.

Everything stays as it is until a line changes it, and is neutral at 0 unless a line says otherwise. While she says
something, expressions leave the shape of the mouth alone until it is said. Left and right are the character's own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from .. import pose
from ..errors import MotionError, THA4Error
from ..pose import Poses
from . import cancellation, expressions, keyframes, reading, script_line, timeline
from .expressions import Expression, Library
from .idle import BLINK_CLOSING, BLINK_OPENING, BLINK_SECONDS, BLINK_SHUT
from .keyframes import DEFAULT_EASING, Keyframes
from .script_line import Item
from .speech import phonemes
from .tracks import TRANSITION_SECONDS, Track

SOUND_SECONDS = 0.09
"""How long `say` takes for a sound where no length is given: about eleven a second, as in calm speech."""

_MAX_CHARACTERS = 200_000
_MOST_SHOWN = 20  # wrong lines with what is wrong; of the others only the numbers
_MOST_TIMES = 100
_SMOOTH = "ease-in-out-sine"
_SAY = re.compile(r"""say\b\s*(?:"([^"]*)"|“([^”]*)”|「([^」]*)」)(.*)""", re.IGNORECASE | re.DOTALL)
_HOLD = ("hold", "wait")
_CLOSING = ("eye_wink", "eye_happy_wink", "eye_relaxed")
_FILLERS = frozenset({"the", "to", "her", "his", "my", "your"})
_GESTURE_NAMES = {
    "まばたき": "blink", "瞬き": "blink", "眨眼": "blink", "눈 깜빡이기": "blink", "깜빡": "blink",
    "うなずく": "nod", "うなずき": "nod", "点头": "nod", "끄덕": "nod", "끄덕이기": "nod", "nod head": "nod",
    "首を振る": "shake", "首振り": "shake", "摇头": "shake", "도리도리": "shake", "shake head": "shake",
    **{name: name for name in script_line.GESTURES},
}  # fmt: skip
_NOD, _SHAKE = ((0.2, -0.5), (0.25, 0.0)), ((0.15, -0.45), (0.3, 0.45), (0.2, 0.0))
"""The seconds of each part of a gesture, and where the head is then."""


def _parameter_names() -> dict[str, tuple[int, ...]]:
    found: dict[str, tuple[int, ...]] = {}
    for name in pose.NAMES:
        for called in (name, name.removesuffix("_left").removesuffix("_right")):
            found[expressions.normal_name(called)] = pose.indices(called)
    return found


_PARAMETERS = _parameter_names()
_PARAMETER_NAMES = tuple(name.replace(" ", "_") for name in _PARAMETERS)
_SOME = ("smile", "sad", "angry", "wink left", "look up", "turn left", "a", "blink", "nod")


@dataclass
class _Writer:
    """What the lines read so far have set. `limit` is a loop's length in seconds."""

    known: Mapping[str, Expression]
    poses: Poses | None
    limit: float | None
    tracks: dict[int, Track] = field(default_factory=dict)
    time: float = 0.0
    end: float = 0.0
    spoken: float = 0.0
    wrong: int = 0
    line_times: dict[int, float] = field(default_factory=dict)

    def value(self, index: int) -> float:
        return self.tracks[index].value if index in self.tracks else 0.0

    def move(self, index: int, start: float, value: float, easing: str, seconds: float | None) -> None:
        if index not in self.tracks:
            self.tracks[index] = Track()
        self.tracks[index].add(start, value, easing, seconds)


def parse(
    text: str,
    *,
    poses: Poses | None = None,
    known: Library | None = None,
    length: float | None = None,
    loop: bool = False,
) -> Keyframes:
    """The motion that a script describes (see the module's text for the grammar).

    `poses` are what `key N` counts in, `known` the expressions. `length` in seconds: None lasts until the last line is
    over, and a loop that does not end as it starts gets TRANSITION_SECONDS more to go back in.
    Raises MotionError with the number and the text of every line that is wrong, and what was expected there.
    """
    if len(text) > _MAX_CHARACTERS:
        raise MotionError(f"The script has {len(text):,} characters; at most {_MAX_CHARACTERS:,} are read.")
    names = expressions.by_name(expressions.built_in() if known is None else known)
    writer = _Writer(names, poses, length if loop else None)
    wrong: list[tuple[int, str]] = []
    for number, line in enumerate(text.splitlines(), start=1):
        cancellation.check()
        try:
            if plain := script_line.clean(line):
                _read_line(writer, plain)
                writer.line_times[number] = writer.time
        except THA4Error as error:
            writer.wrong += 1
            wrong.append((number, f"{reading.shorten(line.strip(), 120)}: {error}"))
    if wrong:
        raise MotionError(_all_wrong(wrong))
    return _motion(writer, length, loop)


def render(
    text: str,
    fps: float = 30.0,
    *,
    poses: Poses | None = None,
    known: Library | None = None,
    length: float | None = None,
    loop: bool = False,
) -> Poses:
    """The script's poses at `fps`; see `sample`."""
    return sample(parse(text, poses=poses, known=known, length=length, loop=loop), fps, to_the_end=length is None)


def sample(motion: Keyframes, fps: float, to_the_end: bool) -> Poses:
    """A script's motion as poses at `fps`. `to_the_end` adds the frame at its very end, where it is no loop."""
    frames = timeline.frame_count(motion.length, fps)
    return keyframes.sample(motion, fps, frames + 1 if to_the_end and not motion.loop else frames)


def _motion(writer: _Writer, length: float | None, loop: bool) -> Keyframes:
    if length is None:
        length = max([writer.end, *(track.end for track in writer.tracks.values())])
        moved = (track.keys() for track in writer.tracks.values())
        if loop and not (length > 0 and all(keys[-1].value == keys[0].value for keys in moved)):
            length += TRANSITION_SECONDS
    tracks = {index: track.keys(length if loop else None) for index, track in writer.tracks.items()}
    return Keyframes(tracks, length, loop, writer.line_times)


def _all_wrong(wrong: list[tuple[int, str]]) -> str:
    """Every wrong line by its number, the first ones with what is wrong, and the form of a line once at the end."""
    lines = [f"Line {number}, {what}" for number, what in wrong[:_MOST_SHOWN]]
    message = "\n".join(line.replace(" " + script_line.FORM, "") for line in lines)
    if len(wrong) > _MOST_SHOWN:
        message += f"\nWrong too: lines {_ranges([number for number, _ in wrong[_MOST_SHOWN:]])}."
    return message + (f"\n{script_line.FORM}" if any(script_line.FORM in what for _, what in wrong) else "")


def _ranges(numbers: list[int]) -> str:
    """Rising numbers in short: 3, 5 to 9."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ", ".join(str(first) if first == last else f"{first} to {last}" for first, last in runs)


def _read_line(writer: _Writer, line: str) -> None:
    words = line.split()
    if words[0].lower() in _HOLD:
        _hold(writer, writer.end, words)
        return
    later, time, rest = script_line.split_time(line)
    time = _check_time(writer, time + writer.end if later else time)
    words = rest.split()
    if words and words[0].lower() in _HOLD:
        _hold(writer, time, words)
        return
    if re.match(r"say\b", rest, re.IGNORECASE):
        _say(writer, time, rest)
    else:
        _act(writer, time, script_line.items(rest))
    writer.time = time


def _check_time(writer: _Writer, time: float) -> float:
    if time < writer.time:
        raise MotionError(f"{time:g} s is before the line above ({writer.time:g} s); put the lines in order of time.")
    if time > script_line.MAX_SECONDS:
        raise MotionError(f"{time:g} s is more than a day.")
    if writer.limit is not None and time > writer.limit:
        raise MotionError(f"{time:g} s is after the loop's end at {writer.limit:g} s. Give a longer length.")
    return time


def _hold(writer: _Writer, start: float, words: list[str]) -> None:
    if len(words) < 2:
        raise MotionError(f"expected: {words[0]} SECONDS")
    until = start + script_line.seconds(" ".join(words[1:]), f"the time after {words[0]}")
    writer.time = writer.end = _check_time(writer, until)
    for track in writer.tracks.values():
        track.rest(until)


def _act(writer: _Writer, time: float, items: list[Item]) -> None:
    """Do what a line names: first what it sets, then what comes and goes by itself."""
    gestures = [(item, *named) for item in items if (named := _gesture(item))]
    settings = [(item, *_wanted(item, writer)) for item in items if not _gesture(item)]
    # The more particular one comes last, so that it counts: `a and smile` smiles with the mouth of an a.
    for item, values, kind in sorted(settings, key=lambda setting: -len(setting[1])):
        easing, waits = item.easing or DEFAULT_EASING, time < writer.spoken and kind not in ("mouth", "")
        for index, value in values.items():
            start = writer.spoken if waits and index in phonemes.SHAPES else time
            writer.move(index, start, value, easing, item.seconds)
    ends = [_GESTURES[name](writer, time, count, item) for item, name, count in gestures]
    writer.end = max(ends + [time + (item.seconds or 0.0) for item in items])


def _wanted(item: Item, writer: _Writer) -> tuple[Mapping[int, float], str]:
    """The parameters that an item sets, and to what; and the kind of expression that it is, empty where it is none."""
    if item.name.split()[0].lower() == "key":
        return _key_pose(item.name.split()[1:], item, writer.poses), ""
    words = expressions.normal_name(item.name).split()
    called = " ".join(words)
    for name in (called, " ".join(word for word in words if word not in _FILLERS)):
        if name in writer.known:
            expression, strength = writer.known[name], _strength(item)
            values = expression.values
            return {i: value * strength for i, value in values.items()} if strength < 1 else values, expression.kind
        if name in _PARAMETERS:
            return _parameter(name, item), ""
    hint = ""
    if writer.wrong < _MOST_SHOWN:
        hint = expressions.did_you_mean(item.name.lower(), [*writer.known, *_PARAMETER_NAMES, *_GESTURE_NAMES])
        hint = hint or f" There are: {', '.join(_SOME)}, ..., and parameters such as head_y=0.5."
    raise MotionError(f'There is no expression or parameter "{item.name[:60]}".{hint}')


def _strength(item: Item) -> float:
    value = 1.0 if item.value is None else script_line.number(item.value, "the strength")
    if not 0 <= value <= 1:
        raise MotionError(f"the strength must be one number from 0 to 1, not {reading.shorten(item.value)}.")
    return value


def _parameter(name: str, item: Item) -> dict[int, float]:
    indices = _PARAMETERS[name]
    plain = name.replace(" ", "_")
    if item.value is None:
        raise MotionError(f"{plain} needs a value, such as {plain}=0.5.")
    value = expressions.check_value(plain, script_line.number(item.value, plain), "here")
    return dict.fromkeys(indices, value)


def _key_pose(words: list[str], item: Item, poses: Poses | None) -> dict[int, float]:
    if poses is None:
        raise MotionError("a key needs poses: connect the poses that it is one of.")
    number = words[0] if len(words) == 1 else ""
    if not (number.isdecimal() and len(number) < 9 and 1 <= int(number) <= len(poses)):
        raise MotionError(f"key must have a number from 1 to {len(poses)}, not {reading.shorten(number)}.")
    strength = _strength(item)
    return {i: value * strength for i, value in enumerate(poses.values[int(number) - 1].tolist())}


# --- what comes and goes by itself ---------------------------------------------------------------------------------


def _gesture(item: Item) -> tuple[str, int] | None:
    """The gesture that an item names and how many times it is done; None where it names none."""
    words = expressions.normal_name(item.name).split()
    count = re.fullmatch(r"x ?(\d{1,3})", " ".join(words[1:])) if len(words) > 1 else None
    named = " ".join(words[:1] if count else [word for word in words if word not in _FILLERS])
    if named not in _GESTURE_NAMES:
        return None
    times = int(count[1]) if count else 1
    if not 1 <= times <= _MOST_TIMES:
        raise MotionError(f"{named} x{times} is not possible; it must be x1 to x{_MOST_TIMES}.")
    return _GESTURE_NAMES[named], times


def _blink(writer: _Writer, time: float, count: int, item: Item) -> float:
    """Down and up again, from wherever the lids are. An eye that is shut otherwise stays as it is."""
    usual = BLINK_SECONDS * count + BLINK_OPENING / 2 * (count - 1)
    pace = 1.0 if item.seconds is None else item.seconds / usual
    strength = _strength(item)
    for side in ("_left", "_right"):
        shut, *others = (pose.indices(name + side)[0] for name in _CLOSING)
        before = writer.value(shut)
        most = max(before, strength * max(0.0, 1.0 - sum(writer.value(i) for i in others)))
        for number in range(count):
            start = time + number * pace * (BLINK_SECONDS + BLINK_OPENING / 2)
            writer.move(shut, start, most, _SMOOTH, pace * BLINK_CLOSING)
            writer.move(shut, start + pace * (BLINK_CLOSING + BLINK_SHUT), before, _SMOOTH, pace * BLINK_OPENING)
    return time + pace * usual


def _swing(
    writer: _Writer, time: float, count: int, item: Item, name: str, parts: tuple[tuple[float, float], ...]
) -> float:
    """Turn the head there and back: `parts` are seconds and how far from where it was."""
    index = pose.indices(name)[0]
    before, strength = writer.value(index), _strength(item)
    usual = count * sum(seconds for seconds, _ in parts)
    pace = 1.0 if item.seconds is None else item.seconds / usual
    for seconds, far in parts * count:
        writer.move(index, time, min(max(before + strength * far, -1.0), 1.0), _SMOOTH, pace * seconds)
        time += pace * seconds
    return time


_GESTURES: dict[str, Callable[[_Writer, float, int, Item], float]] = {
    "blink": _blink,
    "nod": partial(_swing, name="head_x", parts=_NOD),
    "shake": partial(_swing, name="head_y", parts=_SHAKE),
}


def _say(writer: _Writer, time: float, rest: str) -> None:
    """The mouths that a text spells, one after the other, then the mouth as it was."""
    found = _SAY.fullmatch(rest)
    if found is None:
        raise MotionError('expected: TIME say "TEXT" [STRENGTH] [in SECONDS], the text in quotes')
    text = next(part for part in found.groups()[:3] if part is not None)
    mouths, unspoken = phonemes.spell(text)
    if unspoken:
        raise MotionError(phonemes.complaint(unspoken))
    items = script_line.items("say " + found[4])
    if len(items) != 1 or items[0].name != "say":
        raise MotionError(f"{reading.shorten(found[4].strip())} is not expected after the text of say.")
    item, strength = items[0], _strength(items[0])
    length = SOUND_SECONDS * len(mouths) if item.seconds is None else item.seconds
    part = length / len(mouths)
    shapes = [tuple(value * strength for value in mouth) for mouth in mouths]
    shapes.append(tuple(writer.value(index) for index in phonemes.SHAPES))
    for number, shape in enumerate(shapes):
        # A mouth is there in the middle of its sound, and on its way there since the middle of the sound before.
        start = time + part * max(number - 0.5, 0.0)
        way = part if 0 < number < len(mouths) else part / 2
        for index, value in zip(phonemes.SHAPES, shape, strict=True):
            writer.move(index, start, value, item.easing or _SMOOTH, way)
    writer.end = writer.spoken = time + length
