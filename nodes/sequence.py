"""Pose Sequence: motion from a small script."""

from __future__ import annotations

from comfy_api.latest import io

from ..tha4_core.motion import expressions
from ..tha4_core.motion import script as motion_script
from ..tha4_core.motion.cancellation import cancellable
from ..tha4_core.motion.keyframes import Keyframes
from ..tha4_core.pose import Poses
from . import folders, host, types
from .page.run_results import remember

EXPRESSION_FOLDER = "expressions"

DEFAULT_SCRIPT = """\
# time  what  strength  easing
0.0  neutral
0.5  head_y=0.5 neck_z=0.3 ease-in-out
0.8  smile 0.8 ease-out
1.2  a 0.9
1.5  blink
1.6  a 0.1
2.0  look left
2.4  head_y=-0.5 neck_z=-0.3
2.8  laugh in 0.3
hold 0.4
3.6  neutral
"""


class PoseSequence(io.ComfyNode):
    """A motion written as a few lines of text."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="THA4PoseSequence",
            display_name="Pose Sequence",
            category=types.CATEGORY,
            **types.search_aliases("keyframes", "animation", "script", "timeline"),
            description=motion_script.__doc__,
            inputs=[
                io.String.Input(
                    "script",
                    multiline=True,
                    default=DEFAULT_SCRIPT,
                    tooltip="One line a key: TIME WHAT [STRENGTH] [EASING] [in SECONDS]. WHAT begins at TIME and then "
                    "stays: an expression (smile, look left), neutral, blink, nod, key N, or a parameter such as "
                    "head_y=0.5.",
                ),
                io.Float.Input(
                    "fps", default=24.0, min=1.0, max=240.0, step=1.0, tooltip="Frames per second of the poses."
                ),
                io.Float.Input(
                    "length",
                    default=0.0,
                    min=0.0,
                    max=86400.0,
                    step=0.1,
                    tooltip="Seconds. 0: until the script's last line is over.",
                ),
                io.Boolean.Input(
                    "loop", default=False, tooltip="The end goes over into the start without a seam, again and again."
                ),
                types.Poses.Input(
                    "keys", optional=True, tooltip='Poses that the script calls "key 1", "key 2" and so on.'
                ),
            ],
            outputs=motion_outputs(),
        )

    @classmethod
    def fingerprint_inputs(cls, **_: object) -> str:
        # The script can name expressions of the user's own, which change beside it.
        return folders.fingerprint(
            file for folder in folders.model_folders(EXPRESSION_FOLDER) for file in folder.glob("*.json")
        )

    @classmethod
    def execute(cls, script: str, fps: float, length: float, loop: bool, keys: Poses | None = None) -> io.NodeOutput:
        with cancellable(host.stop_if_interrupted):
            motion = read(script, length, loop, keys)
            return motion_result(motion_script.sample(motion, fps, to_the_end=not length))


def read(script: str, length: float, loop: bool, keys: Poses | None = None) -> Keyframes:
    """The motion of a Pose Sequence with these inputs."""
    return motion_script.parse(script, poses=keys, known=known_expressions(), length=length or None, loop=loop)


def known_expressions() -> expressions.Library:
    """The built-in expressions and the user's own in models/tha4/expressions, which may replace them."""
    known = dict(expressions.built_in())
    for folder in folders.model_folders(EXPRESSION_FOLDER):
        known.update(expressions.library(folder))
    return known


def motion_outputs() -> list[io.Output]:
    """The outputs of a node that makes a motion."""
    return [
        types.Poses.Output(display_name="poses"),
        io.Float.Output(display_name="fps", tooltip="The poses' frame rate, for whatever saves the frames."),
        io.Int.Output(display_name="frames", tooltip="How many poses there are."),
    ]


def motion_result(poses: Poses) -> io.NodeOutput:
    """What such a node gives, and the key by which its player finds it."""
    return io.NodeOutput(poses, poses.fps, len(poses), ui={"tha4_motion": [remember(poses)]})
