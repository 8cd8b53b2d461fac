"""Every bundled model still has the quality that was measured when it was bundled."""

from pathlib import Path

import pytest

from aindnet.evaluation.methods import load_our_model
from aindnet.evaluation.regression import complaints, measure, read_golden, samples_for
from aindnet.pretrained import list_models

GOLDEN = Path(__file__).parent / "golden.json"
REMAKE = "python tools/quality_golden.py makes the golden numbers again"
MODELS = [card.name for card in list_models()]


@pytest.mark.parametrize("name", MODELS)
def test_a_bundled_model_has_lost_no_quality(name):
    golden = read_golden(GOLDEN)
    if name not in golden:
        bundled = Path(__file__).parents[2] / "src" / "aindnet" / "pretrained" / "weights"
        if not (bundled / f"{name}.safetensors").is_file():
            pytest.skip(f"{name} is installed on this machine, not bundled")
    assert name in golden, f"{name} has no golden numbers; {REMAKE}"
    model = load_our_model(name, device="cpu", backend="torch", precision="fp32")
    assert golden[name]["sha256"] == model.denoiser.model_hash, f"{name} is another file; {REMAKE}"
    assert not complaints(measure(model, samples_for(name)), golden[name]["numbers"])


@pytest.mark.parametrize("name", MODELS)
def test_what_people_run_loses_no_quality_either(name):
    """The backend and precision that are chosen here, against the golden ones of torch in fp32."""
    golden = read_golden(GOLDEN)
    if name not in golden:
        pytest.skip(f"{name} is installed on this machine, not bundled")
    measured = measure(load_our_model(name, device="cpu"), samples_for(name))
    # bf16 costs a few hundredths where noise is strong.
    assert not complaints(measured, golden[name]["numbers"], psnr=0.05, ssim=0.002)


def test_golden_numbers_are_far_above_the_noisy_images():
    for name, entry in read_golden(GOLDEN).items():
        for kind, numbers in entry["numbers"].items():
            assert numbers["psnr"] > numbers["noisy_psnr"] + 1.5, (name, kind)
