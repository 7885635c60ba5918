import hashlib
import string
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from filelock import FileLock
from fileserver import serving

from srkd.data.sources import Source, fetch, home, known_models, mirror_of, source_named
from srkd.types import InputError, WorkError

CONTENT = b"weights of a network"
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    monkeypatch.delenv("SRKD_MIRROR", raising=False)
    monkeypatch.delenv("SRKD_HOME", raising=False)


@pytest.fixture
def shelf():
    with serving(CONTENT) as shelf:
        yield shelf


def source_of(shelf, *, sha256=SHA256[:8]):
    return Source(what="a test", url=shelf.url, licence="none", sha256=sha256)


@pytest.mark.parametrize("name", known_models())
def test_a_known_model_says_all_that_is_needed(name):
    source = known_models()[name]
    assert urlsplit(source.url).scheme == "https"
    assert urlsplit(source.url).netloc
    assert source.what
    assert source.licence
    assert source.file == Path(source.file).name
    assert Path(source.file).suffix in (".pt", ".pth")
    assert source.sha256 == "" or 8 <= len(source.sha256) <= 64
    assert set(source.sha256) <= set(string.hexdigits.lower())
    assert source.size is None or source.size > 0
    stem, _, digits = Path(source.file).stem.rpartition("-")
    if stem:  # the authors' convention: the name ends in the first 8 digits
        assert source.sha256.startswith(digits)


def test_known_models_do_not_share_a_file_or_an_address():
    sources = known_models().values()
    assert len({source.file for source in sources}) == len(sources)
    assert len({source.url for source in sources}) == len(sources)


def test_the_first_call_downloads_and_the_second_only_looks(shelf, tmp_path):
    source = source_of(shelf)
    first = fetch(source, tmp_path / "models")
    assert (first.path, first.sha256, first.origin) == (tmp_path / "models" / "weights.pth", SHA256, shelf.url)
    assert first.path.read_bytes() == CONTENT
    assert fetch(source, tmp_path / "models").origin == ""
    assert len(shelf.requests) == 1


def test_another_file_of_that_name_is_left_alone(shelf, tmp_path):
    (tmp_path / "weights.pth").write_bytes(b"mine")
    with pytest.raises(WorkError, match=r"is there already but is another file: its SHA-256 is .* Move it away"):
        fetch(source_of(shelf), tmp_path)
    assert (tmp_path / "weights.pth").read_bytes() == b"mine"
    assert shelf.requests == []


def test_a_folder_as_mirror_is_looked_at_first(shelf, tmp_path):
    (tmp_path / "mirror").mkdir()
    (tmp_path / "mirror" / "weights.pth").write_bytes(CONTENT)
    got = fetch(source_of(shelf), tmp_path / "models", mirror=str(tmp_path / "mirror"))
    assert got.origin == str(tmp_path / "mirror" / "weights.pth")
    assert got.path.read_bytes() == CONTENT
    assert shelf.requests == []


def test_a_wrong_file_in_the_mirror_is_an_error_and_no_download(shelf, tmp_path):
    (tmp_path / "mirror").mkdir()
    (tmp_path / "mirror" / "weights.pth").write_bytes(b"something else")
    with pytest.raises(WorkError, match=rf"(?s)mirror/weights\.pth .*expected {SHA256[:8]}….*Replace it there"):
        fetch(source_of(shelf), tmp_path / "models", mirror=str(tmp_path / "mirror"))
    assert list((tmp_path / "models").iterdir()) == []
    assert shelf.requests == []


def test_an_address_as_mirror_is_looked_at_first(shelf, tmp_path):
    with serving(CONTENT) as mirror:
        base = mirror.url.removesuffix("/weights.pth")
        got = fetch(source_of(shelf), tmp_path, mirror=f"{base}/models")
    assert got.origin == f"{base}/models/weights.pth"
    assert mirror.requests[0]["path"] == "/models/weights.pth"
    assert shelf.requests == []


def test_what_the_mirror_lacks_comes_from_the_authors(shelf, tmp_path):
    source = source_of(shelf)
    assert fetch(source, tmp_path / "one", mirror=str(tmp_path / "empty")).origin == shelf.url
    with serving(CONTENT) as mirror:
        mirror.status = 404
        assert fetch(source, tmp_path / "two", mirror=mirror.url.removesuffix("/weights.pth")).origin == shelf.url
    assert len(mirror.requests) == 1


def test_a_file_without_published_checksum_gets_one_computed(shelf, tmp_path):
    assert fetch(source_of(shelf, sha256=""), tmp_path).sha256 == SHA256


def test_the_mirror_is_a_folder_or_an_address(tmp_path, monkeypatch):
    assert mirror_of("models") == ""
    monkeypatch.setenv("SRKD_MIRROR", str(tmp_path))
    assert mirror_of("models") == str(tmp_path / "models")
    monkeypatch.setenv("SRKD_MIRROR", "https://files.example/srkd/")
    assert mirror_of("models") == "https://files.example/srkd/models"
    for wrong in (str(tmp_path / "absent"), "ftp://files.example", "file:///files"):
        monkeypatch.setenv("SRKD_MIRROR", wrong)
        with pytest.raises(InputError, match=f"SRKD_MIRROR={wrong} is neither a folder nor an address"):
            mirror_of("models")


def test_home_is_the_cache_folder_unless_it_is_given(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert home("models").parent.name == "srkd"
    monkeypatch.setenv("SRKD_HOME", str(tmp_path / "mine"))
    assert home("models") == tmp_path / "mine" / "models"


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(InputError, match=r"'edsr_baselin_x4' is not known\. Did you mean 'edsr_baseline_x4'\? Known: "):
        source_named("edsr_baselin_x4", known_models())


def test_two_downloads_of_one_file_take_turns(shelf, tmp_path, caplog):
    """They would append to one part; the second one finds the file of the first."""
    held = FileLock(tmp_path / ".download.lock")
    with ThreadPoolExecutor() as pool, held:
        waiting = pool.submit(fetch, source_of(shelf), tmp_path)
        deadline = time.time() + 60
        while "waiting for it" not in caplog.text:
            assert time.time() < deadline
            time.sleep(0.01)
        (tmp_path / "weights.pth").write_bytes(CONTENT)  # what the first one does
        held.release()
        assert waiting.result(timeout=60).sha256 == SHA256
    assert shelf.requests == []
