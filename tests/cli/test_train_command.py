"""`srkd train`: its words in any order."""

from __future__ import annotations

import argparse
import re
import textwrap

import pytest

from srkd.cli import main, train

FILE = "options/x.yml"
A, B = "train.total_iter=5", "name=b"


def parsed(*words: str) -> tuple[str, list[str], argparse.Namespace]:
    parser = argparse.ArgumentParser()
    train.add_arguments(parser)
    args = parser.parse_intermixed_args(words)
    return *train.option_file(args.opt, args.overrides), args


@pytest.mark.parametrize(
    "words",
    [
        ["-opt", FILE, A, "--check", B],
        ["-opt", FILE, "--check", A, B],
        [A, "-opt", FILE, "--check", B],
        [A, B, "--check", "-opt", FILE],
        ["--check", A, "--opt", FILE, B],
        ["--opt", FILE, A, B, "--check"],
        [f"--opt={FILE}", A, "--check", B],
        [FILE, A, "--check", B],
        [A, FILE, "--check", B],
        ["--check", FILE, A, B],
        [A, "--check", B, FILE],
    ],
)
def test_the_words_of_a_training_stand_in_any_order(words: list[str]) -> None:
    file, overrides, args = parsed(*words)
    assert (file, overrides, args.check, args.auto_resume) == (FILE, [A, B], True, False)


@pytest.mark.parametrize("flag", ["--auto_resume", "--auto-resume"])
def test_around_other_flags(flag: str) -> None:
    file, overrides, args = parsed("-opt", FILE, A, flag, B, "--force_yml", "a:b=c", "d:e=f", "--launcher", "none")
    assert (file, overrides, args.auto_resume, args.force_yml) == (FILE, [A, B], True, ["a:b=c", "d:e=f"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "name one option file: srkd train -opt FILE. `srkd demo` trains without one."),
        ([A], "name one option file"),
        (["a.yml", "b.yml"], "a.yml, b.yml are several"),
        (["-opt", "a.yml", "b.yml"], "'b.yml' is a second option file; the option file is a.yml."),
        (["-opt", "a.yml", "lr"], "'lr' is no override: key.path=value is one; the option file is a.yml."),
    ],
)
def test_what_is_not_clear_is_asked(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", *words]) == 2
    assert message in capsys.readouterr().err


def test_a_folder_of_photographs_is_no_option_file(tmp_path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in ([str(tmp_path)], ["-opt", str(tmp_path)]):
        assert main(["train", *words]) == 2
        assert "it is a folder. An option file (YAML) names the folders of images" in capsys.readouterr().err


def test_the_small_option_file_of_the_help_trains(tmp_path, monkeypatch, capfd) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["demo", "--photos", "-q"]) == 0
    example = "\n".join(re.findall(r"^  .*", train.__doc__ or "", re.MULTILINE))
    (tmp_path / "my.yml").write_text(textwrap.dedent(example))
    small = ["network_g.num_feat=4", "network_g.num_block=1", "datasets.train.batch_size_per_gpu=2"]
    assert main(["train", "my.yml", "--check", *small]) == 0
    assert main(["train", "my.yml", "train.total_iter=2", *small]) == 0
    file = "experiments/my_edsr_x2/models/net_g_latest.pth"
    assert f"Saved: {file}" in capfd.readouterr().out
    assert (tmp_path / file).exists() and file in (train.__doc__ or "")
