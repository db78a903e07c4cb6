"""Initialisation of a student's weights: the published one, or ours, which is suited to pictures of characters."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ..networks.siren import FREQUENCY, BodyMorpher, FaceMorpher, linears

# How many radians a first layer turns over half a picture, and over a pose number from 0 to 1. The published
# initialisation gives less than one radian to both. Pictures have edges, so positions start faster; a pose moves what
# is there a little, so poses start slower.
_POSITION, _POSE = 20.0, 0.3


def initialise(face: FaceMorpher, body: BodyMorpher, random: torch.Generator, *, published: bool) -> None:
    """Fill both networks with the numbers that training starts from."""
    faces = linears(face.siren.sine_layers)
    levels = [linears(level) for level in body.siren_layers]
    for first, *others in (faces, levels[0]):
        _uniform(first.weight, 1 / first.in_channels, random)
        _sine_layers(others, random)
    for level in levels[1:]:
        _sine_layers(level, random)
    for last in (face.siren.last_linear, body.last_linear):
        with torch.no_grad():
            last.weight.normal_(0, math.sqrt(2 / last.in_channels), generator=random)
    for linear in (*linears(face), *linears(body)):
        if linear.bias is not None:
            _uniform(linear.bias, 1 / math.sqrt(linear.in_channels), random)
    if not published:
        _suit_a_character(faces[0], levels[0][0], body.last_linear, random)


def _suit_a_character(face: nn.Conv2d, body: nn.Conv2d, last: nn.Conv2d, random: torch.Generator) -> None:
    for first in (face, body):
        _uniform(first.weight[:, :2], _POSITION / FREQUENCY, random)
        _uniform(first.weight[:, 2:], _POSE / FREQUENCY, random)
    with torch.no_grad():  # no motion and nothing painted over the picture, rather than noise
        last.weight[:3] = 0
        if last.bias is not None:
            last.bias[:3] = 0


def _sine_layers(linears: list[nn.Conv2d], random: torch.Generator) -> None:
    for linear in linears:
        _uniform(linear.weight, math.sqrt(6 / linear.in_channels) / FREQUENCY, random)


def _uniform(tensor: Tensor, bound: float, random: torch.Generator) -> None:
    with torch.no_grad():
        tensor.uniform_(-bound, bound, generator=random)
