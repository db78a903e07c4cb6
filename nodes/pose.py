"""Pose Vector: one pose from 45 named numbers."""

from __future__ import annotations

from comfy_api.latest import io

from ..tha4_core.pose import PARAMETERS, Parameter, Poses, make_pose
from . import types


def _input(parameter: Parameter) -> io.Float.Input:
    return io.Float.Input(
        parameter.name,
        default=0.0,
        min=parameter.minimum,
        max=parameter.maximum,
        step=0.01,
        round=0.001,
        display_mode=io.NumberDisplay.slider,
        tooltip=f"{parameter.meaning} ({parameter.minimum:g} to {parameter.maximum:g}).",
    )


class PoseVector(io.ComfyNode):
    """One pose from 45 named numbers."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="THA4PoseVector",
            display_name="Pose Vector",
            category=types.CATEGORY,
            **types.search_aliases("talking head anime", "head pose", "parameters"),
            description="One pose: 45 numbers, each for one thing that the character can do. All at 0 is the picture "
            "as it is drawn. Left and right are the character's own.",
            inputs=[_input(parameter) for parameter in PARAMETERS],
            outputs=[types.Poses.Output(display_name="poses", tooltip="A sequence of this one pose.")],
        )

    @classmethod
    def execute(cls, **values: float) -> io.NodeOutput:
        # The numbers are for the editor on the page, which cannot know what links give.
        return io.NodeOutput(Poses(make_pose(values)), ui={"tha4_pose": [values]})
