"""Speech for live sessions: from a sound or from timings to a track of the mouth, and the sounds that pages fetch."""

from __future__ import annotations

import asyncio
import io
import secrets
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from ....tha4_core.errors import MotionError
from ....tha4_core.motion.cancellation import cancellable
from ....tha4_core.motion.speech import lip_sync, timings
from ....tha4_core.pose import NAMES, Poses
from .. import sounds
from ..request import Refused

FPS = 30.0
MOST_SECONDS = 300.0
MOST_BYTES = 32 * 2**20
"""Of one sound."""
_MOST_JOBS = 4
_KEPT, _KEPT_BYTES, _KEPT_SECONDS = 32, 64 * 2**20, 600.0
_NAME = "The sound"


@dataclass(frozen=True)
class Sound:
    """A sound as it came, and its media type."""

    content: bytes
    media_type: str


@dataclass(frozen=True)
class Speech:
    """A track for pages, its length in seconds, and notes on what of the timings is not spoken."""

    track: dict[str, Any]
    seconds: float
    notes: tuple[str, ...]


def recognize(content: bytes) -> tuple[str, str]:
    """ffmpeg's name of a sound's format, and its media type, by how it begins. Raises MotionError for other files.

    The format is named to ffmpeg: it knows some (play lists) that would have it open other files.
    """
    start = content[:16]
    if start[:4] == b"RIFF" and start[8:12] == b"WAVE":
        return "wav", "audio/wav"
    for magic, at, found in (
        (b"fLaC", 0, ("flac", "audio/flac")),
        (b"OggS", 0, ("ogg", "audio/ogg")),
        (b"ID3", 0, ("mp3", "audio/mpeg")),
        (b"ftyp", 4, ("mp4", "audio/mp4")),
        (b"\x1aE\xdf\xa3", 0, ("matroska", "audio/webm")),
    ):
        if start[at : at + len(magic)] == magic:
            return found
    if len(start) > 1 and start[0] == 0xFF and start[1] & 0xE0 == 0xE0:
        return ("aac", "audio/aac") if start[1] & 0xF6 == 0xF0 else ("mp3", "audio/mpeg")
    raise MotionError(f"{_NAME} is none of: WAV, MP3, FLAC, Ogg, AAC, M4A, WebM.")


def speak(sound: Sound | None, text: str, tick: Callable[[], None]) -> Speech:
    """The track of a sound, or of timings (for as long as the sound, where there is one). Raises MotionError."""
    with cancellable(tick):
        audio = None
        if sound is not None:
            file_format, _ = recognize(sound.content)
            audio = sounds.decode(io.BytesIO(sound.content), _NAME, file_format, MOST_SECONDS, tick)
        notes: tuple[str, ...] = ()
        if text.strip():
            phonemes, notes = timings.parse(text, "timings")
            seconds = audio["waveform"].shape[-1] / audio["sample_rate"] if audio else None
            if max(phoneme.end for phoneme in phonemes) > MOST_SECONDS:
                raise MotionError(f"The timings are longer than {MOST_SECONDS:g} seconds.")
            poses = lip_sync.from_phonemes(phonemes, FPS, seconds=seconds)
        elif audio is not None:
            poses = lip_sync.from_audio(audio, FPS)
        else:
            raise MotionError("There is nothing to say: send a sound, or timings.")
    return Speech(_track(poses), len(poses) / poses.fps, notes)


def _track(poses: Poses) -> dict[str, Any]:
    moving = poses.values.any(dim=0).nonzero()[:, 0].tolist()
    thousandths = (poses.values[:, moving] * 1000).round().double() / 1000
    return {"fps": poses.fps, "names": [NAMES[index] for index in moving], "values": thousandths.tolist()}


class Speaker:
    """Makes speech in a thread of its own, one after the other, and keeps the sounds until pages have fetched them."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "tha4-live")
        self._jobs = 0
        self._sounds: OrderedDict[tuple[str, str], Sound] = OrderedDict()

    async def speak(
        self, sound: bytes | None, text: str, is_unwanted: Callable[[], bool]
    ) -> tuple[Speech, Sound | None]:
        """What `speak` returns, and the sound with its type. Raises Refused."""
        if self._jobs >= _MOST_JOBS:
            raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, "Too much speech is waiting. Try again in a moment.")

        def tick() -> None:
            if is_unwanted():
                raise MotionError("Nobody waits for this speech any more.")

        self._jobs += 1
        try:
            known = None if sound is None else Sound(sound, recognize(sound)[1])
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._thread, speak, known, text, tick), known
        except MotionError as error:
            raise Refused(HTTPStatus.UNPROCESSABLE_ENTITY, str(error)) from error
        finally:
            self._jobs -= 1

    def keep(self, session: str, sound: Sound) -> str:
        """Keep a sound for some minutes; its id."""
        key = (session, secrets.token_urlsafe(12))
        self._sounds[key] = sound
        while len(self._sounds) > _KEPT or sum(len(one.content) for one in self._sounds.values()) > _KEPT_BYTES:
            self._sounds.popitem(last=False)
        asyncio.get_running_loop().call_later(_KEPT_SECONDS, self._sounds.pop, key, None)
        return key[1]

    def sound(self, session: str, sound_id: str) -> Sound | None:
        """The sound of an id, where it is kept still."""
        return self._sounds.get((session, sound_id))

    def close(self) -> None:
        """Forget the sounds and take no more jobs."""
        self._sounds.clear()
        self._thread.shutdown(wait=False, cancel_futures=True)
