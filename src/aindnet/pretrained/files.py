"""Model files: safetensors whose header carries the configuration and the card."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from aindnet.errors import (
    ImageWriteError,
    InvalidModelFileError,
    ModelNotFoundError,
    NoHomeError,
)
from aindnet.network import AINDNet, AINDNetConfig
from aindnet.pretrained.card import ModelCard
from aindnet.pretrained.header import parse_object
from aindnet.whole_files import whole_file

FORMAT = "aindnet-model-1"
CONFIGURATION_KEY = "aindnet_configuration"
"""A tensor that says what a state dict is, for loaders that see no header (`state_dict.py`)."""
DEFAULT_MODEL = "aindnet-medium"
BUNDLED = Path(__file__).parent / "weights"


@dataclass(frozen=True, kw_only=True)
class LoadedModel:
    """A network ready for inference and where it came from."""

    network: AINDNet
    """In evaluation mode, float32, on the CPU."""
    card: ModelCard
    path: Path
    sha256: str
    """Of the weights file: what a camera profile and a report name as their model."""
    int8_ranges: dict[str, tuple[float, float]] | None = None
    """By convolution, the range of what goes into it; None where the card has no int8 loss."""


def data_folder() -> Path:
    """The user's folder of models and camera profiles.

    Raises `NoHomeError` where the user has no home, nor `$XDG_DATA_HOME`.
    """
    named = os.environ.get("XDG_DATA_HOME")
    try:
        return Path(named or Path.home() / ".local/share") / "aindnet"
    except RuntimeError as error:
        raise NoHomeError(
            "this user has no home folder for aindnet's files: set XDG_DATA_HOME"
        ) from error


def model_folders() -> list[Path]:
    """Where models are looked for: bundled, `$AINDNET_MODELS`, the user's data folder if any."""
    folders = [BUNDLED]
    if named := os.environ.get("AINDNET_MODELS"):
        folders.append(Path(named))
    with contextlib.suppress(NoHomeError):
        folders.append(data_folder() / "models")
    return folders


def _model_paths() -> Iterator[Path]:
    for folder in model_folders():
        yield from sorted(folder.glob("[!.]*.safetensors"))  # not what a killed run left


def list_models() -> list[ModelCard]:
    """The cards of all bundled and installed models; the first of a name is the one that loads."""
    return list(survey_models()[0].values())


def survey_models() -> tuple[dict[Path, ModelCard], dict[str, str]]:
    """By file, the cards of `list_models`, and by file name why other files are no models."""
    cards: dict[str, tuple[Path, ModelCard]] = {}
    passed_over: dict[str, str] = {}
    for path in _model_paths():
        try:
            cards.setdefault(path.stem, (path, _read_header(path)[1]))
        except InvalidModelFileError as error:
            passed_over[path.name] = str(error).removeprefix(f"{path}: ")
    return dict(cards.values()), passed_over


def model_hashes() -> dict[str, Path]:
    """By SHA-256, the files of all bundled and installed models that can be read."""
    found = {}
    for path in reversed(list(_model_paths())):
        with contextlib.suppress(OSError):  # `aindnet models` says of what cannot be read
            found[file_sha256(path)] = path
    return found


def find_model(name_or_path: str | Path | None = None) -> Path:
    """The file of a model given by name or path; None is the bundled default.

    Raises `ModelNotFoundError` with the names there are.
    """
    name = DEFAULT_MODEL if name_or_path is None else name_or_path
    path = Path(name)
    if path.suffix == ".safetensors" or len(path.parts) > 1:
        if not os.path.isfile(path):
            raise ModelNotFoundError(f"{path}: there is no such model file")
        return path
    names = []
    for candidate in _model_paths():
        if candidate.stem == str(name):
            return candidate
        names.append(candidate.stem)
    known = ", ".join(dict.fromkeys(names)) or "none"
    raise ModelNotFoundError(
        f"{name}: no model of this name (there are: {known}); "
        f"give one of these or a .safetensors file"
    )


def load_model(name_or_path: str | Path | None = None) -> LoadedModel:
    """Load a model by name or file; None is the bundled default. Never touches the net.

    Raises `ModelNotFoundError`, or `InvalidModelFileError` where the file is damaged.
    """
    path = find_model(name_or_path)
    metadata, tensors = read_safetensors(path)
    config, card = _parse(metadata, path)
    tensors.pop(CONFIGURATION_KEY, None)
    check_finite(tensors, path)
    return LoadedModel(
        network=_network_of(config, tensors, path).eval(),
        card=card,
        path=path,
        sha256=file_sha256(path),
        int8_ranges=_parse_ranges(metadata, path) if card.int8_loss_db else None,
    )


def _network_of(config: AINDNetConfig, tensors: dict[str, torch.Tensor], path: Path) -> AINDNet:
    """The network with these weights, in float32; `InvalidModelFileError` where they do not fit.

    Built without memory first, so that a damaged configuration cannot ask for more than the file
    holds.
    """
    unfit = f"{path}: weights do not fit their configuration"
    if sum((*config.encoder_blocks, *config.decoder_blocks)) > len(tensors):
        raise InvalidModelFileError(f"{unfit}: it has more blocks than they are tensors")
    try:
        with torch.device("meta"):
            AINDNet(config).load_state_dict(tensors, assign=True)
        network = AINDNet(config)
        network.load_state_dict({name: value.float() for name, value in tensors.items()})
    except (ValueError, TypeError) as error:
        raise InvalidModelFileError(f"{path}: its configuration is none ({error})") from error
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise InvalidModelFileError(f"{unfit}: {reason}") from error
    return network


def save_model(
    path: Path, network: AINDNet, card: ModelCard, *, dtype: torch.dtype = torch.float32
) -> None:
    """Write a model file, whole or not at all; `dtype` is the storage precision of the weights.

    Buffers (the averages of `RunningNorm`) are few, and stay in float32.
    """
    buffers = dict(network.named_buffers())
    tensors = {
        name: value.detach().to("cpu", torch.float32 if name in buffers else dtype).contiguous()
        for name, value in network.state_dict().items()
    }
    write_safetensors(path, tensors, model_metadata(network.config, card))


def save_with_int8(
    source: Path, path: Path, card: ModelCard, int8_ranges: dict[str, tuple[float, float]]
) -> None:
    """Write the model file `source` again, its tensors as they are, with what int8 needs.

    `card` says what int8 costs (`int8_loss_db`): without that the ranges are not taken.
    """
    metadata, tensors = read_safetensors(source)
    config, _ = _parse(metadata, source)
    write_safetensors(path, tensors, model_metadata(config, card, int8_ranges))


def model_metadata(
    config: AINDNetConfig,
    card: ModelCard,
    int8_ranges: dict[str, tuple[float, float]] | None = None,
) -> dict[str, str]:
    """What the header of a model file says; no word of int8 where its ranges are not given."""
    if int8_ranges is None:
        card = dataclasses.replace(card, int8_loss_db={}, int8_command="")
    metadata = {
        "format": FORMAT,
        "config": json.dumps(dataclasses.asdict(config), sort_keys=True),
        "card": card.to_json(),
    }
    if int8_ranges is not None:
        metadata["int8_ranges"] = json.dumps(int8_ranges, sort_keys=True)
    return metadata


def write_safetensors(
    path: Path, tensors: dict[str, torch.Tensor], metadata: dict[str, str]
) -> None:
    """Write a safetensors file under a temporary name and rename it when it is whole."""
    try:
        with whole_file(path) as partial:
            permissions = partial.stat().st_mode  # save_file's are 0600
            save_file(tensors, partial, metadata=metadata)
            partial.chmod(permissions)
    except SafetensorError as error:
        raise ImageWriteError(f"{path}: cannot be written ({error})") from error


def check_finite(tensors: dict[str, torch.Tensor], path: Path) -> None:
    """Raise `InvalidModelFileError` for weights that are NaN, infinite, or no real numbers."""
    for name, tensor in tensors.items():
        if not tensor.is_floating_point():
            kind = str(tensor.dtype).removeprefix("torch.")
            raise InvalidModelFileError(
                f"{path}: {name} is of {kind} numbers, and weights are floating-point numbers"
            )
        if not bool(torch.isfinite(tensor.float()).all()):
            raise InvalidModelFileError(f"{path}: {name} is not finite; the file is of no use")


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file, as 64 hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def weights_sha256(network: AINDNet) -> str:
    """A SHA-256 of the weights themselves, for those that no file holds."""
    digest = hashlib.sha256()
    for key, value in sorted(network.state_dict().items()):
        digest.update(key.encode())
        digest.update(value.detach().cpu().float().numpy().tobytes())
    return digest.hexdigest()


def read_safetensors(path: Path) -> tuple[dict[str, str], dict[str, torch.Tensor]]:
    """Header metadata and tensors; `InvalidModelFileError` where the file is damaged."""
    try:
        with safe_open(path, framework="pt") as stored:
            return dict(stored.metadata() or {}), {
                k: stored.get_tensor(k) for k in sorted(stored.keys())
            }
    except (SafetensorError, OSError) as error:
        raise InvalidModelFileError(f"{path}: not a readable safetensors file ({error})") from error


def _read_header(path: Path) -> tuple[AINDNetConfig, ModelCard]:
    try:
        with safe_open(path, framework="pt") as stored:
            metadata = dict(stored.metadata() or {})
    except (SafetensorError, OSError) as error:
        raise InvalidModelFileError(f"{path}: not a readable safetensors file ({error})") from error
    return _parse(metadata, path)


def _parse(metadata: dict[str, str], path: Path) -> tuple[AINDNetConfig, ModelCard]:
    if metadata.get("format") != FORMAT:
        raise InvalidModelFileError(
            f"{path}: carries no aindnet configuration; is it a model that `aindnet` saved?"
        )
    if missing := {"config", "card"} - metadata.keys():
        raise InvalidModelFileError(f"{path}: its header has no {' and no '.join(sorted(missing))}")
    return config_from_json(metadata["config"], source=str(path)), ModelCard.from_json(
        metadata["card"], source=str(path)
    )


def _parse_ranges(metadata: dict[str, str], path: Path) -> dict[str, tuple[float, float]]:
    if "int8_ranges" not in metadata:
        raise InvalidModelFileError(f"{path}: its header has no int8_ranges")
    what = "its table of int8 ranges"
    ranges = parse_object(metadata["int8_ranges"], what=what, source=str(path))
    try:
        return {name: (float(low), float(high)) for name, (low, high) in ranges.items()}
    except (ValueError, TypeError, OverflowError) as error:
        raise InvalidModelFileError(f"{path}: {what} is damaged ({error})") from error


def config_from_json(text: str, *, source: str) -> AINDNetConfig:
    """The architecture from its JSON; `InvalidModelFileError` names the source of a damaged one."""
    values = parse_object(text, what="its configuration", source=source)
    try:
        return AINDNetConfig(**values)
    except (ValueError, TypeError) as error:
        raise InvalidModelFileError(f"{source}: its configuration is damaged ({error})") from error
