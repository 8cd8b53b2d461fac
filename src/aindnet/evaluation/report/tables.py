"""The rows of a report's tables, formatted once for the page and for Markdown."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

DECIMALS = {"psnr": 2, "ssim": 4, "noise": 4}
HEADINGS = {
    "psnr": "PSNR, dB",
    "ssim": "SSIM",
    "noise_level_error": "error of σ map",
    "noise_level_bias": "bias of σ map",
}
DASH = "–"


@dataclass(frozen=True)
class Row:
    """One line of the main table."""

    name: str
    kind: str
    """ours, peer, noisy or published."""

    values: tuple[str, ...]
    intervals: tuple[str, ...]
    difference: str
    difference_interval: str
    wins: str
    seconds: str
    memory: str
    settings: str
    bar: float | None
    """PSNR between the table's lowest and highest, 0 to 1."""


def table_metrics(document: dict[str, Any]) -> list[str]:
    """The document's metrics and, where a method has them, those of the noise map."""
    extra = [
        name
        for name in ("noise_level_error", "noise_level_bias")
        if any(name in method for method in document["methods"])
    ]
    return [*document["metrics"], *extra]


def heading(metric: str) -> str:
    """A metric's column heading."""
    return HEADINGS.get(metric, metric)


def number(value: float | None, metric: str) -> str:
    """A metric's value with the decimals its tables use."""
    if value is None:
        return DASH
    return f"{value:.{DECIMALS.get(metric.split('_', maxsplit=1)[0], 4)}f}"


def main_rows(document: dict[str, Any]) -> list[Row]:
    """Measured rows from the highest PSNR down, then the published ones."""
    metrics = table_metrics(document)
    methods = sorted(document["methods"], key=by_psnr)
    known = [method["psnr"] for method in methods if method["psnr"] is not None]
    low, high = (min(known), max(known)) if known else (0.0, 0.0)
    rows = []
    for method in methods:
        kind = {"noisy": "noisy", document["model"]: "ours"}.get(method["name"], "peer")
        kind = "ours" if method["name"] == f"{document['model']}*" else kind
        difference = method.get("ours_minus_this") or {}
        rows.append(
            Row(
                name=method["name"],
                kind=kind,
                values=tuple(number(method.get(metric), metric) for metric in metrics),
                intervals=tuple(_interval(method, metric) for metric in metrics),
                difference=_signed(difference.get("psnr")),
                difference_interval=_signed_interval(difference.get("interval")),
                wins=f"{difference['wins']}/{difference['images']}" if difference else "",
                seconds=_seconds(method["seconds_per_megapixel"]),
                memory=_memory(method["peak_memory_mb"]),
                settings=method["settings"],
                bar=_share(method["psnr"], low, high),
            )
        )
    return rows + [_published(row, metrics) for row in document["published"] if not row["group"]]


def by_psnr(method: dict[str, Any]) -> float:
    """Highest first; the mean of equal images is infinite, which is null in the document."""
    return -math.inf if method["psnr"] is None else -float(method["psnr"])


def subject(document: dict[str, Any]) -> dict[str, Any]:
    """The row that a page is about: the model, or the best peer where there is none."""
    methods = document["methods"]
    own = [method for method in methods if method["name"] == document["model"]]
    peers = [method for method in methods if method["name"] != "noisy"]
    row: dict[str, Any] = min(own or peers or methods, key=by_psnr)
    return row


def group_table(document: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Means by group, one column a method: headings and lines; empty where there are no groups."""
    methods = [method for method in document["methods"] if "by_group" in method]
    if not methods:
        return [], []
    metric = "noise_level_error" if "noise_level_error" in methods[-1] else "psnr"
    groups = {entry["group"].casefold() for entry in methods[0]["by_group"]}  # Set12 or set12
    published = [row for row in document["published"] if row["group"].casefold() in groups]
    names = list(dict.fromkeys(row["name"] for row in published))
    lines = []
    for index, entry in enumerate(methods[0]["by_group"]):
        values = [number(method["by_group"][index].get(metric), metric) for method in methods]
        quoted = [
            next(
                (
                    number(row["psnr"], "psnr")
                    for row in published
                    if row["name"] == name and row["group"].casefold() == entry["group"].casefold()
                ),
                DASH,
            )
            for name in names
        ]
        lines.append([entry["group"], str(entry["n"]), *values, *quoted])
    first = f"{document['grouping']} ({heading(metric)})"
    head = [first, "images", *(method["name"] for method in methods)]
    return [*head, *(f"{name} (published)" for name in names)], lines


def _published(row: dict[str, Any], metrics: list[str]) -> Row:
    values = tuple(number(row.get(metric), metric) for metric in metrics)
    empty = tuple("" for _ in metrics)
    source = f"published: {row['source']}"
    return Row(row["name"], "published", values, empty, "", "", "", "", "", source, None)


def _interval(method: dict[str, Any], metric: str) -> str:
    bounds = method.get(f"{metric}_interval")
    if not bounds or bounds[0] is None:
        return ""
    return f"{number(bounds[0], metric)} to {number(bounds[1], metric)}"


def signed(value: float) -> str:
    """A difference in dB with its sign, a minus as long as a plus.

    >>> signed(-0.123), signed(1.5)
    ('−0.12', '+1.50')
    """
    return f"{value:+.2f}".replace("-", "−")


def _signed(value: float | None) -> str:
    return "" if value is None else signed(value)


def _signed_interval(bounds: list[float | None] | None) -> str:
    if not bounds or bounds[0] is None or bounds[1] is None:
        return ""
    return f"{signed(bounds[0])} to {signed(bounds[1])}"


def _seconds(value: float | None) -> str:
    if value is None:
        return DASH
    return f"{value:.3f}" if value < 0.1 else f"{value:.2f}"


def _memory(value: float | None) -> str:
    return DASH if value is None else f"{value:.0f}"


def _share(value: float | None, low: float, high: float) -> float | None:
    if value is None:
        return None
    return 1.0 if high == low else (value - low) / (high - low)
