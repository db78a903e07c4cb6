"""The VIDEO that a render node gives, and Save Video with Alpha."""

from __future__ import annotations

import io as streams
import json
from collections.abc import Iterator
from dataclasses import fields
from fractions import Fraction
from math import ceil
from pathlib import Path
from typing import Any

import torch
from comfy_api.input import VideoInput
from comfy_api.latest import io, ui
from comfy_api.util import VideoComponents
from torch import Tensor

from ..tha4_core import video as videos
from ..tha4_core.errors import VideoError
from ..tha4_core.video import FORMATS, Sound, Video
from . import host, types
from .render import Shot, render_images

Audio = dict[str, Any]
"""ComfyUI's AUDIO: `waveform` `[1, channels, samples]` and `sample_rate`."""

_NO_SOUND = "An animated WebP has no sound: the audio is left out."


class ShotVideo(VideoInput):
    """ComfyUI's VIDEO of a shot: frames are rendered when they are asked for, and again each time they are."""

    def __init__(self, shot: Shot, audio: Audio | None) -> None:
        self.shot, self.audio = shot, audio

    def get_components(self) -> VideoComponents:
        """All frames at once, as the render node's IMAGE; the one thing here that takes memory for each."""
        image, mask = render_images(self.shot, rgba=False)
        known = {field.name for field in fields(VideoComponents)}  # not all that ComfyUI has today were always there
        extra = {"alpha": 1 - mask[..., None]} if "alpha" in known and self.shot.behind is None else {}
        return VideoComponents(images=image, audio=self._audio(), frame_rate=self.get_frame_rate(), **extra)

    def save_to(
        self,
        path: str | streams.BytesIO,
        format: str = "auto",
        codec: str = "auto",
        metadata: dict[str, object] | None = None,
        bit_depth: int | None = None,
        crf: float | None = None,
    ) -> None:
        """Render and encode one frame after another, as H.264 in MP4: what ComfyUI's own Save Video asks for.

        Frames without a background get the render node's background_color, because MP4 has no alpha. The pictures
        have 8 bits whatever `bit_depth` asks.
        """
        if format not in ("auto", "mp4") or codec not in ("auto", "h264"):
            raise VideoError(
                f"This saves mp4 with h264, not {format} with {codec}; Save Video with Alpha knows others."
            )
        texts = {name: text if isinstance(text, str) else json.dumps(text) for name, text in (metadata or {}).items()}
        target = path if isinstance(path, streams.IOBase) else Path(path)
        videos.save(self.film(False, texts), target, FORMATS["mp4"], {} if crf is None else {"crf": str(crf)})

    def as_trimmed(
        self, start_time: float | None = None, duration: float | None = None, strict_duration: bool = False
    ) -> ShotVideo | None:
        """The part that begins at `start_time` seconds (negative: from the end); None where there is none."""
        whole = self.get_duration()
        start = max(0.0, start_time or 0.0) if (start_time or 0.0) >= 0 else max(0.0, whole + (start_time or 0.0))
        length = duration or whole - start
        first, last = (round(seconds * self.get_frame_rate()) for seconds in (start, start + length))
        if first >= self.get_frame_count() or last <= first or (strict_duration and last > self.get_frame_count()):
            return None
        return ShotVideo(self.shot.part(slice(first, last)), self._audio_from(start))

    def get_dimensions(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.shot.size, self.shot.size

    def get_frame_count(self) -> int:
        """How many frames there are."""
        return len(self.shot.poses)

    def get_frame_rate(self) -> Fraction:
        """Frames a second."""
        return Fraction(self.shot.poses.fps).limit_denominator(1001)

    def get_duration(self) -> float:
        """Length in seconds."""
        return float(self.get_frame_count() / self.get_frame_rate())

    def get_container_format(self) -> str:
        """What `save_to` writes."""
        return "mp4"

    def film(self, alpha: bool, metadata: dict[str, str]) -> Video:
        """What is to be written, with alpha where it is asked for and there is any."""
        return Video(
            self.shot.pictures(alpha and self.shot.behind is None),
            self.get_frame_count(),
            self.get_dimensions(),
            self.get_frame_rate(),
            alpha and self.shot.behind is None,
            _sound(self.audio),
            metadata,
        )

    def _audio(self) -> Audio | None:
        """The sound, as long as the frames."""
        if self.audio is None:
            return None
        end = ceil(self.get_duration() * self.audio["sample_rate"])
        return {**self.audio, "waveform": self.audio["waveform"][..., :end]}

    def _audio_from(self, start: float) -> Audio | None:
        if self.audio is None:
            return None
        first = round(start * self.audio["sample_rate"])
        return {**self.audio, "waveform": self.audio["waveform"][..., first:]}


class SaveVideo(io.ComfyNode):
    """A video to a file, with alpha."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="THA4SaveVideo",
            display_name="Save Video with Alpha",
            category=types.CATEGORY,
            description="Saves a video with its transparency, which ComfyUI's Save Video cannot. A render node's video "
            "is rendered while it is saved, so that its length takes no memory.",
            inputs=[
                io.Video.Input("video", tooltip="From Student Render or Teacher Render, or any other VIDEO."),
                io.String.Input("filename_prefix", default="THA4/video", tooltip="Folder and beginning of the name."),
                io.Combo.Input(
                    "format",
                    options=list(FORMATS),
                    tooltip="webm: VP9, for browsers and OBS. mov: ProRes 4444, for video editors; large. webp: an "
                    "animated picture, for short loops; no sound. mp4: H.264, plays everywhere; not transparent.",
                ),
                io.Int.Input(
                    "quality",
                    default=75,
                    min=0,
                    max=100,
                    tooltip="Higher is better and larger; 100 is lossless in webp. mov is always at its best.",
                ),
            ],
            outputs=[io.String.Output(display_name="path", tooltip="Where the file is.")],
            hidden=[io.Hidden.prompt, io.Hidden.extra_pnginfo, io.Hidden.unique_id],
            is_output_node=True,
        )

    @classmethod
    def execute(cls, video: VideoInput, filename_prefix: str, format: str, quality: int) -> io.NodeOutput:
        kind = FORMATS[format]
        film = _film(video, kind.alpha_pixels is not None, host.workflow_metadata(cls.hidden))
        if film.sound is not None and kind.audio_codec is None:
            host.show_text(_NO_SOUND, cls.hidden.unique_id)
        path = host.new_output_path(filename_prefix, f".{format}", film.size)
        videos.save(film, path, kind, quality=quality)
        saved = ui.SavedResult(path.name, host.in_output_folder(path), io.FolderType.output)
        return io.NodeOutput(str(path), ui=ui.PreviewVideo([saved]))


def _film(video: VideoInput, alpha: bool, metadata: dict[str, str]) -> Video:
    """Any VIDEO as what is to be written. Others than ours come with all their frames in memory."""
    if isinstance(video, ShotVideo):
        return video.film(alpha, metadata)
    components = video.get_components()
    pictures, transparency = components.images[..., :3], getattr(components, "alpha", None)
    count, height, width = pictures.shape[:3]
    if alpha and transparency is not None:
        pictures = torch.cat([pictures, transparency.reshape(count, height, width, 1)], dim=-1)
    rate = Fraction(components.frame_rate).limit_denominator(1001)
    return Video(
        _in_turn(pictures), count, (width, height), rate, pictures.shape[-1] == 4, _sound(components.audio), metadata
    )


def _in_turn(pictures: Tensor) -> Iterator[Tensor]:
    for items in host.chunks(len(pictures), 1, lambda _: None):
        yield pictures[items]


def _sound(audio: Audio | None) -> Sound | None:
    return None if audio is None else Sound(audio["waveform"][0], int(audio["sample_rate"]))
