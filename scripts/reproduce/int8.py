"""What 8-bit integers cost the networks that come with the package: PSNR on whole test sets, and sizes.

  OMP_NUM_THREADS=1 python scripts/reproduce/int8.py
  OMP_NUM_THREADS=1 python scripts/reproduce/int8.py --models switchable-x4 --sets Set5

Each network, full and a quarter, is exported in fp32 and with 8 and 16 bits for what the convolutions read, calibrated
on photographs that it was trained on, and measured in onnxruntime. Results: docs/results/int8/MODEL.json, and what
the files say of themselves in MODEL.forms.json. Milliseconds stand in scripts/bench/infer.py.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import onnx
from steps import ROOT, run

from srkd.atomic import atomic_write_text

RESULTS = ROOT / "docs/results/int8"
FORMS: dict[str, tuple[str, ...]] = {"fp32": (), "int8": ("--int8",), "int8_16": ("--int8", "--activations", "16")}


def metadata(file: Path) -> dict[str, str]:
    """What an exported file says of itself."""
    return {each.key: each.value for each in onnx.load(file, load_external_data=False).metadata_props}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=["switchable-x2", "switchable-x3", "switchable-x4"])
    parser.add_argument("--sets", nargs="+", default=["Set5", "Urban100"])
    parser.add_argument("--calibrate", type=Path, default=Path("datasets/train/bsds399"))
    args = parser.parse_args()
    RESULTS.mkdir(parents=True, exist_ok=True)
    for model in args.models:
        with tempfile.TemporaryDirectory() as folder:
            files: list[Path] = []
            for width in ("1", "0.25"):
                for form, words in FORMS.items():
                    file = Path(folder) / f"w{width}_{form}.onnx"
                    more = ("--calibrate", args.calibrate) if words else ()
                    run("export", model, "--width", width, *words, *more, "-o", file)
                    files.append(file)
            told = {file.stem: metadata(file).get("int8", "") for file in files}
            atomic_write_text(RESULTS / f"{model}.forms.json", json.dumps(told, indent=1) + "\n")
            run("benchmark", *files, "--sets", *args.sets, "-o", RESULTS / f"{model}.json", "--overwrite")


if __name__ == "__main__":
    main()
