"""The weights between two models of one network: (1 - share) · first + share · second.

    python tools/mix_models.py A.safetensors B.safetensors --share 0.75 --output MIX.safetensors

Limits and passes, which have no weights, are the second's. Two ends of one training are often
better together than either (Wortsman et al., "Robust fine-tuning of zero-shot models", CVPR 2022).
The card is the second's, with the data of both and a licence that is no freer than either's; what
was measured on the second is not true of the mix, and left out.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from aindnet.pretrained import LoadedModel, ModelCard, load_model, save_model
from aindnet.training.transfer.held_out import between


def card_of_both(first: LoadedModel, second: LoadedModel, share: float) -> ModelCard:
    """The mix's card."""
    parts = ((1 - share, first), (share, second))
    made = " + ".join(f"{part:g} · {each.card.name} ({each.sha256[:8]})" for part, each in parts)
    return replace(
        second.card.started_from(first.card),
        recipe=f"{made}; the second by {second.card.recipe}",
        clipped=first.card.clipped and second.card.clipped,
        quality={},
        quality_command="",
        int8_loss_db={},
        int8_command="",
    )


def main() -> None:
    """Mix and write."""
    parser = argparse.ArgumentParser(description="Weights between two models.")
    parser.add_argument("first", type=Path)
    parser.add_argument("second", type=Path)
    parser.add_argument("--share", type=float, default=0.5, help="of the second")
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    first, second = load_model(arguments.first), load_model(arguments.second)
    if not second.network.config.has_weights_of(first.network.config):
        sys.exit(f"{arguments.first} and {arguments.second} are not of one network")
    mixed = between(second.network, first.network, 1 - arguments.share)
    save_model(arguments.output, mixed, card_of_both(first, second, arguments.share))


if __name__ == "__main__":
    main()
