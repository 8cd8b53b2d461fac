"""Reading the authors' TF1 checkpoint with TensorFlow, and the model file that it becomes."""

from __future__ import annotations

import datetime
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aindnet.errors import InvalidModelFileError, MissingExtraError
from aindnet.network import AINDNet
from aindnet.pretrained.card import ModelCard
from aindnet.pretrained.files import save_model
from aindnet.pretrained.tf1 import TF1_CONFIG, state_dict_from_tf1

_PART = re.compile(r"\.(index|meta|data-\d+-of-\d+)$")
_OF_TRAINING = re.compile(
    r"(^|/)(Adam(_\d+)?|Momentum|RMSProp(_\d+)?|ExponentialMovingAverage"
    r"|beta[12]_power(_\d+)?|global_step)$"
)
"""Variables that training adds: an optimiser's slots and counters, moving averages."""


def convert_checkpoint(checkpoint: Path, output: Path) -> ModelCard:
    """Write the authors' checkpoint as a model file; its card.

    Raises `MissingExtraError` without TensorFlow, and `InvalidModelFileError` where the file is no
    checkpoint or not one of the authors' graph.
    """
    network = network_from_tf1(read_checkpoint(checkpoint), source=str(checkpoint))
    card = ModelCard(
        name=output.stem,
        description="The authors' AINDNet, converted from their TensorFlow checkpoint "
        f"{checkpoint.name}; resize and pooling as in TensorFlow 1.",
        licence="the authors' own; see where the checkpoint was published",
        trained_on="see the paper (Kim et al., CVPR 2020)",
        recipe=f"aindnet convert-tf {checkpoint.name}",
        date=datetime.date.today().isoformat(),
    )
    save_model(output, network, card)
    return card


def read_checkpoint(checkpoint: Path) -> dict[str, NDArray[Any]]:
    """The variables of a TF checkpoint by name, without those that only training needs.

    `checkpoint` is the prefix of its files (`model.ckpt-1000`), any of the files, or their folder.
    """
    prefix = checkpoint_prefix(checkpoint)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        import tensorflow
    except ImportError as error:
        raise MissingExtraError("tensorflow", "tf") from error
    try:
        reader = tensorflow.train.load_checkpoint(str(prefix))
        names = sorted(reader.get_variable_to_shape_map())
        return {
            name: np.asarray(reader.get_tensor(name))
            for name in names
            if not _OF_TRAINING.search(name)
        }
    except (tensorflow.errors.OpError, ValueError, OSError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else "damaged"
        raise InvalidModelFileError(
            f"{checkpoint}: not a readable TensorFlow checkpoint ({reason})"
        ) from error


def checkpoint_prefix(checkpoint: Path) -> Path:
    """The prefix of the checkpoint's files, as TensorFlow takes it; a folder with a `checkpoint`
    file stays as it is.

    Raises `InvalidModelFileError` where there are no such files.
    """
    if checkpoint.is_dir():
        if (checkpoint / "checkpoint").is_file():
            return checkpoint
        indices = sorted(checkpoint.glob("*.index"))
        if len(indices) != 1:
            raise InvalidModelFileError(
                f"{checkpoint}: holds {len(indices)} checkpoints (PREFIX.index); give one's PREFIX"
            )
        return indices[0].with_suffix("")
    prefix = Path(_PART.sub("", str(checkpoint)))
    if not Path(f"{prefix}.index").is_file() and not prefix.is_file():
        raise InvalidModelFileError(
            f"{checkpoint}: no such TensorFlow checkpoint; give the PREFIX of PREFIX.index and "
            "PREFIX.data-00000-of-00001"
        )
    return prefix


def network_from_tf1(variables: dict[str, NDArray[Any]], *, source: str) -> AINDNet:
    """The released graph's network with these variables; `source` is for the error's text."""
    try:
        state = state_dict_from_tf1(variables)
    except InvalidModelFileError as error:
        raise InvalidModelFileError(f"{source}: {error}") from error
    except (TypeError, RuntimeError) as error:  # variables that are no numbers, or of odd shapes
        raise InvalidModelFileError(f"{source}: not of the authors' graph ({error})") from error
    network = AINDNet(TF1_CONFIG)
    expected = network.state_dict()
    missing = sorted(expected.keys() - state.keys())
    if missing:
        raise InvalidModelFileError(
            f"{source}: lacks {len(missing)} of the {len(expected)} weights, {missing[0]} first"
        )
    for name, value in state.items():
        if name not in expected or value.shape != expected[name].shape:
            wanted = tuple(expected[name].shape) if name in expected else "none"
            raise InvalidModelFileError(
                f"{source}: {name} has shape {tuple(value.shape)}; the graph has {wanted}"
            )
    network.load_state_dict({name: value.float() for name, value in state.items()})
    return network.eval()
