"""The times of spoken sounds: from `time symbol` lines, LAB, SRT or TextGrid files, to mouth shapes.

Symbols may be ARPAbet (AA1, SH), Japanese (a, N, cl), IPA (ɑː, ʃ), kana, or plain letters: longer texts, such as a
subtitle, are cut into the sounds they spell, each of the same length.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ... import pose
from ...errors import MotionError
from .. import reading, timeline

SUFFIXES = (".txt", ".lab", ".srt", ".vtt", ".TextGrid")

Mouth = tuple[float, float, float, float, float]
"""How far the mouth is opened in the shapes of a, i, u, e, o."""
SHAPES = tuple(pose.indices(f"mouth_{name}")[0] for name in ("aaa", "iii", "uuu", "eee", "ooo"))
"""The parameters of these shapes, by their index."""
CLOSED: Mouth = (0.0, 0.0, 0.0, 0.0, 0.0)

# Between syllables that are written as one character: a and o there are two vowels, not the sound "ao".
_BREAK = "\0"
_LAST_SECONDS = 0.2
_MAX_CHARACTERS = 20_000_000
_SILENCES = frozenset({"", "sil", "sp", "spn", "pau", "pause", "cl", "q", "br", "_", "#", "-", ".", "silb", "sile"})


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
        (0.0, 1.0, 0.0, 0.0, 0.0): "i ii iy ih ɪ",
        (0.0, 0.0, 1.0, 0.0, 0.0): "u uu uw uh ʊ ɯ w",
        (0.0, 0.0, 0.0, 1.0, 0.0): "e eh ɛ",
        (0.0, 0.3, 0.0, 0.7, 0.0): "ey",
        (0.0, 0.0, 0.4, 0.3, 0.0): "er ə ɜ ɚ ɝ ø œ r ɹ",
        (0.0, 0.0, 0.0, 0.0, 1.0): "o ow ao ɔ",
        (0.0, 0.3, 0.0, 0.0, 0.7): "oy",
        (0.0, 0.0, 0.45, 0.0, 0.0): "sh zh ch jh ʃ ʒ tʃ dʒ j",
        (0.0, 0.5, 0.0, 0.0, 0.0): "y",
        (0.0, 0.3, 0.0, 0.0, 0.0): "s z ts dz ð θ th dh c x",
        (0.0, 0.15, 0.0, 0.1, 0.0): "t d n l nn ŋ ng ɾ",
        (0.15, 0.0, 0.0, 0.15, 0.0): "k g ɡ h hh ɣ ç",
        (0.0, 0.08, 0.0, 0.0, 0.0): "f v ɸ β",
        CLOSED: "m p b",
    }
    return {symbol: mouth for mouth, symbols in sounds.items() for symbol in symbols.split()}


_SOUNDS = _table()
_LONGEST = max(map(len, _SOUNDS))
# Of the 21 vowels of a Hangul syllable, in their order; and the initials that are made with the lips.
_HANGUL_VOWELS, _HANGUL_LIPS = "aeaeoeoeoaeeouoeiuuii", (6, 7, 8, 17)


def mouths(text: str) -> list[Mouth]:
    """The mouth shapes of a symbol or a longer text, in order; a silence is one closed mouth, as is a text unknown."""
    plain = re.sub(r"[0-9ˈˌː:'’´ʰʲʷ~^]", "", text.strip().lower())
    if plain in _SILENCES:
        return [CLOSED]
    spelled = "".join(_spell(character) for character in unicodedata.normalize("NFC", plain))
    found: list[Mouth] = []
    position = 0
    while position < len(spelled):
        sizes = (n for n in range(min(_LONGEST, len(spelled) - position), 0, -1))
        size = next((n for n in sizes if spelled[position : position + n] in _SOUNDS), 0)
        if size:
            found.append(_SOUNDS[spelled[position : position + size]])
        elif spelled[position] != _BREAK and not spelled[position].isalpha() and found and found[-1] != CLOSED:
            found.append(CLOSED)
        position += size or 1
    return found or [CLOSED]


def _spell(character: str) -> str:
    """A kana or a Hangul syllable as the vowel it has, a letter with an accent without it, all else as it is."""
    if "가" <= character <= "힣":
        number = ord(character) - ord("가")
        return ("m" if number // 588 in _HANGUL_LIPS else "") + _HANGUL_VOWELS[number // 28 % 21] + _BREAK
    if "ぁ" <= character <= "ヿ":
        name = "" if character in "っッ" else unicodedata.name(character, "").rsplit(" ", 1)[-1].lower()
        vowel = name[-1:] if name[-1:] in set("aiueo") else ""
        return ("m" if vowel and name[0] in "mbp" else "") + (vowel or ("n" if name == "n" else "")) + _BREAK
    base = unicodedata.normalize("NFD", character)[0]
    return base if base.isascii() and character not in _SOUNDS else character


def load(path: Path | str) -> list[Phoneme]:
    """The sounds in a file. Raises MotionError, naming the file and the line, where it cannot be read."""
    return parse(reading.read_text(path), Path(path).name)


def parse(text: str, name: str = "The text") -> list[Phoneme]:
    """The sounds in a text of any of the formats, told apart by how they look.

    `time symbol` lines (seconds; a sound lasts until the next), `start end symbol` lines (seconds, or HTK's units of
    100 ns), SRT or WebVTT subtitles, or a Praat TextGrid, long or short.
    """
    if len(text) > _MAX_CHARACTERS:
        raise MotionError(f"{name} has {len(text):,} characters; at most {_MAX_CHARACTERS:,} are read.")
    if "ooTextFile" in text[:200] or "TextGrid" in text[:200]:
        spans = _text_grid(text, name)
    elif "-->" in text:
        spans = _subtitles(text, name)
    else:
        spans = _lines(text, name)
    result = [phoneme for span in spans for phoneme in _spread(*span, name)]
    if not result:
        raise MotionError(f"{name} has no sounds in it.")
    return result


Span = tuple[float, float, str]


def _spread(start: float, end: float, text: str, name: str) -> Iterator[Phoneme]:
    if not 0 <= start <= end <= timeline.MAX_FRAMES:
        raise MotionError(
            f"{name}: {reading.shorten(text)} lasts from {start:g} to {end:g} s; it must end after it starts."
        )
    shapes = mouths(text)
    part = (end - start) / len(shapes)
    for i, mouth in enumerate(shapes):
        yield Phoneme(start + i * part, start + (i + 1) * part, mouth)


def _lines(text: str, name: str) -> list[Span]:
    rows: list[tuple[list[float], str]] = []
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.split("#", 1)[0].split() if not line.strip().endswith("#") else line.split()
        if not words:
            continue
        times = 2 if len(words) > 2 and _is_number(words[1]) else 1
        if len(words) < times or not _is_number(words[0]):
            raise MotionError(
                f"{name}, line {number}: expected TIME SYMBOL or START END SYMBOL, not {reading.shorten(line)}."
            )
        where = f"{name}, line {number}: the time"
        rows.append(([reading.parse_number(w, where) for w in words[:times]], " ".join(words[times:])))
    return list(_timed(rows))


def _timed(rows: Sequence[tuple[list[float], str]]) -> Iterator[Span]:
    whole = all(t == int(t) for times, _ in rows for t in times)
    # HTK counts in units of 100 ns: whole numbers, and a tenth of a second is a million of them already.
    unit = 1e-7 if whole and any(t >= 100_000 for times, _ in rows for t in times) else 1.0
    for row, (times, symbol) in enumerate(rows):
        start = times[0] * unit
        following = rows[row + 1][0][0] * unit if row + 1 < len(rows) else start + _LAST_SECONDS
        yield start, times[1] * unit if len(times) > 1 else following, symbol


def _is_number(word: str) -> bool:
    return re.fullmatch(r"[-+]?[0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]{1,3})?", word) is not None


_CUE = re.compile(
    r"(?:(\d{1,3}):)?(\d{1,2}):(\d{1,2})[.,](\d{1,3})\s*-->\s*(?:(\d{1,3}):)?(\d{1,2}):(\d{1,2})[.,](\d{1,3})"
)


def _subtitles(text: str, name: str) -> list[Span]:
    spans: list[Span] = []
    for block in re.split(r"\n[ \t\r]*\n", text.replace("\r\n", "\n")):
        _, arrow, _ = block.partition("-->")
        if not arrow:
            continue
        cue = _CUE.search(block)
        if cue is None:
            raise MotionError(
                f"{name}: {reading.shorten(block.strip())} has no times such as 00:00:01,000 --> 00:00:02,500."
            )
        parts = [int(part or 0) for part in cue.groups()]
        start, end = (h * 3600 + m * 60 + s + ms / 1000 for h, m, s, ms in (parts[:4], parts[4:]))
        words = re.sub(r"<[^>]{0,100}>|\{[^}]{0,100}\}", "", block[cue.end() :])
        spans.append((start, end, " ".join(words.split())))
    return spans


_TOKEN = re.compile(r'"((?:[^"]|"")*)"|<exists>|(?<![\w.\[])(-?\d+(?:\.\d+)?(?:[eE][-+]?\d{1,3})?)(?![\w\]])')
_PHONE_TIER = re.compile(r"phon|segment|mau|sound", re.IGNORECASE)


def _text_grid(text: str, name: str) -> list[Span]:
    """The intervals of the tier of sounds; without one that is called so, of the tier with the most intervals."""
    tokens = [m.group(1) if m.group(2) is None else float(m.group(2)) for m in _TOKEN.finditer(text)]
    tiers: dict[str, list[Span]] = {}
    position = 0
    while position < len(tokens):
        if tokens[position] == "IntervalTier":
            title, spans, position = _tier(tokens, position + 1, name)
            tiers[title] = spans
        else:
            position += 1
    if not tiers:
        raise MotionError(f"{name} is a TextGrid without an interval tier.")
    named = [tier for title, tier in tiers.items() if _PHONE_TIER.search(title)]
    return named[0] if named else max(tiers.values(), key=len)


def _tier(tokens: Sequence[str | float | None], position: int, name: str) -> tuple[str, list[Span], int]:
    try:
        title, count = tokens[position], tokens[position + 3]
        if not isinstance(title, str) or not isinstance(count, float) or not 0 <= count <= len(tokens):
            raise MotionError(f"{name}: an interval tier must have a name, its times and its number of intervals.")
        position += 4
        spans: list[Span] = []
        for _ in range(int(count)):
            start, end, label = tokens[position : position + 3]
            if not (isinstance(start, float) and isinstance(end, float) and isinstance(label, str)):
                raise MotionError(f"{name}: the intervals of tier {reading.shorten(title)} need two times and a text.")
            spans.append((start, end, label))
            position += 3
    except (IndexError, ValueError) as error:
        raise error if isinstance(error, MotionError) else MotionError(f"{name} ends within a tier.") from error
    return title, spans, position
