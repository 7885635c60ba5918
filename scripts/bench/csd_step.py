"""Time and memory of one CSD step: srkd's against a straight evaluation of the paper's formula.

  python scripts/bench/csd_step.py
  python scripts/bench/csd_step.py --batch 16 --negatives 10 --rounds 1 --save

EDSR-baseline ×4 (64 channels, 16 blocks) and its quarter, patches of 48 × 48, the authors' negatives and ratio
(`faithful: true`), VGG-19 with random weights, in fp32. One step is forward, backward and Adam.

`plain` writes the formula down: NCHW, fp32, VGG on the student, on the teacher (detached afterwards) and on the K
negatives, the distances to all negatives in one difference [K, B, C, H, W], left to autograd. `srkd` is the method as
it ships, under training's settings: its networks in `--precision`, VGG in exact fp32. Both are exact; on a GPU that
has TF32 there is a second row: the formula as PyTorch comes, and `perceptual.tf32`. Before they are timed, loss and
gradient on given images are compared.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from contextlib import ExitStack

import numpy as np
import torch
from common import comparison, measured, parse, report, rounds_to_tf32
from photographs import photographs
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode
from turns import Key, Values, peak_mib, serve, timed, worker

from srkd import tf32
from srkd.imaging.resize import imresize
from srkd.losses.contrastive import contrastive_loss, first_negatives
from srkd.losses.perceptual import VGG19
from srkd.losses.pixel import L1Loss
from srkd.methods.csd import CSD, VGGSpace
from srkd.networks.edsr import EDSR
from srkd.types import Batch

SCALE, PATCH, WIDTH = 4, 48, 0.25
LAYER_WEIGHTS = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1.0)
TINY = {"batch": 2, "negatives": 2, "features": 8, "blocks": 1}


def crops(batch: int) -> Batch:
    """Crops of a photograph that ships with scikit-image, and their MATLAB-bicubic reductions."""
    rng, size, picture = np.random.default_rng(0), SCALE * PATCH, photographs(None)["astronaut"]
    corners = rng.integers(0, 512 - size, (batch, 2))
    large = [picture[top : top + size, left : left + size] for top, left in corners]
    small = [imresize(crop, scale=1 / SCALE) for crop in large]
    gt, lq = (torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 255 for images in (large, small))
    return Batch(lq, gt)


def plain_contrast(vgg: VGG19, sr: Tensor, positive: Tensor, negatives: Tensor) -> Tensor:
    """The formula as it reads: Σ_j λ_j · mean|φ(T) − φ(S)| / Σ_k mean|φ(N_k) − φ(S)|."""
    student, teacher, others = vgg(sr), [feature.detach() for feature in vgg(positive)], vgg(negatives)
    total = sr.new_zeros(())
    for layer, weight in enumerate(LAYER_WEIGHTS):
        near = F.l1_loss(teacher[layer], student[layer])
        far = (others[layer].unsqueeze(1) - student[layer]).abs().sum(0).mean()
        total = total + weight * near / (far + 1e-7)
    return total


class Plain(nn.Module):
    """One step's loss, written down."""

    def __init__(self, network: EDSR, vgg: VGG19, negatives: int) -> None:
        super().__init__()
        self.network, self.vgg, self.negatives = network, vgg, negatives

    def forward(self, batch: Batch) -> Tensor:
        full, split = self.network(batch.lq), self.network(batch.lq, WIDTH)
        upsampled = F.interpolate(batch.lq[: self.negatives], scale_factor=SCALE, mode="bicubic", align_corners=False)
        contrast = plain_contrast(self.vgg, split, full, upsampled)
        return F.l1_loss(full, batch.gt) + F.l1_loss(split, batch.gt) + 200 / 255 * contrast


class Shipped(nn.Module):
    """The same loss by srkd's method."""

    def __init__(self, network: EDSR, negatives: int, precision: str, *, rounds: bool) -> None:
        super().__init__()
        space, widths = VGGSpace(weights="random", tf32=rounds), (WIDTH,)
        self.precision = precision
        self.method = CSD(
            network, None, L1Loss(), widths=widths, num_negatives=negatives, perceptual=space, faithful=True
        )

    def forward(self, batch: Batch) -> Tensor:
        with torch.autocast(batch.lq.device.type, torch.bfloat16, enabled=self.precision == "bf16"):
            return self.method.total(self.method(batch), 0.0)


def build(how: str, *, features: int, blocks: int, negatives: int, precision: str) -> nn.Module:
    torch.manual_seed(0)
    network = EDSR(num_feat=features, num_block=blocks, upscale=SCALE, img_range=1.0)
    if how.startswith("plain"):
        return Plain(network, VGG19(weights="random"), negatives)
    return Shipped(network, negatives, precision, rounds=how.endswith("tf32")).to(memory_format=torch.channels_last)


def serve_one(variant: str, batch: int, device: str, **sizes: int | str) -> None:
    """The worker: seconds of a step, what the steps add to the memory in use, the loss."""
    stack = ExitStack()  # until the process ends
    torch.backends.cudnn.benchmark = True
    stack.enter_context(tf32.convolutions(tf32=variant == "plain tf32"))  # as the engine does, but for a bf16 training
    layout = torch.contiguous_format if variant.startswith("plain") else torch.channels_last
    model = build(variant, **sizes).to(device)
    images = Batch(*(image.to(device).contiguous(memory_format=layout) for image in crops(batch)))
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=1e-4)
    losses: list[Tensor] = []

    def step() -> None:
        loss = model(images)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        losses.append(loss.detach())

    before = peak_mib(device, reset=True)
    step()

    def turn() -> Values:
        seconds = timed(device, step)
        return {"seconds": seconds, "mib": peak_mib(device) - before, "loss": float(losses[-1])}

    serve(turn)


def step_flops(batch: int, **sizes: int | str) -> int:
    """FLOPs of the plain step, counted on tensors without values."""
    with FakeTensorMode(), FlopCounterMode(display=False) as counter:
        lq, gt = (torch.zeros(batch, 3, side, side) for side in (PATCH, SCALE * PATCH))
        build("plain", **sizes)(Batch(lq, gt)).backward()
    return counter.get_total_flops()


def agreement(batch: int, negatives: int) -> Values:
    """Relative difference of the contrastive term, and cosine of its gradients on the student's images."""
    torch.manual_seed(0)
    vgg, images, last = VGG19(weights="random"), crops(batch), torch.channels_last
    upsampled = F.interpolate(images.lq, scale_factor=SCALE, mode="bicubic", align_corners=False)
    positive = (images.gt + upsampled) / 2

    def term(how: str, sr: Tensor) -> Tensor:
        if how == "plain":
            return plain_contrast(vgg, sr, positive, upsampled[:negatives])
        near, far = (vgg(x.contiguous(memory_format=last)) for x in (positive, upsampled[:negatives]))
        index, student = first_negatives(batch, negatives), vgg(sr.contiguous(memory_format=last))
        return contrastive_loss(student, near, negatives=far, index_BK=index, weights=LAYER_WEIGHTS, per_image=False)

    values, gradients = [], []
    for how in ("plain", "srkd"):
        sr = (0.7 * upsampled + 0.3 * images.gt.flip(1)).requires_grad_()
        value = term(how, sr)
        values.append(value.item())
        gradients.append(torch.autograd.grad(value, sr)[0].flatten().double())
    cosine = F.cosine_similarity(gradients[0], gradients[1], dim=0).item()
    return {"loss_difference": abs(values[1] / values[0] - 1), "gradient_cosine": cosine}


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--negatives", type=int, default=8)
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="bf16", help="of the networks; VGG is fp32")
    parser.set_defaults(rounds=3, features=64, blocks=16)


def main() -> None:
    if given := worker():
        return serve_one(**given)
    args = parse(__doc__, TINY, options)
    agrees = agreement(min(args.batch, 4), min(args.negatives, 4))
    sizes = {name: getattr(args, name) for name in ("features", "blocks", "negatives", "precision")}
    kinds = {"": "fp32"} | ({" tf32": "tf32"} if rounds_to_tf32(args.device) else {})
    own = [f"srkd{kind}" for kind in kinds]
    variants = {how: {"batch": args.batch, **sizes} for how in [*own, *(f"plain{kind}" for kind in kinds)]}
    flops = step_flops(args.batch, **sizes)

    def rows_of(medians: Mapping[Key, Values], ceiling: Values) -> list[Values]:
        networks = f"{args.batch}, {args.negatives} negatives, {args.precision} networks"
        return [
            comparison(
                medians,
                what=f"CSD step, batch {networks}, {'exact fp32' if told == 'fp32' else told} VGG",
                peer=f"plain{kind}",
                peer_name=f"the formula written down, {told}",
                own=f"srkd{kind}",
                flops=flops,
                ceiling=ceiling[f"conv_{told}"],
                headline=True,
                peer_mib=medians[f"plain{kind}", "stock"]["mib"],
                mib=medians[f"srkd{kind}", "default"]["mib"],
                **agrees,
            )
            for kind, told in kinds.items()
        ]

    rows, ceiling = measured(__file__, args, variants, rows_of, own=own)
    report(__file__, args, rows, ceiling)


if __name__ == "__main__":
    main()
