"""Upscaling a video frame by frame through OpenCV; ffmpeg, where it is installed, keeps the sound.

While frames are upscaled, those before them are written and those after them are read, each in a thread.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from srkd.atomic import atomic_path
from srkd.inference.sound import keep_sound
from srkd.inference.upscaler import Upscaler
from srkd.missing import not_there
from srkd.types import InputError, WorkError

log = logging.getLogger(__name__)

VIDEO_SUFFIXES = (".mp4", ".mov", ".m4v", ".mkv", ".avi", ".webm")
"""Suffixes that count as videos, lower case."""

_CODECS = {".mp4": "mp4v", ".mov": "mp4v", ".m4v": "mp4v", ".mkv": "mp4v", ".avi": "MJPG"}
_TOGETHER = 4  # frames of one size that go through the network in one batch


def is_video(path: Path) -> bool:
    """Whether the suffix says that the file is a video."""
    return path.suffix.lower() in VIDEO_SUFFIXES


def upscale_video(
    upscaler: Upscaler,
    source: str | Path,
    target: str | Path,
    *,
    prepare: Callable[[NDArray[Any]], None] = lambda frame: None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> int:
    """Write `source`, enlarged, to `target`; returns the number of frames.

    Args:
        upscaler: the network at the width that is wanted.
        source: a video that OpenCV can decode.
        target: `.mp4`, `.mov`, `.m4v`, `.mkv` (MPEG-4) or `.avi` (Motion JPEG); replaced only when all is written.
        prepare: called with the first frame before anything is upscaled.
        progress: called with the frames done and their number, which is 0 where the file does not tell.

    Raises:
        InputError: the video cannot be read, or the target's kind cannot be written here.
        WorkError: it was not written whole; nothing is left of it.
    """
    source, target = Path(source), Path(target)
    codec = _CODECS.get(target.suffix.lower())
    if codec is None:
        raise InputError(f"cannot write {target}: videos are written as {', '.join(_CODECS)}.")
    if not source.is_file():
        raise InputError(not_there(source, "the video"))
    reader = cv2.VideoCapture(str(source))
    try:
        rate, total = reader.get(cv2.CAP_PROP_FPS) or 25.0, max(int(reader.get(cv2.CAP_PROP_FRAME_COUNT)), 0)
        frames = _next_frames(reader)
        if not frames:
            raise InputError(f"the video {source} cannot be decoded: it is damaged, empty, or not a video.")
        prepare(frames[0])
        with atomic_path(target) as temporary:
            height, width = (upscaler.scale * size for size in frames[0].shape[:2])
            writer = cv2.VideoWriter(str(temporary), cv2.VideoWriter.fourcc(*codec), rate, (width, height))
            if not writer.isOpened():
                raise InputError(
                    f"cannot write {target}: this OpenCV has no encoder for {codec} of {width} × {height}."
                )
            try:
                done = _upscale_frames(upscaler, frames, reader, writer, lambda done: progress(done, total))
            finally:
                writer.release()
            _check_frames(temporary, target, done)
            keep_sound(temporary, source)
        if done < total:
            log.warning("%s: decoding ended after %d of %d frames.", source, done, total)
    finally:
        reader.release()
    return done


def _upscale_frames(
    upscaler: Upscaler,
    frames: list[NDArray[Any]],
    reader: cv2.VideoCapture,
    writer: cv2.VideoWriter,
    progress: Callable[[int], None],
) -> int:
    """Upscale `frames` and all that follow; returns how many there were. Nothing runs any more when this ends."""
    done = 0
    with ThreadPoolExecutor(1) as reading, ThreadPoolExecutor(1) as writing:
        written = writing.submit(_write, writer, [])
        while frames:
            coming = reading.submit(_next_frames, reader)
            pictures = upscaler.batch(frames, size=_TOGETHER)
            written.result()  # one batch waits at most: memory does not grow where writing is the slowest
            written = writing.submit(_write, writer, pictures)
            done += len(frames)
            progress(done)
            frames = coming.result()
        written.result()
    return done


def _write(writer: cv2.VideoWriter, pictures: Sequence[NDArray[Any]]) -> None:
    for picture in pictures:
        writer.write(np.ascontiguousarray(picture[..., ::-1]))


def _check_frames(written: Path, target: Path, expected: int) -> None:
    """OpenCV does not say when a disk is full: the file is opened again and its frames are counted."""
    reader = cv2.VideoCapture(str(written))
    found = 0
    while reader.grab():
        found += 1
    reader.release()
    if found != expected:
        raise WorkError(f"{target} could not be written: it holds {found} of {expected} frames. Is the disk full?")


def _next_frames(reader: cv2.VideoCapture) -> list[NDArray[Any]]:
    """Up to `_TOGETHER` frames in RGB order; none at the end."""
    frames: list[NDArray[Any]] = []
    while len(frames) < _TOGETHER:
        there, frame = reader.read()
        if not there:
            break
        frames.append(np.ascontiguousarray(frame[..., ::-1]))
    return frames
