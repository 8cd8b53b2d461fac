"""The report folder: `report.html`, `report.md` and `report.json`, each there only when it is
whole.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from aindnet.evaluation.report.markdown import markdown_report
from aindnet.evaluation.report.page import html_report
from aindnet.evaluation.report.showcases import Showcase
from aindnet.whole_files import whole_file


def write_report(
    document: dict[str, Any], showcases: Sequence[Showcase], folder: Path
) -> list[Path]:
    """Write the three files; the page needs no other file and no network.

    Bytes of names that are not UTF-8 are escaped, in JSON by its own escapes.
    """
    contents = {
        "report.json": json.dumps(document, indent=2, ensure_ascii=False) + "\n",
        "report.md": markdown_report(document),
        "report.html": html_report(document, showcases),
    }
    written = []
    for name, text in contents.items():
        with whole_file(folder / name) as partial:
            partial.write_text(text, encoding="utf-8", errors="backslashreplace")
        written.append(folder / name)
    return written
