"""Files of every kind, spoilt in hundreds of ways: read, or refused with our own error; soon, and in little memory."""

from __future__ import annotations

import io
import random
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import save

from tests.core.motion.tracking.test_vmd import EXAMPLE as VMD
from tests.made_up_teacher import pt
from tha4_core import Student
from tha4_core.demo import DEMO_STUDENT, MOTION, RECORDING, demo_character
from tha4_core.errors import THA4Error
from tha4_core.motion import files, formats
from tha4_core.motion.speech import timings
from tha4_core.picture.reading import open_picture
from tha4_core.pose import Poses
from tha4_core.weights import read_state_dict

MUTATIONS = 200
SECONDS = 10.0
MEGABYTES = 500.0
TENSORS = {"layer.weight": torch.rand(8, 4), "layer.bias": torch.rand(8)}
SRT = "1\n00:00:00,000 --> 00:00:01,000\nANN: [sighs] a\n\n2\n00:00:01,000 --> 00:00:02,000\nか\n"
NUMBERS = (b"9" * 5000, b"1e39", b"-1", b"NaN", b"\xff\xff\xff\xff", b"\x00\x00\x00\x00", b"18446744073709551615")


def picture(kind: str) -> bytes:
    buffer = io.BytesIO()
    shown = Image.fromarray(demo_character().picture.numpy()).resize((96, 96))
    (shown.convert("RGB") if kind in ("JPEG", "BMP") else shown).save(buffer, kind)
    return buffer.getvalue()


def poses(suffix: str, folder: Path) -> bytes:
    path = folder / f"whole{suffix}"
    files.save(Poses(torch.rand(5, 45), 24.0), path)
    return path.read_bytes()


def read_timings(path: Path) -> object:
    return timings.parse(path.read_bytes().decode("utf-8", "replace"), path.name)


Kind = tuple[str, Callable[[Path], bytes], Callable[[Path], object]]
resource = pytest.importorskip("resource")  # not on Windows
KINDS: dict[str, Kind] = {
    "a student": (".safetensors", lambda _: DEMO_STUDENT.read_bytes(), Student.load),
    "weights as .safetensors": (".safetensors", lambda _: save(TENSORS), read_state_dict),
    "weights as .pt": (".pt", lambda _: pt(TENSORS), read_state_dict),
    **{
        f"poses as {suffix}": (suffix, lambda folder, suffix=suffix: poses(suffix, folder), formats.load)  # type: ignore[misc]
        for suffix in files.SUFFIXES
    },
    "the demo's motion": (MOTION.suffix, lambda _: MOTION.read_bytes(), formats.load),
    "a tracked face": (RECORDING.suffix, lambda _: RECORDING.read_bytes()[:20_000], formats.load),
    "a .vmd": (".vmd", lambda _: VMD, formats.load),
    "timings": (".srt", lambda _: SRT.encode(), read_timings),
    **{
        f"a picture as {kind}": (f".{kind.lower()}", lambda _, kind=kind: picture(kind), open_picture)  # type: ignore[misc]
        for kind in ("PNG", "WEBP", "JPEG", "GIF", "BMP", "TIFF")
    },
}


def mutated(content: bytes, dice: random.Random) -> bytes:
    """The content cut, or with some bytes changed, near its start more often than elsewhere."""
    if dice.random() < 0.15:
        return content[: dice.randrange(len(content))]
    result = bytearray(content)
    for _ in range(dice.randint(1, 6)):
        at = (
            min(int(dice.expovariate(1 / 200)), len(result) - 1) if dice.random() < 0.7 else dice.randrange(len(result))
        )
        if dice.random() < 0.7:
            result[at] = dice.randrange(256)
        else:
            piece = dice.choice(NUMBERS)
            result[at : at + dice.choice((0, len(piece)))] = piece
    return bytes(result)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", KINDS)
def test_a_spoilt_file_is_read_or_refused(name: str, tmp_path: Path, hostile: Callable[[str], Counter[str]]) -> None:
    suffix, make, read = KINDS[name]
    content, count, slowest, longest = make(tmp_path), hostile("files"), 0.0, 0
    path = tmp_path / f"file{suffix}"
    path.write_bytes(content)
    read(path)
    before = peak_megabytes()
    for seed in range(MUTATIONS):
        path.write_bytes(mutated(content, random.Random(seed)))
        start = time.process_time()
        count["tried"] += 1
        try:
            read(path)
            count["accepted"] += 1
        except THA4Error as error:
            longest = max(longest, len(str(error)))
            count["own error"] += 1
        except BaseException:
            count["other"] += 1
            raise
        seconds = time.process_time() - start
        count["over 10 s"] += seconds > SECONDS
        slowest = max(slowest, seconds)
    grown = peak_megabytes() - before
    count["over 500 MB more memory"] += grown > MEGABYTES
    assert longest < 5000  # characters of a message
    assert slowest < SECONDS
    assert grown < MEGABYTES


def peak_megabytes() -> float:
    peak: float = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # kB; bytes on a Mac
    return peak / (2**20 if sys.platform == "darwin" else 2**10)
