"""Tracked Face: a recording of a real face, or a face found in a video, as poses."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from comfy_api.latest import io

from ..tha4_core.motion import smoothing
from ..tha4_core.motion.cancellation import cancellable
from ..tha4_core.motion.tracking import conversion, face, mediapipe, recordings
from ..tha4_core.motion.tracking.conversion import BLINK, BROW_DOWN, ConversionSettings
from ..tha4_core.pose import Poses
from . import host, types
from .motion_files import DEMO_RECORDING, file_input, file_path, fingerprint, read

_THRESHOLDS = {
    "smile_low": "Where a smile begins to shut the eyes happily and to calm the brows.",
    "smile_high": "Where it has done so.",
    "brow_down_full": "The blend shape that counts as brows wholly down.",
    "eye_wide_full": "The blend shape that counts as eyes wide open.",
    "blink_full": "The blend shape that counts as eyes shut.",
    "cheek_squint_low": "Where the lower lid begins to rise.",
    "cheek_squint_high": "Where it has risen.",
    "gaze": "How far the gaze goes.",
    "jaw_open_low": "Where the mouth begins to open.",
    "jaw_open_high": "Where it is open.",
    "frown_full": "The blend shapes that count as corners of the mouth wholly down.",
    "funnel_low": "Where u begins to become o.",
    "funnel_high": "Where it is o.",
    "head_x_full": "Degrees of nodding that count as 1.",
    "head_y_full": "Degrees of turning that count as 1.",
    "neck_z_full": "Degrees of tilting that count as 1.",
    "body": "How much of the head's turn and tilt the body follows.",
    "breathing_period": "Seconds from breath to breath; 0: no breathing.",
    "iris_small": "How small the irises are, from 0 to 1: no tracker sees that.",
}
_MOST = {"iris_small": 1.0}


class TrackedFace(io.ComfyNode):
    """A recording of a real face as poses."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        defaults = {field.name: field.default for field in fields(ConversionSettings)}
        return io.Schema(
            node_id="THA4TrackedFace",
            display_name="Tracked Face",
            category=types.CATEGORY,
            **types.search_aliases("ARKit", "blendshapes", "iFacialMocap", "MediaPipe", "motion capture", "vtuber"),
            description="A recording of a real face as poses: iFacialMocap logs (versions 1 and 2), Live Link Face "
            "CSV, MediaPipe face-landmarker JSON; or face_landmarks, from a video or a webcam. The node shows what was "
            "left out or is missing.",
            inputs=[
                file_input(DEMO_RECORDING, recordings.SUFFIXES, "The recording"),
                io.Float.Input(
                    "fps",
                    default=30.0,
                    min=1.0,
                    max=240.0,
                    step=1.0,
                    tooltip="The frame rate of the poses: a recording's times are brought to it. With face_landmarks, "
                    "the rate of the pictures that they come from.",
                ),
                io.Float.Input(
                    "neutral_start",
                    default=0.0,
                    min=0.0,
                    max=86400.0,
                    step=0.1,
                    tooltip="From this second on the face was at rest and looked straight ahead ...",
                ),
                io.Float.Input(
                    "neutral_end",
                    default=0.0,
                    min=0.0,
                    max=86400.0,
                    step=0.1,
                    tooltip="... to this second: what brows, eyes, gaze, mouth and head show then becomes 0. With both "
                    "at 0, the head of the first frame is straight ahead.",
                ),
                io.Float.Input(
                    "smoothing",
                    default=0.0,
                    min=0.0,
                    max=5.0,
                    step=0.05,
                    tooltip="Seconds that a jitter may last to be smoothed away; 0: none.",
                ),
                io.Combo.Input(
                    "brow_down", options=list(BROW_DOWN), default="angry", tooltip="What lowered brows are."
                ),
                io.Combo.Input("blink", options=list(BLINK), default="wink", tooltip="What closed lids are."),
                *(
                    io.Float.Input(
                        name,
                        default=float(defaults[name]),
                        min=0.0,
                        max=_MOST.get(name, 100.0),
                        step=0.01,
                        tooltip=tooltip,
                        **types.advanced(io.Float.Input),
                    )
                    for name, tooltip in _THRESHOLDS.items()
                ),
                types.FaceLandmarks.Input(
                    "face_landmarks",
                    optional=True,
                    tooltip="A face in pictures, from Detect Face Landmarks (MediaPipe), instead of the file. "
                    "Set fps to the rate of the pictures.",
                ),
            ],
            outputs=[types.Poses.Output(display_name="poses")],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def fingerprint_inputs(cls, file: str, **_: object) -> str:
        return fingerprint(file)

    @classmethod
    def execute(
        cls,
        file: str,
        fps: float,
        neutral_start: float,
        neutral_end: float,
        smoothing: float,
        face_landmarks: object = None,
        **settings: Any,
    ) -> io.NodeOutput:
        with cancellable(host.stop_if_interrupted):
            if face_landmarks is None:
                recording = recordings.load(file_path(file))
            else:
                recording = mediapipe.from_face_landmarks(face_landmarks, fps)
        calibration = _calibration(recording, neutral_start, neutral_end)
        poses = conversion.to_poses(recording, fps, ConversionSettings(**settings), calibration)
        return read(_steadied(poses, smoothing), cls.hidden)


def _calibration(recording: face.TrackedFace, start: float, end: float) -> face.Calibration:
    """What is neutral: the whole face within the seconds given, or else the head of the first of several frames."""
    if end > start or len(recording) > 1:
        return face.calibrate(recording, start, end, shapes=end > start)
    return face.Calibration()


def _steadied(poses: Poses, seconds: float) -> Poses:
    return replace(smoothing.savitzky_golay(poses, seconds), notes=poses.notes) if seconds else poses
