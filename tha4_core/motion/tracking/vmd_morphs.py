"""What MikuMikuDance's facial morphs mean in parameters, by the names that models commonly give them.

Every model names its morphs itself, so a name is looked up in steps until something is found:

1. *Spelling*: full and half width, hiragana and katakana, small and large kana, long vowels, brackets and underscores
   make no difference (`fold_name`).
2. *Side*: 左, 右, L, R, left or right before or after the name moves that side alone.
3. *Part*: 口, 目, 眉 and their kin before or after a name say which part of the face it moves: 口_微笑, 笑い目, 困り眉.
4. *Variant*: a number at the end (笑い2) makes no difference, unless the table has that name.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping

from ... import pose

Meaning = Mapping[str, float]

_ANGRY, _TROUBLED, _GLAD = {"eyebrow_angry": 1.0}, {"eyebrow_troubled": 1.0}, {"eyebrow_happy": 1.0}
_SHUT, _LAUGHING, _WIDE = {"eye_wink": 1.0}, {"eye_happy_wink": 1.0}, {"eye_surprised": 1.0}
_HALF_SHUT = {"eye_relaxed": 0.6}
_SMILING, _FROWNING = {"mouth_raised_corner": 1.0}, {"mouth_lowered_corner": 1.0}
_PRESSED = {"mouth_lowered_corner": 0.3}
_AT_REST: Meaning = {}
"""Known, and the same as the face at rest: nothing moves."""

# Names that mean the same are written in one line. Those of the standard model come first in each part.
_ANYWHERE: dict[str, Meaning] = {
    "base": _AT_REST,
    # mouth
    "あ a ah": {"mouth_aaa": 1.0},
    "あ2": {"mouth_aaa": 0.8},
    "い i ih": {"mouth_iii": 1.0},
    "う u ou": {"mouth_uuu": 1.0},
    "え e eh": {"mouth_eee": 1.0},
    "お o oh": {"mouth_ooo": 1.0},
    "ん n": _AT_REST,
    "ワ": {"mouth_aaa": 0.6, "mouth_raised_corner": 0.6},
    "▲ △ 三角": {"mouth_delta": 1.0},
    "∧ へ への字": _FROWNING,
    "ω 猫 ねこ にゃんこ": {"mouth_raised_corner": 0.6},
    "ω□": {"mouth_eee": 0.6, "mouth_raised_corner": 0.6},
    "□ 四角": {"mouth_eee": 0.8},
    "むっ はんっ": {"mouth_lowered_corner": 0.6},
    "む 結び 締め 一文字": _PRESSED,
    "にやり にや にっこり にこっ にこ えへ えへへ にひ 微笑 微笑み ほほえみ fun": _SMILING,
    "にやり2": {"mouth_smirk": 1.0},
    "口角上げ 口角上 口角上がり": _SMILING,
    "口角下げ 口角下 口角下がり": _FROWNING,
    "口横広げ 口横広": {"mouth_iii": 0.5},
    "口横狭め すぼめ とがらせ ちゅー キス": {"mouth_uuu": 0.8},
    "叫び": {"mouth_aaa": 1.0},
    # eyes
    "まばたき 瞬き 目閉じ blink": _SHUT,
    "笑い 笑 わらい": _LAUGHING,
    "ウィンク wink": {"eye_happy_wink_left": 1.0},
    "ウィンク右": {"eye_happy_wink_right": 1.0},
    "ウィンク2": {"eye_wink_left": 1.0},
    "ウィンク2右": {"eye_wink_right": 1.0},
    "はぅ": _SHUT,
    "なごみ 和み": {"eye_relaxed": 1.0},
    "びっくり 見開き 見開く": _WIDE,
    "じと目 じと": {"eye_unimpressed": 1.0},
    "半目 半眼 伏せ目 細目": {"eye_relaxed": 0.6},
    "下まぶた上げ 下まぶた上 下まぶた 下瞼上げ 下瞼": {"eye_raised_lower_eyelid": 1.0},
    "上まぶた下げ まぶた下げ 瞼下げ": {"eye_relaxed": 0.5},
    "瞳小 瞳縮小 瞳小さく 瞳孔小 瞳孔縮小": {"iris_small": 1.0},
    # brows
    "困る 困り 困 困惑 こまり こまる 悲しい 悲しみ 悲 哀しい 哀しみ 哀 ハの字 八の字 sad sorrow": _TROUBLED,
    "怒り 怒る 怒 いかり おこ angry anger": _ANGRY,
    "真面目 まじめ 寄せ 寄り serious": {"eyebrow_serious": 1.0},
    "キリッ きり きりり 凛": {"eyebrow_serious": 0.6},
    "上 上げ 上がり": {"eyebrow_raised": 1.0},
    "下 下げ 下がり": {"eyebrow_lowered": 1.0},
    "にこり": _GLAD,
    # the whole face
    "驚き 驚く 驚 おどろき surprised": {"eye_surprised": 1.0, "eyebrow_raised": 0.5},
    "笑顔 喜び 喜ぶ 喜 スマイル smile happy joy": {
        "eye_happy_wink": 1.0, "eyebrow_happy": 0.5, "mouth_raised_corner": 1.0,
    },
}  # fmt: skip

# What a name means as the name of one part of the face, where that is not what it means anywhere.
_IN_PART: dict[str, dict[str, Meaning]] = {
    "mouth": {
        "閉じ とじ 閉じる 結ぶ 締める きゅっ 真面目": _PRESSED,
        "笑い 笑 わらい 笑顔 喜び 喜ぶ 喜 スマイル 角上げ 角上 角上がり 上がり smile happy": _SMILING,
        "怒り 怒る 怒 困る 困り 困 困惑 悲しい 悲しみ 悲 不満 角下げ 角下 角下がり": {"mouth_lowered_corner": 0.6},
        "驚き 驚く 驚 開き 開け 開く 開 大": {"mouth_aaa": 1.0},
        "横広げ 横広 広げ 横": {"mouth_iii": 0.5},
        "横狭め 狭め 小 尖り": {"mouth_uuu": 0.8},
    },
    "eye": {
        "閉じ とじ 閉じる つぶり つむり 瞑り 閉": _SHUT,
        "微笑 微笑み ほほえみ にっこり にこり にこ 笑顔 喜び 喜ぶ 喜 スマイル smile happy": _LAUGHING,
        "驚き 驚く 驚 開き 開く 開 大 拡大 大きく": _WIDE,
        "困る 困り 困 困惑 悲しい 悲しみ 悲 哀しい 哀 sad": _HALF_SHUT,
        "怒り 怒る 怒 いかり 真面目 キリッ angry": {"eye_unimpressed": 0.6},
        "細め 細 半 伏せ": _HALF_SHUT,
    },
    "brow": {
        "微笑 微笑み ほほえみ 笑い 笑 わらい にっこり にこ 笑顔 喜び 喜ぶ 喜 スマイル smile happy": _GLAD,
        "驚き 驚く 驚": {"eyebrow_raised": 1.0},
        "しかめ": {"eyebrow_angry": 0.6},
    },
}  # fmt: skip

_PART_WORDS = {
    "mouth": ("口", "くち", "発音", "リップ", "唇", "mouth"),
    "eye": ("目", "まぶた", "eye"),
    "brow": ("眉毛", "眉", "まゆ", "eyebrow", "brow"),
}
_PART_PARAMETERS = {"mouth": ("mouth_",), "eye": ("eye_", "iris_"), "brow": ("eyebrow_",)}
_SIDE_WORDS = {"左": "_left", "右": "_right", "left": "_left", "right": "_right", "l": "_left", "r": "_right"}

_PUNCTUATION = re.compile(r"[\s_.,:;!?*+~'\"/()\[\]{}<>「」『』【】〈〉《》・、。〜ー-]")
_SAME_KANA = str.maketrans("ぁぃぅぇぉゃゅょゎゕゖ眼", "あいうえおやゆよわかけ目")


def fold_name(name: str) -> str:
    """A name without what makes no difference in spelling: ｳｨﾝｸ２右 and ウインク2_右 are one."""
    text = unicodedata.normalize("NFKC", name).casefold()
    text = "".join(chr(ord(c) - 0x60) if "ァ" <= c <= "ヶ" else c for c in text)
    return _PUNCTUATION.sub("", text).translate(_SAME_KANA)


def _by_name(table: Mapping[str, Meaning]) -> dict[str, Meaning]:
    return {fold_name(name): meaning for names, meaning in table.items() for name in names.split()}


_MEANINGS = _by_name(_ANYWHERE)
_PART_MEANINGS = {part: _by_name(table) for part, table in _IN_PART.items()}
_PARTS = [(fold_name(word), part) for part, words in _PART_WORDS.items() for word in words]


def parameters(name: str) -> dict[int, float] | None:
    """What a morph of this name moves at weight 1: index of a parameter → amount. None for a name that is not known."""
    for word, side in _sides(fold_name(name)):
        meaning = _meaning(word)
        if meaning is not None:
            return {i: amount for key, amount in meaning.items() for i in pose.indices(_on_side(key, side))}
    return None


def _sides(word: str) -> Iterator[tuple[str, str]]:
    """A folded name as it is, then without the word for its side, each with the side that it names."""
    yield word, ""
    for side_word, side in _SIDE_WORDS.items():
        if word.endswith(side_word):
            yield word.removesuffix(side_word), side
        if word.startswith(side_word):
            yield word.removeprefix(side_word), side


def _on_side(parameter: str, side: str) -> str:
    """A parameter's name for one side; those that have no sides stay as they are."""
    bare = parameter.removesuffix("_left").removesuffix("_right")
    return bare + side if side and bare + side in pose.NAMES else parameter


def _meaning(word: str) -> Meaning | None:
    for spelling in dict.fromkeys((word, word.rstrip("0123456789"))):
        if spelling in _MEANINGS:
            return _MEANINGS[spelling]
        for part_word, part in _PARTS:
            for rest in _without(spelling, part_word):
                meaning = _meaning_in_part(rest, part)
                if meaning is not None:
                    return meaning
    return None


def _without(word: str, part_word: str) -> Iterator[str]:
    if word.startswith(part_word):
        yield word.removeprefix(part_word)
    if word.endswith(part_word):
        yield word.removesuffix(part_word)


def _meaning_in_part(word: str, part: str) -> Meaning | None:
    """What a name means for one part of the face: its own meaning there, or what it means anywhere of that part."""
    found = _PART_MEANINGS[part].get(word)
    if found is not None:
        return found
    anywhere = _MEANINGS.get(word)
    if not anywhere:
        return anywhere
    return {key: amount for key, amount in anywhere.items() if key.startswith(_PART_PARAMETERS[part])} or None
