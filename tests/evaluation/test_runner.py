"""Running: journal, failures, estimator accuracy, further metrics."""

import json
from dataclasses import replace
from itertools import count
from pathlib import Path

import numpy as np
import pytest

from aindnet.errors import AindnetError, DatasetError, ImageWriteError, MissingExtraError
from aindnet.evaluation import metrics
from aindnet.evaluation.datasets import open_dataset
from aindnet.evaluation.datasets.estimator import photograph
from aindnet.evaluation.document import evaluation_document
from aindnet.evaluation.methods import Noisy, OurModel, PeerFailedError
from aindnet.evaluation.methods.method import Denoised
from aindnet.evaluation.perceptual import UnknownMetricError, code_of_metrics, find_metric
from aindnet.evaluation.provenance import provenance
from aindnet.evaluation.report import write_report
from aindnet.evaluation.report.markdown import markdown_report
from aindnet.evaluation.runner import Journal, evaluate
from aindnet.evaluation.scores import bootstrap_interval_of_groups
from aindnet.restore.code import code_digest
from evaluation_stand_ins import FakeDenoiser, save, smooth_photo


class Fails(Noisy):
    """Cannot do the first photo."""

    def __init__(self):
        super().__init__(name="fails", fingerprint="fails")
        object.__setattr__(self, "calls", count())

    def __call__(self, noisy):
        if next(self.calls) == 0:
            raise AindnetError("out of patience")
        return Denoised(noisy)


def test_an_image_that_one_method_fails_on_counts_for_none(pairs_folder):
    method = Fails()
    evaluation = evaluate(open_dataset("pairs", pairs_folder), [Noisy(), method])
    assert [fail.image for fail in evaluation.failures] == ["photo0"]
    assert evaluation.failures[0].reason == "out of patience"
    assert [len(row.scores) for row in evaluation.methods] == [2, 2]


def test_the_journal_serves_the_same_run_only(pairs_folder, tmp_path):
    dataset = open_dataset("pairs", pairs_folder)
    path = tmp_path / "scores.jsonl"
    denoiser = FakeDenoiser()
    first = evaluate(dataset, [OurModel(denoiser)], journal=Journal(path))
    again = evaluate(dataset, [OurModel(denoiser)], journal=Journal(path))
    assert denoiser.calls == 1 + 3  # once to warm up
    assert first == again
    evaluate(dataset, [OurModel(denoiser)], metrics=("psnr",), journal=Journal(path))
    assert denoiser.calls == 2 * (1 + 3)
    other = FakeDenoiser()
    other.model_hash = "1" * 64
    evaluate(dataset, [OurModel(other)], journal=Journal(path))
    assert other.calls == 1 + 3


def test_scores_of_other_metric_code_do_not_count(pairs_folder, tmp_path, monkeypatch):
    dataset, path = open_dataset("pairs", pairs_folder), tmp_path / "scores.jsonl"
    denoiser = FakeDenoiser()
    evaluate(dataset, [OurModel(denoiser)], journal=Journal(path))
    monkeypatch.setattr("aindnet.evaluation.perceptual.METRICS_CODE", "other")
    evaluate(dataset, [OurModel(denoiser)], journal=Journal(path))
    assert denoiser.calls == 2 * (1 + 3)


def test_perceptual_metrics_count_by_their_library_too(monkeypatch):
    own, further = ("psnr", "ssim"), ("psnr", "ssim", "lpips")
    assert code_of_metrics(own) == code_digest(Path(metrics.__file__))
    before = code_of_metrics(further)
    monkeypatch.setattr("aindnet.evaluation.perceptual.installed_version", lambda name: "another")
    assert code_of_metrics(further) != before
    assert code_of_metrics(own) == code_digest(Path(metrics.__file__))


def test_a_subset_serves_the_whole_and_a_folder_that_was_moved(pairs_folder, tmp_path):
    dataset, path = open_dataset("pairs", pairs_folder), tmp_path / "scores.jsonl"
    denoiser = FakeDenoiser()
    evaluate(dataset.subset(limit=1), [OurModel(denoiser)], journal=Journal(path))
    evaluate(dataset, [OurModel(denoiser)], journal=Journal(path))
    assert denoiser.calls == (1 + 1) + (1 + 2)
    pairs_folder.rename(tmp_path / "moved")
    evaluate(open_dataset("pairs", tmp_path / "moved"), [OurModel(denoiser)], journal=Journal(path))
    assert denoiser.calls == (1 + 1) + (1 + 2)


def test_scores_of_another_machine_count_and_their_times_do_not(
    pairs_folder, tmp_path, monkeypatch
):
    dataset, path = open_dataset("pairs", pairs_folder), tmp_path / "scores.jsonl"
    [here] = evaluate(dataset, [Noisy()], journal=Journal(path)).methods
    assert here.seconds_per_megapixel >= 0
    monkeypatch.setattr("aindnet.evaluation.runner.machine_name", lambda: "another")
    elsewhere = evaluate(dataset, [Noisy()], journal=Journal(path))
    assert list(elsewhere.methods[0].values("psnr")) == list(here.values("psnr"))
    document = evaluation_document(elsewhere, model=None, model_hash=None, provenance=provenance())
    assert document["methods"][0]["seconds_per_megapixel"] is None
    assert elsewhere.methods[0].peak_memory_mb is None
    assert "Scored on another machine, so without a time: noisy" in markdown_report(document)


def test_a_journal_with_a_torn_line_still_serves_the_others(pairs_folder, tmp_path):
    dataset = open_dataset("pairs", pairs_folder)
    path = tmp_path / "scores.jsonl"
    evaluate(dataset, [Noisy()], journal=Journal(path))
    path.write_text(path.read_text()[:-20])
    evaluate(dataset, [Noisy()], journal=Journal(path))
    lines = path.read_text().splitlines()
    whole = [line for line in lines if line.endswith("}}")]
    assert len(lines) == 4
    assert len({json.loads(line)["key"] for line in whole}) == 3


def test_a_shot_without_light_has_read_noise_only_and_the_map_says_so():
    clean = np.full((64, 64, 3), 128, np.uint8)
    noisy, level = photograph(clean, 0.12, 0.06, seed=4)
    assert noisy.shape == level.shape == clean.shape
    assert np.std(noisy - 128 / 255) == pytest.approx(level.mean(), rel=0.1)
    again, _ = photograph(clean, 0.12, 0.06, seed=4)
    np.testing.assert_array_equal(noisy, again)


def test_the_estimators_error_is_the_mean_absolute_difference_to_the_true_map(tmp_path):
    save(tmp_path / "kodim01.png", smooth_photo(48, 64))
    dataset = open_dataset("estimator", tmp_path)
    assert len(dataset.samples) == 6
    assert dataset.samples[0].group == "σs=0.08 σc=0.02"
    evaluation = evaluate(dataset, [Noisy(), OurModel(FakeDenoiser())])
    for sample, score in zip(dataset.samples, evaluation.method("fake").scores, strict=True):
        truth = sample.read().noise_level
        expected = np.abs(0.05 - truth).mean()
        assert score.values["noise_level_error"] == pytest.approx(expected, rel=1e-5)
        assert score.values["noise_level_bias"] == pytest.approx((0.05 - truth).mean(), abs=1e-6)
    document = evaluation_document(
        evaluation, model="fake", model_hash=None, provenance=provenance(), ours="fake"
    )
    rows = {row["name"]: row for row in document["methods"]}
    assert "noise_level_error" in rows["fake"]
    assert "noise_level_error" not in rows["noisy"]
    assert len(rows["fake"]["by_group"]) == 6
    assert {row["noise_level_error"] for row in document["published"]} == {0.018, 0.064}


def test_identical_images_give_null_not_invalid_json(tmp_path):
    for side in ("noisy", "clean"):
        save(tmp_path / side / "same.png", smooth_photo())
    evaluation = evaluate(open_dataset("pairs", tmp_path), [Noisy()])
    document = evaluation_document(evaluation, model=None, model_hash=None, provenance={})
    assert document["noisy_psnr"] is None
    assert document["notes"] == ["noisy: no mean of psnr, which is infinite on same"]
    json.dumps(document, allow_nan=False)


def test_a_mean_that_is_no_number_is_explained(pairs_folder, tmp_path):
    for seed, side in enumerate(("noisy", "clean")):
        save(pairs_folder / side / "photo1.png", smooth_photo(8, 8, seed=seed))
    evaluation = evaluate(open_dataset("pairs", pairs_folder), [Noisy()])
    document = evaluation_document(evaluation, model=None, model_hash=None, provenance=provenance())
    assert document["noisy_ssim"] is None
    assert document["notes"] == ["noisy: no mean of ssim, which is undefined on photo1"]
    write_report(document, [], tmp_path / "report")
    for name in ("report.md", "report.html"):
        assert document["notes"][0] in (tmp_path / "report" / name).read_text()


def test_photos_without_truth_need_no_explanation(tmp_path):
    save(tmp_path / "Dog.png", smooth_photo())
    evaluation = evaluate(open_dataset("noisy", tmp_path), [Noisy()])
    document = evaluation_document(evaluation, model=None, model_hash=None, provenance={})
    assert document["notes"] == []


def test_metrics_are_found_by_name():
    assert find_metric("ssim_grey").__name__ == "ssim_grey"
    with pytest.raises(UnknownMetricError, match="psnr_hvs"):
        find_metric("psnr_hvs")
    try:
        import pyiqa  # noqa: F401
    except ImportError:
        with pytest.raises(MissingExtraError, match="pyiqa"):
            find_metric("lpips")


class Breaks(Noisy):
    """A peer that cannot do small photos."""

    def __call__(self, noisy):
        if noisy.shape[0] < 30:
            raise PeerFailedError("breaks: too small")
        return Denoised(noisy)


class Blank(Noisy):
    """Not a number anywhere."""

    def __call__(self, noisy):
        return Denoised(np.full_like(noisy, np.nan))


def test_a_peer_that_fails_loses_its_row_and_nobody_else_s(pairs_folder):
    for side in ("noisy", "clean"):
        save(pairs_folder / side / "photo1.png", smooth_photo(20, 48))
    methods = [
        Noisy(),
        Breaks(name="breaks", fingerprint="breaks"),
        Blank(name="blank", fingerprint="blank"),
        OurModel(FakeDenoiser()),
    ]
    dataset = open_dataset("pairs", pairs_folder)
    evaluation = evaluate(dataset, methods, peers=("breaks", "blank"))
    assert [row.name for row in evaluation.methods] == ["noisy", "fake"]
    assert [len(row.scores) for row in evaluation.methods] == [3, 3]
    assert evaluation.failures == ()
    assert [(drop.method, drop.image) for drop in evaluation.dropped] == [
        ("blank", "photo0"),
        ("breaks", "photo1"),
    ]
    document = evaluation_document(evaluation, model=None, model_hash=None, provenance={})
    assert document["n"] == 3
    assert [drop["error"] for drop in document["dropped"]] == [
        "blank: gave NaN or infinite values",
        "breaks: too small",
    ]


def test_an_image_that_ours_fails_on_costs_no_peer_its_row(pairs_folder):
    tried = []

    class Peer(Noisy):
        def __call__(self, noisy):
            tried.append(noisy)
            return Denoised(noisy)

    methods = [Peer(name="peer", fingerprint="peer"), Blank()]
    evaluation = evaluate(open_dataset("pairs", pairs_folder), methods, peers=("peer",))
    assert len(evaluation.failures) == 3
    assert evaluation.dropped == ()
    assert tried == []


def test_methods_and_images_of_one_name_are_refused_before_anything_runs(pairs_folder):
    dataset = open_dataset("pairs", pairs_folder)
    denoiser = FakeDenoiser()
    with pytest.raises(AindnetError, match="named fake"):
        evaluate(dataset, [OurModel(denoiser), Noisy(name="fake")])
    assert denoiser.calls == 0
    with pytest.raises(DatasetError, match="2 images are named photo0"):
        replace(dataset, samples=(*dataset.samples, dataset.samples[0]))


def test_a_replaced_image_is_measured_again(pairs_folder, tmp_path):
    path, denoiser = tmp_path / "scores.jsonl", FakeDenoiser()
    for _ in range(2):
        evaluate(open_dataset("pairs", pairs_folder), [OurModel(denoiser)], journal=Journal(path))
    assert denoiser.calls == 1 + 3
    for side in ("noisy", "clean"):
        save(pairs_folder / side / "photo1.png", smooth_photo(seed=9))
        again = evaluate(
            open_dataset("pairs", pairs_folder), [OurModel(denoiser)], journal=Journal(path)
        )
    assert denoiser.calls == (1 + 3) + 2 * (1 + 1)
    assert again.methods[0].scores[1].noise_sigma == 0


@pytest.mark.parametrize("content", [b"\x89PNG\r\n", b"my notes\n"])
def test_a_file_that_holds_no_scores_is_left_alone(tmp_path, content):
    path = tmp_path / "some.file"
    path.write_bytes(content)
    with pytest.raises(DatasetError, match=r"some\.file"):
        Journal(path)
    with pytest.raises(ImageWriteError, match="is a folder"):
        Journal(tmp_path)
    assert path.read_bytes() == content


def test_the_self_ensemble_s_memory_is_not_told(pairs_folder):
    ours = OurModel(FakeDenoiser())
    dataset = open_dataset("pairs", pairs_folder)
    plain, ensemble = evaluate(dataset, [ours, ours.with_ensemble()]).methods
    assert plain.peak_memory_mb is not None
    assert ensemble.peak_memory_mb is None


def test_intervals_of_the_sample_photos_are_over_photos():
    dataset = open_dataset("samples", None)
    assert len({sample.photo for sample in dataset.samples}) == 4
    evaluation = evaluate(dataset, [Noisy()])
    row = evaluation.method("noisy")
    entry = evaluation_document(evaluation, model=None, model_hash=None, provenance={})
    interval = entry["methods"][0]["psnr_interval"]
    assert tuple(interval) == bootstrap_interval_of_groups(row.values("psnr"), row.photos)


def test_crops_of_one_scene_are_one_draw_to_the_intervals(pairs_folder):
    plain = open_dataset("pairs", pairs_folder)
    samples = tuple(
        replace(sample, group=scene) for sample, scene in zip(plain.samples, "aab", strict=True)
    )
    for grouping, draws in (("scene", ["a", "a", "b"]), ("noise setting", None)):
        dataset = replace(plain, samples=samples, grouping=grouping)
        row = evaluate(dataset, [Noisy()]).method("noisy")
        assert row.photos == (draws or [sample.name for sample in samples])
        if draws:
            values = row.values("psnr")
            assert row.interval("psnr") == bootstrap_interval_of_groups(values, draws)
