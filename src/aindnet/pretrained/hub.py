"""The network with the Hugging Face hub's loading and saving."""

# No postponed annotations here: the mixin reads the class of `config` from the signature.

from pathlib import Path
from typing import Any

from huggingface_hub import PyTorchModelHubMixin  # noqa: TID253  (a base class; this file is loaded on use)

from aindnet.errors import ModelNotFoundError
from aindnet.network import AINDNet as Network
from aindnet.network import AINDNetConfig
from aindnet.pretrained.files import find_model, load_model


class AINDNet(
    Network,
    PyTorchModelHubMixin,
    library_name="aindnet",
    tags=["image-denoising", "image-restoration"],
    paper_url="https://arxiv.org/abs/2002.11244",
):
    """AINDNet with `from_pretrained`, `save_pretrained` and `push_to_hub`."""

    def __init__(self, config: AINDNetConfig) -> None:
        super().__init__(config)

    @classmethod
    def from_pretrained(
        cls, pretrained_model_name_or_path: str | Path | None = None, **options: Any
    ) -> "AINDNet":
        """A bundled or installed name, a .safetensors file, a saved folder, or a hub repository.

        None is the bundled default. Names at hand never touch the net. Weights that are missing, or
        too many, are an error, unless `strict=False` is given.
        """
        name = pretrained_model_name_or_path
        try:
            path = find_model(name)
        except ModelNotFoundError:
            if name is None or Path(name).suffix == ".safetensors":
                raise
            model: AINDNet = super().from_pretrained(name, **{"strict": True} | options)
            return model
        loaded = load_model(path).network
        network = cls(loaded.config)
        network.load_state_dict(loaded.state_dict())
        return network.eval()
