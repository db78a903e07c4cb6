"""Load Character's picture for the page: where it comes from, where it lies in the frame, and what is wrong with it."""

from __future__ import annotations

import io
import json
import secrets
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

from PIL import Image

from ...tha4_core.demo import demo_character
from ...tha4_core.errors import PictureError
from ...tha4_core.motion import reading
from ...tha4_core.picture.diagnosis import diagnose
from ...tha4_core.picture.fitting import Placement, auto_fit, centred_square
from ...tha4_core.picture.reading import PICTURE_SUFFIXES, open_picture
from .. import host
from .preview_queue import Job
from .request import MAX_NAME, Refused, flag, number, text

FOLDER = "characters"
FITS = ("auto", "centered square")
KINDS = ("demo", "file", "input", "run")
INPUT_SUFFIXES = (*PICTURE_SUFFIXES, ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff")
_RAN = "tha4_source_"
_MOST_PIXELS = 64_000_000
_SHOWN = 1024  # the longer side of the picture that the page draws
_KEPT = 2  # pictures


@dataclass(frozen=True)
class Source:
    """Where a picture is: the demo character's, a character's file, an input file, or what a run was given."""

    kind: str
    name: str = ""
    opaque: bool = False


def fitted(picture: Image.Image, fit: str) -> Placement:
    """Where a picture lies before scale and offsets, by one of FITS."""
    return auto_fit(picture).placement if fit == "auto" else centred_square(*picture.size)


def keep(picture: Image.Image) -> str:
    """Put the picture that a run was given where the page may ask for it; its name."""
    name = f"{_RAN}{secrets.token_hex(8)}.png"
    picture.save(host.temporary_path(name), compress_level=1)
    return name


def picture_job(asked: Mapping[str, Any]) -> tuple[Job, str]:
    """What a request for a picture asks for. Raises Refused."""
    source = parse_source(asked)
    return lambda tick: _webp(_open(source)), ""


def fit_job(asked: Mapping[str, Any]) -> tuple[Job, str]:
    """What a request for a fit asks for. Raises Refused."""
    source, fit = parse_source(asked), text(asked, "fit", None, 40)
    if fit not in FITS:
        raise Refused(HTTPStatus.BAD_REQUEST, f"fit must be one of {', '.join(FITS)}.")
    scale = number(asked, "scale", 0.1, 10)
    x, y = (number(asked, name, -1024, 1024) for name in ("offset_x", "offset_y"))
    return lambda tick: _look(source, fit, (scale, x, y), tick), ""


def parse_source(asked: Mapping[str, Any]) -> Source:
    """The source that a request names. Raises Refused."""
    given = asked.get("source")
    if not isinstance(given, Mapping):
        raise Refused(HTTPStatus.BAD_REQUEST, 'source must be an object with "kind" and "name".')
    kind = text(given, "kind", None, MAX_NAME)
    if kind == "demo":
        return Source(kind)
    source = Source(kind, text(given, "name", None, MAX_NAME), flag(given, "opaque"))
    if kind not in KINDS:
        raise Refused(HTTPStatus.BAD_REQUEST, f"source.kind must be one of {', '.join(KINDS)}.")
    return source


def _listed(kind: str) -> list[str]:
    if kind == "file":
        return host.model_files(FOLDER, PICTURE_SUFFIXES)
    return host.input_files(INPUT_SUFFIXES) if kind == "input" else host.temporary_files(_RAN)


def _path(source: Source) -> Path:
    """The file of a source. Raises PictureError where it is none of those that there are."""
    if source.name not in _listed(source.kind):
        raise PictureError(f"There is no picture {reading.shorten(source.name)} here.")
    if source.kind == "file":
        return host.model_path(FOLDER, source.name)
    return host.input_path(source.name) if source.kind == "input" else host.temporary_path(source.name)


_kept: OrderedDict[tuple[Source, float], Image.Image] = OrderedDict()


def _open(source: Source) -> Image.Image:
    """The picture as Pillow's RGBA; the last few stay in memory. For one thread alone."""
    if source.kind == "demo":
        return Image.fromarray(demo_character().picture.numpy())
    path = _path(source)
    key = (source, path.stat().st_mtime)
    picture = _kept.pop(key, None) or _read(path, source.opaque)
    _kept[key] = picture
    while len(_kept) > _KEPT:
        _kept.popitem(last=False)
    return picture


def _read(path: Path, opaque: bool) -> Image.Image:
    try:
        with Image.open(path) as header:
            pixels = header.width * header.height
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise PictureError(f"{path.name} cannot be read as a picture.") from error
    if pixels > _MOST_PIXELS:
        raise PictureError(f"{path.name} has {pixels / 1e6:.0f} megapixels, too many to fit it here.")
    picture = open_picture(path)
    if opaque:
        picture.putalpha(255)
    return picture


def _webp(picture: Image.Image) -> bytes:
    encoded = io.BytesIO()
    shown = picture.copy()
    shown.thumbnail((_SHOWN, _SHOWN), Image.Resampling.LANCZOS)
    shown.save(encoded, "WEBP", quality=90, method=2)
    return encoded.getvalue()


def _look(source: Source, fit: str, by: tuple[float, float, float], tick: Callable[[], None]) -> bytes:
    """Where the picture lies and what is wrong with it; or why it cannot be seen, which is no error of the request."""
    try:
        picture = _open(source)
    except (PictureError, OSError) as error:
        return json.dumps({"problem": str(error)}).encode()
    tick()
    start = fitted(picture, fit)
    tick()
    findings = diagnose(picture, start.adjusted(*by))
    told = [{"code": finding.code, "text": str(finding)} for finding in findings]
    return json.dumps({"size": picture.size, "start": asdict(start), "findings": told}).encode()
