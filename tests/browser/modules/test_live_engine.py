"""The live engine: the library's numbers for tracked faces, and how what drives a character works together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import Page

from tha4_core import pose
from tha4_core.motion.tracking import conversion, recordings
from tha4_core.motion.tracking.conversion import ConversionSettings
from tha4_core.motion.tracking.face import Calibration, TrackedFace
from tha4_core.pose import NAMES

SHAPES = [
    *(f"{name}{side}" for side in ("Left", "Right") for name in (
        "eyeBlink", "eyeWide", "cheekSquint", "browDown", "browOuterUp", "mouthSmile", "mouthFrown", "mouthLowerDown",
        "eyeLookUp", "eyeLookDown", "eyeLookIn", "eyeLookOut")),
    *("browInnerUp", "jawOpen", "mouthFunnel", "mouthPucker", "mouthShrugUpper"),
]  # fmt: skip
ALONE = """
    const { LiveEngine } = await import("/live/engine.js");
    const still = { idle: 0, smoothing: 0, recentreSeconds: 0 };
    const engine = (settings = {}) => new LiveEngine(library, { ...still, ...settings });
    const place = Object.fromEntries(library.parameters.map(({ name }, i) => [name, i]));
    const moved = ({ name }, i, pose) => (pose[i] ? [[name, pose[i]]] : []);
    const named = (pose) => Object.fromEntries(library.parameters.flatMap((one, i) => moved(one, i, pose)));
"""


@pytest.fixture
def page(modules: Page) -> Page:
    return modules


def run(page: Page, script: str, *arguments: Any) -> Any:
    """What a piece of JavaScript returns that has `engine`, `place`, `named` and its `given` arguments."""
    return page.evaluate(f"async (given) => {{ {ALONE} {script} }}", list(arguments))


def convert(page: Page, faces: TrackedFace, neutral: Calibration, settings: dict[str, Any]) -> NDArray[np.float64]:
    """The page's conversion of every face, `[N, 45]`."""
    rows = [
        {"shapes": {name: float(values[i]) for name, values in faces.shapes.items()},
         "angles": np.degrees(faces.head[i]).tolist()}
        for i in range(len(faces))
    ]  # fmt: skip
    calibration = {"shapes": dict(neutral.shapes), "angles": np.degrees(neutral.head).tolist()}
    return np.array(
        run(
            page,
            """
            const { faceConverter } = await import("/live/conversion.js");
            const [faces, neutral, settings] = given;
            const convert = faceConverter(library.live);
            return faces.map(({ shapes, angles }) => {
                const values = convert(shapes, angles, neutral, settings);
                const both = (name) => name.replace(/_(left|right)$/, "");
                return library.parameters.map(({ name }) => values[name] ?? values[both(name)] ?? 0);
            });
            """,
            rows,
            calibration,
            settings,
        )
    )


def random_faces(count: int) -> TrackedFace:
    random = np.random.default_rng(5)
    # Most shapes of a face are small at any time, and some are full.
    shapes = {name: np.clip(random.exponential(0.25, count), 0, 1) for name in SHAPES}
    return TrackedFace(np.arange(count) / 30, shapes, random.normal(0, 0.15, (count, 3)))


@pytest.mark.parametrize("settings", [{}, {"brow_down": "serious", "blink": "relaxed", "gaze": 1.0, "body": 0.5}])
def test_random_faces_give_the_librarys_poses(page: Page, settings: dict[str, Any]) -> None:
    faces = random_faces(400)
    neutral = Calibration(np.array([0.02, -0.05, 0.03]), {"jawOpen": 0.05, "eyeBlinkLeft": 0.2, "eyeLookUpLeft": 0.1})
    for calibration in (Calibration(), neutral):
        expected = conversion.convert(faces, ConversionSettings(**settings), calibration)
        np.testing.assert_allclose(convert(page, faces, calibration, settings), expected, atol=1e-9)


def test_golden_faces_give_the_librarys_poses(page: Page, golden: Path) -> None:
    faces = recordings.parse((golden / "mediapipe_to_pose.json").read_text("utf-8"))
    expected = conversion.convert(faces, conversion.DEFAULT, Calibration())
    np.testing.assert_allclose(convert(page, faces, Calibration(), {}), expected, atol=1e-9)


def test_recordings_as_users_bring_them_give_the_librarys_poses(page: Page, cases: Path) -> None:
    found = [path for path in sorted((cases / "motion").iterdir()) if path.name[1] == "_"]
    assert found
    for path in found:
        faces = recordings.parse(path.read_text("utf-8"))
        expected = conversion.convert(faces, conversion.DEFAULT, Calibration())
        np.testing.assert_allclose(convert(page, faces, Calibration(), {}), expected, atol=1e-9, err_msg=path.name)


def test_a_face_that_stays_is_what_the_engine_shows(page: Page) -> None:
    faces = random_faces(1)
    expected = conversion.convert(faces, conversion.DEFAULT, Calibration())[0]
    face = {"shapes": {k: float(v[0]) for k, v in faces.shapes.items()}, "angles": np.degrees(faces.head[0]).tolist()}
    script = """
        const one = engine();
        let shown;
        for (let k = 0; k <= 300; k += 1) {
            one.receive({ type: "face", found: true, ...given[0] }, k / 60);
            shown = one.pose(k / 60);
        }
        return [...shown];
    """
    np.testing.assert_allclose(run(page, script, face), expected, atol=1e-4)


def test_idle_is_in_range_blinks_breathes_and_is_the_same_again(page: Page) -> None:
    seconds = 60
    motion, again, other = run(
        page,
        """
        const motion = (seed) => {
            const one = engine({ idle: true, seed });
            return Array.from({ length: 60 * given[0] }, (_, k) => [...one.pose(100 + k / 60)]);
        };
        const [first, ...others] = [0, 0, 1].map(motion);
        return [first, ...others.map((one) => JSON.stringify(one) === JSON.stringify(first))];
        """,
        seconds,
    )
    motion = np.array(motion)
    assert (again, other) == (True, False)
    in_range(motion)
    shut = motion[:, NAMES.index("eye_wink_left")] > 0.9
    assert 10 <= (shut[1:] & ~shut[:-1]).sum() * 60 / seconds <= 25
    assert np.ptp(motion[:, NAMES.index("breathing")]) == pytest.approx(1, abs=1e-3)
    assert np.abs(np.diff(motion[:, NAMES.index("head_y")])).max() < 0.05
    assert motion[:, NAMES.index("iris_rotation_y")].std() > 0.05


def test_idle_at_a_time_does_not_depend_on_the_frame_rate(page: Page) -> None:
    slow, fast = run(
        page,
        """
        const motion = (rate) => {
            const one = engine({ idle: true });
            const poses = Array.from({ length: 90 * rate + 1 }, (_, k) => [...one.pose(k / rate)]);
            return poses.filter((_, k) => k % rate === 0);
        };
        return [motion(1), motion(120)];
        """,
    )
    np.testing.assert_allclose(slow, fast, atol=1e-6)


def in_range(poses: NDArray[np.float64]) -> None:
    low, high = (np.array([getattr(p, end) for p in pose.PARAMETERS]) for end in ("minimum", "maximum"))
    assert np.isfinite(poses).all()
    assert (poses >= low).all()
    assert (poses <= high).all()


def test_whatever_comes_the_pose_stays_in_range(page: Page) -> None:
    poses = run(
        page,
        """
        let state = 7;
        const random = () => ((state = (state * 16807) % 2147483647) / 2147483647);
        const odd = [NaN, Infinity, -1e9, 1e9, "x", null, undefined, {}, [], -0.5, 2];
        const any = () => (random() < 0.3 ? odd[Math.floor(random() * odd.length)] : random() * 2 - 0.5);
        const names = [...given[0], "nothing", "__proto__", "constructor", ""];
        const some = (from) => Object.fromEntries(from.filter(() => random() < 0.5).map((name) => [name, any()]));
        const one = engine({ idle: true, smoothing: 0.5, recentreSeconds: 10 });
        const pose = () => some(Object.keys(place));
        const name = () => library.expressions[Math.floor(random() * library.expressions.length)].name;
        const values = () => [Object.keys(place).map(any), any()];
        const messages = [
            () => ({ type: "face", found: any(), shapes: some(names), angles: [1, 2, 3].map(any), pose: pose() }),
            () => ({ type: "face", shapes: any(), angles: any(), pose: any() }),
            () => ({ type: "pose", pose: pose(), seconds: any() }),
            () => ({ type: "expression", name: name(), seconds: any(), strength: any() }),
            () => ({ type: "expression", name: any() }),
            () => ({ type: "say", id: "1", track: { fps: 30, names: Object.keys(place), values: values() } }),
            () => ({ type: "say", id: "1", track: any() }),
            () => ({ type: "look", x: any(), y: any() }),
            () => ({ type: "speech", pose: pose() }),
            () => ({ type: "calibrate" }),
            () => ({ type: any() }),
            () => any(),
        ];
        return Array.from({ length: 3000 }, (_, k) => {
            one.receive(messages[Math.floor(random() * messages.length)](), k / 60);
            return [...one.pose(k / 60)];
        });
        """,
        SHAPES,
    )
    in_range(np.array(poses, dtype=np.float64))


def test_a_lost_face_is_held_then_fades_to_idle(page: Page) -> None:
    held, faded = run(
        page,
        """
        const one = engine({ holdSeconds: 1 });
        const shown = [];
        for (let k = 0; k <= 60 * 6; k += 1) {
            if (k <= 120) one.face({ shapes: { jawOpen: 0.9 }, angles: [0, 8, 0] }, k / 60);
            if (k === 121) one.receive({ type: "face", found: false }, k / 60);
            shown.push(one.pose(k / 60)[place.head_y]);
        }
        return [shown.slice(121, 180), shown.slice(180)];
        """,
    )
    assert held == pytest.approx([-0.8] * len(held), abs=1e-3)
    assert (np.diff(faded) >= 0).all()
    assert faded[-1] == 0
    assert np.abs(np.diff(faded)).max() < 0.03


def test_idle_goes_on_beneath_what_is_not_tracked(page: Page) -> None:
    moved = run(
        page,
        """
        const one = engine({ idle: true });
        const poses = Array.from({ length: 600 }, (_, k) => {
            one.face({ shapes: null, angles: [0, 5, 0] }, k / 60);
            return [...one.pose(k / 60)];
        });
        return poses.slice(180);
        """,
    )
    spread = np.ptp(np.array(moved), axis=0)
    assert spread[NAMES.index("head_y")] < 1e-6
    assert spread[NAMES.index("breathing")] > 0.9
    assert spread[NAMES.index("eye_wink_left")] > 0.9


def test_eyes_come_first_the_head_after_them_the_torso_last(page: Page) -> None:
    arrivals = run(
        page,
        """
        const one = engine();
        const arrived = {};
        const gaze = (turn) => ({ eyeLookInLeft: turn / 2, eyeLookOutRight: turn / 2 });
        const face = (turn) => ({ shapes: gaze(turn), angles: [0, -8 * turn, 0] });
        const names = ["iris_rotation_y", "head_y", "body_y"];
        for (let k = 0; k < 240; k += 1) {
            one.face(face(k < 60 ? 0 : 1), k / 60);
            const pose = one.pose(k / 60);
            for (const name of names) if (pose[place[name]] > 0.33) arrived[name] ??= k - 60;
        }
        return arrived;
        """,
    )
    assert arrivals["iris_rotation_y"] < arrivals["head_y"] < arrivals["body_y"] < 60


def test_a_mirror_shows_the_other_side(page: Page) -> None:
    plain, mirrored = run(
        page,
        """
        const { mirrored, neutral } = await import("/pose.js");
        const shapes = { eyeBlinkLeft: 0.7, browInnerUp: 0.2, browOuterUpRight: 0.5, jawOpen: 0.3, eyeLookInLeft: 0.4 };
        const show = (mirror) => {
            const one = engine({ mirror });
            for (let k = 0; k < 120; k += 1) {
                one.face({ shapes, angles: [3, 6, -9] }, k / 60);
                one.pose(k / 60);
            }
            return named(one.pose(2));
        };
        const plain = mirrored(library.parameters, { ...neutral(library.parameters), ...show(false) });
        return [Object.fromEntries(Object.entries(plain).filter(([, value]) => value)), show(true)];
        """,
    )
    assert mirrored == pytest.approx(plain, abs=1e-6)
    assert mirrored["eye_wink_right"] > 0.5


def test_calibrating_makes_the_face_neutral(page: Page) -> None:
    before, after, later, first = run(
        page,
        """
        const shapes = { mouthSmileLeft: 0.3, mouthSmileRight: 0.3, browInnerUp: 0.2, jawOpen: 0.2 };
        const face = { shapes, angles: [4, -6, 3] };
        const one = engine();
        const show = (one, from, to, calibrateAt) => {
            for (let k = from; k < to; k += 1) {
                one.face(face, k / 60);
                if (k === calibrateAt) one.calibrate(k / 60);
                one.pose(k / 60);
            }
            return named(one.pose(to / 60));
        };
        const results = [show(one, 0, 120), show(one, 120, 360, 120)];
        const copy = engine(JSON.parse(JSON.stringify(one.settings)));
        results.push(show(copy, 0, 120));
        const early = engine();
        early.calibrate(0);
        results.push(show(early, 1, 120));
        return results;
        """,
    )
    assert before["head_y"] == pytest.approx(0.6, abs=1e-3)
    for values in (after, later, first):
        assert max(map(abs, values.values()), default=0) < 1e-3


def test_a_head_that_stays_turned_is_centred_slowly(page: Page) -> None:
    soon, later, far = run(
        page,
        """
        const show = (angles, seconds) => {
            const one = engine({ recentreSeconds: 60, holdSeconds: 2 });
            for (let k = 0; k < 2 * seconds; k += 1) {
                one.face({ angles }, k / 2);
                one.pose(k / 2);
            }
            return one.pose(seconds)[place.head_y];
        };
        return [show([0, -8, 0], 3), show([0, -8, 0], 300), show([0, -40, 0], 300)];
        """,
    )
    assert soon > 0.7
    assert abs(later) < 0.02
    assert far == 1


def test_an_expression_leaves_the_mouth_speaking_and_the_eyes_blinking(page: Page) -> None:
    smiling, speaking, blinking, over = run(
        page,
        """
        const one = engine();
        const shown = [];
        const face = (shapes) => ({ shapes: { jawOpen: 0, eyeBlinkLeft: 0, eyeBlinkRight: 0, ...shapes } });
        const go = (from, to, shapes) => {
            for (let k = from; k < to; k += 1) {
                one.face(face(shapes), k / 60);
                one.pose(k / 60);
            }
            return named(one.pose(to / 60));
        };
        one.expression({ name: "smile", seconds: 6 }, 0);
        shown.push(go(0, 120, {}), go(120, 240, { jawOpen: 1, mouthLowerDownLeft: 1 }));
        shown.push(go(240, 330, { eyeBlinkLeft: 0.8, eyeBlinkRight: 0.8 }), go(330, 600, {}));
        return shown;
        """,
    )
    assert smiling["mouth_raised_corner_left"] == pytest.approx(1)
    assert smiling.get("mouth_aaa", 0) < 1e-3
    assert speaking["mouth_aaa"] > 0.9
    assert speaking["mouth_raised_corner_left"] == pytest.approx(1)
    assert blinking["eye_wink_left"] > 0.9
    assert over == {}


def test_speech_takes_the_mouth_and_gives_it_back(page: Page) -> None:
    tracked, spoken, after = run(
        page,
        """
        const one = engine();
        const shown = [];
        for (let k = 0; k <= 240; k += 1) {
            one.face({ shapes: { jawOpen: 1, mouthLowerDownLeft: 1 } }, k / 60);
            if (k > 120 && k <= 180) one.speech({ mouth_ooo: 1 }, k / 60);
            const pose = one.pose(k / 60);
            if (k % 60 === 0 && k > 60) shown.push([pose[place.mouth_aaa], pose[place.mouth_ooo]]);
        }
        return shown;
        """,
    )
    assert tracked == pytest.approx([1, 0], abs=0.02)
    assert spoken == pytest.approx([0, 1], abs=0.02)
    assert after == pytest.approx([1, 0], abs=0.02)


def test_a_track_is_said_in_its_time(page: Page) -> None:
    shown = run(
        page,
        """
        const one = engine();
        const track = { fps: 10, names: ["mouth_aaa", "head_x"], values: [[0, 0], [1, -0.2], [0, 0]] };
        one.receive({ type: "say", id: "1", track, audio: null }, 5);
        return [5, 5.05, 5.1, 5.2, 5.4].map((time) => [one.pose(time)[place.mouth_aaa], one.pose(time)[place.head_x]]);
        """,
    )
    np.testing.assert_allclose(shown, [[0, 0], [0.5, -0.1], [1, -0.2], [0, 0], [0, 0]], atol=1e-6)


def test_a_pose_is_held_over_everything_and_let_go(page: Page) -> None:
    held, over, until, cleared = run(
        page,
        """
        const one = engine();
        const face = (time) => one.face({ shapes: { jawOpen: 1, mouthLowerDownLeft: 1 }, angles: [0, 0, 0] }, time);
        const at = (from, to) => {
            for (let k = from * 60; k <= to * 60; k += 1) { face(k / 60); one.pose(k / 60); }
            const pose = one.pose(to);
            return [pose[place.mouth_aaa], pose[place.eye_wink_left], pose[place.eye_wink_right]];
        };
        const shown = [];
        at(0, 2);
        one.hold({ mouth_aaa: 0.2, eye_wink: 1, unknown: 3 }, 1, 2);
        shown.push(at(2, 2.9), at(2.9, 4));
        one.hold({ mouth_aaa: 0.2 }, null, 4);
        shown.push(at(4, 60));
        one.hold({}, null, 60);
        shown.push(at(60, 61));
        return shown;
        """,
    )
    assert held == pytest.approx([0.2, 1, 1], abs=0.01)
    assert over == pytest.approx([1, 0, 0], abs=0.02)
    assert until == pytest.approx([0.2, 0, 0], abs=0.01)
    assert cleared == pytest.approx([1, 0, 0], abs=0.02)


def test_the_mouse_is_followed_as_it_is_seen(page: Page) -> None:
    right, gone = run(
        page,
        """
        const one = engine();
        one.look(1, 0.5, 0);
        for (let k = 0; k < 120; k += 1) one.pose(k / 60);
        const right = named(one.pose(2));
        one.look(null, null, 2);
        for (let k = 120; k < 400; k += 1) one.pose(k / 60);
        return [right, named(one.pose(7))];
        """,
    )
    assert right["iris_rotation_y"] < -0.5  # to the character's left, which is the screen's right
    assert right["head_y"] < -0.3
    assert right["head_x"] > 0.1
    assert gone == {}


def test_an_hour_of_driving_keeps_no_memory(page: Page) -> None:
    early, late = run(
        page,
        """
        const one = engine({ idle: true, smoothing: 0.5, recentreSeconds: 60 });
        // What can grow: every array and map that the engine holds, however deep.
        const size = (value, seen = new Set([library])) => {
            if (value === null || typeof value !== "object" || seen.has(value)) return 0;
            seen.add(value);
            if (ArrayBuffer.isView(value)) return value.length;
            const inner = value instanceof Map ? [...value.values()] : Object.values(value);
            return (value.length ?? value.size ?? 0) + inner.reduce((sum, part) => sum + 1 + size(part, seen), 0);
        };
        const drive = (from, to) => {
            let most = 0;
            for (let k = from; k < to; k += 1) {
                const time = k / 5;
                const shapes = { jawOpen: (k % 7) / 7, eyeBlinkLeft: (k % 11) / 11 };
                one.face({ found: k % 997 > 100, shapes, angles: [k % 5, k % 9, k % 3] }, time);
                one.speech({ mouth_iii: (k % 3) / 3 }, time);
                if (k % 501 === 0) one.expression({ name: "happy", seconds: 2 }, time);
                if (k % 777 === 0) one.hold({ mouth_aaa: 1 }, 1, time);
                if (k % 333 === 0) one.say({ fps: 30, names: ["mouth_aaa"], values: [[1], [0]] }, time);
                one.pose(time);
                if (k % 500 === 0) most = Math.max(most, size(one));
            }
            return most;
        };
        return [drive(0, 3000), drive(3000, 18000)];
        """,
    )
    assert late <= early * 1.05
