"""How many pixels an image may have: one limit for every format and every command (`srkd.limits`)."""

from __future__ import annotations

from srkd.limits import IMAGE_PIXELS
from srkd.types import InputError


def check_pixels(height: int, width: int, name: str) -> None:
    """Refuse an image that has no pixel, or more than `IMAGE_PIXELS`; `name` is what the message calls it.

    Raises:
        InputError: it is so.
    """
    if height < 1 or width < 1:
        raise InputError(f"the image {name} has no pixels: its header says {height}×{width} (height×width).")
    if height * width > IMAGE_PIXELS:
        raise InputError(
            f"the image {name} is {height}×{width} (height×width), {height * width / 1e6:,.0f} million pixels; "
            f"srkd reads up to {IMAGE_PIXELS / 1e6:,.0f} million. Cut it into parts."
        )
