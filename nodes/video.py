"""Render Video, which gives a VIDEO whose frames are rendered while it is saved, and Save Video with Alpha."""

from __future__ import annotations

import io as streams
import json
import logging
from collections.abc import Iterator
from dataclasses import fields
from fractions import Fraction
from math import ceil
from pathlib import Path
from typing import Any
from uuid import uuid4

import torch
from comfy_api.input import VideoInput
from comfy_api.latest import io, ui
from comfy_api.util import VideoComponents
from torch import Tensor
from torch.nn import functional

from ..tha4_core import video as videos
from ..tha4_core.demo import DemoRig
from ..tha4_core.errors import VideoError
from ..tha4_core.picture.character import Character
from ..tha4_core.picture.model_space import SIZE
from ..tha4_core.pose import Poses
from ..tha4_core.student import Student
from ..tha4_core.teacher.pipeline import Teacher
from ..tha4_core.video import FORMATS, Format, Sound, Video
from . import folders, host, types
from .render import FrameSource, RenderJob, background_image_input, background_inputs, poses_input, render_images
from .student import student_frames, student_inputs
from .teacher import teacher_frames

Audio = dict[str, Any]
"""ComfyUI's AUDIO: `waveform` `[1, channels, samples]` and `sample_rate`."""

_log = logging.getLogger("tha4")
_NO_SOUND = "An animated WebP has no sound: the audio is left out."
_HAS_BACKGROUND = "Not transparent: Render Video has a background. Set it to none and disconnect background_image."
_NO_ALPHA = "Not transparent: {}. Switch on rgba where they are rendered, or use Join Image with Alpha."
_MP4_HAS_NO_ALPHA = "mp4 is never transparent: the figure is on gray. webm, mov and webp keep the alpha."
_NO_PRORES = "Browsers cannot play ProRes: this is a small copy of the file."
_CHECKERBOARD = {"tha4_alpha": "1"}
"""Becomes a part of the address of a transparent preview, by which the page's style sheet knows it."""
_QUICKLY = {"deadline": "realtime", "cpu-used": "8"}
_GRAY = 0.5
_STUDENTS_ONLY = "size and precision are for students: a teacher renders 512 x 512 in its own precision."


class LazyVideo(VideoInput):
    """A VIDEO that holds no frames. They are rendered when somebody reads or saves it, and again each time."""

    def __init__(self, job: RenderJob, audio: Audio | None) -> None:
        self.job, self.audio = job, audio

    def get_components(self) -> VideoComponents:
        """All frames at once, as IMAGE; only this takes memory for every frame."""
        image, mask = render_images(self.job, rgba=False)
        known = {field.name for field in fields(VideoComponents)}  # older versions of ComfyUI have no alpha
        extra = {"alpha": 1 - mask[..., None]} if "alpha" in known and self.job.background is None else {}
        return VideoComponents(images=image, audio=self._audio(), frame_rate=self.get_frame_rate(), **extra)

    def save_to(
        self,
        path: str | streams.BytesIO,
        format: str = "auto",
        codec: str = "auto",
        metadata: dict[str, object] | None = None,
        bit_depth: int | None = None,
        crf: float | None = None,
        **others: object,
    ) -> None:
        """Render and encode one frame after another, as H.264 in MP4: what ComfyUI's own Save Video asks for.

        Frames without a background get Render Video's background_color, because MP4 has no alpha. Pictures have 8
        bits, whatever `bit_depth` says. `others` are settings of newer versions of ComfyUI; they change nothing, and
        the log says which were left out.
        """
        if format not in ("auto", "mp4") or codec not in ("auto", "h264"):
            raise VideoError(
                f"This saves mp4 with h264, not {format} with {codec}. For other formats use Save Video with Alpha."
            )
        left_out = sorted(name for name, value in others.items() if value is not None)
        if left_out:
            _log.warning("Render Video saves without these settings, which it does not know: %s.", ", ".join(left_out))
        texts = {name: text if isinstance(text, str) else json.dumps(text) for name, text in (metadata or {}).items()}
        target = path if isinstance(path, streams.IOBase) else Path(path)
        videos.save(self.to_video(False, texts), target, FORMATS["mp4"], {} if crf is None else {"crf": str(crf)})

    def as_trimmed(
        self, start_time: float | None = None, duration: float | None = None, strict_duration: bool = False
    ) -> LazyVideo | None:
        """The part that begins at `start_time` seconds (negative: from the end); None where there is none."""
        whole = self.get_duration()
        start = max(0.0, start_time or 0.0) if (start_time or 0.0) >= 0 else max(0.0, whole + (start_time or 0.0))
        length = duration or whole - start
        first, last = (round(seconds * self.get_frame_rate()) for seconds in (start, start + length))
        if first >= self.get_frame_count() or last <= first or (strict_duration and last > self.get_frame_count()):
            return None
        return LazyVideo(self.job.part(slice(first, last)), self._audio_from(start))

    def get_dimensions(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.job.source.size, self.job.source.size

    def get_frame_count(self) -> int:
        """How many frames there are."""
        return len(self.job.poses)

    def get_frame_rate(self) -> Fraction:
        """Frames a second."""
        return Fraction(self.job.poses.fps).limit_denominator(1001)

    def get_duration(self) -> float:
        """Length in seconds."""
        return float(self.get_frame_count() / self.get_frame_rate())

    def get_container_format(self) -> str:
        """What `save_to` writes."""
        return "mp4"

    def to_video(self, alpha: bool, metadata: dict[str, str]) -> Video:
        """The video for the encoder; `alpha`: with alpha, if the frames are transparent."""
        alpha = alpha and self.job.background is None
        return Video(
            self.job.pictures(alpha),
            self.get_frame_count(),
            self.get_dimensions(),
            self.get_frame_rate(),
            alpha,
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


class RenderVideo(io.ComfyNode):
    """A video of a character, for a sequence of poses."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="THA4RenderVideo",
            display_name="Render Video",
            category=types.CATEGORY,
            **types.search_aliases("talking head anime", "animate", "vtuber"),
            description="A video of a student, or of a character by a teacher. Its frames are rendered while a node "
            "saves it, so a long video needs no more memory than a short one. Connect a student, or a teacher and a "
            "character.",
            inputs=[
                types.Student.Input("student", optional=True, tooltip="From Load Student. Or connect a teacher."),
                types.Teacher.Input(
                    "teacher", optional=True, tooltip="From Load Teacher, instead of a student. It needs a character."
                ),
                types.Character.Input(
                    "character",
                    optional=True,
                    tooltip="Whom the teacher renders: from Load Character, or Load Student's character. A student "
                    "needs none.",
                ),
                poses_input(),
                *background_inputs("when background is color, and in a file that cannot be transparent (mp4)"),
                background_image_input(),
                *student_inputs("Only for a student; a teacher renders 512 x 512. "),
                io.Audio.Input("audio", optional=True, tooltip="The sound of the video; cut where the poses end."),
            ],
            outputs=[
                io.Video.Output(
                    display_name="video",
                    tooltip="For Save Video with Alpha, or Save Video. Every node that saves it renders the frames.",
                )
            ],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def execute(
        cls,
        poses: Poses,
        background: str,
        background_color: str,
        student: Student | None = None,
        teacher: Teacher | DemoRig | None = None,
        character: Character | None = None,
        background_image: Tensor | None = None,
        size: int = SIZE,
        precision: str = "auto",
        audio: Audio | None = None,
    ) -> io.NodeOutput:
        source = _frame_source(student, teacher, character, size, precision)
        if student is None and (size, precision) != (SIZE, "auto"):
            host.show_text(_STUDENTS_ONLY, cls.hidden.unique_id)
        job = RenderJob.from_inputs(source, poses, background, background_color, background_image)
        return io.NodeOutput(LazyVideo(job, audio))


def _frame_source(
    student: Student | None, teacher: Teacher | DemoRig | None, character: Character | None, size: int, precision: str
) -> FrameSource:
    """What renders the frames. Raises VideoError where it is not clear what should."""
    if student is not None:
        if teacher is not None:
            raise VideoError("Render Video has a student and a teacher: disconnect one of them.")
        if character is not None:
            raise VideoError(
                "Render Video has a student and a character, but a student renders only its own character: disconnect "
                "character, or connect a teacher instead of the student."
            )
        return student_frames(student, size, precision)
    if teacher is None:
        raise VideoError("Render Video has nothing to render: connect a student, or a teacher and a character.")
    if character is None:
        raise VideoError("Render Video has a teacher but no character: connect Load Character's character.")
    return teacher_frames(teacher, character)


class SaveVideo(io.ComfyNode):
    """A video to a file, with alpha."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="THA4SaveVideo",
            display_name="Save Video with Alpha",
            category=types.CATEGORY,
            **types.search_aliases("webm", "transparent video", "ProRes", "animated webp"),
            description="Saves a video with its transparency, which ComfyUI's Save Video cannot. The frames of Render "
            "Video are rendered while they are saved, so that the length of the video takes no memory.",
            inputs=[
                io.Video.Input("video", tooltip="From Render Video, or any other VIDEO."),
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
        kind, metadata = FORMATS[format], host.workflow_metadata(cls.hidden)
        if isinstance(video, LazyVideo):
            content, notes = video.to_video(kind.alpha_pixels is not None, metadata), []
        else:
            content, notes = _from_components(video.get_components(), kind, metadata)
        path = folders.new_output_path(filename_prefix, f".{format}", content.size)
        observer = videos.Observer(content, with_preview=format == "mov")
        videos.save(observer.video, path, kind, quality=quality)
        saved = ui.SavedResult(path.name, folders.in_output_folder(path), io.FolderType.output)
        if content.sound is not None and kind.audio_codec is None:
            notes.append(_NO_SOUND)
        if kind.alpha_pixels is not None and not observer.transparent:
            notes.append(_why_opaque(video, content))
        shown = _prores_preview(observer, notes) if format == "mov" else [saved]
        if notes:
            host.show_text("\n".join(notes), cls.hidden.unique_id)
        if observer.transparent:
            shown = [one | _CHECKERBOARD for one in shown]
        # "video" is for readers of the history: what is shown of a mov is a copy.
        return io.NodeOutput(str(path), ui={"images": shown, "animated": (True,), "video": [saved], "text": notes})


def _from_components(components: VideoComponents, kind: Format, metadata: dict[str, str]) -> tuple[Video, list[str]]:
    """A VIDEO of another node for the encoder, with all of its frames in memory; and what is left out of it."""
    images, alpha = components.images, _alpha(components)
    keeps_alpha = alpha is not None and kind.alpha_pixels is not None
    notes = [] if alpha is None or keeps_alpha else [_MP4_HAS_NO_ALPHA]

    def pictures() -> Iterator[Tensor]:
        for items in host.chunks(len(images), 1, lambda _: None):
            picture = images[items, ..., :3].expand(-1, -1, -1, 3)  # one channel is gray
            if keeps_alpha:
                picture = torch.cat([picture, alpha[items].to(picture)], dim=-1)
            elif alpha is not None:
                picture = torch.lerp(torch.full_like(picture, _GRAY), picture, alpha[items].to(picture))
            yield picture

    rate = Fraction(components.frame_rate).limit_denominator(1001)
    size = (images.shape[2], images.shape[1])
    return Video(pictures(), len(images), size, rate, keeps_alpha, _sound(components.audio), metadata), notes


def _alpha(components: VideoComponents) -> Tensor | None:
    """Alpha `[N, H, W, 1]`: the images' fourth channel, the VIDEO's own alpha, the lower one where it has both.

    None where it has neither. Raises VideoError where the alpha is of another number of frames.
    """
    images, given = components.images, getattr(components, "alpha", None)
    channel = images[..., 3:] if images.shape[-1] == 4 else None
    if given is None:
        return channel
    if len(given) not in (1, len(images)):
        raise VideoError(
            f"video has alpha for {len(given)} frames, and {len(images)} frames. Make it from as many masks."
        )
    # Images that were upscaled may still have the alpha from before.
    given = given.reshape(len(given), 1, *given.shape[1:3]).float().to(images.device)
    given = functional.interpolate(given, images.shape[1:3], mode="bilinear").movedim(1, -1)
    return given.expand(len(images), -1, -1, -1) if channel is None else torch.minimum(given, channel)


def _why_opaque(video: VideoInput, content: Video) -> str:
    """What to do about a saved video in which nothing is transparent."""
    if isinstance(video, LazyVideo) and video.job.background is not None:
        return _HAS_BACKGROUND
    return _NO_ALPHA.format("the frames' alpha is 1 everywhere" if content.alpha else "the frames have no alpha")


def _prores_preview(observer: videos.Observer, notes: list[str]) -> list[dict[str, str]]:
    """Save a small copy that browsers play, in the temporary folder. That fails without harm: `notes` says so."""
    try:
        path = folders.temporary_path(f"tha4_{uuid4().hex}.webm")
        videos.save(observer.preview, path, FORMATS["webm"], _QUICKLY, quality=60)
    except (VideoError, OSError) as error:
        notes.append(f"There is no preview. {error}")
        return []
    notes.append(_NO_PRORES)
    return [ui.SavedResult(path.name, "", io.FolderType.temp)]


def _sound(audio: Audio | None) -> Sound | None:
    return None if audio is None else Sound(audio["waveform"][0], int(audio["sample_rate"]))
