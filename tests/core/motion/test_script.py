"""The script: its documented lines do what they say, and every wrong line is named."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tha4_core import pose
from tha4_core.errors import MotionError, THA4Error
from tha4_core.motion import expressions, keyframes, script
from tha4_core.pose import Poses, make_pose


def at(text: str, moment: float, name: str, **options: object) -> float:
    motion = script.parse(text, **options)  # type: ignore[arg-type]
    return float(keyframes.at(motion, [moment])[0, pose.indices(name)[0]])


def test_the_documented_example() -> None:
    text = "\n".join(line.strip() for line in (script.__doc__ or "").split("\n\n")[2].splitlines())
    assert text.startswith("# A wink")
    keys = Poses(torch.cat([make_pose({}), make_pose({"mouth_ooo": 1.0})]))
    motion = script.parse(text, poses=keys)
    values = {moment: keyframes.at(motion, [moment])[0] for moment in (0.0, 0.4, 0.9, 1.2, 1.5, 1.88, 2.4)}
    names = pose.NAMES.index
    assert not values[0.0].any()
    assert values[0.4][names("mouth_raised_corner_left")] == pytest.approx(0.8)
    assert values[0.9] == pytest.approx(values[0.4])
    assert values[1.2][names("iris_rotation_y")] == pytest.approx(-0.8)
    assert (values[1.5][names("head_y")], values[1.5][names("mouth_aaa")]) == (-0.5, 0.8)
    assert values[1.88][names("eye_wink_left")] == values[1.88][names("eye_wink_right")] == pytest.approx(1.0)
    assert values[2.4] == pytest.approx(keys.values[1].numpy())
    assert motion.length == 2.4


def test_tracks_are_apart() -> None:
    text = "0 mouth_aaa=0 linear\n1 head_y=1 linear\n2 mouth_aaa=1 linear"
    assert at(text, 1.0, "mouth_aaa") == pytest.approx(0.5)
    assert at(text, 0.5, "head_y") == pytest.approx(0.5)
    assert at(text, 1.7, "head_y") == 1.0


def test_a_complete_pose_sets_all() -> None:
    text = "0 smile\n1 head_y=1\n2 neutral"
    assert not keyframes.at(script.parse(text), [2.0]).any()


def test_one_expression_takes_the_place_of_another() -> None:
    assert at("0 smile\n1 sad", 1.0, "mouth_raised_corner") == 0.0
    assert at("0 smile\n1 a", 1.0, "mouth_raised_corner") == 1.0


def test_two_sided_names_and_sides() -> None:
    assert at("0 eye_wink=1 eye_wink_right=0.5", 0, "eye_wink_left") == 1.0
    assert at("0 eye_wink=1 eye_wink_right=0.5", 0, "eye_wink_right") == 0.5


def test_in_says_how_long_the_way_takes() -> None:
    text = "0 neutral\n2 look left linear in 0.5"
    assert at(text, 1.5, "iris_rotation_y") == 0.0
    assert at(text, 1.75, "iris_rotation_y") == pytest.approx(-0.4)


def test_times_after_the_line_before() -> None:
    assert script.parse("1 a\n+0.5 i\n+0.5 u").length == 2.0
    assert script.parse("1 blink\n+1 a").length == pytest.approx(2.16)
    assert script.parse("1 a\nhold 2\n+1 u").length == 4.0


def test_hold_keeps_everything() -> None:
    text = "0 neutral\n1 a\nhold 1\n+1 closed"
    assert [at(text, t, "mouth_aaa") for t in (1.0, 1.5, 2.0, 3.0)] == [1, 1, 1, 0]


def test_blink_leaves_shut_eyes_alone_and_lids_as_they_were() -> None:
    assert at("0 eyes happy\n1 blink\n+1 neutral", 1.08, "eye_wink_left") == 0.0
    assert [at("0 eye_wink=0.4\n1 blink\n+1 head_y=0", t, "eye_wink_left") for t in (0.9, 1.08, 1.3)] == [0.4, 1, 0.4]


def test_labels_name_expressions_too() -> None:
    assert at("0 微笑み", 0, "mouth_raised_corner") == 1.0
    assert at("0 Wink_Left", 0, "eye_wink_left") == 1.0


def test_last_frame_is_the_last_key() -> None:
    poses = script.render("0 neutral\n2 a", 30)
    assert len(poses) == 61
    assert poses.values[-1, 26] == 1.0
    assert len(script.render("0 neutral\n2 a", 30, length=2.0)) == 60
    assert len(script.render("0 neutral\n2 a", 30, loop=True)) == 75


@given(st.sampled_from([12, 24, 30, 60]))
def test_loops_close(fps: int) -> None:
    poses = script.render("0 smile\n1 look left in 0.2\n+0.5 blink\n2 head_x=-1 spline", fps, length=3, loop=True)
    steps = torch.cat([poses.values, poses.values[:1]]).diff(dim=0).abs()
    assert float(steps[-1].max()) <= float(steps[:-1].max())
    closed = script.parse("0 smile\n1 sad\n2 smile", loop=True)
    assert closed.length == 2.0
    np.testing.assert_allclose(*keyframes.at(closed, [0.0, 2.0]), atol=1e-9)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("smile", "must be seconds"),
        ("0.4", "does not say what happens"),
        ("0.4 smlie", "Did you mean smile"),
        ("0.4 smile 2", "from 0 to 1"),
        ("0.4 smile nan", "finite"),
        ("0.4 smile 0.5 0.5", "not expected here"),
        ("0.4 smile wobble", "no expression"),
        ("0.4 head_y=2", "outside -1 to 1"),
        ("0.4 head_y=nan", "finite"),
        ("0.4 nose=1", '"nose"'),
        ("0.4 head_y=0.5 smile", "PARAMETER=VALUE"),
        ("0.4 key 1", "connect the poses"),
        ("hold", "expected: hold SECONDS"),
        ("hold -1", "0 or more"),
        ("0.4 look left in", "no expression"),
        ("0.4 look left in x", "seconds"),
        ("-1 smile", "seconds"),
        ("1e400 smile", "seconds"),
        ("0.1 smile", "before the line above"),
        ("0.4 ease-out", "does not say"),
    ],
)
def test_errors_name_the_line(line: str, says: str) -> None:
    with pytest.raises(MotionError, match=says) as caught:
        script.parse(f"0.2 neutral\n# a comment\n{line}  # here")
    assert str(caught.value).startswith("Line 3, ")
    assert line in str(caught.value)


@pytest.mark.parametrize("line", ["0 key 3", "0 key 0", "0 key -1", "0 key x", "0 key", "0 key ²"])
def test_key_numbers_are_checked(line: str) -> None:
    with pytest.raises(MotionError, match="Line 1"):
        script.parse(line, poses=Poses(torch.zeros(2, 45)))


WORDS = ["0", "1", "2.5", "+0.3", "smile", "look", "left", "key", "in", "hold", "blink", "ease-out", "head_y=0.5", "#",
         "nan", "-1", "spline", "neutral", "=", "1e9", "eye_wink=1", "in 0", "key 1"]  # fmt: skip


@given(st.lists(st.lists(st.sampled_from(WORDS), max_size=6).map(" ".join), max_size=6).map("\n".join), st.booleans())
def test_any_words_give_a_motion_or_a_clear_error(text: str, loop: bool) -> None:
    try:
        poses = script.render(text, 10, poses=Poses(torch.ones(1, 45)), length=5.0, loop=loop)
    except MotionError:
        return
    assert len(poses) == 50


@given(st.text(max_size=200))
def test_any_text_gives_a_motion_or_a_clear_error(text: str) -> None:
    try:
        script.parse(text)
    except THA4Error as error:
        message = str(error)
    else:
        return
    assert message.startswith("Line ")


def test_known_expressions_may_be_given() -> None:
    own = expressions.Expression("stare", "eyes", {18: 1.0}, {})
    assert keyframes.at(script.parse("0 stare", known={"stare": own}), [0.0])[0, 18] == 1.0


def test_say_spells_a_text_and_shuts_the_mouth_again() -> None:
    motion = script.parse('0 neutral\n1 say "ai" in 0.4\n2 neutral')
    a, i = (pose.indices(name)[0] for name in ("mouth_aaa", "mouth_iii"))
    at = keyframes.at(motion, [0.9, 1.1, 1.3, 1.6])
    assert at[:, a].tolist() == pytest.approx([0, 1, 0, 0], abs=1e-9)
    assert at[:, i].tolist() == pytest.approx([0, 0, 1, 0], abs=1e-9)


def test_say_has_a_strength_and_a_length_of_its_own() -> None:
    motion = script.parse('0 neutral\n1 say "a a" 0.5')
    assert keyframes.at(motion, [1 + script.SOUND_SECONDS / 2])[0, pose.indices("mouth_aaa")[0]] == pytest.approx(0.5)
    assert motion.length == pytest.approx(1 + 3.5 * script.SOUND_SECONDS)


@pytest.mark.parametrize("line", ["1 say hello", '1 say "hello', '1 say "a" 2', '1 say "a" in x', "1 say"])
def test_say_that_cannot_be_read_is_named(line: str) -> None:
    with pytest.raises(MotionError, match="Line 2"):
        script.parse("0 neutral\n" + line)
