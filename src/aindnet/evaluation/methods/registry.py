"""Methods by the names that `--peer` takes."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from aindnet.errors import AindnetError
from aindnet.evaluation.methods.method import Denoised, FloatImage, Method
from aindnet.evaluation.methods.settings import PeerSettings, settings_for

PEER_HELP = (
    "wavelet, nlm, bm3d, ffdnet (each optionally @MULTIPLIER), FILE.onnx, "
    "'command {input} {output}', or all"
)


class UnknownPeerError(AindnetError):
    """A `--peer` that is no known method, no ONNX file and no command."""


def _wavelet(chosen: PeerSettings) -> Method:
    from aindnet.evaluation.methods.classical import Wavelet

    return Wavelet(chosen)


def _nlm(chosen: PeerSettings) -> Method:
    from aindnet.evaluation.methods.classical import NonLocalMeans

    return NonLocalMeans(chosen)


def _bm3d(chosen: PeerSettings) -> Method:
    from aindnet.evaluation.methods.classical import BlockMatching

    return BlockMatching(chosen)


def _ffdnet(chosen: PeerSettings) -> Method:
    from aindnet.evaluation.methods.ffdnet import FFDNet

    return FFDNet(chosen)


PEERS: MappingProxyType[str, Callable[[PeerSettings], Method]] = MappingProxyType(
    {"wavelet": _wavelet, "nlm": _nlm, "bm3d": _bm3d, "ffdnet": _ffdnet}
)


def make_peer(spec: str, dataset: str) -> Method:
    """The method that a `--peer` names, with the settings chosen for the data set."""
    name, _, multiplier = spec.partition("@")
    if name in PEERS:
        chosen = settings_for(name, dataset)
        if multiplier:
            chosen = replace(chosen, multiplier=_positive(multiplier, spec), chosen_on="")
        return PEERS[name](chosen)
    if "{input}" in spec and "{output}" in spec:
        from aindnet.evaluation.methods.executable import Executable

        return Executable(spec)
    if spec.endswith(".onnx"):
        from aindnet.evaluation.methods.onnx_file import OnnxFile

        return OnnxFile(Path(spec))
    raise UnknownPeerError(f"--peer {spec}: not known; there are {PEER_HELP}")


def _positive(text: str, spec: str) -> float:
    try:
        number = float(text)
    except ValueError as error:
        raise UnknownPeerError(f"--peer {spec}: {text} is no number") from error
    if not 0 < number < math.inf:
        raise UnknownPeerError(f"--peer {spec}: {text} must be a number above 0")
    return number


@dataclass(frozen=True)
class Renamed:
    """A peer in a row of another name, as its own is taken."""

    peer: Method
    name: str

    @property
    def settings(self) -> str:
        """The peer's."""
        return self.peer.settings

    @property
    def fingerprint(self) -> str:
        """The peer's."""
        return self.peer.fingerprint

    @property
    def needs_warm_up(self) -> bool:
        """The peer's."""
        return bool(getattr(self.peer, "needs_warm_up", False))

    @property
    def imports_late(self) -> bool:
        """The peer's."""
        return bool(getattr(self.peer, "imports_late", False))

    @property
    def peak_memory_mb(self) -> float | None:
        """The peer's."""
        peak: float | None = getattr(self.peer, "peak_memory_mb", None)
        return peak

    def __call__(self, noisy: FloatImage) -> Denoised:
        """Denoise as the peer does."""
        return self.peer(noisy)


def make_peers(
    specs: Sequence[str], dataset: str, taken: Collection[str] = ("noisy",)
) -> list[Method]:
    """The methods of all `--peer` flags; `all` stands for every built-in one.

    Every row has a name of its own: a peer whose name another row or `taken` has is numbered,
    `ffdnet (2)`.
    """
    expanded = [name for spec in specs for name in (PEERS if spec == "all" else [spec])]
    peers: list[Method] = []
    for spec in dict.fromkeys(expanded):
        peer = make_peer(spec, dataset)
        names = {*taken, *(other.name for other in peers)}
        if peer.name in names:
            free = (f"{peer.name} ({n})" for n in range(2, len(names) + 3))
            peer = Renamed(peer, next(name for name in free if name not in names))
        peers.append(peer)
    return peers
