"""Models on disk: bundled weights, their cards, loading and saving, camera profiles, TF1 import."""

from aindnet.pretrained.camera_profile import (
    CameraProfile,
    load_camera_profile,
    save_camera_profile,
)
from aindnet.pretrained.card import ModelCard
from aindnet.pretrained.files import LoadedModel, list_models, load_model, save_model
from aindnet.pretrained.hub import AINDNet
from aindnet.pretrained.state_dict import export_state_dict

__all__ = [
    "AINDNet",
    "CameraProfile",
    "LoadedModel",
    "ModelCard",
    "export_state_dict",
    "list_models",
    "load_camera_profile",
    "load_model",
    "save_camera_profile",
    "save_model",
]
