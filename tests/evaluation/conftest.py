"""The room's fixtures."""

from evaluation_stand_ins import fake_denoiser, pairs_folder

__all__ = ["fake_denoiser", "pairs_folder"]
