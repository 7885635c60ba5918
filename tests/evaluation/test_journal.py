import json

import pytest

from srkd.evaluation.benchmark import benchmarks
from srkd.evaluation.journal import Journal
from srkd.evaluation.models import Model
from srkd.evaluation.protocols import protocol_of
from srkd.evaluation.sets import find_set
from srkd.evaluation.tables import write_result
from srkd.imaging.files import read_image, write_image
from srkd.types import InputError


@pytest.fixture
def go(network, folder, tmp_path):
    """Run a benchmark with a journal for `x.json`; returns the result, and how many images the network upscaled."""

    def run(*, stop_after=None, digest="abc", names=("y",), finish=True, **options):
        passes = []
        handle = network.register_forward_pre_hook(lambda *_: passes.append(1))
        model = Model("net", network, {"path": "net.pth", "sha256": digest})
        journals = [Journal(tmp_path / f"{name}.json", **options) for name in names]
        rows = []

        def on_image(row, sr):
            rows.append(row)
            if len(rows) == stop_after:
                raise KeyboardInterrupt

        try:
            results = benchmarks(
                [model],
                [find_set(str(folder))],
                protocols=[protocol_of(name, 2) for name in names],
                journals=journals,
                on_image=on_image,
            )
        finally:
            handle.remove()
        if finish:
            for journal, result in zip(journals, results, strict=True):
                write_result(journal.result_path, result)
                journal.close()
        return results, journals

    return run


def reused(results):
    return [result.timing["reused_rows"] for result in results]


def test_an_interrupted_run_goes_on_with_the_rows_it_had(go, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        go(stop_after=3)
    partial = tmp_path / "y.partial.jsonl"
    header, *rows = map(json.loads, partial.read_text().splitlines())
    assert header["protocol"]["name"] == "y" and len(rows) == 3 and not (tmp_path / "y.json").exists()
    results, _ = go()
    assert reused(results) == [3] and len(results[0].rows) == 6 and not partial.exists()
    fresh, _ = go(reuse=False)
    assert reused(fresh) == [0]
    assert [(row.image, row.model, row.metrics) for row in results[0].rows] == [
        (row.image, row.model, row.metrics) for row in fresh[0].rows
    ]


def test_half_a_line_at_the_end_is_not_a_row(go, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        go(stop_after=4)
    partial = tmp_path / "y.partial.jsonl"
    partial.write_text(partial.read_text()[:-9])
    assert reused(go()[0]) == [3]


def test_a_finished_run_is_not_repeated_but_new_weights_are(go):
    (first,), _ = go()
    assert reused(go()[0]) == [6]
    (third,), _ = go()
    assert third.timing["network_seconds"] == 0  # where the time went is known from the run that took it
    assert [run["network_seconds"] for run in third.timing["earlier"]] == [first.timing["network_seconds"]]
    results, (journal,) = go(digest="def")
    assert reused(results) == [3] and journal.notice == ""  # bicubic's rows


def test_a_changed_image_makes_its_set_anew(go, folder):
    go()
    path = folder / "HR" / "img1.png"
    write_image(path, read_image(path)[::-1])
    assert reused(go()[0]) == [0]


def test_another_protocol_or_machine_makes_everything_anew_and_says_so(go, tmp_path):
    go()
    path = tmp_path / "y.json"
    content = json.loads(path.read_text())
    content["environment"]["torch"] = "1.0"
    content["protocol"]["self_ensemble"] = True
    path.write_text(json.dumps(content))
    results, (journal,) = go()
    assert reused(results) == [0]
    assert journal.notice == "an earlier run's rows are computed anew: protocol, torch changed since."


def test_a_file_of_something_else_is_replaced_only_if_told(go, tmp_path):
    (tmp_path / "y.json").write_text('{"schema": 1}')
    (tmp_path / "y.partial.jsonl").write_text("[1]\n{}\n")
    with pytest.raises(InputError, match=r"y\.json is no result file"):
        go()
    assert reused(go(reuse=False)[0]) == [0]


def test_rows_that_are_not_wanted_again_are_computed(go, tmp_path):
    go()
    journal = Journal(tmp_path / "y.json")
    journal.wanted = lambda row: row.image == "img0"
    result = go(finish=False, reuse=False)[0][0]
    assert {row.image for row in journal.begin(result, ["psnr", "ssim"]).values()} == {"img0"}


def test_each_protocol_has_its_journal(go):
    go(names=("y",))
    assert reused(go(names=("y", "rgb"))[0]) == [6, 0]
    assert reused(go(names=("rgb", "y"))[0]) == [6, 6]
