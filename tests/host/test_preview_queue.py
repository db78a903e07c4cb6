"""The preview queue: the newest request of a client counts, and a running graph comes first."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.host.pack import pack_module


@pytest.fixture
def module(call: Callable[..., Any]) -> Iterator[Any]:
    """The module of the queue, as ComfyUI loaded it."""
    return pack_module("nodes.page.preview_queue")


def never() -> bool:
    return False


def test_a_running_graph_gets_nine_tenths_of_the_time(module: Any) -> None:
    spans: list[tuple[float, float]] = []

    def job(tick: Callable[[], None]) -> bytes:
        start = time.monotonic()
        time.sleep(0.02)
        spans.append((start, time.monotonic()))
        return b""

    async def two() -> None:
        queue = module.PreviewQueue(lambda: True)
        for _ in range(2):
            await queue.run("a", job, never)

    asyncio.run(two())
    (start, end), (again, _) = spans
    assert again - end >= 9 * (end - start) - 0.005


def test_a_long_job_rests_in_between_while_a_graph_runs(module: Any) -> None:
    rests: list[float] = []

    def job(tick: Callable[[], None]) -> bytes:
        time.sleep(0.55)
        start = time.monotonic()
        tick()
        rests.append(time.monotonic() - start)
        tick()  # it has worked only a moment since
        rests.append(time.monotonic() - start - rests[0])
        return b""

    running = iter([True] * 12 + [False] * 1000)
    asyncio.run(module.PreviewQueue(lambda: next(running)).run("a", job, never))
    assert rests[0] > 0.5
    assert rests[1] < 0.1


def test_a_superseded_request_ends_even_while_it_waits_for_a_graph(module: Any) -> None:
    running = True

    def slow(tick: Callable[[], None]) -> bytes:
        time.sleep(0.2)
        return b"slow"

    async def go() -> list[Any]:
        nonlocal running
        queue = module.PreviewQueue(lambda: running)
        await queue.run("a", slow, never)  # the worker must now rest for 1.8 seconds
        waiting = asyncio.ensure_future(queue.run("a", slow, never))
        await asyncio.sleep(0.05)
        newer = asyncio.ensure_future(queue.run("a", lambda tick: b"new", never))
        await asyncio.wait([waiting])
        assert not newer.done()
        running = False
        return await asyncio.gather(waiting, newer, return_exceptions=True)

    older, newer = asyncio.run(go())
    assert isinstance(older, module.Superseded)
    assert newer == b"new"


def test_a_running_job_stops_when_its_client_disconnects(module: Any) -> None:
    disconnected = False

    def job(tick: Callable[[], None]) -> bytes:
        nonlocal disconnected
        tick()
        disconnected = True
        tick()
        return b"never"

    with pytest.raises(module.Superseded):
        asyncio.run(module.PreviewQueue(never).run("a", job, lambda: disconnected))


def test_an_error_of_a_job_is_raised_and_the_next_job_runs(module: Any) -> None:
    def broken(tick: Callable[[], None]) -> bytes:
        raise ValueError("broken")

    async def go() -> bytes:
        queue = module.PreviewQueue(never)
        with pytest.raises(ValueError, match="broken"):
            await queue.run("a", broken, never)
        return await queue.run("a", lambda tick: b"fine", never)

    assert asyncio.run(go()) == b"fine"


def test_a_prompt_that_gives_way_waits_for_the_preview_and_gets_the_rest_of_the_time(module: Any) -> None:
    working, seen, rests = threading.Event(), [], []

    def job(tick: Callable[[], None]) -> bytes:
        working.set()
        time.sleep(0.1)
        seen.append("preview")
        return b""

    def train(queue: Any) -> None:
        with queue.shared():
            assert queue.has_processor
            working.wait(10)
            queue.give_way()
            seen.append("training")

    async def go() -> None:
        queue = module.PreviewQueue(lambda: True)
        assert not queue.has_processor
        training = asyncio.ensure_future(asyncio.to_thread(train, queue))
        await asyncio.sleep(0.05)
        await queue.run("a", job, never)
        await training
        with queue.shared():
            start = time.monotonic()
            await queue.run("a", lambda tick: b"", never)
            rests.append(time.monotonic() - start)
        queue.give_way()  # nobody works: it does not wait

    asyncio.run(go())
    assert seen == ["preview", "training"]
    assert rests[0] < 9 * 0.1
