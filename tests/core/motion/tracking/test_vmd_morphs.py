"""What the facial morphs of MikuMikuDance mean, by the names that models give them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tha4_core import pose
from tha4_core.motion.tracking import vmd_morphs


def meaning(name: str) -> set[str] | None:
    """The parameters that a morph moves, without their sides where it moves both; None for an unknown name."""
    found = vmd_morphs.parameters(name)
    if found is None:
        return None
    names = {pose.NAMES[i] for i in found}
    both = {n.removesuffix("_left") for n in names if n.endswith("_left") and n[:-4] + "right" in names}
    return both | {n for n in names if n.removesuffix("_left").removesuffix("_right") not in both}


@pytest.mark.parametrize(
    ("names", "parameters"),
    [
        ("あ 発音「あ」 口_あ あ１ ア a", {"mouth_aaa"}),
        ("い 発音「い」 i", {"mouth_iii"}),
        ("う 発音「う」", {"mouth_uuu"}),
        ("え えー ｴ", {"mouth_eee"}),
        ("お 発音「お」", {"mouth_ooo"}),
        ("口_微笑 口微笑 口わらい 口笑い にやり ニヤリ 口角上げ 口_笑 スマイル口", {"mouth_raised_corner"}),
        ("む むっ 結び 口締め 口結び 口_閉じ への字 ∧ 口怒り 口_困る", {"mouth_lowered_corner"}),
        ("ん 発音「ん」 base", set()),
        ("▲ △", {"mouth_delta"}),
        ("口_驚き 口開き 叫び", {"mouth_aaa"}),
        ("まばたき ﾏﾊﾞﾀｷ 瞬き 目_閉じ 目閉じ 目つぶり blink", {"eye_wink"}),
        ("笑い 目_微笑 目微笑 笑い目 目_笑い 目わらい にこり目", {"eye_happy_wink"}),
        ("ウィンク ｳｨﾝｸ ウインク 左ウィンク ウィンク左 wink_l", {"eye_happy_wink_left"}),
        ("ウィンク右 右ウィンク ｳｨﾝｸ右", {"eye_happy_wink_right"}),
        ("ウィンク２ 左ウィンク2", {"eye_wink_left"}),
        ("ｳｨﾝｸ２右 ウィンク2右", {"eye_wink_right"}),
        ("びっくり 見開き 目_見開き 目_驚き 目開き 驚き目 目大きく", {"eye_surprised"}),
        ("じと目 ジト目", {"eye_unimpressed"}),
        ("目_怒る 怒り目", {"eye_unimpressed"}),
        ("目_困る 半目 なごみ", {"eye_relaxed"}),
        ("下まぶた上げ", {"eye_raised_lower_eyelid"}),
        ("瞳小 瞳縮小", {"iris_small"}),
        ("困る 困り 困惑 眉_困る 眉困り 困り眉 困り眉2 ハの字眉 眉_悲しみ 悲しい", {"eyebrow_troubled"}),
        ("怒り 怒る 眉_怒る 怒り眉 眉_怒り いかり眉 まゆ怒り", {"eyebrow_angry"}),
        ("真面目 まじめ 眉_真面目 キリッ", {"eyebrow_serious"}),
        ("上 眉_上 眉上げ まゆ上", {"eyebrow_raised"}),
        ("下 眉_下 眉下げ", {"eyebrow_lowered"}),
        ("にこり 眉_微笑 眉_笑い 眉にこり", {"eyebrow_happy"}),
        ("驚き", {"eye_surprised", "eyebrow_raised"}),
        ("笑顔 喜び joy", {"eye_happy_wink", "eyebrow_happy", "mouth_raised_corner"}),
        ("困る左 左困る 眉_困る左 眉_困る_L 左眉困る", {"eyebrow_troubled_left"}),
        ("まばたき右 右まばたき blink_R 右目閉じ", {"eye_wink_right"}),
        ("口_微笑左 口角上げ左", {"mouth_raised_corner_left"}),
    ],
)
def test_common_names(names: str, parameters: set[str]) -> None:
    assert {name: meaning(name) for name in names.split()} == dict.fromkeys(names.split(), parameters)


def test_a_name_of_another_part_is_not_taken_for_it() -> None:
    for name in (
        "口_上",
        "目_上",
        "その他_頬",
        "照れ",
        "涙",
        "星目",
        "ハート目",
        "瞳大",
        "左",
        "右",
        "",
        "_",
        "2",
        "目",
        "口",
    ):
        assert meaning(name) is None, name


@given(st.text(max_size=15))
def test_any_name_is_looked_up(name: str) -> None:
    found = vmd_morphs.parameters(name)
    assert found is None or all(0 <= i < pose.COUNT and 0 < amount <= 1 for i, amount in found.items())
