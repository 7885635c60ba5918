"""A browser for the tests of pages."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium from $SRKD_BROWSER or the path; skips where there is none."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="the Python package playwright is not installed")
    found = os.environ.get("SRKD_BROWSER") or next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip(f"no browser: none of {', '.join(NAMES)} is on the path; $SRKD_BROWSER names another one")
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=found, headless=True, args=FLAGS, timeout=120_000)
        yield started
        started.close()
