"""The preview queue: the newest request of a client counts, and a running graph comes first."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
import weakref
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


def test_a_frame_that_is_given_up_is_freed_at_once(module: Any) -> None:
    """Not by the garbage collector: it seldom looks at all of a large process."""

    class Buffers:
        """What a frame takes megabytes for."""

    used: list[weakref.ref[Buffers]] = []

    def frame(tick: Callable[[], None]) -> bytes:
        buffers = Buffers()
        used.append(weakref.ref(buffers))
        while True:
            time.sleep(0.005)
            tick()

    async def supersede() -> None:
        queue = module.PreviewQueue(never)
        older = asyncio.ensure_future(queue.run("a", frame, never))
        await asyncio.sleep(0.05)
        assert await queue.run("a", lambda tick: b"new", never) == b"new"
        assert isinstance((await asyncio.gather(older, return_exceptions=True))[0], module.Superseded)

    gc.disable()
    try:
        asyncio.run(supersede())
        assert [buffers() for buffers in used] == [None]
    finally:
        gc.enable()


def test_an_error_of_a_job_is_raised_and_the_next_job_runs(module: Any) -> None:
    def broken(tick: Callable[[], None]) -> bytes:
        raise ValueError("broken")

    async def go() -> bytes:
        queue = module.PreviewQueue(never)
        with pytest.raises(ValueError, match="broken"):
            await queue.run("a", broken, never)
        return await queue.run("a", lambda tick: b"fine", never)

    assert asyncio.run(go()) == b"fine"


def test_a_job_of_a_queue_that_comes_second_pauses_while_the_first_has_work(module: Any) -> None:
    order: list[str] = []

    def quick(tick: Callable[[], None]) -> bytes:
        time.sleep(0.1)
        order.append("quick")
        return b""

    def long(tick: Callable[[], None]) -> bytes:
        order.append("begun")
        time.sleep(0.05)
        tick()
        order.append("long")
        return b""

    async def both() -> None:
        first = module.PreviewQueue(never)
        second = module.PreviewQueue(never, first)
        slow = asyncio.ensure_future(second.run("b", long, never))
        await asyncio.sleep(0.02)
        await asyncio.gather(slow, first.run("a", quick, never))

    asyncio.run(both())
    assert order == ["begun", "quick", "long"]


def test_a_job_that_comes_second_ends_when_a_prompt_runs_even_while_it_pauses(module: Any) -> None:
    running = False

    def prompt_starts(tick: Callable[[], None]) -> bytes:
        nonlocal running
        time.sleep(0.05)
        running = True
        time.sleep(0.3)
        return b""

    async def go() -> None:
        first = module.PreviewQueue(never)
        second = module.PreviewQueue(lambda: running, first)
        busy = asyncio.ensure_future(first.run("a", prompt_starts, never))
        await asyncio.sleep(0)
        with pytest.raises(module.PromptRunning):
            await second.run("b", lambda tick: tick() or b"never", never)
        assert not busy.done()
        await busy

    asyncio.run(go())


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
