"""The sound of a video, put beside its new pictures by ffmpeg, where that is installed. OpenCV knows pictures only."""

from __future__ import annotations

import logging
import shutil
import subprocess
from pathlib import Path

log = logging.getLogger(__name__)


def keep_sound(pictures: Path, source: Path) -> None:
    """Give the video `pictures` the sound of `source`, as it is where its container takes it, else encoded anew.

    What cannot be done is a warning: the pictures are whole without it.
    """
    if shutil.which("ffmpeg") is None:
        log.warning("%s: its sound, if it has any, is left out: that needs ffmpeg, which is not installed.", source)
        return
    together = pictures.with_name(f"{pictures.stem}.sound{pictures.suffix}")
    inputs = ["-i", _plain(pictures), "-i", _plain(source), "-map", "0:v", "-map", "1:a?", "-c:v", "copy"]
    try:
        for sound in (["-c:a", "copy"], []):  # without a codec ffmpeg takes the container's own
            command = ["ffmpeg", "-nostdin", "-v", "error", "-y", *inputs, *sound, _plain(together)]
            done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
            if done.returncode == 0:
                together.replace(pictures)
                return
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        log.warning("%s: its sound is left out: ffmpeg failed: %s", source, reason)
    finally:
        together.unlink(missing_ok=True)


def _plain(path: Path) -> str:
    """A path that ffmpeg takes for nothing else: not for an option, nor for an address such as `concat:`."""
    return f"file:{path}"
