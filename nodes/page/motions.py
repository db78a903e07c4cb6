"""Motions for the page before anything is queued: the nodes of a graph that make poses, executed on their own."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

from comfy_api.latest import io

from ...tha4_core.errors import MotionError, THA4Error
from ...tha4_core.motion import reading, script
from ...tha4_core.motion.speech import timings
from ...tha4_core.pose import NAMES, Poses
from .. import host, sequence, types
from ..arithmetic import CombinePoses, EditPoses, Expression
from ..idle import IdleMotion
from ..lip_sync import LipSync
from ..pose import PoseVector
from ..pose_files import LoadPoses
from ..sequence import PoseSequence
from ..tracked_face import TrackedFace
from .preview_queue import Job
from .request import Refused, text
from .run_results import MOST_FRAMES, recall

MAKERS = {
    f"THA4{maker.__name__}": maker
    for maker in (
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
"""The nodes that make poses out of numbers, texts and files alone."""

SOUND_SUFFIXES = (".wav", ".mp3", ".flac", ".ogg", ".opus", ".m4a", ".aac", ".webm", ".mp4")
_LOAD_AUDIO = "LoadAudio"
_MOST_NODES = 64
_MOST_BYTES = 64 * 2**20  # of a sound file
_MOST_TEXT = 200_000
_THOUSANDTHS = 1000

Graph = Mapping[str, Any]


class KnownAfterRun(Exception):  # noqa: N818 - no error: most graphs have such nodes
    """Only a run of the graph can tell what this node makes."""


def poses_job(asked: Mapping[str, Any]) -> tuple[Job, str]:
    """What a request for a motion asks for. Raises Refused."""
    if "ran" in asked:
        poses = recall(text(asked, "ran", None, 64))
        if poses is None:
            raise Refused(HTTPStatus.NOT_FOUND, "This motion is forgotten. Run the graph again.")
        return lambda tick: numbers(poses), ""
    graph, node = asked.get("graph"), text(asked, "node", None, 100)
    if not isinstance(graph, Mapping) or len(graph) > _MOST_NODES or node not in graph:
        raise Refused(
            HTTPStatus.BAD_REQUEST, f"graph must be an object of at most {_MOST_NODES} nodes, with node in it."
        )
    return lambda tick: _answer(graph, node, tick), ""


def _answer(graph: Graph, node: str, tick: Callable[[], None]) -> bytes:
    """The motion, or why there is none: a slip in a script is no error of the request."""
    try:
        return numbers(evaluate(graph, node, tick))
    except KnownAfterRun as later:
        return json.dumps({"problem": str(later), "after_run": True}).encode()
    except THA4Error as error:
        return json.dumps({"problem": str(error)}).encode()


def numbers(poses: Poses) -> bytes:
    """A motion as JSON: frames per second, frames, the curves of what moves, in thousandths, and notes."""
    values = (poses.values * _THOUSANDTHS).round().int()
    moving = values.any(dim=0).tolist()
    curves = {name: values[:, i].tolist() for i, name in enumerate(NAMES) if moving[i]}
    told = {"fps": poses.fps, "frames": len(poses), "curves": curves, "notes": poses.notes}
    return json.dumps(told, separators=(",", ":")).encode()


def evaluate(graph: Graph, node: str, tick: Callable[[], None], above: tuple[str, ...] = ()) -> Poses:
    """The poses of one node of a graph in API form, with those of the nodes before it.

    Raises KnownAfterRun, Refused where the graph is none, and THA4Error where an input is wrong.
    """
    tick()
    class_type, given = _entry(graph, node)
    maker = MAKERS.get(class_type)
    if maker is None:
        raise KnownAfterRun("This motion is known once the graph has run.")
    if node in above:
        raise Refused(HTTPStatus.BAD_REQUEST, "The graph goes round in a circle.")
    inputs: dict[str, Any] = {}
    for declared in maker.define_schema().inputs:
        if declared.id in given:
            value = given[declared.id]
            linked = _linked(value)
            inputs[declared.id] = (
                _value(declared, value) if linked is None else _fetched(graph, declared, linked, tick, (*above, node))
            )
        elif not declared.optional:
            raise MotionError(f"{declared.id} is not connected.")
    if maker is PoseSequence:
        return _sequence(**inputs)
    _refuse_long(_frames(maker, inputs))
    poses: Poses = maker.execute(**inputs).result[0]
    _refuse_long(len(poses))
    return poses


def _entry(graph: Graph, node: str) -> tuple[str, Mapping[str, Any]]:
    entry = graph.get(node)
    given = entry.get("inputs") if isinstance(entry, Mapping) else None
    if not isinstance(entry, Mapping) or not isinstance(given, Mapping):
        raise Refused(HTTPStatus.BAD_REQUEST, 'Every node must be an object with "class_type" and "inputs".')
    return text(entry, "class_type", None, 200), given


def _linked(value: object) -> str | None:
    """The node that an input is linked to, where it is linked."""
    if not isinstance(value, list):
        return None
    if len(value) != 2 or not isinstance(value[0], str) or type(value[1]) is not int:
        raise Refused(HTTPStatus.BAD_REQUEST, "A link must be a node's id and the number of its output.")
    return value[0]


def _fetched(graph: Graph, declared: io.Input, node: str, tick: Callable[[], None], above: tuple[str, ...]) -> Any:
    if declared.get_io_type() == types.Poses.io_type:
        return evaluate(graph, node, tick, above)
    if declared.get_io_type() == io.Audio.io_type and node in graph:
        class_type, given = _entry(graph, node)
        if class_type == _LOAD_AUDIO:
            return _sound(text(given, "audio", None, 300))
    raise KnownAfterRun(f"{declared.id} is known once the graph has run.")


def _sound(name: str) -> dict[str, Any]:
    if name not in host.input_files(SOUND_SUFFIXES):
        raise MotionError(f"There is no sound {reading.shorten(name)} in the input folder.")
    path = host.input_path(name)
    if path.stat().st_size > _MOST_BYTES:
        raise KnownAfterRun(f"{name} is too large to be heard before the graph runs.")
    try:
        return host.load_sound(path)
    except ValueError as error:
        raise MotionError(f"{name} cannot be heard: {error}") from error


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
    wanted, what = (bool, "true or false") if isinstance(declared, io.Boolean.Input) else (str, "a text")
    if not isinstance(value, wanted) or (isinstance(value, str) and len(value) > _MOST_TEXT):
        raise MotionError(f"{name} must be {what}, not {reading.shorten(value)}.")
    return value


def _sequence(fps: float, length: float, **inputs: Any) -> Poses:
    """What a Pose Sequence makes; its script, which may be long, is read once and then tells how long the motion is."""
    motion = sequence.read(length=length, **inputs)
    _refuse_long(motion.length * fps)
    return script.sample(motion, fps, to_the_end=not length)


def _frames(maker: type[io.ComfyNode], inputs: Mapping[str, Any]) -> float:
    """About how many frames a node is going to make: asked before it makes them."""
    before = inputs.get("poses")
    if maker is CombinePoses:
        a, b = inputs["a"], inputs["b"]
        return len(a) + len(b) * a.fps / b.fps
    if maker is EditPoses:
        return len(before) / inputs["speed"] * ((inputs["fps"] or before.fps) / before.fps)
    if maker is IdleMotion:
        return len(before) if before else inputs["seconds"] * inputs["fps"]
    if maker is LipSync:
        return _speech_seconds(inputs) * (before.fps if before else inputs["fps"])
    return 1


def _speech_seconds(inputs: Mapping[str, Any]) -> float:
    audio = inputs.get("audio")
    if audio is not None:
        return float(audio["waveform"].shape[-1] / audio["sample_rate"])
    if not inputs["timings"].strip():
        return 0.0
    return max(sound.end for sound in timings.parse(inputs["timings"], "timings", inputs.get("speaker", "")).phonemes)


def _refuse_long(frames: float) -> None:
    if frames > MOST_FRAMES:
        raise MotionError(f"This motion has {frames:,.0f} frames; at most {MOST_FRAMES:,} are played here.")
