"""What is written in subtitles and transcripts but not spoken: sounds, asides, lyrics, names of speakers, markup."""

from __future__ import annotations

import html
import re

_UNSPOKEN = re.compile(
    r"♪[^♪]*♪?|♫[^♫]*♫?|\*[^*\n]+\*"
    r"|\[[^\]]*\]|［[^］]*］|【[^】]*】|〔[^〕]*〕|〈[^〉]*〉|\([^)]*\)|（[^）]*）"
)
_ASIDES_FIRST = re.compile(rf"(?:\s*(?:{_UNSPOKEN.pattern}))+\s*")
_MARKUP = re.compile(r"</?[a-zA-Z][^<>]{0,200}>|<[\d:.]{5,12}>|\{\\[^}]{0,100}\}|\{/?[a-zA-Z]{1,3}\}")
_VOICE = re.compile(r"<v(?:\.[^\s>]*)?\s+([^>]{1,100})>")
_NAME = re.compile(r"([^\W\d_][^:：]{0,30}?)\s*[:：](?!\d)\s*")
_LONGEST_NAME = 3  # words
_LONGEST_WRITTEN_TOGETHER = 8  # characters of a name in a script without capitals


def spoken(text: str) -> tuple[str, list[str]]:
    """A text without [sounds], (asides), *asides* and ♪ lyrics ♪, and these as they were."""
    left_out = [found[0] for found in _UNSPOKEN.finditer(text)]
    return (_UNSPOKEN.sub(" ", text) if left_out else text), left_out


def by_speaker(cue: str) -> list[tuple[str, str]]:
    """The lines of a cue as (speaker, text): no markup, and the speaker empty where none is named.

    A speaker is named as `NAME:` at the start of a line or by WebVTT's `<v NAME>`.
    """
    pieces = _VOICE.split(cue)
    found: list[tuple[str, str]] = []
    for voice, piece in zip(["", *pieces[1::2]], pieces[::2], strict=True):
        for line in html.unescape(_MARKUP.sub("", piece)).splitlines():
            speaker, text = _split_name(line.strip().lstrip("-–—>").strip())
            if text:
                found.append((speaker or voice.strip(), text))
    return found


def _split_name(line: str) -> tuple[str, str]:
    """The speaker that a line begins with, and the line without that name; asides stay in it."""
    asides = _ASIDES_FIRST.match(line)
    start = asides.end() if asides else 0
    found = _NAME.match(line, start)
    if found is None or not _is_name(found[1]):
        return "", line
    name, between = spoken(found[1])
    return name.strip(), " ".join([line[:start], *between, line[found.end() :]])


def _is_name(text: str) -> bool:
    """Whether what stands before a colon is a name: few words, none in small letters. `He said:` is none."""
    words = spoken(text)[0].split()
    if not words or len(words) > _LONGEST_NAME or any(word[0].islower() for word in words):
        return False
    no_capitals = any(word.isalpha() and word.lower() == word.upper() for word in words)
    return not no_capitals or sum(map(len, words)) <= _LONGEST_WRITTEN_TOGETHER
