"""Files that a user named and that are not there, or are no text: the nearest name, or what there is instead."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from srkd.types import InputError, did_you_mean

_SHOWN = 5


def not_there(path: str | Path, noun: str = "", *, wanted: Callable[[Path], bool] = lambda path: True) -> str:
    """`phots does not exist. Did you mean 'photos'?`, or what its folder has.

    Args:
        path: what the user named.
        noun: what it should have been, such as `checkpoint`; put before the name.
        wanted: which of the folder's files and folders are shown.
    """
    path = Path(path)
    said = f"{noun} {path}".strip()
    if path.exists():
        return f"{said} is {'a folder' if path.is_dir() else 'no ordinary file'}."
    if path.is_symlink():
        return f"{said} is a link to {path.readlink()}, which does not exist."
    first = next((here for here in reversed(path.parents) if not here.exists()), None)
    if first is not None:
        return f"{said} does not exist: there is no folder {first}.{_near(first, lambda other: other.is_dir())}"
    return f"{said} does not exist.{_near(path, wanted) or _listed(path.parent, wanted)}"


def read_text(path: Path, noun: str) -> str:
    """The UTF-8 text in a file.

    Raises:
        InputError: it is missing, cannot be read, or is no such text.
    """
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError(not_there(path, noun)) from None
    except OSError as error:
        raise InputError(f"{noun} {path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise InputError(f"{noun} {path} is no UTF-8 text; perhaps another file was meant.") from None


def here(folder: Path, wanted: Callable[[Path], bool]) -> list[str]:
    """Names of what `folder` has, but for what is hidden; none where it cannot be read."""
    try:
        return sorted(path.name for path in folder.iterdir() if not path.name.startswith(".") and wanted(path))
    except OSError:
        return []


def _near(path: Path, wanted: Callable[[Path], bool]) -> str:
    names = here(path.parent, wanted)
    alike = [name for name in names if Path(name).stem == path.name or Path(name).stem == path.stem]
    near = alike[0] if len(alike) == 1 else path.name
    found = f" Did you mean {near!r}?" if near != path.name else did_you_mean(path.name, names, cutoff=0.7)
    return found.replace("mean '", f"mean '{path.parent}/") if found and path.parent != Path() else found


def _listed(folder: Path, wanted: Callable[[Path], bool]) -> str:
    names = here(folder, wanted)
    where = "The current folder" if folder == Path() else "Its folder"
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f" {where} has {', '.join(names[:_SHOWN])}{more}." if names else ""
