"""Expressions: the library is sound, they blend, and hostile files of a user are refused with their name."""

import json
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tha4_core import pose
from tha4_core.errors import MotionError, THA4Error
from tha4_core.motion import expressions, groups
from tha4_core.pose import Poses

LIBRARY = expressions.built_in()
names = st.sampled_from(sorted(LIBRARY))
amounts = st.floats(0, 1)


@pytest.mark.parametrize("name", LIBRARY)
def test_every_expression_is_a_pose_with_names_in_four_languages(name: str) -> None:
    expression = LIBRARY[name]
    assert set(expression.labels) == {"en", "ja", "zh", "ko"}
    made = pose.check_poses(expressions.to_pose(expression))
    assert bool(made.any()) == any(expression.values.values())
    for label in expression.labels.values():
        assert expressions.find(label).values == expression.values or label in ("困惑",)


def test_the_usual_ones_are_there() -> None:
    for name in ("neutral", "smile", "sad", "angry", "surprised", "wink left", "look up", "a", "i", "u", "e", "o"):
        assert expressions.find(name).name == name
    assert {e.kind for e in LIBRARY.values()} == set(expressions.KINDS)
    assert len(expressions.find("neutral").values) == pose.COUNT


def test_left_is_the_characters() -> None:
    left, right = (expressions.to_pose(expressions.find(f"look {side}"))[0, 38] for side in ("left", "right"))
    assert left < 0 < right


@given(names, amounts)
def test_strength_scales_and_applies(name: str, strength: float) -> None:
    expression = expressions.find(name)
    applied = expressions.apply(Poses(torch.zeros(2, 45)), expression, strength).values
    torch.testing.assert_close(applied[:1], expressions.to_pose(expression, strength))
    base = torch.rand(1, 45)
    kept = [i for i in range(45) if i not in expression.values]
    over = expressions.apply(Poses(base), expression, strength).values
    assert torch.equal(over[:, kept], base[:, kept])
    goal = expressions.to_pose(expression)[:, list(expression.values)]
    torch.testing.assert_close(
        over[:, list(expression.values)], torch.lerp(base[:, list(expression.values)], goal, strength)
    )


@given(names, names, amounts)
def test_blends(a: str, b: str, amount: float) -> None:
    first, second = expressions.find(a), expressions.find(b)
    assert expressions.blend(first, first, amount).values == dict(sorted(first.values.items()))
    mixed = expressions.to_pose(expressions.blend(first, second, amount))
    wanted = expressions.to_pose(first) * (1 - amount) + expressions.to_pose(second) * amount
    torch.testing.assert_close(mixed, wanted)


def _write(folder: Path, data: object) -> Path:
    path = folder / "mine.json"
    path.write_text(data if isinstance(data, str) else json.dumps(data), "utf-8")
    return path


def _file(**entry: object) -> dict[str, object]:
    return {"format": "tha4-expressions", "version": 1, "expressions": [{"name": "mine", **entry}]}


def test_users_own_are_added_and_may_replace(tmp_path: Path) -> None:
    _write(tmp_path, _file(values={"mouth_aaa": 0.5, "eye_wink": 1}, clears=["vowels"]))
    own = expressions.library(tmp_path)["mine"]
    assert own.values == {**dict.fromkeys(groups.VOWELS, 0.0), 26: 0.5, 12: 1.0, 13: 1.0}
    _write(tmp_path, _file(values={"mouth_aaa": 0.5}, name="Smile"))
    assert expressions.library(tmp_path)["smile"].values == {26: 0.5}
    assert expressions.built_in()["smile"].values != {26: 0.5}
    assert expressions.library(tmp_path / "nowhere") == dict(expressions.built_in())


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ("", "empty"),
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "not a file of expressions"),
        ({"format": "tha4-expressions", "version": 2}, "version 2"),
        ({"format": "tha4-expressions", "version": 1, "expressions": {}}, "must be a list"),
        ({"format": "tha4-expressions", "version": 1, "expressions": [1]}, "expression 1 must be an object"),
        (_file(), "moves nothing"),
        (_file(values={"nose": 1}), "nose"),
        (_file(values={"mouth_aaa": 2}), "outside 0 to 1"),
        (_file(values={"mouth_aaa": True}), "must be a number"),
        (_file(values={"mouth_aaa": "1"}), "must be a number"),
        (_file(values={"mouth_aaa": 10**400}), "too large"),
        (_file(values={"mouth_aaa": float("nan")}), "finite"),
        (_file(values=[1]), "must be an object"),
        (_file(values={"mouth_aaa": 1}, clears=["ears"]), "clears"),
        (_file(values={"mouth_aaa": 1}, clears=[["mouth"]]), "clears"),
        (_file(values={"mouth_aaa": 1}, kind="mood"), "kind"),
        (_file(values={"mouth_aaa": 1}, kind=[]), "kind"),
        (_file(values={"mouth_aaa": 1}, labels={"en": 1}), "labels"),
        (_file(values={"mouth_aaa": 1}, name="0.5"), "start with a letter"),
        (_file(values={"mouth_aaa": 1}, name="a" * 61), "start with a letter"),
        (_file(values={"mouth_aaa": 1}, name=None), "start with a letter"),
        (_file(values={"mouth_aaa": 1}, name="fade in"), '"in"'),
        (_file(values={"mouth_aaa": 1}, name="ease"), '"ease"'),
    ],
)
def test_bad_files_are_named(tmp_path: Path, data: object, says: str) -> None:
    _write(tmp_path, data)
    with pytest.raises(THA4Error, match=says) as caught:
        expressions.library(tmp_path)
    assert "mine.json" in str(caught.value) or "nose" in str(caught.value)


def test_huge_file_is_refused(tmp_path: Path) -> None:
    _write(tmp_path, " " * (1024 * 1024 + 1))
    with pytest.raises(MotionError, match="at most"):
        expressions.library(tmp_path)


@pytest.mark.parametrize("strength", [-0.1, 1.1, float("nan")])
def test_strength_is_checked(strength: float) -> None:
    with pytest.raises(MotionError, match="strength"):
        expressions.to_pose(expressions.find("smile"), strength)
