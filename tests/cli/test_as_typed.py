"""The command line as people type it: lists with commas or spaces, models and overrides in any place, JSON, silence."""

import json
import subprocess

import pytest

from srkd.cli import COMMANDS, main
from srkd.cli.data import ACTIONS


@pytest.fixture
def asked(monkeypatch, checkpoint, folder):
    """The benchmark that a command line asks for: models, sets, widths."""
    jobs = []
    monkeypatch.setattr("srkd.cli.benchmark.perform", lambda job: jobs.append(job) or 0)

    def ask(*words):
        words = [{"NET": str(checkpoint), "SET": str(folder)}.get(word, word) for word in words]
        assert main(["benchmark", *words]) == 0
        job = jobs.pop()
        return [model.name for model in job.models], [one.name for one in job.sets], job.widths

    return ask


@pytest.mark.parametrize(
    "words",
    [
        ["NET", "--sets", "SET", "--widths", "1,0.5"],
        ["NET", "--sets", "SET", "--widths", "1", "0.5"],
        ["--sets", "SET", "NET", "--width", "1,", "0.5"],
        ["--widths", "1", "0.5", "NET", "--sets", "SET"],
        ["--widths", "1", "--widths", "1/2", "--set", "SET", "NET"],
        ["-m", "NET", "--sets", "SET", "--widths", ["1", "0.5"][0], "0.5"],
        ["--model", "NET", "--widths", "1,0.5", "--sets", "SET"],
        ["--device", "cpu", "NET", "--no-teacher", "--sets", "SET", "-q", "--widths", "1,0.5"],
    ],
)
def test_lists_and_models_in_any_place(words, asked):
    assert asked(*words) == (["net"], ["mine"], [1.0, 0.5])


def test_nothing_is_abbreviated(checkpoint, folder, capsys):
    assert main(["benchmark", str(checkpoint), "--sets", str(folder), "--over"]) == 2
    assert "--over is not known here" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("command", "found"),
    [
        (["benchmark", "NET", "--sets", "SET", "--device", "cpu"], lambda content: content["schema"] == 2),
        (["cost", "--no-latency", "NET", "--widths", "1"], lambda content: content["kind"] == "cost"),
        (["list", "networks"], lambda content: "EDSR" in [one["name"] for one in content]),
        (["list", "methods", "CSD"], lambda content: content["name"] == "CSD" and content["options"]),
        (["doctor"], lambda content: "torch" in content),
    ],
)
def test_json_goes_to_stdout_alone(command, found, checkpoint, folder, capsys):
    words = [{"NET": str(checkpoint), "SET": str(folder)}.get(word, word) for word in command]
    assert main([*words, "--json"]) == 0
    out, err = capsys.readouterr()
    assert found(json.loads(out)) and err
    assert main(words) == 0
    with pytest.raises(ValueError):
        json.loads(capsys.readouterr().out)


def test_comparisons_are_json_too(checkpoint, folder, tmp_path, capsys):
    assert (
        main(["benchmark", str(checkpoint), "--sets", str(folder), "--device", "cpu", "-o", str(tmp_path / "x.json")])
        == 0
    )
    capsys.readouterr()
    assert main(["compare", str(tmp_path / "x.json"), "--baseline", "bicubic", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["kind"] == "comparison"


def test_quiet_says_nothing(checkpoint, folder, tmp_path, capsys):
    out = tmp_path / "x.json"
    assert main(["benchmark", str(checkpoint), "--sets", str(folder), "--device", "cpu", "-o", str(out), "-q"]) == 0
    assert capsys.readouterr() == ("", "") and out.exists()
    assert main(["benchmark", str(checkpoint), "--sets", "nowhere", "-q"]) == 2
    assert "nowhere" in capsys.readouterr().err


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
def test_completion_knows_every_command(shell, capsys):
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert all(name in script for name in COMMANDS) and "--widths" in script
    if shell == "bash":
        done = subprocess.run(["bash", "-n"], input=script, text=True, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("command", [*sorted({*COMMANDS} - {"data", "test"}), *(f"data {name}" for name in ACTIONS)])
def test_every_help_has_what_is_common(command, capsys):
    with pytest.raises(SystemExit) as ended:
        main([*command.split(), "--help"])
    printed = capsys.readouterr().out
    assert ended.value.code == 0 and all(flag in printed for flag in ("--no-progress", "--quiet", "--plugin"))


@pytest.mark.parametrize("words", [["-q", "get-model"], ["get-model", "-q"], ["--no-progress", "get-model", "--quiet"]])
def test_an_action_of_data_stands_anywhere_between_flags(words, capsys):
    assert main(["data", *words]) == 0
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    "words", [["NET", "--widths", "1,0.5"], ["--widths", "1", "0.5", "NET"], ["-m", "NET", "--all-widths"]]
)
def test_export_takes_its_words_in_any_order(words, checkpoint, tmp_path):
    words = [str(checkpoint) if word == "NET" else word for word in words]
    assert main(["export", *words, "--format", "pth", "safetensors", "-o", str(tmp_path / "all")]) == 0
    assert len([*(tmp_path / "all").glob("edsr_x*_w*")]) == 4


def test_commands_that_run_others_are_quiet_too(tmp_path, capsys):
    from srkd.cli import demo
    from srkd.cli.display import OUTPUT

    OUTPUT.quiet = True
    try:
        assert demo.run_steps([("A title", ["list", "networks"])]) == 0
    finally:
        OUTPUT.quiet = False
    assert capsys.readouterr() == ("", "")
