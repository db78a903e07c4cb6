"""Threads that share a teacher: one at a time computes, moves it or empties its caches."""

from __future__ import annotations

import copy
from collections.abc import Callable
from threading import Thread

import pytest
import torch

from tha4_core.teacher import Teacher, THA3Teacher


@pytest.fixture(scope="module")
def teacher() -> Teacher:
    """A teacher without weights."""
    with torch.device("meta"):
        return THA3Teacher(separable=True)


@pytest.mark.parametrize("use", [Teacher.clear_cache, Teacher.half])
def test_another_thread_waits(teacher: Teacher, use: Callable[[Teacher], object]) -> None:
    other = Thread(target=use, args=(teacher,))
    with teacher.lock:
        other.start()
        other.join(0.1)
        assert other.is_alive()
        teacher.clear_cache()  # the thread that has it goes on
    other.join(10)
    assert not other.is_alive()


def test_a_copy_is_used_by_itself(teacher: Teacher) -> None:
    copied = copy.deepcopy(teacher)
    other = Thread(target=copied.clear_cache)
    with teacher.lock:
        other.start()
        other.join(10)
        assert not other.is_alive()
