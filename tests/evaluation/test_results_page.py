"""`tools/write_results.py`: the page of all results from the reports that lie there."""

import importlib.util
import sys
from pathlib import Path

import pytest

from aindnet.evaluation.datasets import open_dataset
from aindnet.evaluation.document import evaluation_document
from aindnet.evaluation.methods import Noisy, OurModel, make_peer
from aindnet.evaluation.provenance import provenance
from aindnet.evaluation.report import write_report
from aindnet.evaluation.runner import evaluate
from evaluation_stand_ins import FakeDenoiser

TOOL = Path(__file__).parents[2] / "tools" / "write_results.py"


@pytest.fixture
def tool(monkeypatch):
    spec = importlib.util.spec_from_file_location("write_results", TOOL)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "write_results", module)
    spec.loader.exec_module(module)
    return module


def test_the_page_has_every_report_and_what_was_not_run(tool, pairs_folder, tmp_path):
    methods = [Noisy(), make_peer("wavelet", "pairs"), OurModel(FakeDenoiser())]
    evaluation = evaluate(open_dataset("pairs", pairs_folder), methods)
    document = evaluation_document(
        evaluation, model="fake", model_hash="0" * 64, provenance=provenance(), ours="fake"
    )
    data = tmp_path / "place" / "of" / "data"
    document["command"] = f"aindnet evaluate polyu --root {data}/real/polyu"
    write_report(document, [], tmp_path / "reports" / "polyu")
    page = tool.results_page(tmp_path / "reports", data)
    assert "aindnet evaluate polyu --root DATA/real/polyu" in page
    assert str(tmp_path) not in page
    assert f"**{document['psnr']:.2f}**" in page
    assert "AINDNet RT" in page
    for missing in ("| DND |", "| SIDD validation |", "| NIND |"):
        assert missing in page
    assert "request the DND data set" in page


def test_every_run_names_a_data_set_that_there_is(tool):
    from aindnet.commands.app import build_app

    names = {run.name for run in tool.RUNS}
    assert len(names) == len(tool.RUNS)
    app = build_app()
    for run in tool.RUNS:
        app.parse_args(run.command(Path("DATA"), Path("reports"), "model"))
