"""The norms against PyTorch's own in float64."""

import pytest
import torch
from torch.nn import functional

from tests.elsewhere import ELSEWHERE, NothingOnTheCPU
from tha4_core.networks.norm import GroupNorm, InstanceNorm, channels_last_norm, group_norm


def _features(n: int, channels: int, size: int, *, channels_last: bool) -> torch.Tensor:
    x = torch.randn(n, channels, size, size, generator=torch.Generator().manual_seed(channels)) + 2
    return x.contiguous(memory_format=torch.channels_last if channels_last else torch.contiguous_format)


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("inplace", [False, True])
@pytest.mark.parametrize(("n", "channels", "size", "groups"), [(1, 96, 256, 32), (3, 64, 16, 64), (2, 32, 5, 32)])
def test_group_norm_is_exact(n: int, channels: int, size: int, groups: int, inplace: bool, channels_last: bool) -> None:
    x = _features(n, channels, size, channels_last=channels_last)
    weight, bias = torch.rand(n, channels) + 0.5, torch.randn(n, channels)
    before = x.clone()
    exact = functional.group_norm(x.double(), groups) * weight[:, :, None, None] + bias[:, :, None, None]
    made = group_norm(x, groups, weight, bias, silu=True, inplace=inplace)
    torch.testing.assert_close(made.double(), functional.silu(exact), rtol=0, atol=5e-6)
    assert inplace or torch.equal(x, before)


@torch.no_grad()
def test_modules_are_torchs_modules() -> None:
    x = _features(2, 48, 12, channels_last=True)
    instance = functional.instance_norm(x.double()).float()
    torch.testing.assert_close(InstanceNorm(48)(x.clone()), instance, rtol=0, atol=1e-5)
    x = _features(2, 64, 12, channels_last=True)
    torch.testing.assert_close(GroupNorm(64)(x), functional.group_norm(x, 32), rtol=0, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_reduced_precision_is_float32_inside(dtype: torch.dtype) -> None:
    x = (_features(1, 64, 64, channels_last=True) * 3000).to(dtype)  # squares overflow float16
    made = GroupNorm(64, silu=True)(x)
    assert made.dtype == dtype
    exact = functional.silu(functional.group_norm(x.double(), 32))
    torch.testing.assert_close(made.double(), exact, rtol=0.01, atol=0.01)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize("silu", [False, True])
@pytest.mark.parametrize(("channels", "groups", "affines"), [(64, 32, 0), (48, 48, 1), (96, 32, 2)])
def test_what_a_gpu_computes_is_as_near_as_its_precision(
    channels: int, groups: int, affines: int, silu: bool, dtype: torch.dtype
) -> None:
    x = (_features(2, channels, 24, channels_last=True) * 3).to(dtype)
    shape = (affines, channels) if affines else (channels,)
    weight, bias = torch.rand(shape) + 0.5, torch.randn(shape)
    made = channels_last_norm(x, groups, weight, bias, silu=silu)
    assert made.dtype == dtype
    assert made.is_contiguous(memory_format=torch.channels_last)
    wide, shift = (part.expand(2, channels)[:, :, None, None].double() for part in (weight, bias))
    exact = functional.group_norm(x.double(), groups) * wide + shift
    exact = functional.silu(exact) if silu else exact
    error, rounding = ((part.double() - exact).norm() / exact.norm() for part in (made, exact.to(dtype)))
    assert error < 1.02 * rounding + 2e-6


def test_on_a_gpu_channels_last_features_stay_so() -> None:
    x = torch.empty(2, 64, 8, 8, dtype=torch.float16, device=ELSEWHERE).contiguous(memory_format=torch.channels_last)
    norm = GroupNorm(64, silu=True).to(ELSEWHERE)
    with NothingOnTheCPU(), torch.no_grad():
        made = norm(x)
    assert (made.dtype, made.is_contiguous(memory_format=torch.channels_last)) == (torch.float16, True)
