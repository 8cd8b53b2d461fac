"""Running: journal, failures, estimator accuracy, further metrics."""

import json

import numpy as np
import pytest

from aindnet.errors import AindnetError, MissingExtraError
from aindnet.evaluation.datasets import open_dataset
from aindnet.evaluation.datasets.estimator import photograph
from aindnet.evaluation.document import evaluation_document
from aindnet.evaluation.methods import Noisy, OurModel
from aindnet.evaluation.methods.method import Denoised
from aindnet.evaluation.perceptual import UnknownMetricError, find_metric
from aindnet.evaluation.provenance import provenance
from aindnet.evaluation.runner import Journal, evaluate
from evaluation_stand_ins import FakeDenoiser, save, smooth_photo


class Fails(Noisy):
    """Cannot do the first photo."""

    def __call__(self, noisy):
        if not hasattr(Fails, "_failed"):
            Fails._failed = True
            raise AindnetError("out of patience")
        return Denoised(noisy)


def test_an_image_that_one_method_fails_on_counts_for_none(pairs_folder):
    method = Fails(name="fails", fingerprint="fails")
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


def test_a_subset_serves_the_whole_and_another_folder_does_not(pairs_folder, tmp_path):
    dataset, path = open_dataset("pairs", pairs_folder), tmp_path / "scores.jsonl"
    denoiser = FakeDenoiser()
    evaluate(dataset.subset(limit=1), [OurModel(denoiser)], journal=Journal(path))
    evaluate(dataset, [OurModel(denoiser)], journal=Journal(path))
    assert denoiser.calls == (1 + 1) + (1 + 2)
    pairs_folder.rename(tmp_path / "moved")
    evaluate(open_dataset("pairs", tmp_path / "moved"), [OurModel(denoiser)], journal=Journal(path))
    assert denoiser.calls == (1 + 1) + (1 + 2) + (1 + 3)


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
    json.dumps(document, allow_nan=False)


def test_metrics_are_found_by_name():
    assert find_metric("ssim_grey").__name__ == "ssim_grey"
    with pytest.raises(UnknownMetricError, match="psnr_hvs"):
        find_metric("psnr_hvs")
    try:
        import pyiqa  # noqa: F401
    except ImportError:
        with pytest.raises(MissingExtraError, match="pyiqa"):
            find_metric("lpips")
