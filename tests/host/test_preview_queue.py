"""The desk of live frames: who comes first, and that a running graph comes before all."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.host.pack import pack_module


@pytest.fixture
def desk(call: Callable[..., Any]) -> Iterator[Any]:
    """The module, as ComfyUI loaded it."""
    return pack_module("nodes.page.preview_queue")


def stay() -> bool:
    return False


def test_a_running_graph_gets_nine_tenths(desk: Any) -> None:
    spans: list[tuple[float, float]] = []

    def job(tick: Callable[[], None]) -> bytes:
        start = time.monotonic()
        time.sleep(0.02)
        spans.append((start, time.monotonic()))
        return b""

    async def two() -> None:
        busy = desk.Desk(lambda: True)
        for _ in range(2):
            await busy.frame("a", job, stay)

    asyncio.run(two())
    (start, end), (again, _) = spans
    assert again - end >= 9 * (end - start) - 0.005


def test_what_is_superseded_ends_even_while_it_waits_for_a_graph(desk: Any) -> None:
    running = True

    def slow(tick: Callable[[], None]) -> bytes:
        time.sleep(0.2)
        return b"slow"

    async def go() -> list[Any]:
        nonlocal running
        busy = desk.Desk(lambda: running)
        await busy.frame("a", slow, stay)  # 1.8 seconds of rest are owed
        waiting = asyncio.ensure_future(busy.frame("a", slow, stay))
        await asyncio.sleep(0.05)
        newer = asyncio.ensure_future(busy.frame("a", lambda tick: b"new", stay))
        await asyncio.wait([waiting])
        assert not newer.done()
        running = False
        return await asyncio.gather(waiting, newer, return_exceptions=True)

    older, newer = asyncio.run(go())
    assert isinstance(older, desk.Superseded)
    assert newer == b"new"


def test_a_job_under_way_is_told_that_its_client_has_gone(desk: Any) -> None:
    gone = False

    def job(tick: Callable[[], None]) -> bytes:
        nonlocal gone
        tick()
        gone = True
        tick()
        return b"never"

    with pytest.raises(desk.Superseded):
        asyncio.run(desk.Desk(stay).frame("a", job, lambda: gone))


def test_what_a_job_raises_comes_out_and_the_next_one_works(desk: Any) -> None:
    def broken(tick: Callable[[], None]) -> bytes:
        raise ValueError("broken")

    async def go() -> bytes:
        one = desk.Desk(stay)
        with pytest.raises(ValueError, match="broken"):
            await one.frame("a", broken, stay)
        return await one.frame("a", lambda tick: b"fine", stay)

    assert asyncio.run(go()) == b"fine"
