"""Pictures to model space and back, backgrounds, and colour past the edge."""

import numpy as np
import pytest
import torch
from torch import Tensor

from tha4_core.errors import PictureError
from tha4_core.picture import model_space as image


def every_srgb_value() -> Tensor:
    """A picture `[1, 256, 4]` with every 8-bit value of red, and all alphas but 0."""
    values = torch.arange(256) / 255
    return torch.stack([values, values.flip(0), values * 0.5, values.clamp(min=1 / 255)], dim=-1)[None]


def soft_disc(size: int = 64) -> Tensor:
    """An orange disc with a soft edge on nothing, `[1, 4, size, size]` in model space."""
    y, x = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    alpha = (size * 0.35 - torch.hypot(x - size / 2, y - size / 2)).clamp(0, 1)
    colour = torch.tensor([1.0, 0.5, 0.1]).expand(size, size, 3)
    return image.to_model(torch.cat([colour, alpha[..., None]], dim=-1))[None]


def test_known_values_of_model_space() -> None:
    # 0.5 sRGB is 0.21404 in linear light (IEC 61966-2-1); at alpha 0.5 half of that, then * 2 - 1.
    pixel = image.to_model(torch.tensor([[[0.5, 1.0, 0.04, 0.5]]]))
    expected = torch.tensor([0.2140411 - 1, 0.0, 0.04 / 12.92 - 1, 0.0])
    torch.testing.assert_close(pixel[:, 0, 0], expected, atol=1e-6, rtol=0)


def test_background_is_minus_one_in_all_channels() -> None:
    assert torch.equal(image.to_model(torch.tensor([[[0.3, 0.7, 1.0, 0.0]]])), torch.full((4, 1, 1), -1.0))


def test_round_trip_keeps_every_8_bit_value() -> None:
    picture = every_srgb_value()
    back = image.to_srgb(image.to_model(picture))
    # At alpha 1 / 255 a colour is one of 255 quanta of light; what is left of it is what float32 keeps.
    torch.testing.assert_close(back, picture, atol=1e-4, rtol=0)


def test_outputs_out_of_range_are_clamped() -> None:
    frames = torch.tensor([1.4, -1.3, 0.2, 1.2]).view(1, 4, 1, 1)
    picture = image.to_srgb(frames)
    assert picture.min() >= 0
    assert picture.max() <= 1
    assert torch.isfinite(picture).all()


def test_picture_of_a_golden_frame(golden) -> None:
    from tha4_core.weights import read_safetensors

    tensors, _ = read_safetensors(golden / "student_lambda_00.safetensors")
    picture = image.to_srgb(tensors["pose1/blended"])[0] * 255
    assert (picture - tensors["pose1/picture"].float()).abs().max() <= 1


def test_colour_is_carried_past_the_edge_and_visible_pixels_stay() -> None:
    frames = soft_disc()
    plain, bled = image.to_srgb(frames), image.to_srgb_bled(frames)
    visible = plain[..., 3] >= 1 / 255
    assert torch.allclose(plain[visible], bled[visible], atol=1e-6)
    assert torch.equal(plain[..., 3], bled[..., 3])
    outside = bled[~visible][:, :3]
    assert (outside - torch.tensor([1.0, 0.5, 0.1])).abs().max() < 0.02


def test_shrinking_straight_colour_shows_no_dark_fringe() -> None:
    bled = image.to_srgb_bled(soft_disc())[..., :3].movedim(-1, 1)
    small = torch.nn.functional.interpolate(bled, size=16, mode="bilinear", antialias=True)
    assert (small - torch.tensor([1.0, 0.5, 0.1]).view(1, 3, 1, 1)).abs().max() < 0.03


def test_nothing_visible_gives_finite_colour() -> None:
    bled = image.to_srgb_bled(torch.full((1, 4, 5, 7), -1.0))
    assert torch.equal(bled, torch.zeros(1, 5, 7, 4))


def test_half_transparent_white_over_black_is_half_the_light() -> None:
    frame = image.to_model(torch.tensor([[[1.0, 1.0, 1.0, 0.5]]]))[None]
    grey = image.over_background(frame, torch.zeros(1, 1, 1, 3))
    assert grey[0, 0, 0, 0].item() == pytest.approx(0.7353570, abs=1e-5)  # sRGB of 0.5 in linear light


def test_cover_fills_the_square_from_the_middle() -> None:
    wide = torch.zeros(1, 10, 40, 3)
    wide[:, :, 15:25] = 1
    covered = image.cover(wide, 10)
    assert covered.shape == (1, 10, 10, 3)
    assert covered.min() > 0.99


@pytest.mark.parametrize(("text", "rgb"), [("#00ff00", (0, 1, 0)), ("red", (1, 0, 0)), (" #fff ", (1, 1, 1))])
def test_colours_as_people_write_them(text: str, rgb: tuple[float, ...]) -> None:
    assert image.parse_color(text).tolist() == list(rgb)


def test_no_colour_is_named() -> None:
    with pytest.raises(PictureError, match='"greenish"'):
        image.parse_color("greenish")


def test_conversions_agree_with_a_plain_one_in_float64() -> None:
    rng = np.random.default_rng(0)
    picture = rng.random((8, 8, 4))
    linear = np.where(
        picture[..., :3] <= 0.04045, picture[..., :3] / 12.92, ((picture[..., :3] + 0.055) / 1.055) ** 2.4
    )
    expected = np.concatenate([linear * picture[..., 3:], picture[..., 3:]], axis=-1) * 2 - 1
    actual = image.to_model(torch.from_numpy(picture).float())
    np.testing.assert_allclose(actual.numpy(), expected.transpose(2, 0, 1), atol=1e-6)
