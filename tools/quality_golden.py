"""Make the golden quality numbers of models again: `python tools/quality_golden.py [MODEL ...]`.

Without names, of every bundled model. Writes `tests/quality/golden.json`; look at the difference
before committing it: a lower PSNR is a loss that every user gets.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from aindnet.evaluation.methods import load_our_model
from aindnet.evaluation.regression import complaints, measure, read_golden, samples_for
from aindnet.pretrained.files import BUNDLED
from aindnet.whole_files import whole_file

GOLDEN = Path(__file__).parents[1] / "tests" / "quality" / "golden.json"


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", nargs="*", help="model names; default: every bundled one")
    names = parser.parse_args().model or sorted(path.stem for path in BUNDLED.glob("*.safetensors"))
    golden = dict(read_golden(GOLDEN))
    for name in names:
        ours = load_our_model(name, device="cpu", backend="torch", precision="fp32")
        numbers = measure(ours, samples_for(name))
        for complaint in complaints(numbers, golden.get(name, {}).get("numbers", {})):
            print(f"{name}: worse than before: {complaint}")
        golden[name] = {"sha256": ours.denoiser.model_hash, "numbers": numbers}
        print(name, json.dumps(numbers))
    with whole_file(GOLDEN) as partial:
        partial.write_text(json.dumps(golden, indent=2, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
