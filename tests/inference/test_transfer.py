"""Pictures on their way to the device and back: the bits of the plain formula, in fewer bytes."""

import numpy as np
import pytest
import torch

from srkd.inference import forward

CPU = torch.device("cpu")
EVERY = {
    "uint8": np.arange(256, dtype=np.uint8).repeat(3).reshape(1, 16, 16, 3),
    "uint16": np.arange(65536, dtype=np.uint16).repeat(3).reshape(1, 256, 256, 3),
    "float16": np.linspace(0, 1, 768, dtype=np.float16).reshape(1, 16, 16, 3),
    "float32": np.random.default_rng(0).random((2, 9, 7, 3), np.float32),
    "float64": np.random.default_rng(0).random((2, 9, 7, 3)),
}


@pytest.mark.parametrize("kind", EVERY)
def test_numbers_are_those_of_the_plain_formula(kind):
    images = EVERY[kind]
    peak = 1 if images.dtype.kind == "f" else np.iinfo(images.dtype).max
    plain = torch.from_numpy(images.astype(np.float32) / np.float32(peak)).permute(0, 3, 1, 2)
    x = forward._to_batch(images, CPU)
    assert x.dtype == torch.float32 and torch.equal(x, plain)
    assert x.is_contiguous(memory_format=torch.channels_last)
    back = forward._from_batch(x, images.dtype)
    assert back.dtype == images.dtype and back.flags.c_contiguous and back.flags.writeable
    assert np.array_equal(back, images) or (kind == "float64" and np.abs(back - images).max() < 1e-7)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_a_result_is_nobody_elses(layout):
    x = torch.rand(1, 3, 5, 4).contiguous(memory_format=layout)
    before = x.clone()
    forward._from_batch(x, np.dtype(np.float32))[:] = -1
    assert torch.equal(x, before)
