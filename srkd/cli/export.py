"""Write a network, whole or at a smaller width, as a file of its own, and check it against the original.

srkd export net_g_latest.pth --width 0.5 -o small.pth             (srkd and BasicSR)
srkd export net_g_latest.pth --width 1/4 -o small.safetensors
srkd export net_g_latest.pth --width 0.5 -o small.pt2             (torch.export)
srkd export net_g_latest.pth --width 0.5 -o small.onnx            (needs: pip install -e ".[export]")
srkd export net_g_latest.pth --mobile --size 180x320 -o phone.onnx  (docs/deploy.md: ncnn, LiteRT)
srkd export net_g_latest.pth --int8 -o small.onnx                 (8-bit integers; --calibrate PHOTOS/)
srkd export net_g_latest.pth --all-widths -o release/             (every trained width, index.json, README.md)
srkd export net_g_latest.pth --web page/                          (a page that upscales in the browser)
srkd export theirs.pt --network res_scale=0.1 -o ours.pth         (from EDSR-PyTorch, torchSR or CSD)
srkd export net_g_latest.pth --dialect csd -o theirs.pth          (for them: edsr-pytorch, torchsr, csd)
srkd export net_g_latest.pth --dialect spandrel -o comfy.pth      (for ComfyUI, chaiNNer and others that use spandrel)

Each file is run on photographs. It is kept only if it computes what the network computes.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from srkd.cli.common import add_list, add_models, add_overwrite, add_width, sort_out, widths
from srkd.cli.display import bar, height_width, keep_existing, say
from srkd.types import InputError

if TYPE_CHECKING:
    from srkd.inference.export.export import Form, Source, Written


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Model, widths, file or folder, form, and what the card says."""
    add = parser.add_argument
    add_models(parser)
    add("-o", "--output", type=Path, metavar="FILE", help=".pth, .safetensors, .onnx or .pt2; or a folder")
    add("--web", type=Path, metavar="FOLDER", help="instead of -o: a page that upscales in the browser")
    add_overwrite(parser)
    add_width(parser)
    add("--all-widths", action="store_true", help="every trained width, into the folder -o")
    add_list(parser, "--widths", metavar="W", help="several widths, into the folder -o")
    add_list(parser, "--format", metavar="F", help="kinds of files in a folder: onnx (default), pt2, pth, safetensors")
    add("--check-images", type=Path, metavar="DIR", help="images for the check, at their own size")
    add = parser.add_argument_group("form of .onnx and .pt2 files").add_argument
    add("--mobile", action="store_true", help="fold mean shift and range into the weights")
    add("--conv-transpose", action="store_true", help="with --mobile: write PixelShuffle as a transposed convolution")
    add("--size", metavar="HxW", help="fixed size of the input, such as 180x320 (default: any size)")
    add = parser.add_argument_group("8-bit integers in .onnx files").add_argument
    add("--int8", action="store_true", help="compute convolutions in integers; refused if too much is lost")
    add("--calibrate", type=Path, metavar="DIR", help="photographs that show the ranges of values")
    add("--activations", type=int, choices=(8, 16), default=8, help="bits of the activations (default %(default)s)")
    add("--max-loss", type=float, default=0.1, metavar="DB", help="allowed loss (default %(default)s dB)")
    add = parser.add_argument_group("model card").add_argument
    add("--card", action="store_true", help="write FILE.md beside the file (a folder always has a card)")
    add("--results", type=Path, metavar="JSON", help="result file of srkd benchmark, for the card")
    add("--training-data", metavar="TEXT", help="name of the training data (default: as recorded)")
    add("--data-licence", metavar="TEXT", help="licence of the training data")
    add = parser.add_argument_group("files of other code bases").add_argument
    option = "an option of the network that a file of another code base does not hold; repeatable"
    add("--network", action="append", default=[], metavar="KEY=VALUE", help=option)
    add("--dialect", help="write for another code base: edsr-pytorch, torchsr, csd or spandrel (.pt, .pth)")


def run(args: argparse.Namespace) -> int:
    """Export, and say how exact it is."""
    from srkd.evaluation.card import results_of
    from srkd.evaluation.result import read_result
    from srkd.inference.export.export import Form, open_source
    from srkd.inference.export.int8 import Int8
    from srkd.options import read_assignments

    sort_out(args)
    family = args.all_widths or args.widths is not None
    _check(args, family)
    int8 = Int8(args.activations, args.max_loss, args.calibrate) if args.int8 else None
    form = Form(mobile=args.mobile, conv_transpose=args.conv_transpose, size=height_width(args.size), int8=int8)
    options = read_assignments(args.network)
    source = open_source(
        args.models[0], options=options, training_set=args.training_data, data_licence=args.data_licence
    )
    if args.web:
        _page(args, source, form)
    else:  # a wrong result file is known before the work, not after it
        results = results_of(read_result(args.results), source.network, source.path) if args.results else None
        _files(args, source, form, family, results)
    return 0


def _check(args: argparse.Namespace, family: bool) -> None:
    if len(args.models) != 1:
        raise InputError(f"export takes one MODEL, not {len(args.models)}: srkd export MODEL -o FILE.")
    if args.all_widths and args.widths is not None:
        raise InputError("--all-widths and --widths exclude each other.")
    if args.web:
        others = {"-o": args.output, "--width": args.width, "--dialect": args.dialect, "--format": args.format}
        given = [name for name, value in {**others, "--card": args.card, "--results": args.results}.items() if value]
        if given:
            raise InputError(f"--web writes a whole folder: leave {' and '.join(given)} out.")
        return
    if args.output is None:
        raise InputError("say where it goes: -o FILE (.pth, .safetensors, .onnx or .pt2), -o FOLDER or --web FOLDER.")
    if family and (args.width is not None or args.dialect):
        raise InputError(f"{'--width' if args.width is not None else '--dialect'} is for a single file.")
    if family and args.output.suffix and not args.output.is_dir():
        raise InputError(f"several widths go into a folder; {args.output} looks like a file.")
    if not family and args.format is not None:
        raise InputError("--format is for --all-widths and --widths; the suffix of -o chooses the format of one file.")
    if not args.int8 and (args.calibrate or args.activations != 8 or args.max_loss != 0.1):
        raise InputError("--calibrate, --activations and --max-loss belong to --int8: add it.")
    if args.results and not (family or args.card):
        raise InputError("--results is for the card: add --card.")


def _files(args: argparse.Namespace, source: Source, form: Form, family: bool, results: str | None) -> None:
    from srkd.atomic import atomic_write_text
    from srkd.evaluation.models import multi_adds_720p
    from srkd.inference.export.card import entry, index, model_card
    from srkd.inference.export.export import export

    jobs = _family(args, source) if family else {args.output: widths([args.width or "1"])[0]}
    card = args.output / "README.md" if family else args.output.with_name(args.output.name + ".md")
    keep_existing([*jobs, *([card] if args.card and not family else [])], args.overwrite)
    files: list[Written] = []
    for path, width in jobs.items():
        files.append(export(source, path, width=width, form=form, dialect=args.dialect, images=args.check_images))
        say(str(files[-1]))
    if family or args.card:
        entries = [entry(written, multi_adds_720p(written.network)) for written in files]
        atomic_write_text(card, model_card(source, form, entries, results=results))
        say(f"Model card: {card}")
        if family:
            atomic_write_text(args.output / "index.json", index(source, form, entries))


def _family(args: argparse.Namespace, source: Source) -> dict[Path, float]:
    """The files in a folder, and the width of each."""
    from srkd.inference.export.export import SUFFIXES

    suffixes = [f".{name.removeprefix('.')}" for name in args.format or ["onnx"]]
    if unknown := [suffix for suffix in suffixes if suffix not in SUFFIXES]:
        allowed = ", ".join(suffix[1:] for suffix in SUFFIXES)
        raise InputError(f"--format: unknown {unknown[0][1:]!r}; allowed: {allowed}.")
    stem, chosen = f"{type(source.network).__name__.lower()}_x{source.network.scale}", _widths(args, source)
    _keep_others_files(args.output)
    return {args.output / f"{stem}_w{width:.4g}{suffix}": width for width in chosen for suffix in suffixes}


def _page(args: argparse.Namespace, source: Source, form: Form) -> None:
    from srkd.inference.export.web import RUNTIME, files_of, write_page

    folder, chosen = args.web, _widths(args, source)
    keep_existing([folder / name for name in files_of(chosen)], args.overwrite)
    with bar(RUNTIME.what) as progress:
        write_page(
            source, folder, chosen, form=form, images=args.check_images, progress=progress,
            written=lambda file: say(str(file)),
        )  # fmt: skip
    say(
        f"{folder / 'index.html'}: the page. Try it: python3 -m http.server --directory {folder}, "
        "then open http://localhost:8000. To publish it, copy the folder to any web server."
    )


def _widths(args: argparse.Namespace, source: Source) -> Sequence[float]:
    """Those named, or those that were trained."""
    chosen = widths(args.widths) or source.network.trained_widths
    if not chosen:
        raise InputError(f"{source.path} does not say which widths were trained: name them with --widths.")
    return chosen


def _keep_others_files(folder: Path) -> None:
    """README.md and index.json of an earlier export are replaced, somebody else's are not."""
    listing = folder / "index.json"
    try:
        ours = listing.exists() and "files" in json.loads(listing.read_text(encoding="utf-8"))
    except (ValueError, TypeError):
        ours = False
    for path in () if ours else (listing, folder / "README.md"):
        if path.exists():
            raise InputError(f"{path} is there and not from an export: it would be replaced. Choose another folder.")
