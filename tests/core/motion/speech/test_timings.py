"""The times of sounds: all formats say the same, what is left out is told, broken files are refused."""

import contextlib
import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import REFERENCE
from tha4_core.errors import MotionError, THA4Error
from tha4_core.motion.speech import lip_sync, phonemes, timings
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
CONTEXT = "".join(
    f"{start} {end} xx^xx-{phone}+xx=i/A:xx+xx+xx/B:xx-xx_xx/F:3_3#0_xx@1_4|1_23/K:1+4-23\n"
    for start, end, phone in [
        (0, 5000000, "sil"),
        (5000000, 10000000, "a"),
        (10000000, 12000000, "m"),
        (12000000, 17000000, "I"),
    ]
)
SCORES = "".join(line + " -123.4567\n" for line in LAB.splitlines())
AUDACITY = "0.000000\t0.500000\tsil\n\\\t100.0\t200.0\n0.5\t1.0\ta\n1.0\t1.2\tm\n1,2\t1,7\ti\n"
VTT = """WEBVTT

NOTE made by hand

STYLE
::cue { color: white }

first
00:00.500 --> 00:01.000 align:start
<v Ann><b>a</b></v>

00:01.200 --> 00:01.700
い&#39;
"""
WHISPER_TSV = "start\tend\ttext\n500\t1000\ta\n1000\t1200\t\n1200\t1700\tい\n"
WHISPER = json.dumps({"text": "a い", "language": "ja", "segments": [
    {"id": 0, "start": 0.5, "end": 1.0, "text": " a"},
    {"id": 1, "start": 1.2, "end": 1.7, "text": " い", "words": [{"word": " い,", "start": 1.2, "end": 1.7}]},
]})  # fmt: skip
OPENAI = json.dumps({"task": "transcribe", "words": [
    {"word": "a", "start": 0.5, "end": 1.0}, {"word": "i", "start": 1.2, "end": 1.7},
], "segments": [{"start": 0, "end": 2, "text": "a i"}]})  # fmt: skip
WHISPER_CPP = json.dumps({"transcription": [
    {"timestamps": {"from": "00:00:00,500", "to": "00:00:01,000"}, "offsets": {"from": 500, "to": 1000}, "text": " a"},
    {"offsets": {"from": 1200, "to": 1700}, "text": " i."},
]})  # fmt: skip
VOICEVOX = json.dumps({
    "accent_phrases": [
        {"moras": [{"text": "ア", "consonant": None, "vowel": "a", "vowel_length": 1.0, "pitch": 5.0}],
         "pause_mora": {"text": "、", "consonant": None, "vowel": "pau", "vowel_length": 0.1}},
        {"moras": [{"text": "ミ", "consonant": "m", "consonant_length": 0.3, "vowel": "I", "vowel_length": 1.0}]},
    ],
    "speedScale": 2.0, "prePhonemeLength": 1.0, "postPhonemeLength": 0.4,
})  # fmt: skip
FORMATS = {"lines": LINES, "lab": LAB, "seconds": SECONDS, "srt": SRT, "long": LONG, "short": SHORT, "context": CONTEXT,
           "scores": SCORES, "audacity": AUDACITY, "vtt": VTT, "whisper tsv": WHISPER_TSV, "whisper": WHISPER,
           "openai": OPENAI, "whisper.cpp": WHISPER_CPP, "voicevox": VOICEVOX}  # fmt: skip
SHARP = LipSyncSettings(attack=0, release=0)


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_says_the_same(name: str) -> None:
    sounds = timings.parse(FORMATS[name], name).phonemes
    spoken = [(p.start, p.end, p.mouth) for p in sounds if p.mouth != phonemes.CLOSED]
    np.testing.assert_allclose([s[:2] for s in spoken], [(0.5, 1.0), (1.2, 1.7)], atol=1e-9)
    assert [s[2].index(1.0) for s in spoken] == [0, 1]
    poses = lip_sync.from_phonemes(sounds, 100, SHARP, seconds=2.0)
    assert len(poses) == 200
    a, i = poses.values[:, 26], poses.values[:, 27]
    assert float(a[50:100].min()) == float(i[120:170].min()) == 1.0
    assert float(a[:49].max()) == float(a[101:].max()) == float(i[:119].max()) == 0.0


def test_a_subtitle_is_spread_over_its_time() -> None:
    sounds = timings.parse("1\n00:00:01,000 --> 00:00:02,000\nこあ\n").phonemes
    assert [(p.start, p.end) for p in sounds] == [(1.0, 1.5), (1.5, 2.0)]


@given(st.text(max_size=60))
def test_any_text_is_spoken_or_refused(text: str) -> None:
    assert phonemes.spell(text)[0]
    try:
        sounds = timings.parse(text).phonemes
    except THA4Error:
        return
    assert all(0 <= p.start <= p.end for p in sounds)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no sounds"),
        ("hello", "line 1: expected TIME SYMBOL"),
        ("0 a\nx a", "line 2"),
        ("{", "not JSON"),
        ("{}", "none of Rhubarb"),
        ('[{"moras": 1}]', "moras must be a list"),
        ('{"mouthCues": {}}', "mouthCues must be a list"),
        ('{"mouthCues": [1]}', "mouthCues 1 must be an object"),
        ('{"mouthCues": [{"start": 0, "end": 1, "value": "Q"}]}', "value must be one of A, B"),
        ('{"mouthCues": [{"start": 0, "end": "1", "value": "A"}]}', "end must be a number"),
        ('{"segments": [{"start": 0, "end": 1}]}', "segments 1: text must be a text"),
        ('{"transcription": [{"text": "a"}]}', "offsets must be an object"),
        ('{"accent_phrases": [{"moras": [{"vowel": "a"}]}]}', "vowel_length must be a number"),
        ('{"accent_phrases": [], "speedScale": 0}', "must be above 0"),
        ('{"accent_phrases": [], "prePhonemeLength": -1}', "0 or more"),
        ("<?xml version='1.0'?><a/>", "expected <rhubarbResult>"),
        ('<rhubarbResult><mouthCue start="0" end="1">Q</mouthCue>', "expected <rhubarbResult>"),
        ("start\tend\ttext\n5", "line 2: expected START, END and TEXT"),
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
        timings.parse(text, "mine.txt")


def test_long_ends_are_refused() -> None:
    with pytest.raises(MotionError, match="frames"):
        lip_sync.from_phonemes(timings.parse("0 90000.5 a", "x").phonemes, 30)


# --- formats -------------------------------------------------------------------------------------------------------


def test_voicevox_lengths_are_as_its_engine_speaks_them() -> None:
    sounds = timings.parse(VOICEVOX).phonemes
    assert [(round(p.start, 3), round(p.end, 3)) for p in sounds] == [
        (0.0, 0.5), (0.5, 1.0), (1.0, 1.05), (1.05, 1.2), (1.2, 1.7), (1.7, 1.9)
    ]  # fmt: skip
    told = json.loads(VOICEVOX) | {"pauseLength": 0.6, "pauseLengthScale": 0.5}
    assert timings.parse(json.dumps(told)).phonemes[-1].end == pytest.approx(1.9 - 0.05 + 0.15)
    told["accent_phrases"][0]["is_interrogative"] = True
    assert timings.parse(json.dumps(told)).phonemes[-1].end == pytest.approx(1.9 - 0.05 + 0.15 + 0.075)
    bare = timings.parse(json.dumps(json.loads(VOICEVOX)["accent_phrases"])).phonemes
    assert bare[-1].end == pytest.approx(2.4)


CUES = [(0.0, 0.3, "X"), (0.3, 0.5, "D"), (0.5, 0.6, "A"), (0.6, 0.9, "F"), (0.9, 1.1, "X")]
RHUBARB = {
    "tsv": "".join(f"{start}\t{shape}\n" for start, _, shape in CUES),
    "json": json.dumps({"metadata": {"duration": 1.1}, "mouthCues": [
        {"start": start, "end": end, "value": shape} for start, end, shape in CUES]}),
    "xml": '<?xml version="1.0" encoding="utf-8"?>\n<rhubarbResult>\n<mouthCues>' + "".join(
        f'<mouthCue start="{start}" end="{end}">{shape}</mouthCue>\n' for start, end, shape in CUES
    ) + "</mouthCues></rhubarbResult>",
}  # fmt: skip


@pytest.mark.parametrize("name", RHUBARB)
def test_rhubarbs_letters_are_mouths_and_not_sounds(name: str) -> None:
    found = timings.parse(RHUBARB[name])
    np.testing.assert_allclose([(p.start, p.end) for p in found.phonemes], [cue[:2] for cue in CUES], atol=1e-9)
    a, u = (np.array(p.mouth) for p in (found.phonemes[1], found.phonemes[3]))
    assert (a.argmax(), u.argmax()) == (0, 2)
    assert found.phonemes[0].mouth == found.phonemes[2].mouth == phonemes.CLOSED
    assert bool(found.notes) == (name == "tsv")


def test_capital_vowels_are_no_mouths_of_rhubarb() -> None:
    assert timings.parse("0 A\n0.5 E\n").phonemes[0].mouth == phonemes.spell("a")[0][0]


@pytest.mark.parametrize("name", [*FORMATS, *RHUBARB])
def test_broken_files_give_clear_errors(
    tmp_path: Path, name: str, mutations: Callable[[bytes], Iterator[bytes]]
) -> None:
    path, refused = tmp_path / "sounds.txt", 0
    for number, content in enumerate(itertools.islice(mutations({**FORMATS, **RHUBARB}[name].encode()), 300)):
        path.write_bytes(content)
        try:
            sounds = timings.load(path, "Ann" if number % 5 == 0 else "").phonemes
        except THA4Error:
            refused += 1
            continue
        assert all(0 <= sound.start <= sound.end for sound in sounds)
    assert 60 < refused <= 300


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["segments", "words", "word", "start", "end", "text", "mouthCues", "value", "accent_phrases",
                         "moras",                         "vowel", "vowel_length", "consonant", "pause_mora",
                         "transcription", "offsets", "from", "to"]),
        inner, max_size=4),
    max_leaves=20,
)  # fmt: skip


@given(json_values)
def test_any_json_is_spoken_or_refused(value: object) -> None:
    with contextlib.suppress(THA4Error):
        timings.parse(json.dumps(value))


# --- what is left out, and who speaks ------------------------------------------------------------------------------


def spoken(text: str, **options: str) -> str:
    found = timings.parse(text, **options).phonemes
    return "".join("aiueo"[int(np.argmax(p.mouth))] for p in found if any(p.mouth))


def cues(*texts: str) -> str:
    return "\n\n".join(f"00:{i:02}:00,000 --> 00:{i:02}:01,000\n{text}" for i, text in enumerate(texts))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[door opens] a", "a"), ("(softly) a", "a"), ("a (o o) i", "ai"), ("♪ o o o ♪", ""), ("♪ o o", ""),
        ("a *o* i", "ai"),
        ("（笑）あ", "a"), ("【ナレーション】い", "i"), ("ANN: a", "a"), ("ANN (o o): a", "a"), ("[o] ANN: a", "a"),
        ("Ann Lee: a", "a"),
        ("- a\n- i", "ai"), (">> a", "a"), ("太郎：あ", "a"), ("Speaker 12: a", "a"), ("{\\an8}a", "a"),
        ("<font color='red'>a</font>", "a"),
        ("a: i", "ai"),
    ],
)  # fmt: skip
def test_what_is_not_spoken_in_subtitles(text: str, said: str) -> None:
    assert spoken(cues(text)) == said


def test_what_is_left_out_is_told() -> None:
    notes = timings.parse(cues("[door opens] a", "♪ la la ♪", "ANN: (softly) a 今日は 😀")).notes
    assert notes == (
        "The name ANN is not spoken.",
        "Not spoken: [door opens], ♪ la la ♪, (softly).",
        "今, 日, 😀 cannot be spoken: write it in kana (Chinese: in pinyin).",
    )
    assert timings.parse(cues("a", "i!")).notes == ()
    assert "and 4 more" in timings.parse(cues(*(f"[{word}]" for word in "abcdefghi"), "[x] [y] [z] a")).notes[0]


def test_one_speaker_of_several_can_be_chosen() -> None:
    text = cues("ANN: a", "BOB: i\nANN: a", "<v Bob>i</v>")
    assert spoken(text) == "aiai"
    assert "2 speakers" in " ".join(timings.parse(text.replace("Bob", "BOB")).notes)
    assert spoken(text, speaker="ann") == "aa"
    assert spoken(text, speaker="BOB") == "ii"
    assert "Left out: ANN" in " ".join(timings.parse(text, speaker="bob").notes)
    with pytest.raises(MotionError, match=r"no speaker 'Eve'. The speakers are: ANN, BOB, Bob"):
        timings.parse(text, speaker="Eve")
    with pytest.raises(MotionError, match="names no speakers"):
        timings.parse(LINES, speaker="Eve")
    said = {"segments": [{"start": i, "end": i + 1, "text": t, "speaker": f"SPEAKER_0{i}"} for i, t in enumerate("ai")]}
    assert spoken(json.dumps(said), speaker="SPEAKER_01") == "i"


def grid(*tiers: tuple[str, str]) -> str:
    parts = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "0", "1", "<exists>", str(len(tiers))]
    for title, label in tiers:
        parts += ['"IntervalTier"', f'"{title}"', "0", "1", "1", "0", "1", f'"{label}"']
    return "\n".join(parts)


def test_a_tier_of_a_text_grid_can_be_chosen() -> None:
    two = grid(("Ann - words", "no"), ("Ann - phones", "a"), ("Bob - words", "so"), ("Bob - phones", "i"))
    assert spoken(two) == "a"
    assert timings.parse(two).notes == (
        'Spoken: the tier "Ann - phones". Left out: Bob - phones. Name one in speaker to choose it.',
    )
    assert spoken(two, speaker="bob") == "i"
    assert timings.parse(two, speaker="bob").notes == ('Spoken: the tier "Bob - phones". Left out: Ann - phones.',)
    assert spoken(two, speaker="Bob - words") == "io"
    with pytest.raises(MotionError, match=r"no tier 'Eve'. The tiers are: Ann - words, Ann - phones"):
        timings.parse(two, speaker="Eve")
    assert timings.parse(grid(("words", "no"), ("phones", "a"))).notes == ()
    assert spoken(grid(("Ann phones", ""), ("Bob phones", "i"))) == "i"
    assert "Left out: Bob" in timings.parse(grid(("Ann", "a"), ("Bob", "i"))).notes[0]


def test_sampa_is_read_in_tiers_of_phones() -> None:
    for symbol, vowel in (("@", "u"), ("{", "a"), ("6", "a"), ("9", "u"), ("E:", "e"), ("a_~", "a"), ("<p:>", "")):
        assert spoken(grid(("MAU", symbol))) == vowel, symbol


def test_words_without_times_are_told() -> None:
    words = [{"word": "a", "start": 0, "end": 1}, {"word": "2025"}, {"word": "i", "start": 1, "end": 2}]
    found = timings.parse(json.dumps({"segments": [{"start": 0, "end": 2, "text": "a 2025 i", "words": words}]}))
    assert found.notes == ("Words without a time left out: 2025.",)
    assert len(found.phonemes) == 2


def test_the_labels_of_a_real_recording() -> None:
    path = REFERENCE / "cases" / "motion" / "BASIC5000_0001.lab"
    if not path.is_file():
        pytest.skip(f"{path} is not here: no full-context labels of a real recording are read")
    found = timings.load(path)
    assert found.notes == ()
    said = "".join("aiueo"[int(np.argmax(p.mouth))] if max(p.mouth) > 0.4 else "" for p in found.phonemes)
    assert said.startswith("iuoaeeuiaaaauaaueuaaaaioeu")
    assert 2 < found.phonemes[-1].end < 6
