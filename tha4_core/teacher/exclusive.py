"""One thread at a time: a teacher's caches, buffers, hooks and place in memory belong to one computation."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from threading import RLock
from typing import Any, Concatenate, ParamSpec, TypeVar

import torch
from torch import nn

_P = ParamSpec("_P")
_Result = TypeVar("_Result")
_Model = TypeVar("_Model", bound="ExclusiveModule")


class ExclusiveModule(nn.Module):
    """A module with a `lock`, which its `exclusive` methods hold. A copy has a lock of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.lock = RLock()

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)  # type: ignore[no-untyped-call]
        self.lock = RLock()


def exclusive(method: Callable[Concatenate[_Model, _P], _Result]) -> Callable[Concatenate[_Model, _P], _Result]:
    """A method that computes without gradients, while no other thread is in an exclusive method of the same object."""

    @wraps(method)
    def call(self: _Model, /, *args: _P.args, **kwargs: _P.kwargs) -> _Result:
        with self.lock, torch.no_grad():
            return method(self, *args, **kwargs)

    return call
