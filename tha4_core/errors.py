"""What can be wrong with a user's input. Every message names the input, what is wrong with it and what to do."""

from __future__ import annotations


class THA4Error(ValueError):
    """Any error that a user's input causes."""


class PoseError(THA4Error):
    """Poses of the wrong shape, or numbers that are not finite or out of range."""


class SizeError(THA4Error):
    """A frame size that a student cannot render."""


class PictureError(THA4Error):
    """A picture that cannot be read or cannot serve as a character."""


class WeightsError(THA4Error):
    """Weights that cannot be read, or that do not belong to the network they are meant for."""


class MotionError(THA4Error):
    """A motion, a motion file or a motion script that cannot be read or makes no sense."""


class MissingWeightsError(WeightsError):
    """Weights that are in none of the folders where they belong. The message says how to get them."""


class DownloadError(THA4Error):
    """A download that failed. Whatever was there before is still there; the message says how to go on."""


class DistillError(THA4Error):
    """A distillation that cannot start or go on. What was trained before stays; the message says what to do."""


class VideoError(THA4Error):
    """A video that cannot be written as it was asked for."""


class PageError(THA4Error):
    """A page that cannot be written as it was asked for."""
