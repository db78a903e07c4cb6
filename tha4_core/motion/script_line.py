"""One line of a script taken apart: its time, and what it names with strengths, easings and lengths.

It is generous about form (see `script`): `0:01.5`, `1s`, `80%`, commas, `and`, full-width digits.
"""

from __future__ import annotations

import math
import re
import unicodedata
from dataclasses import dataclass, replace

from ..errors import MotionError
from . import easing, reading

FORM = "A line is: TIME WHAT [STRENGTH] [EASING] [in SECONDS], such as: 0.4 smile 0.8 ease-out"
MAX_SECONDS = 24 * 3600.0

_UNITS = {"ms": 0.001, "s": 1.0, "sec": 1.0, "secs": 1.0, "second": 1.0, "seconds": 1.0, "秒": 1.0, "초": 1.0}
_UNIT = "|".join(sorted(_UNITS, key=len, reverse=True))
_CLOCK = rf"(?:(?:(\d{{1,3}}):)?(\d{{1,5}}):)?(\d+[.,]?\d*|[.,]\d+)(e[-+]?\d{{1,3}})?\s*({_UNIT})?"
_SECONDS = re.compile(_CLOCK, re.IGNORECASE)
_TIME = re.compile(
    rf"(?:at\s+|t\s*=\s*)?(?P<plus>\+\s*)?(?P<clock>{_CLOCK})(?=[\s,;、]|:(?!\d)|$)[\s:,;、]*", re.IGNORECASE
)
_QUOTED_OR_COMMENT = re.compile(r'("[^"]*"|“[^”]*”|「[^」]*」)|#.*')
# How else people write a number, a strength, several things in a line, and how often something comes.
_PLAINER = (
    (r"(?<=\d),(?=\d)", "."),
    (r"[,;、]", " , "),
    (r"\s*[=:]\s*", "="),
    (r"[()]", " "),
    (r"\s+%", "%"),
    (r"\btwice\b", "x2"),
    (r"\b(\d+)\s*(?:times|x)\b", r"x\1"),
    (r"×\s*(\d+)", r"x\1"),
)
_SEPARATORS = ("and", "&", ",")
_IN = ("in", "over")


GESTURES = ("blink", "nod", "shake")
"""What moves and comes back by itself."""


@dataclass(frozen=True)
class Item:
    """Something that a line names: its words, the number given with it, and how and how fast it comes."""

    name: str
    value: str | None = None
    easing: str | None = None
    seconds: float | None = None


def clean(line: str) -> str:
    """A line without its comment, its letters, digits and signs the usual ones (NFKC)."""
    plain = unicodedata.normalize("NFKC", line).replace("\N{MINUS SIGN}", "-")
    return _QUOTED_OR_COMMENT.sub(lambda found: found[1] or "", plain).strip()


def split_time(text: str) -> tuple[bool, float, str]:
    """Whether a line's time counts from the line before (`+`), the time in seconds, and the rest of the line."""
    found = _TIME.match(text)
    if found is None:
        word = reading.shorten(text.split()[0])
        raise MotionError(f"the time must be seconds, 0 or more, such as 0.5 or 0:01.5, not {word}. {FORM}")
    return found["plus"] is not None, seconds(found["clock"], "the time"), text[found.end() :]


def seconds(text: str, what: str) -> float:
    """A time such as `0.5`, `1s`, `300 ms` or `1:02.5` in seconds. Raises MotionError, naming `what`, for others."""
    found = _SECONDS.fullmatch(text)
    result = math.nan
    if found:
        hours, minutes, number, exponent, unit = found.groups()
        result = float(number.replace(",", ".") + (exponent or "")) * _UNITS[(unit or "s").lower()]
        result += 3600 * float(hours or 0) + 60 * float(minutes or 0)
    if not 0 <= result <= MAX_SECONDS:
        raise MotionError(f"{what} must be seconds, 0 or more and at most a day, not {reading.shorten(text)}. {FORM}")
    return result


def is_number(word: str) -> bool:
    """Whether a word is a number or a percentage."""
    try:
        float(word.removesuffix("%"))
    except ValueError:
        return False
    return True


def number(text: str, what: str) -> float:
    """A number or a percentage. Raises MotionError, naming `what`, where a text is none."""
    scale = 0.01 if text.endswith("%") else 1.0
    return scale * reading.parse_number(text.removesuffix("%"), what)


def items(text: str) -> list[Item]:
    """What the rest of a line names, in order. An easing and a length at the line's end go for all that have none.

    Raises MotionError where it names nothing, or where a number or a word is out of place.
    """
    reader = _Items()
    for pattern, plain in _PLAINER:
        text = re.sub(pattern, plain, text, flags=re.IGNORECASE)
    words = text.split()
    position = 0
    while position < len(words):
        position += reader.read(words, position)
    return reader.end()


class _Items:
    """The items read so far; `words` are those of a name that is not over yet."""

    def __init__(self) -> None:
        self.items: list[Item] = []
        self.words: list[str] = []

    def read(self, words: list[str], position: int) -> int:
        """Read the word at a position, or the words; how many they were."""
        word = words[position]
        name, equals, value = word.rpartition("=")
        if equals:
            self.words += name.replace("=", " ").split()
            self._finish(value)
        elif word.lower() in _IN and self._started() and position + 1 < len(words):
            return self._length(words, position + 1)
        elif word.lower() in _SEPARATORS:
            self._finish()
        elif easing.find_name(word):
            self._change(easing=easing.check_name(word))
        elif is_number(word) and self.words != ["key"] and not self._counts():
            self._number(word)
        else:
            self.words.append(word)
        return 1

    def end(self) -> list[Item]:
        self._finish()
        if not self.items:
            raise MotionError(f"it does not say what happens. {FORM}")
        last = self.items[-1]
        return [
            replace(
                item, easing=item.easing or last.easing, seconds=last.seconds if item.seconds is None else item.seconds
            )
            for item in self.items
        ]

    def _started(self) -> bool:
        return bool(self.words or self.items)

    def _counts(self) -> bool:
        # `blink x 2`, which is not `head x 1`
        return len(self.words) == 2 and self.words[0].lower() in GESTURES and self.words[1].lower() == "x"

    def _finish(self, value: str | None = None) -> None:
        if self.words:
            self.items.append(Item(" ".join(self.words), value))
            self.words = []
        elif value is not None:
            raise MotionError(f"={reading.shorten(value)} has no name before it. {FORM}")

    def _number(self, word: str) -> None:
        if self.words:
            self._finish(word)
        elif self.items and self.items[-1].value is None:
            self.items[-1] = replace(self.items[-1], value=word)
        else:
            raise MotionError(f"{reading.shorten(word)} is not expected here. {FORM}")

    def _length(self, words: list[str], position: int) -> int:
        unit = words[position + 1].lower() if position + 1 < len(words) else ""
        apart = unit in _UNITS and is_number(words[position])
        self._change(
            seconds=seconds(words[position] + (unit if apart else ""), f'the time after "{words[position - 1]}"')
        )
        return 3 if apart else 2

    def _change(self, **changes: object) -> None:
        self._finish()
        if not self.items:
            raise MotionError(f"it does not say what happens. {FORM}")
        self.items[-1] = replace(self.items[-1], **changes)  # type: ignore[arg-type]
