"""`tools/choose_peer_settings.py` and `tools/ablation.py`."""

import importlib
import json
import shlex
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest
import torch

from aindnet.commands.app import build_app
from aindnet.errors import AindnetError
from aindnet.evaluation.datasets import open_dataset
from aindnet.evaluation.methods import Noisy, PeerFailedError, settings
from aindnet.evaluation.methods.method import Denoised
from aindnet.evaluation.methods.settings import PeerSettings
from aindnet.evaluation.runner import Journal

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _tools(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "tools"))


@pytest.fixture
def choose():
    return importlib.import_module("choose_peer_settings")


@pytest.fixture
def ablation():
    return importlib.import_module("ablation")


def test_the_best_of_the_grid_is_found_and_a_second_run_measures_nothing(
    choose, pairs_folder, tmp_path, monkeypatch, capsys
):
    monkeypatch.setitem(choose.MULTIPLIERS, "wavelet", (0.01, 1.0, 50.0))
    dataset = choose.centre_crops(open_dataset("pairs", pairs_folder), 32)
    best = choose.choose("wavelet", dataset, Journal(tmp_path / "scores.jsonl"))
    assert best == PeerSettings(1.0)
    kept = (tmp_path / "scores.jsonl").read_text()
    assert choose.choose("wavelet", dataset, Journal(tmp_path / "scores.jsonl")) == best
    assert (tmp_path / "scores.jsonl").read_text() == kept
    assert "edge" not in capsys.readouterr().out


def test_the_packs_open(choose, shared):
    for pack in choose.PACKS:
        assert choose.open_pack(pack, shared / "data" / "real").name == pack


def test_a_best_at_the_edge_is_said(choose, pairs_folder, monkeypatch, capsys):
    monkeypatch.setitem(choose.MULTIPLIERS, "wavelet", (1.0, 50.0))
    choose.choose("wavelet", choose.centre_crops(open_dataset("pairs", pairs_folder), 32))
    assert "edge of the grid" in capsys.readouterr().out


class FailsAbove(Noisy):
    """Gives its input back, and fails on the second photo where it is told more than ×1."""

    def __init__(self, settings):
        super().__init__(fingerprint=str(settings))
        object.__setattr__(self, "given", (settings.multiplier, count()))

    def __call__(self, noisy):
        multiplier, calls = self.given
        if multiplier > 1 and next(calls) == 1:
            raise PeerFailedError("too much")
        return Denoised(noisy)


def test_a_setting_that_fails_on_an_image_is_not_chosen(choose, pairs_folder, monkeypatch, capsys):
    dataset = open_dataset("pairs", pairs_folder)
    monkeypatch.setattr(choose, "PEERS", {"wavelet": FailsAbove})
    monkeypatch.setitem(choose.MULTIPLIERS, "wavelet", (2.0, 1.0, 3.0))
    assert choose.choose("wavelet", dataset) == PeerSettings(1.0)
    assert capsys.readouterr().out.count("failed on some images") == 2
    monkeypatch.setitem(choose.MULTIPLIERS, "wavelet", (2.0, 3.0))
    with pytest.raises(AindnetError, match="no setting did every image"):
        choose.choose("wavelet", dataset)


def test_what_was_chosen_is_kept_beside_the_rest(choose, tmp_path):
    source = Path(settings.__file__).with_name(settings.SETTINGS_FILE)
    path = tmp_path / "settings.json"
    path.write_text(source.read_text("utf-8"))
    before = json.loads(path.read_text())
    choose.keep("renoir", "bm3d", PeerSettings(6.0, 2.0), path)
    after = json.loads(path.read_text())
    assert after["renoir"].pop("bm3d") == {"multiplier": 6.0, "chroma": 2.0}
    before["renoir"].pop("bm3d", None)
    assert after == before


def test_the_settings_file_is_laid_out_as_the_tool_writes_it(choose, tmp_path):
    source = Path(settings.__file__).with_name(settings.SETTINGS_FILE)
    path = tmp_path / "settings.json"
    path.write_text(source.read_text("utf-8"))
    known = settings.chosen_settings()["nlm", "polyu"]
    choose.keep("polyu", "nlm", known, path)
    assert path.read_text("utf-8") == source.read_text("utf-8")


def test_the_ablation_s_commands_are_ones_that_there_are(ablation, tmp_path):
    plan = ablation.Plan(tmp_path, ROOT / "recipes/ablation.yaml", "25m", tmp_path / "out")
    app = build_app()
    for variant in ablation.VARIANTS:
        app.parse_args(plan.train(variant))
        for measured in ablation.SETS:
            app.parse_args(plan.measure(variant, measured))


def test_the_ablation_s_variants_differ_in_the_modulation_alone(ablation, tmp_path):
    from aindnet.training import load_recipe

    plan = ablation.Plan(tmp_path, ROOT / "recipes/ablation.yaml", "7m", tmp_path / "out")
    recipes = [load_recipe(plan.recipe, plan.train(v)[2:]) for v in ablation.VARIANTS]
    assert [r.network.modulation for r in recipes] == list(ablation.VARIANTS)
    assert {r.budget for r in recipes} == {"7m"}
    written = load_recipe(plan.recipe)
    assert [path.name for path in recipes[0].data] == [path.name for path in written.data]
    assert {path.parent for r in recipes for path in r.data} == {tmp_path / "clean"}
    assert recipes[0].validation == (tmp_path / "clean" / "clean-val.tar",)
    alike = {
        str(replace(r, name="any", network=replace(r.network, modulation="ain"))) for r in recipes
    }
    assert len(alike) == 1


@pytest.fixture
def calls(ablation, monkeypatch, tmp_path):
    """`aindnet` answers at once: training leaves a model, measuring prints a document."""
    from aindnet.network import AINDNet, AINDNetConfig
    from aindnet.pretrained import ModelCard, save_model

    network = AINDNet(AINDNetConfig(channels=(4, 4, 4), encoder_blocks=(1, 1, 1)))
    made = []

    def answer(arguments):
        made.append(arguments)
        if arguments[0] == "train":
            name = arguments[arguments.index("--name") + 1]
            folder = Path(arguments[arguments.index("--output") + 1]) / name
            save_model(
                folder / f"{name}.safetensors", network, ModelCard(name=name, hardware="9 steps")
            )
            return ""
        return json.dumps({"psnr": 30.0, "ssim": 0.9, "noisy_psnr": 25.0, "n": 4})

    monkeypatch.setattr(ablation, "aindnet", answer)
    return made


def test_the_ablation_goes_on_where_it_stopped(ablation, calls, tmp_path):
    plan = ablation.Plan(tmp_path, ROOT / "recipes/ablation.yaml", "25m", tmp_path / "out")
    section = ablation.ablation_section(ablation.run(plan))
    assert section.count("30.00") == 4 * len(ablation.SETS)
    assert len([c for c in calls if c[0] == "train"]) == 4
    calls.clear()
    ablation.run(plan)
    assert calls == []
    # A run that was killed in the training of one variant.
    document = json.loads(plan.record.read_text())
    del document["rows"]["gated"]
    plan.record.write_text(json.dumps(document))
    begun = {"state_dict": {}, "optimizer_states": [{"param_groups": []}], "global_step": 3}
    torch.save(begun, plan.folder("gated") / "last.ckpt")
    ablation.run(plan)
    [train] = [c for c in calls if c[0] == "train"]
    assert train[-2:] == ["--resume", str(plan.folder("gated") / "last.ckpt")]


def test_another_budget_is_another_training(ablation, calls, tmp_path):
    plan = ablation.Plan(tmp_path, ROOT / "recipes/ablation.yaml", "25m", tmp_path / "out")
    ablation.run(plan)
    (plan.folder("ain") / "last.ckpt").touch()
    calls.clear()
    ablation.run(ablation.Plan(plan.data, plan.recipe, "5m", plan.output))
    trained = [c for c in calls if c[0] == "train"]
    assert len(trained) == 4
    assert not any("--resume" in c for c in trained)


def test_a_changed_recipe_is_another_training(ablation, calls, tmp_path):
    recipe = tmp_path / "mine.yaml"
    recipe.write_text((ROOT / "recipes/ablation.yaml").read_text())
    plan = ablation.Plan(tmp_path, recipe, "25m", tmp_path / "out")
    ablation.run(plan)
    (plan.folder("ain") / "last.ckpt").touch()
    recipe.write_text(recipe.read_text().replace("white: 0.35", "white: 0.3"))
    calls.clear()
    ablation.run(plan)
    trained = [c for c in calls if c[0] == "train"]
    assert len(trained) == 4
    assert not any("--resume" in c for c in trained)


def test_the_ablation_s_command_makes_it_again(ablation, tmp_path, monkeypatch):
    fields = ("--seed", "3")
    plan = ablation.Plan(tmp_path, Path("mine.yaml"), "9 steps", tmp_path / "out", 2, fields)
    given = []
    monkeypatch.setattr(ablation, "run", given.append)
    monkeypatch.setattr(ablation, "ablation_section", str)
    monkeypatch.setattr("sys.argv", shlex.split(plan.command)[1:])
    ablation.main()
    assert given == [replace(plan, data=Path("DATA"), output=Path("runs/results/ablation"))]


def test_one_table_is_of_one_plan(ablation, calls, tmp_path, monkeypatch):
    """What a shorter run left when it was killed does not stand beside rows of a longer one."""
    plan = ablation.Plan(tmp_path, ROOT / "recipes/ablation.yaml", "25m", tmp_path / "out")
    ablation.run(plan)
    answer, variants = ablation.aindnet, iter(range(100))

    def killed(arguments):
        if arguments[0] == "train" and next(variants) == 1:
            raise KeyboardInterrupt
        return answer(arguments)

    monkeypatch.setattr(ablation, "aindnet", killed)
    with pytest.raises(KeyboardInterrupt):
        ablation.run(ablation.Plan(plan.data, plan.recipe, "5m", plan.output, limit=2))
    document = json.loads(plan.record.read_text())
    assert list(document["rows"]) == ["none"]
    assert document["command"].endswith("--budget 5m --limit 2")


def test_rows_of_other_data_do_not_stand_beside_these(ablation, calls, tmp_path):
    plan = ablation.Plan(tmp_path, ROOT / "recipes/ablation.yaml", "25m", tmp_path / "out")
    ablation.run(plan)
    assert list(ablation.kept_record(plan)["rows"]) == list(ablation.VARIANTS)
    assert ablation.kept_record(replace(plan, data=tmp_path / "other"))["rows"] == {}
