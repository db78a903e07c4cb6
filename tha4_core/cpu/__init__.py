"""The same sums sooner on a CPU: a thread pool, tiled residual blocks, Winograd's convolutions, reused buffers."""
