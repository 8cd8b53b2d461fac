"""Fit the compact statistics that the synthetic camera carries, from measured data.

    python tools/fit_camera_statistics.py --responses FILE.npz --profiles FILE.csv

writes `src/aindnet/camera/statistics.json`:

- `response`: the family of camera response curves. Each measured curve (DoRF, Grossberg and Nayar)
  is turned into the logarithm of its slope over 64 irradiances; the mean and the principal
  components of these make any coefficient vector a rising curve.
- `noise`: variance = a·x + b (darktable's contributors) over all cameras and ISOs as it is stored:
  log a is kept as quantiles, log b given log a as a line with normal scatter, channels as ratios.
- `cameras`: for each camera, a per ISO and b = b0 + b2·ISO² of its raw channels, by non-negative
  least squares.

What is stored is no variance of raw channels. darktable's `noiseprofile` takes a developed photo,
demosaiced and white-balanced, and of it the diagonal detail of a Haar transform that halves where
an orthogonal one divides by √2, twice: of white noise a quarter of the variance, and of demosaiced
noise, which has little that is so fine, less still (`detail_share`, with Malvar's interpolation in
place of darktable's). Raw channels have one a, but the stored ones have the white balance in red
and blue. So `cameras` are the green's over that share. `noise` is as stored: the bundled models
were trained under it.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch
from scipy.optimize import nnls

from aindnet.camera.mosaic import demosaic, mosaic

KNOTS = 64
COMPONENTS = 5
OUTPUT = Path(__file__).parents[1] / "src/aindnet/camera/statistics.json"


def detail_share() -> float:
    """Share of a raw channel's variance that darktable's measure finds in demosaiced green."""
    random = torch.Generator().manual_seed(0)
    noise = torch.randn(1, 3, 1024, 1024, generator=random)
    green = demosaic(mosaic(noise))[0, 1]
    detail = (green[::2, ::2] - green[1::2, ::2] - green[::2, 1::2] + green[1::2, 1::2]) / 4
    return float(detail.var())


def fit_responses(path: Path) -> dict[str, object]:
    """The curve family, and how far it is from each measured curve."""
    stored = np.load(path)
    irradiance, brightness = stored["irradiance"], stored["brightness"].astype(np.float64)
    # Knots crowd towards black, where responses are steepest.
    edges = np.linspace(0, 1, KNOTS + 1) ** 2
    values = np.stack([np.interp(edges, irradiance, curve) for curve in brightness])
    slope = np.maximum(np.diff(values, axis=1) / np.diff(edges), 0.02)
    log_slope = np.log(slope)
    mean = log_slope.mean(0)
    _, scale, rows = np.linalg.svd(log_slope - mean, full_matrices=False)
    components, deviation = rows[:COMPONENTS], scale[:COMPONENTS] / np.sqrt(len(values))
    rebuilt = mean + (log_slope - mean) @ components.T @ components
    steps = np.exp(rebuilt) * np.diff(edges)
    curves = np.cumsum(steps, axis=1) / steps.sum(1, keepdims=True)
    error = np.abs(curves - values[:, 1:] / values[:, -1:]).mean(1)
    print(
        f"responses: {len(values)} curves, {COMPONENTS} components, mean |error| "
        f"{error.mean():.4f}, worst curve {error.max():.4f}"
    )
    return {
        "edges": np.round(edges, 6).tolist(),
        "mean_log_slope": np.round(mean, 4).tolist(),
        "components": np.round(components, 4).tolist(),
        "deviation": np.round(deviation, 4).tolist(),
    }


def read_profiles(path: Path) -> list[dict[str, str]]:
    """The rows of the profile table."""
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def fit_noise(rows: list[dict[str, str]]) -> dict[str, object]:
    """The joint prior of shot and read noise over all cameras and ISOs."""
    a = np.array([[float(r[f"a_{c}"]) for c in "rgb"] for r in rows])
    b = np.array([[float(r[f"b_{c}"]) for c in "rgb"] for r in rows])
    log_a = np.log(a[:, 1])
    read = b[:, 1] > 0
    slope, offset = np.polyfit(log_a[read], np.log(b[read, 1]), 1)
    scatter = float(np.std(np.log(b[read, 1]) - slope * log_a[read] - offset))
    quantiles = np.quantile(log_a, np.linspace(0, 1, 33))
    print(
        f"noise: {len(rows)} rows, log a {quantiles[0]:.2f} … {quantiles[-1]:.2f}, "
        f"log b = {slope:.3f}·log a + {offset:.3f} + N(0, {scatter:.3f})"
    )
    return {
        "log_shot_quantiles": np.round(quantiles, 4).tolist(),
        "log_read_slope": round(float(slope), 4),
        "log_read_offset": round(float(offset), 4),
        "log_read_scatter": round(scatter, 4),
        "log_channel_ratio_scatter": [
            round(float(np.std(np.log(a[:, c] / a[:, 1]))), 4) for c in (0, 2)
        ],
    }


def fit_cameras(rows: list[dict[str, str]], share: float) -> dict[str, list[float]]:
    """Per camera: [a per ISO, b0, b2] of a raw channel, variance = a·ISO·x + b0 + b2·ISO².

    `share` is what the profiles hold of a raw channel's variance.
    """
    groups: dict[str, list[dict[str, str]]] = defaultdict(list)
    for row in rows:
        maker, model = row["maker"].strip(), row["model"].strip()
        name = model if model.lower().startswith(maker.lower()) else f"{maker} {model}"
        groups[name].append(row)
    cameras = {}
    for name, group in sorted(groups.items()):
        iso = np.array([float(r["iso"]) for r in group])
        a = np.array([float(r["a_g"]) for r in group]) / share
        b = np.maximum(np.array([float(r["b_g"]) for r in group]), 0) / share
        per_iso = float(np.exp(np.mean(np.log(a / iso))))
        # Relative errors matter: the lowest ISO's variance is a millionth of the highest's.
        weight = 1 / np.maximum(b, 1e-9 / share)
        design = np.stack([np.ones_like(iso), (iso / 1000) ** 2], axis=1) * weight[:, None]
        (b0, b2), _ = nnls(design, b * weight)
        cameras[name] = [float(f"{v:.4g}") for v in (per_iso, b0, b2 / 1e6)]
    print(f"cameras: {len(cameras)}, of a raw channel's variance the profiles hold {share:.4f}")
    return cameras


def main() -> None:
    """Fit and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--responses", type=Path, required=True)
    parser.add_argument("--profiles", type=Path, required=True)
    parser.add_argument("--output", type=Path, default=OUTPUT)
    arguments = parser.parse_args()
    rows = read_profiles(arguments.profiles)
    kept = json.loads(OUTPUT.read_text("utf-8")).get("spectra", {})
    statistics = {
        "source": "response curves: DoRF (Grossberg and Nayar, Columbia University), as sampled "
        "for CBDNet; camera noise: measured by darktable's contributors",
        "response": fit_responses(arguments.responses),
        "noise": fit_noise(rows),
        "cameras": fit_cameras(rows, detail_share()),
        "spectra": kept,  # of tools/fit_noise_spectra.py
    }
    text = json.dumps(statistics, separators=(",", ":"))
    arguments.output.write_text(text.replace('],"', '],\n"') + "\n")


if __name__ == "__main__":
    main()
