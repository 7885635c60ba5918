"""Write a physically smaller network as a file of its own, checked against the network it came from.

srkd export net_g_latest.pth --width 0.5 -o small.pth             (srkd and BasicSR)
srkd export net_g_latest.pth --width 1/4 -o small.safetensors
srkd export net_g_latest.pth --width 0.5 -o small.pt2             (torch.export)
srkd export net_g_latest.pth --width 0.5 -o small.onnx            (needs: pip install -e ".[export]")
srkd export net_g_latest.pth --mobile --size 180x320 -o phone.onnx  (docs/deploy.md: ncnn, LiteRT)
srkd export net_g_latest.pth --int8 -o small.onnx                 (8-bit integers; --calibrate PHOTOS/)
srkd export net_g_latest.pth --all-widths -o release/             (every trained width, index.json, README.md)
srkd export net_g_latest.pth --web page/                          (a page that upscales in the browser)
srkd export theirs.pt --network res_scale=0.1 -o ours.pth         (from EDSR-PyTorch, torchSR or CSD)
srkd export net_g_latest.pth --dialect csd -o theirs.pth          (for them)
srkd export net_g_latest.pth --dialect spandrel -o comfy.pth      (for ComfyUI, chaiNNer and others that use spandrel)

Each file is run back on photographs; it is kept only if it computes what the network computes.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from srkd.types import InputError

if TYPE_CHECKING:
    from srkd.inference.export.card import Entry
    from srkd.inference.export.export import Form, Source, Written


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Model, widths, file or folder, form, and what the card says."""
    parser.add_argument("model", type=Path, metavar="MODEL", help="checkpoint")
    parser.add_argument(
        "-o", "--output", type=Path, metavar="FILE", help=".pth, .safetensors, .onnx or .pt2; or a folder"
    )
    parser.add_argument("--web", type=Path, metavar="FOLDER", help="instead of -o: a page that upscales in the browser")
    parser.add_argument("--overwrite", action="store_true", help="replace files that exist")
    parser.add_argument("--width", help="share of the channels, such as 0.5 or 1/3 (default 1.0)")
    parser.add_argument("--all-widths", action="store_true", help="every trained width, into the folder -o")
    parser.add_argument("--widths", metavar="W,W", help="these widths, into the folder -o")
    parser.add_argument(
        "--format", metavar="F,F", help="of the files in the folder: onnx (default), pt2, pth, safetensors"
    )
    parser.add_argument("--check-images", type=Path, metavar="DIR", help="images to compare on, at their own size")
    form = parser.add_argument_group("form of .onnx and .pt2 files")
    form.add_argument("--mobile", action="store_true", help="mean shift and range folded into the weights")
    form.add_argument("--conv-transpose", action="store_true", help="with --mobile: no PixelShuffle")
    form.add_argument("--size", metavar="HxW", help="fixed size of the input, such as 180x320 (default: any size)")
    int8 = parser.add_argument_group("8-bit integers in .onnx files")
    int8.add_argument("--int8", action="store_true", help="convolutions in integers; refused where too much is lost")
    int8.add_argument("--calibrate", type=Path, metavar="DIR", help="photographs to find the ranges of values with")
    int8.add_argument("--activations", type=int, choices=(8, 16), default=8, help="bits (default %(default)s)")
    int8.add_argument("--max-loss", type=float, default=0.1, metavar="DB", help="allowed loss (default %(default)s dB)")
    card = parser.add_argument_group("model card")
    card.add_argument("--card", action="store_true", help="write FILE.md beside the file (a folder always has a card)")
    card.add_argument("--results", type=Path, metavar="JSON", help="result file of srkd benchmark, for the card")
    card.add_argument("--training-data", metavar="TEXT", help="name of the training data (default: as recorded)")
    card.add_argument("--data-licence", metavar="TEXT", help="licence of the training data")
    others = parser.add_argument_group("files of other code bases")
    others.add_argument(
        "--network",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="option of the network that MODEL, a file of another code base, does not hold; repeatable",
    )
    others.add_argument(
        "--dialect", help="write for another code base: edsr-pytorch, torchsr, csd or spandrel (.pt, .pth)"
    )


def run(args: argparse.Namespace) -> int:
    """Export, and say how exact it is."""
    from srkd.cli.display import height_width
    from srkd.evaluation.result import read_result
    from srkd.inference.export.card import protocol_results
    from srkd.inference.export.export import Form, open_source
    from srkd.inference.export.int8 import Int8
    from srkd.options import read_assignments

    family = args.all_widths or args.widths is not None
    _check(args, family)
    int8 = Int8(args.activations, args.max_loss, args.calibrate) if args.int8 else None
    form = Form(mobile=args.mobile, conv_transpose=args.conv_transpose, size=height_width(args.size), int8=int8)
    source = open_source(
        args.model,
        options=read_assignments(args.network),
        training_set=args.training_data,
        data_licence=args.data_licence,
    )
    if args.results:
        read_result(args.results)
        protocol_results(args.results, source)  # a wrong file is known before the work, not after it
    if args.web:
        return _page(args, source, form)
    return _family(args, source, form) if family else _single(args, source, form)


def _check(args: argparse.Namespace, family: bool) -> None:
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


def _single(args: argparse.Namespace, source: Source, form: Form) -> int:
    from srkd.cli.display import keep_existing
    from srkd.inference.export.export import export
    from srkd.signature import parse_width

    width = parse_width("1.0" if args.width is None else args.width)
    card = args.output.with_name(args.output.name + ".md")
    keep_existing([args.output, *([card] if args.card else [])], args.overwrite)
    written = export(source, args.output, width=width, form=form, dialect=args.dialect, images=args.check_images)
    _show(written)
    if args.card:
        _write_card(card, args, source, form, [written])
    return 0


def _family(args: argparse.Namespace, source: Source, form: Form) -> int:
    from srkd.atomic import atomic_write_text
    from srkd.cli.display import keep_existing
    from srkd.inference.export.card import index
    from srkd.inference.export.export import SUFFIXES, export

    suffixes = [f".{name.strip().removeprefix('.')}" for name in (args.format or "onnx").split(",")]
    unknown = [suffix for suffix in suffixes if suffix not in SUFFIXES]
    if unknown:
        allowed = ", ".join(suffix[1:] for suffix in SUFFIXES)
        raise InputError(f"--format: unknown {unknown[0][1:]!r}; allowed: {allowed}.")
    widths = _widths(args, source)
    _keep_others_files(args.output)
    stem = f"{type(source.network).__name__.lower()}_x{source.network.scale}"
    jobs = {args.output / f"{stem}_w{width:.4g}{suffix}": width for width in widths for suffix in suffixes}
    keep_existing(jobs, args.overwrite)
    files: list[Written] = []
    for path, width in jobs.items():
        files.append(export(source, path, width=width, form=form, images=args.check_images))
        _show(files[-1])
    entries = _write_card(args.output / "README.md", args, source, form, files)
    atomic_write_text(args.output / "index.json", index(source, form, entries))
    return 0


def _page(args: argparse.Namespace, source: Source, form: Form) -> int:
    from rich.progress import BarColumn, DownloadColumn, TextColumn

    from srkd.cli.display import keep_existing, progress_bar, show_line, stdout_console
    from srkd.inference.export.web import RUNTIME, files_of, write_page

    widths = _widths(args, source)
    keep_existing([args.web / name for name in files_of(widths)], args.overwrite)
    with progress_bar(TextColumn(RUNTIME.what), BarColumn(), DownloadColumn()) as bar:
        task = bar.add_task("", visible=False)
        write_page(
            source,
            args.web,
            widths,
            form=form,
            images=args.check_images,
            progress=lambda arrived, total: bar.update(task, completed=arrived, total=total, visible=True),
            written=_show,
        )
    show_line(
        stdout_console(),
        f"{args.web / 'index.html'}: the page. Try it: python3 -m http.server --directory {args.web}, "
        "then open http://localhost:8000. To publish it, copy the folder to any web server.",
    )
    return 0


def _widths(args: argparse.Namespace, source: Source) -> Sequence[float]:
    """Those named, or those that were trained."""
    from srkd.signature import parse_width

    widths = [parse_width(text) for text in args.widths.split(",")] if args.widths else source.network.trained_widths
    if not widths:
        raise InputError(f"{args.model} does not say which widths were trained: name them with --widths.")
    return widths


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


def _write_card(
    path: Path, args: argparse.Namespace, source: Source, form: Form, files: Sequence[Written]
) -> list[Entry]:
    from srkd.atomic import atomic_write_text
    from srkd.cli.display import show_line, stdout_console
    from srkd.evaluation.models import multi_adds_720p
    from srkd.inference.export.card import entry, model_card, protocol_results

    entries = [entry(written, multi_adds_720p(written.network)) for written in files]
    results = protocol_results(args.results, source) if args.results else None
    atomic_write_text(path, model_card(source, form, entries, results=results))
    show_line(stdout_console(), f"Model card: {path}")
    return entries


def _show(written: Written) -> None:
    from srkd.cli.display import show_line, stdout_console
    from srkd.inference.export.graph import OPSET

    opset = f", ONNX opset {OPSET}" if written.path.suffix == ".onnx" else ""
    int8 = f"int8: {written.quantised}. " if written.quantised else ""
    differences = "; ".join(f"{found} ({runtime})" for runtime, found in written.parity.items())
    show_line(
        stdout_console(),
        f"{written.path}: {written.path.stat().st_size / 1e6:.2f} MB, width {written.width:.4g}{opset}, "
        f"{written.seconds:.1f} s. {int8}"
        f"Largest difference from the sliced network (images in 0..1), PSNR: {differences}.",
    )
