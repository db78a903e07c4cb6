"""Motions for the page before the graph is queued: only the nodes that make poses are executed."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any

from comfy_api.latest import io

from ...tha4_core.errors import MotionError, THA4Error
from ...tha4_core.motion import reading, script
from ...tha4_core.motion.cancellation import cancellable
from ...tha4_core.motion.keyframes import Keyframes
from ...tha4_core.motion.speech import timings
from ...tha4_core.pose import NAMES, Poses
from .. import folders, sequence, types
from ..arithmetic import CombinePoses, EditPoses, Expression
from ..idle import IdleMotion
from ..lip_sync import LipSync
from ..motion_files import file_path
from ..pose import PoseVector
from ..pose_files import LoadPoses
from ..sequence import PoseSequence
from ..tracked_face import TrackedFace
from . import sounds
from .preview_queue import Job
from .request import Refused, text, without_folders
from .run_results import MOST_FRAMES, recall

POSE_NODES = {
    f"THA4{node.__name__}": node
    for node in (
        PoseVector,
        PoseSequence,
        Expression,
        IdleMotion,
        LipSync,
        LoadPoses,
        TrackedFace,
        CombinePoses,
        EditPoses,
    )
}
"""The nodes that make poses from numbers, texts and files only."""

SOUND_SUFFIXES = (".wav", ".mp3", ".flac", ".ogg", ".opus", ".m4a", ".aac", ".webm", ".mp4")
_LOAD_AUDIO = "LoadAudio"
_MOST_NODES = 64
_MOST_SOUND_BYTES = 64 * 2**20
_MOST_MOTION_BYTES = 16 * 2**20  # some seconds to read
_MOST_TEXT = 200_000
_THOUSANDTHS = 1000

Graph = Mapping[str, Any]


class KnownAfterRun(Exception):  # noqa: N818 - no error: most graphs have such nodes
    """The output of this node is known only after a run of the graph."""


def poses_job(body: Mapping[str, Any]) -> tuple[Job, str]:
    """The job for a request of a motion, and how its error begins. Raises Refused."""
    if "run_result" in body:
        poses = recall(text(body, "run_result", None, 64))
        if poses is None:
            raise Refused(HTTPStatus.NOT_FOUND, "This motion is no longer in memory. Run the graph again.")
        return lambda tick: to_json(poses), ""
    graph, node = body.get("graph"), text(body, "node", None, 100)
    if not isinstance(graph, Mapping) or len(graph) > _MOST_NODES or node not in graph:
        raise Refused(
            HTTPStatus.BAD_REQUEST, f"graph must be an object of at most {_MOST_NODES} nodes, with node in it."
        )
    return lambda tick: _evaluate_to_json(graph, node, tick), ""


def _evaluate_to_json(graph: Graph, node: str, tick: Callable[[], None]) -> bytes:
    """The motion, or the reason why there is none: a mistake in a script is not an error of the request."""
    try:
        with cancellable(tick):
            node_class, inputs = _class_and_inputs(_Evaluation(graph, tick), node)
            if node_class is not PoseSequence:
                return to_json(_execute(node_class, inputs))
            motion, poses = _sequence(**inputs)
            return to_json(poses, line_times=motion.line_times)
    except KnownAfterRun as later:
        return json.dumps({"problem": str(later), "after_run": True}).encode()
    except THA4Error as error:
        return json.dumps({"problem": without_folders(str(error))}).encode()


def to_json(poses: Poses, **more: Any) -> bytes:
    """A motion as JSON: fps, frames, the curves of the parameters that move, in thousandths, notes, and `more`."""
    values = (poses.values * _THOUSANDTHS).round().int()
    moving = values.any(dim=0).tolist()
    curves = {name: values[:, i].tolist() for i, name in enumerate(NAMES) if moving[i]}
    content = {"fps": poses.fps, "frames": len(poses), "curves": curves, "notes": poses.notes, **more}
    return json.dumps(content, separators=(",", ":")).encode()


def evaluate(graph: Graph, node: str, tick: Callable[[], None]) -> Poses:
    """The poses that one node of a graph in API form makes. The nodes before it are executed first, each of them once.

    Raises KnownAfterRun, Refused where the graph is not valid, and THA4Error where an input is wrong.
    """
    return _poses(_Evaluation(graph, tick), node)


@dataclass(frozen=True)
class _Evaluation:
    """A graph, what its nodes have made so far, and the nodes whose inputs are being evaluated."""

    graph: Graph
    tick: Callable[[], None]
    made: dict[str, Poses] = field(default_factory=dict)
    begun: set[str] = field(default_factory=set)


def _poses(run: _Evaluation, node: str) -> Poses:
    if node not in run.made:
        run.made[node] = _execute(*_class_and_inputs(run, node))
    return run.made[node]


def _class_and_inputs(run: _Evaluation, node: str) -> tuple[type[io.ComfyNode], dict[str, Any]]:
    run.tick()
    class_type, values = _entry(run.graph, node)
    node_class = POSE_NODES.get(class_type)
    if node_class is None:
        raise KnownAfterRun("This motion is known once the graph has run.")
    if node in run.begun:
        raise Refused(HTTPStatus.BAD_REQUEST, "The graph has a cycle.")
    run.begun.add(node)
    return node_class, _inputs(run, node_class, values)


def _inputs(run: _Evaluation, node_class: type[io.ComfyNode], values: Mapping[str, Any]) -> dict[str, Any]:
    inputs: dict[str, Any] = {}
    # Sounds come last: how much of one can be played depends on the frame rate.
    for declared in sorted(node_class.define_schema().inputs, key=lambda one: one.get_io_type() == io.Audio.io_type):
        if declared.id in values:
            value = values[declared.id]
            linked = _linked(value)
            inputs[declared.id] = (
                _value(declared, value) if linked is None else _linked_value(run, declared, linked, inputs)
            )
        elif not declared.optional:
            raise MotionError(f"{declared.id} is not connected.")
    return inputs


def _execute(node_class: type[io.ComfyNode], inputs: dict[str, Any]) -> Poses:
    if node_class is PoseSequence:
        return _sequence(**inputs)[1]
    if node_class in (LoadPoses, TrackedFace):
        _refuse_large(file_path(inputs["file"]), _MOST_MOTION_BYTES)
    _refuse_long(_expected_frames(node_class, inputs))
    poses: Poses = node_class.execute(**inputs).result[0]
    _refuse_long(len(poses))
    return poses


def _entry(graph: Graph, node: str) -> tuple[str, Mapping[str, Any]]:
    entry = graph.get(node)
    inputs = entry.get("inputs") if isinstance(entry, Mapping) else None
    if not isinstance(entry, Mapping) or not isinstance(inputs, Mapping):
        raise Refused(HTTPStatus.BAD_REQUEST, 'Every node must be an object with "class_type" and "inputs".')
    return text(entry, "class_type", None, 200), inputs


def _linked(value: object) -> str | None:
    """The id of the node that an input is linked to; None where it is not linked."""
    if not isinstance(value, list):
        return None
    if len(value) != 2 or not isinstance(value[0], str) or type(value[1]) is not int:
        raise Refused(HTTPStatus.BAD_REQUEST, "A link must be a node's id and the number of its output.")
    return value[0]


def _linked_value(run: _Evaluation, declared: io.Input, node: str, inputs: Mapping[str, Any]) -> Any:
    """What the input `declared` gets from `node`; `inputs` are the ones before it."""
    if declared.get_io_type() == types.Poses.io_type:
        return _poses(run, node)
    if declared.get_io_type() == io.Audio.io_type and node in run.graph:
        class_type, values = _entry(run.graph, node)
        if class_type == _LOAD_AUDIO:
            if not values.get("audio"):
                raise MotionError("Load Audio has no file yet: choose one.")
            return _sound(text(values, "audio", None, 300), MOST_FRAMES / _frame_rate(inputs), run.tick)
    raise KnownAfterRun(f"{declared.id} is known once the graph has run.")


def _frame_rate(inputs: Mapping[str, Any]) -> float:
    before = inputs.get("poses")
    return float(before.fps if before else inputs["fps"])


def _sound(name: str, most_seconds: float, tick: Callable[[], None]) -> dict[str, Any]:
    if name not in folders.input_files(SOUND_SUFFIXES):
        raise MotionError(f"There is no sound {reading.shorten(name)} in the input folder.")
    path = folders.input_path(name)
    _refuse_large(path, _MOST_SOUND_BYTES)
    return sounds.load(path, most_seconds, tick)


def _value(declared: io.Input, value: object) -> Any:
    """A widget's value, checked against what the node declares."""
    name = declared.id
    if isinstance(declared, io.Float.Input | io.Int.Input):
        found = reading.number(value, name)
        if not (declared.min or 0) <= found <= (declared.max or 0):
            raise MotionError(f"{name} = {found:g} is outside {declared.min:g} to {declared.max:g}.")
        return int(found) if isinstance(declared, io.Int.Input) else found
    if isinstance(declared, io.Combo.Input):
        if value not in (declared.options or []):
            raise MotionError(f"{name}: there is no {reading.shorten(value)}.")
        return value
    expected, what = (bool, "true or false") if isinstance(declared, io.Boolean.Input) else (str, "a text")
    if not isinstance(value, expected) or (isinstance(value, str) and len(value) > _MOST_TEXT):
        raise MotionError(f"{name} must be {what}, not {reading.shorten(value)}.")
    return value


def _sequence(fps: float, length: float, **inputs: Any) -> tuple[Keyframes, Poses]:
    """The motion of a Pose Sequence, and its poses. Its script may be long: it is read once, which tells the length."""
    motion = sequence.read(length=length, **inputs)
    _refuse_long(motion.length * fps)
    return motion, script.sample(motion, fps, to_the_end=not length)


def _expected_frames(node_class: type[io.ComfyNode], inputs: Mapping[str, Any]) -> float:
    """About how many frames a node will make."""
    before = inputs.get("poses")
    if node_class is CombinePoses:
        a, b = inputs["a"], inputs["b"]
        return len(a) + len(b) * a.fps / b.fps
    if node_class is EditPoses:
        return len(before) / inputs["speed"] * ((inputs["fps"] or before.fps) / before.fps)
    if node_class is IdleMotion:
        return len(before) if before else inputs["seconds"] * inputs["fps"]
    if node_class is LipSync:
        return _speech_seconds(inputs) * _frame_rate(inputs)
    return 1


def _speech_seconds(inputs: Mapping[str, Any]) -> float:
    audio = inputs.get("audio")
    if audio is not None:
        return float(audio["waveform"].shape[-1] / audio["sample_rate"])
    if not inputs["timings"].strip():
        return 0.0
    return max(sound.end for sound in timings.parse(inputs["timings"], "timings", inputs.get("speaker", "")).phonemes)


def _refuse_large(path: Path, most: int) -> None:
    """Raise KnownAfterRun for a file that would take long to read."""
    if path.stat().st_size > most:
        raise KnownAfterRun(f"{path.name} is too large to be read before the graph runs.")


def _refuse_long(frames: float) -> None:
    if frames > MOST_FRAMES:
        raise MotionError(f"This motion has {frames:,.0f} frames; at most {MOST_FRAMES:,} are played here.")
