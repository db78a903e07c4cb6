"""Students: one character in 2 MB, rendered in real time.

model          the student: load, save, render
files          the file formats that a student comes in
renderer       exact frames at any size, several times faster than the plain modules
gpu            kernels for an NVIDIA GPU, and the autotuner that chooses among them
fused          whole frames by a few kernels, those of triton_kernel
"""

from .gpu import PRECISIONS
from .model import FACE_COLUMNS, FACE_ROWS, Student
from .renderer import SIZES, check_size

__all__ = ["FACE_COLUMNS", "FACE_ROWS", "PRECISIONS", "SIZES", "Student", "check_size"]
