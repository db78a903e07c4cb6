"""Load Character's picture for the page: where it comes from, where it lies in the frame, and what is wrong with it."""

from __future__ import annotations

import io
import json
import secrets
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from http import HTTPStatus
from pathlib import Path
from threading import Lock
from typing import Any

from PIL import Image

from ...tha4_core.demo import demo_character
from ...tha4_core.errors import PictureError
from ...tha4_core.motion import reading
from ...tha4_core.picture.diagnosis import NO_FIGURE, Finding, by_importance, diagnose
from ...tha4_core.picture.fitting import Fit, Placement, auto_fit, centred_square
from ...tha4_core.picture.reading import PICTURE_SUFFIXES, read_picture
from .. import folders
from .preview_queue import Job
from .request import MAX_NAME, Refused, flag, number, text, without_folders

FOLDER = "characters"
FITS = ("auto", "centered square", "head in box")
KINDS = ("demo", "file", "input", "run")
_INPUT = "input/"
_RAN = "tha4_source_"
_SHOWN = 1024  # the longer side of the picture that the page draws
_KEPT = 2  # pictures


@dataclass(frozen=True)
class Source:
    """Where a picture is: the demo character's, a character's file, an input file, or what a run was given."""

    kind: str
    name: str = ""
    opaque: bool = False


@dataclass(frozen=True)
class Placing:
    """How a Load Character places its picture: by one of FITS, then scaled and moved."""

    fit: str = FITS[0]
    scale: float = 1
    offset_x: float = 0
    offset_y: float = 0


@dataclass(frozen=True)
class Opened:
    """A picture as Pillow's RGBA, notes on what of its file was not used, and when the file was changed."""

    picture: Image.Image
    notes: list[Finding]
    changed: float = 0.0

    @cached_property
    def fit(self) -> Fit:
        """What the automatic fit says."""
        return auto_fit(self.picture)

    def placed(self, placing: Placing) -> Placement:
        """Where the picture lies in the frame."""
        start = _placements(self.picture, self.fit)[placing.fit]
        return start.adjusted(placing.scale, placing.offset_x, placing.offset_y)


def picture_files() -> list[str]:
    """The pictures in models/tha4/characters, then those of the input folder, as `input/NAME`."""
    given = (name for name in folders.input_files(PICTURE_SUFFIXES) if "/" not in name)
    listed = (f"{_INPUT}{name}" for name in sorted(given, key=str.casefold))
    return [*folders.model_files(FOLDER, PICTURE_SUFFIXES), *listed]


def picture_path(name: str) -> Path:
    """The full path of a file that `picture_files` listed."""
    if name.startswith(_INPUT):
        return folders.input_path(name.removeprefix(_INPUT))
    return folders.model_path(FOLDER, name)


def fitted(picture: Image.Image, fit: str) -> Placement:
    """Where a picture lies before scale and offsets, by one of FITS."""
    return _placements(picture, auto_fit(picture))[fit]


def _placements(picture: Image.Image, found: Fit) -> dict[str, Placement]:
    """Where a picture lies by each of FITS. Without a head that could be moved it is the centred square by all."""
    square = centred_square(*picture.size)
    moved = next((one for one in (found.placement, found.alternative) if one not in (None, square)), square)
    return dict(zip(FITS, (found.placement, square, moved), strict=True))


def keep(picture: Image.Image) -> str:
    """Put the picture that a run was given where the page may ask for it; its name."""
    name = f"{_RAN}{secrets.token_hex(8)}.png"
    picture.save(folders.temporary_path(name), compress_level=1)
    return name


def picture_job(body: Mapping[str, Any]) -> tuple[Job, str]:
    """What a request for a picture asks for. Raises Refused."""
    source = parse_source(body)
    return lambda tick: _webp(open_picture(source).picture), ""


def fit_job(body: Mapping[str, Any]) -> tuple[Job, str]:
    """What a request for a fit asks for. Raises Refused."""
    source, placing = parse_source(body), parse_placing(body)
    return lambda tick: _look(source, placing, tick), ""


def parse_placing(body: Mapping[str, Any]) -> Placing:
    """Fit, scale and offsets that a request names. Raises Refused."""
    fit = text(body, "fit", None, 40)
    if fit not in FITS:
        raise Refused(HTTPStatus.BAD_REQUEST, f"fit must be one of {', '.join(FITS)}.")
    x, y = (number(body, name, -1024, 1024) for name in ("offset_x", "offset_y"))
    return Placing(fit, number(body, "scale", 0.1, 10), x, y)


def parse_source(body: Mapping[str, Any]) -> Source:
    """The source that a request names. Raises Refused."""
    given = body.get("source")
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
        return picture_files()
    return folders.input_files(PICTURE_SUFFIXES) if kind == "input" else folders.temporary_files(_RAN)


def _is_missing(source: Source) -> bool:
    return source.kind != "demo" and source.name not in _listed(source.kind)


def _place_of(source: Source) -> dict[str, str]:
    """The name of a source's file, and the folder that it belongs in."""
    is_input = source.kind == "input" or source.name.startswith(_INPUT)
    folder = "input" if is_input else f"models/{folders.MODEL_FOLDER}/{FOLDER}"
    return {"name": source.name.removeprefix(_INPUT), "folder": folder}


def _path(source: Source) -> Path:
    """The file of a source. Raises PictureError where it is none of those that there are."""
    if _is_missing(source):
        raise PictureError(f"There is no picture {reading.shorten(source.name)} here.")
    if source.kind == "file":
        return picture_path(source.name)
    return folders.input_path(source.name) if source.kind == "input" else folders.temporary_path(source.name)


_kept: OrderedDict[tuple[Source, str], Opened] = OrderedDict()
_lock = Lock()


def open_picture(source: Source) -> Opened:
    """The picture of a source; the last few stay in memory. Raises PictureError and OSError."""
    if source.kind == "demo":
        return Opened(Image.fromarray(demo_character().picture.numpy()), [])
    path = _path(source)
    key = (source, folders.fingerprint([path]))
    with _lock:
        opened = _kept.pop(key, None) or _read(path, source.opaque)
        _kept[key] = opened
        while len(_kept) > _KEPT:
            _kept.popitem(last=False)
    return opened


def _read(path: Path, opaque: bool) -> Opened:
    picture, notes = read_picture(path, path.name)
    if opaque:
        picture.putalpha(255)
    return Opened(picture, notes, path.stat().st_mtime)


def _webp(picture: Image.Image) -> bytes:
    encoded = io.BytesIO()
    shown = picture.copy()
    shown.thumbnail((_SHOWN, _SHOWN), Image.Resampling.LANCZOS)
    shown.save(encoded, "WEBP", quality=90, method=2)
    return encoded.getvalue()


def _look(source: Source, placing: Placing, tick: Callable[[], None]) -> bytes:
    """Where the picture lies and what is wrong with it; or why it cannot be seen, which is no error of the request."""
    try:
        opened = open_picture(source)
    except (PictureError, OSError) as error:
        problem: dict[str, Any] = {"problem": without_folders(str(error))}
        if source.kind in ("file", "input") and _is_missing(source):
            problem["missing"] = _place_of(source)
        return json.dumps(problem).encode()
    tick()
    starts = _placements(opened.picture, opened.fit)
    tick()
    findings = by_importance([*opened.notes, *diagnose(opened.picture, opened.placed(placing))])
    # What was chosen by hand is not asked about again.
    asks = placing == Placing() and not opened.fit.sure and starts[FITS[1]] != starts[FITS[2]]
    asks = asks and not any(one.code in NO_FIGURE for one in findings)
    answer = {
        "size": opened.picture.size,
        "changed": opened.changed,
        "start": asdict(starts[placing.fit]),
        "choices": [{"fit": name, "start": asdict(starts[name])} for name in FITS[1:]] if asks else [],
        "findings": [{"code": one.code, "text": str(one), "warning": one.is_warning} for one in findings],
    }
    return json.dumps(answer).encode()
