"""The photographs that ship with scikit-image: what there is to try with where no other is at hand."""

from __future__ import annotations

from pathlib import Path

from srkd.types import WorkError


def photograph(name: str) -> Path:
    """The file of a photograph, such as `astronaut.png`.

    Raises:
        WorkError: it is missing.
    """
    try:
        import skimage
    except ImportError as error:
        raise WorkError(f"scikit-image's photographs are missing ({error}).") from None
    path = Path(skimage.__file__).parent / "data" / name
    if not path.is_file():
        raise WorkError(f"scikit-image's photograph {name} is missing.")
    return path
