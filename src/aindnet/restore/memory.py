"""How much memory calls take at their peak."""

from __future__ import annotations

from pathlib import Path

STATUS = Path("/proc/self/status")
RESET = Path("/proc/self/clear_refs")


class PeakMemory:
    """Watches the process's peak resident memory from its making on; Linux only, elsewhere nothing
    is known.
    """

    def __init__(self) -> None:
        self._before = None
        try:
            # "5" sets the peak back to what is resident now (man 5 proc).
            RESET.write_text("5")
            self._before = _status_mb("VmRSS")
        except OSError:
            return

    def peak_mb(self) -> float | None:
        """Peak since the making, in MB; None where the system does not tell."""
        return None if self._before is None else _status_mb("VmHWM")

    def added_mb(self) -> float | None:
        """Peak since the making minus what was resident then, in MB; None where the system does not
        tell.
        """
        peak = self.peak_mb()
        return None if peak is None or self._before is None else max(0.0, peak - self._before)


def _status_mb(field: str) -> float | None:
    for line in STATUS.read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) / 1024
    return None
