"""A report as Markdown, for README files and issue threads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aindnet.evaluation.report.tables import group_table, heading, main_rows, table_metrics


def markdown_report(
    document: dict[str, Any], *, level: int = 1, with_conventions: bool = True
) -> str:
    """Title, protocol, tables, what the numbers were made with; `level` is the title's depth."""
    measures = f" {conventions()}" if with_conventions else ""
    parts = [
        f"{'#' * level} {document['title']}",
        f"{document['n']} images. {document['protocol']}{measures}",
        main_table(document),
    ]
    head, lines = group_table(document)
    if lines:
        parts.append(markdown_table(head, lines))
    if document["failed"]:
        failed = ", ".join(f"{fail['name']} ({fail['error']})" for fail in document["failed"])
        parts.append(f"Left out after an error: {failed}.")
    if dropped := document.get("dropped"):
        named = ", ".join(f"{e['method']} ({e['name']}: {e['error']})" for e in dropped)
        parts.append(f"Peers left out, as they failed: {named}.")
    parts.append(footnotes(document))
    return "\n\n".join(parts) + "\n"


def main_table(document: dict[str, Any]) -> str:
    """The main table, settings in its last column."""
    metrics = table_metrics(document)
    head = ["method", *(f"{heading(metric)} (95 %)" for metric in metrics)]
    head += ["ours − this, dB (95 %)", "wins", "s/MP", "MB", "settings"]
    lines = []
    for row in main_rows(document):
        values = [
            f"{value} ({interval})" if interval else value
            for value, interval in zip(row.values, row.intervals, strict=True)
        ]
        difference = row.difference
        if row.difference_interval:
            difference += f" ({row.difference_interval})"
        escaped = row.name.replace("*", "\\*")
        name = f"**{escaped}**" if row.kind == "ours" else escaped
        tail = [difference, row.wins, row.seconds, row.memory, row.settings]
        lines.append([name, *values, *tail])
    return markdown_table(head, lines)


def markdown_table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A pipe table; pipes inside cells are escaped."""
    rows = [head, ["---"] * len(head), *lines]
    escaped = ([cell.replace("|", "\\|") for cell in row] for row in rows)
    return "\n".join(f"| {' | '.join(row)} |" for row in escaped)


def conventions() -> str:
    """How the numbers are taken, in one sentence each."""
    return (
        "PSNR: rounded to 8 bits, peak 255, one mean over pixels and channels per image, then over "
        "images. SSIM: Gaussian window σ 1.5, 11 taps, per channel. Intervals: 95 %, bootstrap "
        "over images, or over photos or scenes where several images are of one (10,000 draws)."
    )


def footnotes(document: dict[str, Any]) -> str:
    """Command, model, versions, machine."""
    machine = document["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in document["versions"].items())
    model = document["model"] or "none"
    if document["model_hash"]:
        model += f", SHA-256 `{document['model_hash'][:16]}…`"
    lines = [
        f"- Command: `{document['command']}`",
        f"- Model: {model}",
        f"- Versions: {versions}",
        f"- Machine: {machine['processor']}, {machine['cores']} cores"
        + (f", {machine['accelerator']}" if machine["accelerator"] else "")
        + f"; {document['date']}",
    ]
    lines += [f"- {note}" for note in document.get("notes", [])]
    elsewhere = [m["name"] for m in document["methods"] if m["seconds_per_megapixel"] is None]
    if elsewhere and document["n"]:
        lines.append(f"- Scored on another machine, so without a time: {', '.join(elsewhere)}")
    return "\n".join(lines)
