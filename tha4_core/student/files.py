"""The formats a student comes in: our one .safetensors, the published folder, the web demo's TensorFlow.js folder."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from einops import rearrange
from safetensors.torch import save

from ..errors import PictureError, WeightsError
from ..picture.character import Character, decode_character, encode_character
from ..picture.published import DESCRIPTION, file_beside, published_files
from ..picture.reading import read_picture
from ..weights import StateDict, check_is_no_placeholder, read_safetensors, read_state_dict, write_safetensors

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
    if path.suffix.lower() == ".safetensors":
        return _read_ours(path)
    if path.suffix.lower() in (".yaml", ".yml"):
        return _read_published(path)
    if (path / DESCRIPTION).is_file():
        return _read_published(path / DESCRIPTION)
    if (path / "face_morpher.json").is_file():
        return _read_web_demo(path)
    raise WeightsError(
        f"{path}: not a student. A student is a .safetensors file of this pack, a folder with {DESCRIPTION}, "
        "or a folder with face_morpher.json and body_morpher.json of the web demo."
    )


def write(path: Path, files: StudentFiles) -> None:
    """Write a student as one .safetensors file, whole or not at all. Raises WeightsError where that fails."""
    try:
        write_safetensors(path, *_encode(files))
    except OSError as error:
        raise WeightsError(
            f"{path}: cannot be written ({error.strerror or error}). Free some space, or choose another folder."
        ) from error


def to_bytes(files: StudentFiles) -> bytes:
    """A student as the bytes of one .safetensors file. The same student gives the same bytes."""
    tensors, metadata = _encode(files)
    content = save({key: value.contiguous() for key, value in tensors.items()}, metadata)
    end = 8 + int.from_bytes(content[:8], "little")
    # The library writes metadata in another order each time.
    header = json.loads(content[8:end]) | {"__metadata__": dict(sorted(metadata.items()))}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + content[end:]


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
    if version not in map(str, range(FORMAT_VERSION + 1)):
        raise WeightsError(
            f'{path}: made by a newer version of this pack (format version "{version[:40]}", this one reads up to '
            f"{FORMAT_VERSION}). Update the pack."
        )
    networks = {name: _under(tensors, f"{name}.") for name in NETWORKS}
    character = decode_character(tensors, metadata.get("name", path.stem), path)
    return StudentFiles(character, networks, metadata)


def _under(tensors: StateDict, prefix: str) -> StateDict:
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}


def _read_published(description: Path) -> StudentFiles:
    files = published_files(description)
    character = _character(files["character_image_file_name"])
    return StudentFiles(character, {name: read_state_dict(files[f"{name}_file_name"]) for name in NETWORKS})


def _read_web_demo(folder: Path) -> StudentFiles:
    networks = {name: read_tensorflow_js(folder / f"{name}.json") for name in NETWORKS}
    return StudentFiles(_character(folder / "character.png"), networks)


def _character(picture: Path) -> Character:
    """The character of a student's folder, named as the folder is."""
    if not picture.is_file():
        raise PictureError(
            f"{picture}: this student's picture is missing. A student only works with the picture that it was made "
            "for: fetch it from where the student was published, and save it under this name."
        )
    opened, notes = read_picture(picture)
    return Character.from_picture(opened, picture.parent.name, notes)


def read_tensorflow_js(manifest: Path) -> StateDict:
    """The weights of a TensorFlow.js model (spec section 5), under the names and in the layout of torch.

    `LAYER/kernel` `[1, 1, in, out]` becomes `LAYER.weight` `[out, in, 1, 1]`; `LAYER/bias` becomes `LAYER.bias`. Each
    group of weights lies in its own files, one weight after another. Raises WeightsError, naming the manifest.
    """
    check_is_no_placeholder(manifest)
    try:
        content = json.loads(manifest.read_text(encoding="utf-8"))
        state_dict: StateDict = {}
        for group in content["weightsManifest"] if isinstance(content, dict) else content:
            data = b"".join(_read_bytes(file_beside(manifest, path)) for path in group["paths"])
            state_dict |= _unpack(group["weights"], data, manifest)
    except WeightsError:
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise WeightsError(
            f"{manifest}: its weights cannot be read ({type(error).__name__}: {error}). Fetch this file and the .bin "
            "files beside it again."
        ) from error
    return state_dict


def _read_bytes(path: Path) -> bytes:
    check_is_no_placeholder(path)
    return path.read_bytes()


def _unpack(entries: list[dict[str, Any]], data: bytes, manifest: Path) -> StateDict:
    """The weights of one group, whose bytes are `data`."""
    state_dict: StateDict = {}
    offset = 0
    for entry in entries:
        name, shape = entry["name"], tuple(entry["shape"])
        if entry["dtype"] != "float32" or "quantization" in entry:
            raise WeightsError(f"{manifest}: {name} is not stored as plain float32, which is all that is read here.")
        count = math.prod(shape)
        if not 0 <= 4 * count <= len(data) - offset:
            raise WeightsError(f"{manifest}: its .bin files are cut off; they end within {name}. Fetch them again.")
        values = torch.from_numpy(np.frombuffer(data, "<f4", count, offset).reshape(shape).copy())
        layer, _, kind = name.rpartition("/")
        if kind == "kernel" and len(shape) == 4:
            state_dict[f"{layer}.weight"] = rearrange(
                values, "height width inputs outputs -> outputs inputs height width"
            ).contiguous()
        else:
            state_dict[f"{layer}.{kind}"] = values
        offset += 4 * count
    if offset != len(data):
        raise WeightsError(f"{manifest}: its .bin files hold {len(data)} bytes where the manifest lists {offset}.")
    return state_dict
