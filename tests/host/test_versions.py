"""What newer and older versions of ComfyUI ask of the nodes, and what its page does for its own nodes only."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import av
import pytest
import torch

from tests.host.pack import pack_module
from tests.host.test_graphs import NO_HUB
from tha4_core.pose import Poses

Call = Callable[..., Any]


@pytest.fixture
def poses() -> Poses:
    return Poses(torch.zeros(2, 45), 5.0)


def test_a_video_is_saved_whatever_else_is_asked(
    call: Call, poses: Poses, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    student = call("THA4LoadStudent", student="lambda_00", **NO_HUB)[0]
    poses = call("THA4PoseSequence", script="0 head_y=1 in 0.2", fps=5.0, length=0.0, loop=False)[0]
    inputs = {"background": "color", "background_color": "#00ff00", "size": 64}
    video = call("THA4RenderVideo", student=student, poses=poses, **inputs)[0]
    with caplog.at_level(logging.WARNING, "tha4"):
        video.save_to(str(tmp_path / "x.mp4"), crf=20, color_space="bt2020", preset="slow", tune=None)
    assert "without these settings, which it does not know: color_space, preset." in caplog.text
    with av.open(tmp_path / "x.mp4") as container:
        assert sum(1 for _ in container.decode(video=0)) == len(poses)


def test_schemas_say_only_what_the_host_knows(call: Call) -> None:
    def older(id: str, tooltip: str) -> None: ...

    def newer(id: str, tooltip: str, advanced: bool = False) -> None: ...

    types = pack_module("nodes.types")
    assert types.advanced(older) == {}
    assert types.advanced(newer) == {"advanced": True}


def test_every_node_is_found_by_other_words(call: Call) -> None:
    for node in pack_module("nodes.__init__").NODES:
        assert node.define_schema().search_aliases


def test_dates_in_prefixes_are_filled_in(call: Call, poses: Poses) -> None:
    before = datetime.now().replace(microsecond=0)
    prefix = "dated/%date:yyyy-MM-dd_hh-mm-ss% %date:yy.M.d%"
    path = Path(call("THA4SavePoses", poses=poses, filename_prefix=prefix, format="json")[0])
    found = re.fullmatch(r"(.{19}) (\d\d\.\d\d?\.\d\d?)_00001", path.stem)
    assert found
    written = datetime.strptime(found[1], "%Y-%m-%d_%H-%M-%S")
    assert before <= written <= datetime.now()
    assert found[2] == f"{written:%y}.{written.month}.{written.day}"
