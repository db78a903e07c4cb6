"""Forward passes of training against the networks: any pixels, any crops, the same numbers and gradients."""

from __future__ import annotations

import pytest
import torch

from tha4_core.distill.forward import body_crops, face_pixels
from tha4_core.distill.initialisation import initialise
from tha4_core.distill.poses import sample_poses
from tha4_core.networks.siren import BodyMorpher, FaceMorpher
from tha4_core.picture.warping import positions

Networks = tuple[FaceMorpher, BodyMorpher]
POSES = sample_poses(3, 5)


@pytest.fixture(scope="module")
def networks() -> Networks:
    """As published ones start: with PyTorch's own numbers a SIREN is noise that turns on the last bit."""
    face, body = FaceMorpher(), BodyMorpher()
    initialise(face, body, torch.Generator().manual_seed(0), published=True)
    return face, body


def test_pixels_of_the_face_are_those_of_the_patch(networks: Networks) -> None:
    network = networks[0]
    patch = network(POSES[:1, :39])[0].flatten(1).T
    where = torch.tensor([0, 127, 128 * 64 + 3, 128 * 128 - 1])
    xy = positions(128, 128)[0].flatten(1).T[where]
    torch.testing.assert_close(face_pixels(network, POSES[:1, :39].expand(4, -1), xy), patch[where], atol=1e-4, rtol=0)


@pytest.mark.parametrize("side", [16, 32])
def test_crops_are_parts_of_the_frame_also_at_its_edges(networks: Networks, side: int) -> None:
    network = networks[1]
    with torch.no_grad():
        whole = torch.cat(network(POSES), dim=1).movedim(1, -1)
    rows, columns = torch.tensor([0, 512 - side, 200]), torch.tensor([512 - side, 0, 84])
    crops = body_crops(network, POSES, rows, columns, side, 512)
    for crop, frame, row, column in zip(crops, whole, rows.tolist(), columns.tolist(), strict=True):
        torch.testing.assert_close(crop, frame[row : row + side, column : column + side], atol=1e-3, rtol=0)


def test_the_whole_frame_is_one_crop_and_gradients_are_the_networks_own(
    networks: Networks,
) -> None:
    network = networks[1]
    torch.cat(network(POSES[:1]), dim=1).square().mean().backward()
    wanted = [parameter.grad.clone() for parameter in network.parameters()]
    network.zero_grad()
    zero = torch.zeros(1, dtype=torch.long)
    body_crops(network, POSES[:1], zero, zero, 512, 512).square().mean().backward()
    for parameter, gradient in zip(network.parameters(), wanted, strict=True):
        assert (parameter.grad - gradient).norm() <= 1e-3 * gradient.norm() + 1e-9
