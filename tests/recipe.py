"""Synthetic weights that anyone can make from a name and a shape, as the golden data's README defines them."""

from __future__ import annotations

import json
import math
import os
import zlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType

import numpy as np
import torch

ROOT = Path(__file__).resolve().parents[1]
REFERENCE = Path(os.environ.get("THA4_REFERENCE", ROOT.parent / "shared"))
"""The folder of golden data, reference characters and specification. Not part of the repository."""

TEACHER = ("body_morpher", "eyebrow_decomposer", "eyebrow_morphing_combiner", "face_morpher", "upscaler")
THA3 = ("editor", "eyebrow_decomposer", "eyebrow_morphing_combiner", "face_morpher", "two_algo_face_body_rotator")

_SMALL = {
    "iris_mouth_grid_change.weight": 0.05,
    "morphed_eyebrow_layer_grid_change.weight": 0.05,
    "body.last.2.weight": 0.05,
    "body.last.2.bias": 0.05,
    "grid_change_creator.weight": 0.02,
}


def published_shapes(name: str) -> dict[str, list[int]]:
    """Keys and shapes of a published state dict, such as "teacher/upscaler" or "tha3_standard/editor"."""
    shapes: dict[str, list[int]] = json.loads((REFERENCE / "spec" / "state_dicts.json").read_text())[name]
    return shapes


def recipe_tensor(network: str, key: str, shape: list[int]) -> torch.Tensor:
    """One synthetic weight, float32. `network` is the name without `teacher/`; THA3's keep `tha3_.../`."""
    z = np.random.RandomState(zlib.crc32(f"{network}/{key}".encode())).standard_normal(shape)
    if len(shape) >= 2:
        weight = z / math.sqrt(math.prod(shape[1:]))
    elif key.endswith("weight"):
        weight = 1 + 0.1 * z
    else:
        weight = 0.05 * z
    return torch.from_numpy(weight * _SMALL.get(key, 1.0)).float()


@cache
def recipe_state_dict(name: str) -> Mapping[str, torch.Tensor]:
    """The synthetic weights of one network, such as "teacher/upscaler". Made once: nobody may change the tensors."""
    network = name.removeprefix("teacher/")
    shapes = published_shapes(name)
    return MappingProxyType({key: recipe_tensor(network, key, shape) for key, shape in shapes.items()})


def recipe_teacher() -> dict[str, dict[str, torch.Tensor]]:
    """The five state dicts of the synthetic teacher, as `Teacher.from_state_dicts` takes them."""
    return {name: dict(recipe_state_dict(f"teacher/{name}")) for name in TEACHER}


def recipe_tha3(variant: str) -> dict[str, dict[str, torch.Tensor]]:
    """The five state dicts of the synthetic THA3, `variant` being "standard" or "separable"."""
    return {name: dict(recipe_state_dict(f"tha3_{variant}/{name}")) for name in THA3}
