"""The network of Kim et al., CVPR 2020: a U-Net of AIN blocks and a noise-level estimator."""

from aindnet.network.adaptive_norm import (
    AdaptiveInstanceNorm,
    AINResBlock,
    InstanceNorm,
    RunningNorm,
    Unnormalized,
)
from aindnet.network.aindnet import AINDNet, AINDNetOutput, is_transfer_parameter
from aindnet.network.config import AINDNetConfig
from aindnet.network.noise_estimator import NoiseLevel, NoiseLevelEstimator

__all__ = [
    "AINDNet",
    "AINDNetConfig",
    "AINDNetOutput",
    "AINResBlock",
    "AdaptiveInstanceNorm",
    "InstanceNorm",
    "NoiseLevel",
    "NoiseLevelEstimator",
    "RunningNorm",
    "Unnormalized",
    "is_transfer_parameter",
]
