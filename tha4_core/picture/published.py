"""The layout of a published character: a folder whose character_model.yaml names three files (spec section 5)."""

from __future__ import annotations

from pathlib import Path

from ..errors import WeightsError

DESCRIPTION = "character_model.yaml"
_KEYS = ("character_image_file_name", "face_morpher_file_name", "body_morpher_file_name")


def published_files(description: Path) -> dict[str, Path]:
    """The files that a character_model.yaml names, by its three keys.

    Raises WeightsError where the description cannot be read or names a file outside its folder.
    """
    import yaml

    try:
        content = yaml.safe_load(description.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise WeightsError(f"{description}: this description cannot be read ({error}).") from error
    if not isinstance(content, dict) or not all(isinstance(content.get(key), str) for key in _KEYS):
        raise WeightsError(f"{description}: it must name three files, under {', '.join(_KEYS)}.")
    return {key: file_beside(description, content[key]) for key in _KEYS}


def file_beside(description: Path, name: str) -> Path:
    """The file `name` in the folder of `description`. Raises WeightsError where it would lie outside that folder."""
    folder = description.parent.resolve()
    if not (folder / name).resolve().is_relative_to(folder):
        raise WeightsError(f"{description}: it names {name}, which lies outside its folder. That is refused.")
    return folder / name
