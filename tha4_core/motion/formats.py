"""Any motion or tracking file, detected by its content, not by its name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ..errors import MotionError
from ..pose import Poses
from . import arithmetic, files, reading
from .tracking import conversion, recordings, vmd, vmd_poses

_KINDS = (
    "poses (.json, .csv, .npz), a MikuMikuDance motion (.vmd), an iFacialMocap log, a Live Link Face CSV, "
    "MediaPipe face-landmarker results (.json, .jsonl)"
)


def load(path: Path | str, fps: float | None = None, turn: float = 1.0) -> Poses:
    """The motion in a file as poses, with notes on what was left out or is missing (`Poses.notes`).

    Read are poses as `files` writes them, MikuMikuDance motions, and the recordings that `tracking.recordings` reads,
    with the default settings of the conversion. `fps` is the frame rate of the result; None: the file's own. `turn`
    multiplies the turns of a MikuMikuDance motion. Raises MotionError or PoseError, naming the file, where it is none
    of them or cannot be read.
    """
    path = Path(path)
    content = reading.read_bytes(path)
    if vmd.is_vmd(content):
        return vmd_poses.to_poses(vmd.parse(content, path.name), vmd.FPS if fps is None else fps, turn)
    if files.is_npz(content):
        return _at_rate(files.from_npz(content, path.name), fps)
    text = reading.decode(content, path.name)
    if files.is_json(text):
        return _at_rate(files.from_json(text, path.name), fps)
    if recordings.is_json(text) or recordings.is_live_link(text) or recordings.is_ifacialmocap(text):
        return conversion.to_poses(recordings.parse(text, path.name), fps)
    if files.is_csv(text):
        return _at_rate(files.from_csv(text, path.name), fps)
    raise MotionError(f"{path.name} is no motion that this pack reads. These are: {_KINDS}.")


def _at_rate(poses: Poses, fps: float | None) -> Poses:
    return poses if fps is None else replace(arithmetic.resample(poses, fps), notes=poses.notes)
