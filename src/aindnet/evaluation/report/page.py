"""A report as one HTML page that needs no other file, no network and no script to be read."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from aindnet.evaluation.report.charts import Point, Series, axis_over, legend, scatter_chart
from aindnet.evaluation.report.markdown import conventions
from aindnet.evaluation.report.showcases import Showcase
from aindnet.evaluation.report.tables import (
    by_psnr,
    group_table,
    heading,
    main_rows,
    signed,
    subject,
    table_metrics,
)

if TYPE_CHECKING:
    from jinja2 import Template


def html_report(document: dict[str, Any], showcases: Sequence[Showcase]) -> str:
    """The page: headline numbers, table, charts, crops, and what the numbers were made with."""
    head, lines = group_table(document)
    return _template().render(
        document=document,
        headline=headline(document),
        headings=[heading(metric) for metric in table_metrics(document)],
        rows=main_rows(document),
        group_head=head,
        group_lines=lines,
        charts=charts(document),
        showcases=showcases,
        conventions=conventions(),
        style=_resource("page.css"),
        script=_resource("page.js"),
    )


def headline(document: dict[str, Any]) -> list[tuple[str, str, str]]:
    """The numbers to see first: value, unit, what it is."""
    tiles = [(str(document["n"]), "images", "scored")]
    best = subject(document)
    if best["psnr"] is None:
        return tiles
    tiles.append((f"{best['psnr']:.2f}", "dB", f"PSNR, {best['name']}"))
    if document["noisy_psnr"] is not None:
        gain = best["psnr"] - document["noisy_psnr"]
        tiles.append((signed(gain), "dB", "over the noisy images"))
    peers = [m for m in document["methods"] if m["name"] not in _own_names(document)]
    others = [m for m in peers if m["name"] not in (best["name"], "noisy")]
    rivals = [m for m in others if m["psnr"] is not None]
    if rivals:
        rival = max(rivals, key=lambda method: float(method["psnr"]))
        tiles.append((signed(best["psnr"] - rival["psnr"]), "dB", f"over {rival['name']}"))
    if best["ssim"] is not None:
        tiles.append((f"{best['ssim']:.4f}", "", "SSIM"))
    return tiles


def charts(document: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Title, caption and SVG of every chart that the data allows."""
    drawn = []
    methods = [m for m in document["methods"] if m["psnr"] is not None]
    if len(methods) >= 2 and document["n"] >= 2:
        drawn.append(_against_rival(document))
        drawn.append(_over_noise(document, methods))
    timed = [m for m in methods if m["name"] != "noisy" and m["seconds_per_megapixel"]]
    if timed:
        drawn.append(_over_time(document, timed))
    return [chart for chart in drawn if chart is not None]


def _own_names(document: dict[str, Any]) -> tuple[str, str]:
    return (str(document["model"]), f"{document['model']}*")


def _colour(document: dict[str, Any], name: str) -> int:
    """Ours is colour 0, its ensemble 8, the noisy images 1, the peers 2, 3, …"""
    if name in _own_names(document):
        return 0 if name == document["model"] else 8
    others = [m["name"] for m in document["methods"] if m["name"] not in _own_names(document)]
    return 1 + others.index(name) % 7


def _against_rival(document: dict[str, Any]) -> tuple[str, str, str] | None:
    shown = subject(document)
    excluded = (shown["name"], *_own_names(document))
    others = [m for m in document["methods"] if m["name"] not in excluded]
    if not others:
        return None
    rival = min(others, key=by_psnr)
    points = []
    for own, other in zip(shown["per_image"], rival["per_image"], strict=True):
        if own.get("psnr") is None or other.get("psnr") is None:
            continue
        label = f"{own['name']}: {own['psnr']:.2f} dB, {rival['name']} {other['psnr']:.2f} dB"
        points.append(Point(other["psnr"], own["psnr"], label))
    if not points:
        return None
    both = [value for point in points for value in (point.x, point.y)]
    x = axis_over(f"PSNR of {rival['name']}, dB", both)
    y = axis_over(f"PSNR of {shown['name']}, dB", both)
    above = sum(point.y > point.x for point in points)
    caption = f"One dot an image; {above} of {len(points)} lie above the line of equal PSNR."
    series = Series(shown["name"], _colour(document, shown["name"]), tuple(points))
    return ("Image by image", caption, scatter_chart([series], x, y, diagonal=True))


def _over_noise(
    document: dict[str, Any], methods: Sequence[dict[str, Any]]
) -> tuple[str, str, str] | None:
    sigma = {row["name"]: row["noise_sigma"] for row in document["per_image"]}
    series = []
    for method in methods:
        points = tuple(
            Point(sigma[e["name"]], e["psnr"], f"{e['name']}, {method['name']}: {e['psnr']:.2f} dB")
            for e in method["per_image"]
            if e.get("psnr") is not None and sigma[e["name"]] is not None
        )
        if points:
            colour = _colour(document, method["name"])
            series.append(Series(method["name"], colour, points, trend=True))
    if not series:
        return None
    x = axis_over("noise in the image, 8-bit levels (RMS)", [p.x for s in series for p in s.points])
    y = axis_over("PSNR, dB", [p.y for s in series for p in s.points])
    lines = "; lines join means of equally many images" if any(s.line for s in series) else ""
    caption = f"Each image under every method{lines}."
    return ("PSNR against noise level", caption, scatter_chart(series, x, y) + legend(series))


def _over_time(
    document: dict[str, Any], timed: Sequence[dict[str, Any]]
) -> tuple[str, str, str] | None:
    series = [
        Series(
            m["name"],
            _colour(document, m["name"]),
            (Point(m["seconds_per_megapixel"], m["psnr"], f"{m['name']}: {m['psnr']:.2f} dB"),),
            named=True,
        )
        for m in timed
    ]
    x = axis_over("seconds per megapixel", [s.points[0].x for s in series], log=True)
    values = [s.points[0].y for s in series]
    y = axis_over("PSNR, dB", [*values, document["noisy_psnr"] or values[0]])
    machine = document["machine"]
    caption = f"On {machine['processor']}, {machine['cores']} cores; what else ran there counts in."
    return ("Quality against time", caption, scatter_chart(series, x, y))


@lru_cache(maxsize=1)
def _template() -> Template:
    from jinja2 import Environment

    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(_resource("page.html.j2"))


def _resource(name: str) -> str:
    return files("aindnet.evaluation.report").joinpath(name).read_text(encoding="utf-8")
