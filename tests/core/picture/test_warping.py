"""Grid warps and blends."""

import torch

from tha4_core.picture.warping import blend, positions, rgb_blend, warp


def test_positions_are_those_of_affine_grid() -> None:
    grid = torch.nn.functional.affine_grid(torch.eye(2, 3)[None], [1, 1, 6, 10], align_corners=False)
    torch.testing.assert_close(positions(6, 10).movedim(1, -1), grid)


def test_no_change_gives_the_image() -> None:
    image = torch.rand(2, 4, 32, 32)
    torch.testing.assert_close(warp(torch.zeros(2, 2, 32, 32), image), image, atol=1e-5, rtol=0)


def test_a_change_of_two_over_width_looks_one_pixel_to_the_right() -> None:
    image = torch.rand(1, 4, 16, 16)
    change = torch.zeros(1, 2, 16, 16)
    change[:, 0] = 2 / 16
    warped = warp(change, image)
    torch.testing.assert_close(warped[..., :-1], image[..., 1:], atol=1e-5, rtol=0)
    torch.testing.assert_close(warped[..., -1], image[..., -1], atol=1e-5, rtol=0)  # the border is repeated


def test_one_image_serves_many_changes_and_half_precision_keeps_its_coordinates() -> None:
    image = torch.rand(1, 4, 512, 512)
    warped = warp(torch.zeros(3, 2, 512, 512, dtype=torch.float16), image)
    torch.testing.assert_close(warped, image.expand(3, -1, -1, -1), atol=1e-4, rtol=0)


def test_blends() -> None:
    top, bottom = torch.full((1, 4, 2, 2), 3.0), torch.full((1, 4, 2, 2), 1.0)
    alpha = torch.full((1, 1, 2, 2), 0.25)
    assert torch.equal(blend(alpha, top, bottom), torch.full((1, 4, 2, 2), 1.5))
    mixed = rgb_blend(alpha, top, bottom)
    assert torch.equal(mixed[:, :3], torch.full((1, 3, 2, 2), 1.5))
    assert torch.equal(mixed[:, 3:], bottom[:, 3:])


def test_a_picture_goes_on_beyond_its_border_as_its_outermost_pixels() -> None:
    image, change = torch.rand(2, 3, 24, 40), torch.randn(2, 2, 16, 32)
    grid = (positions(16, 32) + change).movedim(1, -1)
    padded = torch.nn.functional.grid_sample(image, grid, padding_mode="border", align_corners=False)
    assert grid.abs().max() > 2
    torch.testing.assert_close(warp(change, image), padded, atol=1e-5, rtol=0)
