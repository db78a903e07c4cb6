"""Lip Sync: a mouth that speaks what is heard."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from comfy_api.latest import io

from ..tha4_core.errors import MotionError
from ..tha4_core.motion import arithmetic
from ..tha4_core.motion.cancellation import cancellable
from ..tha4_core.motion.speech import lip_sync, timings
from ..tha4_core.motion.speech.lip_sync import LipSyncSettings
from ..tha4_core.pose import Poses
from . import host, types
from .sequence import motion_outputs, motion_result

_SPEECH: dict[str, tuple[float, float, float, float, str]] = {  # default, lowest, highest, step, tooltip
    "strength": (1.0, 0.0, 2.0, 0.05, "How wide the mouth opens."),
    "attack": (0.04, 0.0, 1.0, 0.01, "Seconds in which the mouth opens for a sound."),
    "release": (0.08, 0.0, 1.0, 0.01, "Seconds in which it closes after it."),
    "silence": (-60.0, -90.0, 0.0, 1.0, "Decibels below full scale; nothing quieter is speech."),
    "blend": (1.5, 0.1, 10.0, 0.1, "How much vowels blend into each other; lower is crisper."),
    "head": (0.3, 0.0, 1.0, 0.05, "Nods on stressed syllables."),
    "brows": (0.3, 0.0, 1.0, 0.05, "Brows raised on stressed syllables."),
}


class LipSync(io.ComfyNode):
    """A mouth that speaks what is heard."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="THA4LipSync",
            display_name="Lip Sync",
            category=types.CATEGORY,
            **types.search_aliases("audio to mouth", "speech", "talk", "visemes", "phonemes"),
            description="Poses that speak a sound: from the audio itself, offline and without any download, or from "
            "the times of its sounds. Frame k is at exactly k / fps seconds, however long the sound is. The node shows "
            "what of the timings is not spoken.",
            inputs=[
                io.Float.Input(
                    "fps", default=24.0, min=1.0, max=240.0, step=1.0, tooltip="Rate, where no poses are connected."
                ),
                *(
                    io.Float.Input(name, default=default, min=low, max=high, step=step, tooltip=tooltip)
                    for name, (default, low, high, step, tooltip) in _SPEECH.items()
                ),
                io.String.Input(
                    "timings",
                    default="",
                    multiline=True,
                    tooltip="Instead of the audio: lines of TIME SYMBOL (0.35 a), or the content of a file: LAB, "
                    "TextGrid, SRT, VTT, or what Audacity, Rhubarb, VOICEVOX or Whisper writes. Empty: the audio is "
                    "listened to.",
                ),
                io.String.Input(
                    "speaker",
                    default="",
                    optional=True,
                    tooltip="Whose timings, where several speak: the name of a speaker or of a TextGrid's tier, or a "
                    "part of it. Empty: the first tier of sounds, or all speakers.",
                ),
                io.Audio.Input("audio", optional=True, tooltip="The speech. With timings it only gives the length."),
                types.Poses.Input("poses", optional=True, tooltip="A motion that the speech is added to."),
            ],
            outputs=motion_outputs(),
        )

    @classmethod
    def execute(
        cls,
        fps: float,
        timings: str,
        speaker: str = "",
        audio: dict[str, Any] | None = None,
        poses: Poses | None = None,
        **settings: float,
    ) -> io.NodeOutput:
        how = LipSyncSettings(**settings)
        with cancellable(host.stop_if_interrupted):
            spoken = _speech(timings, speaker, audio, poses.fps if poses else fps, how)
        return motion_result(replace(arithmetic.add(poses, spoken), notes=spoken.notes) if poses else spoken)


def _speech(text: str, speaker: str, audio: dict[str, Any] | None, fps: float, settings: LipSyncSettings) -> Poses:
    if text.strip():
        found = timings.parse(text, "timings", speaker)
        seconds = audio["waveform"].shape[-1] / audio["sample_rate"] if audio else None
        return replace(lip_sync.from_phonemes(found.phonemes, fps, settings, seconds), notes=found.notes)
    if audio is None:
        raise MotionError("Lip Sync has nothing to speak: connect audio, or write timings.")
    return lip_sync.from_audio(audio, fps, settings)
