"""The script: its documented lines do what they say, and every wrong line is named."""

import re

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
    values = {moment: keyframes.at(motion, [moment])[0] for moment in (0.0, 0.4, 0.8, 1.2, 1.35, 1.5, 1.9, 2.8)}
    names = pose.NAMES.index
    assert not values[0.0].any()
    assert not values[0.4].any()
    assert values[0.8][names("mouth_raised_corner_left")] == pytest.approx(0.8)
    assert values[1.2] == pytest.approx(values[0.8])
    assert values[1.35][names("iris_rotation_y")] == pytest.approx(-0.8)
    assert values[1.5][names("head_y")] == 0.0
    assert (values[1.9][names("head_y")], values[1.9][names("mouth_aaa")]) == pytest.approx((-0.5, 0.8))
    assert values[1.9][names("eye_wink_left")] == values[1.9][names("eye_wink_right")] == pytest.approx(1.0)
    assert values[2.8] == pytest.approx(keys.values[1].numpy())
    assert motion.length == pytest.approx(2.8)


def test_an_expression_stays_until_the_next_one_begins() -> None:
    text = "0 smile\n4 neutral"
    assert [at(text, t, "mouth_raised_corner") for t in (0.0, 2.0, 4.0, 4.4)] == [1, 1, 1, 0]
    assert 0 < at(text, 4.2, "mouth_raised_corner") < 1
    assert [at("1 smile", t, "mouth_raised_corner") for t in (0.0, 1.0, 1.4, 9.0)] == [0, 0, 1, 1]


def test_it_is_there_sooner_where_the_next_line_changes_the_same() -> None:
    text = "1 a linear\n1.2 i linear"
    assert (at(text, 1.1, "mouth_aaa"), at(text, 1.2, "mouth_aaa")) == pytest.approx((0.5, 1.0))
    assert at("1 a linear\n1.2 look left", 1.2, "mouth_aaa") == pytest.approx(0.5)


def test_what_is_on_its_way_as_told_goes_on_from_where_it_is() -> None:
    text = "0 neutral\n1 head_y=1 linear in 2\n2 head_y=-1 linear in 1"
    assert [at(text, t, "head_y") for t in (1.5, 2.0, 2.5, 3.0)] == pytest.approx([0.25, 0.5, -0.25, -1.0])


def test_the_same_again_changes_nothing() -> None:
    once, twice = (
        keyframes.sample(script.parse(text, length=3), 50) for text in ("1 smile", "1 smile\n1.1 smile\n2 smile")
    )
    torch.testing.assert_close(once.values, twice.values)


def test_of_two_lines_of_one_time_the_later_counts() -> None:
    assert [at("1 smile\n1 sad", t, "mouth_raised_corner") for t in (1.0, 1.2, 1.4)] == [0, 0, 0]
    assert at("1 smile\n1 sad", 1.4, "mouth_lowered_corner") == 1.0
    assert at("0 smile\n0 sad", 0.0, "mouth_lowered_corner") == 1.0


def test_tracks_are_apart() -> None:
    text = "0 mouth_aaa=0\n1 head_y=1 linear\n2 mouth_aaa=1 linear"
    assert at(text, 2.2, "mouth_aaa") == pytest.approx(0.5)
    assert at(text, 1.2, "head_y") == pytest.approx(0.5)
    assert at(text, 2.7, "head_y") == 1.0


def test_a_complete_pose_sets_all() -> None:
    text = "0 smile\n1 head_y=1\n2 neutral"
    assert not keyframes.at(script.parse(text), [2.4]).any()


def test_one_expression_takes_the_place_of_another() -> None:
    assert at("0 smile\n1 sad", 1.4, "mouth_raised_corner") == 0.0
    assert at("0 smile\n1 a", 1.4, "mouth_raised_corner") == 1.0


def test_several_in_a_line_and_the_more_particular_one_counts() -> None:
    for text in ("0 a and smile", "0 smile and a", "0 smile, a", "0 smile & a", "0 smile, a=1"):
        assert (at(text, 0, "mouth_aaa"), at(text, 0, "mouth_raised_corner")) == (1, 1)
    assert (at("0 happy and o", 0, "mouth_aaa"), at("0 happy and o", 0, "mouth_ooo")) == (0, 1)
    assert at("0 happy 0.5 and look left", 0, "eyebrow_happy") == 0.5
    text = "0 neutral\n1 smile and look left linear in 1"
    assert (at(text, 1.5, "mouth_raised_corner"), at(text, 1.5, "iris_rotation_y")) == pytest.approx((0.5, -0.4))


@pytest.mark.parametrize(
    ("written", "plain"),
    [
        ("1s smile", "1 smile"), ("1 s smile", "1 smile"), ("1: smile", "1 smile"), ("0:01.5 smile", "1.5 smile"),
        ("1:02:03 smile", "3723 smile"), ("1500ms smile", "1.5 smile"), ("at 1 smile", "1 smile"),
        ("1.5, smile, 0.8", "1.5 smile 0.8"), ("1,5 smile 0,8", "1.5 smile 0.8"), ("1 smile 80%", "1 smile 0.8"),
        ("1 smile=0.8", "1 smile 0.8"), ("1 smile = 80 %", "1 smile 0.8"), ("1 smile: 0.8", "1 smile 0.8"),
        ("1 smile (0.8)", "1 smile 0.8"), ("1\tsmile\t0.8", "1 smile 0.8"), ("1 SMILE", "1 smile"),
        ("１．５　ｓｍｉｌｅ　０．８", "1.5 smile 0.8"),
        ("1 smile # and so on", "1 smile"), ("1 smile ＃ x", "1 smile"),
        ("1 turn left", "1 head left"), ("1 close eyes", "1 eyes closed"), ("1 close your eyes", "1 eyes closed"),
        ("1 look at camera", "1 look ahead"), ("1 look at the camera", "1 look ahead"), ("1 scared", "1 afraid"),
        ("1 look to the left", "1 look left"), ("1 head_y 0.5", "1 head_y=0.5"), ("1 head y: 0.5", "1 head_y=0.5"),
        ("1 Head-Y = 50%", "1 head_y=0.5"), ("1 head x 1", "1 head_x=1"),
        ("1 head_y=.5 mouth_aaa .5", "1 head_y=0.5, mouth_aaa=0.5"),
        ("1 blink twice", "1 blink x2"), ("1 blink x 2", "1 blink x2"), ("1 blink 2 times", "1 blink x2"),
        ("1 blink 2x", "1 blink x2"), ("1 ２回", None), ("1 nod head", "1 nod"), ("1 shake her head", "1 shake"),
        ("1 まばたき", "1 blink"), ("1 点头", "1 nod"), ("1 smile in 300 ms", "1 smile in 0.3"),
        ("1 smile over 0.3s", "1 smile in 0.3"), ("1 smile EASE-OUT", "1 smile ease-out"), ("HOLD 1s\n+1 a", "2 a"),
        ("1 wait 1\n+0 a", "2 a"),
        ("1 say “a”", '1 say "a"'), ("1 say 「a」", '1 say "a"'), ("1 SAY \"a\"", '1 say "a"'),
        ("1 smile; look left", "1 smile and look left"), ("1 smile、look left", "1 smile and look left"),
    ],
)  # fmt: skip
def test_what_people_write_is_read(written: str, plain: str | None) -> None:
    if plain is None:
        with pytest.raises(MotionError, match="no expression"):
            script.parse(written)
        return
    there, wanted = (
        script.render(text, 50, length=4.0 if "3723" not in plain else 3725.0) for text in (written, plain)
    )
    torch.testing.assert_close(there.values, wanted.values)
    assert bool(wanted.values.any()) or "ahead" in plain


@pytest.mark.parametrize("name", expressions.built_in())
def test_every_name_in_every_language_is_a_line(name: str) -> None:
    expression = expressions.built_in()[name]
    for called in (name, name.upper(), *expression.labels.values(), *expression.aliases):
        if called == "困惑":  # a label of two
            continue
        values = keyframes.at(script.parse(f"0 {called}"), [0.0])[0]
        assert {i: values[i] for i in expression.values} == dict(expression.values), called


def test_nod_and_shake_come_back_to_where_the_head_was() -> None:
    text = "0 head_x=0.2\n1 nod\n3 shake"
    assert [at(text, t, "head_x") for t in (1.0, 1.2, 1.5)] == pytest.approx([0.2, -0.3, 0.2])
    assert [at(text, t, "head_y") for t in (3.0, 3.15, 3.45, 3.7)] == pytest.approx([0, -0.45, 0.45, 0])
    assert at("0 head_x=-0.9\n1 nod", 1.2, "head_x") == -1.0
    assert script.parse("1 nod x3").length == pytest.approx(1 + 3 * 0.45)
    assert script.parse("1 nod x3 in 2").length == pytest.approx(3.0)
    assert at("1 nod 50%", 1.2, "head_x") == pytest.approx(-0.25)


def test_spline_goes_from_key_to_key() -> None:
    text = "0 head_y=0\n1 head_y=0.5 spline\n2 head_y=1 spline\nhold 1\n+1 head_y=0 spline"
    assert [at(text, t, "head_y") for t in (1.0, 2.0, 2.5, 3.0, 4.0)] == pytest.approx([0.5, 1, 1, 1, 0])
    assert 0.1 < at(text, 0.5, "head_y") < 0.4
    assert at("0 neutral\n1 a\n1.2 mouth_aaa=0 spline", 1.1, "mouth_aaa") == pytest.approx(1.0)


def test_a_jump_is_there_at_its_time() -> None:
    for how in ("in 0", "step-end", "step-start"):
        assert [at(f"0 neutral\n1 a {how}", t, "mouth_aaa") for t in (0.999, 1.0, 1.1)] == [0, 1, 1]
    assert [at("0.6 a linear\n1 i in 0\n1 mouth_aaa=0.5 in 0", t, "mouth_aaa") for t in (0.8, 1.0)] == pytest.approx(
        [0.5, 0.5]
    )


def test_two_sided_names_and_sides() -> None:
    assert at("0 eye_wink=1 eye_wink_right=0.5", 0, "eye_wink_left") == 1.0
    assert at("0 eye_wink=1 eye_wink_right=0.5", 0, "eye_wink_right") == 0.5


def test_in_says_how_long_the_way_takes() -> None:
    text = "0 neutral\n2 look left linear in 0.5"
    assert at(text, 2.0, "iris_rotation_y") == 0.0
    assert at(text, 2.25, "iris_rotation_y") == pytest.approx(-0.4)
    assert at("0 smile linear in 1", 0.5, "mouth_raised_corner") == pytest.approx(0.5)


def test_times_after_the_line_before() -> None:
    assert script.parse("1 a\n+0.5 i\n+0.5 u").length == pytest.approx(2.4)
    assert script.parse("1 blink\n+1 a").length == pytest.approx(2.3 + 0.4)
    assert script.parse("1 a in 0.5\n+1 i").length == pytest.approx(2.5 + 0.4)
    assert script.parse("1 a\nhold 2\n+1 u").length == pytest.approx(4.4)
    assert script.parse("1 a\nhold 2").length == pytest.approx(3.0)


def test_hold_keeps_everything() -> None:
    text = "0 neutral\n1 a\nhold 1\n+1 closed"
    assert [at(text, t, "mouth_aaa") for t in (1.4, 2.0, 3.0, 3.4)] == [1, 1, 1, 0]


def test_blink_leaves_shut_eyes_alone_and_lids_as_they_were() -> None:
    assert at("0 eyes happy\n1 blink\n+1 neutral", 1.1, "eye_wink_left") == 0.0
    assert [at("0 eye_wink=0.4\n1 blink\n+1 head_y=0", t, "eye_wink_left") for t in (0.9, 1.1, 1.4)] == [0.4, 1, 0.4]


def test_an_expression_after_a_blink_leaves_it_be() -> None:
    assert [at("1 blink\n1.05 smile", t, "eye_wink_left") for t in (1.1, 1.3)] == pytest.approx([1.0, 0.0])


@pytest.mark.parametrize("fps", [12, 15, 24, 25, 30, 60])
@given(st.floats(0.1, 2.0))
def test_a_blink_is_seen_shut_at_every_rate(fps: int, start: float) -> None:
    assert float(script.render(f"{start} blink", fps, length=3.0).values[:, 12].max()) >= 0.9


def test_labels_name_expressions_too() -> None:
    assert at("0 微笑み", 0, "mouth_raised_corner") == 1.0
    assert at("0 Wink_Left", 0, "eye_wink_left") == 1.0


def test_last_frame_is_the_last_key() -> None:
    poses = script.render("0 neutral\n2 a", 30)
    assert len(poses) == 73  # 2 s, 0.4 s to get there, and the frame at its end
    assert poses.values[-1, 26] == 1.0
    assert poses.values[-2, 26] < 1.0
    assert len(script.render("0 neutral\n2 a", 30, length=2.0)) == 60
    assert len(script.render("0 neutral\n2 a", 30, loop=True)) == 84


@given(st.sampled_from([12, 24, 30, 60]))
def test_loops_close(fps: int) -> None:
    poses = script.render("0 smile\n1 look left in 0.2\n+0.5 blink\n2 head_x=-1 spline", fps, length=3, loop=True)
    steps = torch.cat([poses.values, poses.values[:1]]).diff(dim=0).abs()
    assert float(steps[-1].max()) <= float(steps[:-1].max())
    closed = script.parse("0 smile\n1 sad\n2 smile", loop=True)
    assert closed.length == 2.4
    np.testing.assert_allclose(*keyframes.at(closed, [0.0, 2.4]), atol=1e-9)


def test_a_loop_of_a_given_length_is_back_by_its_end() -> None:
    def held(text: str, moment: float) -> float:
        return at(text, moment, "mouth_raised_corner", length=4.0, loop=True)

    # It comes back in the last 0.4 s, whether the script says so or not.
    for text in ("0 neutral\n1 smile", "0 neutral\n1 smile\n4 neutral"):
        assert [held(text, t) for t in (1.0, 1.4, 3.6)] == pytest.approx([0, 1, 1])
        assert 0.4 < held(text, 3.8) < 0.6
        assert held(text, 3.999) < 0.01
    assert held("0 neutral\n3.8 smile", 3.9) == pytest.approx(1.0)
    assert held("0 neutral\n3.8 smile\n4 neutral", 3.9) == pytest.approx(1.0)
    with pytest.raises(MotionError, match=r"Line 2, .*after the loop's end"):
        script.parse("0 neutral\n5 smile", length=4.0, loop=True)


@given(
    st.lists(
        st.tuples(st.floats(0, 4), st.sampled_from(["smile", "a", "i", "neutral", "blink", "head_y=1"])), max_size=8
    ),
    st.sampled_from([None, 5.0]),
)
def test_any_loop_closes(lines: list[tuple[float, str]], length: float | None) -> None:
    text = "\n".join(f"{time:.3f} {what}" for time, what in sorted(lines))
    motion = script.parse(text + "\n4.3 look left", length=length, loop=True)
    steps = keyframes.at(motion, np.array([-2e-4, -1e-4, 0.0, 1e-4]) + motion.length)
    assert float(np.abs(np.diff(steps, axis=0)).max()) < 0.02


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
        ("0.4 hed_y=0.5", "Did you mean head_y"),
        ("0.4 mouth_aa 1", "Did you mean mouth_aaa"),
        ("0.4 head_y", "needs a value, such as head_y=0.5"),
        ("0.4 smile=", "number"),
        ("0.4 =0.5", "no name before it"),
        ("0.4 smile and", None),
        ("0.4 blink x0", "x1 to x100"),
        ("0.4 blink 3", "from 0 to 1"),
        ("0.4 smile 200%", "from 0 to 1"),
        ("1:2:3:4 smile", "seconds"),
        ("24:00:01 smile", "seconds"),
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
def test_errors_name_the_line(line: str, says: str | None) -> None:
    if says is None:
        script.parse(f"0.2 neutral\n{line}")
        return
    with pytest.raises(MotionError, match=says) as caught:
        script.parse(f"0.2 neutral\n# a comment\n{line}  # here")
    assert str(caught.value).startswith("Line 3, ")
    assert line in str(caught.value)


def test_all_wrong_lines_are_told_at_once() -> None:
    text = "0 smlie\n1 smile\n# fine\n2 head_z=1\nhold x\n3 key 1"
    with pytest.raises(MotionError) as caught:
        script.parse(text)
    lines = str(caught.value).splitlines()
    assert [line.split(",")[0] for line in lines[:-1]] == ["Line 1", "Line 4", "Line 5", "Line 6"]
    assert lines[-1].startswith("A line is: TIME WHAT")


@given(st.sets(st.integers(1, 60), min_size=1))
def test_every_wrong_line_is_named_however_many(wrong: set[int]) -> None:
    text = "\n".join(f"{n} {'fly' if n in wrong else 'smile'}" for n in range(1, 61))
    with pytest.raises(MotionError) as caught:
        script.parse(text)
    message = str(caught.value)
    named = {int(n) for n in re.findall(r"^Line (\d+),", message, re.MULTILINE)}
    more = re.search(r"^Wrong too: lines (.*)\.$", message, re.MULTILINE)
    for part in more[1].split(", ") if more else []:
        first, _, last = part.partition(" to ")
        named |= set(range(int(first), int(last or first) + 1))
    assert named == wrong


@pytest.mark.parametrize("line", ["0 key 3", "0 key 0", "0 key -1", "0 key x", "0 key", "0 key 1 2 3"])
def test_key_numbers_are_checked(line: str) -> None:
    with pytest.raises(MotionError, match="Line 1"):
        script.parse(line, poses=Poses(torch.zeros(2, 45)))


WORDS = ["0", "1", "2.5", "+0.3", "smile", "look", "left", "key", "in", "hold", "blink", "ease-out", "head_y=0.5", "#",
         "nan", "-1", "spline", "neutral", "=", "1e9", "eye_wink=1", "in 0", "key 1",
         "and", ",", "x2", "nod", "say", '"a"',
         "80%", "in 3", "step-end", "0:01", "head_y"]  # fmt: skip


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
    assert motion.length == pytest.approx(1 + 3 * script.SOUND_SECONDS)


def test_say_goes_on_while_the_expression_changes() -> None:
    text = '0 neutral\n1 say "a a a a" in 2\n1.5 happy\n+1 look left'
    alone = '0 neutral\n1 say "a a a a" in 2'
    for moment in (1.6, 1.8, 2.2, 2.9):
        assert at(text, moment, "mouth_aaa") == pytest.approx(at(alone, moment, "mouth_aaa"))
    assert at(text, 1.9, "mouth_raised_corner") == 1.0
    assert at(text, 3.4, "mouth_aaa") == pytest.approx(0.6)


def test_say_names_what_cannot_be_spoken() -> None:
    with pytest.raises(MotionError, match=r"Line 1, .*今, 日 cannot be spoken: write it in kana"):
        script.parse('0 say "今日はいい"')
    assert script.parse('0 say "Version 3 は 42 です"').length > 1.0


def test_a_long_script_has_few_keys() -> None:
    # What a line does not change costs nothing, so that long scripts stay fast.
    motion = script.parse("\n".join(f"{second} {'smile' if second % 2 else 'sad'}" for second in range(2000)))
    changed = sum(len(keys) for keys in motion.tracks.values())
    assert changed < 2000 * 25


@pytest.mark.parametrize("line", ["1 say hello", '1 say "hello', '1 say "a" 2', '1 say "a" in x', "1 say"])
def test_say_that_cannot_be_read_is_named(line: str) -> None:
    with pytest.raises(MotionError, match="Line 2"):
        script.parse("0 neutral\n" + line)


def test_every_line_has_its_time() -> None:
    text = "# a comment\n0 smile in 1\n\n+0.5 sad\n2 angry  # as always\nhold 1.5\n0:04 neutral"
    assert script.parse(text).line_times == {2: 0.0, 4: 1.5, 5: 2.0, 6: 3.5, 7: 4.0}
