"""MediaPipe's face landmarker, which follows a face in a webcam: its files, read from the user's folders."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from ..errors import PageError

PACKAGE = "@mediapipe/tasks-vision 0.10.35"
LICENCE = (Path(__file__).with_name("apache-2.0.txt")).read_text(encoding="utf-8")
"""Of MediaPipe and its model; it asks to be in every copy."""


class _File(NamedTuple):
    name: str
    sha256: str


FILES = {
    "bundle": _File("vision_bundle.mjs", "55d7ab624fbb70dcc5adc4ae6d7ea9cfcb569139d3dbfbf2b1deafcb966bc0fe"),
    "loader": _File(
        "wasm/vision_wasm_module_internal.js", "1f1d6215324a1fe62f6742d49a3db911170987ca18ad8c1b75f1a1c82acf2b44"
    ),
    "wasm": _File(
        "wasm/vision_wasm_module_internal.wasm", "617b8e0248dbd27e9d7ece4218004eae4cefb499196d1bb4fa0e3fef21708756"
    ),
    "model": _File("face_landmarker.task", "64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff"),
}
"""By what each is for."""


def find_file(name: str, folders: Iterable[Path]) -> Path | None:
    """The file of that name in the first of the folders that has it."""
    return next((path for folder in folders if (path := folder / name).is_file()), None)


def read_mediapipe(folders: Iterable[Path]) -> dict[str, bytes]:
    """The contents of FILES, each from the first of the folders that has it, by what they are for.

    Raises PageError that says which are missing or others, and where to get them: what is in a page is run by all who
    open it, so nothing but these very files gets there.
    """
    folders = list(folders)
    paths = {role: find_file(name, folders) for role, (name, _) in FILES.items()}
    missing = [FILES[role].name for role, path in paths.items() if path is None]
    if missing:
        names = "\n".join(missing)
        raise PageError(f"The webcam needs these files of MediaPipe in {folders[0]}:\n{names}\n{_where()}")
    return {role: _read(path, FILES[role].sha256) for role, path in paths.items() if path}


def _read(path: Path, sha256: str) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise PageError(f"{path}: cannot be read ({error.strerror or error}).") from error
    if hashlib.sha256(content).hexdigest() != sha256:
        raise PageError(f"{path}: this is another file than the one of {PACKAGE}.\n{_where()}")
    return content


def _where() -> str:
    return (
        f"vision_bundle.mjs and the folder wasm are in the npm package {PACKAGE}. Take no newer version: it reports to "
        f"its maker.\nface_landmarker.task is Google's face landmarker model. Its SHA-256: {FILES['model'].sha256}"
    )
