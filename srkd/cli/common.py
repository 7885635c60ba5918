"""Options that several commands share, and lists as people type them: with commas, with spaces, in any place."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NoReturn

from srkd.types import InputError, did_you_mean

_MODEL = re.compile(r".*\.(?:pth|pt|ckpt|safetensors|onnx|pt2)", re.IGNORECASE)


class Parser(argparse.ArgumentParser):
    """A parser that says in one sentence what is wrong, without the whole usage."""

    def error(self, message: str) -> NoReturn:
        """Raise `InputError` with `message` in plain words."""
        name, _, said = message.removeprefix("argument ").partition(": ")
        wrong = re.match(r"invalid (\w+)(?: value)?: '(.*?)'(?: \(choose from (.*)\))?$", said)
        if wrong and wrong[1] == "choice":
            allowed = re.findall(r"[^', ]+", wrong[3])
            text = f"{name}: {wrong[2]!r} is not known.{did_you_mean(wrong[2], allowed)} Allowed: {', '.join(allowed)}."
        elif wrong:
            kind = {"int": "whole number", "float": "number"}.get(wrong[1], wrong[1])
            text = f"{name}: {wrong[2]!r} is no {kind}."
        elif name == "unrecognized arguments":
            known = {flag.lstrip("-"): flag for flag in re.findall(r"(?<=[\s/\[])--?\w[\w-]*", self.format_help())}
            near = did_you_mean(said.split()[0].partition("=")[0].lstrip("-"), known)
            near = re.sub("'(.+)'", lambda found: known[found[1]], near)  # with its dashes
            text = f"{said} is not known here.{near}"
        elif name == "the following arguments are required":
            text = f"{said} is missing."
        else:
            text = f"{message}."
        raise InputError(f"{text} `{self.prog} --help` lists what it takes.")


class Words(argparse.Action):
    """A list: `a,b`, `a b` and the option twice are the same."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        """Add to what is there."""
        del parser, option_string
        words = [part for word in values or () for part in str(word).split(",") if part]
        setattr(namespace, self.dest, [*(getattr(namespace, self.dest) or []), *words])


def add_list(parser: argparse._ActionsContainer, *flags: str, **more: Any) -> None:  # pyright: ignore[reportPrivateUsage]
    """A list with commas or spaces."""
    parser.add_argument(*flags, nargs="+", action=Words, **more)


def add_models(parser: argparse.ArgumentParser, *, text: str = "checkpoint") -> None:
    """MODEL… in any place, or behind -m; `sort_out` collects them."""
    parser.add_argument("models", nargs="*", metavar="MODEL", help=text)
    parser.add_argument("-m", "--model", "--models", nargs="+", dest="more_models", metavar="MODEL", help="as MODEL")


def add_width(parser: argparse.ArgumentParser) -> None:
    """The width to work at."""
    parser.add_argument("--width", help="share of the channels, such as 0.5 or 1/3 (default 1.0)")


def add_widths(parser: argparse.ArgumentParser) -> None:
    """Widths to look at."""
    text = "such as 1 0.5 1/3, or with commas; default: those that were trained"
    add_list(parser, "--widths", "--width", metavar="W", help=text)


def add_sets(parser: argparse.ArgumentParser, *, required: bool = False) -> None:
    """Test sets."""
    add_list(parser, "--sets", "--set", required=required, metavar="SET", help="folders of images, or known sets")


def add_device(parser: argparse.ArgumentParser, default: str | None = "auto") -> None:
    """Where networks run."""
    parser.add_argument("--device", default=default, help="auto (default), cpu, cuda, cuda:1, mps")


def add_ways(parser: argparse.ArgumentParser) -> None:
    """What networks are run by and compute in, each in a row of its own; None where it is not said."""
    text = "fp32 (default), bf16, fp16, or several: a row for each; .onnx files keep theirs"
    add_list(parser, "--precision", metavar="P", help=text)
    text = "torch (default; for .onnx files onnxruntime), onnxruntime, openvino, or several"
    add_list(parser, "--runtime", metavar="R", help=text)


def add_overwrite(parser: argparse.ArgumentParser, text: str = "replace files that exist") -> None:
    """What is to be done about files that exist."""
    parser.add_argument("--overwrite", action="store_true", help=text)


def tile(given: str) -> int | Literal["auto"]:
    """What `--tile` says: a number of pixels, or auto."""
    if given == "auto":
        return "auto"
    if not given.isdecimal():
        raise InputError(f"--tile is a number of pixels, 0 for none, or auto; it is {given!r}.")
    return int(given)


def widths(words: Sequence[str] | None) -> list[float]:
    """What `--widths` says; empty where it was not given."""
    from srkd.signature import parse_width

    return [parse_width(word) for word in words or ()]


def sort_out(args: argparse.Namespace) -> None:
    """Give back what a list before it swallowed: models behind --sets and --widths, overrides behind either."""
    models = [*args.models, *(args.more_models or [])]
    for name in {"widths", "sets"} & vars(args).keys():
        words: list[str] = getattr(args, name) or []
        gone = [word for word in words if _is_model(word) or (name == "widths" and Path(word).exists())]
        models += gone
        setattr(args, name, [word for word in words if word not in gone] or None)
    args.models = models


def _is_model(word: str) -> bool:
    return bool(_MODEL.fullmatch(word)) or word == "bicubic" or word.startswith("switchable-x") or "=" in word
