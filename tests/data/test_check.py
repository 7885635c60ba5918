from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from srkd.data.check import check_kernel, check_pairs, duplicates, nearest_kernel, survey
from srkd.data.degradation import blur_down
from srkd.imaging.files import write_image
from srkd.imaging.resize import imresize


def pairs_by(shrink, photo: np.ndarray, folder: Path, scale: int = 4) -> tuple[Path, Path]:
    for name, image in (("a", photo), ("b", photo[::-1])):
        write_image(folder / "hr" / f"{name}.png", image)
        write_image(folder / "lr" / f"{name}x{scale}.png", shrink(np.ascontiguousarray(image)))
    return folder / "hr", folder / "lr"


def test_every_unusual_kind_is_named_and_damage_is_serious(tmp_path: Path, photo) -> None:
    write_image(tmp_path / "plain.png", photo)
    write_image(tmp_path / "grey.png", photo[..., 0])
    write_image(tmp_path / "alpha.png", np.dstack([photo, photo[..., :1]]))
    write_image(tmp_path / "deep.png", photo.astype(np.uint16) * 257)
    Image.fromarray(photo).convert("P").save(tmp_path / "palette.png")
    Image.fromarray(photo).convert("CMYK").save(tmp_path / "ink.jpg")
    (tmp_path / "half.png").write_bytes((tmp_path / "plain.png").read_bytes()[:2000])
    (tmp_path / "page.jpg").write_text("<html>")
    told: list[tuple[int, int]] = []
    found = survey(tmp_path, lambda *numbers: told.append(numbers))
    assert found.names == ["alpha", "deep", "grey", "ink", "palette", "plain"]
    assert set(found.sizes) == {(96, 120)}
    serious = [finding.text for finding in found.findings if finding.serious]
    assert len(serious) == 2
    assert "half.png is a truncated PNG" in serious[0]
    notes = "\n".join(finding.text for finding in found.findings if not finding.serious)
    for line in ("are grey (trained on as RGB): grey", "are RGBA (alpha is dropped): alpha", "are 16 bit", "palette"):
        assert line in notes
    assert "are CMYK (converted without a colour profile): ink" in notes
    assert "plain" not in notes
    assert told[-1] == (8, 8)


def test_duplicates_are_found_resized_compressed_mirrored_and_turned(tmp_path: Path, photo) -> None:
    write_image(tmp_path / "0.png", photo)
    write_image(tmp_path / "1.jpg", cv2.resize(photo, (90, 70), interpolation=cv2.INTER_AREA))
    write_image(tmp_path / "2.png", photo[:, ::-1])
    write_image(tmp_path / "3.png", np.rot90(photo))
    write_image(tmp_path / "4.png", np.rot90(photo[::-1], 3))
    write_image(tmp_path / "5.png", photo[:, :70])  # a crop is another picture
    write_image(tmp_path / "6.png", np.full((50, 50, 3), 80, np.uint8))  # flat ones say nothing
    write_image(tmp_path / "7.png", np.full((60, 50, 3), 90, np.uint8))
    found = survey(tmp_path)
    assert duplicates(found.names, found.thumbnails) == [("0", "1"), ("0", "2"), ("0", "3"), ("0", "4")]


def test_pairs_that_do_not_fit_are_serious(tmp_path: Path, photo) -> None:
    hr, lr = pairs_by(lambda image: imresize(image, scale=1 / 4), photo, tmp_path)
    assert check_pairs(hr, lr, 4)[1] == []
    _, (wrong,) = check_pairs(hr, lr, 3)
    assert wrong.serious
    write_image(lr / "ax4.png", photo)
    _, (wrong,) = check_pairs(hr, lr, 4)
    assert "the LQ image must be 24×30" in wrong.text
    (lr / "ax4.png").unlink()
    _, (wrong,) = check_pairs(hr, lr, 4)
    assert wrong.serious


def test_matlabs_bicubic_is_recognised_also_from_another_rounding(tmp_path: Path, photo) -> None:
    for name, shrink in {
        "equal": lambda image: imresize(image, scale=1 / 4),
        "floor": lambda image: np.clip(np.floor(imresize(image.astype(float), scale=1 / 4)), 0, 255).astype(np.uint8),
    }.items():
        hr, lr = pairs_by(shrink, photo, tmp_path / name)
        (finding,) = check_kernel(check_pairs(hr, lr, 4)[0], 4)
        assert not finding.serious
        assert ("2 made again: equal" if name == "equal" else "within 1 level") in finding.text


@pytest.mark.parametrize(
    ("shrink", "kernel"),
    [
        (
            lambda image: cv2.resize(image, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_CUBIC),
            "OpenCV's INTER_CUBIC",
        ),
        (lambda image: cv2.resize(image, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA), "OpenCV's INTER_AREA"),
        (lambda image: blur_down(image, 4), "BD"),
    ],
)
def test_another_kernel_is_serious_and_named(tmp_path: Path, photo, shrink, kernel: str) -> None:
    hr, lr = pairs_by(shrink, photo, tmp_path)
    (finding,) = check_kernel(check_pairs(hr, lr, 4)[0], 4)
    assert finding.serious
    assert f"They resemble {kernel}" in finding.text
    assert "(mean difference 0.00)" in finding.text


def test_a_compressed_lr_image_is_still_nearest_to_its_kernel(photo) -> None:
    lr = imresize(photo, scale=1 / 2)
    lossy = cv2.imdecode(cv2.imencode(".jpg", lr, [cv2.IMWRITE_JPEG_QUALITY, 90])[1], cv2.IMREAD_COLOR)
    kernel, distance = nearest_kernel(photo, lossy, scale=2)
    assert kernel == "MATLAB's bicubic"
    assert distance > 0.5
