"""The same results sooner on a CPU. Nothing here knows the networks: they hand in weights, affines and buffers.

thread_pool     threads that share the row tiles of a picture; PyTorch's own threads, set for one thread alone
buffer_pool     memory for large tensors that is used again
norm            exact group norms of channels-last features, tile by tile
winograd        3x3 convolutions with a quarter of the multiplications
tiled_residual  a whole residual block in two passes over row tiles
"""

from .buffer_pool import BufferPool
from .norm import EPSILON, group_norm
from .thread_pool import RowTiles, ThreadPool, exclusive_pool, intra_op_threads, shared_pool
from .tiled_residual import Block, Norm, is_worth_tiling, residual_block
from .winograd import DOUBLED, Conv3x3

__all__ = [
    "DOUBLED",
    "EPSILON",
    "Block",
    "BufferPool",
    "Conv3x3",
    "Norm",
    "RowTiles",
    "ThreadPool",
    "exclusive_pool",
    "group_norm",
    "intra_op_threads",
    "is_worth_tiling",
    "residual_block",
    "shared_pool",
]
