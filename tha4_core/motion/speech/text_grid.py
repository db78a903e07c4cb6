"""Praat's TextGrids, long and short."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from ...errors import MotionError
from .. import reading
from .spans import Span

_TOKEN = re.compile(r'"((?:[^"]|"")*)"|<exists>|(?<![\w.\[])(-?\d+(?:\.\d+)?(?:[eE][-+]?\d{1,3})?)(?![\w\]])')
_PHONE_TIER = re.compile(r"phon|segment|mau|sound", re.IGNORECASE)


class _Tier(NamedTuple):
    title: str
    spans: list[Span]

    @property
    def phones(self) -> bool:
        return _PHONE_TIER.search(self.title) is not None

    @property
    def spoken(self) -> bool:
        return any(span.text.strip() for span in self.spans)


def read(text: str, name: str, speaker: str = "") -> tuple[list[Span], list[str]]:
    """The intervals of one tier, and notes.

    It is the first tier of sounds in which something is said; where no tier is called so, the one with the most
    intervals. `speaker`, a part of a tier's name, says among which. Raises MotionError where there is no such tier.
    """
    tiers = _tiers(text, name)
    if not tiers:
        raise MotionError(f"{name} is a TextGrid without an interval tier.")
    named = [tier for tier in tiers if speaker.lower() in tier.title.lower()]
    if not named:
        titles = ", ".join(tier.title for tier in tiers[:20])
        raise MotionError(f"{name} has no tier {reading.shorten(speaker)}. The tiers are: {titles}.")
    phones = [tier for tier in named if tier.phones]
    taken = next((tier for tier in phones if tier.spoken), None) or max(
        phones or named, key=lambda tier: len(tier.spans)
    )
    return [span._replace(phone=taken.phones) for span in taken.spans], _notes(taken, tiers, speaker)


def _notes(taken: _Tier, tiers: list[_Tier], speaker: str) -> list[str]:
    """Which tier was taken, where another one of its kind could have been."""
    others = [tier.title for tier in tiers if tier is not taken and tier.phones == taken.phones and tier.spoken]
    if not others:
        return []
    how = "" if speaker else " Name one in speaker to choose it."
    return [f'Spoken: the tier "{taken.title}". Left out: {", ".join(others[:20])}.{how}']


def _tiers(text: str, name: str) -> list[_Tier]:
    tokens = [m.group(1) if m.group(2) is None else float(m.group(2)) for m in _TOKEN.finditer(text)]
    tiers: list[_Tier] = []
    position = 0
    while position < len(tokens):
        if tokens[position] == "IntervalTier":
            tier, position = _tier(tokens, position + 1, name)
            tiers.append(tier)
        else:
            position += 1
    return tiers


def _tier(tokens: Sequence[str | float | None], position: int, name: str) -> tuple[_Tier, int]:
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
            spans.append(Span(start, end, label.replace('""', '"')))
            position += 3
    except (IndexError, ValueError) as error:
        raise error if isinstance(error, MotionError) else MotionError(f"{name} ends within a tier.") from error
    return _Tier(title, spans), position
