"""The camera as the source of noise: clean photos in, noisy photos and true noise maps out.

Every stage is a function on (B, C, H, W) tensors, on any device, seeded by a `torch.Generator`.
"""

from aindnet.camera.compression import jpeg, round_to_8_bits
from aindnet.camera.mosaic import demosaic, mosaic
from aindnet.camera.processing import chroma_gain, gaussian_blur, low_frequency_field, smooth_noise
from aindnet.camera.recipe import CameraRecipe
from aindnet.camera.response import Response, identity_response, sample_responses, srgb_response
from aindnet.camera.sensor import (
    SensorNoise,
    camera_noise,
    list_cameras,
    noise_variance,
    sample_noise_prior,
    sensor_noise,
)
from aindnet.camera.simulator import Simulated, simulate

__all__ = [
    "CameraRecipe",
    "Response",
    "SensorNoise",
    "Simulated",
    "camera_noise",
    "chroma_gain",
    "demosaic",
    "gaussian_blur",
    "identity_response",
    "jpeg",
    "list_cameras",
    "low_frequency_field",
    "mosaic",
    "noise_variance",
    "round_to_8_bits",
    "sample_noise_prior",
    "sample_responses",
    "sensor_noise",
    "simulate",
    "smooth_noise",
    "srgb_response",
]
