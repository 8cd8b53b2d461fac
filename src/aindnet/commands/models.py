"""`aindnet models`: what can denoise here, under which licence, and how well."""

from __future__ import annotations

import dataclasses
import json
import sys
from typing import Annotated

from cyclopts import Parameter


def models(*, as_json: Annotated[bool, Parameter(name="--json", negative="")] = False) -> int:
    """List the bundled and installed models, with licence, measured quality and known failures.

    `--json` has all of their cards, what `--model` takes them by, and the SHA-256 of their files.
    """
    from aindnet.photo.paths import shown
    from aindnet.pretrained.files import file_sha256, find_model, survey_models

    cards, passed_over = survey_models()
    for name, why in passed_over.items():
        print(f"aindnet: {shown(name)}: {shown(why)}", file=sys.stderr)
    default = find_model()
    if as_json:
        entries = [
            dataclasses.asdict(card)
            | {"model": path.stem, "default": path == default, "sha256": file_sha256(path)}
            for path, card in cards.items()
        ]
        print(json.dumps({"models": entries}, ensure_ascii=False, indent=2))
        return 0

    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(show_lines=True)
    quality_heading = "quality: PSNR in dB (noisy input)"
    for heading in ("model", quality_heading, "what it is; trained on; known failures"):
        table.add_column(heading, overflow="fold", no_wrap=heading == "model")
    for path, card in sorted(cards.items(), key=lambda entry: entry[0] != default):
        quality = "\n".join(
            f"{name}: {_decibels(values, 'psnr')} ({_decibels(values, 'noisy_psnr')})"
            for name, values in card.quality.items()
        )
        for data_set, loss in card.int8_loss_db.items():
            quality += f"\nint8 on {data_set}: changes by {-loss:+.3f}"
        name = path.stem + (" (default)" if path == default else "")
        if card.name != path.stem:
            name += f"\ncard: {card.name}"
        name += f"\n{card.licence}\nSHA-256 {file_sha256(path)[:8]}…"
        facts = "\n\n".join(filter(None, (card.description, card.trained_on, card.known_failures)))
        # As text: what brackets hold in a file is no markup, nor are its control characters any.
        cells = (name, quality or "not measured", facts)
        table.add_row(*(Text("\n".join(map(shown, cell.split("\n")))) for cell in cells))
    Console().print(table)
    return 0


def _decibels(values: dict[str, float], key: str) -> str:
    return f"{values[key]:.2f}" if key in values else "–"
