"""Get, prepare and check image sets, and get weights.

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

import sys

from srkd.types import InputError, did_you_mean

ACTIONS = {
    "get": ("get", "list the image sets that are known, or get some of them"),
    "prepare": ("prepare", "write LR images, sub-images and lists from a folder of images"),
    "check": ("check", "find what is wrong with a folder of training images"),
    "render-teacher": ("render_teacher", "make the teacher's pictures of the training images ahead of a training"),
    "get-model": ("get_model", "list the weights that are known, or get one of them"),
}


def without_action(words: list[str]) -> int:
    """Show what can be done; an error unless help is what was asked for."""
    if not {"-h", "--help"} & {*words}:
        known = f"{did_you_mean(words[0], ACTIONS)} Allowed: {', '.join(ACTIONS)}." if words else ""
        wrong = f"ACTION: {words[0]!r} is not known." if words else "ACTION is missing."
        raise InputError(f"{wrong}{known} `srkd data --help` lists what it takes.")
    lines = "\n".join(f"  {name:<15} {text}" for name, (_, text) in ACTIONS.items())
    first = "usage: srkd data ACTION [options]      (srkd data ACTION --help for its options)"
    sys.stdout.write(f"{first}\n\n{__doc__}\nactions:\n{lines}\n")
    return 0
