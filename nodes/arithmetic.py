"""Expression, Combine Poses, Edit Poses: making motions out of motions."""

from __future__ import annotations

from comfy_api.latest import io

from ..tha4_core.motion import arithmetic, expressions
from ..tha4_core.motion import smoothing as smoothers
from ..tha4_core.motion.groups import GROUPS
from ..tha4_core.pose import Poses
from . import types
from .sequence import known_expressions

_COMBINATIONS = ("append", "cross-fade", "add", "blend", "take groups from b")
_SMOOTHINGS = ("none", "one-euro", "savitzky-golay")


def _group_inputs(what: str) -> list[io.Input]:
    return [io.Boolean.Input(name, default=True, tooltip=f"{what} the {name}.") for name in GROUPS]


def _chosen(switches: dict[str, bool]) -> list[str]:
    return [name for name in GROUPS if switches[name]]


class Expression(io.ComfyNode):
    """A named expression as a pose."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        names = sorted(known_expressions(), key=str.casefold)
        return io.Schema(
            node_id="THA4Expression",
            display_name="Expression",
            category=types.CATEGORY,
            **types.search_aliases("emotion", "smile", "face"),
            description="A named expression, alone or put on every pose of a motion. Your own go into "
            "models/tha4/expressions as .json files like the pack's tha4_core/motion/expressions.json.",
            inputs=[
                io.Combo.Input("expression", options=names, default="smile", tooltip="What the face does."),
                io.Float.Input(
                    "strength", default=1.0, min=0.0, max=1.0, step=0.05, tooltip="0: nothing, 1: as it is defined."
                ),
                types.Poses.Input(
                    "poses",
                    optional=True,
                    tooltip="Poses to put it on; what the expression does not move stays theirs.",
                ),
            ],
            outputs=[types.Poses.Output(display_name="poses")],
        )

    @classmethod
    def execute(cls, expression: str, strength: float, poses: Poses | None = None) -> io.NodeOutput:
        found = expressions.find(expression, known_expressions())
        if poses is None:
            return io.NodeOutput(Poses(expressions.to_pose(found, strength)))
        return io.NodeOutput(expressions.apply(poses, found, strength))


class CombinePoses(io.ComfyNode):
    """Two motions as one."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="THA4CombinePoses",
            display_name="Combine Poses",
            category=types.CATEGORY,
            **types.search_aliases("merge", "concatenate", "add"),
            description="Two motions as one. b is brought to the frame rate of a; where they lie on top of each other, "
            "the shorter one keeps its last pose, so a single pose goes with any motion.",
            inputs=[
                types.Poses.Input("a", tooltip="The first motion; its frame rate is kept."),
                types.Poses.Input("b", tooltip="The second motion."),
                io.Combo.Input(
                    "how",
                    options=list(_COMBINATIONS),
                    tooltip="append: b after a. cross-fade: the same, overlapping. add: a + amount x b. blend: amount "
                    "of the way from a to b. take groups from b: b's chosen groups, the rest from a.",
                ),
                io.Float.Input(
                    "amount", default=1.0, min=-1.0, max=1.0, step=0.05, tooltip="For add and blend (0 to 1 there)."
                ),
                io.Float.Input(
                    "seconds", default=0.5, min=0.0, max=60.0, step=0.1, tooltip="How long a cross-fade overlaps."
                ),
                *_group_inputs("For take groups from b: take"),
            ],
            outputs=[types.Poses.Output(display_name="poses")],
        )

    @classmethod
    def execute(cls, a: Poses, b: Poses, how: str, amount: float, seconds: float, **switches: bool) -> io.NodeOutput:
        if how == "append":
            return io.NodeOutput(arithmetic.append(a, b))
        if how == "cross-fade":
            return io.NodeOutput(arithmetic.crossfade(a, b, seconds))
        if how == "add":
            return io.NodeOutput(arithmetic.add(a, b, amount))
        if how == "blend":
            return io.NodeOutput(arithmetic.blend(a, b, amount))
        return io.NodeOutput(arithmetic.replace(a, b, _chosen(switches)))


class EditPoses(io.ComfyNode):
    """A motion, changed."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="THA4EditPoses",
            display_name="Edit Poses",
            category=types.CATEGORY,
            **types.search_aliases("speed", "mirror", "reverse", "scale"),
            description="Changes a motion, in the order of the inputs. As it comes, nothing changes.",
            inputs=[
                types.Poses.Input("poses", tooltip="The motion."),
                *_group_inputs("Keep"),
                io.Combo.Input(
                    "smoothing",
                    options=list(_SMOOTHINGS),
                    tooltip="one-euro: steady when still, quick when moving, for tracked faces. savitzky-golay: smooth "
                    "without lag.",
                ),
                io.Float.Input(
                    "smoothing_seconds",
                    default=0.25,
                    min=0.02,
                    max=10.0,
                    step=0.01,
                    tooltip="How long a wobble may last to be smoothed away.",
                ),
                io.Float.Input(
                    "strength", default=1.0, min=-2.0, max=2.0, step=0.05, tooltip="Every number times this, in range."
                ),
                io.Boolean.Input("mirror", default=False, tooltip="Swap left and right."),
                io.Boolean.Input("reverse", default=False, tooltip="Play it backwards."),
                io.Float.Input("speed", default=1.0, min=0.01, max=100.0, step=0.05, tooltip="2: twice as fast."),
                io.Float.Input(
                    "fps", default=0.0, min=0.0, max=240.0, step=1.0, tooltip="Another frame rate; 0 keeps its own."
                ),
                io.String.Input(
                    "limits",
                    default="",
                    multiline=True,
                    tooltip="Lines of PARAMETER LOWEST HIGHEST, such as: head_y -0.5 0.5. Nothing leaves these ranges.",
                ),
            ],
            outputs=[types.Poses.Output(display_name="poses")],
        )

    @classmethod
    def execute(
        cls,
        poses: Poses,
        smoothing: str,
        smoothing_seconds: float,
        strength: float,
        mirror: bool,
        reverse: bool,
        speed: float,
        fps: float,
        limits: str,
        **switches: bool,
    ) -> io.NodeOutput:
        poses = arithmetic.mask(poses, _chosen(switches))
        poses = arithmetic.scale(_smoothed(poses, smoothing, smoothing_seconds), strength)
        poses = arithmetic.mirror(poses) if mirror else poses
        poses = arithmetic.reverse(poses) if reverse else poses
        poses = arithmetic.retime(poses, speed) if speed != 1 else poses
        poses = arithmetic.resample(poses, fps or poses.fps)
        return io.NodeOutput(arithmetic.limit(poses, arithmetic.parse_limits(limits)))


def _smoothed(poses: Poses, smoothing: str, seconds: float) -> Poses:
    if smoothing == "one-euro":
        # The cutoff of a filter that settles within those seconds.
        return smoothers.one_euro(poses, min_cutoff=1 / seconds)
    return smoothers.savitzky_golay(poses, seconds) if smoothing == "savitzky-golay" else poses
