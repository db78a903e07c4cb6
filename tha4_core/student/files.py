"""The formats a student comes in: our one .safetensors, the published folder, the web demo's TensorFlow.js folder."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from safetensors.torch import save

from ..errors import WeightsError
from ..picture.character import Character, decode_character, encode_character, open_picture
from ..picture.published import DESCRIPTION, published_files
from ..weights import StateDict, read_safetensors, read_state_dict, write_safetensors
from .tensorflow_js import read_tensorflow_js

FORMAT = "tha4-student"
FORMAT_VERSION = 1
NETWORKS = ("face_morpher", "body_morpher")


@dataclass(frozen=True)
class StudentFiles:
    """A student as files hold it: its character, a state dict for each of NETWORKS, what the file says of itself."""

    character: Character
    networks: dict[str, StateDict]
    metadata: dict[str, str] = field(default_factory=dict)


def read(path: Path) -> StudentFiles:
    """Read a student in whichever format `path` is. Raises WeightsError or PictureError; checks no shapes."""
    if not path.exists():
        raise WeightsError(f"{path}: there is no such file or folder.")
    if path.suffix == ".safetensors":
        return _read_ours(path)
    if path.suffix in (".yaml", ".yml"):
        return _read_published(path)
    if (path / DESCRIPTION).is_file():
        return _read_published(path / DESCRIPTION)
    if (path / "face_morpher.json").is_file():
        return _read_tensorflow_js(path)
    raise WeightsError(
        f"{path}: not a student. A student is a .safetensors file of this pack, a folder with {DESCRIPTION}, "
        "or a folder with face_morpher.json and body_morpher.json of the web demo."
    )


def write(path: Path, files: StudentFiles) -> None:
    """Write a student as one .safetensors file, whole or not at all."""
    write_safetensors(path, *_encode(files))


def to_bytes(files: StudentFiles) -> bytes:
    """A student as the bytes of one .safetensors file. The same student gives the same bytes."""
    tensors, metadata = _encode(files)
    return save({key: value.contiguous() for key, value in tensors.items()}, dict(sorted(metadata.items())))


def _encode(files: StudentFiles) -> tuple[StateDict, dict[str, str]]:
    tensors = encode_character(files.character)
    for network, state_dict in files.networks.items():
        tensors |= {f"{network}.{key}": value for key, value in state_dict.items()}
    own = {"format": FORMAT, "format_version": str(FORMAT_VERSION), "name": files.character.name}
    return tensors, files.metadata | own


def _read_ours(path: Path) -> StudentFiles:
    tensors, metadata = read_safetensors(path)
    if metadata.get("format") != FORMAT:
        raise WeightsError(f'{path}: a .safetensors file, but not a student of this pack (no format "{FORMAT}" in it).')
    version = metadata.get("format_version", "")
    if not version.isdecimal() or int(version) > FORMAT_VERSION:
        raise WeightsError(
            f'{path}: made by a newer version of this pack (format version "{version}", this one reads up to '
            f"{FORMAT_VERSION}). Update the pack."
        )
    networks = {name: _under(tensors, f"{name}.") for name in NETWORKS}
    character = decode_character(tensors, metadata.get("name", path.stem), path)
    return StudentFiles(character, networks, metadata)


def _under(tensors: StateDict, prefix: str) -> StateDict:
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}


def _read_published(description: Path) -> StudentFiles:
    files = published_files(description)
    character = Character.from_picture(open_picture(files["character_image_file_name"]), description.parent.name)
    networks = {name: read_state_dict(files[f"{name}_file_name"]) for name in NETWORKS}
    return StudentFiles(character, networks)


def _read_tensorflow_js(folder: Path) -> StudentFiles:
    character = Character.from_picture(open_picture(folder / "character.png"), folder.name)
    networks = {name: read_tensorflow_js(folder / f"{name}.json") for name in NETWORKS}
    return StudentFiles(character, networks)
