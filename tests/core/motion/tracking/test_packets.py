"""Datagrams of face trackers, right ones, spoilt ones and hostile ones."""

from __future__ import annotations

import json
import math
import struct
from contextlib import suppress

import pytest

from tests import trackers
from tests.trackers import ANGLES, SHAPES
from tha4_core.errors import MotionError
from tha4_core.motion.tracking.packets.face import ARKIT_SHAPES, FacePacket, Reader, message
from tha4_core.motion.tracking.packets.protocols import PROTOCOLS
from tha4_core.pose import NAMES, PARAMETERS


def read(protocol: str, *datagrams: bytes) -> FacePacket | None:
    """What the last of the datagrams says."""
    reader: Reader = PROTOCOLS[protocol].reader()
    return [reader(data) for data in datagrams][-1]


def found(protocol: str, *datagrams: bytes) -> FacePacket:
    packet = read(protocol, *datagrams)
    assert packet is not None
    return packet


def test_there_are_52_shapes() -> None:
    assert list(ARKIT_SHAPES) == trackers.ARKIT
    assert len(set(ARKIT_SHAPES)) == 52


@pytest.mark.parametrize(
    ("protocol", "data"),
    [
        ("ifacialmocap", trackers.ifacialmocap()),
        ("ifacialmocap", trackers.ifacialmocap(sign="&")),
        ("ifacialmocap", trackers.ifacialmocap() + b"___iFacialMocap"),
        ("facemotion3d", trackers.facemotion3d()),
        ("vtube_studio", trackers.vtube_studio()),
        ("live_link", trackers.live_link()),
        ("live_link", trackers.live_link(name="私の電話")),
    ],
)
def test_shapes_and_angles_are_read(protocol: str, data: bytes) -> None:
    packet = found(protocol, data)
    assert packet.found
    assert not packet.pose
    assert packet.angles == pytest.approx(ANGLES, abs=1e-4)
    assert packet.shapes == pytest.approx({name: SHAPES.get(name, 0.0) for name in trackers.ARKIT}, abs=1e-6)


@pytest.mark.parametrize(
    ("protocol", "data"),
    [
        ("vtube_studio", trackers.vtube_studio(found=False)),
        ("vtube_studio", b'{"FaceFound": false}'),
        ("live_link", trackers.live_link(found=False)),
        ("live_link", trackers.live_link(found=False) + b"\0"),
        ("openseeface", trackers.openseeface(trackers.openseeface_face(success=False))),
    ],
)
def test_a_lost_face_is_told(protocol: str, data: bytes) -> None:
    packet = found(protocol, data)
    assert not packet.found
    assert message(packet, "x") == {"type": "face", "source": "x", "found": False}


@pytest.mark.parametrize(
    ("protocol", "data"),
    [
        ("ifacialmocap", b""),
        ("ifacialmocap", b"\xff\xfe\xfa"),
        ("ifacialmocap", b"jawOpen-12|mouthLeft-1|"),  # cut before its head
        ("ifacialmocap", b"jawOpen-12|=head#nan,0,0|"),
        ("ifacialmocap", b"jawOpen-12|=head#1e300,0,0|"),
        ("ifacialmocap", b"somethingElse-12|=head#0,0,0|"),
        ("vtube_studio", b"[1]"),
        ("vtube_studio", b"{}"),
        ("vtube_studio", b"[" * 60_000),
        ("vtube_studio", b'{"FaceFound":true,"Rotation":{"x":NaN,"y":0,"z":0},"BlendShapes":[]}'),
        ("vtube_studio", b'{"FaceFound":true,"Rotation":{"x":0,"y":0,"z":0},"BlendShapes":[3]}'),
        ("vtube_studio", b'{"FaceFound":true,"Rotation":{"x":0,"y":0,"z":0},"BlendShapes":[{"k":"JawOpen","v":true}]}'),
        ("live_link", b"\6\0\0\0"),
        ("live_link", b"\7" + trackers.live_link()[1:]),
        ("live_link", trackers.live_link()[:41] + b"\xff\xff\xff\xff" + trackers.live_link()[45:]),  # a giant name
        ("live_link", trackers.live_link()[:-1]),
        ("live_link", trackers.live_link({"jawOpen": math.nan})),
        ("live_link", trackers.live_link(angles=(math.inf, 0, 0))),
        ("openseeface", b""),
        ("openseeface", trackers.openseeface()[:-1]),
        ("openseeface", trackers.openseeface(trackers.openseeface_face(left_open=math.nan))),
        ("vmc", b"nonsense"),
        ("vmc", b"#bundle\0" + bytes(8) + struct.pack(">i", 2**31 - 1) + b"/a\0\0"),
    ],
)
def test_what_is_no_packet_is_refused(protocol: str, data: bytes) -> None:
    with pytest.raises(MotionError):
        read(protocol, data)


def test_values_out_of_range_are_limited() -> None:
    packet = found("vtube_studio", trackers.vtube_studio({"jawOpen": 7.0, "mouthLeft": -2.0}, (370.0, 0.0, -350.0)))
    assert (packet.shapes["jawOpen"], packet.shapes["mouthLeft"]) == (1.0, 0.0)
    assert packet.angles == pytest.approx((10, 0, 10))


def test_vtube_studio_turns() -> None:
    data = json.dumps({"FaceFound": True, "Rotation": {"x": 20, "y": 10, "z": 5}, "BlendShapes": []}).encode()
    assert found("vtube_studio", data).angles == (10, -20, -5)


# --- OpenSeeFace ---------------------------------------------------------------------------------------------------


def test_openseeface_packets_have_1785_bytes_a_face() -> None:
    assert len(trackers.openseeface_face()) == 1785


@pytest.mark.parametrize("ahead", [90.0, -90.0])
def test_openseeface_angles(ahead: float) -> None:
    data = trackers.openseeface_face(euler=(-170.0, 20.0, ahead + 5))
    assert found("openseeface", data).angles == pytest.approx((10, 20, 5), abs=1e-4)


def test_of_several_faces_the_one_seen_longest_is_taken() -> None:
    late, lost = trackers.openseeface_face(7, left_open=0.0), trackers.openseeface_face(0, success=False)
    first = trackers.openseeface_face(3, left_open=0.25)
    assert found("openseeface", late + lost + first).pose["eye_wink_left"] == 0.75


def test_openseeface_eyes_brows_and_mouth_are_parameters() -> None:
    features = (0, 0, 0, 0.5, 0, 0, -0.25, 0, -0.75, 0, 0.5, 0, 0.8, 0.25)
    packet = found("openseeface", trackers.openseeface_face(right_open=0.1, features=features, gaze=(0.1, -0.05, 1)))
    assert packet.shapes == {}
    assert packet.pose == pytest.approx(
        {
            "eye_wink_right": 0.9,
            "eye_wink_left": 0.0,
            "eyebrow_raised_left": 0.5,
            "eyebrow_lowered_left": 0.0,
            "eyebrow_raised_right": 0.0,
            "eyebrow_lowered_right": 0.25,
            "mouth_raised_corner_left": 0.75,
            "mouth_lowered_corner_left": 0.0,
            "mouth_raised_corner_right": 0.0,
            "mouth_lowered_corner_right": 0.5,
            "mouth_aaa": 0.6,
            "mouth_iii": 0.2,
            "mouth_uuu": 0.0,
            "iris_rotation_x": math.degrees(-0.05) / 10,
            "iris_rotation_y": math.degrees(-0.1) / 10,
        },
        abs=0.005,
    )


# --- VMC -----------------------------------------------------------------------------------------------------------


def test_vmc_values_count_when_they_are_applied() -> None:
    reader = PROTOCOLS["vmc"].reader()
    assert reader(trackers.osc("/VMC/Ext/Blend/Val", "A", 0.5)) is None
    assert reader(trackers.osc("/VMC/Ext/T", 1.0)) is None
    packet = reader(trackers.osc("/VMC/Ext/Blend/Apply"))
    assert packet
    assert packet.pose == {"mouth_aaa": 0.5}
    unchanged = reader(
        trackers.bundle(trackers.osc("/VMC/Ext/Blend/Apply"), trackers.osc("/VMC/Ext/Blend/Val", "A", 0.9))
    )
    assert unchanged
    assert unchanged.pose == {"mouth_aaa": 0.5}


@pytest.mark.parametrize(
    ("name", "pose"),
    [
        ("O", {"mouth_ooo": 1}),
        ("oh", {"mouth_ooo": 1}),
        ("Blink", {"eye_wink_left": 1, "eye_wink_right": 1}),
        ("Blink_L", {"eye_wink_left": 1}),
        ("blinkRight", {"eye_wink_right": 1}),
        ("lookUp", {"iris_rotation_x": 1}),
        ("LookLeft", {"iris_rotation_y": -1}),
    ],
)
def test_vmc_names(name: str, pose: dict[str, float]) -> None:
    assert found("vmc", trackers.bundle(*trackers.vmc_values({name: 1.0}))).pose == pose


@pytest.mark.parametrize("name", ["Joy", "Angry", "Sorrow", "Fun", "happy", "sad", "relaxed", "surprised"])
def test_vmc_emotions_move_the_face_and_not_the_vowels(name: str) -> None:
    pose = found("vmc", trackers.bundle(*trackers.vmc_values({name: 0.5}))).pose
    assert pose
    assert all(key.startswith(("eye", "iris_small", "mouth_")) and 0 < value <= 0.5 for key, value in pose.items())
    assert not {"mouth_aaa", "mouth_iii", "mouth_uuu", "mouth_eee", "mouth_ooo"} & set(pose)


def test_vmc_arkit_names_are_shapes_and_unused_names_of_vrm_do_not_hide_them() -> None:
    packet = found(
        "vmc", trackers.bundle(*trackers.vmc_values({"JawOpen": 0.5, "eyeBlinkLeft": 0.25, "A": 0, "Blink": 0}))
    )
    assert packet.shapes == {"jawOpen": 0.5, "eyeBlinkLeft": 0.25}
    assert packet.pose == {}


@pytest.mark.parametrize(("axis", "angles"), [("x", (20, 0, 0)), ("y", (0, -20, 0)), ("z", (0, 0, -20))])
def test_vmc_head_and_neck_turn_together(axis: str, angles: tuple[float, ...]) -> None:
    half = {axis: math.sin(math.radians(5)), "w": math.cos(math.radians(5))}
    data = trackers.bundle(trackers.vmc_bone("Neck", **half), trackers.vmc_bone("Head", **half))
    assert found("vmc", data).angles == pytest.approx(angles, abs=1e-3)


def test_vmc_eyes() -> None:
    turned = {"y": math.sin(math.radians(2.5)), "w": math.cos(math.radians(2.5))}  # 5 degrees to the person's right
    bones = [trackers.vmc_bone(name, **turned) for name in ("LeftEye", "RightEye")]
    assert found("vmc", *bones, trackers.osc("/VMC/Ext/Blend/Apply")).pose["iris_rotation_y"] == pytest.approx(
        0.5, abs=1e-4
    )


def test_vmc_ignores_what_it_does_not_know() -> None:
    data = trackers.bundle(
        trackers.osc("/VMC/Ext/Blend/Val", "A", 0.5, "surplus", 3),
        trackers.osc("/VMC/Ext/Blend/Val", "A", "text"),
        trackers.osc("/VMC/Ext/Blend/Val", "A", math.nan),
        trackers.osc("/VMC/Ext/Blend/Val", 3, 0.9),
        trackers.osc("/VMC/Ext/Blend/Val", "Unknown", 0.9),
        trackers.osc("/VMC/Ext/Blend/Val"),
        trackers.osc("/VMC/Ext/Bone/Pos", "Head", 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0),
        trackers.osc("/VMC/Ext/Bone/Pos", "Head", True, False),
        trackers.osc("/VMC/Ext/Hmd/Pos", "x", 1.0),
        b"/VMC/Ext/Blend/Val\0\0,sf\0A\0",
        b"/\xff\xff\xff\0\0\0\0,\0\0\0",
        trackers.osc("/VMC/Ext/Blend/Apply"),
    )
    packet = found("vmc", data)
    assert packet.pose == {"mouth_aaa": 0.5}
    assert packet.angles == (0, 0, 0)


def test_bundles_in_bundles_have_a_limit() -> None:
    data = trackers.osc("/VMC/Ext/Blend/Apply")
    for _ in range(5):
        data = trackers.bundle(data)
    assert read("vmc", data)
    for _ in range(2000):
        data = trackers.bundle(data)
    with pytest.raises(MotionError, match="bundles in bundles"):
        read("vmc", data)


# --- hostile datagrams ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", list(PROTOCOLS))
def test_mutated_packets_give_a_right_face_or_our_own_error(protocol: str) -> None:
    reader = PROTOCOLS[protocol].reader()
    faces = 0
    for data in trackers.mutated(trackers.EXAMPLES[protocol], seed=20):
        try:
            packet = reader(data)
        except MotionError:
            continue
        if packet is not None:
            faces += 1
            check(packet)
    assert faces


def check(packet: FacePacket) -> None:
    assert set(packet.shapes) <= set(ARKIT_SHAPES)
    assert all(0 <= value <= 1 for value in packet.shapes.values())
    assert all(-180 <= angle <= 180 for angle in packet.angles)
    for name, value in packet.pose.items():
        assert PARAMETERS[NAMES.index(name)].minimum <= value <= 1
    json.loads(json.dumps(message(packet, "x"), allow_nan=False))


@pytest.mark.parametrize(
    ("protocol", "data"),
    [
        ("ifacialmocap", b"a-1|" * 16_000),
        ("ifacialmocap", b"a" * 65_000),
        ("ifacialmocap", b"jawOpen-" + b"9" * 65_000),
        ("ifacialmocap", b"jawOpen-1|=head#" + b"1," * 32_000),
        ("vtube_studio", b'{"FaceFound":true,"Rotation":{"x":' + b"9" * 60_000 + b"}}"),
        ("openseeface", trackers.openseeface_face() * 36),
        ("vmc", b"#bundle\0" + bytes(8) + bytes(64_000)),
        ("vmc", b"#bundle\0" + bytes(8) + b"\0\0\0\4/\0\0\0" * 8000),
        ("vmc", b"/a\0\0," + b"T" * 65_000 + b"\0"),
    ],
)
def test_large_datagrams_are_soon_done_with(protocol: str, data: bytes) -> None:
    with suppress(MotionError):
        read(protocol, data)
