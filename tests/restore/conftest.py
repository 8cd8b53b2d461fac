from __future__ import annotations

import pytest
import torch

from aindnet.network import AINDNet
from restore_networks import small_network


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def network() -> AINDNet:
    return small_network()
