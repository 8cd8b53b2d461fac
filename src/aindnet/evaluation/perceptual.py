"""Perceptual measures through pyiqa, where the package is installed.

None of them is part of the contract; full-reference ones (lpips, dists) compare with the clean
image, no-reference ones (niqe, musiq) look at the restored one alone. pyiqa fetches a measure's
weights on its first use; without a network that is an error that says so, unless they are in its
cache (TORCH_HOME) already.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from contextlib import redirect_stdout
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from aindnet.errors import AindnetError, MissingExtraError
from aindnet.evaluation import metrics
from aindnet.evaluation.metrics import METRICS, Image, Metric, to_unit
from aindnet.restore.backends.measured import installed_version
from aindnet.restore.code import code_digest

METRICS_CODE = code_digest(Path(metrics.__file__))
PERCEPTUAL_CODE = code_digest(Path(__file__))
"""Of what measures, as it was imported."""

SET_MEASURES = ("fid", "inception_score")
"""Parts of the names of pyiqa's measures of whole sets of images."""


class UnknownMetricError(AindnetError):
    """A metric that neither this project nor an installed pyiqa knows, or can load."""


class MetricFailedError(AindnetError):
    """A perceptual metric that could not be taken of an image (too small, mostly)."""


@dataclass(frozen=True)
class PyiqaMeasure:
    """One of pyiqa's measures as a metric."""

    name: str
    measure: Any

    @property
    def needs_clean(self) -> bool:
        """Whether it compares with the clean image."""
        return bool(self.measure.metric_mode == "FR")

    def __call__(self, restored: Image, clean: Image) -> float:
        """Measure; without `needs_clean` the restored image alone is looked at."""
        arguments = [_tensor(restored), *([_tensor(clean)] if self.needs_clean else [])]
        try:
            with redirect_stdout(sys.stderr):
                return float(self.measure(*arguments))
        except (RuntimeError, AssertionError, ValueError, IndexError) as error:
            reason = error if str(error) else type(error).__name__
            raise MetricFailedError(f"--metric {self.name}: {reason}") from error


def needs_clean(metric: Metric) -> bool:
    """Whether a metric compares with the clean image; only some of pyiqa's do not."""
    return bool(getattr(metric, "needs_clean", True))


def code_of_metrics(names: Iterable[str]) -> str:
    """Changes whenever one of these metrics may give another number of the same image."""
    if all(name in METRICS for name in names):
        return METRICS_CODE
    return f"{METRICS_CODE}|{PERCEPTUAL_CODE}|{installed_version('pyiqa')}"


def find_metric(name: str) -> Metric:
    """A metric by name: one of `METRICS`, or one of pyiqa's.

    Raises `UnknownMetricError`, or `MissingExtraError` for a name that could be pyiqa's where it is
    not installed.
    """
    if name in METRICS:
        return METRICS[name]
    plain = name.replace("-", "").replace("_", "").replace("+", "").replace(".", "")
    # pyiqa's psnr and ssim are of other readings than ours: their names would mislead.
    if not plain.isalnum() or name.startswith(("psnr", "ssim")):
        raise UnknownMetricError(f"--metric {name}: not known; there are {', '.join(METRICS)}")
    return _pyiqa_metric(name)


@lru_cache(maxsize=8)
def _pyiqa_metric(name: str) -> PyiqaMeasure:
    try:
        import pyiqa
    except ImportError as error:
        raise MissingExtraError(f"pyiqa (for --metric {name})", "perceptual") from error
    if name not in pyiqa.list_models():
        known = ", ".join(METRICS)
        raise UnknownMetricError(f"--metric {name}: neither pyiqa's nor one of {known}")
    if any(part in name for part in SET_MEASURES):
        raise UnknownMetricError(f"--metric {name}: a measure of sets of images, not of one image")
    try:
        # It prints what it loads; stdout is for the results.
        with redirect_stdout(sys.stderr):
            measure = pyiqa.create_metric(name, device="cpu")
    except OSError as error:
        raise UnknownMetricError(f"--metric {name}: its weights are not here ({error})") from error
    except ImportError as error:
        raise UnknownMetricError(f"--metric {name}: pyiqa cannot load it ({error})") from error

    return PyiqaMeasure(name, measure)


def _tensor(image: Image) -> Any:
    """The image as (1, 3, H, W) float32 on [0, 1], as pyiqa takes it."""
    import torch

    unit = to_unit(image)
    planes = unit[None].repeat(3, axis=0) if unit.ndim == 2 else unit.transpose(2, 0, 1)
    return torch.from_numpy(planes.copy()).float()[None]
