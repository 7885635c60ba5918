"""Small files that would take a machine's memory or time, and files that are no option files, are answered at once."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from srkd.options.reader import read_file
from srkd.options.tree import Problems
from srkd.types import InputError


def alias_bomb(folder: Path) -> str:
    lines = ["a0: &a0 [" + ", ".join(["x"] * 9) + "]"]
    lines += [f"a{n}: &a{n} [" + ", ".join([f"*a{n - 1}"] * 9) + "]" for n in range(1, 9)]
    return "\n".join(lines)


def merged_bomb(folder: Path) -> str:
    lines = ["a0: &a0 {x: 1}"]
    lines += [f"a{n}: &a{n} {{l: *a{n - 1}, r: *a{n - 1}}}" for n in range(1, 40)]
    return "\n".join(lines)


def nested_maps(folder: Path) -> str:
    return "\n".join(" " * n + "a:" for n in range(300))


def diamonds(folder: Path) -> str:
    for n in range(22):
        (folder / f"d{n}.yml").write_text(f"include: [d{n + 1}.yml, d{n + 1}.yml]\nk{n}: 1\n")
    (folder / "d22.yml").write_text("end: 1\n")
    return "include: d0.yml\n"


def chain(folder: Path) -> str:
    for n in range(2000):
        (folder / f"c{n}.yml").write_text(f"include: c{n + 1}.yml\n")
    return "include: c0.yml\n"


def fifo(folder: Path) -> str:
    os.mkfifo(folder / "pipe")
    return "include: pipe\n"


def folder_as_file(folder: Path) -> str:
    (folder / "sub.yml").mkdir()
    return "include: sub.yml\n"


def binary(folder: Path) -> str:
    (folder / "net.pth").write_bytes(bytes(range(256)) * 10)
    return "include: net.pth\n"


def utf16(folder: Path) -> str:
    (folder / "windows.yml").write_text("a: 1\n", encoding="utf-16")
    return "include: windows.yml\n"


CASES: list[tuple[Callable[[Path], str], str | None]] = [
    (alias_bomb, "option files hold up to 20,000 values, those that aliases (`*name`) repeat counted in"),
    (merged_bomb, "option files hold up to 20,000 values"),
    (nested_maps, "is nested more than 50 levels deep"),
    (diamonds, None),
    (chain, "more than 50 files include each other"),
    (lambda _: "a: " + "x" * 50_000_000, "option files take up to 64 KiB, those they include counted in"),
    (lambda _: "- x\n" * 16_000, "this one is a list"),
    (lambda _: "a: [" + "{b}, " * 12_000 + "]", "option files hold up to 20,000 values"),
    (lambda _: "[" * 60_000, "is nested more than 50 levels deep"),
    (lambda _: "a: " + "9" * 5000, "is too long for a number"),
    (lambda _: "a: 99999999999999999999", "is too large for a whole number"),
    (lambda _: r'a: "\0"', "has a character that no text can hold"),
    (lambda _: r'a: "\ud800"', "has a character that no text can hold"),
    (lambda _: "include: /dev/zero\n", "it is no ordinary file"),
    (fifo, "it is no ordinary file"),
    (folder_as_file, "it is a folder"),
    (binary, "is not UTF-8 text"),
    (utf16, "It looks like UTF-16: save it as UTF-8."),
]


@pytest.mark.parametrize(("make", "message"), CASES, ids=[message or "diamonds" for _, message in CASES])
def test_what_would_take_too_much_is_refused(make: Callable[[Path], str], message: str | None, tmp_path: Path) -> None:
    path = tmp_path / "o.yml"
    path.write_text(make(tmp_path), encoding="utf-8")
    problems = Problems()
    if message is None:
        assert read_file(path, problems).plain()["end"] == 1
        return
    with pytest.raises(InputError) as caught:
        read_file(path, problems)
        problems.raise_if_any()
    assert message in str(caught.value)
    assert len(str(caught.value)) < 1000
    assert str(caught.value).startswith(f"{tmp_path}/")


def test_a_file_that_is_none_of_ours_is_not_quoted(tmp_path: Path) -> None:
    secret = tmp_path / "passwd"
    secret.write_text("root:x:0:0:root:/root:/bin/bash\ndaemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin\n")
    path = tmp_path / "o.yml"
    path.write_text(f"include: {secret}\n")
    with pytest.raises(InputError) as caught:
        read_file(path, Problems())
    assert "root" not in str(caught.value).replace(str(tmp_path), "")
    assert f"{secret}:1: an option file is a mapping of keys to values; this one is a single value." in str(
        caught.value
    )


@pytest.mark.skipif(sys.platform == "win32", reason="limits of memory are POSIX's")
@pytest.mark.parametrize("make", [alias_bomb, diamonds, fifo])
def test_the_command_answers_within_a_gibibyte(make: Callable[[Path], str], tmp_path: Path) -> None:
    path = tmp_path / "o.yml"
    path.write_text(make(tmp_path), encoding="utf-8")
    code = (
        "import sys\nfrom srkd.options import load_train_options\nfrom srkd.types import InputError\n"
        "try: load_train_options(sys.argv[1])\nexcept InputError as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)],
        capture_output=True,
        text=True,
        check=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (2**30, 2**30)),
    )
    assert done.stdout
