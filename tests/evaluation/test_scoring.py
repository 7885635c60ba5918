import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from srkd.evaluation.protocols import protocol_of
from srkd.evaluation.scoring import pair_names, score_folder
from srkd.imaging.files import read_image, write_image
from srkd.imaging.resize import mod_crop
from srkd.metrics.psnr import psnr
from srkd.types import InputError

NAMES = st.lists(st.from_regex(r"[a-c]{1,2}(_[a-c12]{1,2})?", fullmatch=True), min_size=1, max_size=6, unique=True)


@given(NAMES, st.sampled_from(["", "_x4", "x4", "_SwinIR", "x2_theirs"]))
def test_one_suffix_for_all_always_pairs(names, suffix):
    gt = [name for name in names if not any(name != other and other.startswith(name) for other in names)]
    assert pair_names([name + suffix for name in gt], gt) == {name: name + suffix for name in gt}


@pytest.mark.parametrize("suffix", ["", "_x4", "x4", "_any"])
def test_names_that_begin_alike(suffix):
    gt = ["img", "img_1", "img_10", "img10"]
    assert pair_names([name + suffix for name in gt], gt) == {name: name + suffix for name in gt}


def test_missing_and_ambiguous_are_listed():
    with pytest.raises(InputError, match=r"2 of 3 .*b: missing; c: c or c_x4"):
        pair_names(["a", "bb", "c", "c_x4"], ["a", "b", "c"])


@pytest.fixture
def results(folder, tmp_path, rng):
    for path in (folder / "HR").iterdir():
        gt = mod_crop(read_image(path), 2)
        noise = rng.integers(-9, 9, gt.shape)
        write_image(tmp_path / "theirs" / f"{path.stem}_x2.png", np.clip(gt + noise, 0, 255).astype(np.uint8))
    return tmp_path / "theirs"


def test_scores_are_the_metrics(folder, results):
    result = score_folder(results, str(folder), protocol=protocol_of("y", 2))
    assert [(row.image, row.model, row.seconds) for row in result.rows] == [
        (f"img{n}", "theirs", None) for n in range(3)
    ]
    first = psnr(
        read_image(results / "img0_x2.png"),
        mod_crop(read_image(folder / "HR" / "img0.png"), 2),
        crop_border=2,
        test_y_channel=True,
    )
    assert result.rows[0].metrics["psnr"] == first
    assert result.summary[0].metrics["psnr"] == pytest.approx(np.mean([row.metrics["psnr"] for row in result.rows]))


def test_sizes_must_be_those_of_the_cropped_truth(folder, results):
    for name in ("img0", "img2"):
        write_image(results / f"{name}_x2.png", read_image(folder / "HR" / f"{name}.png"))
    with pytest.raises(InputError, match=r"img0_x2\.png is 41×51, img0 is 40×50; img2_x2\.png is"):
        score_folder(results, str(folder), protocol=protocol_of("y", 2))


def test_corrupt_result_is_a_failure_and_paper_y_is_refused(folder, results):
    (results / "img1_x2.png").write_bytes(b"nothing")
    result = score_folder(results, str(folder), protocol=protocol_of("y", 2))
    assert (result.summary[0].n, result.summary[0].n_expected, len(result.failures)) == (2, 3, 1)
    with pytest.raises(InputError, match="use y or rgb"):
        score_folder(results, str(folder), protocol=protocol_of("paper-y", 2))
