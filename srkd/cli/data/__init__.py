"""Image sets and weights: get them, prepare them, and see whether they are right.

  srkd data get                            the image sets that are known: name, size, licence
  srkd data get DIV2K Set5                 downloads and unpacks them below datasets/
  srkd data prepare datasets/DIV2K/DIV2K_train_HR --scale 2,4 -o datasets/DIV2K
                                           LR images by MATLAB's bicubic, sub-images, lists
  srkd data check datasets/DIV2K/DIV2K_train_HR --against Set5 Urban100
                                           damaged, unpaired, duplicate images; benchmark images among them
  srkd data render-teacher -opt FILE       the teacher's pictures of the training images, for `teacher_cache`
  srkd data get-model edsr_baseline_x2     downloads weights, or goes on where an interrupted download ended

Sets go below datasets/ or $SRKD_DATASETS, weights to $SRKD_HOME/models, downloaded archives to $SRKD_HOME/archives;
without $SRKD_HOME that is the user's cache folder. $SRKD_MIRROR, a folder or an address, is looked at first: it has the
files in models/ and archives/. Sizes and checksums are examined wherever a file is from.
"""

from __future__ import annotations

import argparse
import importlib

ACTIONS = {
    "get": ("get", "list the image sets that are known, or get some of them"),
    "prepare": ("prepare", "write LR images, sub-images and lists from a folder of images"),
    "check": ("check", "find what is wrong with a folder of training images"),
    "render-teacher": ("render_teacher", "make the teacher's pictures of the training images ahead of a training"),
    "get-model": ("get_model", "list the weights that are known, or get one of them"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to do, and each action's own arguments."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, (module, text) in ACTIONS.items():
        action = importlib.import_module(f"srkd.cli.data.{module}")
        below = actions.add_parser(
            name, help=text, description=action.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        action.add_arguments(below)


def run(args: argparse.Namespace) -> int:
    """Do it."""
    return importlib.import_module(f"srkd.cli.data.{ACTIONS[args.action][0]}").run(args)
