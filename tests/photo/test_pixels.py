"""Arrays of every kind go to float RGB and come back as they were."""

from __future__ import annotations

import numpy as np
import pytest

from aindnet.errors import AindnetError, InvalidImageError
from aindnet.photo import from_rgb, to_rgb

SHAPES = [(5, 7), (5, 7, 1), (5, 7, 2), (5, 7, 3), (5, 7, 4), (1, 1, 3)]


def random_image(shape: tuple[int, ...], dtype: str) -> np.ndarray:
    generator = np.random.default_rng(3)
    if np.dtype(dtype).kind == "u":
        return generator.integers(0, np.iinfo(dtype).max + 1, shape).astype(dtype)
    return generator.uniform(-0.2, 1.4, shape).astype(dtype)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float16", "float32"])
def test_round_trip_is_exact(shape: tuple[int, ...], dtype: str) -> None:
    image = random_image(shape, dtype)
    rgb = to_rgb(image)
    assert rgb.dtype == np.float32
    assert rgb.shape == (*shape[:2], 3)
    back = from_rgb(rgb, image)
    assert back.dtype == image.dtype
    np.testing.assert_array_equal(back, image)


@pytest.mark.parametrize(("dtype", "white"), [("uint8", 255), ("uint16", 65535)])
def test_every_integer_value_survives(dtype: str, white: int) -> None:
    image = np.arange(white + 1, dtype=dtype).reshape(-1, 16)
    assert to_rgb(image).max() == 1.0
    np.testing.assert_array_equal(from_rgb(to_rgb(image), image), image)


def test_float64_keeps_float32_precision() -> None:
    image = random_image((5, 7, 3), "float64")
    np.testing.assert_allclose(from_rgb(to_rgb(image), image), image, rtol=1e-7)


def test_alpha_is_not_seen_and_not_touched() -> None:
    image = random_image((6, 5, 4), "uint8")
    other = image.copy()
    other[..., 3] = 0
    np.testing.assert_array_equal(to_rgb(image), to_rgb(other))
    back = from_rgb(np.zeros((6, 5, 3), np.float32), image)
    np.testing.assert_array_equal(back[..., 3], image[..., 3])
    assert back[..., :3].max() == 0


def test_integers_are_rounded_and_clipped_floats_are_kept() -> None:
    rgb = np.array([[[-0.5, 0.5 + 0.4 / 255, 1.7]]], np.float32)
    assert from_rgb(rgb, np.zeros((1, 1, 3), np.uint8)).tolist() == [[[0, 128, 255]]]
    np.testing.assert_array_equal(from_rgb(rgb, np.zeros((1, 1, 3), np.float32)), rgb)


def test_grey_is_the_mean() -> None:
    rgb = np.array([[[0.0, 0.3, 0.6]]], np.float32)
    assert from_rgb(rgb, np.zeros((1, 1), np.float64))[0, 0] == pytest.approx(0.3)


@pytest.mark.parametrize(
    "bad",
    [
        np.zeros((0, 5, 3), np.uint8),
        np.zeros((5,), np.uint8),
        np.zeros((5, 5, 5), np.uint8),
        np.zeros((5, 5, 3), np.int32),
        np.zeros((5, 5, 3), bool),
        np.full((5, 5, 3), np.nan, np.float32),
        np.full((5, 5), np.inf, np.float32),
        np.full((5, 5), -1e39, np.float64),
        "photo.png",
    ],
)
def test_what_is_no_image_is_named_so(bad: object) -> None:
    with pytest.raises(InvalidImageError) as caught:
        to_rgb(bad)  # type: ignore[arg-type]
    assert isinstance(caught.value, AindnetError)
    assert isinstance(caught.value, ValueError)


def test_a_result_of_another_size_is_refused() -> None:
    with pytest.raises(InvalidImageError):
        from_rgb(np.zeros((4, 4, 3), np.float32), np.zeros((5, 4, 3), np.uint8))
