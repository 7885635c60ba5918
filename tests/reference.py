"""Plain ways of doing things, for tests to compare with."""

import numpy as np
import torch


@torch.inference_mode()
def super_resolve(network, image, *, width=1.0):
    """An RGB image through a network on the CPU, written out."""
    peak = np.iinfo(image.dtype).max
    x = torch.from_numpy(image.astype(np.float32) / peak).permute(2, 0, 1)[None]
    sr = network(x, width)[0].permute(1, 2, 0).numpy()
    return np.rint(np.clip(sr, 0, 1) * np.float32(peak)).astype(image.dtype)
