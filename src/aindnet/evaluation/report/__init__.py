"""An evaluation as a page, as Markdown and as JSON."""

from aindnet.evaluation.report.showcases import Showcase, make_showcases
from aindnet.evaluation.report.write import write_report

__all__ = ["Showcase", "make_showcases", "write_report"]
