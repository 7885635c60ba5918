"""`srkd export --web`: the page in a real browser upscales a picture as `Upscaler` does; the runtime's download."""

from __future__ import annotations

import functools
import hashlib
import io
import json
import tarfile
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fileserver import serving
from PIL import Image

from srkd.data.sources import Source as Download
from srkd.data.sources import home
from srkd.inference.export import Form, Source, web
from srkd.inference.upscaler import Upscaler
from srkd.networks.edsr import EDSR
from srkd.types import InputError, WorkError

SCALE = 2


@pytest.fixture(scope="module")
def network() -> EDSR:
    torch.manual_seed(0)
    return EDSR(num_in_ch=3, num_out_ch=3, num_feat=8, num_block=2, upscale=SCALE).eval()


def archive_of(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(f"package/dist/{name}")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return stream.getvalue()


@pytest.fixture
def published(monkeypatch, tmp_path) -> Iterator[Any]:
    """A server with an archive that is built like npm's, and an empty cache."""
    monkeypatch.setenv("SRKD_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("SRKD_MIRROR", raising=False)
    content = archive_of({name: name.encode() for name in (*web.WEBASSEMBLY, *web.WEBGPU, "ort.js.map")})
    with serving(content) as shelf:
        digest = hashlib.sha256(content).hexdigest()
        source = Download(what="test", url=shelf.url, licence="MIT", sha256=digest, size=len(content))
        monkeypatch.setattr(web, "RUNTIME", source)
        yield shelf


def test_the_runtime_is_downloaded_once_and_only_what_is_needed_is_kept(published):
    folder = web.runtime_folder()
    assert {path.name for path in folder.iterdir()} == {*web.WEBASSEMBLY, *web.WEBGPU}
    assert [path.name for path in home("web").iterdir() if path.suffix == ".tgz"] == []
    requests = len(published.requests)
    assert web.runtime_folder() == folder
    assert len(published.requests) == requests


def test_a_runtime_that_lacks_a_file_is_refused(published, monkeypatch):
    monkeypatch.setattr(web, "WEBGPU", (*web.WEBGPU, "ort.future.mjs"))
    with pytest.raises(WorkError, match="it is not what it should be"):
        web.runtime_folder()


def test_all_files_are_written_and_named(published, network, tmp_path):
    pytest.importorskip("onnxscript")
    found = web.write_page(Source(network), tmp_path / "page", [1.0, 0.5], form=Form())
    files = {path.relative_to(tmp_path / "page") for path in (tmp_path / "page").rglob("*") if path.is_file()}
    assert files == set(web.files_of([1.0, 0.5]))
    listing = json.loads((tmp_path / "page" / "networks.json").read_text())
    assert [(entry["width"], entry["file"]) for entry in listing["widths"]] == [(0.5, "w0.5.onnx"), (1.0, "w1.onnx")]
    assert [file.width for file in found] == [0.5, 1.0]
    assert listing["margin"] == network.receptive_field


def test_a_network_of_one_channel_is_refused_before_anything_is_downloaded(network, tmp_path, monkeypatch):
    monkeypatch.setattr(web, "runtime_folder", lambda _: pytest.fail("downloaded"))
    grey = EDSR(num_in_ch=1, num_out_ch=1, num_feat=8, num_block=2, upscale=SCALE, rgb_mean=(0.5,))
    with pytest.raises(InputError, match="networks of colours"):
        web.write_page(Source(grey), tmp_path, [1.0], form=Form())


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture(scope="module")
def address(network, tmp_path_factory) -> Iterator[str]:
    """The page, served; skips where onnxruntime-web is not in the cache (tests need no network)."""
    pytest.importorskip("onnxscript")
    if not (home("web") / f"onnxruntime-web-{web.VERSION}").is_dir():
        pytest.skip(f"onnxruntime-web {web.VERSION} is not in {home('web')}: `srkd export --web` puts it there")
    folder = tmp_path_factory.mktemp("web")
    web.write_page(Source(network), folder, [1.0, 0.5], form=Form())
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()


@pytest.fixture
def page(browser, address):
    """The page, and every complaint of the browser or request to another server: none, at the end."""
    context = browser.new_context(viewport={"width": 390, "height": 800}, accept_downloads=True)
    context.set_default_timeout(120_000)
    page, complaints = context.new_page(), []
    page.on("console", lambda message: message.type == "error" and complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: request.url.startswith((address, "blob:")) or complaints.append(request.url))
    page.goto(address)
    yield page
    assert complaints == []
    context.close()


def picture(path: Path, mode: str = "RGB", size: tuple[int, int] = (150, 140)) -> Path:
    """A picture of more than one tile; the network's tiles are cut as in Python."""
    generator = np.random.default_rng(0)
    Image.fromarray(generator.integers(0, 256, (size[1], size[0], len(mode)), dtype=np.uint8), mode).save(path)
    return path


def result(page, path: Path, folder: Path) -> np.ndarray:
    page.set_input_files("#file", path)
    return saved(page, folder)


def saved(page, folder: Path) -> np.ndarray:
    page.wait_for_selector("#save:visible")
    with page.expect_download() as download:
        page.click("#save")
    download.value.save_as(folder / "saved.png")
    return np.asarray(Image.open(folder / "saved.png"))


def test_the_page_upscales_as_python_does_at_every_width(page, network, tmp_path):
    path = picture(tmp_path / "noise.png")
    image = np.asarray(Image.open(path))
    for index, width in ((1, 1.0), (0, 0.5)):
        if index == 1:
            found = result(page, path, tmp_path)
        else:
            page.locator("#width").fill(str(index))
            page.locator("#width").dispatch_event("change")
            page.wait_for_selector("#save:visible")
            found = saved(page, tmp_path)
        expected = Upscaler(network, width=width)(image).astype(int)
        assert np.abs(found[..., :3].astype(int) - expected).max() <= 1
        assert f"width {width:g}," in page.inner_text("#status")
    assert "150 × 140 to 300 × 280 in" in page.inner_text("#status")
    assert page.evaluate("document.documentElement.scrollWidth") == 390


def test_transparency_is_kept(page, tmp_path):
    path = tmp_path / "half.png"
    image = np.full((20, 20, 4), 255, np.uint8)
    image[:, 10:, 3] = 0
    Image.fromarray(image).save(path)
    found = result(page, path, tmp_path)
    assert found.shape == (40, 40, 4)
    assert (found[:, :16, 3] == 255).all()
    assert (found[:, 24:, 3] == 0).all()


def test_what_is_no_picture_is_answered(page, tmp_path):
    """And the answer stays, where a picture before it was still at work."""
    (tmp_path / "notes.png").write_text("no picture")
    page.set_input_files("#file", picture(tmp_path / "before.png", size=(900, 900)))
    page.wait_for_selector("#progress:visible")
    page.set_input_files("#file", tmp_path / "notes.png")
    page.wait_for_selector("#status.wrong")
    page.wait_for_timeout(1000)
    assert not page.is_visible("#progress")
    assert "“notes.png” cannot be opened as a picture" in page.inner_text("#status")


def test_a_picture_chosen_before_the_networks_are_known_is_upscaled(page, tmp_path):
    held = []
    page.route("**/networks.json", lambda route: held.append(route))
    with page.expect_request("**/networks.json"):
        page.reload(wait_until="commit")
    page.set_input_files("#file", picture(tmp_path / "early.png", size=(20, 20)))
    held[0].continue_()
    assert saved(page, tmp_path).shape == (40, 40, 4)


def test_of_two_pictures_the_one_chosen_last_is_upscaled(page, tmp_path):
    """Also where the one before it takes longer to open."""
    page.evaluate(
        """async () => {
            const open = createImageBitmap, slow = new Promise((resolve) => (window.finish = resolve));
            window.createImageBitmap = async (file, ...rest) => {
                if (file.name === "slow.png") await slow;
                return open(file, ...rest);
            };
        }"""
    )
    page.set_input_files("#file", picture(tmp_path / "slow.png", size=(30, 20)))
    page.set_input_files("#file", picture(tmp_path / "quick.png", size=(20, 30)))
    assert saved(page, tmp_path).shape == (60, 40, 4)
    page.evaluate("finish()")
    page.wait_for_timeout(200)
    assert saved(page, tmp_path).shape == (60, 40, 4)
    assert "20 × 30 to" in page.inner_text("#status")
