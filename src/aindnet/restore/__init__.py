"""The denoiser: tiles, statistics, ensemble and backends behind one call."""

from aindnet.restore.denoiser import Denoiser, Restored
from aindnet.restore.streaming import ArraySource, Band, RowSource

__all__ = ["ArraySource", "Band", "Denoiser", "Restored", "RowSource"]
