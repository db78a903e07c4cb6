"""Teachers: five published networks as one pipeline (THA4, THA3), its cache, its intermediate images."""

from .pipeline import Teacher

__all__ = ["Teacher"]
