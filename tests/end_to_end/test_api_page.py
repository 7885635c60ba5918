"""docs/api.md: its examples, run one after the other as they stand there."""

import re
from pathlib import Path

import cv2
import numpy as np
import torch

from srkd.imaging.files import read_image, write_image
from srkd.networks.edsr import EDSR
from srkd.networks.weights import save_network

PAGE = (Path(__file__).parents[2] / "docs" / "api.md").read_text(encoding="utf-8")


def test_the_examples_of_the_page(tmp_path, monkeypatch, photo, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SRKD_HOME", str(tmp_path / "home"))
    torch.manual_seed(0)
    save_network("net_g_latest.pth", EDSR(num_feat=16, num_block=1, upscale=2), widths=(1.0, 0.5, 0.25))
    write_image("photo.png", photo)
    write_image("photos/a.png", photo[:20, :30])
    writer = cv2.VideoWriter("clip.mp4", cv2.VideoWriter.fourcc(*"mp4v"), 25, (32, 24))
    for _ in range(3):
        writer.write(np.zeros((24, 32, 3), np.uint8))
    writer.release()

    examples = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    assert len(examples) == 10
    write_image("train/b.png", photo)
    demo = (Path(__file__).parents[2] / "options/demo/train.yml").read_text(encoding="utf-8")
    demo = re.sub(r"srkd_demo/photos/\w+", "train", demo).replace("num_feat: 32", "num_feat: 4")
    Path("my.yml").write_text(demo, encoding="utf-8")
    names = {}
    for example in examples:
        example = example.replace("latency_ms=40", "latency_ms=1e6")  # a slow machine keeps no 40 ms
        exec(example.replace("total_iter=200", "total_iter=2"), names)
    assert names["file"].exists()

    assert names["large"].shape == (2 * photo.shape[0], 2 * photo.shape[1], 3)
    assert names["exact"].dtype == np.float32 and names["portrait"].size == names["large"].shape[1::-1]
    assert names["plan"].chosen.width == 1.0 and "180 × 320 pixels" in capsys.readouterr().out
    assert names["failures"] == [] and read_image("out/a.png").shape == (40, 60, 3)
    assert Path("large.mp4").stat().st_size > 0
    assert np.array_equal(names["out"].shape, names["large"].shape)
