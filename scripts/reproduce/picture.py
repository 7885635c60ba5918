"""README's picture, docs/images/switchable-x4.png: details of photographs, enlarged by the network of the package.

  python scripts/reproduce/picture.py

The photographs come with scikit-image and are in no training set. LR is MATLAB's bicubic at a quarter of the size.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import skimage
from PIL import Image
from steps import ROOT

from srkd import Upscaler
from srkd.atomic import atomic_path
from srkd.imaging.crops import captioned, enlarged, side_by_side
from srkd.imaging.files import read_image, to_rgb8
from srkd.imaging.resize import imresize, mod_crop

SCALE, SIZE, ZOOM, GAP = 4, 128, 2, 4  # SIZE: pixels of the original along a side
DETAILS = {"astronaut": (36, 164), "chelsea": (48, 128)}  # top, left in the original: a face, an eye
CAPTIONS = ("low resolution", "bicubic", "a quarter of the channels", "full width", "original")
PICTURE = ROOT / "docs/images/switchable-x4.png"


def main() -> None:
    upscaler = Upscaler("switchable-x4", device="cpu", precision="fp32")
    rows: list[list[np.ndarray]] = []
    for name, (top, left) in DETAILS.items():
        original = mod_crop(to_rgb8(read_image(Path(skimage.__file__).parent / f"data/{name}.png")), SCALE)
        small = imresize(original, scale=1 / SCALE)
        panels = [enlarged(small, SCALE), imresize(small, scale=SCALE)]
        for width in (0.25, 1):
            upscaler.width = width
            panels.append(upscaler(small))
        panels.append(original)
        rows.append([enlarged(panel[top : top + SIZE, left : left + SIZE], ZOOM) for panel in panels])
    *upper, last = rows
    white = np.full((GAP, len(last) * (SIZE * ZOOM + GAP) - GAP, 3), 255, np.uint8)
    above = [part for row in upper for part in (side_by_side(row, gap=GAP), white)]
    with atomic_path(PICTURE) as temporary:
        Image.fromarray(np.vstack([*above, captioned(last, CAPTIONS, gap=GAP, text_px=18)])).save(temporary)
    sys.stdout.write(f"Written: {PICTURE}\n")


if __name__ == "__main__":
    main()
