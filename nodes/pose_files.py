"""Load Poses, Save Poses, Plot Poses, Tracked Face: motion from files, to files, and to look at."""

from __future__ import annotations

from dataclasses import fields
from inspect import signature
from pathlib import Path
from typing import Any

from comfy_api.latest import io, ui
from torch import Tensor

from ..tha4_core import demo
from ..tha4_core.motion import arithmetic, files, plot, smoothing
from ..tha4_core.motion.tracking import face_tracker, tracked, vmd
from ..tha4_core.motion.tracking import files as tracking_files
from ..tha4_core.motion.tracking.face_tracker import MODEL_FILE
from ..tha4_core.motion.tracking.tracked import BLINK, BROW_DOWN, TrackedSettings
from ..tha4_core.pose import Poses
from . import host, types

FOLDER = "motions"
POSE_SUFFIXES = (".json", ".csv", ".npz", ".vmd")
RECORDING_SUFFIXES = (".json", ".csv", ".txt", ".log", ".jsonl")
DEMOS = {"demo motion": demo.MOTION, "demo recording": demo.RECORDING}
DEMO_MOTION, DEMO_RECORDING = DEMOS

# ComfyUI folds these inputs away; before it could, it had no such argument.
_ADVANCED: dict[str, Any] = {"advanced": True} if "advanced" in signature(io.Float.Input.__init__).parameters else {}


def _file_input(demo_name: str, suffixes: tuple[str, ...], what: str) -> io.Combo.Input:
    options = [demo_name, *host.motion_files(FOLDER, suffixes)]
    where = f'"{demo_name}", or a file in models/tha4/motions or the input folder.'
    return io.Combo.Input("file", options=options, tooltip=f"{what}: {where}")


def _changed(file: str) -> str:
    try:
        return host.fingerprint([_path(file)])
    except FileNotFoundError:
        return ""


def _path(file: str) -> Path:
    return DEMOS[file] if file in DEMOS else host.motion_path(FOLDER, file)


class LoadPoses(io.ComfyNode):
    """A motion from a file."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="THA4LoadPoses",
            display_name="Load Poses",
            category=types.CATEGORY,
            description="A motion from a file: what Save Poses wrote (.json, .csv, .npz), or a MikuMikuDance motion "
            "(.vmd), whose facial morphs and turns of head and body become poses.",
            inputs=[
                _file_input(DEMO_MOTION, POSE_SUFFIXES, "The motion"),
                io.Float.Input(
                    "fps", default=0.0, min=0.0, max=240.0, step=1.0, tooltip="Another frame rate; 0: the file's own."
                ),
                io.Float.Input(
                    "turn", default=1.0, min=0.0, max=4.0, step=0.05, tooltip="For .vmd: how far head and body turn."
                ),
            ],
            outputs=[types.Poses.Output(display_name="poses")],
        )

    @classmethod
    def fingerprint_inputs(cls, file: str, **_: object) -> str:
        return _changed(file)

    @classmethod
    def execute(cls, file: str, fps: float, turn: float) -> io.NodeOutput:
        path = _path(file)
        if path.suffix.lower() == ".vmd":
            return io.NodeOutput(vmd.to_poses(vmd.load(path), fps or vmd.FPS, turn))
        poses = files.load(path)
        return io.NodeOutput(arithmetic.resample(poses, fps or poses.fps))


class SavePoses(io.ComfyNode):
    """A motion to a file."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="THA4SavePoses",
            display_name="Save Poses",
            category=types.CATEGORY,
            description="Writes poses into the output folder. Load Poses reads them back exactly.",
            inputs=[
                types.Poses.Input("poses", tooltip="The motion."),
                io.String.Input("filename_prefix", default="THA4/poses", tooltip="Folder and beginning of the name."),
                io.Combo.Input(
                    "format",
                    options=["json", "csv", "npz"],
                    tooltip="json: to read and edit. csv: for spreadsheets. npz: for programs.",
                ),
            ],
            outputs=[io.String.Output(display_name="path", tooltip="Where the file is.")],
            is_output_node=True,
        )

    @classmethod
    def execute(cls, poses: Poses, filename_prefix: str, format: str) -> io.NodeOutput:
        path = host.new_output_path(filename_prefix, f".{format}")
        files.save(poses, path)
        return io.NodeOutput(str(path), ui=ui.PreviewText(str(path)))


class PlotPoses(io.ComfyNode):
    """A motion to look at."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="THA4PlotPoses",
            display_name="Plot Poses",
            category=types.CATEGORY,
            description="The curves of a motion over time, a band for each group of parameters.",
            inputs=[
                types.Poses.Input("poses", tooltip="The motion."),
                io.Int.Input("width", default=1024, min=480, max=8192, tooltip="In pixels."),
                io.Int.Input("height", default=768, min=360, max=8192, tooltip="In pixels."),
            ],
            outputs=[io.Image.Output(display_name="image")],
            is_output_node=True,
        )

    @classmethod
    def execute(cls, poses: Poses, width: int, height: int) -> io.NodeOutput:
        image = plot.plot(poses, width, height)[None]
        return io.NodeOutput(image, ui=ui.PreviewImage(image, cls=cls))


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
}


class TrackedFace(io.ComfyNode):
    """A recording of a real face as poses."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        defaults = {field.name: field.default for field in fields(TrackedSettings)}
        return io.Schema(
            node_id="THA4TrackedFace",
            display_name="Tracked Face",
            category=types.CATEGORY,
            description="A recording of a real face as poses: iFacialMocap logs (versions 1 and 2), Live Link Face "
            "CSV, MediaPipe face-landmarker JSON (blend shapes and matrix).",
            inputs=[
                _file_input(DEMO_RECORDING, RECORDING_SUFFIXES, "The recording"),
                io.Float.Input(
                    "fps", default=30.0, min=1.0, max=240.0, step=1.0, tooltip="Uneven times are brought to this rate."
                ),
                io.Float.Input(
                    "neutral_start",
                    default=0.0,
                    min=0.0,
                    max=86400.0,
                    step=0.1,
                    tooltip="From this second on the face was at rest ...",
                ),
                io.Float.Input(
                    "neutral_end",
                    default=0.0,
                    min=0.0,
                    max=86400.0,
                    step=0.1,
                    tooltip="... to this second: its head is what straight ahead means.",
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
                        name, default=float(defaults[name]), min=0.0, max=100.0, step=0.01, tooltip=tooltip, **_ADVANCED
                    )
                    for name, tooltip in _THRESHOLDS.items()
                ),
                io.Image.Input(
                    "images",
                    optional=True,
                    tooltip="Pictures of a real face, at fps, to track instead of the file. Needs the package "
                    f"mediapipe and {MODEL_FILE} in models/tha4/mediapipe.",
                ),
            ],
            outputs=[types.Poses.Output(display_name="poses")],
        )

    @classmethod
    def fingerprint_inputs(cls, file: str, **_: object) -> str:
        return _changed(file)

    @classmethod
    def execute(
        cls,
        file: str,
        fps: float,
        neutral_start: float,
        neutral_end: float,
        smoothing: float,
        images: Tensor | None = None,
        **settings: Any,
    ) -> io.NodeOutput:
        face = tracking_files.load(_path(file)) if images is None else _track(images, fps)
        calibration = tracked.calibrate(face, neutral_start, neutral_end)
        poses = tracked.to_poses(face, fps, TrackedSettings(**settings), calibration)
        return io.NodeOutput(_steadied(poses, smoothing))


def _track(images: Tensor, fps: float) -> tracked.TrackedFace:
    model = host.wanted_folders("mediapipe")[0] / MODEL_FILE
    return face_tracker.track(images, fps, model, host.stop_if_interrupted)


def _steadied(poses: Poses, seconds: float) -> Poses:
    return smoothing.savitzky_golay(poses, seconds) if seconds else poses
