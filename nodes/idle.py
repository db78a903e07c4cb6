"""Idle Motion: what a character does when it does nothing."""

from __future__ import annotations

from comfy_api.latest import io

from ..tha4_core.motion import idle
from ..tha4_core.motion.cancellation import cancellable
from ..tha4_core.motion.idle import IdleSettings
from ..tha4_core.pose import Poses
from . import host, types
from .sequence import motion_outputs, motion_result

_AMOUNTS = {
    "blink": "How often the eyes blink; 1: 12 to 20 times a minute, now and then twice. Every blink is seen shut "
    "from 12 fps on.",
    "breathing": "How deep the breath is.",
    "gaze": "How far the gaze wanders.",
    "sway": "How far head, neck and body sway; now and then they rest.",
    "expression": "How strong the small changes of brows, lids and mouth are.",
}


class IdleMotion(io.ComfyNode):
    """What a character does when it does nothing."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="THA4IdleMotion",
            display_name="Idle Motion",
            category=types.CATEGORY,
            **types.search_aliases("blink", "breathing", "loop", "vtuber"),
            description="Blinks, breath, a wandering gaze, sway and small expressions, alone or on top of any poses. "
            "The same seed always gives the same motion.",
            inputs=[
                io.Int.Input(
                    "seed",
                    default=0,
                    min=0,
                    max=2**32 - 1,
                    control_after_generate=False,  # what was seen in the player is what runs
                    tooltip="Another seed, another motion.",
                ),
                io.Float.Input(
                    "seconds",
                    default=8.0,
                    min=0.1,
                    max=86400.0,
                    step=0.1,
                    tooltip="Length, where no poses are connected.",
                ),
                io.Float.Input(
                    "fps", default=24.0, min=1.0, max=240.0, step=1.0, tooltip="Rate, where no poses are connected."
                ),
                io.Boolean.Input("loop", default=True, tooltip="The end goes over into the start without a seam."),
                *(
                    io.Float.Input(name, default=1.0, min=0.0, max=1.0, step=0.05, tooltip=tooltip)
                    for name, tooltip in _AMOUNTS.items()
                ),
                io.Float.Input(
                    "breathing_period",
                    default=4.0,
                    min=1.0,
                    max=20.0,
                    step=0.1,
                    tooltip="Seconds from breath to breath.",
                ),
                types.Poses.Input("poses", optional=True, tooltip="A motion that the idle motion is added to."),
            ],
            outputs=motion_outputs(),
        )

    @classmethod
    def execute(
        cls, seed: int, seconds: float, fps: float, loop: bool, poses: Poses | None = None, **settings: float
    ) -> io.NodeOutput:
        how = IdleSettings(**settings)
        with cancellable(host.stop_if_interrupted):
            if poses is None:
                return motion_result(idle.sample(seconds, fps, seed, how, loop))
            return motion_result(idle.over(poses, seed, how, loop))
