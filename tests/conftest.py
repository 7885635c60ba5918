"""Fixtures that every test may use: the shared data set, BasicSR as a reference, random numbers, a photograph."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import cv2
import hypothesis
import numpy as np
import pytest
import torch

from srkd.registry import DATASETS, LOSSES, METHODS, METRICS, NETWORKS, OPTIMIZERS, SCHEDULERS
from srkd.types import InputError

# One thread each: several test processes share the cores, and sums in one order repeat exactly.
torch.set_num_threads(1)
cv2.setNumThreads(1)

# Timing on a shared machine says nothing about the code; no example database, so that a test run leaves no files.
hypothesis.settings.register_profile("srkd", deadline=None, database=None, max_examples=50, print_blob=True)
hypothesis.settings.load_profile("srkd")


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a user's environment may hold: proxies stand between a test and its own server, colours in its output."""
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1")
    monkeypatch.delenv("FORCE_COLOR", raising=False)


@pytest.fixture(autouse=True)
def _registries() -> Iterator[None]:
    """A component that a test imports is gone with it, and its module: no message of another test lists it."""
    registries = (NETWORKS, METHODS, DATASETS, METRICS, LOSSES, OPTIMIZERS, SCHEDULERS)
    before = [{*registry.names()} for registry in registries]
    yield
    for registry, known in zip(registries, before, strict=True):
        for name in {*registry._components} - known:
            sys.modules.pop(registry._components.pop(name).__module__, None)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder with Set5, Urban100, training photographs, weights and vectors: $SRKD_DATA, or ../shared/data."""
    given = os.environ.get("SRKD_DATA")
    folder = Path(given) if given else Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"the shared data are not at {folder}; set SRKD_DATA to their folder")
    return folder


@pytest.fixture(scope="session")
def basicsr() -> ModuleType:
    """The BasicSR package, for tests that compare with it; skips where it cannot be imported."""
    from srkd.compat.basicsr import import_basicsr

    try:
        return import_basicsr()
    except InputError as error:
        pytest.skip(str(error))


@pytest.fixture
def rng() -> np.random.Generator:
    """NumPy random generator with a fixed seed, fresh for every test."""
    return np.random.default_rng(20240501)


@pytest.fixture(scope="session")
def _astronaut() -> np.ndarray:
    from skimage import data

    image = data.astronaut()  # ships inside scikit-image: no download
    image.setflags(write=False)
    return image


@pytest.fixture
def photo(_astronaut: np.ndarray) -> np.ndarray:
    """A real photograph, 96 × 120, RGB uint8 [H, W, 3] (a portrait: smooth skin, edges, texture); a fresh copy."""
    return _astronaut[40:136, 160:280].copy()
