"""`aindnet convert-tf`: the authors' TF1 checkpoint as a model file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from aindnet.errors import AindnetError


def convert_tf(checkpoint: Path, /, *, output: Annotated[Path, Parameter(alias="-o")]) -> int:
    """Turn the authors' TF1 checkpoint into a model file.

    The result computes what their graph computes: `aindnet denoise photo.jpg --model OUTPUT`.

    Parameters
    ----------
    checkpoint
        Prefix of the checkpoint's files (`model.ckpt-1000` of `model.ckpt-1000.index`), any of
        them, or their folder.
    output
        Model file to write, ending in .safetensors; one that is there is kept.
    """
    if output.suffix != ".safetensors":
        raise AindnetError(f"{output}: a model file must end in .safetensors")
    from aindnet.pretrained.tf1_checkpoint import convert_checkpoint
    from aindnet.whole_files import require_new_file

    require_new_file(output)
    card = convert_checkpoint(checkpoint, output)
    print(f"{checkpoint} → {output} ({card.name})", file=sys.stderr)
    return 0
