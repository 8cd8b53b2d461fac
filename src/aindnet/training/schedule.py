"""A learning-rate schedule over a share of the budget, which may be wall-clock time or steps.

Warm-up, flat, cosine to zero, at zero exactly when the budget is used up, whatever the speed of the
machine.
"""

from __future__ import annotations

import math
import re

from aindnet.errors import RecipeError

_UNITS = {"s": 1, "m": 60, "h": 3600}
LONGEST = 365 * 24 * 3600
"""Seconds of the longest budget."""


def parse_budget(text: str, name: str = "budget") -> tuple[float | None, int | None]:
    """A budget as (seconds, None) or (None, steps): "90s", "25m", "2h", "1h30m", "2000 steps".

    Raises `RecipeError`, which calls it `name`.

    >>> parse_budget("1h30m"), parse_budget("2000 steps")
    ((5400.0, None), (None, 2000))
    """
    if re.search(r"\d", text) and not re.search("[1-9]", text):
        raise RecipeError(f"{name} {text!r}: it must be more than nothing")
    if match := re.fullmatch(r"\s*(\d+)\s*steps?\s*", text):
        return None, int(match[1])
    parts = re.findall(r"(\d+(?:\.\d+)?)\s*([smh])", text)
    if not parts or re.sub(r"(\d+(?:\.\d+)?)\s*([smh])", "", text).strip():
        raise RecipeError(f"{name} {text!r}: write it like 90s, 25m, 2h, 1h30m or '2000 steps'")
    seconds = sum(float(number) * _UNITS[unit] for number, unit in parts)
    if seconds > LONGEST:
        raise RecipeError(f"{name} {text!r}: a year, {LONGEST // 3600}h, is the longest")
    return seconds, None


def budget_factor(progress: float, *, warmup: float = 0.02, flat: float = 0.4) -> float:
    """Factor on the learning rate at `progress` in [0, 1] of the budget.

    Rises linearly until `warmup`, stays 1 until `flat`, if that is later, falls as a cosine to 0
    at 1.

    >>> [round(budget_factor(p, warmup=0.1, flat=0.5), 3) for p in (0.05, 0.3, 0.75, 1.0)]
    [0.5, 1.0, 0.5, 0.0]
    """
    if progress < warmup:
        return max(progress, 1e-4) / warmup
    flat = max(flat, warmup)
    if progress < flat:
        return 1.0
    share = min((progress - flat) / max(1 - flat, 1e-9), 1.0)
    return 0.5 * (1 + math.cos(math.pi * share))
