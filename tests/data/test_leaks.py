from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from srkd.data.leaks import Benchmarks, Picture, _mirrored, _points, find_leaks
from srkd.imaging.files import list_images, read_image, to_rgb8
from srkd.types import InputError


def picture(name: str, image: np.ndarray) -> Picture:
    return Picture(name, lambda: np.ascontiguousarray(image))


def recompressed(image: np.ndarray, quality: int) -> np.ndarray:
    return cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_COLOR)


def resized(image: np.ndarray, scale: float) -> np.ndarray:
    return cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)


@pytest.fixture(scope="module")
def scenes() -> dict[str, np.ndarray]:
    """Four photographs of scikit-image, 200 × 240."""
    from skimage import data

    return {
        "face": data.astronaut()[0:200, 120:360],
        "rocket": data.astronaut()[200:400, 260:500],
        "cup": data.coffee()[100:300, 100:340],
        "cat": data.chelsea()[40:240, 60:300],
    }


@pytest.fixture(scope="module")
def benchmarks(scenes) -> Benchmarks:
    return Benchmarks([picture(f"Set4/{name}", image) for name, image in scenes.items()])


def test_the_descriptors_of_a_mirrored_picture_are_rearrangements(scenes) -> None:
    points, other = _points(scenes["cat"]), _points(np.ascontiguousarray(scenes["cat"][:, ::-1]))
    both = cv2.BFMatcher().knnMatch(_mirrored(other.descriptors), points.descriptors, k=1)
    x = np.array([239 - points.places[match.trainIdx, 0] for (match,) in both])
    assert (abs(x - other.places[[match.queryIdx for (match,) in both], 0]) < 2).mean() > 0.7


@pytest.mark.parametrize("number", range(8))
def test_a_changed_benchmark_image_is_found_with_what_was_done_to_it(benchmarks, scenes, number: int) -> None:
    """Every combination of four names and eight orientations is met by some number, with other sizes and crops."""
    rng = np.random.default_rng(number)
    name = list(scenes)[number % 4]
    scale, turns, mirrored = float(rng.uniform(0.4, 1.8)), number % 4, number >= 4
    top, left = rng.integers(0, 50, 2)
    image = resized(scenes[name], scale)
    image = image[int(top * scale) : int((top + 150) * scale), int(left * scale) : int((left + 190) * scale)]
    image = np.rot90(image[:, ::-1] if mirrored else image, turns)
    changed = recompressed(np.clip(image * rng.uniform(0.7, 1.1) + 10, 0, 255).astype(np.uint8), 60)
    (leak,) = benchmarks.find(picture("train", changed))
    assert leak.benchmark == f"Set4/{name}"
    assert leak.scale == pytest.approx(scale, rel=0.03)
    assert leak.mirrored == mirrored
    assert leak.angle == pytest.approx([0, 90, 180, 90][turns], abs=1.5)
    assert leak.share == pytest.approx(150 * 190 / (200 * 240), abs=0.05)
    assert leak.similarity > 0.9


def test_a_benchmark_image_inside_a_larger_picture_and_at_any_angle(benchmarks, scenes) -> None:
    around = np.tile(scenes["cup"][:80, :80], (4, 5, 1))
    around[60:240, 90:306] = resized(scenes["face"], 0.9)
    matrix = cv2.getRotationMatrix2D((200, 160), 25, 0.9)
    (leak,) = benchmarks.find(picture("collage", cv2.warpAffine(around, matrix, (400, 320))))[:1]
    assert leak.benchmark == "Set4/face"
    assert leak.angle == pytest.approx(25, abs=1.5)
    assert leak.scale == pytest.approx(0.81, rel=0.03)


def test_a_change_of_aspect_does_not_hide_a_leak(benchmarks, scenes) -> None:
    (leak,) = benchmarks.find(picture("squeezed", cv2.resize(scenes["cat"], (200, 190))))
    assert (leak.benchmark, leak.share) == ("Set4/cat", pytest.approx(1, abs=0.1))


def test_a_picture_that_is_in_two_benchmarks_is_found_in_both(scenes) -> None:
    both = {**scenes, "again": resized(scenes["cat"], 0.8)[10:, 15:]}
    benchmarks = Benchmarks([picture(name, image) for name, image in both.items()])
    leaks = benchmarks.find(picture("train", scenes["cat"][20:, ::-1]))
    assert {leak.benchmark for leak in leaks} == {"cat", "again"}


def test_other_pictures_are_no_leaks(benchmarks, scenes) -> None:
    from skimage import data

    rng = np.random.default_rng(0)
    bricks = np.tile(rng.integers(0, 256, (10, 20, 3), dtype=np.uint8), (20, 10, 1))
    others = [data.astronaut()[400:, :250], data.coffee()[300:, 300:], data.rocket()[:200, :300], bricks]
    others += [np.full((100, 100, 3), 128, np.uint8), rng.integers(0, 256, (100, 100, 3), dtype=np.uint8)]
    assert find_leaks([picture(str(n), other) for n, other in enumerate(others)], benchmarks) == []


def test_many_pictures_are_looked_at_in_order_and_counted(benchmarks, scenes) -> None:
    told: list[tuple[int, int]] = []
    pictures = [picture(f"t{n}", list(scenes.values())[n % 4]) for n in range(6)]
    leaks = find_leaks(pictures, benchmarks, lambda *numbers: told.append(numbers))
    assert [(leak.image, leak.benchmark) for leak in leaks] == [
        (f"t{n}", f"Set4/{list(scenes)[n % 4]}") for n in range(6)
    ]
    assert told == [(n, 6) for n in range(1, 7)]
    assert leaks[0].describe() == "t0 is Set4/face at 1.00× (100 % of it, correlation 1.00)"


def test_benchmarks_without_structure_are_named(scenes) -> None:
    flat = picture("flat", np.full((64, 64, 3), 9, np.uint8))
    assert Benchmarks([flat, picture("cat", scenes["cat"])]).unrecognisable == ["flat"]
    with pytest.raises(InputError, match="enough structure"):
        Benchmarks([flat])


def test_woman_of_set5_is_found_as_302003_is_made(shared_data: Path) -> None:
    """302003 of BSDS500 is `woman` at 0.72×; that file is nowhere here, so it is made: smaller, cropped, compressed."""
    set5 = [picture(path.stem, to_rgb8(read_image(path))) for path in list_images(shared_data / "Set5" / "HR")]
    small = resized(to_rgb8(read_image(shared_data / "Set5" / "HR" / "woman.png")), 0.72)[4:-6, 5:-3]
    inside = to_rgb8(read_image(shared_data / "train" / "bsds399" / "100007.jpg"))
    inside[40 : 40 + small.shape[0], 200 : 200 + small.shape[1]] = small
    forms = [small, inside, small[:, ::-1], np.rot90(small), np.rot90(inside[:, ::-1])]
    training = [picture(str(n), recompressed(np.ascontiguousarray(form), 60)) for n, form in enumerate(forms)]
    # Another photograph of a monarch butterfly, the nearest picture there is to Set5's `butterfly`, and four more.
    bsds = shared_data / "train" / "bsds399"
    others = [bsds / "35049.jpg", bsds / "198023.jpg", bsds / "388067.jpg", shared_data / "train" / "t90" / "tt16.png"]
    training += [picture(path.name, to_rgb8(read_image(path))) for path in others]
    leaks = find_leaks(training, Benchmarks(set5))
    assert [(leak.image, leak.benchmark, leak.mirrored) for leak in leaks] == [
        ("0", "woman", False),
        ("1", "woman", False),
        ("2", "woman", True),
        ("3", "woman", False),
        ("4", "woman", True),
    ]
    assert all(leak.scale == pytest.approx(0.72, abs=0.01) for leak in leaks)
