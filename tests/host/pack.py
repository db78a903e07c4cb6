"""The pack's own modules as ComfyUI loaded them (it names a pack's modules after the folder that it lies in)."""

from __future__ import annotations

import sys
from types import ModuleType

from tests.host.comfyui import PACK


def pack_module(name: str) -> ModuleType:
    """A module of the loaded pack, such as `nodes.host`."""
    path = PACK.joinpath(*name.split(".")).with_suffix(".py")
    return next(module for module in list(sys.modules.values()) if getattr(module, "__file__", None) == str(path))
