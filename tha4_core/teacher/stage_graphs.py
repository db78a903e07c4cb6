"""A teacher's stages as CUDA graphs: a stage starts hundreds of kernels, which on a fast GPU take longer to start."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain

import torch
from torch import Tensor, nn

from .. import cuda_graph

Images = dict[str, Tensor]
Key = tuple[object, ...]
_log = logging.getLogger("tha4")


class StageGraphs:
    """A graph for each stage, of the inputs' shapes that came last, once they have come twice.

    So single frames and a sequence's last batch cost no capture. Whatever cannot be captured runs as it is. A graph
    keeps the memory that a batch takes, until `clear`.
    """

    def __init__(self) -> None:
        self._stages: dict[str, _Stage] = {}

    def run(self, module: nn.Module, work: Callable[..., Images], *inputs: Tensor) -> Images:
        """What `work(*inputs)` gives, a stage of `module`, whose weights are all else that it depends on."""
        name, device = work.__name__, inputs[0].device
        if not cuda_graph.is_available(device):
            return work(*inputs)
        weights = (tensor.data_ptr() for tensor in chain(module.parameters(), module.buffers()))
        key = (tuple(tensor.shape for tensor in inputs), tuple(weights))
        stage = self._stages.get(name)
        if stage is None or stage.key != key:
            self._stages.pop(name, None)  # first, so that its memory is free
            images = cuda_graph.run_aside(lambda: work(*inputs), device)
            self._stages[name] = _Stage(key)
            return images
        if stage.replay is None and cuda_graph.is_forbidden():
            return cuda_graph.run_aside(lambda: work(*inputs), device)
        if stage.replay is None:
            stage.replay = _captured(work, inputs)
        return stage.replay(*inputs)

    def clear(self) -> None:
        """Free the graphs' memory."""
        self._stages.clear()


@dataclass
class _Stage:
    key: Key
    replay: Callable[..., Images] | None = None


def _captured(work: Callable[..., Images], inputs: tuple[Tensor, ...]) -> Callable[..., Images]:
    """`work` as a graph, whose images are copies; as it is where that cannot be."""
    # ComfyUI runs its nodes in inference mode; what is made in it can be written to in no other.
    with torch.inference_mode(False), torch.no_grad():
        own = [torch.empty_like(tensor).copy_(tensor) for tensor in inputs]
        try:
            repeat, images = cuda_graph.capture(lambda: work(*own), own[0].device)
        except RuntimeError as error:
            _log.info("Teacher: %s cannot be captured as a CUDA graph here (%s).", work.__name__, error)
            return work

    def replay(*new: Tensor) -> Images:
        for memory, tensor in zip(own, new, strict=True):
            memory.copy_(tensor)
        repeat()
        return {key: image.clone() for key, image in images.items()}

    return replay
