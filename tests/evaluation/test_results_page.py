"""`tools/write_results.py`: the page of all results, and what is run for it."""

import importlib
import json
import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from aindnet.commands.app import build_app
from aindnet.evaluation.datasets import open_dataset
from aindnet.evaluation.document import evaluation_document
from aindnet.evaluation.methods import PEERS, Noisy, OurModel, make_peer
from aindnet.evaluation.methods.settings import PeerSettings
from aindnet.evaluation.provenance import command_line, provenance
from aindnet.evaluation.report import write_report
from aindnet.evaluation.runner import evaluate
from aindnet.restore.code import DENOISING_CODE
from evaluation_stand_ins import FakeDenoiser

DEV_SETS = ("polyu", "polyu-fullres", "renoir", "sidd-sample", "samples")
TOOLS = Path(__file__).parents[2] / "tools"


@pytest.fixture
def tool(monkeypatch, known):
    monkeypatch.syspath_prepend(str(TOOLS))
    module = importlib.import_module("write_results")
    monkeypatch.setattr(module, "chosen_settings", known)
    return module


@pytest.fixture
def known():
    """Settings of every peer on every dev set; `without` holds those that are not chosen yet."""

    def chosen():
        peers = {(peer, name) for peer in PEERS for name in DEV_SETS}
        return dict.fromkeys(peers - chosen.without, PeerSettings(2.0))

    chosen.without = set()
    chosen.cache_clear = chosen.without.clear
    return chosen


@pytest.fixture
def tables(tool):
    return importlib.import_module("results_tables")


@pytest.fixture
def places(tables, tmp_path):
    data = tmp_path / "place" / "of" / "data"
    for table in tables.TABLES:
        (data / table.place).mkdir(parents=True, exist_ok=True)
    return tables.Places(
        data, tmp_path / "reports", tmp_path / "figures", kept_scores=tmp_path / "kept"
    )


@pytest.fixture
def weights(tmp_path):
    path = tmp_path / "place" / "model.safetensors"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"weights")
    return path


class FakeRunner:
    """Remembers the commands, and leaves the reports that they would."""

    def __init__(self, places):
        self.places, self.model_hash, self.code = places, "", DENOISING_CODE
        self.commands, self.tools = [], []

    def aindnet(self, arguments):
        self.commands.append(arguments)
        if "--output" not in arguments:
            return True
        folder = Path(arguments[arguments.index("--output") + 1])
        peers = [arguments[i + 1] for i, word in enumerate(arguments) if word == "--peer"]
        dataset = "polyu-fullres" if "fullres" in arguments else arguments[1]
        methods = [{"name": p, "settings": make_peer(p, dataset).settings} for p in peers]
        folder.mkdir(parents=True, exist_ok=True)
        report = {
            "dataset": dataset,
            "command": command_line(["aindnet", *arguments]),
            "model_hash": self.model_hash,
            "code": self.code,
            "methods": methods,
        }
        (folder / "report.json").write_text(json.dumps(report))
        if "--figure" in arguments:
            figure = Path(arguments[arguments.index("--figure") + 1])
            figure.parent.mkdir(parents=True, exist_ok=True)
            figure.touch()
        return True

    def tool(self, name, arguments):
        self.tools.append((name, arguments))
        return True


def run(tool, tables, runner, weights, **options):
    """Run every table with this model file; the commands that it took."""
    runner.commands.clear()
    runner.model_hash = tool.file_sha256(weights)
    tool.run_tables(runner, tables.TABLES, runner.places, str(weights), **options)
    return list(runner.commands)


def test_the_page_has_every_report_and_what_was_not_run(tool, places, pairs_folder):
    methods = [Noisy(), make_peer("wavelet", "pairs"), OurModel(FakeDenoiser())]
    evaluation = evaluate(open_dataset("pairs", pairs_folder), methods)
    document = evaluation_document(
        evaluation, model="fake", model_hash="0" * 64, provenance=provenance(), ours="fake"
    )
    document["command"] = (
        f"aindnet evaluate polyu --root {places.data}/real/polyu --model {places.data}/runs/m.st "
        f"--output {places.reports}/polyu"
    )
    write_report(document, [], places.reports / "polyu")
    page = tool.results_page(places)
    assert (
        "aindnet evaluate polyu --root DATA/real/polyu --model m.st --output runs/results/polyu"
        in page
    )
    assert str(places.data.parent) not in page
    assert f" {document['psnr']:.2f} " in page
    assert "Ours is fake" in page
    assert "AINDNet RT" in page
    for missing in ("| DND,", "| SIDD validation,", "| CC,", "| Nam,", "| NIND,"):
        assert missing in page
    assert "request the DND data set" in page


def test_tables_of_different_weights_are_said_to_be_so(tool):
    documents = [{"model": "m", "model_hash": digest * 64} for digest in "ab"]
    assert "Not all tables are of the same weights" in tool.models_of(documents)


def test_every_command_of_the_page_is_one_that_there_is(tables, places):
    names = [table.name for table in tables.TABLES]
    assert len(set(names)) == len(names)
    app = build_app()
    for table in tables.TABLES:
        app.parse_args(table.model_command(places, "model"))
        for peer in table.peers:
            app.parse_args(table.peer_command(places, peer))
    for entry in tables.NOT_RUN:
        for command in entry.commands:
            program, *arguments = shlex.split(command)
            assert program == "aindnet"
            app.parse_args(arguments)


def test_peers_run_alone_and_before_the_model(tool, tables, places, weights):
    commands = run(tool, tables, FakeRunner(places), weights)
    folder = places.reports / "polyu"
    polyu = [c for c in commands if c[-1] in (str(folder), str(folder / "scores.jsonl"))]
    assert [c[c.index("--peer") + 1] for c in polyu[:4]] == list(tables.ALL_PEERS)
    assert all(c[c.index("--model") + 1] == "none" and "--output" not in c for c in polyu[:4])
    assert polyu[4][polyu[4].index("--model") + 1] == str(weights)


def test_what_has_a_report_is_not_run_again(tool, tables, places, weights):
    runner = FakeRunner(places)
    run(tool, tables, runner, weights)
    assert run(tool, tables, runner, weights) == []
    (places.figures / "samples.png").unlink()
    [drawn] = run(tool, tables, runner, weights)
    assert "--figure" in drawn


def test_a_new_model_leaves_the_peers_alone(tool, tables, places, weights):
    runner = FakeRunner(places)
    run(tool, tables, runner, weights)
    weights.write_bytes(b"other weights")
    commands = run(tool, tables, runner, weights)
    assert len(commands) == len(tables.TABLES)
    assert not any("none" in command for command in commands)
    other = weights.with_name("other.safetensors")
    other.write_bytes(b"third weights")
    assert not any("none" in command for command in run(tool, tables, runner, other))


def test_other_code_measures_the_model_again(tool, tables, places, weights):
    runner = FakeRunner(places)
    runner.code = "of before"
    run(tool, tables, runner, weights)
    runner.code = DENOISING_CODE
    commands = run(tool, tables, runner, weights)
    assert len(commands) == len(tables.TABLES)
    assert not any("none" in command for command in commands)
    assert run(tool, tables, runner, weights) == []


def test_new_settings_of_a_peer_are_measured(tool, tables, places, weights, monkeypatch):
    runner = FakeRunner(places)
    run(tool, tables, runner, weights)
    original = tables.make_peer

    def changed(peer, dataset):
        if (peer, dataset) == ("nlm", "renoir"):
            return original("nlm@9", dataset)
        return original(peer, dataset)

    monkeypatch.setattr(tables, "make_peer", changed)
    commands = run(tool, tables, runner, weights)
    assert {command[1] for command in commands} == {"renoir"}
    assert len(commands) == 5


def test_a_peer_without_settings_has_them_chosen(tool, tables, places, weights, known):
    known.without.add(("bm3d", "renoir"))
    runner = FakeRunner(places)
    run(tool, tables, runner, weights)
    [(name, arguments)] = runner.tools
    assert name == "choose_peer_settings.py"
    assert arguments == [
        *("--root", str(places.data / "real"), "--dataset", "renoir"),
        *("--peer", "bm3d", "--write"),
    ]
    known.without.add(("bm3d", "renoir"))
    assert len(run(tool, tables, runner, weights)) == 5


def test_measuring_anew_forgets_that_part_alone(tool, tables, places, weights):
    journal = places.reports / "polyu" / "scores.jsonl"
    journal.parent.mkdir(parents=True)
    scores = [json.dumps({"key": n, "score": {"method": n}}) for n in ("noisy", "nlm", "ours")]
    journal.write_text("\n".join([*scores, '{"cut off']))
    run(tool, tables, FakeRunner(places), weights, parts=("model",), again=True)
    assert journal.read_text().splitlines() == scores[:2]


def test_measuring_the_model_anew_starts_from_the_kept_peers(tool, tables, places, weights):
    kept = tables.TABLES[0].kept_scores(places)
    kept.parent.mkdir(parents=True)
    kept.write_text(score_line("noisy", 1) + "\n" + score_line("bm3d", 1))
    run(tool, tables, FakeRunner(places), weights, parts=("model",), again=True)
    journal = places.reports / "polyu" / "scores.jsonl"
    assert journal.read_text() == kept.read_text()


def score_line(method, value):
    return json.dumps({"key": f"{method} {value}", "score": {"method": method, "image": "a"}})


def test_peers_scores_stay_with_the_page(tool, tables, places):
    table = tables.TABLES[0]
    journal = places.reports / "polyu" / "scores.jsonl"
    journal.parent.mkdir(parents=True)
    scores = [score_line(name, 1) for name in ("noisy", "bm3d", "ours")]
    of_settings_before = score_line("bm3d", 0)
    journal.write_text("\n".join([of_settings_before, *scores, '{"cut off']))
    tool.keep_scores(table, places)
    assert set(table.kept_scores(places).read_text().splitlines()) == set(scores[:2])
    # Another checkout starts from them; what it has itself is left alone.
    journal.unlink()
    tool.take_kept_scores(table, places)
    assert set(journal.read_text().splitlines()) == set(scores[:2])
    journal.write_text(scores[2])
    tool.take_kept_scores(table, places)
    assert journal.read_text() == scores[2]


def test_a_trial_keeps_no_scores(tool, tables, places):
    table = tables.TABLES[0]
    journal = places.reports / "polyu" / "scores.jsonl"
    journal.parent.mkdir(parents=True)
    journal.write_text(score_line("bm3d", 1))
    tool.keep_scores(table, replace(places, limit=2))
    assert not table.kept_scores(places).exists()


def test_missing_data_are_named(tool, tables, places, weights, capsys):
    (places.data / "real" / "renoir").rmdir()
    commands = run(tool, tables, FakeRunner(places), weights)
    assert "renoir" not in {command[1] for command in commands}
    assert "renoir is not here" in capsys.readouterr().out


def test_the_page_tells_missing_data_from_missing_tables(tool, tables, places):
    (places.data / "real" / "renoir").rmdir()
    here = ", ".join(f"`{table.name}`" for table in tables.TABLES if table.name != "renoir")
    page = tool.results_page(places)
    assert f"The data are at hand, the tables are not made: {here}." in page
    assert "The data are not here: `renoir`, `ablation`." in page


@pytest.mark.parametrize("kept", [False, True])
def test_the_ablation_goes_into_the_page(tool, places, kept):
    assert "`ablation`." in tool.results_page(places)  # as one that is not made
    row = {
        "commands": [],
        "parameters": 1234,
        "trained": "1 × cpu, 700 steps, 25 min",
        "sets": {"RENOIR": {"psnr": 31.5, "ssim": 0.8, "noisy_psnr": 29.0, "n": 13}},
    }
    record = {"rows": {"none": row, "ain": row}, "recipe": "recipes/ablation.yaml", "budget": "25m"}
    folder = places.kept_scores if kept else places.reports / "ablation"
    folder.mkdir(parents=True)
    (folder / "ablation.json").write_text(json.dumps(record | provenance()))
    page = tool.results_page(places)
    assert "| AIN | 1,234 | 31.50 | 39.53 / 35.19 |" in page
    assert "| noisy input |  | 29.00 |  |" in page
    assert "700 steps" in page
    assert "`ablation`." not in page


def test_the_best_of_a_line_is_in_bold(tool):
    document = {"title": "set", "n": 3, "model": "ours", "psnr": 38.78}
    methods = {"noisy": 35.0, "bm3d": 38.7, "ffdnet": 38.8, "ours": 38.78, "ours*": 38.9}
    listed = [{"name": name, "psnr": psnr} for name, psnr in methods.items()]
    line = tool.summary_table([document | {"methods": listed}]).splitlines()[-1]
    assert "| 35.00 | – | – | 38.70 | **38.80** | 38.78 | 38.90 | −0.02 |" in line
