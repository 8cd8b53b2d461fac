"""The page itself, in gradio."""

from __future__ import annotations

import ipaddress
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urlsplit

from aindnet.commands.batch.settings import Settings
from aindnet.errors import AindnetError, MissingExtraError
from aindnet.photo import write_image
from aindnet.photo.formats import SUFFIXES
from aindnet.web.desk import Denoised, Desk
from aindnet.web.view import Pixels, View

if TYPE_CHECKING:
    from gradio import Blocks

# What the browser may load and call: this server, and nothing else. The photos stay here.
SECURITY = (
    "default-src 'self' data: blob: 'unsafe-inline' 'unsafe-eval'; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'self'"
)
ZOOMS = {"100 %": 1, "200 %": 2, "400 %": 4}
_HOUR = 3600
_INTRODUCTION = """# aindnet
Cleans real photographs of real camera noise. The photo stays on the machine that runs this page;
the file that comes back keeps depth, colour profile and metadata."""


def build_page(desk: Desk, models: Mapping[str, str], results: Path) -> Blocks:
    """The page of a desk.

    `models` are names to choose from and what to show for each. Files are written below `results`,
    which is gradio's folder of temporary files too (GRADIO_TEMP_DIR): it serves them from there,
    and copies none. A tab's results and pictures are removed with its next photo, and an hour after
    it is closed; uploads, which tabs with the same photo share, and all else, four hours after they
    came. Raises `MissingExtraError` without gradio.
    """
    gr = _gradio()

    def denoise(
        photo: str | None,
        strength: float,
        colour: float,
        extras: list[str],
        model: str,
        camera: str | None,
        zoom: str,
        before: tuple[View, Path] | None,
        progress: Any = gr.Progress(),  # noqa: B008  (how gradio hands it over)
    ) -> tuple[Any, ...]:
        if not photo:
            raise gr.Error("Choose a photo first.", print_exception=False)
        folder = Path(tempfile.mkdtemp(dir=results))
        try:
            done = desk.denoise(
                Path(photo),
                folder,
                Settings(
                    strength=strength,
                    chroma_strength=None if colour == strength else colour,
                    ensemble="ensemble" in extras,
                    noise_map="noise map" in extras,
                    compare="compare sheet" in extras,
                ),
                model=model,
                camera=Path(camera) if camera else None,
                progress=lambda share: progress(share, desc="Denoising"),
            )
            across, down = done.view.place
            whole = _pictures(folder, "whole", done.view.whole())
            near = _pictures(folder, "near", done.view.near(across, down, ZOOMS[zoom]))
        except BaseException as error:
            shutil.rmtree(folder, ignore_errors=True)
            if isinstance(error, AindnetError):
                raise gr.Error(str(error), print_exception=False) from error
            raise
        forget(before)
        return (
            whole,
            near,
            [str(path) for path in done.files],
            _facts(done),
            round(100 * across),
            round(100 * down),
            (done.view, folder),
        )

    def look(shown: tuple[View, Path] | None, across: float, down: float, zoom: str) -> Any:
        if not shown:
            return None
        view, folder = shown
        return _pictures(folder, "near", view.near(across / 100, down / 100, ZOOMS[zoom]))

    def forget(shown: tuple[View, Path] | None) -> None:
        if shown:
            shutil.rmtree(shown[1], ignore_errors=True)

    with gr.Blocks(
        title="aindnet",
        analytics_enabled=False,
        delete_cache=(_HOUR // 4, 4 * _HOUR),
    ) as page:
        shown = gr.State(None, delete_callback=forget)
        gr.Markdown(_INTRODUCTION)
        with gr.Row():
            with gr.Column(scale=1, min_width=300):
                photo = gr.File(label="Photo", file_types=sorted(SUFFIXES), type="filepath")
                button = gr.Button("Denoise", variant="primary")
                facts = gr.Markdown()
                files = gr.File(label="Results", interactive=False, file_count="multiple")
                strength = gr.Slider(
                    0, 1, 1, step=0.05, label="Strength", info="how much of the noise goes"
                )
                colour = gr.Slider(
                    0, 1, 1, step=0.05, label="Colour strength", info="how much of the colour noise"
                )
                extras = gr.CheckboxGroup(
                    [
                        ("Eight passes (slower, a little better)", "ensemble"),
                        ("Noise map", "noise map"),
                        ("Compare sheet", "compare sheet"),
                    ],
                    label="Also make",
                )
                with gr.Accordion("Model and camera", open=False):
                    model = gr.Dropdown(
                        [(text, name) for name, text in models.items()],
                        value=next(iter(models)),
                        label="Model",
                        info="for photos; aindnet-gaussian is for white noise: scans, renders",
                    )
                    camera = gr.File(
                        label="Camera profile (from `aindnet adapt`)",
                        file_types=[".safetensors"],
                        type="filepath",
                        height=120,
                    )
            with gr.Column(scale=3):
                whole = gr.ImageSlider(
                    label="Before and after", interactive=False, format="png", max_height=640
                )
                with gr.Row():
                    zoom = gr.Radio(list(ZOOMS), value="200 %", label="Zoom")
                    across = gr.Slider(0, 100, 50, step=1, label="Position, left to right, in %")
                    down = gr.Slider(0, 100, 50, step=1, label="Position, top to bottom, in %")
                near = gr.ImageSlider(
                    label="Before and after, enlarged",
                    interactive=False,
                    format="png",
                    max_height=960,
                )
        button.click(
            denoise,
            [photo, strength, colour, extras, model, camera, zoom, shown],
            [whole, near, files, facts, across, down, shown],
            api_name="denoise",
            concurrency_limit=1,
            concurrency_id="network",
        )
        strength.input(lambda value: value, strength, colour, queue=False, api_name=False)
        for control in (across.release, down.release, zoom.change):
            control(look, [shown, across, down, zoom], near, show_progress="hidden", api_name=False)
    made: Blocks = page
    return made


def serve(page: Blocks, host: str, port: int, *, open_browser: bool = False) -> str:
    """Start serving in the background; the address. Raises `AindnetError` where that cannot be."""
    from starlette.middleware import Middleware

    gr = _gradio()
    if ":" in host and not host.startswith("["):
        host = f"[{host}]"  # IPv6
    font = ["ui-sans-serif", "system-ui", "sans-serif"]
    try:
        _, address, _ = page.launch(
            server_name=host,
            server_port=port,
            inbrowser=open_browser,
            share=False,
            quiet=True,
            prevent_thread_lock=True,
            footer_links=[],
            run_history=False,  # it could keep photos on the hub
            ssr_mode=False,
            max_file_size="4gb",
            theme=gr.themes.Default(font=font, font_mono=["ui-monospace", "monospace"]),
            app_kwargs={"middleware": [Middleware(_Guard, local=is_local(host))]},
        )
    except Exception as error:  # gradio raises plain ones where its own server cannot be reached
        page.close()
        raise AindnetError(
            f"http://{host}:{port}: cannot be served there ({error}); "
            "give another --port, or --host 127.0.0.1"
        ) from error
    return str(address)


def is_local(host: str) -> bool:
    """Whether only this machine reaches a host.

    >>> [is_local(host) for host in ("127.0.0.1", "[::1]", "localhost", "0.0.0.0", "photos.lan")]
    [True, True, True, False, False]
    """
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _network_place(address: str) -> SplitResult:
    """The parts of an address that a browser sent; none of what is no address."""
    try:
        return urlsplit(address)
    except ValueError:
        return urlsplit("")


class _Guard:
    """Adds the security policy to every answer, and refuses what other sites' pages send.

    Where the page is this machine's alone, it answers to this machine's names alone: a name that
    is made to point here (DNS rebinding) is refused.
    """

    def __init__(self, app: Any, local: bool) -> None:
        self._app = app
        self._local = local

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        host, origin = headers.get(b"host", ""), headers.get(b"origin", "")
        foreign = bool(origin) and _network_place(origin).netloc != host
        if foreign or (self._local and not is_local(_network_place(f"//{host}").hostname or "")):
            start = {"type": "http.response.start", "status": 403, "headers": []}
            await send(start)
            await send({"type": "http.response.body", "body": b"not from there\n"})
            return

        async def sending(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [
                    *message.get("headers", ()),
                    (b"content-security-policy", SECURITY.encode()),
                    (b"referrer-policy", b"no-referrer"),
                ]
            await send(message)

        await self._app(scope, receive, sending)


def _pictures(folder: Path, name: str, sides: tuple[Pixels, Pixels]) -> tuple[str, str]:
    """Before and after as files of their own in a folder, which the browser may still load when
    the next are made.
    """
    place = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=folder))
    before, after = place / "before.png", place / "after.png"
    for path, pixels in zip((before, after), sides, strict=True):
        write_image(path, pixels)
    return str(before), str(after)


def _facts(done: Denoised) -> str:
    level = 255 * done.noise_level
    lines = [
        f"Estimated noise: σ = **{level:.1f}** of 255. {done.seconds:.1f} s by {done.running}.",
        *(f"- {notice}" for notice in done.notices),
    ]
    return "\n".join(lines)


def _gradio() -> Any:
    try:
        import gradio
    except ImportError as error:
        raise MissingExtraError("gradio", "web") from error
    return gradio
