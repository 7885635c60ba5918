import threading

import cv2
import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from srkd.cli import main
from srkd.imaging.files import read_image, write_image
from srkd.inference import video
from srkd.inference.ensemble import SelfEnsemble
from srkd.inference.files import plan_jobs, tiff_on_disk, upscale_files
from srkd.inference.upscaler import Upscaler
from srkd.inference.video import upscale_video
from srkd.networks.edsr import EDSR
from srkd.networks.weights import save_network
from srkd.types import InputError

torch.manual_seed(0)
NETWORK = EDSR(num_feat=8, num_block=1, upscale=2, img_range=1.0)


@pytest.fixture
def upscaler():
    return Upscaler(NETWORK, device="cpu", precision="fp32")


@pytest.fixture
def model(tmp_path):
    save_network(tmp_path / "n.pth", NETWORK)
    return str(tmp_path / "n.pth")


@pytest.fixture
def strange(tmp_path, photo):
    """One corrupt, one grey, one RGBA, one 16-bit, one CMYK JPEG, one empty and one text file renamed .png."""
    folder, small = tmp_path / "strange", np.ascontiguousarray(photo[:16, :20])
    write_image(folder / "grey.png", small[..., 0])
    write_image(folder / "rgba.png", np.dstack([small, small[..., :1]]))
    write_image(folder / "deep.png", small.astype(np.uint16) * 257)
    Image.fromarray(small).convert("CMYK").save(folder / "cmyk.jpg")
    (folder / "corrupt.jpg").write_bytes((folder / "cmyk.jpg").read_bytes()[:200])
    (folder / "empty.png").write_bytes(b"")
    (folder / "text.png").write_text("I am not a picture")
    return folder


def test_a_folder_of_strange_files_goes_on_and_lists_what_failed(strange, model, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["upscale", str(strange), "-m", model, "-o", str(out), "--precision", "fp32"]) == 1
    captured = capsys.readouterr()
    assert "4 of 7 files written" in captured.out
    assert "3 of 7 files failed" in captured.err
    for name, reason in (("corrupt.jpg", "truncated"), ("empty.png", "empty"), ("text.png", "not an image")):
        assert any(name in line and reason in line for line in captured.err.splitlines())
    assert sorted(path.name for path in out.iterdir()) == ["cmyk.png", "deep.png", "grey.png", "rgba.png"]
    assert [read_image(out / f"{name}.png").shape for name in ("cmyk", "deep", "grey", "rgba")] == [
        (32, 40, 3),
        (32, 40, 3),
        (32, 40),
        (32, 40, 4),
    ]
    assert read_image(out / "deep.png").dtype == np.uint16


def test_the_command_says_how_it_computes(model, photo, tmp_path, capsys):
    write_image(tmp_path / "a.png", photo)
    assert main(["upscale", str(tmp_path / "a.png"), "-m", model, "-o", str(tmp_path / "b.png")]) == 0
    printed = capsys.readouterr().out
    assert "width 1 computes in " in printed and "1 of 1 files written" in printed


def test_a_format_that_cannot_hold_the_result_is_said_before_the_work(strange, upscaler, tmp_path, monkeypatch):
    monkeypatch.setattr(upscaler, "upscale", lambda image: pytest.fail("worked for nothing"))
    (line,) = upscale_files(upscaler, plan_jobs([strange / "rgba.png"], tmp_path / "a.jpg"))
    assert "rgba.png: cannot write" in line and ".jpg holds grey, RGB of 8 bits" in line
    assert not (tmp_path / "a.jpg").exists()


@pytest.mark.parametrize("name", ["grey", "rgba", "deep", "cmyk"])
def test_tiff_is_written_in_place_and_equals_png(strange, upscaler, tmp_path, name):
    source = next(strange.glob(f"{name}.*"))
    for target in ("a.tif", "a.png"):
        assert upscale_files(upscaler, plan_jobs([source], tmp_path / target)) == []
    assert np.array_equal(read_image(tmp_path / "a.tif"), read_image(tmp_path / "a.png"))


def test_a_tiff_that_fails_leaves_nothing(tmp_path):
    with pytest.raises(RuntimeError), tiff_on_disk(tmp_path / "a.tif", (8, 8, 3), np.dtype(np.uint8)):
        raise RuntimeError("no more")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("height", "big"), [(40_000, True), (10_000, False)])
def test_a_tiff_beyond_4_gb_is_a_big_one(tmp_path, monkeypatch, height, big):
    made = {}

    class Stop(Exception):
        pass

    def memmap(path, **options):
        made.update(options)
        raise Stop

    monkeypatch.setattr(tifffile, "memmap", memmap)
    with pytest.raises(Stop), tiff_on_disk(tmp_path / "a.tif", (height, 40_000, 3), np.dtype(np.uint8)):
        pass
    assert made["bigtiff"] is big


class TestPictures:
    def test_pillow_files_and_arrays_agree(self, upscaler, photo, tmp_path):
        write_image(tmp_path / "a.png", photo)
        expected = upscaler(photo)
        assert np.array_equal(upscaler(tmp_path / "a.png"), expected)
        assert np.array_equal(upscaler(str(tmp_path / "a.png")), expected)
        result = upscaler(Image.fromarray(photo))
        assert isinstance(result, Image.Image) and np.array_equal(np.asarray(result), expected)

    @pytest.mark.parametrize(
        ("mode", "becomes"), [("L", "L"), ("P", "RGB"), ("LA", "RGBA"), ("RGBA", "RGBA"), ("1", "L")]
    )
    def test_pillow_modes(self, upscaler, photo, mode, becomes):
        result = upscaler(Image.fromarray(photo[:8, :9]).convert("RGBA").convert(mode))
        assert (result.mode, result.size) == (becomes, (18, 16))

    def test_floating_point_is_not_rounded(self, upscaler, photo):
        whole = upscaler(photo).astype(float)
        exact = upscaler(photo.astype(np.float32) / 255)
        assert exact.dtype == np.float32 and exact.min() >= 0 and exact.max() <= 1
        assert np.abs(255 * exact - whole).max() <= 0.501
        assert len(np.unique(exact)) > 256
        with pytest.raises(InputError, match=r"lies in \[0, 1\]; this one reaches 2[0-9]+"):
            upscaler(photo.astype(np.float32))
        with pytest.raises(InputError, match="this one reaches nan"):
            upscaler(np.full((4, 4, 3), np.nan))

    def test_batches_equal_single_images(self, upscaler, rng):
        shapes = [(8, 9, 3), (8, 9), (8, 9, 3), (7, 9, 3), (8, 9, 3), (8, 9)]
        images = [rng.integers(0, 256, shape, np.uint8) for shape in shapes]
        for one, other in zip(upscaler.batch(images, size=2), map(upscaler, images), strict=True):
            assert one.shape == other.shape and np.abs(one.astype(int) - other).max() <= 1


class TestSelfEnsemble:
    def test_it_is_the_mean_of_eight_by_hand(self, rng):
        x = torch.from_numpy(rng.random((1, 3, 6, 9))).float()
        network = NETWORK.eval()
        turned = [torch.rot90(flipped, turns, (2, 3)) for flipped in (x, x.flip(3)) for turns in range(4)]
        with torch.no_grad():
            outputs = [network(image) for image in turned]
            back = [torch.rot90(output, -(index % 4), (2, 3)) for index, output in enumerate(outputs)]
            back = [output.flip(3) if index >= 4 else output for index, output in enumerate(back)]
            expected = torch.stack(back).mean(dim=0)
            assert torch.allclose(SelfEnsemble(network)(x), expected, atol=1e-6)
            assert not torch.allclose(network(x), expected, atol=1e-4)

    def test_it_turns_with_the_picture(self, rng):
        upscaler = Upscaler(NETWORK, device="cpu", precision="fp32", self_ensemble=True)
        image = rng.random((10, 12, 3)).astype(np.float32)
        assert np.abs(upscaler(np.ascontiguousarray(np.rot90(image))) - np.rot90(upscaler(image))).max() < 1e-6


class TestVideo:
    @pytest.fixture
    def clip(self, tmp_path):
        path = tmp_path / "clip.avi"
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 12.5, (32, 24))
        for frame in range(7):
            writer.write(np.full((24, 32, 3), (20 * frame, 100, 200), np.uint8))
        writer.release()
        return path

    def frames(self, path):
        reader = cv2.VideoCapture(str(path))
        frames = []
        while (read := reader.read())[0]:
            frames.append(read[1])
        return frames, reader.get(cv2.CAP_PROP_FPS)

    @pytest.mark.parametrize("suffix", ["avi", "mp4"])
    def test_every_frame_at_the_same_rate_and_colours(self, upscaler, clip, tmp_path, suffix):
        seen = []
        target = tmp_path / f"large.{suffix}"
        assert upscale_video(upscaler, clip, target, progress=lambda done, total: seen.append((done, total))) == 7
        assert seen == [(4, 7), (7, 7)]
        (small, rate), (large, same_rate) = self.frames(clip), self.frames(target)
        assert len(large) == 7 and large[0].shape == (48, 64, 3) and rate == same_rate == 12.5
        for one, other in zip(small, large, strict=True):
            expected = upscaler(np.ascontiguousarray(one[..., ::-1]))[..., ::-1]
            # the encoder keeps a fraction of the untrained network's noise, but the mean of each colour
            assert np.abs(expected.mean(axis=(0, 1)) - other.mean(axis=(0, 1))).max() < 8

    @pytest.mark.parametrize("count", [1, 4, 5, 9])
    def test_overlapped_it_is_what_it_is_one_after_the_other(self, upscaler, rng, tmp_path, count):
        path, slow, fast = (tmp_path / name for name in ("noise.avi", "slow.avi", "fast.avi"))
        pictures = rng.integers(0, 256, (count, 24, 32, 3), np.uint8)
        for file, scale in ((path, 1), (slow, 2)):
            writer = cv2.VideoWriter(str(file), cv2.VideoWriter.fourcc(*"MJPG"), 25, (32 * scale, 24 * scale))
            for picture in pictures if scale == 1 else self.frames(path)[0]:
                large = picture if scale == 1 else upscaler(np.ascontiguousarray(picture[..., ::-1]))[..., ::-1]
                writer.write(np.ascontiguousarray(large))
            writer.release()
        assert upscale_video(upscaler, path, fast) == count
        assert len(self.frames(fast)[0]) == count
        assert all(map(np.array_equal, self.frames(fast)[0], self.frames(slow)[0]))

    @pytest.mark.parametrize("failing", ["_write", "_next_frames"])
    def test_what_a_thread_meets_is_raised_here(self, upscaler, clip, tmp_path, monkeypatch, failing):
        usual, calls = getattr(video, failing), []

        def fails(*arguments):
            calls.append(arguments)
            if len(calls) > 1:
                raise OSError("no space left on device")
            return usual(*arguments)

        monkeypatch.setattr(video, failing, fails)
        threads = threading.active_count()
        with pytest.raises(OSError, match="no space"):
            upscale_video(upscaler, clip, tmp_path / "large.avi")
        assert [path.name for path in tmp_path.iterdir()] == ["clip.avi"]
        assert threading.active_count() == threads

    def test_in_a_list_of_files(self, clip, model, photo, tmp_path, capsys):
        write_image(tmp_path / "a.png", photo)
        out = tmp_path / "out"
        assert main(["upscale", str(clip), str(tmp_path / "a.png"), "-m", model, "-o", str(out)]) == 0
        assert sorted(path.name for path in out.iterdir()) == ["a.png", "clip.mp4"]

    def test_what_is_no_video(self, upscaler, clip, tmp_path, photo):
        (tmp_path / "text.mp4").write_text("I am not a film")
        with pytest.raises(InputError, match="cannot be decoded"):
            upscale_video(upscaler, tmp_path / "text.mp4", tmp_path / "out.mp4")
        with pytest.raises(InputError, match="does not exist"):
            upscale_video(upscaler, tmp_path / "none.mp4", tmp_path / "out.mp4")
        with pytest.raises(InputError, match="videos are written as"):
            upscale_video(upscaler, clip, tmp_path / "out.webm")
        assert not list(tmp_path.glob("out*"))
        write_image(tmp_path / "a.png", photo)
        with pytest.raises(InputError, match="an image becomes an image, a video a video"):
            plan_jobs([tmp_path / "a.png"], tmp_path / "a.mp4")


def test_a_thousand_switches_keep_what_there_was(upscaler, photo):
    first = {}
    for width in (1.0, 0.25, 0.5, 1.0):
        upscaler.width = width
        first.setdefault(width, upscaler(photo))
    networks, memory = len(upscaler._prepared._narrow), upscaler.memory
    assert list(memory) == [1.0, 0.25, 0.5] and memory[1.0] > memory[0.5] > memory[0.25] > 0
    for number in range(1000):
        upscaler.width = (1.0, 0.25, 0.5)[number % 3]
    assert (len(upscaler._prepared._narrow), upscaler.memory) == (networks, memory)
    for width, result in first.items():
        upscaler.width = width
        assert np.array_equal(upscaler(photo), result)


class TestTransparency:
    """Of a colour or a palette entry: the same by path and by Pillow's image."""

    @pytest.mark.parametrize("mode", ["RGB", "L", "P"])
    def test_a_key_is_kept(self, upscaler, photo, tmp_path, mode):
        picture = Image.fromarray(photo[:8, :9]).convert(mode)
        key = picture.getpixel((4, 4))
        picture.save(tmp_path / "key.png", transparency=key)
        by_path = upscaler(tmp_path / "key.png")
        with Image.open(tmp_path / "key.png") as opened:
            by_picture = upscaler(opened)
        assert by_path.shape == (16, 18, 4)
        np.testing.assert_array_equal(by_path, np.asarray(by_picture))
