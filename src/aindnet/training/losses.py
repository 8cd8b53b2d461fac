"""The losses of the synthetic-noise (SN) task.

Source: Kim et al., CVPR 2020, section 3.5; the asymmetric loss after CBDNet (Guo et al., 2019).
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from aindnet.network import AINDNetOutput

RestorationLoss = Literal["l1", "relative_l1", "log_mse"]
EstimatorLoss = Literal["squared", "relative"]

ASYMMETRY = 0.25
"""α: over-estimation costs α, under-estimation 1 − α."""
COARSE_WEIGHT, FINE_WEIGHT = 0.8, 0.2
RELATIVE_OFFSET = 3 / 255
RESTORATION_OFFSET = 10 / 255
REMEMBERING_OFFSET = 2 / 255


def asymmetric_loss(estimate: Tensor, truth: Tensor, alpha: float = ASYMMETRY) -> Tensor:
    """Mean of |α − 1(σ̂ − σ < 0)|·(σ̂ − σ)²: under-estimation costs 0.75, over-estimation 0.25.

    >>> one = torch.ones(1)
    >>> asymmetric_loss(0 * one, one).item(), asymmetric_loss(2 * one, one).item()
    (0.75, 0.25)
    """
    difference = estimate - truth
    weight = torch.where(difference < 0, 1 - alpha, alpha)
    return (weight * difference.square()).mean()


def noise_level_loss(
    output: AINDNetOutput, noise_level: Tensor, kind: EstimatorLoss = "squared"
) -> Tensor:
    """The asymmetric loss at both scales of the estimator; σ coarse is the pooled σ fine.

    `noise_level` (B, C, H, W) is the true map on the photo's grid. "squared" is the paper's;
    "relative" divides the error by σ + 3/255, so that 10 % off costs about the same at every
    level (squared errors of weak noise are too small to be learned from; with a smaller offset the
    nearly clean photos of a batch outweigh the rest and push the estimator's ReLUs into silence).
    """

    def pooled(like: Tensor) -> Tensor:
        return F.adaptive_avg_pool2d(noise_level, (like.shape[-2], like.shape[-1]))

    def loss(estimate: Tensor) -> Tensor:
        truth = pooled(estimate)
        unit = truth + RELATIVE_OFFSET if kind == "relative" else torch.ones_like(truth)
        return asymmetric_loss(estimate / unit, truth / unit)

    coarse, fine = output.noise_level_coarse.float(), output.noise_level_fine.float()
    return COARSE_WEIGHT * loss(coarse) + FINE_WEIGHT * loss(fine)


def restoration_loss(
    denoised: Tensor,
    clean: Tensor,
    kind: RestorationLoss = "l1",
    noise_level: Tensor | None = None,
) -> Tensor:
    """How far the denoised photos (B, C, H, W) are from the clean ones.

    "l1": the paper's mean absolute error, in which the noisiest images of a batch decide.
    "relative_l1": each image's divided by its mean true noise level + 10/255, so that weak noise
    counts too; it needs `noise_level` (B, C, H, W).
    "log_mse": half the logarithm of each image's mean square error, averaged over the batch, so
    that a decibel counts the same at every noise level; ε = 1e-5 (0.8/255 squared) lets images that
    are clean already count for little.
    """
    difference = denoised.float() - clean.float()
    if kind == "l1":
        return difference.abs().mean()
    if kind == "relative_l1":
        if noise_level is None:
            raise ValueError('loss "relative_l1" needs the true noise level')
        unit = noise_level.mean(dim=(1, 2, 3)) + RESTORATION_OFFSET
        return (difference.abs().mean(dim=(1, 2, 3)) / unit).mean()
    return 0.5 * torch.log(difference.square().mean(dim=(1, 2, 3)) + 1e-5).mean()


def remembering_loss(denoised: Tensor, known: Tensor, noise_level: Tensor) -> Tensor:
    """How far results (B, C, H, W) have moved from those of the network before, `known`.

    Mean square distance of each image over a tenth of its mean noise level (B, C, H, W or what
    broadcasts to it) + 2/255: about what the network before leaves of noise, so that a step of
    that size costs as much as in L1, and smaller ones less.
    Source: after Li and Hoiem, "Learning without Forgetting", ECCV 2016, for images on [0, 1].
    """
    left = 0.1 * noise_level.mean(dim=(1, 2, 3)) + REMEMBERING_OFFSET
    distance = (denoised.float() - known.float()).square().mean(dim=(1, 2, 3))
    return (distance / left).mean()


class SyntheticNoiseLoss(NamedTuple):
    """The SN task's loss and its parts."""

    total: Tensor
    restoration: Tensor
    noise_level: Tensor
    remembering: Tensor


def synthetic_noise_loss(
    output: AINDNetOutput,
    clean: Tensor,
    noise_level: Tensor,
    *,
    kind: RestorationLoss = "l1",
    estimator: EstimatorLoss = "squared",
    estimator_weight: float = 0.05,
    known: Tensor | None = None,
    remember: float = 0.0,
) -> SyntheticNoiseLoss:
    """The SN task's loss: restoration + `estimator_weight` · L_asym (paper: L1, squared, 0.05).

    Where a network's earlier results on the first images of the batch are `known`, these are held
    to instead of the clean images: + `remember` · `remembering_loss`.
    """
    kept = 0 if known is None else len(known)
    restoration = restoration_loss(output.denoised[kept:], clean[kept:], kind, noise_level[kept:])
    estimation = noise_level_loss(output, noise_level, estimator)
    total = restoration + estimator_weight * estimation
    remembering = torch.zeros_like(total)
    if known is not None:
        remembering = remembering_loss(output.denoised[:kept], known, noise_level[:kept])
        total = total + remember * remembering
    return SyntheticNoiseLoss(total, restoration, estimation, remembering)
