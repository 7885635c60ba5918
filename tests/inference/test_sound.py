"""A video keeps its sound where ffmpeg is installed; what cannot be done is said, and the pictures are kept."""

from __future__ import annotations

import logging
import shutil
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest

from srkd.inference.sound import keep_sound
from srkd.inference.upscaler import Upscaler
from srkd.inference.video import upscale_video
from srkd.networks.edsr import EDSR


def silent_clip(path: Path, codec: str) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), 12.5, (32, 24))
    for frame in range(25):
        writer.write(np.full((24, 32, 3), (10 * frame, 100, 200), np.uint8))
    writer.release()
    return path


def clip_with_tone(path: Path, codec: str) -> Path:
    if shutil.which("ffmpeg") is None:
        pytest.skip("ffmpeg is not installed")
    pictures = silent_clip(path.with_name("pictures.avi"), "MJPG")
    command = ["ffmpeg", "-v", "error", "-i", str(pictures), "-f", "lavfi", "-i", "sine=frequency=440:duration=2"]
    subprocess.run([*command, "-c:v", "mpeg4", "-c:a", codec, "-shortest", str(path)], check=True)
    return path


def streams(path: Path) -> list[str]:
    command = ["ffprobe", "-v", "error", "-show_entries", "stream=codec_type,codec_name", "-of", "csv=p=0", str(path)]
    return sorted(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split())


def frames(path: Path) -> int:
    reader, found = cv2.VideoCapture(str(path)), 0
    while reader.grab():
        found += 1
    return found


@pytest.fixture(scope="module")
def upscaler() -> Upscaler:
    return Upscaler(EDSR(num_feat=4, num_block=1, upscale=2), device="cpu", precision="fp32")


@pytest.mark.parametrize(
    ("suffix", "codec", "target", "expected"),
    [
        (".mp4", "aac", ".mp4", "aac,audio"),
        (".mkv", "flac", ".mkv", "flac,audio"),
        (".avi", "pcm_s16le", ".mp4", "aac,audio"),  # MP4 has no such samples: encoded anew
        (".mp4", "aac", ".avi", "aac,audio"),
    ],
)
def test_sound_is_kept(tmp_path, upscaler, suffix, codec, target, expected, caplog):
    clip = clip_with_tone(tmp_path / f"clip{suffix}", codec)
    large = tmp_path / f"-large{target}"  # a name that ffmpeg must not take for an option
    done = upscale_video(upscaler, clip, large)
    assert any(stream.startswith(expected.split(",")[0]) for stream in streams(large)), streams(large)
    assert frames(large) == done == frames(clip)
    assert caplog.messages == []
    assert {path.name for path in tmp_path.iterdir()} == {clip.name, large.name, "pictures.avi"}


def test_a_silent_video_stays_silent(tmp_path, upscaler, caplog):
    if shutil.which("ffmpeg") is None:
        pytest.skip("ffmpeg is not installed")
    clip = silent_clip(tmp_path / "clip.avi", "MJPG")
    upscale_video(upscaler, clip, tmp_path / "large.mp4")
    assert streams(tmp_path / "large.mp4") == ["mpeg4,video"]
    assert caplog.messages == []


@pytest.mark.parametrize("script", [None, "#!/bin/sh\necho 'no such stream' >&2\nexit 1\n"])
def test_without_ffmpeg_or_where_it_fails_the_pictures_are_kept_and_it_is_said(tmp_path, monkeypatch, script, caplog):
    programs = tmp_path / "bin"
    programs.mkdir()
    if script:
        (programs / "ffmpeg").write_text(script)
        (programs / "ffmpeg").chmod(0o755)
    monkeypatch.setenv("PATH", str(programs))
    clip = silent_clip(tmp_path / "clip.avi", "MJPG")
    before = clip.read_bytes()
    with caplog.at_level(logging.WARNING):
        keep_sound(clip, clip)
    assert clip.read_bytes() == before
    assert ("no such stream" if script else "needs ffmpeg, which is not installed") in caplog.text
    assert {path.name for path in tmp_path.iterdir()} == {"clip.avi", "bin"}
