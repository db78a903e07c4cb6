"""Spelling: symbols and texts of many alphabets to mouths, numbers read aloud, and nothing left out in silence."""

import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tha4_core.motion.speech import phonemes


@pytest.mark.parametrize(
    ("text", "vowels"),
    [
        ("こんにちは", "oiiia"), ("あお", "ao"), ("カー", "aa"), ("きゃ", "a"), ("みゃあ", "_aa"), ("ファ", "a"),
        ("ｶﾞ", "a"),
        ("かった", "a_a"), ("あ、い", "a_i"), ("q", "_"), ("ʔa", "aa"), ("@", "u"), ("あ〜", "aa"), ("ッ", "_"),
        ("안녕", "ao"), ("AA1", "a"), ("ɑː", "a"), ("é", "e"),
        ("ma", "_a"), ("ママ", "_a_a"), ("마", "_a"), ("sil", "_"), ("", "_"), ("你好", "_"), ("sh", "u"), ("UW0", "u"),
        ("EY2", "e"),
    ],
)  # fmt: skip
def test_symbols_of_many_alphabets(text: str, vowels: str) -> None:
    heard = "".join("aiueo"[int(np.argmax(m))] if any(m) else "_" for m in phonemes.spell(text)[0])
    assert heard == vowels


@pytest.mark.parametrize(
    ("number", "said"),
    [
        ("3じ", "さんじ"), ("100え", "ひゃくえ"), ("2025ねん", "にせんにじゅうごねん"), ("1,000え", "せんえ"),
        ("3.14で", "さんてんいちよんで"),
        ("10000え", "いちまんえ"), ("600と8000", "ろっぴゃくとはっせん"), ("007は", "ぜろぜろななは"),
        ("42", "forty two"), ("10:30", "ten : thirty"), ("in 1999", "in one thousand nine hundred ninety nine"),
        ("100", "one hundred"), ("0", "zero"), ("3.5", "three point five"), ("25살", "이십오살"),
        ("20000000", "twenty million"),
        ("1" * 17, " ".join(["one"] * 17)),
    ],
)  # fmt: skip
def test_numbers_are_read_aloud(number: str, said: str) -> None:
    mouths, unspoken = phonemes.spell(number)
    closed_between = [m for m in mouths if any(m)]
    assert closed_between == [m for m in phonemes.spell(said)[0] if any(m)]
    assert not unspoken


@pytest.mark.parametrize(("symbol", "other"), [("AA1", "AA"), ("ni3", "ni"), ("EH2", "eh"), ("Ａ", "a")])
def test_marks_of_stress_and_tone_are_no_numbers(symbol: str, other: str) -> None:
    assert phonemes.spell(symbol) == phonemes.spell(other)


@given(st.text(max_size=30))
def test_no_letter_is_left_out_in_silence(text: str) -> None:
    mouths, unspoken = phonemes.spell(text)
    assert mouths
    if any(unicodedata.category(c) == "Lo" and "CJK" in unicodedata.name(c, "") for c in text):
        assert unspoken
        assert phonemes.complaint(unspoken).endswith(".")
