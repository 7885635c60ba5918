"""What the machine reaches: a convolution and a matrix product, nothing else.

A 3×3 convolution 64 → 64 of channels-last images [16, 64, 48, 48] ([16, 64, 192, 192] on CUDA) and a product of square
matrices, in every precision that the device has in hardware, as torch computes them by default (on CUDA convolutions in
fp32 may use TF32). `turns.measure` gives it turns among those of the variants.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable

from turns import Values, serve, timed, worker


def probe(device: str) -> Callable[[], Values]:
    """One turn: GFLOP/s of each operation and precision."""
    import torch
    from torch.nn import functional as F

    from srkd.inference.precision import DTYPES, precisions

    side, order, calls = (192, 4096, 20) if device == "cuda" else (48, 1024, 1)  # many calls hide what waiting costs
    torch.backends.cudnn.benchmark = True
    runs: dict[str, tuple[float, Callable[[], object]]] = {}
    for name in precisions(torch.device(device)):
        kind = {"device": device, "dtype": DTYPES[name]}
        x = torch.randn(16, 64, side, side, **kind).to(memory_format=torch.channels_last)
        weight = torch.randn(64, 64, 3, 3, **kind).to(memory_format=torch.channels_last)
        a, b = torch.randn(2, order, order, **kind)
        runs[f"conv_{name}"] = 2 * 16 * 64 * 64 * 9 * side**2, lambda x=x, w=weight: F.conv2d(x, w, padding=1)
        runs[f"gemm_{name}"] = 2 * order**3, lambda a=a, b=b: a @ b

    def rate(flops: float, run: Callable[[], object]) -> float:
        run()  # the turns of others have emptied the caches
        times = [timed(device, lambda: [run() for _ in range(calls)]) / calls for _ in range(5)]
        return flops / statistics.median(times) / 1e9

    @torch.inference_mode()
    def turn() -> Values:
        return {name: rate(*given) for name, given in runs.items()}

    turn()
    return turn


if __name__ == "__main__":
    given = worker()
    if given is None:
        raise SystemExit(__doc__)
    serve(probe(given["device"]))
