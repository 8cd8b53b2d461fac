"""What a user must know of a model before trusting it with photos."""

from __future__ import annotations

import dataclasses
import json
import sys
from dataclasses import dataclass, field, replace
from typing import Any

from aindnet.errors import InvalidModelFileError
from aindnet.pretrained.header import parse_object

FREE_LICENCES = frozenset(
    {"apache-2.0", "mit", "isc", "bsd-2-clause", "bsd-3-clause", "cc0", "cc0-1.0", "unlicense"}
)
"""Under these weights may be made from others' and given on under any licence."""
PHOTOS_LICENCE = "as the photos that it was adapted with"
"""Of a camera profile that names none."""


def joined_licence(own: str, start: str) -> str:
    """The licence of weights that were made under `own` from those under `start`: the stricter.

    Where neither is known to be free, both are in force. A start without one is not free.

    >>> joined_licence("Apache-2.0", "research only"), joined_licence("research only", "MIT")
    ('research only', 'research only')
    >>> joined_licence("CC-BY-NC-4.0", "research only")
    'research only; and CC-BY-NC-4.0'
    """
    start = start or "not stated by the model that it was made from"
    if start.lower() in FREE_LICENCES or start in own:
        return own
    return start if own.lower() in FREE_LICENCES or own in start else f"{start}; and {own}"


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
    """Whether noisy photos it was taught were clipped to [0, 1], as files are. If not, as where
    Gaussian noise is added to an image and left, it is shown what lies beyond black and white."""
    recipe: str = ""
    """The recipe's file name, and the flags that overrode it, or how the model was made."""
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

    def started_from(self, start: ModelCard) -> ModelCard:
        """This card, of weights that were trained on from another model's: with its data, and under
        a licence that is no freer than either's.
        """
        trained_on, before = self.trained_on, start.trained_on
        if trained_on != before:
            trained_on = (
                before
                if trained_on and trained_on in before
                else f"first, as {start.name}: {before or 'not stated'}; then: "
                f"{trained_on or 'not stated'}"
            )
        return replace(
            self, trained_on=trained_on, licence=joined_licence(self.licence, start.licence)
        )

    def to_json(self) -> str:
        """The card as one JSON object."""
        return json.dumps(dataclasses.asdict(self), ensure_ascii=False, sort_keys=True)

    @classmethod
    def from_json(cls, text: str, *, source: str) -> ModelCard:
        """Read a card; fields of later versions are passed over, a damaged one is an error."""
        values = parse_object(text, what="its model card", source=source)
        known = {f.name: f.type for f in dataclasses.fields(cls)}
        values = {name: value for name, value in values.items() if name in known}
        for name, value in values.items():
            if not _is_of(str(known[name]), value):
                raise InvalidModelFileError(
                    f"{source}: its model card is damaged ({name} is no {known[name]})"
                )
        if not values.get("name"):  # nor could it be exported: a graph must have a name
            raise InvalidModelFileError(f"{source}: its model card is damaged (it has no name)")
        return cls(**values)


def _is_of(kind: str, value: Any) -> bool:
    """Whether a value from JSON is of a field's type."""
    if kind.startswith("dict["):
        inner = kind.removeprefix("dict[str, ").removesuffix("]")
        return isinstance(value, dict) and all(_is_of(inner, each) for each in value.values())
    if kind == "float":
        return type(value) in (int, float) and abs(value) < sys.float_info.max
    return type(value).__name__ == kind
