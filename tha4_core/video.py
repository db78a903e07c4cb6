"""Write pictures to a video file. They are encoded one by one, so memory does not grow with the length of the video.

The encoders are FFmpeg's, through PyAV (the package `av`, which ComfyUI requires and only this module uses), and
Pillow's for WebP.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import chain
from math import ceil
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional

from .atomic_write import remedy, temporary_file
from .errors import VideoError

if TYPE_CHECKING:
    from av import VideoFrame
    from av.container import OutputContainer

_PREVIEW_SIDE, _PREVIEW_COUNT = 256, 100
_LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1"}


@dataclass(frozen=True)
class Sound:
    """`waveform` `[channels, samples]` in -1..1, at `rate` samples a second."""

    waveform: Tensor
    rate: int


@dataclass(frozen=True)
class Video:
    """The content of a video file: `count` pictures of `size` (width, height), `rate` of them a second.

    `pictures` gives them in batches `[n, H, W, 3 or 4]`, straight-alpha sRGB in 0..1, four channels with `alpha`.
    `sound` is cut where the pictures end. `metadata` is text that the file carries (ASCII in a webp).
    """

    pictures: Iterable[Tensor]
    count: int
    size: tuple[int, int]
    rate: Fraction
    alpha: bool = False
    sound: Sound | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Format:
    """A kind of video file: its container and codecs, and its pixels without and with alpha, by FFmpeg's names.

    `encoding` gives the codec's options for a quality from 0 to 100. The container webp is Pillow's.
    """

    container: str
    codec: str
    pixels: str
    alpha_pixels: str | None
    audio_codec: str | None
    encoding: Callable[[int], dict[str, str]]


def _h264(quality: int) -> dict[str, str]:
    return {"crf": str(max(1, round((100 - quality) * 0.7)))}  # 0 would be lossless, which browsers do not play


def _vp9(quality: int) -> dict[str, str]:
    return {"crf": str(round((100 - quality) * 0.63)), "b": "0", "deadline": "good", "cpu-used": "4", "row-mt": "1"}


def _prores(_: int) -> dict[str, str]:
    return {"profile": "4444"}


def _webp(quality: int) -> dict[str, str]:
    return {"quality": str(quality)}


FORMATS = {
    "webm": Format("webm", "libvpx-vp9", "yuv420p", "yuva420p", "libopus", _vp9),
    "mov": Format("mov", "prores_ks", "yuv444p10le", "yuva444p10le", "pcm_s16le", _prores),
    "webp": Format("webp", "webp", "rgb", "rgba", None, _webp),
    "mp4": Format("mp4", "libx264", "yuv420p", None, "aac", _h264),
}
"""The files that can be written, by suffix. All but mp4 keep alpha; all but webp have sound."""


def save(
    video: Video, target: Path | IO[bytes], format: Format, encoding: Mapping[str, str] | None = None, quality: int = 75
) -> None:
    """Write a video, one batch of pictures after another.

    A file is written under a temporary name and then renamed: after an error `target` is still the old file.
    `encoding` replaces options that the format gives its codec for `quality` (0 to 100). Raises
    VideoError where there are no pictures, metadata is no text, the format has no alpha, cannot hold the size, PyAV is
    missing, or a file cannot be written.
    """
    _check(video, format, target)
    options = format.encoding(quality) | dict(encoding or {})
    with _writing(target), temporary_file(target) if isinstance(target, Path) else nullcontext(target) as file:
        if format.container == "webp":
            _save_webp(video, file, int(options["quality"]))
        else:
            _save_by_ffmpeg(video, file, format, options)


class Observer:
    """Sees the pictures of a video on their way to the encoder: `video` is the same video, to be saved.

    After that `transparent` says whether any pixel is, and `preview` is a small copy for a page that cannot show the
    file: some of the pictures, evenly spread, and all of the sound. Nothing is rendered for it.
    """

    def __init__(self, video: Video, with_preview: bool) -> None:
        self.video, self.transparent = replace(video, pictures=self._observe(video.pictures)), False
        self._step = ceil(video.count / _PREVIEW_COUNT) if with_preview else 0
        scale = min(1.0, _PREVIEW_SIDE / max(video.size))
        self._size = tuple(max(2, round(side * scale / 2) * 2) for side in video.size)  # VP9 wants even sides
        self._kept: list[Tensor] = []

    @property
    def preview(self) -> Video:
        """At most 100 pictures of at most 256 pixels a side."""
        width, height = self._size
        rate = self.video.rate / self._step
        return replace(
            self.video, pictures=self._kept, count=len(self._kept), size=(width, height), rate=rate, metadata={}
        )

    def _observe(self, pictures: Iterable[Tensor]) -> Iterator[Tensor]:
        index = 0
        for batch in pictures:
            self.transparent |= batch.shape[-1] == 4 and bool((batch[..., 3] < 1 - 0.5 / 255).any())
            for picture in batch:
                if self._step and index % self._step == 0:
                    self._keep(picture)
                index += 1
            yield batch

    def _keep(self, picture: Tensor) -> None:
        width, height = self._size
        small = functional.interpolate(picture.movedim(-1, 0)[None].float(), (height, width), mode="area")
        self._kept.append(small.movedim(1, -1).half().cpu())


def _check(video: Video, format: Format, target: Path | IO[bytes]) -> None:
    if video.count < 1:
        raise VideoError(
            f"{_name(target)}: cannot be written, because there are no pictures to write. Look at "
            "what makes its frames."
        )
    try:
        "".join(chain(*video.metadata.items())).encode()
    except (TypeError, UnicodeEncodeError) as error:
        raise VideoError(f"{_name(target)}: cannot be written, because its metadata is not text ({error}).") from error
    if video.alpha and format.alpha_pixels is None:
        raise VideoError(f"{format.container} files have no alpha; choose webm, mov or webp.")
    if "420" in format.pixels and any(side % 2 for side in video.size):
        raise VideoError(
            f"The pictures are {video.size[0]} x {video.size[1]}, and {format.container} files need even numbers. "
            "Crop or pad them by one pixel, or choose mov or webp."
        )


@contextmanager
def _writing(target: Path | IO[bytes]) -> Iterator[None]:
    """Within it, an error of the file system becomes a VideoError that names the file."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        raise VideoError(
            f"{_name(target)}: cannot be written ({reason}). {remedy(error)}, or choose another folder."
        ) from error


def _name(target: Path | IO[bytes]) -> str:
    """What messages call the file."""
    return str(target) if isinstance(target, Path) else "The video"


def _save_by_ffmpeg(video: Video, file: Path | IO[bytes], format: Format, options: dict[str, str]) -> None:
    with _container(file, format) as container:
        container.metadata.update(video.metadata)
        stream = container.add_stream(format.codec, rate=video.rate, options=options)
        stream.width, stream.height = video.size
        stream.pix_fmt = str(format.alpha_pixels if video.alpha else format.pixels)
        # Without these, players guess by the picture's size which matrix its colours were made with.
        context: Any = stream.codec_context
        context.colorspace = context.color_primaries = context.color_trc = _BT709
        context.color_range = _STUDIO_RANGE
        sound = _SoundTrack(container, format.audio_codec, video.sound) if video.sound and format.audio_codec else None
        for index, pixels in enumerate(_pixels(video.pictures)):
            container.mux(stream.encode(_frame(pixels, stream.pix_fmt, index, video.rate)))
            if sound is not None:
                container.mux(sound.encode_until((index + 1) / video.rate))
        container.mux(stream.encode(None))
        if sound is not None:
            container.mux(sound.flush())


_BT709, _STUDIO_RANGE = 1, 1  # FFmpeg's numbers


def _container(file: Path | IO[bytes], format: Format) -> OutputContainer:
    try:
        import av
    except ImportError as error:
        raise VideoError("Videos need the Python package av (PyAV), which ComfyUI brings: pip install av") from error
    options = {}
    if format.container in ("mp4", "mov"):
        # To move the index to the file's start, FFmpeg opens it again by its name.
        options["movflags"] = "use_metadata_tags" + ("+faststart" if isinstance(file, Path) else "")
    name = str(file) if isinstance(file, Path) else file
    container: OutputContainer = av.open(name, "w", format=format.container, options=options)
    return container


def _frame(pixels: NDArray[np.uint8], pixel_format: str, index: int, rate: Fraction) -> VideoFrame:
    from av import VideoFrame
    from av.video.reformatter import Colorspace

    frame = VideoFrame.from_ndarray(pixels, format="rgba" if pixels.shape[-1] == 4 else "rgb24")
    frame = frame.reformat(format=pixel_format, dst_colorspace=Colorspace.ITU709)
    # ProRes says in every frame how its colours are meant. PyAV before 17 cannot set it: only the container says it.
    for name in ("colorspace", "color_primaries", "color_trc"):
        if hasattr(frame, name):
            setattr(frame, name, _BT709)
    frame.pts, frame.time_base = index, 1 / rate
    return frame


class _SoundTrack:
    """Encodes a sound piece by piece, in step with the pictures, so that the container need not buffer either."""

    def __init__(self, container: OutputContainer, codec: str, sound: Sound) -> None:
        from av.codec import Codec

        self._waveform, self._rate, self._position = sound.waveform, sound.rate, 0
        if len(sound.waveform) not in _LAYOUTS:
            self._waveform = sound.waveform.mean(dim=0, keepdim=True)
        self._layout = _LAYOUTS[len(self._waveform)]
        known: Any = Codec(codec, "w").audio_rates
        rate = sound.rate if not known or sound.rate in known else 48000
        self._stream: Any = container.add_stream(codec, rate=rate, layout=self._layout)

    def encode_until(self, seconds: Fraction) -> list[Any]:
        """Encode the sound up to this time; the packets that are ready."""
        from av import AudioFrame

        end = min(ceil(seconds * self._rate), self._waveform.shape[1])
        if end <= self._position:
            return []
        samples = self._waveform[:, self._position : end].float().cpu().contiguous().numpy()
        frame = AudioFrame.from_ndarray(samples, format="fltp", layout=self._layout)
        frame.sample_rate, frame.pts, frame.time_base = self._rate, self._position, Fraction(1, self._rate)
        self._position = end
        return list(self._stream.encode(frame))

    def flush(self) -> list[Any]:
        """The packets that the encoder still holds."""
        return list(self._stream.encode(None))


def _save_webp(video: Video, file: Path | IO[bytes], quality: int) -> None:
    with file.open("wb") if isinstance(file, Path) else nullcontext(file) as opened:
        if quality >= 100:
            opened.write(_lossless_webp(video))
            return
        # FFmpeg writes WebP too, but without key frames: slow changes then leave traces in a lossy file.
        _LazyAnimation(_pixels(video.pictures), video.count).save(
            opened,
            "WEBP",
            save_all=True,
            duration=float(1000 / video.rate),
            loop=0,
            quality=quality,
            method=4,
            exif=_exif(video.metadata),
        )


def _lossless_webp(video: Video) -> bytes:
    """An animation of whole pictures. Pillow's own has no `exact`: it makes every transparent pixel black.

    The format is that of RFC 9649, sections 2.7.1.1 and 2.7.1.2.
    """
    frames = [_still_webp(pixels) for pixels in _pixels(video.pictures)]
    times = [round(index * 1000 / video.rate) for index in range(len(frames) + 1)]
    size = b"".join((side - 1).to_bytes(3, "little") for side in video.size)
    alpha, exif, animation, no_blending = 0x10, 0x08, 0x02, 0x02
    chunks = [_chunk(b"VP8X", bytes([alpha * video.alpha | exif | animation, 0, 0, 0]) + size)]
    chunks.append(_chunk(b"ANIM", bytes(6)))  # no background colour, for ever
    for frame, start, end in zip(frames, times, times[1:], strict=False):
        chunks.append(
            _chunk(b"ANMF", bytes(6) + size + (end - start).to_bytes(3, "little") + bytes([no_blending]) + frame)
        )
    chunks.append(_chunk(b"EXIF", _exif(video.metadata).tobytes().removeprefix(b"Exif\0\0")))
    return _chunk(b"RIFF", b"WEBP" + b"".join(chunks))


def _still_webp(pixels: NDArray[np.uint8]) -> bytes:
    """The chunk of one picture."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "WEBP", lossless=True, exact=True, quality=75, method=4)
    return file.getvalue()[len(b"RIFFsizeWEBP") :]


def _chunk(name: bytes, content: bytes) -> bytes:
    return name + len(content).to_bytes(4, "little") + content + bytes(len(content) % 2)


class _LazyAnimation(Image.Image):
    """An animated image that makes each picture only when Pillow's writer seeks to it."""

    def __init__(self, pictures: Iterator[NDArray[np.uint8]], count: int) -> None:
        first = next(pictures)
        super().__init__()
        self.n_frames = count
        self._remaining, self._index = chain([first], pictures), -1
        self.seek(0)
        self._mode, self._size = self._current.mode, self._current.size

    def seek(self, frame: int) -> None:
        """Go to the next picture. Every other call is ignored: Pillow rewinds when it is done."""
        if frame == self._index + 1:
            self._index, self._current = frame, Image.fromarray(next(self._remaining))
            self.im = self._current.im

    def tell(self) -> int:
        return 0


def _exif(metadata: Mapping[str, str]) -> Image.Exif:
    """Texts in the tags where ComfyUI keeps a workflow in a WebP: from the tag Model downwards."""
    exif = Image.Exif()
    for tag, (name, text) in zip(range(0x0110, 0, -1), metadata.items(), strict=False):
        exif[tag] = f"{name}:{text}"
    return exif


def _pixels(pictures: Iterable[Tensor]) -> Iterator[NDArray[np.uint8]]:
    """Picture after picture, uint8 `[H, W, 3 or 4]`."""
    for batch in pictures:
        whole = (batch.float().clamp(0, 1) * 255).round().to(torch.uint8).cpu()
        yield from whole.contiguous().numpy()
