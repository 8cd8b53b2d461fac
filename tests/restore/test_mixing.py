from __future__ import annotations

import numpy as np
import pytest

from aindnet.restore.mixing import REC709_LUMA, mix

generator = np.random.default_rng(3)
NOISY = generator.random((5, 6, 3), dtype=np.float32)
DENOISED = generator.random((5, 6, 3), dtype=np.float32)


def test_strength_is_exact_at_both_ends() -> None:
    np.testing.assert_array_equal(mix(NOISY, DENOISED, 0.0), NOISY)
    assert not np.shares_memory(mix(NOISY, DENOISED, 0.0), NOISY)
    np.testing.assert_array_equal(mix(NOISY, DENOISED, 1.0), DENOISED)
    np.testing.assert_array_equal(mix(NOISY, DENOISED, 1.0, 1.0), DENOISED)


@pytest.mark.parametrize("strength", [0.25, 0.5, 1.5])
def test_strength_moves_along_the_difference(strength: float) -> None:
    expected = NOISY + strength * (DENOISED - NOISY)
    np.testing.assert_allclose(mix(NOISY, DENOISED, strength), expected, atol=1e-6)
    np.testing.assert_allclose(mix(NOISY, DENOISED, strength, strength), expected, atol=1e-6)


def test_colour_strength_leaves_luma_to_the_other() -> None:
    mixed = mix(NOISY, DENOISED, 0.0, 1.0)
    np.testing.assert_allclose(mixed @ REC709_LUMA, NOISY @ REC709_LUMA, atol=1e-6)
    mixed = mix(NOISY, DENOISED, 1.0, 0.0)
    np.testing.assert_allclose(mixed @ REC709_LUMA, DENOISED @ REC709_LUMA, atol=1e-6)
    colour = NOISY - (NOISY @ REC709_LUMA)[..., None]
    np.testing.assert_allclose(mixed - (mixed @ REC709_LUMA)[..., None], colour, atol=1e-6)
