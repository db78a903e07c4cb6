"""The fused kernels are compiled here for a GPU that is not here, and what the compiler tells of them is looked at."""

from __future__ import annotations

import importlib.util
import warnings
from pathlib import Path

import pytest
import torch

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("triton") is None, reason="TRITON IS NOT INSTALLED: its kernels are not compiled"
)

LARGEST_BLOCK = 99 * 1024  # bytes of shared memory that a program may have on an RTX 30, 40 or 50


@pytest.fixture
def compiled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """All kernels for an RTX 30, which has the least shared memory of the GPUs that they are for."""
    from tests.benchmarks.kernels import compile_kernels

    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # Triton 3.9 warns where a launch does not say whether to fuse products and sums
        return compile_kernels(86, torch.zeros(2, 45), sizes=(512, 96))  # compiled once for both sizes


def test_the_kernels_fit_an_rtx_30_and_use_its_tensor_cores(compiled) -> None:
    assert len({kernel.name for kernel in compiled}) == len(compiled) == 6
    for kernel in compiled:
        assert kernel.shared <= LARGEST_BLOCK, kernel
        assert kernel.stack <= 64, kernel  # registers that spill make a kernel slow
        assert kernel.programs * kernel.warps >= 8, kernel  # fewer leave a multiprocessor waiting for memory
        assert "sin.approx" not in kernel.ptx  # too coarse for angles of hundreds
        assert kernel.products == ("" if "first layer" in kernel.name else "mma.sync m16n8k16")
