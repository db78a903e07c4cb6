"""A pool of threads that take tiles: every tile once, and an error in one stops all."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from tha4_core.cpu import RowTiles, ThreadPool, exclusive_pool, intra_op_threads, shared_pool

TILES = [slice(i, i + 1) for i in range(60)]
CPU = torch.device("cpu")


def test_every_tile_is_done_once_without_gradients_on_one_torch_thread_each() -> None:
    done: list[slice] = []
    settings = set()

    def job(tiles: RowTiles) -> None:
        for tile in tiles:
            settings.add((torch.get_num_threads(), torch.is_grad_enabled()))
            done.append(tile)

    threads = torch.get_num_threads()
    with exclusive_pool(CPU) as pool:
        assert torch.get_num_threads() == 1
        for _ in range(3):
            pool.run(TILES, job)
    assert torch.get_num_threads() == threads
    assert sorted(tile.start for tile in done) == sorted([tile.start for tile in TILES] * 3)
    assert settings == {(1, False)}


def test_a_shared_pool_serves_several_callers_and_outlives_an_error() -> None:
    settings = set()

    def job(tiles: RowTiles) -> None:
        settings.add((torch.get_num_threads(), torch.is_grad_enabled()))
        done.extend(tiles)

    before, done = torch.get_num_threads(), []
    pool = shared_pool(2)
    with pytest.raises(StopError):
        pool.run(TILES, lambda _: stop())
    with ThreadPoolExecutor(3) as callers:
        for caller in [callers.submit(pool.run, TILES, job) for _ in range(9)]:
            caller.result()
    assert len(done) == len(TILES) * 9
    assert settings == {(1, False)}
    assert shared_pool(2) is pool
    assert torch.get_num_threads() == before


def test_off_the_cpu_the_caller_does_it_all() -> None:
    threads: list[str] = []
    with exclusive_pool(torch.device("meta")) as pool:
        pool.run(TILES, lambda tiles: threads.extend(threading.current_thread().name for _ in tiles))
    assert threads == [threading.current_thread().name] * len(TILES)


class StopError(Exception):
    pass


def stop() -> None:
    raise StopError


@pytest.mark.parametrize("in_the_job", [True, False])
def test_an_error_anywhere_stops_everyone_after_their_tile(in_the_job: bool) -> None:
    done: list[slice] = []
    with exclusive_pool(CPU):  # its threads are kept
        before = threading.active_count()

    def job(tiles: RowTiles) -> None:
        for tile in tiles:
            time.sleep(0.05)
            done.append(tile)
            if in_the_job:
                stop()

    def share() -> None:
        with exclusive_pool(CPU, None if in_the_job else stop) as pool:
            pool.run(TILES, job)

    with pytest.raises(StopError):
        share()
    assert 0 < len(done) < len(TILES) // 2
    assert threading.active_count() == before


def test_callers_one_after_another_get_the_same_threads_and_at_once_other_ones() -> None:
    def threads_of(pool: ThreadPool) -> set[int]:
        found: set[int] = set()
        pool.run(TILES, lambda tiles: found.update(threading.get_ident() for _ in tiles))
        return found

    with exclusive_pool(CPU) as first:
        ours = threads_of(first)
        with exclusive_pool(CPU) as second:
            assert not threads_of(second) & ours
    count = threading.active_count()
    for _ in range(20):
        with exclusive_pool(CPU) as pool:
            pool.run(TILES, list)
    assert threading.active_count() == count


def test_threads_to_come_keep_their_number_while_a_pool_works() -> None:
    def number() -> int:
        with ThreadPoolExecutor(1) as executor:
            return executor.submit(torch.get_num_threads).result()

    before, default = torch.get_num_threads(), number()
    with exclusive_pool(CPU) as pool:
        pool.run(TILES, list)
        assert torch.get_num_threads() == 1
        assert number() == default
    with intra_op_threads(1):
        assert (torch.get_num_threads(), number()) == (1, default)
    assert (torch.get_num_threads(), number()) == (before, default)
