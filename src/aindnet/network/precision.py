"""Whether the hardware multiplies in bfloat16. Without instructions for it the format is emulated,
and convolutions are several times slower than in float32."""

from __future__ import annotations

import torch


def has_fast_bf16(device: str) -> bool:
    """Whether bfloat16 is worth computing in on a device: "cpu", "cuda" or "mps"."""
    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device == "cpu":
        return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
    return False
