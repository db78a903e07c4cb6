"""On which stream and device graphs are captured.

PyTorch's own `torch.cuda.graph` runs here. Streams, devices and the graph need a GPU: they are stand-ins that know what
is current. That CUDA records what runs there is not tested.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import pytest
import torch

from tha4_core import cuda_graph


class Stream:
    """A stream of a device, which notes whom it waits for."""

    def __init__(self, device: int) -> None:
        self.device, self.waited_for = device, []

    def wait_stream(self, other: Stream) -> None:
        self.waited_for.append(other)


class CUDA:
    """Two devices, a current one, and a current stream for each."""

    def __init__(self) -> None:
        self.device, self.current = 0, [Stream(0), Stream(1)]
        self.captures: list[Stream] = []
        self.forgotten: list[tuple[int, object]] = []
        self.fails = False

    def stream(self) -> Stream:
        return self.current[self.device]


class OnDevice:
    """`torch.cuda.device`. No generator: those are put back when they are deleted, which PyTorch's is not."""

    def __init__(self, cuda: CUDA, device: int) -> None:
        self._cuda, self._device = cuda, device

    def __enter__(self) -> None:
        self._before, self._cuda.device = self._cuda.device, self._device

    def __exit__(self, *_: object) -> None:
        self._cuda.device = self._before


class OnStream(OnDevice):
    """`torch.cuda.stream`."""

    def __init__(self, cuda: CUDA, stream: Stream) -> None:
        super().__init__(cuda, stream.device)
        self._stream = stream

    def __enter__(self) -> None:
        super().__enter__()
        self._stream_before, self._cuda.current[self._device] = self._cuda.current[self._device], self._stream

    def __exit__(self, *_: object) -> None:
        self._cuda.current[self._device] = self._stream_before
        super().__exit__()


class Graph:
    """What is captured is on the stream that was current when the capture began."""

    def __init__(self, cuda: CUDA) -> None:
        self._cuda = cuda

    def capture_begin(self, pool: object, **_: Any) -> None:
        self._cuda.captures.append(self._cuda.stream())

    def capture_end(self) -> None:
        if self._cuda.fails:  # as it does after an error within the capture
            raise RuntimeError("operation failed due to a previous error during capture")

    def replay(self) -> None:
        raise NotImplementedError


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> Iterator[CUDA]:
    fake = CUDA()
    replacements = {
        "CUDAGraph": lambda: Graph(fake),
        "Stream": lambda index=None: Stream(fake.device if index is None else index),
        "current_device": lambda: fake.device,
        "current_stream": fake.stream,
        "device": lambda device: OnDevice(fake, device.index),
        "stream": lambda stream: OnStream(fake, stream),
        "synchronize": lambda: None,
        "empty_cache": lambda: None,
        "graph_pool_handle": lambda: "a pool",
    }
    for name, replacement in replacements.items():
        monkeypatch.setattr(torch.cuda, name, replacement)
    monkeypatch.setattr(torch.cuda.graph, "default_capture_stream", None)
    monkeypatch.setattr(torch._C, "_host_emptyCache", lambda: None, raising=False)  # of builds with CUDA
    monkeypatch.setattr(
        torch._C, "_cuda_endAllocateToPool", lambda index, pool: fake.forgotten.append((index, pool)), raising=False
    )
    cached = (cuda_graph._side_stream, cuda_graph._has_own_allocator)
    for function in cached:
        function.cache_clear()
    yield fake
    for function in cached:
        function.cache_clear()


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_each_device_is_captured_on_the_stream_that_it_was_set_up_on(cuda: CUDA, order: tuple[int, int]) -> None:
    for index in order:
        device, before = torch.device("cuda", index), list(cuda.current)
        aside = cuda_graph.run_aside(cuda.stream, device)
        _, captured = cuda_graph.capture(cuda.stream, device)
        assert aside is captured is cuda.captures[-1]
        assert captured.device == index
        assert captured not in before
        assert (cuda.device, cuda.current) == (0, before)
        assert captured.waited_for == [before[index]]
        assert before[index].waited_for == [captured]


@pytest.mark.parametrize("ends", ["well", "badly"])
def test_after_a_failure_work_goes_on_where_it_was(cuda: CUDA, ends: str) -> None:
    def waits() -> None:
        raise RuntimeError("operation not permitted when stream is capturing")

    before, cuda.fails = list(cuda.current), ends == "badly"
    for index in (0, 1):
        for run in (cuda_graph.capture, cuda_graph.run_aside):
            with pytest.raises(RuntimeError, match="captur"):
                run(waits, torch.device("cuda", index))
            assert (cuda.device, cuda.current) == (0, before)
    assert cuda.forgotten == [(0, "a pool"), (1, "a pool")]


@pytest.mark.parametrize("other", [cuda_graph.run_aside, cuda_graph.capture])
def test_no_other_thread_comes_between(cuda: CUDA, monkeypatch: pytest.MonkeyPatch, other: Any) -> None:
    monkeypatch.setattr(torch.cuda, "device", lambda device: nullcontext())  # what is current is each thread's own
    device, events = torch.device("cuda", 0), []
    thread = threading.Thread(target=lambda: other(lambda: events.append("other"), device))

    def work() -> None:
        thread.start()
        thread.join(0.1)
        events.append("ours")

    cuda_graph.capture(work, device)
    thread.join()
    assert events == ["ours", "other"]


@pytest.mark.parametrize(("backend", "expected"), [("native", True), ("cudaMallocAsync", False)])
def test_graphs_are_for_pytorchs_own_allocator(
    cuda: CUDA, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, backend: str, expected: bool
) -> None:
    monkeypatch.setattr(torch.cuda, "get_allocator_backend", lambda: backend)
    caplog.set_level("INFO", "tha4")
    for index in (0, 1):
        assert cuda_graph.is_available(torch.device("cuda", index)) == expected
    assert not cuda_graph.is_available(torch.device("cpu"))
    assert caplog.text.count("because PyTorch's allocator is cudaMallocAsync") == (not expected)
