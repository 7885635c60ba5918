"""Words every other module shares.

Shape legend, used in names and docstrings: B images in a batch, C channels, h × w the low-resolution (lq) size,
H × W the high-resolution (gt, sr) size, s the scale (H = s·h), K negatives, N = H·W flattened positions.
Images in tensors are RGB in [0, 1]; images in arrays are RGB(A) or grey, uint8 or uint16, [H, W, C].
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor


class InputError(ValueError):
    """The user's input is wrong: one readable paragraph saying what, where, the value, and what is allowed.

    The command line prints it without a traceback and exits with 2.
    """


class WorkError(RuntimeError):
    """The input was right but the work failed; the command line prints the message and exits with 1."""


class Batch(NamedTuple):
    """One training batch: `lq` [B, C, h, w] and `gt` [B, C, s·h, s·w], both in [0, 1], RGB (or Y for Y networks)."""

    lq: Tensor
    gt: Tensor


Losses = dict[str, "Tensor"]
"""Raw (unweighted) named scalars of one step; a name may end in `@width`, for example `l_pix@0.5`."""


def did_you_mean(name: str, allowed: Iterable[str]) -> str:
    """Return `" Did you mean 'x'?"` for the nearest allowed name, or the empty string where none is near."""
    names = list(allowed)
    if name in names:
        return ""
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if not near:  # case and underscores are the commonest slips: EDSr, edsr, ema-decay
        folded = {other.lower().replace("-", "_"): other for other in names}
        near = [folded[key] for key in [name.lower().replace("-", "_")] if key in folded]
    return f" Did you mean {near[0]!r}?" if near else ""


def shortened(value: Any) -> str:
    """`repr(value)`, cut in its middle where it is longer than a message bears."""
    text = repr(value)
    return text if len(text) <= 120 else f"{text[:80]} … {text[-30:]}"
