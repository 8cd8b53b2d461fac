"""The precision that a training computes in."""

from __future__ import annotations

from typing import Literal, get_args

import torch

from aindnet.errors import RecipeError
from aindnet.network.precision import has_fast_bf16

TrainingPrecision = Literal["auto", "bf16", "fp32"]
""""bf16": autocast; "auto": bf16 where the hardware multiplies in it, else fp32."""


def check_precision(precision: str) -> None:
    """Raise `RecipeError` for one that there is not."""
    if precision not in get_args(TrainingPrecision):
        raise RecipeError(f"recipe: precision {precision!r}; choose auto, bf16 or fp32")


def runs_in_bf16(precision: str, accelerator: str) -> bool:
    """Whether a recipe's precision means bf16 on Lightning's accelerator.

    >>> runs_in_bf16("bf16", "cpu"), runs_in_bf16("fp32", "auto")
    (True, False)
    """
    if precision != "auto":
        return precision == "bf16"
    device = {"gpu": "cuda"}.get(accelerator, accelerator)
    if device == "auto":
        there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
        device = next((name for name, is_there in there.items() if is_there), "cpu")
    return has_fast_bf16(device)


def lightning_precision(precision: str, accelerator: str) -> Literal["bf16-mixed", "32-true"]:
    """Lightning's name of it."""
    return "bf16-mixed" if runs_in_bf16(precision, accelerator) else "32-true"
