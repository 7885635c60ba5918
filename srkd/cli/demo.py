"""Train, distil, measure, upscale and export in a few minutes, without a download.

The photographs are those that ship with scikit-image. Every step is an ordinary srkd command, printed before it runs.
`--photos` only writes the photographs: they are what the files options/train/*/*_x2_tiny.yml train with.
"""

from __future__ import annotations

import argparse
import shlex
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

TRAIN = (
    "brick.png",
    "camera.png",
    "coffee.png",
    "coins.png",
    "grass.png",
    "gravel.png",
    "hubble_deep_field.jpg",
    "ihc.png",
    "motorcycle_left.png",
    "retina.jpg",
    "rocket.jpg",
    "text.png",
)
TEST = ("astronaut.png", "chelsea.png")
WIDTHS = "1,0.5,0.25"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where to, and how long."""
    parser.add_argument("-o", "--output", default="srkd_demo", metavar="FOLDER", help="default: %(default)s")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--quick", action="store_true", help="a few iterations only: shows the steps, not the quality")
    how.add_argument("--photos", action="store_true", help="write the photographs and stop: data for a first training")


def run(args: argparse.Namespace) -> int:
    """Run the five steps, stopping at the first that fails; with `--photos` none of them."""
    from srkd.cli.display import stdout_console

    console, began = stdout_console(), time.perf_counter()
    out = Path(args.output)
    options = options_folder()
    copy_photographs(out / "photos")
    if args.photos:
        console.print(
            f"{out}/photos/train   {len(TRAIN)} photographs to train with\n"
            f"{out}/photos/test    {len(TEST)} to measure with\n"
            f"{out}/photos/small   the same at half size, to upscale\n\n"
            "Try next, in a checkout of srkd:\n"
            "  srkd train -opt options/train/Supervised/supervised_edsr_x2_tiny.yml",
            highlight=False,
        )
        return 0

    paths = [
        f"datasets.train.dataroot_gt={out}/photos/train",
        f"datasets.val.dataroot_gt={out}/photos/test",
        f"path.experiments_root={out}/experiments",
    ]
    short = ["train.total_iter=8", "val.val_freq=8", "logger.print_freq=4"] if args.quick else []
    trained = out / "experiments/demo_edsr_x2/models/net_g_latest.pth"
    model = out / "experiments/demo_csd_x2/models/net_g_latest.pth"
    exported = out / ("edsr_x2_w025.onnx" if has_onnx() else "edsr_x2_w025.pth")
    steps = [
        ("Train a small EDSR ×2", ["train", "-opt", f"{options}/train.yml", *paths, *short]),
        (
            "Distil it at half and quarter width: one network, three widths",
            ["train", "-opt", f"{options}/distil.yml", *paths, f"path.pretrain_network_g={trained}", *short],
        ),
        (
            "Measure it on photographs it has not seen",
            ["benchmark", f"{model}", "--sets", f"{out}/photos/test", "--widths", WIDTHS, "-o", f"{out}/results.json"],
        ),
        (
            "Upscale a photograph at full and at quarter width",
            ["upscale", f"{out}/photos/small", "-m", f"{model}", "-o", f"{out}/upscaled", "--overwrite"],
        ),
        (
            "",
            [
                "upscale",
                "--overwrite",
                "--width",
                "0.25",
                f"{out}/photos/small",
                "-m",
                f"{model}",
                "-o",
                f"{out}/upscaled_w025",
            ],
        ),
        (
            "Export the quarter: an ordinary, physically smaller network",
            ["export", f"{model}", "--width", "0.25", "-o", f"{exported}"],
        ),
    ]
    status = run_steps(steps, console)
    if status:
        return status
    picture = out / "before_after.png"
    draw_before_after(out, picture)
    minutes = (time.perf_counter() - began) / 60
    console.print(
        f"\n[bold]Done in {minutes:.1f} minutes.[/bold] Everything lies in {out}/\n"
        f"  {picture}   low resolution, bicubic, quarter and full width, original\n"
        f"  {model}   the network, all widths\n"
        f"  {exported}   the quarter, for anything that reads ONNX\n"
        f"  {out}/results.json, .csv, .md   the table, image by image\n\n"
        "Try next:\n"
        f"  srkd upscale YOUR_PHOTO.jpg -m {model} -o upscaled --width 0.5\n"
        f"  srkd train -opt {options}/distil.yml --check\n"
        "  srkd list methods CSD",
        highlight=False,
    )
    return 0


def run_steps(steps: list[tuple[str, list[str]]], console: Console) -> int:
    """Run srkd commands one after another, each printed first; returns the first non-zero exit status, or 0."""
    from srkd.cli import main

    for title, command in steps:
        if title:
            console.rule(title, align="left")
        console.print(f"$ srkd {shlex.join(command)}", style="dim", highlight=False, soft_wrap=True)
        status = main(command)
        if status:
            return status
    return 0


def options_folder() -> Path:
    """The demo's option files: inside an installed package, or in the checkout."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "_options" / "demo"
    return installed if installed.is_dir() else package.parent / "options" / "demo"


def has_onnx() -> bool:
    """Whether the extra `export` is installed."""
    from importlib.util import find_spec

    return all(find_spec(name) for name in ("onnx", "onnxruntime", "onnxscript"))


def copy_photographs(folder: Path) -> None:
    """scikit-image's photographs: `train/`, `test/`, and `small/`, the test ones at half size."""
    import skimage

    from srkd.imaging.files import read_image, to_rgb8, write_image
    from srkd.imaging.resize import imresize, mod_crop

    source = Path(skimage.__file__).parent / "data"
    for kind, names in (("train", TRAIN), ("test", TEST)):
        (folder / kind).mkdir(parents=True, exist_ok=True)
        for name in names:
            shutil.copyfile(source / name, folder / kind / name)
    for name in TEST:
        image = mod_crop(to_rgb8(read_image(source / name)), 2)
        write_image(folder / "small" / name, imresize(image, scale=0.5))


def draw_before_after(out: Path, picture: Path) -> None:
    """One row a test photograph: a crop of low resolution, bicubic, quarter width, full width, original."""
    import numpy as np
    from PIL import Image, ImageDraw, ImageFont

    from srkd.atomic import atomic_path
    from srkd.imaging.files import read_image, to_rgb8
    from srkd.imaging.resize import imresize, mod_crop

    size, zoom, caption = 96, 3, 28
    crops = {"astronaut": (20, 180), "chelsea": (60, 140)}  # top, left in the original: a face, an eye
    titles = ("low resolution", "bicubic", "quarter width", "full width", "original")
    tile = size * zoom
    canvas = Image.new("RGB", (tile * len(titles), caption + tile * len(crops)), "white")
    draw = ImageDraw.Draw(canvas)
    for column, title in enumerate(titles):
        draw.text((column * tile + 8, 4), title, fill="black", font=ImageFont.load_default(18))
    for row, (name, (top, left)) in enumerate(crops.items()):
        small = to_rgb8(read_image(out / "photos/small" / f"{name}.png"))
        panels = (
            np.repeat(np.repeat(small, 2, axis=0), 2, axis=1),
            imresize(small, scale=2),
            read_image(next((out / "upscaled_w025").glob(f"{name}*.png"))),
            read_image(next((out / "upscaled").glob(f"{name}*.png"))),
            mod_crop(to_rgb8(read_image(out / "photos/test" / f"{name}.png")), 2),
        )
        for column, panel in enumerate(panels):
            crop = Image.fromarray(np.ascontiguousarray(panel[top : top + size, left : left + size]))
            canvas.paste(crop.resize((tile, tile), Image.Resampling.NEAREST), (column * tile, caption + row * tile))
    with atomic_path(picture) as temporary:
        canvas.save(temporary)
