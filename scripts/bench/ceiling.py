"""What the machine reaches: a convolution and a matrix product, nothing else.

A 3×3 convolution 64 → 64 of channels-last images [16, 64, 48, 48] ([16, 64, 192, 192] on CUDA) and a product of square
matrices, in every precision that the device has in hardware; fp32 is exact, and on a GPU that has it there is `tf32`
beside it. `turns.measure` gives it turns among those of the variants.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable

from turns import Values, serve, timed, worker


def probe(device: str) -> Callable[[], Values]:
    """One turn: GFLOP/s of each operation and precision."""
    import torch
    from common import rounds_to_tf32
    from torch.nn import functional as F

    from srkd import tf32
    from srkd.inference.precision import DTYPES, precisions

    side, order, calls = (192, 4096, 20) if device == "cuda" else (48, 1024, 1)  # many calls hide what waiting costs
    torch.backends.cudnn.benchmark = True
    runs: dict[str, tuple[float, Callable[[], object]]] = {}
    for name in [*precisions(torch.device(device)), *(["tf32"] if rounds_to_tf32(device) else [])]:
        kind = {"device": device, "dtype": DTYPES.get(name, torch.float32)}
        x = torch.randn(16, 64, side, side, **kind).to(memory_format=torch.channels_last)
        weight = torch.randn(64, 64, 3, 3, **kind).to(memory_format=torch.channels_last)
        a, b = torch.randn(2, order, order, **kind)
        runs[f"conv_{name}"] = 2 * 16 * 64 * 64 * 9 * side**2, lambda x=x, w=weight: F.conv2d(x, w, padding=1)
        if name != "tf32":
            runs[f"gemm_{name}"] = 2 * order**3, lambda a=a, b=b: a @ b

    def rate(flops: float, run: Callable[[], object]) -> float:
        run()  # the turns of others have emptied the caches
        times = [timed(device, lambda: [run() for _ in range(calls)]) / calls for _ in range(5)]
        return flops / statistics.median(times) / 1e9

    @torch.inference_mode()
    def turn() -> Values:
        rates: Values = {}
        for name, given in runs.items():
            with tf32.convolutions(tf32=name.endswith("tf32")):
                rates[name] = rate(*given)
        return rates

    turn()
    return turn


if __name__ == "__main__":
    given = worker()
    if given is None:
        raise SystemExit(__doc__)
    serve(probe(given["device"]))
