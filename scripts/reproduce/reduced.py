"""Write the training photographs once more, smaller: more to learn from for a network that is wide enough.

  python scripts/reproduce/reduced.py

The 369 of BSDS500 and the 90 of T91, at 0.8 and 0.6 of their size by MATLAB's bicubic, rounded to 8 bits, without those
that would be smaller than a patch of 96. They go beside the originals: datasets/train/bsds369_x0.8/ and so on. Files
that exist are left alone.
"""

from __future__ import annotations

import argparse
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from steps import ROOT

from srkd.imaging.files import list_images, read_image, write_image
from srkd.imaging.resize import imresize

TRAIN, CHOSEN = ROOT / "datasets/train", ROOT / "options/train/base/bsds_train_369.txt"
FACTORS, LEAST = (0.8, 0.6), 96


def reduce(source: Path, folder: Path, factor: float) -> None:
    """Write `source` at `factor` of its size into `folder`, unless it is there or would be too small."""
    target = folder / f"{source.stem}.png"
    if target.exists():
        return
    image = read_image(source)
    size = (round(image.shape[0] * factor), round(image.shape[1] * factor))
    if min(size) >= LEAST and image.ndim == 3:
        write_image(target, imresize(image, size=size))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.parse_args()
    if gone := [str(TRAIN / name) for name in ("bsds399", "t90") if not (TRAIN / name).is_dir()]:
        parser.error(f"there is no folder {' and no '.join(gone)}; datasets/README.md says where the images are from.")
    photographs = [TRAIN / "bsds399" / line.split()[0] for line in CHOSEN.read_text(encoding="utf-8").splitlines()]
    with ThreadPoolExecutor() as pool:
        for name, sources in (("bsds369", photographs), ("t90", list_images(TRAIN / "t90"))):
            for factor in FACTORS:
                folder = TRAIN / f"{name}_x{factor}"
                folder.mkdir(exist_ok=True)
                list(pool.map(lambda source, to=folder, by=factor: reduce(source, to, by), sources))
                print(f"{len(list_images(folder))} images in {folder}")


if __name__ == "__main__":
    main()
