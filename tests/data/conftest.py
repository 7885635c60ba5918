"""Small image folders."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import lmdb
import numpy as np
import pytest

from srkd.imaging.files import list_images, read_image, write_image
from srkd.imaging.resize import imresize

Folders = tuple[Path, Path]


@pytest.fixture
def make_folders(tmp_path: Path) -> Callable[..., Folders]:
    """Write random pairs, gt in BasicSR's `GTmod12` and lq in `LRbicx2` unless told otherwise."""

    def make(
        sizes: dict[str, tuple[int, int]],
        *,
        scale: int = 2,
        gt: str = "GTmod12",
        lq: str | None = None,
        template: str = "{}",
    ) -> Folders:
        rng = np.random.default_rng(7)
        root_gt, root_lq = tmp_path / gt, tmp_path / (lq or f"LRbicx{scale}")
        for name, (height, width) in sizes.items():
            image = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
            write_image(root_gt / f"{name}.png", image)
            cropped = image[: height // scale * scale, : width // scale * scale]
            write_image(root_lq / f"{template.format(name)}.png", imresize(cropped, scale=1 / scale))
        return root_gt, root_lq

    return make


@pytest.fixture
def folders(make_folders: Callable[..., Folders]) -> Folders:
    """Five pairs of different sizes at scale 2."""
    return make_folders({f"im{i}": (32 + 2 * i, 48 - 2 * i) for i in range(5)})


@pytest.fixture
def write_lmdb() -> Callable[[Path, Path], Path]:
    """Make an LMDB of a folder."""

    def write(source: Path, target: Path) -> Path:
        """As BasicSR's scripts do it: key = stem, value = the encoded file."""
        with lmdb.open(str(target), map_size=2**24) as env, env.begin(write=True) as transaction:
            lines = []
            for path in list_images(source):
                transaction.put(path.stem.encode(), path.read_bytes())
                height, width, channels = read_image(path).shape
                lines.append(f"{path.name} ({height},{width},{channels}) 1")
        (target / "meta_info.txt").write_text("\n".join(lines) + "\n")
        return target

    return write
