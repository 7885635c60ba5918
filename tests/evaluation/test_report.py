"""The report: its choices, its charts, its page, and what becomes of what is gone or hostile."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import math
import re
import sys
import xml.etree.ElementTree as ET
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from reports import HOSTILE, result_file, tiny_report

from srkd.cli import main
from srkd.evaluation.compare import Comparison, Seeds
from srkd.evaluation.report.charts import Axis, Interval, Point, Series, chart, intervals, standalone
from srkd.evaluation.report.curves import Run, read_run, thinned
from srkd.evaluation.report.figures import training
from srkd.evaluation.report.gather import gather, short_names
from srkd.evaluation.report.pictures import choose_images
from srkd.evaluation.result import Row
from srkd.evaluation.statistics import Estimate, Signs
from srkd.imaging.crops import Window, best_window, captioned, cut, difference, heat, side_by_side
from srkd.metrics.metric import Metric, metric_of
from srkd.types import InputError

ROOT = Path(__file__).parents[2]


class Page(HTMLParser):
    """Elements with their attributes, texts of table cells, and whether what is opened is closed."""

    VOID = frozenset({"meta", "input", "img", "br", "image", "link"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.cells: list[list[str]] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)
        if tag == "tr":
            self.cells.append([])
        if tag in ("td", "th"):
            self.cells[-1].append("")

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if any(tag in self.open for tag in ("td", "th")):
            self.cells[-1][-1] += data.strip()


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    return tiny_report(tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="module")
def page(report):
    return Page(report.html.read_text(encoding="utf-8"))


def test_the_page_is_whole_and_every_reference_has_its_target(page):
    assert page.open == []
    ids = Counter(own["id"] for _, own in page.elements if "id" in own)
    assert [name for name, count in ids.items() if count > 1] == []
    links = {own[key][1:] for _, own in page.elements for key in ("href",) if (own.get(key) or "").startswith("#")}
    named = {word for _, own in page.elements for word in (own.get("aria-labelledby") or "").split()}
    assert links and named and links | named <= set(ids)


def test_the_page_fetches_nothing_and_forbids_it(report, page):
    sources = [
        own[key] for _, own in page.elements for key in ("src", "href", "action", "data", "poster") if own.get(key)
    ]
    assert {source.split(",")[0] for source in sources if not source.startswith("#")} == {"data:image/webp;base64"}
    text = report.html.read_text(encoding="utf-8")
    assert not re.search(r"https?://|@import|url\((?!#)", text)
    policy = next(own["content"] for _, own in page.elements if own.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'; img-src data:;") and "unsafe" not in policy
    for tag in ("style", "script"):
        (inside,) = re.findall(f"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert not any("style" in own or any(name.startswith("on") for name in own) for _, own in page.elements)


def test_hostile_names_are_text(report, page):
    text = report.html.read_text(encoding="utf-8")
    assert HOSTILE in {own.get("data-model") for _, own in page.elements}
    assert text.count("<script>") == 1 and "&lt;script&gt;" in text and "&lt;/pre&gt;" in text


def test_numbers_are_those_of_the_file(report, page):
    values = {(own.get("data-value")) for tag, own in page.elements if tag == "td"}
    content = json.loads(report.result.read_text(encoding="utf-8"))
    for item in [*content["rows"], *content["summary"]]:  # an arm of one run: its means are the run's numbers
        assert {repr(item["psnr"]), repr(item["ssim"])} <= values
    line = next(line for line in page.cells if line[:2] == ["mine", "bicubic"])
    assert line[3] == f"{content['summary'][0]['psnr']:.3f}"
    assert sum(HOSTILE in line for line in page.cells) >= 3


def test_pictures_are_exact_and_the_page_is_small(report, page):
    assert report.html.stat().st_size < 1_000_000
    pictures = [own["href"] for tag, own in page.elements if tag == "image"]
    decoded = [np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1])))) for uri in pictures]
    truth = [np.asarray(Image.open(path)) for path in sorted(report.images.iterdir())]
    assert all(any(np.array_equal(picture, gt) for picture in decoded) for gt in truth)  # the view is the whole image
    labels = [own.get("aria-label", "") for tag, own in page.elements if tag == "svg"]
    assert sum(label.startswith("errors of") for label in labels) == 2 * 3  # bicubic and two models on two images


def test_strips_are_written(report):
    assert sorted(path.name for path in report.strips.iterdir()) == ["mine_p0.png", "mine_p1.png"]
    strip = np.asarray(Image.open(report.strips / "mine_p0.png"))
    assert strip.shape[1] == 5 * 4 * 64 + 4 * 6 and strip.shape[0] > 4 * 48


def test_without_checkpoints_and_sets_there_are_no_pictures_but_a_page_that_says_so(
    report, tmp_path, capsys, monkeypatch
):
    content = json.loads(report.result.read_text(encoding="utf-8"))
    for model in content["models"][1:]:
        model["path"] = "gone/models/net_g_latest.pth"
    content["sets"] = []
    lonely = result_file(tmp_path / "lonely.json", content)
    root = report.images.parents[1]
    assert main(["report", str(lonely), "-o", str(tmp_path / "a.html"), "--sets-root", str(root)]) == 0
    text = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert "plain: what was measured is not there any more" in text and 'aria-label="p0, bicubic"' in text

    monkeypatch.chdir(tmp_path)
    assert main(["report", str(lonely), "-o", str(tmp_path / "b.html")]) == 0
    text = (tmp_path / "b.html").read_text(encoding="utf-8")
    assert "There are no pictures of mine" in text and 'id="pictures"' not in text and 'id="summary"' in text
    assert "--sets-root" in capsys.readouterr().out


def test_a_checkpoint_that_changed_is_noticed(report, tmp_path):
    content = json.loads(report.result.read_text(encoding="utf-8"))
    for row in content["rows"]:
        if row["model"] == "plain":
            row["psnr"] += 1
    changed = result_file(tmp_path / "changed.json", content)
    assert main(["report", str(changed), "-o", str(tmp_path / "a.html")]) == 0
    notes = (tmp_path / "a.html").read_text(encoding="utf-8").split("Before you read on")[1].split("</section>")[0]
    assert "plain is not what was measured" in notes and "bicubic is not" not in notes


def test_files_of_two_protocols_are_refused_and_equal_names_are_told_apart(report, tmp_path):
    content = json.loads(report.result.read_text(encoding="utf-8"))
    content["models"][2]["iter"] = 7
    for row in content["rows"]:
        row["psnr"] += row["model"] == "plain"
    other = str(result_file(tmp_path / "other.json", content))
    both = gather([str(report.result), other])
    assert list(both.models) == ["bicubic", f"tiny:{HOSTILE}", "tiny:plain", f"other:{HOSTILE}", "other:plain"]
    assert len(both.rows) == 5 * 2 and both.headline == "psnr" and both.baseline == "bicubic"

    content["protocol"]["description"] = "the same in other words"
    assert len(gather([str(report.result), str(result_file(tmp_path / "other.json", content))]).rows) == len(both.rows)
    content["protocol"]["name"] = "rgb"
    with pytest.raises(InputError, match="numbers of different protocols don't compare"):
        gather([str(report.result), str(result_file(tmp_path / "other.json", content))])


EVENING = ROOT / "docs/results/distillation_x4_cpu-evening/benchmark.json"


def test_seeds_are_runs_of_one_arm_and_the_control_is_found(tmp_path):
    found = gather([str(EVENING)])
    assert [(arm.name.partition("_edsr")[0], len(arm.runs)) for arm in found.arms] == [
        ("bicubic", 1), ("supervised", 1),
        *((name, 3) for name in ("scratch", "slice", "output_kd", "srkd", "fakd", "decoder", "pisr")),
    ]  # fmt: skip
    assert found.control.name.startswith("scratch") and found.comparisons[0].looks == 6  # no teacher among them
    better = {item.arm.partition("_edsr")[0] for item in found.comparisons if item.verdict == "better"}
    assert better == {"output_kd"}
    assert gather([str(EVENING)], "decoder_edsr12x8_x4_bsds").control.name.startswith("decoder")
    with pytest.raises(InputError, match="Did you mean 'decoder_edsr12x8_x4_bsds'"):
        gather([str(EVENING)], "decoder_edsr12x8_x4_bsd")
    named = gather([f"plain={EVENING}:scratch_*", f"taught={EVENING}:fakd_*"])
    assert [(arm.name, len(arm.runs)) for arm in named.arms] == [("plain", 3), ("taught", 3)]
    assert named.baseline == named.control.name == "plain" and named.comparisons[-1].verdict == "better"


def test_a_report_by_arms_has_one_mark_an_arm_and_its_seeds_faintly(tmp_path):
    output = tmp_path / "a.html"
    assert main(["report", str(EVENING), "-o", str(output), "--images", "0"]) == 0
    text = output.read_text(encoding="utf-8")
    page = Page(text)
    summary = [line for line in page.cells if line[:1] == ["Urban100"] and "3" in line[-1:]]
    assert len(summary) == 7 and summary[2][1:5] == [
        "output_kd_edsr12x8_x4_bsds",
        "1",
        "24.101 ± 0.074",
        "0.7062 ± 0.0034",
    ]
    assert [
        "Urban100",
        "output kd edsr12x8",
        "+0.051",
        "0.038 … 0.063",
        "better",
        "+0.047 +0.049 +0.056",
        "96 of 100",
        "0.019",
    ] in page.cells
    svgs = re.findall(r'<svg class="chart".*?</svg>', text, re.DOTALL)
    differences, costs = svgs[:2], svgs[2:6]
    for svg in differences:
        assert svg.count('class="mark"') == svg.count('class="bar"') == 6 and svg.count('class="faint"') == 18
    for svg in costs:
        assert svg.count('class="mark"') == 8 and svg.count('class="faint"') == 7 * 3 and 'class="bar"' in svg
    assert "_seed1" not in text.partition('id="setup"')[0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "say what to write"),
        (["-o", "x.pdf"], r"must end in \.html"),
        (["-o", "x.html", "--images", "-1"], "at least 0"),
        (["-o", "x.html", "--experiment", "."], "is no experiment"),
    ],
)
def test_mistakes(report, arguments, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["report", str(report.result), *arguments]) == 2
    assert re.search(message, capsys.readouterr().err)


def test_training_curves_are_plotted(report, tmp_path, capsys, monkeypatch):
    output = tmp_path / "curves.svg"
    assert main(["plot", str(report.experiment), str(report.experiment / "metrics.jsonl"), "-o", str(output)]) == 0
    svg = ET.parse(output).getroot()
    texts = [element.text for element in svg.iter() if element.text]
    assert "PSNR on held (validation)" in texts and "l_pix" in texts
    assert "plain" in texts  # the legend
    pytest.importorskip("matplotlib", reason="the extra [plot] is not installed")
    for name, magic in (("curves.png", b"\x89PNG"), ("new/curves.pdf", b"%PDF")):
        assert main(["plot", str(report.experiment), "-o", str(tmp_path / name)]) == 0
        assert (tmp_path / name).read_bytes().startswith(magic)
    assert main(["plot", str(report.experiment), "-o", str(tmp_path / "curves.gif")]) == 2
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert main(["plot", str(report.experiment), "-o", str(tmp_path / "other.png")]) == 2
    assert "choose .svg, which needs nothing" in capsys.readouterr().err
    assert main(["plot", str(tmp_path), "-o", str(output)]) == 2
    assert "metrics.jsonl does not exist" in capsys.readouterr().err


def test_a_training_log_cut_short_is_read_and_a_damaged_one_is_not(tmp_path):
    good = '{"kind": "train", "iter": 1, "lr": 0.1, "l_pix": 0.5, "l_ts": null}'
    (tmp_path / "metrics.jsonl").write_text(f'{good}\n{{"kind": "tr')
    run = read_run(tmp_path)
    assert (run.name, run.losses) == (tmp_path.name, {"l_pix": [(1, 0.5)], "l_ts": []})
    (tmp_path / "metrics.jsonl").write_text(f"[]\n{good}\n")
    with pytest.raises(InputError, match="line 1"):
        read_run(tmp_path)


def test_thinning_keeps_short_curves_and_averages_long_ones():
    assert thinned([(1, 2.0), (2, 4.0)]) == [(1, 2.0), (2, 4.0)] and thinned([]) == []
    long = [(n, float(n % 2)) for n in range(1, 1001)]
    assert len(thinned(long)) == 250 and {value for _, value in thinned(long)} == {0.5}


def test_the_best_window_holds_the_most_and_begins_on_whole_pixels():
    weight = np.zeros((20, 30))
    weight[11, 17] = weight[13, 19] = 1
    window = best_window(weight, (4, 6), align=2)
    assert window == Window(10, 14, 4, 6) and cut(weight, window).sum() == 2
    assert best_window(np.ones((20, 30)), (99, 99)) == Window(0, 0, 20, 30)
    assert best_window(np.ones((20, 30)), (4, 6), align=2) == Window(0, 0, 4, 6)


def test_error_maps_are_dark_where_there_is_no_error_and_brighter_where_there_is_more():
    black, grey = np.zeros((1, 3, 3), np.uint8), np.array([[[0] * 3, [20] * 3, [60] * 3]], np.uint8)
    errors = difference(grey, black)
    assert errors.tolist() == [[0, 20, 60]]
    brightness = heat(errors, 40).sum(axis=2)[0]
    assert brightness[0] < brightness[1] < brightness[2] and heat(errors, 40)[0, 2].tolist() == [252, 255, 164]


def test_strips_have_room_for_captions():
    images = [np.full((10, 60, 3), level, np.uint8) for level in (0, 128)]
    row = side_by_side(images)
    assert row.shape == (10, 124, 3) and row[0, 60:64].min() == 255
    strip = captioned(images, ["a\nb", "a name that is much too long"])
    assert strip.shape[1] == 126 and strip.shape[0] > 40 and strip[10:].min() < 100 and strip[10:, 60:66].min() == 255


def rows_of(values):
    return [
        Row("s", image, model, 1.0, {"psnr": value}, None)
        for image, own in values.items()
        for model, value in own.items()
    ]


def test_images_are_chosen_where_models_differ_and_where_they_gain_least():
    values = {
        "alike": {"bicubic": 30, "a": 33.0, "b": 33.0},
        "apart": {"bicubic": 30, "a": 33.0, "b": 35.5},
        "hard": {"bicubic": 30, "a": 30.1, "b": 30.0},
        "same": {"bicubic": 30, "a": math.inf, "b": math.inf},
    }
    chosen = choose_images(rows_of(values), "psnr", 2, baseline="bicubic", kind=metric_of("psnr"))
    assert [(one.image, one.reason) for one in chosen] == [
        ("apart", "the models differ by 2.50 dB"),
        ("hard", "the best model gains only 0.10 dB over bicubic"),
    ]
    everything = choose_images(rows_of(values), "psnr", 9, baseline="bicubic", kind=metric_of("psnr"))
    assert sorted(one.image for one in everything) == sorted(values)
    alone = choose_images(rows_of({"x": {"bicubic": 30}}), "psnr", 9, baseline="bicubic", kind=metric_of("psnr"))
    assert [one.image for one in alone] == ["x"]


def test_short_names_leave_out_what_all_have():
    assert short_names(["a_edsr_x2", "b_c_edsr_x2"]) == {"a_edsr_x2": "a", "b_c_edsr_x2": "b c"}
    assert short_names(["only_one"]) == {"only_one": "only one"}
    assert short_names(["a_b", "b_a"]) == {"a_b": "a_b", "b_a": "b_a"}  # nothing would be left
    assert len(short_names(["x" * 99])["x" * 99]) == 26


def test_a_chart_shows_each_point_its_bar_and_its_band_where_its_axes_say():
    places = [(1.0, 30.0), (10.0, 31.0), (100.0, 32.0), (0.0, 33.0)]  # the last one has no logarithm
    points = [Point(x, y, y - 0.5, y + 0.5, hint=f"at <{x}>") for x, y in places]
    series = [Series(f"<{n}>", points, n, places, line=True, band=n == 2) for n in range(3)]
    drawn = chart(series, Axis("x", log=True), Axis("y"), title="a < b", beside=", said", level=("bicubic", 29.5))
    svg = ET.fromstring(drawn.svg)
    by_class = Counter(element.get("class") for element in svg.iter())
    assert by_class["mark"] == by_class["faint"] == 9 and by_class["bar"] == 6 and by_class["band"] == 1
    marks = [e.get("transform") for e in svg.iter("path") if e.get("class") == "mark"]
    xs = [float(mark[len("translate(") :].split(",")[0]) for mark in marks[:3]]
    assert xs[1] - xs[0] == pytest.approx(xs[2] - xs[1], abs=0.2)
    assert svg.get("aria-label") == "a < b, said" and svg.find(".//title").text == "at <1.0>"
    assert [g.get("data-model") for g in svg.iter("g")][1:] == ["<0>", "<1>", "<2>"]
    alone = chart([Series("", points[-1:])], Axis("x", log=True), Axis("y"), title="none")
    assert "Nothing" in alone.svg and "Nothing" in chart([Series("", [])], Axis("x"), Axis("y"), title="").svg
    file = ET.fromstring(standalone([drawn, chart(series, Axis("x"), Axis("y"), title="c & d")], [("<n>", 0)]))
    space = "{http://www.w3.org/2000/svg}"
    assert [e.text for e in file.iter(f"{space}text") if e.get("class") in ("head", "name")] == [
        "<n>",
        "a < b",
        "c & d",
    ]
    assert len(file.findall(f"{space}svg")) == 2


def test_long_numbers_beside_an_axis_keep_off_its_label():
    for values, begins in (((-17.41, -17.21), 68), ((30.0, 31.0), 60)):
        drawn = chart([Series("", [Point(at, y) for at, y in enumerate(values)])], Axis("x"), Axis("y"), title="")
        assert f'd="M{begins},' in drawn.svg and f'x="{begins - 6}"' in drawn.svg


def test_where_the_lower_end_of_a_bar_has_no_logarithm_the_point_is_without_one():
    svg = chart([Series("", [Point(1, 1, -1, 3), Point(2, 2, 1, 3)])], Axis("x"), Axis("y", log=True), title="").svg
    assert svg.count('class="mark"') == 2 and svg.count('class="bar"') == 1


def test_intervals_stand_at_their_numbers():
    def compared(mean, low, high, seeds, verdict):
        found, of = Estimate(mean, low, high, 0.01, "seeds"), Seeds("recorded", [0, 1], [30, 30], [31, 31], seeds)
        return Comparison(
            "S",
            "z",
            "a",
            "psnr",
            9,
            (30, 31),
            found,
            Signs(9, 0, 0, 0.01),
            of,
            None,
            0.01,
            1,
            verdict,
            [],
            [],
            Metric(),
        )

    rows = [
        Interval("a<", compared(0.5, 0.25, 0.75, [0.4, 0.6], "better"), 0),
        Interval("b", compared(-0.5, None, None, [], "no difference shown")),
    ]
    svg = ET.fromstring(intervals(rows, "dB", title="t", zero="control").svg)
    marks = [float(re.search(r"\((.*?),", e.get("transform"))[1]) for e in svg.iter("path") if e.get("class") == "mark"]
    (bar,) = [re.match(r"M(.*?),.*H(.*)", e.get("d")).groups() for e in svg.iter("path") if e.get("class") == "bar"]
    (zero,) = [float(re.match(r"M(.*?),", e.get("d"))[1]) for e in svg.iter("path") if e.get("class") == "line level"]
    assert (float(bar[0]) + float(bar[1])) / 2 == pytest.approx(marks[0], abs=0.2)
    assert (marks[0] + marks[1]) / 2 == pytest.approx(zero, abs=0.2)
    assert [e.text for e in svg.iter("text") if e.get("class") == "strong"] == ["a<"]
    assert "Nothing" in intervals([], "", title="", zero="").svg


def test_curves_of_seeds_are_one_line_with_a_band():
    runs = [
        Run(f"csd_seed{n}", {"l_pix": [(1, 1.0 + n), (2, 0.5 + n)]}, {("S", "psnr", 1.0): [(2, 30.0 + n)]})
        for n in (0, 1)
    ]
    runs.append(Run("alone", {"l_pix": [(1, 3.0)]}))
    assert [heading for heading, _, _ in training(runs, {})] == ["PSNR on S (validation)", "l_pix"]
    first, second = training(runs, {})[1][2]
    assert (first.name, first.points, first.band) == ("csd", [Point(1, 1.5, 1.0, 2.0), Point(2, 1.0, 0.5, 1.5)], True)
    assert (second.name, second.points, second.band) == ("alone", [Point(1, 3.0)], False)


def test_the_images_of_a_metric_that_falls_are_chosen_by_it():
    values = {"near": {"bicubic": 0.5, "a": 0.1}, "hard": {"bicubic": 0.5, "a": 0.49}}
    rows = [
        Row("s", image, model, 1.0, {"lpips": v}, None) for image, own in values.items() for model, v in own.items()
    ]
    assert choose_images(rows, "lpips", 1, baseline="bicubic", kind=metric_of("lpips"))[0].image == "hard"
