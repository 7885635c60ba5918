"""Files of every layout are read as tifffile and Pillow read them, or refused by name (tests/imaging/oracle.py)."""

from __future__ import annotations

import random

import numpy as np
import pytest
from imaging import oracle
from PIL import UnidentifiedImageError

from srkd.imaging.decode import image_size
from srkd.imaging.files import decode_image, to_rgb8
from srkd.types import InputError


@pytest.fixture(scope="module")
def everything() -> list[oracle.Case]:
    return oracle.cases()


def outcome(case: oracle.Case, path) -> str:
    """`equal` or `refused`; fails where it is neither."""
    path.write_bytes(case.data)
    try:
        found = decode_image(case.data, "odd.file")
    except InputError as error:
        assert not case.must_read, f"{case.name}: {error}"
        assert "the image odd.file " in str(error)
        layouts = ("layout that srkd does not read: ", "srkd does not read", "outside of its range")
        assert any(words in str(error) for words in layouts), f"{case.name}: {error}"
        return "refused"
    assert case.expected is not None, f"{case.name} was read as {found.dtype} {found.shape}"
    assert (found.dtype, found.shape) == (case.expected.dtype, case.expected.shape), case.name
    np.testing.assert_allclose(found.astype(int), case.expected.astype(int), atol=case.tolerance, err_msg=case.name)
    assert image_size(path) == found.shape[:2], case.name
    return "equal"


def compare(cases: list[oracle.Case], path) -> dict[str, int]:
    found = [outcome(case, path) for case in cases]
    return {word: found.count(word) for word in ("equal", "refused")}


def test_a_tenth_of_the_files(everything, tmp_path):
    chosen = random.Random(14).sample(everything, len(everything) // 10)
    found = compare(chosen, tmp_path / "x")
    assert found["equal"] > 30 and found["refused"]


@pytest.mark.slow
def test_all_files(everything, tmp_path, capsys):
    found = compare(everything, tmp_path / "x")
    with capsys.disabled():
        print(f"\nimage oracle: {len(everything)} files, {found}")
    assert len(everything) >= 150 and found["equal"] > 300


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_the_expectations_are_pillows_where_it_reads_the_file(everything):
    """8-bit TIFFs: what the oracle expects is what Pillow sees, as far as it tells the same things."""
    compared = 0
    # Pillow cuts these to 8 bits, drops the alpha, blackens the palette, leaves planes multiplied; JPEGs are near
    unlike = ("Pillow", "16 bits", "unspecified", "small values", "assocalpha, planes", "JPEG")
    for case in everything:
        if not case.name.startswith("TIFF ") or case.expected is None or any(word in case.name for word in unlike):
            continue
        try:
            seen = oracle.by_pillow(case.data)
        except (UnidentifiedImageError, OSError, ValueError):
            continue
        assert seen.shape == case.expected.shape, case.name
        seen, expected = (to_rgb8(image).astype(int) for image in (seen, case.expected))
        np.testing.assert_allclose(seen, expected, atol=1, err_msg=case.name)
        compared += 1
    assert compared > 60
