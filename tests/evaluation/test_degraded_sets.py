"""`srkd benchmark --degradation`: LR images that are not bicubic, and a result that says so."""

import json

import numpy as np
import pytest

from srkd.cli import main
from srkd.data.degradation import Degradation, add_noise, jpeg
from srkd.data.paired_image import PairedImageDataset
from srkd.evaluation.benchmark import benchmark
from srkd.evaluation.protocols import degradation_of, protocol_of
from srkd.evaluation.report.gather import gather
from srkd.evaluation.report.pictures import take_pictures
from srkd.evaluation.result import read_result
from srkd.evaluation.sets import TestSet
from srkd.evaluation.tables import write_result
from srkd.imaging.files import write_image
from srkd.imaging.resize import imresize
from srkd.metrics.psnr import psnr
from srkd.types import InputError


@pytest.fixture
def images(tmp_path, photo):
    for number in range(2):
        write_image(tmp_path / "set" / f"p{number}.png", photo[:, 12 * number : 12 * number + 90].copy())
    return tmp_path / "set"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("BD", Degradation("BD")),
        ("BD:1.2", Degradation("BD", sigma=1.2)),
        ("DN:50", Degradation("DN", sigma=50)),
        ("JPEG:40", Degradation("JPEG", quality=40)),
    ],
)
def test_the_word_of_a_degradation(text, expected):
    assert degradation_of(text) == expected


@pytest.mark.parametrize("text", ["BI", "bd", "BD:", "DN:x", "DN:-1", "JPEG", "JPEG:101", "JPEG:4.5", ""])
def test_a_word_that_is_none(text):
    with pytest.raises(InputError, match=f"there is no degradation '{text}'"):
        degradation_of(text)


def test_figures_are_those_of_the_degraded_image(photo):
    test_set = TestSet("s", ["a"], lambda _: (photo, None))
    small = imresize(photo, scale=1 / 2)
    for word, lq in (("JPEG:30", jpeg(small, 30)), ("DN", add_noise(small, 30, seed=0, name="a"))):
        result = benchmark([], [test_set], protocol=protocol_of("y", 2, degradation=degradation_of(word)))
        expected = psnr(imresize(lq, scale=2), photo, crop_border=2, test_y_channel=True)
        assert result.rows[0].metrics["psnr"] == expected


@pytest.mark.parametrize("word", ["BD", "DN", "JPEG:40"])
def test_images_are_those_that_training_sees(images, word):
    made = degradation_of(word)
    dataset = PairedImageDataset(dataroot_gt=str(images), scale=3, degradation=made)
    protocol = protocol_of("y", 3, degradation=made)
    for index, name in enumerate(("p0", "p1")):
        lq, gt = dataset.pair(index)
        np.testing.assert_array_equal(protocol.sample(gt, None, name).lq, lq)


def test_the_result_says_so_and_compares_with_its_like_only(images, tmp_path, capsys):
    plain, noisy = tmp_path / "plain.json", tmp_path / "noisy.json"
    command = ["benchmark", "bicubic", "--sets", str(images), "--scale", "3", "-o"]
    assert main([*command, str(plain)]) == 0
    assert main([*command, str(noisy), "--degradation", "DN:50"]) == 0
    content = json.loads(noisy.read_text())
    words = "DN (MATLAB bicubic, then noise of σ 50, seed 0)"
    assert content["protocol"]["degradation"] == {"type": "DN", "sigma": 50.0, "quality": None, "seed": 0}
    assert f"LR {words} of the mod-cropped HR" in content["protocol"]["description"]
    assert [text for text in content["warnings"] if words in text and "only" in text]
    assert "degradation" not in json.loads(plain.read_text())["protocol"]
    with pytest.raises(InputError, match="different protocols don't compare"):
        gather([str(plain), str(noisy)])
    capsys.readouterr()
    # what was found before is neither dropped nor taken for bicubic's
    assert main([*command, str(noisy)]) == 2
    assert "numbers of another protocol" in capsys.readouterr().err
    assert main([*command, str(noisy), "--overwrite"]) == 0
    assert json.loads(noisy.read_text())["summary"][0]["psnr"] == json.loads(plain.read_text())["summary"][0]["psnr"]


def test_pictures_of_a_report_are_made_the_same_way(images, tmp_path):
    assert main([
        "benchmark", "bicubic", "--sets", str(images), "--scale", "3", "--degradation", "JPEG:10",
        "-o", str(tmp_path / "r.json"),
    ]) == 0  # fmt: skip
    scenes, notes = take_pictures(gather([str(tmp_path / "r.json")]), limit=1, roots=[])
    assert len(scenes) == 1 and notes == []  # a picture whose figure is not the measured one is noted


def test_what_does_not_go_together(images, capsys):
    command = ["benchmark", "bicubic", "--sets", str(images), "--scale", "2", "--degradation", "BD"]
    assert main([*command, "--given-lr"]) == 2 and main([*command, "--protocol", "paper-y"]) == 2
    error = capsys.readouterr().err
    assert "give one of the two" in error and "with a degradation use protocol y" in error


def test_a_damaged_degradation_is_an_input_error(tmp_path, photo):
    result = benchmark([], [TestSet("s", ["a"], lambda _: (photo, None))], protocol=protocol_of("y", 2))
    path = tmp_path / "r.json"
    write_result(path, result)
    content = json.loads(path.read_text())
    content["protocol"]["degradation"] = {"type": "XX"}
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"is damaged: protocol\.degradation"):
        read_result(path)
