"""What a level reader is asked for."""

from __future__ import annotations

import pytest
import torch

from aindnet.training.level_reading import level_reading_loss


def of_levels(*levels: float) -> torch.Tensor:
    return torch.tensor(levels).view(-1, 1, 1, 1).expand(-1, 3, 8, 8) / 255


def test_errors_count_as_shares_of_the_level_either_way() -> None:
    low, high = (level_reading_loss(of_levels(x), of_levels(10)) for x in (9.0, 11.0))
    assert float(low) == pytest.approx(float(high), rel=1e-4)
    assert float(low) == pytest.approx(1.5 / 10.5, rel=1e-4)
    ten_times = level_reading_loss(of_levels(90), of_levels(100))
    assert float(ten_times) == pytest.approx(15 / 100.5, rel=1e-4)


def test_a_nearly_clean_photo_does_not_outweigh_the_rest() -> None:
    assert float(level_reading_loss(of_levels(0.5), of_levels(0.0))) == pytest.approx(1.5, rel=1e-4)


def test_a_wrong_map_of_the_right_mean_costs_less_than_a_wrong_mean() -> None:
    truth = of_levels(10).clone()
    uneven = truth.clone()
    uneven[..., :4], uneven[..., 4:] = 0.8 * truth[..., :4], 1.2 * truth[..., 4:]
    loss = float(level_reading_loss(uneven, truth))
    assert 0 < loss < float(level_reading_loss(1.2 * truth, truth))
    assert loss == pytest.approx(0.5 * 2 / 10.5, rel=1e-4)
