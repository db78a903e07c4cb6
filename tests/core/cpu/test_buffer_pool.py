"""Memory that features are lent, against what the process is seen to take."""

from __future__ import annotations

import copy
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from tha4_core.cpu.buffer_pool import Memory

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


def test_what_nothing_holds_is_lent_again() -> None:
    memory = Memory()
    for _ in range(5):
        lent = memory.tensor(*SHAPE)
        assert lent.shape == SHAPE
        assert lent.dtype == torch.float32
        del lent
    other = memory.tensor(256, 1024)  # another shape of the same size
    assert _taken() == 1
    assert other.shape == (256, 1024)


def test_what_a_view_holds_is_left_alone() -> None:
    memory = Memory()
    view = memory.tensor(*SHAPE).fill_(1).permute(2, 0, 1)[5:]
    memory.tensor(*SHAPE).fill_(2)
    assert _taken() == 2
    assert bool((view == 1).all())


def test_clear_gives_back_what_is_free_at_once_and_the_rest_when_it_is() -> None:
    memory = Memory()
    held, free = memory.tensor(*SHAPE), memory.tensor(*SHAPE)
    del free
    memory.clear()
    assert _taken() == 1
    del held
    assert _taken() == 0


def test_it_goes_with_its_owner() -> None:
    memory = Memory()
    memory.tensor(*SHAPE)
    assert _taken() == 1
    del memory
    assert _taken() == 0


def test_a_copy_begins_with_nothing() -> None:
    memory = Memory()
    memory.tensor(*SHAPE)
    copied = copy.deepcopy(memory)
    copied.tensor(*SHAPE)
    assert _taken() == 2


def test_tensors_begin_at_a_cache_line() -> None:
    memory = Memory()
    lent = [memory.tensor(count) for count in (1, 7, 1000, MEGABYTE)]
    assert all(tensor.data_ptr() % 64 == 0 for tensor in lent)


def test_threads_never_share() -> None:
    memory = Memory()

    def kept_its_number(number: int) -> bool:
        return all(bool((memory.tensor(1000).fill_(number) == number).all()) for _ in range(300))

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(kept_its_number, range(4)))
