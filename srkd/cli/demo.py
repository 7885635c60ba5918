"""Train, distil, measure, upscale and export in a few minutes, without a download.

The photographs are those that ship with scikit-image. Every step is an ordinary srkd command, printed before it runs.
`--photos` only writes the photographs: they are what the files options/train/*/*_x2_tiny.yml train with.
"""

from __future__ import annotations

import argparse
import shlex
import shutil
import time
from importlib.util import find_spec
from pathlib import Path

from srkd.cli.display import say, stdout_console

TRAIN = (
    *("brick.png", "camera.png", "coffee.png", "coins.png", "grass.png", "gravel.png", "hubble_deep_field.jpg"),
    *("ihc.png", "motorcycle_left.png", "retina.jpg", "rocket.jpg", "text.png"),
)
TEST = ("astronaut.png", "chelsea.png")

PHOTOS = """\
{out}/photos/train   {count} photographs to train with
{out}/photos/test    {tests} to measure with
{out}/photos/small   the same at half size, to upscale

Try next, in a checkout of srkd:
  srkd train -opt options/train/Supervised/supervised_edsr_x2_tiny.yml"""

DATA = (
    "datasets.train.dataroot_gt={out}/photos/train datasets.val.dataroot_gt={out}/photos/test "
    "path.experiments_root={out}/experiments"
)
STEPS = (
    ("Train a small EDSR ×2", f"train -opt {{options}}/train.yml {DATA}"),
    (
        "Distil it at half and quarter width: one network, three widths",
        f"train -opt {{options}}/distil.yml {DATA} path.pretrain_network_g={{trained}}",
    ),
    (
        "Measure it on photographs it has not seen",
        "benchmark {model} --sets {out}/photos/test --widths 1,0.5,0.25 -o {out}/results.json",
    ),
    (
        "Upscale a photograph at full and at quarter width",
        "upscale {out}/photos/small -m {model} -o {out}/upscaled --overwrite",
    ),
    ("", "upscale --overwrite --width 0.25 {out}/photos/small -m {model} -o {out}/upscaled_w025"),
    (
        "Export the quarter: an ordinary, physically smaller network",
        "export {model} --width 0.25 -o {exported} --overwrite",
    ),
)
DONE = """
Done in {minutes:.1f} minutes. Everything lies in {out}/
  {picture}   low resolution, bicubic, quarter and full width, original
  {model}   the network, all widths
  {exported}   the quarter, {reader}
  {out}/results.json, .csv, .md   the table, image by image

Try next:
  srkd upscale YOUR_PHOTO.jpg -m {model} -o upscaled --width 0.5
  srkd train -opt {options}/distil.yml --check
  srkd list methods CSD"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where to, and how long."""
    parser.add_argument("-o", "--output", default="srkd_demo", metavar="FOLDER", help="default: %(default)s")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--quick", action="store_true", help="a few iterations only: shows the steps, not the quality")
    how.add_argument("--photos", action="store_true", help="write the photographs and stop: data for a first training")


def run(args: argparse.Namespace) -> int:
    """Run the five steps, stopping at the first that fails; with `--photos` none of them."""
    out, began = Path(args.output), time.perf_counter()
    copy_photographs(out / "photos")
    if args.photos:
        say(PHOTOS.format(out=out, count=len(TRAIN), tests=len(TEST)))
        return 0
    onnx = all(map(find_spec, ("onnx", "onnxruntime", "onnxscript")))  # the extra `export`
    names = {
        "out": out,
        "options": options_folder(),
        "trained": out / "experiments/demo_edsr_x2/models/net_g_latest.pth",
        "model": out / "experiments/demo_csd_x2/models/net_g_latest.pth",
        "exported": out / f"edsr_x2_w025.{'onnx' if onnx else 'pth'}",
        "picture": out / "before_after.png",
        "reader": "for anything that reads ONNX" if onnx else "a network file",
    }
    short = ["train.total_iter=8", "val.val_freq=8", "logger.print_freq=4"] if args.quick else []
    steps = [(title, [word.format(**names) for word in command.split()]) for title, command in STEPS]
    status = run_steps([(title, command + (short if command[0] == "train" else [])) for title, command in steps])
    if status == 0:
        draw_before_after(out, out / "before_after.png")
        say(DONE.format(minutes=(time.perf_counter() - began) / 60, **names))
    return status


def run_steps(steps: list[tuple[str, list[str]]]) -> int:
    """Run srkd commands one after another, each printed first; returns the first non-zero exit status, or 0."""
    from srkd.cli import main

    console = stdout_console()
    for title, command in steps:
        if title:
            console.rule(title, align="left")
        console.print(f"$ srkd {shlex.join(command)}", style="dim", highlight=False, soft_wrap=True)
        if status := main(command):
            return status
    return 0


def options_folder() -> Path:
    """The demo's option files: inside an installed package, or in the checkout."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "_options" / "demo"
    return installed if installed.is_dir() else package.parent / "options" / "demo"


def copy_photographs(folder: Path) -> None:
    """scikit-image's photographs: `train/`, `test/`, and `small/`, the test ones at half size."""
    from srkd.imaging.files import read_image, to_rgb8, write_image
    from srkd.imaging.photographs import photograph
    from srkd.imaging.resize import imresize, mod_crop

    for kind, names in (("train", TRAIN), ("test", TEST)):
        (folder / kind).mkdir(parents=True, exist_ok=True)
        for name in names:
            shutil.copyfile(photograph(name), folder / kind / name)
    for name in TEST:
        image = mod_crop(to_rgb8(read_image(photograph(name))), 2)
        write_image(folder / "small" / name, imresize(image, scale=0.5))


def draw_before_after(out: Path, picture: Path) -> None:
    """A row for each test photograph: a crop of low resolution, bicubic, quarter width, full width, original."""
    import numpy as np

    from srkd.imaging.crops import Window, captioned, cut, enlarged
    from srkd.imaging.files import read_image, to_rgb8, write_image
    from srkd.imaging.resize import imresize, mod_crop

    details = {"astronaut": Window(20, 180, 96, 96), "chelsea": Window(60, 140, 96, 96)}  # a face, an eye
    strips: list[np.ndarray[tuple[int, ...], np.dtype[np.uint8]]] = []
    for name, detail in details.items():
        small = to_rgb8(read_image(out / "photos/small" / f"{name}.png"))
        panels = {
            "low resolution": enlarged(small, 2),
            "bicubic": imresize(small, scale=2),
            "quarter width": read_image(next((out / "upscaled_w025").glob(f"{name}*.png"))),
            "full width": read_image(next((out / "upscaled").glob(f"{name}*.png"))),
            "original": mod_crop(to_rgb8(read_image(out / "photos/test" / f"{name}.png")), 2),
        }
        strips.append(captioned([enlarged(cut(panel, detail), 3) for panel in panels.values()], [*panels], text_px=18))
    write_image(picture, np.vstack(strips))
