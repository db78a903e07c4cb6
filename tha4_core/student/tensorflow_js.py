"""Weights as the published web demo holds them: a TensorFlow.js manifest and its .bin files."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..errors import WeightsError
from ..picture.published import file_beside
from ..weights import StateDict, check_is_no_placeholder


def read_tensorflow_js(manifest: Path) -> StateDict:
    """The weights that a TensorFlow.js manifest lists, as torch lays them out.

    A convolution's kernel `[1, 1, in, out]` becomes `[out, in, 1, 1]`; the names are state-dict names already.
    Raises WeightsError, naming the manifest and what is wrong.
    """
    check_is_no_placeholder(manifest)
    try:
        content = json.loads(manifest.read_text(encoding="utf-8"))
        groups = content["weightsManifest"] if isinstance(content, dict) else content
        entries = [entry for group in groups for entry in group["weights"]]
        paths = [file_beside(manifest, path) for group in groups for path in group["paths"]]
        for path in paths:
            check_is_no_placeholder(path)
        data = b"".join(path.read_bytes() for path in paths)
        return _unpack(entries, data, manifest)
    except WeightsError:
        raise
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WeightsError(
            f"{manifest}: not a TensorFlow.js weights manifest ({type(error).__name__}: {error})."
        ) from error


def _unpack(entries: list[dict[str, Any]], data: bytes, manifest: Path) -> StateDict:
    state_dict: StateDict = {}
    offset = 0
    for entry in entries:
        name, shape = entry["name"], tuple(entry["shape"])
        if entry["dtype"] != "float32" or "quantization" in entry:
            raise WeightsError(f"{manifest}: {name} is not stored as plain float32, which is all that is read here.")
        count = math.prod(shape)
        if offset + 4 * count > len(data):
            raise WeightsError(f"{manifest}: its .bin files are cut off; they end within {name}. Fetch them again.")
        values = torch.from_numpy(np.frombuffer(data, "<f4", count, offset).reshape(shape).copy())
        state_dict[name] = values.permute(3, 2, 0, 1).contiguous() if len(shape) == 4 else values
        offset += 4 * count
    if offset != len(data):
        raise WeightsError(f"{manifest}: its .bin files hold {len(data)} bytes where the manifest lists {offset}.")
    return state_dict
