"""What Load Poses and Tracked Face share: the choice of a file, and what a node shows of the one that it read."""

from __future__ import annotations

from pathlib import Path

from comfy_api.latest import io, ui

from ..tha4_core import demo
from ..tha4_core.pose import Poses
from . import folders, host

FOLDER = "motions"
DEMOS = {"demo motion": demo.MOTION, "demo recording": demo.RECORDING}
DEMO_MOTION, DEMO_RECORDING = DEMOS


def file_input(demo_name: str, suffixes: tuple[str, ...], what: str) -> io.Combo.Input:
    """The input `file`: a demo, or a file of those folders whose name ends in one of `suffixes`."""
    options = [demo_name, *folders.motion_files(FOLDER, suffixes)]
    where = f'"{demo_name}", or a file in models/tha4/motions or the input folder.'
    return io.Combo.Input("file", options=options, tooltip=f"{what}: {where}")


def fingerprint(file: str) -> str:
    """A text that changes with the file that the input names; empty where it is missing."""
    try:
        return folders.fingerprint([file_path(file)])
    except FileNotFoundError:
        return ""


def file_path(file: str) -> Path:
    """The file that the input names."""
    return DEMOS[file] if file in DEMOS else folders.motion_path(FOLDER, file)


def read(poses: Poses, hidden: io.HiddenHolder | None) -> io.NodeOutput:
    """The output of a node that read these poses; the node shows their notes and their length.

    `hidden` is None where a node is asked outside a graph.
    """
    # The notes first: a small node shows two lines.
    text = "\n".join((*poses.notes, f"{len(poses):,} frames, {len(poses) / poses.fps:.1f} s at {poses.fps:g} fps."))
    host.show_text(text, hidden.unique_id if hidden else None)
    return io.NodeOutput(poses, ui=ui.PreviewText(text))
