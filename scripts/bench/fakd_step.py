"""Memory and time of FAKD's affinity term: by blocks of rows, as srkd does it, against the plain formula.

  python scripts/bench/fakd_step.py
  python scripts/bench/fakd_step.py --cases 48:16:16 96:16:2 --save

The plain formula holds the affinities of both networks, [B, N, N] with N = H·W, at once and leaves the gradient to
autograd. Both compute value and gradient of the sum over three taps, for a student of 64 channels and a teacher of 256,
in fp32; the ceiling is a matrix product. Figures are for one image; memory is what the term adds at its peak.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping

import torch
from common import comparison, measured, parse, report
from torch import Tensor
from turns import Key, Values, peak_mib, serve, timed, worker

STUDENT, TEACHER, TAPS = 64, 256, 3
TINY = {"cases": ["8:2:1"]}


def plain(student: Tensor, teacher: Tensor) -> Tensor:
    from srkd.losses.affinity import spatial_affinity

    return (spatial_affinity(student) - spatial_affinity(teacher)).abs().mean()


def serve_one(variant: str, size: int, batch: int, device: str) -> None:
    """The worker: seconds and MiB of an image."""
    from srkd.losses.affinity import affinity_distance

    torch.manual_seed(0)
    distance = plain if variant == "plain" else affinity_distance

    def features(batch: int, size: int) -> list[tuple[Tensor, Tensor]]:
        shapes = (batch, STUDENT, size, size), (batch, TEACHER, size, size)
        pairs = [tuple(torch.randn(shape, device=device) for shape in shapes) for _ in range(TAPS)]
        return [(student.requires_grad_(), teacher) for student, teacher in pairs]

    def step(pairs: list[tuple[Tensor, Tensor]]) -> float:
        total = torch.stack([distance(student, teacher) for student, teacher in pairs]).sum()
        total.backward()
        for student, _ in pairs:
            student.grad = None
        return total.item()

    step(features(1, 8))
    pairs = features(batch, size)
    before = peak_mib(device, reset=True)
    step(pairs)

    def turn() -> Values:
        seconds = timed(device, lambda: step(pairs))
        return {"seconds": seconds / batch, "mib": (peak_mib(device) - before) / batch}

    serve(turn)


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--cases",
        nargs="+",
        default=["48:16:16", "96:16:2"],
        metavar="SIZE:BATCH:PLAIN",
        help="side of the features, images, and images of the plain formula (default: %(default)s)",
    )
    parser.set_defaults(rounds=3)


def main() -> None:
    if given := worker():
        return serve_one(**given)
    args = parse(__doc__, TINY, options)
    rows: list[Values] = []
    for size, batch, plain_batch in (map(int, case.split(":")) for case in args.cases):
        variants = {"plain": {"size": size, "batch": plain_batch}, "srkd": {"size": size, "batch": batch}}
        told = {
            "what": f"FAKD's affinity term and gradient, {TAPS} taps of {size} × {size}, per image of {batch}",
            "peer_name": f"the formula written down, per image of {plain_batch}",
            # for each channel: an affinity, and two such products for the student's gradient
            "flops": TAPS * 2 * size**4 * (3 * STUDENT + TEACHER),
        }

        def rows_of(medians: Mapping[Key, Values], ceiling: Values, told: Values = told) -> list[Values]:
            mib = {"peer_mib": medians["plain", "stock"]["mib"], "mib": medians["srkd", "default"]["mib"]}
            return [comparison(medians, peer="plain", ceiling=ceiling["gemm_fp32"], headline=True, **told, **mib)]

        rows, ceiling = measured(__file__, args, variants, rows_of, before=rows)
    report(__file__, args, rows, ceiling)


if __name__ == "__main__":
    main()
