"""Load Poses, Save Poses, Plot Poses: motion from files, to files, and to look at."""

from __future__ import annotations

from comfy_api.latest import io, ui

from ..tha4_core.motion import files, formats, plot
from ..tha4_core.motion.cancellation import cancellable
from ..tha4_core.pose import Poses
from . import folders, host, types
from .motion_files import DEMO_MOTION, file_input, file_path, fingerprint, read

POSE_SUFFIXES = (".json", ".csv", ".npz", ".vmd")


class LoadPoses(io.ComfyNode):
    """A motion from a file."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="THA4LoadPoses",
            display_name="Load Poses",
            category=types.CATEGORY,
            **types.search_aliases("motion", "VMD", "MikuMikuDance"),
            description="A motion from a file: what Save Poses wrote (.json, .csv, .npz), or a MikuMikuDance motion "
            "(.vmd), whose facial morphs and turns of head and body become poses. The node shows what was left out.",
            inputs=[
                file_input(DEMO_MOTION, POSE_SUFFIXES, "The motion"),
                io.Float.Input(
                    "fps", default=0.0, min=0.0, max=240.0, step=1.0, tooltip="Another frame rate; 0: the file's own."
                ),
                io.Float.Input(
                    "turn", default=1.0, min=0.0, max=4.0, step=0.05, tooltip="For .vmd: how far head and body turn."
                ),
            ],
            outputs=[types.Poses.Output(display_name="poses")],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def fingerprint_inputs(cls, file: str, **_: object) -> str:
        return fingerprint(file)

    @classmethod
    def execute(cls, file: str, fps: float, turn: float) -> io.NodeOutput:
        with cancellable(host.stop_if_interrupted):
            return read(formats.load(file_path(file), fps or None, turn), cls.hidden)


class SavePoses(io.ComfyNode):
    """A motion to a file."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="THA4SavePoses",
            display_name="Save Poses",
            category=types.CATEGORY,
            **types.search_aliases("motion", "export"),
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
        path = folders.new_output_path(filename_prefix, f".{format}")
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
            **types.search_aliases("curves", "graph"),
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
