"""The report in a real browser: it loads without a word, its slider moves, its table sorts, its filters filter."""

from __future__ import annotations

import pytest
from reports import HOSTILE, tiny_report


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    return tiny_report(tmp_path_factory.mktemp("report"))


@pytest.fixture
def page(browser, report):
    """The report on a telephone's width, and every complaint of the browser: none, at the end."""
    context = browser.new_context(viewport={"width": 360, "height": 740}, offline=True)
    context.set_default_timeout(60_000)
    page, complaints = context.new_page(), []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("dialog", lambda dialog: (complaints.append("a dialog: a name was run as a script"), dialog.dismiss()))
    page.on("request", lambda request: request.url.startswith(("file:", "data:")) or complaints.append(request.url))
    page.goto(report.html.as_uri())
    yield page
    assert complaints == []
    context.close()


def visible(page, selector: str) -> int:
    return page.locator(selector).filter(visible=True).count()


def test_the_page_fits_a_telephone_and_does_not_move_about(page):
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    shift = """new Promise(done => {
        const sum = list => list.getEntries().reduce((total, entry) => total + entry.value, 0);
        new PerformanceObserver(list => done(sum(list))).observe({type: "layout-shift", buffered: true});
        setTimeout(() => done(0), 200);
    })"""
    assert page.evaluate(shift) < 0.1
    assert page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches") is False
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.emulate_media(color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != light
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == light
    assert visible(page, ".compare") == 0 and visible(page, ".filters") == 0 and visible(page, ".shot") == 10


def test_the_slider_moves_by_keyboard_and_pointer_and_compares_what_is_chosen(page):
    scene = page.locator(".scene").first
    stage, slider = scene.locator(".stage"), scene.locator("input[type=range]")
    cut = "stage => stage.style.getPropertyValue('--cut')"
    slider.focus()
    for _ in range(3):
        page.keyboard.press("ArrowLeft")
    assert slider.input_value() == "47" and stage.evaluate(cut) == "47%"
    box = stage.bounding_box()
    stage.click(position={"x": box["width"] * 0.8, "y": 20})
    assert abs(int(slider.input_value()) - 80) <= 1 and stage.evaluate(cut) == slider.input_value() + "%"
    shown = scene.locator("img.a")
    assert shown.evaluate("image => image.decode().then(() => image.naturalWidth)") == 64
    before = shown.get_attribute("src")
    scene.locator("select.left").select_option(label="ground truth")
    assert shown.get_attribute("src") != before and "ground truth" in scene.locator(".tag.left").inner_text()
    page.locator("select[name=part]").select_option("view")
    assert scene.locator(".picture svg").first.get_attribute("viewBox") == "0 0 64 48"


def test_the_table_sorts_by_keyboard(page):
    heading = page.locator("#summary th", has_text="PSNR")
    column = "table => [...table.tBodies[0].rows].map(row => Number(row.cells[3].dataset.value))"
    table = page.locator("#summary")
    found = table.evaluate(column)
    heading.locator("button").focus()
    page.keyboard.press("Enter")
    assert heading.get_attribute("aria-sort") == "descending" and table.evaluate(column) == sorted(found, reverse=True)
    page.keyboard.press("Enter")
    assert heading.get_attribute("aria-sort") == "ascending" and table.evaluate(column) == sorted(found)
    table.locator("th", has_text="gain").locator("button").click()
    assert table.locator("tbody tr").last.locator("th").text_content().strip() == "bicubic"  # it has none: last
    assert table.locator("th[aria-sort]").count() == 1


def test_filters_filter_everything_and_let_it_back(page):
    page.locator("details", has_text="Every image").locator("summary").click()
    assert (visible(page, "#summary tbody tr"), visible(page, "#rows tbody tr")) == (3, 6)
    page.locator("#filters input[type=checkbox]").nth(1).uncheck()
    assert (visible(page, "#summary tbody tr"), visible(page, "#rows tbody tr")) == (2, 4)
    assert page.locator(".chart g[hidden]").count() > 0
    assert page.locator("#summary tr[hidden]").get_attribute("data-model") == HOSTILE
    page.locator("input[name=image]").fill("P1")
    assert (visible(page, "#rows tbody tr"), visible(page, ".scene"), visible(page, ".shot")) == (2, 1, 4)
    assert "2 of 6 images" in page.locator("#shown").inner_text()
    page.locator("button[type=reset]").click()
    page.wait_for_function("document.querySelectorAll('#rows tbody tr:not([hidden])').length === 6")
    assert visible(page, ".scene") == 2
