"""Perceptual measures through pyiqa, where the package and its weights are installed.

None of them is part of the contract; full-reference ones (lpips, dists) compare with the clean
image, no-reference ones (niqe, musiq) look at the restored one alone.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from aindnet.errors import AindnetError, MissingExtraError
from aindnet.evaluation.metrics import METRICS, Image, Metric, to_unit


class UnknownMetricError(AindnetError):
    """A metric that neither this project nor an installed pyiqa knows."""


def find_metric(name: str) -> Metric:
    """A metric by name: one of `METRICS`, or one of pyiqa's.

    Raises `UnknownMetricError`, or `MissingExtraError` for a name that could be pyiqa's where it is
    not installed.
    """
    if name in METRICS:
        return METRICS[name]
    if not name.replace("-", "").replace("_", "").isalnum() or name.startswith(("psnr", "ssim")):
        raise UnknownMetricError(f"--metric {name}: not known; there are {', '.join(METRICS)}")
    return _pyiqa_metric(name)


@lru_cache(maxsize=8)
def _pyiqa_metric(name: str) -> Callable[[Image, Image], float]:
    try:
        import pyiqa
    except ImportError as error:
        raise MissingExtraError(f"pyiqa (for --metric {name})", "perceptual") from error
    if name not in pyiqa.list_models():
        known = ", ".join(METRICS)
        raise UnknownMetricError(f"--metric {name}: neither pyiqa's nor one of {known}")
    try:
        measure = pyiqa.create_metric(name, device="cpu")
    except OSError as error:
        raise UnknownMetricError(f"--metric {name}: its weights are not here ({error})") from error

    def compute(restored: Image, clean: Image) -> float:
        arguments = [_tensor(restored)]
        if measure.metric_mode == "FR":
            arguments.append(_tensor(clean))
        return float(measure(*arguments))

    return compute


def _tensor(image: Image) -> Any:
    import torch

    unit = to_unit(image)
    planes = unit[None].repeat(3, axis=0) if unit.ndim == 2 else unit.transpose(2, 0, 1)
    return torch.from_numpy(planes.copy()).float()[None]
