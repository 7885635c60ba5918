import errno
import hashlib
import os
import random
import resource
import shutil
import subprocess

import pytest
from fileserver import serving

from srkd.data.download import NotThereError, checked, download
from srkd.types import WorkError

CONTENT = random.Random(1).randbytes(300_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def shelf():
    with serving(CONTENT) as shelf:
        yield shelf


@pytest.fixture
def target(tmp_path):
    return tmp_path / "new" / "weights.pth"


def get(shelf, target, **settings):
    return download(shelf.url, target, **{"pause": 0, "sha256_prefix": SHA256[:8], **settings})


def names(target):
    return sorted(path.name for path in target.parent.iterdir())


def test_a_file_arrives_whole_and_alone(shelf, target):
    seen = []
    digest = get(shelf, target, size=len(CONTENT), progress=lambda *state: seen.append(state))
    assert digest == SHA256
    assert target.read_bytes() == CONTENT
    assert names(target) == ["weights.pth"]
    assert seen[0] == (0, len(CONTENT))
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert [arrived for arrived, _ in seen] == sorted({arrived for arrived, _ in seen})


def test_a_cut_connection_is_gone_on_with(shelf, target):
    shelf.cuts = [150_000, 70_000]
    assert get(shelf, target) == SHA256
    starts = [int(asked.removeprefix("bytes=").rstrip("-")) for asked in shelf.asked_from()[1:]]
    assert len(starts) == 2
    assert 0 < starts[0] < starts[1] < len(CONTENT)
    assert [request.get("If-Range") for request in shelf.requests] == [None, '"one"', '"one"']


def test_an_interrupted_call_is_gone_on_with_by_the_next(shelf, target):
    def interrupted(arrived, total):
        if arrived > 100_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        get(shelf, target, progress=interrupted)
    assert names(target) == ["weights.pth.part", "weights.pth.part.of"]
    kept = (target.parent / "weights.pth.part").stat().st_size
    assert kept > 100_000
    assert get(shelf, target) == SHA256
    assert shelf.asked_from() == [None, f"bytes={kept}-"]
    assert names(target) == ["weights.pth"]


def begun(shelf, target):
    """A part of a download that was cut, with no attempt left."""
    shelf.cuts = [150_000]
    with pytest.raises(WorkError, match=r"\d+,\d+ bytes are kept, and the same command goes on from there"):
        download(shelf.url, target, pause=0, retries=-1)
    assert names(target) == ["weights.pth.part", "weights.pth.part.of"]
    return (target.parent / "weights.pth.part").stat().st_size


def test_a_changed_file_is_not_glued_to_an_old_part(shelf, target):
    begun(shelf, target)
    shelf.content, shelf.etag = CONTENT[::-1], '"two"'
    digest = download(shelf.url, target)
    assert digest == hashlib.sha256(CONTENT[::-1]).hexdigest()
    assert target.read_bytes() == CONTENT[::-1]


def test_the_date_tells_versions_apart_where_the_etag_is_weak(shelf, target):
    shelf.etag, shelf.last_modified = 'W/"one"', "Sat, 21 Nov 2026 10:00:00 GMT"
    kept = begun(shelf, target)
    assert get(shelf, target) == SHA256
    assert shelf.asked_from()[-1] == f"bytes={kept}-"
    assert shelf.requests[-1]["If-Range"] == shelf.last_modified


def test_a_server_that_names_no_version_is_asked_for_everything(shelf, target):
    shelf.etag, shelf.cuts = "", [150_000]
    assert get(shelf, target) == SHA256
    assert shelf.asked_from() == [None, None]


def test_a_part_of_another_address_is_not_gone_on_with(shelf, target):
    begun(shelf, target)
    assert download(shelf.url.replace("/weights", "/elsewhere/weights"), target) == SHA256
    assert shelf.asked_from() == [None, None]


def test_a_server_without_ranges_is_begun_anew(shelf, target):
    shelf.ranges = False
    begun(shelf, target)
    assert get(shelf, target) == SHA256
    assert shelf.asked_from()[-1] is not None
    assert target.read_bytes() == CONTENT


def test_a_server_that_sends_another_piece_is_begun_anew(shelf, target):
    shelf.wrong_piece = True
    begun(shelf, target)
    assert get(shelf, target) == SHA256
    assert shelf.asked_from()[-1] is None


def test_a_part_that_is_whole_only_wants_its_name(shelf, target):
    begun(shelf, target)
    (target.parent / "weights.pth.part").write_bytes(CONTENT)
    assert get(shelf, target) == SHA256
    assert shelf.asked_from()[-1] == f"bytes={len(CONTENT)}-"
    assert names(target) == ["weights.pth"]


def test_a_part_longer_than_the_file_is_begun_anew(shelf, target):
    begun(shelf, target)
    (target.parent / "weights.pth.part").write_bytes(CONTENT + b"more")
    assert get(shelf, target) == SHA256
    assert target.read_bytes() == CONTENT


def test_a_file_without_announced_length_arrives(shelf, target):
    shelf.length = False
    assert get(shelf, target) == SHA256


def test_attempts_that_bring_nothing_further_are_counted(shelf, target):
    shelf.ranges, shelf.cuts = False, [150_000] * 9
    with pytest.raises(WorkError, match=r"could not be downloaded: the connection "):
        get(shelf, target, retries=2)
    assert len(shelf.requests) == 4  # the first brought it further, three did not


def test_a_server_that_stalls_is_given_up(shelf, target):
    shelf.stall_after = 150_000
    with pytest.raises(WorkError, match=r"nothing came for 0\.2 s\. \d+,\d+ bytes are kept"):
        get(shelf, target, timeout=0.2, retries=3)
    shelf.stall_after = None
    shelf.released.set()
    assert get(shelf, target) == SHA256
    assert shelf.asked_from()[-1] is not None


def test_a_busy_server_is_asked_again(shelf, target):
    shelf.status = 503
    with pytest.raises(WorkError, match="the server says 503 Service Unavailable"):
        get(shelf, target, retries=2)
    assert len(shelf.requests) == 3


def test_a_wrong_checksum_removes_what_came(shelf, target):
    with pytest.raises(WorkError, match=rf"was removed: its SHA-256 is {SHA256}, expected 00000000…\."):
        get(shelf, target, sha256_prefix="00000000")
    assert names(target) == []
    assert len(shelf.requests) == 1


def test_a_file_cut_short_by_its_announced_length_is_found_out(shelf, target):
    shelf.announced = 1000
    with pytest.raises(WorkError, match="was removed: its SHA-256"):
        get(shelf, target)
    assert names(target) == []


def test_a_wrong_size_is_refused_before_anything_is_written(shelf, target):
    with pytest.raises(WorkError, match="has 300,000 bytes, expected 299,999: it is another file now"):
        get(shelf, target, size=299_999)
    assert names(target) == []


def test_a_wrong_size_is_found_out_where_none_is_announced(shelf, target):
    shelf.length = False
    with pytest.raises(WorkError, match="was removed: it has 300,000 bytes, expected 299,999"):
        get(shelf, target, size=299_999)


def test_a_web_page_is_not_the_file(shelf, target):
    shelf.content_type = "text/html; charset=utf-8"
    with pytest.raises(WorkError, match="web page in place of the file"):
        get(shelf, target, sha256_prefix="")


@pytest.mark.parametrize(
    ("status", "kind", "said"),
    [
        (404, NotThereError, "does not exist any more .* 404 Not Found"),
        (410, NotThereError, "does not exist any more"),
        (403, WorkError, "may not be downloaded from here .* 403 Forbidden"),
        (418, WorkError, "the server says 418"),
    ],
)
def test_a_refusal_is_final(shelf, target, status, kind, said):
    shelf.status = status
    with pytest.raises(kind, match=f"(?s){said}.*SRKD_MIRROR"):
        get(shelf, target)
    assert len(shelf.requests) == 1


def test_no_network_is_one_paragraph(shelf, target):
    with serving(CONTENT) as gone:
        pass
    with pytest.raises(WorkError, match=r"127\.0\.0\.1:\d+ cannot be reached \(Connection refused\)\. .*SRKD_MIRROR"):
        get(gone, target, retries=1)


def test_a_full_disk_is_one_paragraph_and_keeps_what_came(shelf, target):
    def full(arrived, total):
        if arrived > 100_000:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(WorkError, match=r"could not be made: No space left on device\. Make room"):
        get(shelf, target, progress=full)
    assert get(shelf, target) == SHA256
    assert shelf.asked_from()[-1] is not None


def test_a_limit_of_the_system_is_one_paragraph(shelf, target):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
    try:
        with pytest.raises(WorkError, match=r"weights\.pth could not be made: File too large\."):
            get(shelf, target)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert get(shelf, target) == SHA256


def test_a_folder_that_is_a_file_is_one_paragraph(shelf, tmp_path):
    (tmp_path / "taken").touch()
    with pytest.raises(WorkError, match="could not be made: "):
        get(shelf, tmp_path / "taken" / "weights.pth")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    if shutil.which("openssl") is None:
        pytest.skip("openssl makes the certificate of the local https server and is not installed")
    folder = tmp_path_factory.mktemp("certificate")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "key.pem", "-out", "cert.pem"],
        cwd=folder, check=True, capture_output=True,
    )  # fmt: skip
    both = folder / "both.pem"
    both.write_text((folder / "key.pem").read_text() + (folder / "cert.pem").read_text())
    return both


def test_https_does_not_lead_to_http(certificate, shelf, target, monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    with serving(CONTENT, certificate=certificate) as secure:
        assert get(secure, target) == SHA256
        target.unlink()
        secure.redirect = shelf.url
        with pytest.raises(WorkError, match="leads to an address that is not https"):
            get(secure, target)
    assert shelf.requests == []


def test_a_certificate_of_nobody_is_refused(certificate, target):
    said = pytest.raises(WorkError, match=r"certificate is not valid .*self.signed")
    with serving(CONTENT, certificate=certificate) as secure, said:
        get(secure, target)
    assert secure.requests == []


def test_checked_is_the_sha256(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")
    assert checked(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2
