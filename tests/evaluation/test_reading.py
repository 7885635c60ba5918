import json
import math

import pytest

from srkd.evaluation.benchmark import Result
from srkd.evaluation.protocols import protocol_of
from srkd.evaluation.result import Failure, Row, Summary, read_result
from srkd.evaluation.tables import write_result
from srkd.types import InputError

MACHINE = {"srkd_version": "1", "torch": "2", "hardware": "abacus", "device": "cpu", "threads": 1}
RESULT = Result(
    protocol_of("y", 4).record(),
    [{"name": "bicubic"}, {"name": "net", "iter": 5, "network": None}],
    MACHINE,
    [
        Row("Set5", "baby", "net", 0.5, {"psnr": 30.25, "ssim": 0.9}, 0.01),
        Row("Set5", "bird", "net", 0.5, {"psnr": math.inf, "ssim": 1.0}, None),
    ],
    [Summary("Set5", "net", 0.5, 2, 3, {"psnr": math.inf, "ssim": 0.95}, 123, None, None)],
    [Failure("Set5", "head", "", "does not exist")],
)


@pytest.fixture
def path(tmp_path):
    return write_result(tmp_path / "x.json", RESULT)[0]


def test_what_is_read_is_what_was_written(path):
    read = read_result(path)
    assert (read.rows, read.summary, read.failures) == (RESULT.rows, RESULT.summary, RESULT.failures)
    assert (read.protocol, read.models, read.environment) == (RESULT.protocol, RESULT.models, MACHINE)
    assert read.path == path


@pytest.mark.parametrize(
    ("keys", "value", "said"),
    [
        (("schema",), 3, "schema is 3; this srkd reads schema 1 and 2"),
        (("schema",), True, "schema is True"),
        (("rows", 0, "psnr"), "30.1", r"rows\[0\]\.psnr: Input should be a valid number, not '30\.1'"),
        (("rows", 0, "psnr"), True, r"rows\[0\]\.psnr: Input should be a valid number, not True"),
        (("rows", 0, "psnr"), None, r"rows\[0\]\.psnr: Input should be a valid number, not None"),
        (("rows", 1, "width"), 0, r"damaged: rows\[1\]\.width"),
        (("rows", 1, "image"), "baby", r"damaged: rows: Set5/baby of net at width 0\.5 is there twice"),
        (("rows",), {}, "damaged: rows: Input should be a valid array, not {}"),
        (("summary", 0, "n"), 2.5, r"damaged: summary\[0\]\.n"),
        (("summary", 0, "identical"), False, r"summary\[0\]\.psnr: Input should be a valid number, not None"),
        (("protocol", "scale"), "4", r"damaged: protocol\.scale"),
        (("rows", 0, "psnr"), float("nan"), "is not JSON, hence no result file: expected value at line"),
        (("rows", 0, "psnr"), 10**400, r"rows\[0\]\.psnr: Input should be a valid number, not 1000"),
        (("rows", 0, "image"), "\ud800", "is not JSON, hence no result file: unexpected end of hex escape"),
        (("rows", 0), [], r"rows\[0\]: Input should be an object, not \[\]"),
        (("environment", "hardware"), [None], r"damaged: environment\.hardware"),
        (("metrics",), {"psnr": {"digits": "x"}}, "damaged"),
    ],
)
def test_a_damaged_value_is_refused_by_file_and_key(keys, value, said, path):
    content = json.loads(path.read_text())
    *parents, last = keys
    item = content
    for key in parents:
        item = item[key]
    item[last] = value
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match=said) as caught:
        read_result(path)
    assert "x.json" in str(caught.value)


@pytest.mark.parametrize("key", ["protocol", "rows", "schema", "summary", "failures"])
def test_a_missing_key_is_named(key, path):
    content = json.loads(path.read_text())
    del content[key]
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match=key):
        read_result(path)


@pytest.mark.parametrize("text", ["", "{", "[1, 2]", '{"name": "package"}', "[" * 5000])
def test_a_foreign_file_is_refused(text, tmp_path):
    (tmp_path / "foreign.json").write_text(text)
    with pytest.raises(InputError, match=r"foreign\.json"):
        read_result(tmp_path / "foreign.json")
    with pytest.raises(InputError, match="does not exist"):
        read_result(tmp_path / "absent.json")


def test_a_file_cut_short_anywhere_is_refused(path):
    text = path.read_text().rstrip()
    for end in range(0, len(text), 97):
        path.write_text(text[:end])
        with pytest.raises(InputError):
            read_result(path)


def test_bytes_that_are_no_text_are_refused(path):
    path.write_bytes(b"\xff\xfe\x00{")
    with pytest.raises(InputError, match="is no UTF-8 text"):
        read_result(path)
