"""Video files: what is written is what was given, whole or not at all."""

from __future__ import annotations

import builtins
import io
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from tha4_core import video
from tha4_core.errors import VideoError
from tha4_core.video import FORMATS, Sound, Video

pytestmark = pytest.mark.usefixtures("windows_files")

av = pytest.importorskip("av")

SIDE, COUNT, RATE = 64, 12, Fraction(24)
METADATA = {"prompt": '{"1": 2}', "workflow": '{"2": 3}'}


def pictures(channels: int, count: int = COUNT, size: tuple[int, int] = (SIDE, SIDE)) -> Iterator[Tensor]:
    """Batches of two pictures: red grows to the right, green with time, alpha downwards."""
    width, height = size
    for start in range(0, count, 2):
        batch = torch.full((min(2, count - start), height, width, 4), 0.3)
        batch[..., 0] = torch.linspace(0, 1, width)
        batch[..., 1] = torch.arange(start, start + len(batch))[:, None, None] / count
        batch[..., 3] = torch.linspace(0, 1, height)[:, None]
        yield batch[..., :channels]


def clip(alpha: bool = False, **changes: Any) -> Video:
    settings = {"pictures": pictures(4 if alpha else 3), "count": COUNT, "size": (SIDE, SIDE), "rate": RATE}
    return Video(**settings | {"alpha": alpha, "metadata": METADATA} | changes)


def tone(seconds: float, rate: int, channels: int) -> Sound:
    times = torch.arange(round(seconds * rate)) / rate
    return Sound(torch.sin(times * 2 * torch.pi * 440).expand(channels, -1) * 0.5, rate)


def decoded(path: Path) -> np.ndarray:
    """`[N, H, W, 4]`, 0..255."""
    if path.suffix == ".webp":
        picture = Image.open(path)
        frames = []
        for index in range(picture.n_frames):
            picture.seek(index)
            frames.append(np.asarray(picture.convert("RGBA")))
        return np.stack(frames).astype(float)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        # FFmpeg's own decoder of VP9 leaves the alpha away.
        decoder = av.CodecContext.create("libvpx-vp9", "r") if path.suffix == ".webm" else stream.codec_context
        found = [frame for packet in container.demux(stream) for frame in decoder.decode(packet)]
        return np.stack([frame.to_ndarray(format="rgba") for frame in found]).astype(float)


@pytest.mark.parametrize("name", FORMATS)
def test_pictures_are_those_that_were_given(tmp_path: Path, name: str) -> None:
    alpha = FORMATS[name].alpha_pixels is not None
    video.save(clip(alpha), tmp_path / f"x.{name}", FORMATS[name], quality=95)
    frames = decoded(tmp_path / f"x.{name}")
    given = torch.cat(list(pictures(4))).numpy() * 255
    assert frames.shape == given.shape
    if not alpha:
        assert (frames[..., 3] == 255).all()
        given[..., 3] = 255
    visible = given[..., 3:] / 255
    assert np.abs(frames - given)[..., 3].mean() < 1
    assert (np.abs(frames - given)[..., :3] * visible).mean() < 2.5
    assert [path.name for path in tmp_path.iterdir()] == [f"x.{name}"]


@pytest.mark.parametrize("count", [1, COUNT])
@pytest.mark.parametrize("alpha", [False, True])
def test_lossless_webp_is_exact_where_it_is_transparent_too(tmp_path: Path, count: int, alpha: bool) -> None:
    content = clip(alpha, pictures=pictures(4 if alpha else 3, count), count=count)
    video.save(content, tmp_path / "x.webp", FORMATS["webp"], quality=100)
    given = (torch.cat(list(pictures(4, count))) * 255).round().numpy()
    if not alpha:
        given[..., 3] = 255
    assert (given[..., 3] == 0).any() == alpha
    assert (decoded(tmp_path / "x.webp") == given).all()


@pytest.mark.parametrize("quality", [75, 100])
def test_webp_moves_at_its_rate_for_ever(tmp_path: Path, quality: int) -> None:
    video.save(clip(True, rate=Fraction(24)), tmp_path / "x.webp", FORMATS["webp"], quality=quality)
    picture = Image.open(tmp_path / "x.webp")
    lengths = []
    for index in range(COUNT):
        picture.seek(index)
        picture.load()
        lengths.append(picture.info["duration"])
    assert (sum(lengths), set(lengths)) == (COUNT * 1000 / 24, {41, 42})
    assert picture.info["loop"] == 0


@pytest.mark.parametrize("name", FORMATS)
def test_higher_quality_is_a_larger_file(tmp_path: Path, name: str) -> None:
    noise = torch.rand(4, SIDE, SIDE, 3, generator=torch.Generator().manual_seed(0))
    sizes = []
    for quality in (10, 90):
        video.save(clip(pictures=[noise], count=4), tmp_path / f"x.{name}", FORMATS[name], quality=quality)
        sizes.append((tmp_path / f"x.{name}").stat().st_size)
    assert sizes[0] == sizes[1] if name == "mov" else sizes[0] < sizes[1]


@pytest.mark.parametrize("name", ["webm", "mov", "mp4"])
@pytest.mark.parametrize(("rate", "channels"), [(22050, 1), (44100, 2), (48000, 6), (11025, 4)])
def test_sound_ends_with_the_pictures(tmp_path: Path, name: str, rate: int, channels: int) -> None:
    video.save(clip(sound=tone(3, rate, channels)), tmp_path / f"x.{name}", FORMATS[name])
    with av.open(str(tmp_path / f"x.{name}")) as container:
        stream = container.streams.audio[0]
        resampler = av.AudioResampler(format="fltp", layout="mono", rate=stream.rate)
        heard = np.concatenate([f.to_ndarray() for c in container.decode(stream) for f in resampler.resample(c)], 1)[0]
        assert stream.channels == {4: 1}.get(channels, channels)
    assert heard.size / stream.rate == pytest.approx(COUNT / 24, abs=0.1)
    crossings = np.count_nonzero(np.diff(np.signbit(heard[: stream.rate // 4])))
    assert crossings == pytest.approx(2 * 440 / 4, rel=0.08)


def test_a_sound_that_is_shorter_just_ends(tmp_path: Path) -> None:
    video.save(clip(sound=tone(0.2, 8000, 1)), tmp_path / "x.mov", FORMATS["mov"])
    with av.open(str(tmp_path / "x.mov")) as container:
        assert sum(frame.samples for frame in container.decode(audio=0)) == 1600


def test_sound_lies_between_the_pictures(tmp_path: Path) -> None:
    long = clip(pictures=pictures(3, 240), count=240, sound=tone(10, 44100, 2))
    video.save(long, tmp_path / "x.mp4", FORMATS["mp4"])
    with av.open(str(tmp_path / "x.mp4")) as container:
        order = [packet.stream.type for packet in container.demux() if packet.size]
    runs = "".join(kind[0] for kind in order)
    assert "v" * 100 not in runs


@pytest.mark.parametrize(("name", "quality"), [*((name, 75) for name in FORMATS), ("webp", 100)])
def test_metadata_is_text_in_the_file(tmp_path: Path, name: str, quality: int) -> None:
    video.save(clip(), tmp_path / f"x.{name}", FORMATS[name], quality=quality)
    if name == "webp":
        exif = Image.open(tmp_path / "x.webp").getexif()
        assert (exif[0x0110], exif[0x010F]) == tuple(f"{key}:{text}" for key, text in METADATA.items())
        return
    with av.open(str(tmp_path / f"x.{name}")) as container:
        found = {key.lower(): text for key, text in container.metadata.items()}
    assert found.items() >= METADATA.items()


def test_a_buffer_takes_a_video(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    video.save(clip(), buffer, FORMATS["mp4"])
    (tmp_path / "x.mp4").write_bytes(buffer.getvalue())
    assert len(decoded(tmp_path / "x.mp4")) == COUNT


@pytest.mark.parametrize("name", FORMATS)
def test_what_fails_leaves_the_old_file(tmp_path: Path, name: str) -> None:
    def broken() -> Iterator[Tensor]:
        yield next(pictures(3))
        raise KeyboardInterrupt

    path = tmp_path / f"x.{name}"
    path.write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt):
        video.save(clip(pictures=broken()), path, FORMATS[name])
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_every_frame_of_prores_says_that_its_colours_are_bt709(tmp_path: Path) -> None:
    """The frame header of SMPTE RDD 36, section 5.1.1: after its size, version, creator, width, height and flags."""
    if int(av.__version__.partition(".")[0]) < 17:
        pytest.skip("PYAV BEFORE 17 CANNOT SET IT: the container alone says it")
    video.save(clip(True), tmp_path / "x.mov", FORMATS["mov"])
    frames = (tmp_path / "x.mov").read_bytes().split(b"icpf")[1:]
    assert len(frames) == COUNT
    assert {tuple(frame[14:17]) for frame in frames} == {(1, 1, 1)}  # primaries, transfer, matrix
    with av.open(str(tmp_path / "x.mov")) as container:
        context = container.streams.video[0].codec_context
        assert (context.color_primaries, context.color_trc, context.colorspace) == (1, 1, 1)


@pytest.mark.parametrize(("alpha", "expected"), [(1.0, False), (0.999, False), (0.99, True)])
def test_an_observer_tells_whether_anything_is_transparent(tmp_path: Path, alpha: float, expected: bool) -> None:
    frames = torch.ones(2, SIDE, SIDE, 4)
    frames[1, 5, 5, 3] = alpha
    observer = video.Observer(clip(True, pictures=[frames], count=2), with_preview=False)
    video.save(observer.video, tmp_path / "x.webp", FORMATS["webp"])
    assert observer.transparent == expected


def test_a_preview_is_a_small_copy_of_the_same_length(tmp_path: Path) -> None:
    count, rate = 250, Fraction(25)
    content = clip(True, pictures=pictures(4, count, (400, 201)), count=count, size=(400, 201), rate=rate)
    observer = video.Observer(replace(content, sound=tone(10, 8000, 1)), with_preview=True)
    given = [picture for batch in observer.video.pictures for picture in batch]
    assert len(given) == count
    video.save(observer.preview, tmp_path / "x.webm", FORMATS["webm"])
    frames = decoded(tmp_path / "x.webm")
    assert frames.shape == (84, 128, 256, 4)
    assert 84 / observer.preview.rate == pytest.approx(float(count / rate), abs=0.2)
    assert frames[10, 5, 128, 3] < 15
    assert frames[80, 120, 128] == pytest.approx(given[240][188, 200] * 255, abs=12)
    with av.open(str(tmp_path / "x.webm")) as container:
        stream = container.streams.audio[0]
        assert sum(frame.samples for frame in container.decode(stream)) / stream.rate == pytest.approx(10, abs=0.1)


def test_no_pictures_are_no_video(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match="no pictures"):
        video.save(clip(pictures=[], count=0), tmp_path / "x.mov", FORMATS["mov"])
    assert not list(tmp_path.iterdir())


def test_mp4_has_no_alpha(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match="mp4 files have no alpha; choose webm, mov or webp"):
        video.save(clip(True), tmp_path / "x.mp4", FORMATS["mp4"])


@pytest.mark.parametrize("name", FORMATS)
def test_odd_sizes_are_written_or_told(tmp_path: Path, name: str) -> None:
    odd = clip(pictures=pictures(3, size=(33, 48)), size=(33, 48))
    if name in ("mov", "webp"):
        video.save(odd, tmp_path / f"x.{name}", FORMATS[name])
        assert decoded(tmp_path / f"x.{name}").shape[1:] == (48, 33, 4)
        return
    with pytest.raises(VideoError, match=f"33 x 48, and {name} files need even numbers"):
        video.save(odd, tmp_path / f"x.{name}", FORMATS[name])


def test_a_missing_pyav_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without_av(name: str, *rest: Any) -> Any:
        if name.partition(".")[0] == "av":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without_av)
    with pytest.raises(VideoError, match="pip install av"):
        video.save(clip(), tmp_path / "x.mp4", FORMATS["mp4"])
    assert not list(tmp_path.iterdir())
