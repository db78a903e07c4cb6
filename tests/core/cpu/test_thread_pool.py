"""Threads that share tiles: every tile once, and what goes wrong in one stops all."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from tha4_core.cpu import thread_pool as crew

TILES = [slice(i, i + 1) for i in range(60)]
CPU = torch.device("cpu")


def test_every_tile_is_done_once_without_gradients_on_one_torch_thread_each() -> None:
    done: list[slice] = []
    settings = set()

    def job(tiles: crew.Tiles) -> None:
        for tile in tiles:
            settings.add((torch.get_num_threads(), torch.is_grad_enabled()))
            done.append(tile)

    threads = torch.get_num_threads()
    with crew.gathered(CPU) as workers:
        assert torch.get_num_threads() == 1
        for _ in range(3):
            workers.share(TILES, job)
    assert torch.get_num_threads() == threads
    assert sorted(tile.start for tile in done) == sorted([tile.start for tile in TILES] * 3)
    assert settings == {(1, False)}


def test_a_standing_crew_serves_several_callers_and_outlives_an_error() -> None:
    settings = set()

    def job(tiles: crew.Tiles) -> None:
        settings.add((torch.get_num_threads(), torch.is_grad_enabled()))
        done.extend(tiles)

    before, done = torch.get_num_threads(), []
    workers = crew.standing(2)
    with pytest.raises(StopError):
        workers.share(TILES, lambda _: stop())
    with ThreadPoolExecutor(3) as callers:
        for caller in [callers.submit(workers.share, TILES, job) for _ in range(9)]:
            caller.result()
    assert len(done) == len(TILES) * 9
    assert settings == {(1, False)}
    assert crew.standing(2) is workers
    assert torch.get_num_threads() == before


def test_off_the_cpu_the_caller_does_it_all() -> None:
    threads: list[str] = []
    with crew.gathered(torch.device("meta")) as workers:
        workers.share(TILES, lambda tiles: threads.extend(threading.current_thread().name for _ in tiles))
    assert threads == [threading.current_thread().name] * len(TILES)


class StopError(Exception):
    pass


def stop() -> None:
    raise StopError


@pytest.mark.parametrize("in_the_job", [True, False])
def test_an_error_anywhere_stops_everyone_after_their_tile(in_the_job: bool) -> None:
    done: list[slice] = []
    before = threading.active_count()  # other tests may have left threads

    def job(tiles: crew.Tiles) -> None:
        for tile in tiles:
            time.sleep(0.05)
            done.append(tile)
            if in_the_job:
                stop()

    def share() -> None:
        with crew.gathered(CPU, None if in_the_job else stop) as workers:
            workers.share(TILES, job)

    with pytest.raises(StopError):
        share()
    assert 0 < len(done) < len(TILES) // 2
    assert threading.active_count() == before


def test_threads_to_come_keep_their_number_while_a_crew_works() -> None:
    def number() -> int:
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(torch.get_num_threads).result()

    before, default = torch.get_num_threads(), number()
    with crew.gathered(CPU) as workers:
        workers.share(TILES, list)
        assert torch.get_num_threads() == 1
        assert number() == default
    with crew.own_threads(1):
        assert (torch.get_num_threads(), number()) == (1, default)
    assert (torch.get_num_threads(), number()) == (before, default)
