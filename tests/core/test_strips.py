"""The U-Nets by strips against their own plain modules, which run where gradients may be wanted."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from tests import recipe
from tha4_core.networks.unet import UNet


@pytest.fixture(scope="module")
def net() -> UNet:
    """A small U-Net with all that the two large ones have: every kind of block, shortcut and join."""
    net = UNet(32, (1, 2, 3))
    shapes = {key: list(value.shape) for key, value in net.state_dict().items()}
    net.load_state_dict({key: recipe.recipe_tensor("strips", key, shape) for key, shape in shapes.items()})
    return net.eval().requires_grad_(False)


def _inputs(n: int, height: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(height)
    sizes = (n, 4, height, width), (n, 6), (n, 32, height, width)
    image, rotation, coarse = (torch.randn(size, generator=generator) for size in sizes)
    return image, rotation, coarse


# Four rows, which no two threads can share at the lowest level; strips that do not divide the height; wide pictures.
@pytest.mark.parametrize(("n", "height", "width"), [(1, 4, 8), (3, 20, 12), (2, 36, 132), (1, 116, 516)])
def test_strips_give_what_the_modules_give(net: UNet, n: int, height: int, width: int) -> None:
    inputs = _inputs(n, height, width)
    plain = net(*inputs)
    with torch.no_grad():
        assert ((net(*inputs) - plain).norm() / plain.norm()) < 1e-5
        without, plain_without = net(*inputs[:2]), _with_gradients(net, *inputs[:2])
    assert ((without - plain_without).norm() / plain_without.norm()) < 1e-5
    assert (without - plain).norm() > 0.01 * plain.norm()


@torch.no_grad()
def test_a_picture_does_not_depend_on_its_company_nor_on_threads(net: UNet) -> None:
    inputs = _inputs(2, 68, 260)
    both = net(*inputs)
    torch.testing.assert_close(net(*(each[1:] for each in inputs)), both[1:], rtol=1e-5, atol=1e-5)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        torch.testing.assert_close(net(*inputs), both, rtol=1e-5, atol=1e-5)
    finally:
        torch.set_num_threads(threads)


def test_strips_run_in_inference_mode(net: UNet) -> None:
    with torch.inference_mode():
        inputs = _inputs(1, 20, 12)
        made = net(*inputs)
    torch.testing.assert_close(made.clone(), net(*(each.clone() for each in inputs)), rtol=0, atol=1e-5)


@torch.no_grad()
def test_an_interrupt_stops_the_next_block(net: UNet) -> None:
    """A hook before every layer without layers of its own is how ComfyUI's interrupts come in."""
    calls = 0

    def stop(*_: object) -> None:
        nonlocal calls
        calls += 1
        if calls == 12:
            raise KeyboardInterrupt

    layers = [module for module in net.modules() if not any(module.children())]
    hooks = [layer.register_forward_pre_hook(stop) for layer in layers]
    try:
        with pytest.raises(KeyboardInterrupt):
            net(*_inputs(1, 20, 12))
        assert calls == 12
    finally:
        for hook in hooks:
            hook.remove()


@torch.enable_grad()
def _with_gradients(net: nn.Module, *inputs: Tensor) -> Tensor:
    made: Tensor = net(*inputs)
    return made
