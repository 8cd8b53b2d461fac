"""Bundles for benchmarks whose truth only their server knows: DND and SIDD."""

from aindnet.evaluation.submission.dnd import bundle_dnd, denoise_dnd
from aindnet.evaluation.submission.sidd import bundle_sidd, denoise_sidd
from aindnet.evaluation.submission.submit import submit

__all__ = ["bundle_dnd", "bundle_sidd", "denoise_dnd", "denoise_sidd", "submit"]
