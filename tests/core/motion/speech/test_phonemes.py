"""The times of sounds: five formats written by hand, in several alphabets, and a thousand broken ones of each."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tha4_core.errors import MotionError, THA4Error
from tha4_core.motion.speech import lip_sync, phonemes
from tha4_core.motion.speech.lip_sync import LipSyncSettings

LINES = "0.0 sil\n0.5 AA1\n1.0 M  # closed\n1.2 i\n1.7 #\n"
LAB = "0 5000000 sil\n5000000 10000000 a\n10000000 12000000 m\n12000000 17000000 i\n"
SECONDS = "0 0.5 sil\n0.5 1.0 a\n1.0 1.2 m\n1.2 1.7 i\n"
SRT = "1\n00:00:00,500 --> 00:00:01,000\n<i>a</i>\n\n2\r\n00:00:01,200 --> 00:00:01,700\r\nい\r\n"
LONG = """File type = "ooTextFile"
Object class = "TextGrid"

xmin = 0
xmax = 1.7
tiers? <exists>
size = 2
item []:
    item [1]:
        class = "IntervalTier"
        name = "words"
        xmin = 0
        xmax = 1.7
        intervals: size = 1
        intervals [1]:
            xmin = 0
            xmax = 1.7
            text = "a ""quoted"" word"
    item [2]:
        class = "IntervalTier"
        name = "phones"
        xmin = 0
        xmax = 1.7
        intervals: size = 4
        intervals [1]:
            xmin = 0
            xmax = 0.5
            text = ""
        intervals [2]:
            xmin = 0.5
            xmax = 1.0
            text = "ɑː"
        intervals [3]:
            xmin = 1.0
            xmax = 1.2
            text = "m"
        intervals [4]:
            xmin = 1.2
            xmax = 1.7
            text = "i"
"""
SHORT = """File type = "ooTextFile"
Object class = "TextGrid"

0
1.7
<exists>
1
"IntervalTier"
"phonemes"
0
1.7
4
0
0.5
"sil"
0.5
1.0
"a"
1.0
1.2
"m"
1.2
1.7
"i"
"""
FORMATS = {"lines": LINES, "lab": LAB, "seconds": SECONDS, "srt": SRT, "long": LONG, "short": SHORT}
SHARP = LipSyncSettings(attack=0, release=0)


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_says_the_same(name: str) -> None:
    sounds = phonemes.parse(FORMATS[name], name)
    spoken = [(p.start, p.end, p.mouth) for p in sounds if p.mouth != phonemes.CLOSED]
    np.testing.assert_allclose([s[:2] for s in spoken], [(0.5, 1.0), (1.2, 1.7)], atol=1e-9)
    assert [s[2].index(1.0) for s in spoken] == [0, 1]
    poses = lip_sync.from_phonemes(sounds, 100, SHARP, seconds=2.0)
    assert len(poses) == 200
    a, i = poses.values[:, 26], poses.values[:, 27]
    assert float(a[50:100].min()) == float(i[120:170].min()) == 1.0
    assert float(a[:49].max()) == float(a[101:].max()) == float(i[:119].max()) == 0.0


@pytest.mark.parametrize(
    ("text", "vowels"),
    [
        ("こんにちは", "oiiia"), ("あお", "ao"), ("カー", "a"), ("안녕", "ao"), ("AA1", "a"), ("ɑː", "a"), ("é", "e"),
        ("ma", "_a"), ("ママ", "_a_a"), ("마", "_a"), ("sil", "_"), ("", "_"), ("你好", "_"), ("sh", "u"), ("UW0", "u"),
        ("EY2", "e"),
    ],
)  # fmt: skip
def test_symbols_of_many_alphabets(text: str, vowels: str) -> None:
    heard = "".join("aiueo"[int(np.argmax(m))] if any(m) else "_" for m in phonemes.mouths(text))
    assert heard == vowels


def test_a_subtitle_is_spread_over_its_time() -> None:
    sounds = phonemes.parse("1\n00:00:01,000 --> 00:00:02,000\nこあ\n")
    assert [(p.start, p.end) for p in sounds] == [(1.0, 1.5), (1.5, 2.0)]


@pytest.mark.parametrize("name", FORMATS)
def test_broken_files_give_clear_errors(
    tmp_path: Path, name: str, mutations: Callable[[bytes], Iterator[bytes]]
) -> None:
    path, refused = tmp_path / "sounds.txt", 0
    for content in mutations(FORMATS[name].encode()):
        path.write_bytes(content)
        try:
            sounds = phonemes.load(path)
            lip_sync.from_phonemes(sounds, 10, seconds=2.0)
        except THA4Error:
            refused += 1
    assert 100 < refused <= 1000


@given(st.text(max_size=60))
def test_any_text_is_spoken_or_refused(text: str) -> None:
    assert phonemes.mouths(text)
    try:
        sounds = phonemes.parse(text)
    except THA4Error:
        return
    assert all(0 <= p.start <= p.end for p in sounds)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no sounds"),
        ("hello", "line 1: expected TIME SYMBOL"),
        ("0 a\nx a", "line 2"),
        ("1 0.5 a", "must end after it starts"),
        ("1 a\n0.5 i", "must end after it starts"),
        ("a --> b", "no times such as"),
        ('"ooTextFile" "TextGrid" "TextTier"', "without an interval tier"),
        ('"ooTextFile" "IntervalTier" "phones" 0 1 5 0 1 "a"', "ends within a tier"),
        ('"ooTextFile" "IntervalTier" "phones" 0 1 "x"', "number of intervals"),
        ('"ooTextFile" "IntervalTier" "phones" 0 1 1 "a" 0 1', "two times and a text"),
    ],
)
def test_bad_texts_are_named(text: str, says: str) -> None:
    with pytest.raises(MotionError, match=says):
        phonemes.parse(text, "mine.txt")


def test_long_ends_are_refused() -> None:
    with pytest.raises(MotionError, match="frames"):
        lip_sync.from_phonemes(phonemes.parse("0 90000.5 a", "x"), 30)
