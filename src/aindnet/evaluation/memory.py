"""How much memory a call adds at its peak."""

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

    def added_mb(self) -> float | None:
        """Peak since the making minus what was resident then, in MB; None where the system does not
        tell.
        """
        if self._before is None:
            return None
        peak = _status_mb("VmHWM")
        return None if peak is None else max(0.0, peak - self._before)


def _status_mb(field: str) -> float | None:
    for line in STATUS.read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) / 1024
    return None
