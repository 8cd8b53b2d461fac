"""Denoise sample photos with the bundled model and write a page to look at.

    python tools/demo.py --output demo

The photos ship with scikit-image (public domain or CC0). Two get the noise of a measured camera,
two that of the synthetic camera's broad recipe; the last is a real photograph through a real
telescope, noise and all. Everything runs offline.
"""

from __future__ import annotations

import argparse
import base64
import html
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import skimage
import torch
from rich.progress import track

from aindnet import Denoiser
from aindnet.camera import CameraRecipe, camera_noise, simulate
from aindnet.photo import read_image, write_image

Image = npt.NDArray[np.uint8]
PHOTOS = Path(skimage.__file__).parent / "data"


@dataclass(frozen=True)
class Sample:
    """A photo of the page and the noise it is given."""

    file: str
    title: str
    camera: str | None = None
    iso: float = 0
    seed: int | None = None
    crop: tuple[slice, slice] = (slice(None), slice(None))


SAMPLES = (
    Sample("chelsea.png", "Chelsea", camera="Canon EOS 5D Mark II", iso=6400, seed=1),
    Sample("coffee.png", "Coffee", camera="Nikon D800", iso=12800, seed=2),
    Sample("astronaut.png", "Astronaut", seed=4),
    Sample("rocket.jpg", "Rocket", seed=7),
    Sample("hubble_deep_field.jpg", "Hubble deep field", crop=(slice(0, 480), slice(0, 640))),
)

STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 1080px; margin: 2rem auto; padding: 0 1rem; }
h1 { font-weight: 600; margin-bottom: 0; } h2 { font-weight: 600; margin: 2.5rem 0 .2rem; }
p { margin: .2rem 0 .8rem; opacity: .8; }
.pair { position: relative; overflow: hidden; border-radius: 6px; line-height: 0; }
.pair img { width: 100%; image-rendering: pixelated; }
.pair .after { position: absolute; inset: 0; clip-path: inset(0 0 0 var(--at, 50%)); }
.pair input { position: absolute; inset: 0; width: 100%; height: 100%; opacity: 0;
  cursor: ew-resize; }
.pair .line { position: absolute; top: 0; bottom: 0; left: var(--at, 50%); width: 2px;
  background: #fff; box-shadow: 0 0 4px #000; pointer-events: none; }
.tag { position: absolute; bottom: 8px; padding: .1rem .5rem; border-radius: 4px; line-height: 1.4;
  background: #000a; color: #fff; font-size: .8rem; pointer-events: none; }
.row { display: grid; grid-template-columns: 2fr 1fr; gap: 1rem; align-items: start; }
.row figure { margin: 0; } .row figure img { width: 100%; border-radius: 6px; }
figcaption { font-size: .8rem; opacity: .8; }
@media (max-width: 700px) { .row { grid-template-columns: 1fr; } }
"""


def noisy_photo(sample: Sample) -> tuple[Image, Image | None, str]:
    """The noisy photo, the clean one where there is one, and what made it noisy."""
    photo = read_image(PHOTOS / sample.file)[sample.crop]
    if sample.seed is None:
        return photo, None, "a real photograph with its own noise"
    clean = torch.from_numpy(photo).permute(2, 0, 1)[None] / 255
    generator = torch.Generator().manual_seed(sample.seed)
    if sample.camera is None:
        noisy = simulate(clean, generator, CameraRecipe()).noisy
        origin = "noise of the synthetic camera"
    else:
        sensor = camera_noise(sample.camera, sample.iso)
        noisy = simulate(
            clean, generator, CameraRecipe(resample=0.0, smooth=0.0), sensor=sensor
        ).noisy
        origin = f"noise measured on a {sample.camera} at ISO {sample.iso:.0f}"
    pixels = (noisy[0].permute(1, 2, 0) * 255).round().to(torch.uint8).numpy()
    return np.ascontiguousarray(pixels), photo, origin


def psnr(image: Image, reference: Image) -> float:
    """Peak signal-to-noise ratio in dB of 8-bit images."""
    error = np.mean((image.astype(float) - reference) ** 2)
    return float(10 * np.log10(255**2 / error))


def embed(path: Path) -> str:
    """A PNG file as a data address."""
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()


def section(sample: Sample, denoiser: Denoiser, folder: Path) -> str:
    """One photo of the page; its pictures are written to the folder as well."""
    noisy, clean, origin = noisy_photo(sample)
    result = denoiser(noisy)
    stem = Path(sample.file).stem
    peak = max(float(result.noise_level.max()), 1e-3)
    level = np.round(np.clip(result.noise_level / peak, 0, 1) * 255).astype(np.uint8)
    files = {}
    for kind, pixels in (("noisy", noisy), ("denoised", result.image), ("noise-map", level)):
        files[kind] = folder / f"{stem}.{kind}.png"
        write_image(files[kind], pixels)
    text = f"{html.escape(origin)}; estimated σ {255 * result.noise_level.mean():.1f} of 255"
    if clean is not None:
        text += f"; {psnr(noisy, clean):.1f} dB before, {psnr(result.image, clean):.1f} dB after"
    return f"""
<h2>{html.escape(sample.title)}</h2><p>{text}</p>
<div class="row"><div class="pair">
<img src="{embed(files["noisy"])}" alt="before">
<img class="after" src="{embed(files["denoised"])}" alt="after">
<span class="tag" style="left:8px">before</span><span class="tag" style="right:8px">after</span>
<div class="line"></div>
<input type="range" min="0" max="100" value="50" aria-label="before and after"
oninput="this.parentNode.style.setProperty('--at', this.value + '%')">
</div><figure><img src="{embed(files["noise-map"])}" alt="noise map">
<figcaption>estimated noise level, white = {255 * peak:.1f} of 255</figcaption></figure></div>"""


def main() -> None:
    """Make the page."""
    parser = argparse.ArgumentParser(description="Denoise sample photos and write a page.")
    parser.add_argument("--output", type=Path, default=Path("demo"))
    folder: Path = parser.parse_args().output
    folder.mkdir(parents=True, exist_ok=True)
    denoiser = Denoiser.from_pretrained()
    sections = [section(sample, denoiser, folder) for sample in track(SAMPLES, "denoising")]
    page = folder / "index.html"
    page.write_text(
        "<!doctype html><html lang='en'><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width'><title>aindnet</title>"
        f"<style>{STYLE}</style><h1>aindnet</h1>"
        f"<p>{html.escape(denoiser.model_name)}, offline, on this machine. Drag over a photo.</p>"
        f"{''.join(sections)}</html>",
        encoding="utf-8",
    )
    print(f"open {page}")


if __name__ == "__main__":
    main()
