"""`aindnet evaluate`: the JSON contract, exit codes, and resuming."""

import json
import os

import numpy as np
import pytest

from aindnet.commands.app import main
from aindnet.evaluation import metrics
from aindnet.photo import read_image, write_image
from evaluation_stand_ins import fake_denoiser, pairs_folder, save, smooth_photo  # noqa: F401


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as stop:
        main(["evaluate", *map(str, arguments)])
    captured = capsys.readouterr()
    return stop.value.code, captured.out, captured.err


def test_pairs_json_keeps_the_contract(capsys, fake_denoiser, pairs_folder):  # noqa: F811
    code, out, _ = run(capsys, "pairs", "--root", pairs_folder, "--json")
    document = json.loads(out)
    assert code == 0
    assert {"psnr", "ssim", "noisy_psnr", "n", "model", "per_image"} <= document.keys()
    assert document["n"] == 3
    assert document["model"] == "fake"
    assert [row["name"] for row in document["per_image"]] == ["photo0", "photo1", "photo2"]
    for row in document["per_image"]:
        noisy = read_image(pairs_folder / "noisy" / f"{row['name']}.png")
        clean = read_image(pairs_folder / "clean" / f"{row['name']}.png")
        restored = fake_denoiser(noisy.astype(np.float32) / np.float32(255)).image
        assert row["noisy_psnr"] == pytest.approx(metrics.psnr(noisy, clean))
        assert row["psnr"] == pytest.approx(metrics.psnr(restored, clean))
        assert row["ssim"] == pytest.approx(metrics.ssim(restored, clean))
    for total in ("psnr", "ssim", "noisy_psnr"):
        assert document[total] == pytest.approx(
            np.mean([row[total] for row in document["per_image"]])
        )


def test_peers_stand_beside_the_model(capsys, fake_denoiser, pairs_folder):  # noqa: F811
    code, out, _ = run(
        capsys, "pairs", "--root", pairs_folder, "--peer", "nlm", "--ensemble", "--json"
    )
    rows = {row["name"]: row for row in json.loads(out)["methods"]}
    assert code == 0
    assert list(rows) == ["noisy", "nlm", "fake", "fake*"]
    assert rows["nlm"]["ours_minus_this"]["psnr"] == pytest.approx(
        rows["fake"]["psnr"] - rows["nlm"]["psnr"]
    )


def test_peers_can_be_measured_without_a_model(capsys, pairs_folder):  # noqa: F811
    code, out, _ = run(capsys, "pairs", "--root", pairs_folder, "--model", "none", "--json")
    document = json.loads(out)
    assert (code, document["model"], document["psnr"]) == (0, None, None)


def test_a_broken_pair_is_named_and_the_others_are_scored(capsys, fake_denoiser, pairs_folder):  # noqa: F811
    (pairs_folder / "noisy" / "photo1.png").write_bytes(b"no image")
    code, out, err = run(capsys, "pairs", "--root", pairs_folder, "--json")
    document = json.loads(out)
    assert code == 1
    assert document["n"] == 2
    assert [fail["name"] for fail in document["failed"]] == ["photo1"]
    assert "photo1.png" in err


def test_pairs_of_different_sizes_are_named(capsys, fake_denoiser, pairs_folder):  # noqa: F811
    save(pairs_folder / "clean" / "photo2.png", smooth_photo(20, 20))
    code, _, err = run(capsys, "pairs", "--root", pairs_folder, "--json")
    assert code == 1
    assert "photo2" in err
    assert "must be of one size" in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["pairs", "--root", "nowhere"], "nowhere"),
        (["pairs"], "--root"),
        (["no-such-set", "--root", "."], "no-such-set"),
        (["pairs", "--root", "PAIRS", "--peer", "magic"], "magic"),
        (["pairs", "--root", "PAIRS", "--metric", "vibes"], "vibes"),
        (["pairs", "--root", "PAIRS", "--only", "nothing-like-it"], "--only"),
        (["pairs", "--root", "PAIRS", "--sigma", "25"], "--sigma goes with gaussian"),
        (["pairs", "--root", "PAIRS", "--kind", "all"], "--kind goes with polyu"),
        (["pairs", "--root", "PAIRS", "--ensemble"], "--ensemble"),
        (["dnd", "--root", "PAIRS", "--peer", "nlm"], "only its server"),
        (["pairs", "--root", "PAIRS", "--peer", "tool '{input} {output}"], "mend its quotes"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(capsys, pairs_folder, arguments, said):  # noqa: F811
    arguments = [str(pairs_folder) if argument == "PAIRS" else argument for argument in arguments]
    code, out, err = run(capsys, *arguments, "--model", "none")
    assert code == 2
    assert out == ""
    assert said in err
    assert len(err.strip().splitlines()) == 1


def test_a_killed_run_goes_on_where_it_stopped(capsys, fake_denoiser, pairs_folder, tmp_path):  # noqa: F811
    output = tmp_path / "report"
    run(capsys, "pairs", "--root", pairs_folder, "--output", output, "--limit", 2)
    journal = output / "scores.jsonl"
    journal.write_text(journal.read_text()[:-40])  # a kill in the middle of the last line
    assert fake_denoiser.calls == 1 + 2 + 2  # to warm up, scored, shown in the report
    code, out, _ = run(
        capsys, "pairs", "--root", pairs_folder, "--output", output, "--limit", 2, "--json"
    )
    assert code == 0
    assert json.loads(out)["n"] == 2
    assert fake_denoiser.calls == 5 + 1 + 1 + 2  # only the torn score is measured again


def test_a_subset_of_a_benchmark_is_denoised_but_not_bundled(
    capsys,
    fake_denoiser,  # noqa: F811
    tmp_path,
    monkeypatch,
):
    from scipy.io import savemat

    for name, size in (("IMAGES", 2), ("BLOCKS", 2), ("SIDE", 32)):
        monkeypatch.setattr(f"aindnet.evaluation.submission.sidd.{name}", size)
    blocks = np.stack([smooth_photo(32, 32, seed=s) for s in range(4)]).reshape(2, 2, 32, 32, 3)
    savemat(tmp_path / "BenchmarkNoisyBlocksSrgb.mat", {"BenchmarkNoisyBlocksSrgb": blocks})
    output = tmp_path / "submission"
    arguments = ("sidd-benchmark", "--root", tmp_path, "--output", output, "--json")
    code, out, _ = run(capsys, *arguments, "--limit", 3)
    assert (code, json.loads(out)["bundle"]) == (0, None)
    calls = fake_denoiser.calls
    code, out, _ = run(capsys, *arguments)
    document = json.loads(out)
    assert code == 0
    assert fake_denoiser.calls == calls + 1 + 2  # the missing block, and two calls for the time
    assert (output / "bundle" / "SubmitSrgb.csv").is_file()
    assert document["published"][0]["name"] == "AINDNet S"
    table = (output / "submission.md").read_text()
    assert table.index("| fake |") < table.index("| AINDNet S | 35.66 | 0.9030 |")
    figure = tmp_path / "figure.png"
    drawn = ("--figure", figure, "--figure-images", 2, "--figure-window", 16, "--peer", "wavelet")
    code, out, _ = run(capsys, *arguments, *drawn)
    assert code == 0
    assert json.loads(out)["bundle"]
    assert figure.is_file()


def test_a_bundle_needs_a_model_and_a_folder(capsys, fake_denoiser, tmp_path):  # noqa: F811
    from scipy.io import savemat

    blocks = np.zeros((1, 1, 32, 32, 3), np.uint8)
    savemat(tmp_path / "BenchmarkNoisyBlocksSrgb.mat", {"BenchmarkNoisyBlocksSrgb": blocks})
    code, _, err = run(capsys, "sidd-benchmark", "--root", tmp_path)
    assert code == 2
    assert "--output" in err


def test_scores_can_be_kept_apart_and_shared(capsys, fake_denoiser, pairs_folder, tmp_path):  # noqa: F811
    scores, output = tmp_path / "kept" / "scores.jsonl", tmp_path / "kept"
    shared = ("pairs", "--root", pairs_folder, "--peer", "nlm", "--json")
    code, _, _ = run(capsys, *shared, "--model", "none", "--scores", scores)
    assert code == 0
    assert [path.name for path in output.iterdir()] == ["scores.jsonl"]
    peers_alone = scores.read_text()
    code, out, _ = run(capsys, *shared, "--output", output)
    assert code == 0
    assert scores.read_text().startswith(peers_alone)
    assert scores.read_text().count('"nlm"') == 3  # none of them measured again
    assert {row["name"] for row in json.loads(out)["methods"]} == {"noisy", "nlm", "fake"}


def test_folders_of_a_gaussian_set_can_be_chosen(capsys, fake_denoiser, tmp_path):  # noqa: F811
    for folder, name in (("set12", "a"), ("bsd68", "b"), ("cbsd68", "c")):
        save(tmp_path / folder / f"{name}.png", smooth_photo(24, 24))
    call = ("gaussian", "--root", tmp_path, "--sigma", "25", "--json")
    code, out, _ = run(capsys, *call, "--folder", "set12", "--folder", "bsd68")
    document = json.loads(out)
    assert code == 0
    assert [row["name"] for row in document["per_image"]] == ["set12/a σ=25", "bsd68/b σ=25"]
    assert document["title"] == "White Gaussian noise: set12, bsd68"
    code, _, err = run(capsys, *call, "--folder", "nowhere")
    assert code == 2
    assert "nowhere" in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--output", "FILE"], "not a folder"),
        (["--output", "FILE/deeper"], "not a folder"),
        (["--scores", "FOLDER"], "is a folder"),
        (["--scores", "FILE"], "no file of kept scores"),
        (["--figure", "f.gif"], "a figure is written as"),
        (["--figure", "FILE/f.png"], "not a folder"),
        (["--figure", "f.png", "--figure-images", "0"], "--figure-images"),
        (["--figure", "f.png", "--figure-place", "900", "0"], "no window"),
    ],
)
def test_places_that_cannot_be_written_are_said_before_anything_is_measured(
    capsys,
    fake_denoiser,  # noqa: F811
    pairs_folder,  # noqa: F811
    tmp_path,
    arguments,
    said,
):
    (tmp_path / "file").write_bytes(b"\xff\xd8 no scores")
    places = {"FILE": str(tmp_path / "file"), "FOLDER": str(tmp_path)}
    for name, place in places.items():
        arguments = [word.replace(name, place) for word in arguments]
    code, out, err = run(capsys, "pairs", "--root", pairs_folder, *arguments)
    assert code == 2
    assert out == ""
    assert said in err
    assert len(err.strip().splitlines()) == 1
    assert fake_denoiser.calls == 0
    assert (tmp_path / "file").read_bytes() == b"\xff\xd8 no scores"


def test_a_figure_that_fails_costs_no_number(capsys, fake_denoiser, pairs_folder, tmp_path):  # noqa: F811
    from matplotlib.figure import Figure

    def full(self, *arguments, **options):
        raise OSError(28, "No space left on device")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Figure, "savefig", full)
        figure = tmp_path / "f.png"
        call = ("pairs", "--root", pairs_folder, "--figure", figure, "--figure-window", 16)
        code, out, err = run(capsys, *call, "--json")
    assert code == 2
    assert json.loads(out)["n"] == 3
    assert "No space left" in err
    assert not figure.exists()


@pytest.fixture
def copies(tmp_path):
    """A program that copies its input, under our model's name."""
    path = tmp_path / "bin" / "fake"
    path.parent.mkdir()
    path.write_text('#!/bin/sh\ncp "$1" "$2"\n')
    path.chmod(0o755)
    return f"{path} {{input}} {{output}}"


def test_a_peer_of_our_model_s_name_does_not_take_its_place(
    capsys,
    fake_denoiser,  # noqa: F811
    pairs_folder,  # noqa: F811
    copies,
):
    code, out, _ = run(capsys, "pairs", "--root", pairs_folder, "--peer", copies, "--json")
    document = json.loads(out)
    rows = {row["name"]: row for row in document["methods"]}
    assert code == 0
    assert list(rows) == ["noisy", "fake (2)", "fake"]
    assert document["psnr"] == rows["fake"]["psnr"] != rows["noisy"]["psnr"]
    assert rows["fake (2)"]["psnr"] == rows["noisy"]["psnr"]


def test_a_peer_that_fails_is_left_out_and_named(
    capsys,
    fake_denoiser,  # noqa: F811
    pairs_folder,  # noqa: F811
    copies,
    tmp_path,
):
    peers = ("--peer", "false {input} {output}", "--peer", copies)
    figure = tmp_path / "f.png"
    drawn = ("--figure", figure, "--figure-images", 1, "--figure-window", 16)
    code, out, err = run(capsys, "pairs", "--root", pairs_folder, *peers, *drawn, "--json")
    document = json.loads(out)
    assert code == 1
    assert [row["name"] for row in document["methods"]] == ["noisy", "fake (2)", "fake"]
    assert (document["n"], document["failed"]) == (3, [])
    assert [drop["method"] for drop in document["dropped"]] == ["false"]
    assert "false is left out: photo0: false: exit code 1" in err
    assert figure.is_file()


def test_without_a_model_the_crops_are_of_the_best_peer(capsys, pairs_folder, copies, tmp_path):  # noqa: F811
    peers = ("--model", "none", "--peer", "wavelet", "--peer", copies)
    code, out, _ = run(
        capsys, "pairs", "--root", pairs_folder, *peers, "--output", tmp_path, "--json"
    )
    rows = {row["name"]: row["psnr"] for row in json.loads(out)["methods"]}
    assert code == 0
    assert rows["wavelet"] > rows["fake"]
    page = (tmp_path / "report.html").read_text()
    assert "right of it wavelet." in page
    assert "PSNR, wavelet" in page


def test_brackets_in_names_are_printed(capsys, fake_denoiser, pairs_folder):  # noqa: F811
    fake_denoiser.model_name = "net[v2]"
    code, out, _ = run(capsys, "pairs", "--root", pairs_folder)
    assert code == 0
    assert "net[v2]" in out


def test_what_simulate_makes_of_folders_is_measured_by_scene(capsys, fake_denoiser, tmp_path):  # noqa: F811
    photos, pairs = tmp_path / "photos", tmp_path / "pairs"
    for number, name in enumerate(("a/1", "a/2", "b/deep/1")):
        save(photos / f"{name}.png", smooth_photo(seed=number))
    made = [photos, "--output", pairs, "--shot", 0.05, "--read", 0.01]
    with pytest.raises(SystemExit) as stop:
        main(["simulate", *map(str, made)])
    assert stop.value.code == 0
    code, out, _ = run(capsys, "pairs", "--root", pairs, "--json")
    document = json.loads(out)
    assert (code, document["n"], document["grouping"]) == (0, 3, "scene")
    assert [(row["name"], row["group"]) for row in document["per_image"]] == [
        ("a/1", "a"),
        ("a/2", "a"),
        ("b/deep/1", "b"),
    ]


def test_what_denoise_left_beside_photos_is_none(capsys, fake_denoiser, pairs_folder):  # noqa: F811
    for name in ("photo0.denoised", "photo0.noise", "photo1.compare"):
        save(pairs_folder / "noisy" / f"{name}.png", smooth_photo())
    code, out, err = run(capsys, "pairs", "--root", pairs_folder, "--json")
    assert (code, json.loads(out)["n"], err) == (0, 3, "")
    code, out, _ = run(capsys, "noisy", "--root", pairs_folder / "noisy", "--json")
    assert (code, json.loads(out)["n"]) == (0, 3)


def test_a_photo_without_a_partner_costs_no_other_its_score(capsys, fake_denoiser, pairs_folder):  # noqa: F811
    save(pairs_folder / "noisy" / "alone.png", smooth_photo())
    code, out, err = run(capsys, "pairs", "--root", pairs_folder, "--json")
    document = json.loads(out)
    assert (code, document["n"]) == (1, 3)
    assert [fail["name"] for fail in document["failed"]] == ["alone"]
    assert "clean/alone: missing, while the other side has it" in err


def test_names_that_are_not_utf_8_are_measured_and_reported(capsys, fake_denoiser, tmp_path):  # noqa: F811
    name = os.fsdecode(b"latin-\xe9")
    root = tmp_path / name
    for seed, side in enumerate(("noisy", "clean")):
        file = root / side / f"{name}.png"
        file.parent.mkdir(parents=True)
        write_image(file, smooth_photo(seed=seed))
    output = tmp_path / "report"
    call = ("pairs", "--root", root, "--output", output, "--figure", tmp_path / "f.png")
    code, out, _ = run(capsys, *call, "--figure-window", 16, "--json")
    assert code == 0
    assert [row["name"] for row in json.loads(out)["per_image"]] == [name]
    assert json.loads((output / "report.json").read_text("utf-8"))["per_image"][0]["name"] == name
    for file in ("report.md", "report.html"):
        assert "Pairs in latin-\\udce9" in (output / file).read_text("utf-8")
    calls = fake_denoiser.calls
    code, out, _ = run(capsys, "pairs", "--root", root, "--scores", output / "scores.jsonl")
    assert (code, fake_denoiser.calls) == (0, calls)
    assert "latin-\\udce9" in out
    out.encode("utf-8")
    code, out, _ = run(capsys, "gaussian", "--root", root / "clean", "--sigma", 25, "--json")
    assert (code, json.loads(out)["n"]) == (0, 1)
