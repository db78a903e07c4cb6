"""Residual blocks by row tiles against the same block written plainly, in float64."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor

from tests.benchmarks._plain_teacher import _residual_block
from tha4_core import cpu
from tha4_core.networks.unet import ResidualBlock

# Channels in, concatenated to them, out; resampling; the input's height and width. Row tiles that do not divide the
# picture, wide and narrow pictures, shortcuts of every kind.
CASES = {
    "same": (32, 0, 32, "", 64, 72),
    "wide": (32, 0, 64, "", 20, 516),
    "concatenated": (64, 32, 32, "", 100, 64),
    "down": (64, 0, 64, "down", 136, 144),
    "up": (64, 0, 64, "up", 34, 66),
}


def _made(case: str) -> tuple[ResidualBlock, list[Tensor], tuple[Tensor, Tensor]]:
    """A block with weights of its own, its inputs of two pictures, and the conditions of time and pose."""
    channels, skipped, out_channels, resample, height, width = CASES[case]
    generator = torch.Generator().manual_seed(0)
    block = ResidualBlock(channels + skipped, out_channels, resample).eval().requires_grad_(False)
    for parameter in block.parameters():
        parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.05)
    time, pose = (torch.randn(n, 256, generator=generator) for n in (1, 2))
    inputs = [torch.randn(2, each, height, width, generator=generator) for each in (channels, skipped) if each]
    return block, inputs, (time, pose)


def _fold(block: ResidualBlock, time: Tensor) -> None:
    block.fold(time)
    block.conv0.fold()
    block.conv1.fold()


def _run(block: ResidualBlock, inputs: list[Tensor], pose: Tensor) -> Tensor:
    made: Tensor = block(inputs[0].clone(), pose, *inputs[1:])
    return made


def _error(block: ResidualBlock, made: Tensor, inputs: list[Tensor], conditions: tuple[Tensor, Tensor]) -> float:
    """Relative to the plain block in float64."""
    doubles = [x.double() for x in inputs]
    exact = _residual_block(
        copy.deepcopy(block).double(), doubles[0], tuple(c.double() for c in conditions), *doubles[1:]
    )
    return ((made - exact).norm() / exact.norm()).item()


@torch.no_grad()
@pytest.mark.parametrize("case", CASES)
def test_tiles_are_as_exact_as_the_modules(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    block, inputs, conditions = _made(case)
    _fold(block, conditions[0])
    assert cpu.is_worth_tiling(inputs[0], block.conv0, block.resample)
    by_tiles = _run(block, inputs, conditions[1])
    monkeypatch.setattr(cpu, "is_worth_tiling", lambda *_: False)
    by_modules = _run(block, inputs, conditions[1])
    assert not torch.equal(by_tiles, by_modules)
    assert _error(block, by_tiles, inputs, conditions) < 2e-6
    assert _error(block, by_modules, inputs, conditions) < 2e-6


@torch.no_grad()
def test_a_picture_depends_neither_on_the_others_of_a_batch_nor_on_threads() -> None:
    block, inputs, (_, pose) = _made("concatenated")
    both = _run(block, inputs, pose)
    assert torch.equal(both, _run(block, inputs, pose))  # nor on which thread was faster
    alone = _run(block, [x[1:] for x in inputs], pose[1:])
    torch.testing.assert_close(alone, both[1:], rtol=1e-5, atol=1e-5)
    threads = torch.get_num_threads()
    torch.set_num_threads(1 if threads > 1 else 2)
    try:
        torch.testing.assert_close(_run(block, inputs, pose), both, rtol=1e-5, atol=1e-5)
    finally:
        torch.set_num_threads(threads)


@torch.no_grad()
def test_cached_sums_are_those_of_the_tensor_as_it_is_now() -> None:
    block, inputs, (_, pose) = _made("same")
    made = _run(block, inputs, pose)
    for _ in range(2):
        exact = block(made.clone(), pose)  # the sums of a clone are not cached
        torch.testing.assert_close(block(made, pose), exact, rtol=1e-5, atol=1e-5)
        made.mul_(torch.linspace(1, 3, made.shape[1])[:, None, None])


@torch.no_grad()
@pytest.mark.parametrize("case", ["same", "up"])
def test_changed_weights_count_after_folding(case: str) -> None:
    block, inputs, conditions = _made(case)
    _fold(block, conditions[0])
    _run(block, inputs, conditions[1])
    block.conv0.weight.mul_(-1)
    _fold(block, conditions[0])
    assert _error(block, _run(block, inputs, conditions[1]), inputs, conditions) < 2e-6


@torch.no_grad()
def test_a_move_frees_what_was_derived() -> None:
    block, inputs, (_, pose) = _made("same")
    _run(block, inputs, pose)
    first = block.conv0.transformed_weight()
    assert block.conv0.transformed_weight() is first
    block.to("cpu")
    assert block.conv0.transformed_weight() is not first


def test_what_tiles_cannot_do_or_should_not_is_left_to_the_modules() -> None:
    block, (x,), _ = _made("same")

    def is_tiled(x: Tensor) -> bool:
        return cpu.is_worth_tiling(x, block.conv0, block.resample)

    assert not is_tiled(x)  # gradients may be wanted
    with torch.no_grad():
        assert is_tiled(x)
        assert not is_tiled(x[..., :-1, :])  # no whole tiles
        assert not is_tiled(x[..., :16, :16])  # too small
        assert not is_tiled(x.half())
        block.half()
        assert not is_tiled(x)


@torch.inference_mode()
def test_it_runs_in_inference_mode_as_comfyui_does() -> None:
    block, inputs, (_, pose) = _made("concatenated")
    made = _run(block, inputs, pose)
    assert bool(torch.isfinite(made).all())
