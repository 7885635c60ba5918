import numpy as np
import pytest

from srkd.evaluation.sets import find_set, known_sets
from srkd.imaging.files import write_image
from srkd.types import InputError

GREY = np.zeros((8, 9), np.uint8)


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("SRKD_DATASETS", str(tmp_path / "data"))
    return tmp_path / "data"


@pytest.mark.parametrize(
    ("place", "asked", "name"),
    [
        ("BSDS100/GTmod12", "b100", "B100"),
        ("bsd100/HR", "BSD100", "B100"),
        ("urban100", "Urban100", "Urban100"),
        ("Manga109/HR", "manga109", "Manga109"),
        ("DIV2K/DIV2K_valid_HR", "DIV2K_valid", "DIV2K_valid"),
        ("Mine/hr", "mine", "Mine"),
    ],
)
def test_names_in_any_case_and_layout(root, place, asked, name):
    write_image(root / place / "a.png", GREY)
    found = find_set(asked)
    assert (found.name, list(found.images)) == (name, ["a"])
    gt, lq = found.read(0)
    assert gt.shape == (8, 9) and lq is None  # grey, as the file is


@pytest.mark.parametrize("below", ["", "HR", "GTmod12"])
def test_folders(tmp_path, below):
    write_image(tmp_path / "Set5x" / below / "b.png", GREY)
    write_image(tmp_path / "Set5x" / below / "a.jpg", GREY)
    for given in {tmp_path / "Set5x", tmp_path / "Set5x" / below}:
        assert (find_set(str(given)).name, list(find_set(str(given)).images)) == ("Set5x", ["a", "b"])
    assert list(find_set(str(tmp_path / "Set5x")).first(1).images) == ["a"]


def test_missing_set_says_where_was_looked(root):
    with pytest.raises(InputError) as error:
        find_set("BSD100")
    for place in ("data/B100", "data/BSD100", "data/BSDS100", "HR/", "GTmod12/", "$SRKD_DATASETS"):
        assert place in str(error.value)
    root.mkdir()
    with pytest.raises(InputError, match="Did you mean 'Set14'"):
        find_set("Sett14")


def test_folder_without_images_and_twins(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no image, neither in HR/, GTmod12/ nor directly"):
        find_set(str(tmp_path / "empty"))
    for suffix in ("png", "jpg"):
        write_image(tmp_path / "twins" / f"a.{suffix}", GREY)
    with pytest.raises(InputError, match="only in the suffix"):
        find_set(str(tmp_path / "twins"))


def test_known_sets(root):
    write_image(root / "set14" / "a.png", GREY)
    assert known_sets() == {"Set14": root / "set14"}


@pytest.mark.parametrize(
    ("place", "asked"), [("benchmark/B100/HR", "BSDS100"), ("Benchmark/set14/HR", "Set14"), ("MANGA109", "manga109")]
)
def test_names_below_benchmark_as_edsr_unpacks_it(root, place, asked):
    write_image(root / place / "a.png", GREY)
    assert list(find_set(asked).images) == ["a"]


@pytest.mark.parametrize(
    ("gt", "lr"),
    [("GTmod12/a.png", "LRbicx2/a.png"), ("GTmod12/a.png", "LRbicx2/ax2.png"), ("HR/a.png", "LR_bicubic/X2/ax2.png")],
)
def test_lr_images_of_either_layout(tmp_path, gt, lr):
    write_image(tmp_path / "Set5" / gt, GREY)
    write_image(tmp_path / "Set5" / lr, GREY[:4, :4] + 7)
    for place in (tmp_path / "Set5", (tmp_path / "Set5" / gt).parent):
        truth, given = find_set(str(place), given_lr=2).read(0)
        assert truth.shape == (8, 9) and given.shape == (4, 4, 3) and given[0, 0, 0] == 7
    assert find_set(str(tmp_path / "Set5")).read(0)[1] is None
    with pytest.raises(InputError, match="no LR images of scale 4: neither LRbicx4 nor LR_bicubic/X4"):
        find_set(str(tmp_path / "Set5"), given_lr=4)
    write_image((tmp_path / "Set5" / gt).with_name("b.png"), GREY)
    with pytest.raises(InputError, match="no LR image of b "):
        find_set(str(tmp_path / "Set5"), given_lr=2)


def test_the_stamp_changes_with_the_files_only(tmp_path):
    write_image(tmp_path / "s" / "a.png", GREY)
    before = find_set(str(tmp_path / "s"))
    assert before.stamp == find_set(str(tmp_path / "s")).stamp == before.first(0).stamp
    assert before.origin == str(tmp_path / "s")
    write_image(tmp_path / "s" / "b.png", GREY)
    assert find_set(str(tmp_path / "s")).stamp != before.stamp


def test_known_sets_are_found_under_any_of_their_names(root):
    write_image(root / "BSDS100" / "a.png", GREY)
    write_image(root / "benchmark" / "Set5" / "HR" / "a.png", GREY)
    assert known_sets() == {"Set5": root / "benchmark" / "Set5", "B100": root / "BSDS100"}
