"""What a user must know of a model before trusting it with photos."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Any

from aindnet.errors import InvalidModelFileError


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """The card that travels in the header of a model's safetensors file."""

    name: str
    description: str = ""
    licence: str = ""
    """Of the weights, as an SPDX identifier or in words."""
    trained_on: str = ""
    """Data and their licences."""
    noise_model: str = ""
    """The noise it was taught."""
    clipped: bool = True
    """Whether the noisy photos it was taught were clipped to [0, 1], as files are. If not, as where
    Gaussian noise is added to an image and left, it is shown what lies beyond black and white."""
    recipe: str = ""
    """The recipe's file name and what was overridden."""
    hardware: str = ""
    """What it was trained on, for how long and how many steps."""
    date: str = ""
    """ISO date of the end of training."""
    quality: dict[str, dict[str, float]] = field(default_factory=dict)
    """By data set: mean PSNR (dB) and SSIM by the project's protocol, of input and output."""
    quality_command: str = ""
    """The command that measures `quality` again."""
    int8_loss_db: dict[str, float] = field(default_factory=dict)
    """By data set: what `--precision int8` costs, mean PSNR in float32 minus that in int8. Without
    it int8 is not offered."""
    int8_command: str = ""
    """The command that calibrated int8 and measured the loss."""
    known_failures: str = ""

    def to_json(self) -> str:
        """The card as one JSON object."""
        return json.dumps(dataclasses.asdict(self), ensure_ascii=False, sort_keys=True)

    @classmethod
    def from_json(cls, text: str, *, source: str) -> ModelCard:
        """Read a card; fields of later versions are passed over, a damaged one is an error."""
        try:
            values: dict[str, Any] = json.loads(text)
            known = {f.name for f in dataclasses.fields(cls)}
            return cls(**{k: v for k, v in values.items() if k in known})
        except (ValueError, TypeError, AttributeError) as error:
            raise InvalidModelFileError(f"{source}: its model card is damaged ({error})") from error
