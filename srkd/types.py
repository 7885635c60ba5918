"""Words every other module shares.

Shape legend, used in names and docstrings: B images in a batch, C channels, h × w the low-resolution (lq) size,
H × W the high-resolution (gt, sr) size, s the scale (H = s·h), K negatives, N = H·W flattened positions.
Images in tensors are RGB in [0, 1]; images in arrays are RGB(A) or grey, uint8 or uint16, [H, W, C].
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor


class InputError(ValueError):
    """The user's input is wrong: one readable paragraph saying what, where, the value, and what is allowed.

    The command line prints it without a traceback and exits with 2.
    """


class WorkError(RuntimeError):
    """The input was right but the work failed; the command line prints the message and exits with 1."""


@dataclass(frozen=True)
class Batch:
    """One training batch: `lq` [B, C, h, w] and `gt` [B, C, s·h, s·w], both in [0, 1], RGB (or Y for Y networks).

    `lq, gt = batch` takes the two images.

    Attributes:
        lq: low-resolution patches.
        gt: high-resolution patches.
        targets: what teachers make of these patches, [B, C, s·h, s·w], where it is known already; by their names.
        crops: which image each patch is cut from, where and how it is turned.
        inputs: what the method's `inputs` has made for this step.
    """

    lq: Tensor
    gt: Tensor
    targets: Mapping[str, Tensor] = field(default_factory=dict["str", "Tensor"])
    crops: Sequence[Crop] = ()
    inputs: Mapping[str, Tensor] = field(default_factory=dict["str", "Tensor"])

    def __iter__(self) -> Iterator[Tensor]:
        return iter((self.lq, self.gt))

    def map(self, change: Callable[[Tensor], Tensor]) -> Batch:
        """The batch with `change` done to each of its tensors."""
        targets = {name: change(tensor) for name, tensor in self.targets.items()}
        return replace(self, lq=change(self.lq), gt=change(self.gt), targets=targets)


class Crop(NamedTuple):
    """One patch of a batch: the image's number, where it is cut (see `crop_pair`), how it is turned, what befell it."""

    image: int
    u_top: float
    u_left: float
    hflip: bool
    vflip: bool
    transpose: bool
    u_degradation: float = 0.0

    def corner(self, height: int, width: int, side: int) -> tuple[int, int]:
        """Top and left of a patch of side × side pixels in an image of height × width."""
        return int(self.u_top * (height - side + 1)), int(self.u_left * (width - side + 1))


Losses = dict[str, "Tensor"]
"""Raw (unweighted) named scalars of one step; a name may end in `@width`, for example `l_pix@0.5`."""


def did_you_mean(name: str, allowed: Iterable[str], *, cutoff: float = 0.65) -> str:
    """Return `" Did you mean 'x'?"` for the nearest allowed name, or the empty string where none is near."""
    names = list(allowed)
    if name in names:
        return ""
    near = difflib.get_close_matches(name, names, n=1, cutoff=cutoff)
    if not near:  # case and underscores are the commonest slips: EDSr, edsr, ema-decay
        folded = {other.lower().replace("-", "_"): other for other in names}
        near = [folded[key] for key in [name.lower().replace("-", "_")] if key in folded]
    return f" Did you mean {near[0]!r}?" if near else ""


@contextmanager
def located(where: str) -> Generator[None]:
    """Have what a component refuses, an `InputError` or any `ValueError`, be one that begins with what it is about."""
    try:
        yield
    except ValueError as error:
        raise InputError(f"{where}: {error}") from None


def shortened(value: Any) -> str:
    """A value as an option file has it, cut in its middle where it is longer than a message bears."""
    text = {"None": "null", "True": "true", "False": "false"}.get(repr(value), repr(value))
    return text if len(text) <= 120 else f"{text[:80]} … {text[-30:]}"
