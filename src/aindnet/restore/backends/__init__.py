"""Runtimes behind one interface, and the choice among them."""

from __future__ import annotations

import torch

from aindnet.network import AINDNet
from aindnet.restore.backends.base import Backend
from aindnet.restore.backends.torch_backend import TorchBackend

__all__ = ["Backend", "TorchBackend", "create_backend"]


def create_backend(
    network: AINDNet,
    *,
    backend: str = "auto",
    device: str = "auto",
    precision: str = "auto",
    batch: int | None = None,
) -> Backend:
    """The network, ready to run tiles."""
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if precision == "auto":
        precision = "bf16" if torch.ops.mkldnn._is_mkldnn_bf16_supported() else "fp32"
    return TorchBackend(network, device=device, precision=precision, batch=batch or 1)
