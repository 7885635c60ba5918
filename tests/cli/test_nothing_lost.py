"""Commands neither replace what is not theirs, nor call a thing done that is not, nor leave halves behind."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from srkd.cli import main
from srkd.imaging.files import write_image
from srkd.networks.weights import read_weights, save_network


@pytest.fixture
def small(tmp_path, photo):
    for number in range(3):
        write_image(tmp_path / "small" / f"p{number}.png", photo[number : 24 + number, :24].copy())
    return tmp_path / "small"


def benchmark(checkpoint, folder, out, *arguments):
    return main(["benchmark", str(checkpoint), "--sets", str(folder), "--device", "cpu", "-o", str(out), *arguments])


def test_export_does_not_replace_its_source(checkpoint, tmp_path, capsys):
    before = checkpoint.read_bytes()
    assert main(["export", str(checkpoint), "--width", "0.5", "-o", str(checkpoint), "--overwrite"]) == 2
    assert "would be replaced by its own copy" in capsys.readouterr().err
    assert checkpoint.read_bytes() == before


def test_a_family_does_not_replace_somebody_elses_readme(checkpoint, tmp_path, capsys):
    family = ["export", str(checkpoint), "--widths", "1,0.5", "--format", "pth", "-o"]
    (tmp_path / "project").mkdir()
    (tmp_path / "project/README.md").write_text("mine")
    assert main([*family, str(tmp_path / "project")]) == 2
    assert "README.md is there and not from an export" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "project").iterdir()] == ["README.md"]
    assert main([*family, str(tmp_path / "release")]) == 0
    assert main([*family, str(tmp_path / "release"), "--overwrite"]) == 0  # its own


def test_benchmark_does_not_drop_what_it_is_not_asked_for(checkpoint, small, tmp_path, capsys):
    out = tmp_path / "x.json"
    assert benchmark(checkpoint, small, out, "--widths", "1,0.5") == 0
    assert benchmark(checkpoint, small, out, "--widths", "1,0.5") == 0
    before = out.read_bytes()
    capsys.readouterr()
    assert benchmark(checkpoint, small, out, "--widths", "0.5") == 2
    assert "at width 1 on small, which this command would drop" in capsys.readouterr().err
    assert benchmark(checkpoint, small, out, "--widths", "1,0.5", "--protocol", "rgb") == 2
    assert "numbers of another protocol" in capsys.readouterr().err
    assert out.read_bytes() == before
    assert benchmark(checkpoint, small, out, "--widths", "1,0.5,0.25") == 0
    assert benchmark(checkpoint, small, out, "--widths", "0.5", "--overwrite") == 0
    assert {row["width"] for row in json.loads(out.read_text())["rows"]} == {0.5, 1.0}  # 1: bicubic


def test_benchmark_does_not_replace_a_file_that_is_not_ours(checkpoint, small, tmp_path, capsys):
    out = tmp_path / "package.json"
    out.write_text('{"name": "mine"}')
    assert benchmark(checkpoint, small, out) == 2
    assert "is no result file" in capsys.readouterr().err
    assert out.read_text() == '{"name": "mine"}'


def test_compare_does_not_replace_its_input(checkpoint, small, tmp_path, capsys):
    out = tmp_path / "x.json"
    assert benchmark(checkpoint, small, out, "--widths", "1,0.5") == 0
    before = out.read_bytes()
    name = json.loads(before)["models"][-1]["name"]
    assert main(["compare", f"{out}:{name}@1", f"{out}:{name}@0.5", "-o", str(out)]) == 2
    assert "is one of the results that are compared" in capsys.readouterr().err
    assert out.read_bytes() == before


@pytest.fixture
def clip(tmp_path, photo):
    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 5, (32, 24))
    for number in range(12):
        writer.write(np.ascontiguousarray(photo[number : 24 + number, :32, ::-1]))
    writer.release()
    return path


def test_a_video_that_does_not_fit_on_the_disk_is_not_written(clip, checkpoint, tmp_path):
    code = (
        "import resource, sys; from srkd.cli import main; resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192));"
        "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); sys.exit(main(sys.argv[1:]))"
    )
    out = tmp_path / "out" / "clip.avi"
    out.parent.mkdir()
    upscale = ["upscale", str(clip), "-m", str(checkpoint), "-o", str(out), "--precision", "fp32", "--device", "cpu"]
    done = subprocess.run([sys.executable, "-c", code, *upscale], capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "could not be written" in done.stderr and "of 12 frames. Is the disk full?" in done.stderr
    assert list(out.parent.iterdir()) == []


def test_a_damaged_video_is_said_to_be_one(clip, checkpoint, tmp_path, capsys):
    clip.write_bytes(clip.read_bytes()[: clip.stat().st_size * 4 // 5])
    out = tmp_path / "out.avi"
    assert main(["upscale", str(clip), "-m", str(checkpoint), "-o", str(out), "--precision", "fp32"]) == 0
    said = capsys.readouterr().out
    assert "decoding ended after" in said and "of 12 frames" in said and out.exists()


@pytest.mark.parametrize("command", ["benchmark", "score", "cost", "export"])
def test_a_folder_that_cannot_be_made_is_one_line(command, checkpoint, small, tmp_path, capsys):
    (tmp_path / "file").write_text("in the way")
    out = {"export": "x.pth"}.get(command, "x.json")
    given = {
        "benchmark": [str(checkpoint), "--sets", str(small)],
        "score": [str(small), str(small), "--scale", "2"],
        "cost": [str(checkpoint), "--no-latency"],
        "export": [str(checkpoint)],
    }
    assert main([command, *given[command], "-o", str(tmp_path / "file" / out)]) in (1, 2)
    said = capsys.readouterr().err
    assert "srkd: " in said and str(tmp_path / "file") in said and "Traceback" not in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-o", "big.gif"], "unknown format .gif"),
        (["-o", ".", "--suffix", "/../../evil"], "--suffix '/../../evil' is part of a name"),
        (["--latency-ms", "-3"], "--latency-ms is above 0, not -3"),
        (["--memory-mb", "nan", "--width", "1"], "--memory-mb is above 0, not nan"),
    ],
)
def test_mistakes_of_upscale(small, checkpoint, monkeypatch, tmp_path, capsys, arguments, said):
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    assert main(["upscale", str(small / "p0.png"), "-m", str(checkpoint), *arguments]) == 2
    assert said in capsys.readouterr().err
    assert sorted(tmp_path.rglob("*")) == before


def test_the_folder_one_is_in(small, checkpoint, monkeypatch):
    monkeypatch.chdir(small)
    assert main(["upscale", ".", "-m", str(checkpoint), "--precision", "fp32"]) == 0
    assert len([*(small.parent / "small_x2").iterdir()]) == 3


def test_help_of_a_command(capsys):
    with pytest.raises(SystemExit):
        main(["help", "upscale"])
    assert "usage: srkd upscale" in capsys.readouterr().out


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 130)])
def test_an_end_from_outside_leaves_no_half_files(checkpoint, photo, tmp_path, number, status):
    write_image(tmp_path / "photo.png", np.tile(photo, (6, 6, 1)))
    command = ["upscale", "photo.png", "-m", str(checkpoint), "-o", "out/photo.tif", "--tile", "32"]
    process = subprocess.Popen(
        [sys.executable, "-m", "srkd", *command, "--precision", "fp32"],
        cwd=tmp_path, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),  # tests may run under nohup, or as a background job
    )  # fmt: skip
    deadline = time.time() + 120
    while not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir()):
        assert process.poll() is None and time.time() < deadline
        time.sleep(0.01)
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == status and "srkd: interrupted." in said
    assert list((tmp_path / "out").iterdir()) == []


def test_a_checkpoint_that_does_not_fit_is_an_error_of_the_disk(checkpoint, tmp_path, monkeypatch):
    def fails(*_):
        raise RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 64 vs 0\nmore")

    network = read_weights(checkpoint)
    monkeypatch.setattr("torch.save", fails)
    from srkd.networks.weights import network_of

    with pytest.raises(OSError, match=r"x\.pth cannot be written: \[enforce fail"):
        save_network(tmp_path / "x.pth", network_of(network))
    assert not list(tmp_path.glob("*x*.pth"))


@pytest.fixture
def two_sets(photo, tmp_path):
    for name in ("first", "second"):
        for number in range(3):
            write_image(tmp_path / name / f"p{number}.png", photo[number : 24 + number, :24].copy())
    return [str(tmp_path / "first"), str(tmp_path / "second")]


def test_a_narrower_benchmark_is_refused_and_a_wider_one_goes_on(checkpoint, two_sets, tmp_path, capsys):
    out = tmp_path / "x.json"
    first, second = two_sets
    base = ["benchmark", str(checkpoint), "--device", "cpu", "-o", str(out), "--sets"]
    assert main([*base, first]) == 0
    assert main([*base, first, second]) == 0  # wider
    assert "9 of 18 rows are from an earlier run" in capsys.readouterr().out
    before = {path.name: path.read_bytes() for path in tmp_path.glob("x.*")}
    assert len(before) == 4
    for narrower, said in (
        ([first], "9 of its 18 rows: bicubic at width 1 on second"),
        ([first, second, "--limit", "2"], "6 of its 18 rows: bicubic at width 1 on first/p2"),
        ([first, second, "--widths", "1"], "6 of its 18 rows: net at width 0.5 on first"),
        ([first, second, "--self-ensemble"], "numbers of another protocol"),
    ):
        assert main([*base, *narrower]) == 2
        assert f"holds {said}" in capsys.readouterr().err
        assert {path.name: path.read_bytes() for path in tmp_path.glob("x.*")} == before
    assert main([*base, first, "--limit", "2", "--overwrite"]) == 0
    assert len(json.loads(out.read_text())["rows"]) == 6


def test_rows_of_an_interrupted_run_are_not_dropped_by_a_narrower_one(two_sets, checkpoint, tmp_path, capsys):
    out, partial = tmp_path / "x.json", tmp_path / "x.partial.jsonl"
    first, second = two_sets
    base = ["benchmark", str(checkpoint), "--device", "cpu", "-o", str(out), "--sets"]
    assert main([*base, first, second]) == 0
    content = json.loads(out.read_text())
    rows = content.pop("rows")
    lines = [{**content, "rows": [], "summary": [], "failures": []}, *rows]
    partial.write_text("".join(json.dumps(line) + "\n" for line in lines))  # as after Ctrl-C near the end
    out.unlink()
    before = partial.read_bytes()
    for narrower, said in (
        ([first], "9 of its 18 rows: bicubic at width 1 on second"),
        ([first, second, "--limit", "2"], "6 of its 18 rows"),
        ([first, second, "--widths", "1"], "6 of its 18 rows"),
        ([first, second, "--self-ensemble"], "numbers of another protocol"),
    ):
        assert main([*base, *narrower]) == 2
        assert f"{partial} holds {said}" in capsys.readouterr().err
        assert partial.read_bytes() == before and not out.exists()
    assert main([*base, first, second]) == 0
    assert "18 of 18 rows are from an earlier run" in capsys.readouterr().out and not partial.exists()


class Nearness:
    """What LPIPS does, without its weights."""

    def __call__(self, sr, gt, *, crop_border):
        return float(np.abs(sr.astype(float) - gt).mean() / 255)


def test_a_column_that_was_there_is_not_dropped(checkpoint, small, tmp_path, capsys, monkeypatch):
    from srkd.evaluation.lpips import PerceptualColumn

    column = PerceptualColumn({"backbone": "alex", "version": "0.1", "file": "x", "sha256": "0"}, Nearness())
    monkeypatch.setattr("srkd.evaluation.lpips.perceptual_column", lambda *_, **__: column)
    out = tmp_path / "x.json"
    assert benchmark(checkpoint, small, out, "--lpips", "alex") == 0
    assert benchmark(checkpoint, small, out, "--lpips", "alex") == 0
    assert "9 of 9 rows are from an earlier run" in capsys.readouterr().out
    before = out.read_bytes()
    assert benchmark(checkpoint, small, out) == 2
    assert "holds the column LPIPS, which this command would drop" in capsys.readouterr().err
    assert out.read_bytes() == before


@pytest.mark.parametrize("change", ["threads", "sources", "torch", "precision", "device"])
def test_rows_of_other_sources_threads_or_versions_are_not_mixed_in(change, checkpoint, small, tmp_path, capsys):
    out = tmp_path / "x.json"
    assert benchmark(checkpoint, small, out) == 0
    content = json.loads(out.read_text())
    content["environment"][change] = 2 if change == "threads" else "other"
    for row in content["rows"]:
        row["psnr"] += 1
    out.write_text(json.dumps(content))
    capsys.readouterr()
    assert benchmark(checkpoint, small, out) == 0
    assert f"an earlier run's rows are computed anew: {change} changed since." in capsys.readouterr().out
    assert json.loads(out.read_text())["rows"][0]["psnr"] == pytest.approx(content["rows"][0]["psnr"] - 1)


def test_an_edit_of_a_metric_in_an_edited_checkout_is_noticed(tmp_path):
    from srkd import provenance

    package = tmp_path / "srkd"
    for room in ("metrics", "networks", "data", "evaluation"):
        (package / room).mkdir(parents=True)
    for name in ("metrics/psnr.py", "data/degradation.py", "data/cache.py", "evaluation/report.html"):
        (package / name).write_text("1")
    before = provenance.hash_of_sources(package)
    (package / "data/cache.py").write_text("2")  # no number rests on it
    (package / "evaluation/report.html").write_text("2")
    assert provenance.hash_of_sources(package) == before
    (package / "metrics/psnr.py").write_text("2")
    assert provenance.hash_of_sources(package) != before
    assert provenance.sources() == provenance.hash_of_sources(Path(provenance.__file__).parent)


@pytest.mark.parametrize(
    ("command", "names"),
    [
        (["export", "{net}", "--width", "0.5", "-o", "{out}/x.pth"], ["x.pth"]),
        (["export", "{net}", "--width", "0.5", "-o", "{out}/x.pth", "--card"], ["x.pth.md"]),
        (["export", "{net}", "--widths", "1,0.5", "--format", "pth", "-o", "{out}"], ["edsr_x2_w0.5.pth"]),
        (["cost", "{net}", "--no-latency", "-o", "{out}/x.json"], ["x.json"]),
    ],
)
def test_files_are_replaced_only_when_asked_to(checkpoint, tmp_path, capsys, command, names):
    out = tmp_path / "out"
    command = [word.format(net=checkpoint, out=out) for word in command]
    assert main(command) == 0
    for name in names:
        (out / name).write_text("mine")
        if command[0] == "export" and name.endswith(".md"):
            (out / "x.pth").unlink()
    assert main(command) == 2
    assert "exists: --overwrite replaces it" in capsys.readouterr().err
    assert all((out / name).read_text() == "mine" for name in names)
    assert main([*command, "--overwrite"]) == 0
    assert all((out / name).read_bytes() != b"mine" for name in names)
