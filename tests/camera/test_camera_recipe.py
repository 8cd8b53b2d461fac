"""A camera that cannot be is refused, with the field's name."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from aindnet.camera import CameraRecipe
from aindnet.camera.sensor import sample_noise_prior


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"priors": {"unifrom": 1}}, "priors has no unifrom; choose from uniform"),
        ({"priors": {"uniform": 0}}, "weights of priors"),
        ({"priors": {}}, "weights of priors"),
        ({"subsampling": {"420": 1}}, "subsampling has no 420"),
        ({"jpeg": 60}, "jpeg is a probability, 0 to 1, not 60"),
        ({"mosaic": float("nan")}, "mosaic is a probability"),
        ({"white_range": (0, 0.1)}, "white_range must be two numbers above 0"),
        ({"luma_sigma": (1.0, 0.5)}, "luma_sigma must be two numbers from 0 up, the lower first"),
        ({"kept": (0.5, float("inf"))}, "kept must be"),
        ({"jpeg_quality": (0, 50)}, "jpeg_quality must be two numbers from 1 to 100"),
        ({"shot_range": (0, 0.1)}, "shot_range must be above 0"),
        ({"response": "raw"}, "response must be"),
        ({"response_spread": -1}, "response_spread"),
        ({"response_spread": 4}, "response_spread must be 0 to 2.5"),
    ],
)
def test_impossible_values(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CameraRecipe(**wrong)


def test_an_unknown_prior_is_refused() -> None:
    with pytest.raises(ValueError, match="no noise prior 'unifrom'"):
        sample_noise_prior("unifrom", 1, torch.Generator())  # type: ignore[arg-type]
