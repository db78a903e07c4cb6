"""Numbers in words, as they are read aloud: in Japanese (kana), Korean (Hangul) or English."""

from __future__ import annotations

import re
from dataclasses import dataclass

_LONGEST = 16
"""More digits than these are read one by one, as are those that start with 0."""


@dataclass(frozen=True)
class _Myriads:
    """The words of a language that counts in myriads, and the sounds that change where a digit meets a unit."""

    digits: tuple[str, ...]
    units: tuple[str, ...]
    myriads: tuple[str, ...]
    point: str
    changes: tuple[tuple[str, str], ...] = ()


_JAPANESE = _Myriads(
    ("ぜろ", "いち", "に", "さん", "よん", "ご", "ろく", "なな", "はち", "きゅう"),
    ("", "じゅう", "ひゃく", "せん"),
    ("", "まん", "おく", "ちょう"),
    "てん",
    (("さんひゃく", "さんびゃく"), ("ろくひゃく", "ろっぴゃく"), ("はちひゃく", "はっぴゃく"), ("さんせん", "さんぜん"),
     ("はちせん", "はっせん"), ("いちちょう", "いっちょう"), ("はちちょう", "はっちょう")),
)  # fmt: skip
_KOREAN = _Myriads(tuple("영일이삼사오육칠팔구"), ("", "십", "백", "천"), ("", "만", "억", "조"), "점")
_ONES = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
_TENS = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_THOUSANDS = ("", "thousand", "million", "billion", "trillion", "quadrillion")


def read_aloud(text: str) -> str:
    """The text with its numbers in words: Japanese where it has kana or kanji, Korean with Hangul, else English.

    Digits right after a Latin or a phonetic letter stay: they are marks of stress or tone (AA1, ni3).
    """
    if re.search(r"[\u3040-\u30ff\u4e00-\u9fff]", text):
        words: _Myriads | None = _JAPANESE
    else:
        words = _KOREAN if re.search(r"[가-힣]", text) else None
    text = re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "", text)
    number = re.compile(r"(?<![a-zA-Z\u0250-\u02ff\d.])([0-9]+)(?:\.([0-9]+))?")
    return number.sub(lambda found: f" {_in_words(found[1], found[2] or '', words)} ", text)


def _in_words(whole: str, fraction: str, words: _Myriads | None) -> str:
    one_by_one = len(whole) > _LONGEST or (whole[0] == "0" and len(whole) > 1)
    if words is None:
        said = " ".join(_ONES[int(d)] for d in whole) if one_by_one else _english(int(whole))
        return said + (" point " + " ".join(_ONES[int(d)] for d in fraction) if fraction else "")
    said = "".join(words.digits[int(d)] for d in whole) if one_by_one else _in_myriads(int(whole), words)
    return said + (words.point + "".join(words.digits[int(d)] for d in fraction) if fraction else "")


def _in_myriads(number: int, words: _Myriads) -> str:
    if number == 0:
        return words.digits[0]
    said = ""
    for power in reversed(range(4)):
        group = number // 10_000**power % 10_000
        if group:
            said += _group(group, words) + words.myriads[power]
    for written, spoken in words.changes:
        said = said.replace(written, spoken)
    return said


def _group(number: int, words: _Myriads) -> str:
    """1 to 9999; the 1 before ten, hundred and thousand is not said."""
    said = ""
    for power in reversed(range(4)):
        digit = number // 10**power % 10
        if digit:
            said += ("" if digit == 1 and power else words.digits[digit]) + words.units[power]
    return said


def _english(number: int) -> str:
    if number < 20:
        return _ONES[number]
    if number < 100:
        return _TENS[number // 10] + (f" {_ONES[number % 10]}" if number % 10 else "")
    if number < 1000:
        return f"{_ONES[number // 100]} hundred" + (f" {_english(number % 100)}" if number % 100 else "")
    power = (len(str(number)) - 1) // 3
    first, rest = divmod(number, 1000**power)
    return f"{_english(first)} {_THOUSANDS[power]}" + (f" {_english(rest)}" if rest else "")
