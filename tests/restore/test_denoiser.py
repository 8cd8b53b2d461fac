from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from aindnet.errors import InvalidImageError
from aindnet.network import AINDNet
from aindnet.pretrained import ModelCard
from aindnet.restore import ArraySource, Denoiser
from aindnet.restore.statistics import SlidingWindow, Trained
from aindnet.restore.streaming import NOISE_BEYOND, outside
from restore_networks import small_network

RNG = np.random.default_rng(5)


def photo(height: int, width: int) -> npt.NDArray[np.float32]:
    """Blobs and noise: neither flat nor white."""
    y, x = np.mgrid[:height, :width] / 23.0
    base = 0.5 + 0.3 * np.stack([np.sin(x + y), np.cos(x - y), np.sin(x * y / 9)], axis=-1)
    return (base + 0.05 * RNG.standard_normal(base.shape)).clip(0, 1).astype(np.float32)


@pytest.fixture(scope="module")
def denoiser(network: AINDNet) -> Denoiser:
    return Denoiser(network, backend="torch", device="cpu", precision="fp32", tile=128, overlap=32)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64])
@pytest.mark.parametrize("channels", [None, 1, 2, 3, 4])
def test_shape_and_dtype_come_back(denoiser: Denoiser, dtype: Any, channels: int | None) -> None:
    shape = (40, 33) if channels is None else (40, 33, channels)
    white = np.iinfo(dtype).max if np.issubdtype(dtype, np.integer) else 1
    image = (RNG.random(shape) * white).astype(dtype)
    restored = denoiser(image)
    assert restored.image.shape == image.shape
    assert restored.image.dtype == dtype
    assert restored.noise_level.shape == (40, 33, 3)
    assert restored.noise_level.dtype == np.float32
    assert restored.noise_level.base is None  # holds no memory but its own
    assert restored.noise_level.flags.c_contiguous
    assert not np.array_equal(restored.image, image)
    if channels in (2, 4):
        np.testing.assert_array_equal(restored.image[..., -1], image[..., -1])
    np.testing.assert_array_equal(denoiser(image, strength=0.0).image, image)


def test_a_small_image_is_the_networks_own_output(denoiser: Denoiser, network: AINDNet) -> None:
    image = photo(64, 96)
    with torch.inference_mode():
        expected = network(torch.from_numpy(image).permute(2, 0, 1)[None])
    restored = denoiser(image)
    np.testing.assert_allclose(
        restored.image, expected.denoised[0].permute(1, 2, 0).numpy(), atol=2e-5
    )
    np.testing.assert_allclose(
        restored.noise_level, expected.noise_level[0].permute(1, 2, 0).numpy(), atol=1e-6
    )


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 200, 3), (7, 3, 3), (131, 97, 3)])
def test_any_size(denoiser: Denoiser, shape: tuple[int, ...]) -> None:
    assert denoiser(RNG.random(shape, dtype=np.float32)).image.shape == shape


def test_bands_are_the_array_call_and_cover_the_image(denoiser: Denoiser) -> None:
    image = photo(300, 150)
    whole = denoiser(image, strength=0.7)
    bands = list(denoiser.bands(ArraySource(image), strength=0.7))
    assert len(bands) > 1
    assert [band.y for band in bands] == [0, *np.cumsum([b.rgb.shape[0] for b in bands])[:-1]]
    np.testing.assert_array_equal(np.concatenate([b.rgb for b in bands]), whole.image)
    np.testing.assert_array_equal(np.concatenate([b.noise_level for b in bands]), whole.noise_level)


def test_bands_at_no_strength_are_not_the_caller_s_image(denoiser: Denoiser) -> None:
    image = photo(96, 96)
    (band,) = denoiser.bands(ArraySource(image), strength=0.0)
    np.testing.assert_array_equal(band.rgb, image)
    assert not np.shares_memory(band.rgb, image)


@pytest.mark.parametrize("strength", [0.0, 0.5])
def test_grey_has_no_colour_noise(denoiser: Denoiser, strength: float) -> None:
    image = photo(40, 40)
    grey = image[..., 0]
    plain, with_chroma = (
        denoiser([grey, image], strength=strength, chroma_strength=chroma) for chroma in (None, 1.0)
    )
    np.testing.assert_array_equal(with_chroma[0].image, plain[0].image)
    assert not np.array_equal(with_chroma[1].image, plain[1].image)
    source = ArraySource(np.repeat(grey[..., None], 3, axis=2), grey=True)
    plain_bands, bands = (
        list(denoiser.bands(source, strength=strength, chroma_strength=chroma))
        for chroma in (None, 1.0)
    )
    np.testing.assert_array_equal(bands[0].rgb, plain_bands[0].rgb)


def test_a_list_gives_each_image_what_it_gets_alone(network: AINDNet) -> None:
    batched = Denoiser(
        network,
        **{"backend": "torch", "device": "cpu", "precision": "fp32"},
        **{"tile": 96, "overlap": 32, "batch": 3},
    )
    images = [photo(100, 140), photo(40, 50), photo(150, 96)]
    together = batched(images)
    for image, restored in zip(images, together, strict=True):
        alone = batched(image)
        np.testing.assert_array_equal(restored.image, alone.image)
        np.testing.assert_array_equal(restored.noise_level, alone.noise_level)
    assert batched([]) == []


def test_small_images_of_one_tile_shape_share_batches(
    network: AINDNet, monkeypatch: pytest.MonkeyPatch
) -> None:
    batched = Denoiser(
        network,
        **{"backend": "torch", "device": "cpu", "precision": "fp32"},
        **{"tile": 96, "overlap": 32, "batch": 3},
    )
    batches: list[tuple[int, ...]] = []
    start = batched._engine.backend.start
    monkeypatch.setattr(
        batched._engine.backend,
        "start",
        lambda tiles, given: batches.append(tiles.shape) or start(tiles, given),
    )
    wide, tall = photo(60, 90), photo(90, 50)  # padded to 64×96 and 96×64
    together = batched([wide, tall, wide, tall, wide, tall])
    assert sorted(batches) == [(3, 3, 64, 96), (3, 3, 96, 64)]
    assert [each.image.shape for each in together] == 3 * [wide.shape, tall.shape]


def test_highlights_beyond_white_pass_by_the_network(denoiser: Denoiser) -> None:
    image = photo(40, 40)
    image[10, 10] = 30.0
    restored = denoiser(image).image
    assert abs(restored[10, 10].min() - 30.0) < 2.0
    clipped = np.minimum(image, 1.0)
    rest = np.ones((40, 40), bool)
    rest[10, 10] = False
    np.testing.assert_array_equal(restored[rest], denoiser(clipped).image[rest])


def test_noise_beyond_black_and_white_is_noise(denoiser: Denoiser) -> None:
    level = denoiser(photo(64, 64)).noise_level
    beyond = np.full_like(level, 1.0) + 2 * level
    assert not outside(beyond, level).any()
    far = np.full_like(level, 5.0)
    near_all = 4.0 - (NOISE_BEYOND * level) ** 2 / 4.0
    np.testing.assert_allclose(outside(far, level), near_all, rtol=1e-5)
    np.testing.assert_allclose(outside(1 - far, level), -near_all, rtol=1e-5)
    assert not outside(np.ones_like(level), np.zeros_like(level)).any()  # neither noise nor excess


def test_floats_of_another_scale_are_refused(denoiser: Denoiser) -> None:
    image = 120 + 10 * RNG.standard_normal((64, 64, 3)).astype(np.float32)
    with pytest.raises(InvalidImageError, match="white is 1"):
        denoiser(image)
    np.testing.assert_array_equal(denoiser(image, strength=0).image, image)
    image[:40] = 0.5  # a picture with very bright lights
    assert denoiser(image).image.max() > 100


def test_ensemble_commutes_with_mirroring_and_turning(denoiser: Denoiser) -> None:
    image = photo(96, 64)
    averaged = denoiser(image, ensemble=True).image
    turned = denoiser(np.rot90(image).copy(), ensemble=True).image
    np.testing.assert_allclose(np.rot90(turned, -1), averaged, atol=1e-5)
    mirrored = denoiser(image[:, ::-1].copy(), ensemble=True).image
    np.testing.assert_allclose(mirrored[:, ::-1], averaged, atol=1e-5)
    assert np.abs(averaged - denoiser(image).image).max() > 1e-4


def test_arrays_that_are_no_image_are_refused(denoiser: Denoiser) -> None:
    with pytest.raises(InvalidImageError):
        denoiser(np.zeros((4, 4, 7), np.uint8))
    with pytest.raises(InvalidImageError):
        denoiser(np.full((4, 4, 3), np.nan, np.float32))
    with pytest.raises(InvalidImageError, match="NumPy array, this is NoneType"):
        denoiser(None)  # type: ignore[call-overload]


class Rows:
    """A source whose rows are not what it was asked for."""

    height, width = 40, 50

    def __init__(self, rows: np.ndarray) -> None:
        self._rows = rows

    def rows(self, y0: int, y1: int) -> np.ndarray:
        """See the class."""
        return self._rows


@pytest.mark.parametrize(
    "rows",
    [
        np.zeros((30, 50, 3), np.float32),
        np.zeros((40, 50, 4), np.float32),
        np.zeros((40, 50), np.float32),
        np.zeros((40, 50, 3)),
    ],
    ids=lambda rows: f"{rows.shape} {rows.dtype}",
)
def test_rows_that_are_not_those_asked_for_are_refused(
    denoiser: Denoiser, rows: np.ndarray
) -> None:
    with pytest.raises(InvalidImageError, match=r"rows 0 to 40 .* float32 of shape"):
        list(denoiser.bands(Rows(rows)))


@pytest.mark.parametrize(
    "wrong", [{"batch": -1}, {"batch": 2.5}, {"tile": 400.5}, {"overlap": -5}], ids=str
)
def test_options_that_are_no_whole_numbers_are_refused(
    network: AINDNet, wrong: dict[str, Any]
) -> None:
    with pytest.raises(ValueError, match=f"^{next(iter(wrong))} .*whole number"):
        Denoiser(network, device="cpu", **wrong)


@pytest.mark.parametrize("name", ["strength", "chroma_strength"])
@pytest.mark.parametrize("value", [-0.1, 1.5, float("nan")])
def test_strengths_beyond_none_and_all_are_refused(
    denoiser: Denoiser, name: str, value: float
) -> None:
    image = photo(32, 32)
    with pytest.raises(ValueError, match=f"^{name} .*from 0"):
        denoiser(image, **{name: value})  # type: ignore[call-overload]
    with pytest.raises(ValueError, match=f"^{name} .*from 0"):
        denoiser.bands(ArraySource(image), **{name: value})  # type: ignore[arg-type]


def test_the_hash_follows_the_weights(network: AINDNet) -> None:
    other = small_network()
    options: dict[str, Any] = {"backend": "torch", "device": "cpu", "precision": "fp32"}
    assert Denoiser(network, **options).model_hash == Denoiser(other, **options).model_hash
    other.head.weight.data += 1e-3
    assert Denoiser(network, **options).model_hash != Denoiser(other, **options).model_hash


def test_a_model_taught_unclipped_noise_is_shown_it(network: AINDNet) -> None:
    image = photo(64, 64)
    image[8:24, 8:24] += 0.9  # above white
    options: dict[str, Any] = {"backend": "torch", "device": "cpu", "precision": "fp32"}
    unclipped = Denoiser(network, card=ModelCard(name="g", clipped=False), **options)
    with torch.inference_mode():
        own = network(torch.from_numpy(image).permute(2, 0, 1)[None]).denoised[0]
    np.testing.assert_allclose(unclipped(image).image, own.permute(1, 2, 0), atol=1e-5)
    assert np.abs(Denoiser(network, **options)(image).image - unclipped(image).image).max() > 0.01
    assert ModelCard.from_json('{"name": "old"}', source="old").clipped


def test_tiles_too_small_for_what_they_share_are_refused(network: AINDNet) -> None:
    with pytest.raises(ValueError, match="at least 384 pixels, three times the 128"):
        Denoiser(network, device="cpu", tile=320)
    with pytest.raises(ValueError, match="at least 192"):
        Denoiser(network, device="cpu", tile=160, overlap=64)
    sliding = SlidingWindow(window=128)
    with pytest.raises(ValueError, match="at least 960 pixels, three times the 320"):
        Denoiser(network, device="cpu", tile=640, statistics=sliding)
    # Without a size of one's own, tiles are as large as the policy needs: no hard seams.
    assert Denoiser(network, device="cpu", statistics=sliding)._engine.tile == 1600
    twice = small_network(normalization="none", half_pass=0.4)
    with pytest.raises(ValueError, match="at least 576 pixels, three times the 192"):
        Denoiser(twice, device="cpu", tile=384)
    assert Denoiser(twice, device="cpu")._engine.tile == 960
    for asked, shared in ((Trained(), 192), (Trained(overlap=256), 256)):
        named = Denoiser(twice, device="cpu", statistics=asked)
        assert named.statistics == Trained(overlap=shared)
        assert named._engine.tile == shared * 5
    for again in ({"looks": 2}, {"smoothing": True}):
        network = small_network(normalization="none", **again)
        assert Denoiser(network, device="cpu")._engine.tile == 960


def test_a_network_for_grey_photos_takes_grey_photos_only() -> None:
    grey = Denoiser(
        small_network(image_channels=1), backend="torch", device="cpu", tile=96, overlap=32
    )
    image = photo(120, 100)[..., 0]
    restored = grey(image)
    assert restored.image.shape == image.shape
    assert restored.noise_level.shape == (120, 100, 3)
    assert (restored.noise_level == restored.noise_level[..., :1]).all()
    with pytest.raises(InvalidImageError, match="grey"):
        grey(photo(120, 100))
