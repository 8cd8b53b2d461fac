"""The comparison figure of papers: whole image with a marked window, and the window under every
method.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from aindnet.errors import DatasetError, ImageWriteError, MissingExtraError
from aindnet.evaluation.datasets.sample import Dataset, Image, Sample, Window
from aindnet.evaluation.methods.method import Method, checked
from aindnet.evaluation.metrics import psnr, ssim, to_uint8
from aindnet.evaluation.report.pictures import squared_error, telling_window
from aindnet.evaluation.runner import as_float
from aindnet.photo.paths import shown
from aindnet.whole_files import require_writable_file, whole_file

FORMATS = (".png", ".pdf", ".svg")
WINDOW_COLOUR = "#ff3b30"


@dataclass(frozen=True)
class Panel:
    """One picture of the figure with the words under it."""

    title: str
    image: Image


def write_figure(
    dataset: Dataset,
    methods: Sequence[Method],
    path: Path,
    *,
    images: int = 3,
    window: int = 96,
    place: tuple[int, int] | None = None,
) -> None:
    """One line for each of the first `images` images: the whole, then noisy, every method, clean.

    The window is `window` pixels wide; it lies at `place` (row, column), or where the methods and
    the noisy image differ most. The file's suffix names its format: PNG, PDF or SVG.
    """
    check_figure(dataset, path, images=images, window=window, place=place)
    import matplotlib.pyplot as plt
    from matplotlib.patches import Rectangle

    lines = [_line(s, methods, window, place) for s in dataset.samples[:images]]
    columns = 1 + max(len(panels) for _, _, panels in lines)
    figure, axes = plt.subplots(
        len(lines),
        columns,
        figsize=(2.1 * columns + 0.9, 2.35 * len(lines)),
        squeeze=False,
        gridspec_kw={
            "width_ratios": [1.45, *[1.0] * (columns - 1)],
            "wspace": 0.05,
            "hspace": 0.28,
        },
    )
    try:
        for row, (whole, where, panels) in zip(axes, lines, strict=True):
            _show(row[0], whole)
            top, left = where[0].start, where[1].start
            size = (where[1].stop - left, where[0].stop - top)
            row[0].add_patch(
                Rectangle((left, top), *size, fill=False, edgecolor=WINDOW_COLOUR, linewidth=1.6)
            )
            for axis, panel in zip(row[1:], panels, strict=False):
                _show(axis, Panel(panel.title, panel.image[where]))
                for spine in axis.spines.values():
                    spine.set(visible=True, color=WINDOW_COLOUR, linewidth=1.2)
            for axis in row[1 + len(panels) :]:
                axis.set_axis_off()
        with whole_file(path) as partial:
            figure.savefig(partial, dpi=200, bbox_inches="tight", pad_inches=0.05)
    finally:
        plt.close(figure)


def check_figure(
    dataset: Dataset,
    path: Path,
    *,
    images: int = 3,
    window: int = 96,
    place: tuple[int, int] | None = None,
) -> None:
    """Raise what `write_figure` would, before anything is measured for it."""
    if path.suffix.lower() not in FORMATS:
        raise ImageWriteError(f"{path}: a figure is written as {', '.join(FORMATS)}")
    if images < 1 or window < 1:
        raise ImageWriteError("--figure-images and --figure-window take whole numbers from 1 on")
    require_writable_file(path)
    if importlib.util.find_spec("matplotlib") is None:
        raise MissingExtraError("matplotlib", "evaluate")
    if place is not None:
        for sample in dataset.samples[:images]:
            _window_at(sample.name, sample.read().noisy, place, window)


def _window_at(name: str, noisy: Image, place: tuple[int, int], size: int) -> Window:
    top, left = place
    height, width = noisy.shape[:2]
    if not (0 <= top <= height - size and 0 <= left <= width - size):
        raise DatasetError(
            f"{name}: no window of {size} pixels at {top},{left} of {height}×{width}; "
            "take another --figure-place or --figure-window"
        )
    return (slice(top, top + size), slice(left, left + size))


def _line(
    sample: Sample, methods: Sequence[Method], size: int, place: tuple[int, int] | None
) -> tuple[Panel, Window, list[Panel]]:
    pair = sample.read()
    noisy = as_float(pair.noisy)
    restored = [(method.name, checked(method, method(noisy), noisy).image) for method in methods]
    panels = [Panel(_title(name, image, pair.clean), to_uint8(image)) for name, image in restored]
    if pair.clean is not None:
        panels.append(Panel("clean", to_uint8(pair.clean)))
    if place is None:
        change = sum(squared_error(image, pair.noisy) for _, image in restored)
        change = change if isinstance(change, np.ndarray) else np.zeros(pair.noisy.shape[:2])
        if pair.clean is not None:
            # Detail as well as noise: a flat patch tells nothing of what a method keeps.
            grey = to_uint8(pair.clean).astype(np.float64)
            grey = grey if grey.ndim == 2 else grey.mean(axis=2)
            change = change + np.hypot(*np.gradient(grey)) * change.mean() / 4
        where = telling_window(change, size)
    else:
        where = _window_at(sample.name, pair.noisy, place, size)
    return Panel(shown(sample.name), to_uint8(pair.noisy)), where, panels


def _title(name: str, image: Image, clean: Image | None) -> str:
    if clean is None:
        return name
    return f"{name}\n{psnr(image, clean):.2f} dB / {ssim(image, clean):.3f}"


def _show(axis: object, panel: Panel) -> None:
    from matplotlib.axes import Axes

    assert isinstance(axis, Axes)
    axis.imshow(panel.image, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    axis.set_xlabel(panel.title, fontsize=8, labelpad=3)
    axis.set(xticks=[], yticks=[])
