"""Spoken sounds and the mouths that make them.

A sound is written in ARPAbet (AA1, SH), as Japanese phones (a, N, cl), in IPA (ɑː, ʃ) or SAMPA, in kana or Hangul, or
in plain letters. Longer texts are cut into the sounds that they spell.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

from ... import pose
from . import numerals

Mouth = tuple[float, float, float, float, float]
"""How far the mouth is opened in the shapes of a, i, u, e, o."""
SHAPES = tuple(pose.indices(f"mouth_{name}")[0] for name in ("aaa", "iii", "uuu", "eee", "ooo"))
"""The parameters of these shapes, by their index."""
CLOSED: Mouth = (0.0, 0.0, 0.0, 0.0, 0.0)

RHUBARB: dict[str, Mouth] = {
    "A": CLOSED,
    "B": (0.0, 0.35, 0.0, 0.1, 0.0),
    "C": (0.1, 0.0, 0.0, 0.6, 0.0),
    "D": (1.0, 0.0, 0.0, 0.0, 0.0),
    "E": (0.1, 0.0, 0.0, 0.0, 0.7),
    "F": (0.0, 0.0, 0.8, 0.0, 0.0),
    "G": (0.0, 0.15, 0.0, 0.0, 0.0),
    "H": (0.3, 0.0, 0.0, 0.3, 0.0),
    "X": CLOSED,
}
"""The mouth shapes of Rhubarb Lip Sync, which are Hanna-Barbera's."""

# Between syllables that are written as one character: a and o there are two vowels, not the sound "ao".
_BREAK = "\0"
# A beat in which the mouth is shut: a small tsu.
_BEAT = "\1"
_SILENCES = frozenset({"", "sil", "sp", "spn", "pau", "pause", "cl", "q", "br", "_", "#", "-", ".", "silb", "sile"})
# Marks of stress, tone and length, and those that make a letter another shade of the same sound.
_MARKS = re.compile(r"[ˈˌː'’´ʰʲʷˠˤ˞~～^`]|(?<!\d):|:(?!\d)")
_STRESS = re.compile(r"(?<=[a-z\u0250-\u02ff])[0-9]")
# The letters of SAMPA that are no letters elsewhere.
_SAMPA = str.maketrans({"@": "ə", "{": "æ", "}": "u", "&": "ɒ"})
_SAMPA_DIGITS = str.maketrans({"2": "ø", "3": "ɜ", "6": "ɐ", "9": "œ", "1": "ɪ", "7": "o", "8": "o"})
# Signs that are spoken as words, of which a reader may not know which; all other punctuation is a pause.
_SPOKEN_SIGNS = frozenset("%@#&*§†‡")


@dataclass(frozen=True)
class Phoneme:
    """A sound: from `start` to `end` in seconds, with the mouth as `mouth` says."""

    start: float
    end: float
    mouth: Mouth


def _table() -> dict[str, Mouth]:
    """Sound → mouth."""
    sounds = {
        (1.0, 0.0, 0.0, 0.0, 0.0): "a aa ah ɑ ɐ ʌ",
        (0.7, 0.0, 0.0, 0.3, 0.0): "ae æ",
        (0.6, 0.0, 0.0, 0.0, 0.4): "aw ɒ",
        (0.7, 0.3, 0.0, 0.0, 0.0): "ay",
        (0.0, 1.0, 0.0, 0.0, 0.0): "i ii iy ih ɪ ɨ",
        (0.0, 0.0, 1.0, 0.0, 0.0): "u uu uw uh ʊ ɯ ʉ w ʍ ɥ",
        (0.0, 0.0, 0.0, 1.0, 0.0): "e eh ɛ",
        (0.0, 0.3, 0.0, 0.7, 0.0): "ey",
        (0.0, 0.0, 0.4, 0.3, 0.0): "er ə ɘ ɜ ɚ ɝ ɞ ø œ r ɹ ʁ ʀ",
        (0.0, 0.0, 0.0, 0.0, 1.0): "o ow ao ɔ ɤ ɵ",
        (0.0, 0.3, 0.0, 0.0, 0.7): "oy",
        (0.0, 0.0, 0.45, 0.0, 0.0): "sh zh ch jh ʃ ʒ tʃ dʒ ɕ ʑ tɕ dʑ ʂ ʐ j",
        (0.0, 0.5, 0.0, 0.0, 0.0): "y",
        (0.0, 0.3, 0.0, 0.0, 0.0): "s z ts dz ð θ th dh c x",
        (0.0, 0.15, 0.0, 0.1, 0.0): "t d n l nn ŋ ng ɾ ɲ ɳ ɴ ɫ ɭ ʎ ɬ ʈ ɖ",
        (0.15, 0.0, 0.0, 0.15, 0.0): "k g ɡ h hh ɣ ç χ ħ ʕ ʔ ɦ q",
        (0.0, 0.08, 0.0, 0.0, 0.0): "f v ɸ β ʋ ɱ",
        CLOSED: f"m p b ɓ {_BEAT}",
    }
    return {symbol: mouth for mouth, symbols in sounds.items() for symbol in symbols.split(" ")}


_SOUNDS = _table()
_LONGEST = max(map(len, _SOUNDS))
# Of the 21 vowels of a Hangul syllable, in their order; and the initials that are made with the lips.
_HANGUL_VOWELS, _HANGUL_LIPS = "aeaeoeoeoaeeouoeiuuii", (6, 7, 8, 17)


def spell(text: str, phones: bool = False) -> tuple[list[Mouth], str]:
    """The mouths of a symbol or a longer text, in order, and its characters that cannot be spoken, in order.

    A silence, or a text of which nothing can be spoken, is one closed mouth. `phones` says that the text is a symbol
    for one sound, in which a digit is no number.
    """
    plain = text.strip().lower()
    if _MARKS.sub("", _STRESS.sub("", plain)) in _SILENCES:
        return [CLOSED], ""
    if phones or re.fullmatch(r"[a-z@{}]{1,3}", plain):
        plain = plain.translate(_SAMPA)
    plain = unicodedata.normalize("NFKC", _MARKS.sub("", _STRESS.sub("", plain)).replace("〜", "ー"))
    plain = plain.translate(_SAMPA_DIGITS) if phones else numerals.read_aloud(plain)
    spelled = "".join(_spell(plain))
    found, unspoken = _sounds(spelled)
    return found or [CLOSED], unspoken


def complaint(unspoken: str) -> str:
    """What to do about characters that cannot be spoken."""
    distinct = list(dict.fromkeys(unspoken))
    named = ", ".join(distinct[:12]) + (f" and {len(distinct) - 12} more" if len(distinct) > 12 else "")
    kanji = any(_is_kanji(character) for character in distinct)
    advice = "write it in kana (Chinese: in pinyin)" if kanji else "write it as words, in Latin letters or in kana"
    return f"{named} cannot be spoken: {advice}."


def _sounds(spelled: str) -> tuple[list[Mouth], str]:
    """The mouths of letters, the longest sound first, a closed one between words; and the letters without a sound."""
    found: list[Mouth] = []
    unspoken: list[str] = []
    position, pause = 0, False
    while position < len(spelled):
        sizes = range(min(_LONGEST, len(spelled) - position), 0, -1)
        size = next((n for n in sizes if spelled[position : position + n] in _SOUNDS), 0)
        if size:
            if pause and found and found[-1] != CLOSED:
                found.append(CLOSED)
            found.append(_SOUNDS[spelled[position : position + size]])
            pause = False
        elif _is_unspoken(spelled[position]):
            unspoken.append(spelled[position])
        elif spelled[position] != _BREAK and not unicodedata.category(spelled[position]).startswith(("M", "L")):
            pause = True
        position += size or 1
    return found, "".join(unspoken)


def _is_unspoken(character: str) -> bool:
    """Whether a character stands for a sound that is not known here: a letter, a number or a sign, but no mark."""
    category = unicodedata.category(character)
    return (
        category in ("Lu", "Ll", "Lt", "Lo", "Nl", "No", "Nd", "Sm", "Sc", "So", "Co")
        or character in "々〇"
        or (character in _SPOKEN_SIGNS)
    )


def _is_kanji(character: str) -> bool:
    return character in "々〇" or unicodedata.name(character, "").startswith("CJK")


def _spell(text: str) -> Iterator[str]:
    """A kana or a Hangul syllable as the vowel it has, a letter with an accent without it, all else as it is."""
    for run in re.findall(r"[ぁ-ヿ]+|[^ぁ-ヿ]", text):
        if "ぁ" <= run[0] <= "ヿ":
            yield _BREAK.join([*_beats(run), ""])
        elif "가" <= run <= "힣":
            number = ord(run) - ord("가")
            yield ("m" if number // 588 in _HANGUL_LIPS else "") + _HANGUL_VOWELS[number // 28 % 21] + _BREAK
        else:
            base = unicodedata.normalize("NFD", run)[0]
            yield base if base.isascii() and run not in _SOUNDS else run


def _beats(kana: str) -> list[str]:
    """The sounds of each beat of a run of kana: a vowel, with an m before it where the lips meet first."""
    beats: list[str] = []
    for character in kana:
        *words, sound = unicodedata.name(character, "?").lower().split(" ")
        if words[-1:] == ["small"] and sound == "tu":
            beats.append(_BEAT)
        elif words[-1:] == ["small"] and beats and beats[-1][-1] in "aiueo" and sound[-1] in "aiueo":
            beats[-1] = beats[-1][:-1] + sound[-1]  # きゃ is one beat with an a
        elif character in "ーゝゞヽヾ":
            beats.append(beats[-1][-1] if beats else "")
        elif "letter" in words and sound == "n":
            beats.append("n")
        elif words and sound[-1] in "aiueo":
            beats.append(("m" if sound[0] in "mbp" else "") + sound[-1])
        else:
            beats.append(character)
    return [beat for beat in beats if beat]
