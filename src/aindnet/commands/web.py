"""`aindnet web`: the local web page."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter, validators


def web(
    *,
    host: str = "127.0.0.1",
    port: Annotated[int, Parameter(validator=validators.Number(gte=1, lte=65535))] = 7860,
    model: str | None = None,
    camera: Path | None = None,
    open_: Annotated[bool, Parameter(name="--open", negative=())] = False,
) -> int:
    """Serve a web page that denoises photos: before and after, at 100 to 400 %, and the file.

    Nothing is loaded from the net, and no photo leaves this machine.

    Parameters
    ----------
    host
        Address to serve at. Only this machine reaches 127.0.0.1; with 0.0.0.0 everyone on the
        network can use the page.
    port
        Port to serve at.
    model
        A bundled or installed model, or a weights file, to begin with.
    camera
        A camera profile for it.
    open_
        Open the page in the browser.
    """
    from aindnet.commands.signals import terminate_like_ctrl_c
    from aindnet.pretrained.files import list_models
    from aindnet.web.desk import Desk
    from aindnet.web.page import build_page, is_local, serve
    from aindnet.web.temporary import temporary_folder

    desk = Desk(model, camera)
    models = {desk.model: Path(desk.model).stem}
    models |= {card.name: card.name for card in list_models() if card.name not in models}
    with terminate_like_ctrl_c(), temporary_folder() as results:
        os.environ["GRADIO_TEMP_DIR"] = os.fspath(results)
        page = build_page(desk, models, results)
        address = serve(page, host, port, open_browser=open_)
        print(f"aindnet: {address} (Ctrl-C stops it)", file=sys.stderr, flush=True)
        if not is_local(host):
            print("aindnet: everyone who reaches this machine can use the page", file=sys.stderr)
        page.block_thread()
    return 0
