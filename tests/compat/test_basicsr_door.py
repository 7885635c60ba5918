from __future__ import annotations

import sys

import pytest

from srkd.compat.basicsr import import_basicsr
from srkd.types import InputError


def test_the_package_and_its_metrics_import(basicsr):
    assert import_basicsr() is basicsr
    assert basicsr.__name__ == "basicsr"
    from torchvision.transforms import functional_tensor

    assert callable(functional_tensor.rgb_to_grayscale)


def test_without_basicsr_the_message_says_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "basicsr", None)  # what Python itself does to block an import
    with pytest.raises(InputError, match=r"srkd works without it.*Python 3\.13.*pip install basicsr"):
        import_basicsr()
