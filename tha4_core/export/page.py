"""The exported page: one HTML file with a student and all that moves it. It asks nobody for anything.

web/js/export has its scripts, its style and its document with places in double braces. A Content-Security-Policy lets
the page run that one script and make no request at all, whatever a student's file holds. MediaPipe, in a page with a
webcam, may compile its WebAssembly besides.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

from PIL import Image

from ..errors import PageError
from ..motion.live import library
from ..picture.model_space import parse_color
from ..student import Student
from . import mediapipe
from .modules import bundle

_ROOT = Path(__file__).parents[2]
_SCRIPTS = _ROOT / "web" / "js"
_ENTRY, _ENTRY_WITH_WEBCAM = "export/page.js", "export/webcam_page.js"
CREDITS = {
    "name": "Character",
    "author": "By",
    "licence": "Licence",
    "character_licence": "Licence of the picture",
    "made_by": "Made by",
}
"""What is shown of a student's metadata, and what stands before it."""
_MEDIAPIPE = (
    f"MediaPipe ({mediapipe.PACKAGE}) and its face landmarker model, by the MediaPipe authors. Apache License 2.0; its "
    "text is at the beginning of this file."
)
_NO_LICENCE = "Not stated in the student's file. Ask whoever made the character."
_LONGEST_CREDIT = 2000  # characters
SIZES = (64, 1024)
_STILL = {"quality": 90, "method": 6, "alpha_quality": 99}  # 248 levels of alpha: all 256 take two seconds to encode
_PLACE = re.compile(r"\{\{ (\w+) \}\}")


@dataclass(frozen=True)
class PageOptions:
    """How an exported page begins. The query of its URL may say otherwise, with the live page's names.

    `title` of the page (empty: the student's name); `background` is `none` or a colour, such as #rrggbb; `size` of the
    frames at most, in pixels, 64 to 1024 and a multiple of 32; `idle` motion, following the `mouse`, and listening to
    the `microphone` on or off. `webcam` is what `read_mediapipe` returns: with it the page has a webcam, off at first,
    and is 9 MB larger. `texts` are translations of the page's texts: `{"ja": {ENGLISH: TRANSLATED}}`.
    """

    title: str = ""
    background: str = "none"
    size: int = 512
    idle: bool = True
    mouse: bool = True
    microphone: bool = False
    webcam: Mapping[str, bytes] = field(default_factory=dict)
    texts: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


def to_html(student: Student, options: PageOptions | None = None) -> bytes:
    """The page with a student. The same student and options give the same bytes. Raises PageError.

    The larger picture of a character, for frames above 512 pixels, is in it as large as `options.size`.
    """
    options = options or PageOptions()
    if options.size % 32 or not SIZES[0] <= options.size <= SIZES[1]:
        raise PageError(f"size is {options.size}: a multiple of 32 from {SIZES[0]} to {SIZES[1]}.")
    credits = _credits(student) | ({"webcam": _MEDIAPIPE} if options.webcam else {})
    labels = CREDITS | {"webcam": "Webcam"}
    script = bundle(_SCRIPTS, _ENTRY_WITH_WEBCAM if options.webcam else _ENTRY)
    style = _text("export/page.css")
    parts = {
        "comment": _comment(options),
        "policy": _policy(script, style, options),
        "credits_meta": "\n".join(f'<meta name="{key}" content="{escape(text)}">' for key, text in credits.items()),
        "credits": "\n".join(f"<dt>{labels[key]}</dt><dd>{escape(text)}</dd>" for key, text in credits.items()),
        "title": escape(options.title.strip() or credits["name"]),
        "style": style,
        "still": base64.b64encode(_still(student)).decode(),
        "data": _data(options, script),
        "student": _base64_of_zlib(_planes(student.to_bytes(options.size))),
        "webcam_buttons": "\n" + _text("export/webcam_buttons.html").strip() if options.webcam else "",
        "webcam_files": "".join(_script_element(role, content) for role, content in options.webcam.items()),
        "script": script,
    }
    # In one pass: what is put in may look like a place itself. A half of a surrogate pair has no UTF-8.
    return _PLACE.sub(lambda place: parts[place[1]], _text("export/page.html")).encode("utf-8", "replace")


def _text(name: str) -> str:
    return (_SCRIPTS / name).read_text(encoding="utf-8")


def _credits(student: Student) -> dict[str, str]:
    """What the student's file says of itself, by the keys of CREDITS, where it says it."""
    said = student.metadata | {"name": student.character.name}
    texts = {key: said.get(key, "").strip() for key in CREDITS}
    texts |= {"name": texts["name"] or "character", "licence": texts["licence"] or _NO_LICENCE}
    return {key: text[:_LONGEST_CREDIT] for key, text in texts.items() if text}


def _comment(options: PageOptions) -> str:
    """The licence of the scripts, which asks to be in every copy; and MediaPipe's."""
    text = (
        "The scripts in this file are THA4 for ComfyUI's:\n\n" + (_ROOT / "LICENSE").read_text(encoding="utf-8").strip()
    )
    if options.webcam:
        text += f"\n\nMediaPipe in this file is the MediaPipe authors':\n\n{mediapipe.LICENCE.strip()}"
    return text


def _policy(script: str, style: str, options: PageOptions) -> str:
    """No requests; this style, this script, and what it loads itself: the microphone's part, a data: URL within it.

    The webcam's worker is such a URL too. It obeys this policy, and MediaPipe in it does.
    """
    compile_wasm = " 'wasm-unsafe-eval'" if options.webcam else ""
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (script, style)]
    rules = (
        "default-src 'none'",
        f"script-src 'sha256-{hashes[0]}' 'strict-dynamic'{compile_wasm}",
        f"style-src 'sha256-{hashes[1]}'",
        "img-src data: blob:",
        "media-src data: blob:",
        "base-uri 'none'",
        "form-action 'none'",
    )
    return "; ".join(rules)


def _still(student: Student) -> bytes:
    """The character's picture as a WebP: what is seen until the character moves, and where it cannot."""
    webp = io.BytesIO()
    Image.fromarray(student.character.picture.numpy()).save(webp, "WEBP", **_STILL)
    return webp.getvalue()


def _data(options: PageOptions, script: str) -> str:
    """What the script reads: the library's numbers, the options, and those of the texts that it has."""
    used = {
        language: {
            english: text for english, text in texts.items() if json.dumps(english, ensure_ascii=False) in script
        }
        for language, texts in options.texts.items()
    }
    content = {"library": library(), "options": _page_options(options), "texts": used}
    # As text of a script element "<" could end it.
    return json.dumps(content, sort_keys=True, separators=(",", ":")).replace("<", "\\u003c")


def _page_options(options: PageOptions) -> dict[str, object]:
    """The options by the names of web/js/live/options.js."""
    color = {} if options.background == "none" else {"background": "color", "color": _color(options.background)}
    switches = {"mouse": options.mouse, "microphone": options.microphone, "idle": int(options.idle)}
    return {"background": "none", "size": options.size, **color, **switches}


def _color(background: str) -> str:
    return "#" + "".join(f"{round(255 * part):02x}" for part in parse_color(background).tolist())


def _script_element(role: str, content: bytes) -> str:
    return f'\n<script type="text/plain" id="tha4-{role}">{_base64_of_zlib(content)}</script>'


def _planes(content: bytes) -> bytes:
    """A file of float32 numbers as its four planes, which compress better: their high bytes are much alike."""
    return b"".join(content[plane::4] for plane in range(4))


def _base64_of_zlib(content: bytes) -> str:
    return base64.b64encode(zlib.compress(content, 9)).decode()
