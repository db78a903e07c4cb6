"""Students: one character in 2 MB. The model, its file formats, the exact renderer, the GPU paths."""

from .model import Student

__all__ = ["Student"]
