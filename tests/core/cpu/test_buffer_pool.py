"""Buffers that are used again, against what the process is seen to take."""

from __future__ import annotations

import copy
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from tha4_core.cpu.buffer_pool import BufferPool

MEGABYTE = 2**20
SHAPE = (4, 256, 256)  # a megabyte


@pytest.fixture(autouse=True)
def _traced() -> Iterator[None]:
    tracemalloc.start()
    yield
    tracemalloc.stop()


def _taken() -> int:
    """Megabytes that live now."""
    return round(tracemalloc.get_traced_memory()[0] / MEGABYTE)


def test_a_buffer_that_nothing_holds_is_used_again() -> None:
    pool = BufferPool()
    for _ in range(5):
        tensor = pool.empty(*SHAPE)
        assert tensor.shape == SHAPE
        assert tensor.dtype == torch.float32
        del tensor
    other = pool.empty(256, 1024)  # another shape of the same size
    assert _taken() == 1
    assert other.shape == (256, 1024)


def test_a_buffer_that_a_view_holds_is_left_alone() -> None:
    pool = BufferPool()
    view = pool.empty(*SHAPE).fill_(1).permute(2, 0, 1)[5:]
    pool.empty(*SHAPE).fill_(2)
    assert _taken() == 2
    assert bool((view == 1).all())


def test_clear_frees_unused_buffers_at_once_and_the_others_when_they_are_unused() -> None:
    pool = BufferPool()
    held, free = pool.empty(*SHAPE), pool.empty(*SHAPE)
    del free
    pool.clear()
    assert _taken() == 1
    del held
    assert _taken() == 0


def test_it_goes_with_its_owner() -> None:
    pool = BufferPool()
    pool.empty(*SHAPE)
    assert _taken() == 1
    del pool
    assert _taken() == 0


def test_a_copy_starts_empty() -> None:
    pool = BufferPool()
    pool.empty(*SHAPE)
    copied = copy.deepcopy(pool)
    copied.empty(*SHAPE)
    assert _taken() == 2


def test_tensors_begin_at_a_cache_line() -> None:
    pool = BufferPool()
    tensors = [pool.empty(count) for count in (1, 7, 1000, MEGABYTE)]
    assert all(tensor.data_ptr() % 64 == 0 for tensor in tensors)


def test_threads_never_share() -> None:
    pool = BufferPool()

    def kept_its_number(number: int) -> bool:
        return all(bool((pool.empty(1000).fill_(number) == number).all()) for _ in range(300))

    with ThreadPoolExecutor(4) as threads:
        assert all(threads.map(kept_its_number, range(4)))
