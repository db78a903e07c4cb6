"""The layout of a published character: a folder whose character_model.yaml names three files (spec section 5)."""

from __future__ import annotations

from pathlib import Path

from ..errors import WeightsError

DESCRIPTION = "character_model.yaml"
_MOST_CHARACTERS = 100_000
_KEYS = ("character_image_file_name", "face_morpher_file_name", "body_morpher_file_name")


def published_files(description: Path) -> dict[str, Path]:
    """The files that a character_model.yaml names, by its three keys.

    Raises WeightsError where the description cannot be read or names a file outside its folder.
    """
    import yaml

    try:
        with description.open(encoding="utf-8") as file:
            text = file.read(_MOST_CHARACTERS + 1)
        content = yaml.safe_load(text) if len(text) <= _MOST_CHARACTERS else None
    # Of a value that looks like a date or a number but is none, PyYAML passes on Python's own errors.
    except (OSError, ValueError, TypeError, AttributeError, RecursionError, yaml.YAMLError) as error:
        raise WeightsError(f"{description}: this description cannot be read ({error}).") from error
    if len(text) > _MOST_CHARACTERS:
        raise WeightsError(f"{description}: a description has at most {_MOST_CHARACTERS:,} characters.")
    if not isinstance(content, dict) or not all(isinstance(content.get(key), str) for key in _KEYS):
        raise WeightsError(f"{description}: it must name three files, under {', '.join(_KEYS)}.")
    return {key: file_beside(description, content[key]) for key in _KEYS}


def file_beside(description: Path, name: str) -> Path:
    """The file `name` in the folder of `description`. Raises WeightsError where it would lie outside that folder."""
    folder = description.parent.resolve()
    try:
        is_inside = (folder / name).resolve().is_relative_to(folder)
        (folder / name).is_file()
    except (OSError, ValueError, RuntimeError) as error:  # a NUL, too long, or links in a circle
        raise WeightsError(f"{description}: it names {name[:80]!r}, which cannot be the name of a file.") from error
    if not is_inside:
        raise WeightsError(f"{description}: it names {name}, which lies outside its folder. That is refused.")
    return folder / name
