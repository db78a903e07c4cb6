"""Cancelling long work on motions: whoever starts it says when to stop, and its loops ask now and then."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_check: ContextVar[Callable[[], None] | None] = ContextVar("_check", default=None)


@contextmanager
def cancellable(check: Callable[[], None]) -> Iterator[None]:
    """Within it, `check` is called now and then by what this thread does with motions; what it raises ends that.

    Where one is within another, the outer one counts: it belongs to whoever waits for the result.
    """
    token = _check.set(_check.get() or check)
    try:
        yield
    finally:
        _check.reset(token)


def check() -> None:
    """Raise what ends this thread's work on motions, where there is a reason to end it."""
    found = _check.get()
    if found is not None:
        found()
