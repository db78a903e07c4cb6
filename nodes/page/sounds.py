"""Sound files for the page: no more is decoded than can be played there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import torch
from torch import Tensor

from ...tha4_core.errors import MotionError

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer

MOST_SECONDS = 900.0
"""The longest sound that is listened to for the page, at any frame rate."""
_MOST_SAMPLES = int(MOST_SECONDS * 48_000)  # 173 MB


def load(path: Path, most_seconds: float, tick: Callable[[], None]) -> dict[str, Any]:
    """A sound file as a ComfyUI AUDIO with one channel, the mean of all.

    Raises MotionError where it is none, or is longer than `most_seconds` or MOST_SECONDS. What `tick` raises ends it.
    """
    return decode(str(path), path.name, None, most_seconds, tick)


def decode(
    file: str | BinaryIO, name: str, file_format: str | None, most_seconds: float, tick: Callable[[], None]
) -> dict[str, Any]:
    """As `load`, of a path or an open file that messages call `name`. `file_format` is ffmpeg's name; None: found."""
    import av  # not at the top: with it come the libraries of ffmpeg

    most_seconds = min(most_seconds, MOST_SECONDS)
    try:
        with av.open(file, format=file_format) as container:
            stream = next(iter(container.streams.audio), None)
            parts = [] if stream is None else _decode(container, stream, most_seconds, tick, name)
    except MotionError:
        raise
    # Some of ffmpeg's errors are OSErrors or ValueErrors, others are not.
    except (av.FFmpegError, OSError, ValueError, OverflowError, MemoryError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise MotionError(f"{name} cannot be read as sound: {reason}.") from error
    if stream is None or not parts:
        raise MotionError(f"{name} has no sound.")
    return {"waveform": torch.cat(parts)[None, None], "sample_rate": stream.codec_context.sample_rate}


def check(file: BinaryIO, name: str, file_format: str) -> None:
    """Raises MotionError where the sound in an open file does not even begin."""
    import av

    try:
        with av.open(file, format=file_format) as container:
            stream = next(iter(container.streams.audio), None)
            if stream is not None and next(container.decode(stream), None) is not None:
                return
    except (av.FFmpegError, OSError, ValueError, OverflowError, MemoryError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise MotionError(f"{name} cannot be read as sound: {reason}.") from error
    raise MotionError(f"{name} has no sound.")


def _seconds(container: InputContainer, stream: AudioStream) -> float:
    """The length that the file says; 0 where it says none."""
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    return (container.duration or 0) / 1_000_000


def _decode(
    container: InputContainer, stream: AudioStream, most_seconds: float, tick: Callable[[], None], name: str
) -> list[Tensor]:
    """The samples, in parts."""
    import av

    _refuse_long(_seconds(container, stream), most_seconds, name)
    rate, samples = stream.codec_context.sample_rate, 0
    if not rate > 0:
        raise MotionError(f"{name} does not say its sample rate.")
    to_floats = av.AudioResampler(format="fltp")
    parts: list[Tensor] = []
    # The length that a file says can be missing or wrong, so it is measured too.
    for frame in container.decode(stream):
        tick()
        parts += [torch.from_numpy(part.to_ndarray().mean(axis=0)) for part in to_floats.resample(frame)]
        samples += frame.samples
        _refuse_long(samples / rate, most_seconds, name)
        if samples > _MOST_SAMPLES:
            raise MotionError(f"{name} has more than {_MOST_SAMPLES:,} samples: its motion is known after a run.")
    return parts


def _refuse_long(seconds: float, most: float, name: str) -> None:
    if seconds > most:
        raise MotionError(
            f"{name} is {_minutes(seconds)} long or longer; at most {_minutes(most)} are played here. "
            "Run the graph: the run has no such limit."
        )


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.1f} minutes"
