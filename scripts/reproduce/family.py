"""The family's table: every method and its control, one student, one schedule, several seeds (×4).

  python scripts/reproduce/family.py --budget try
  OMP_NUM_THREADS=1 nice -n 19 python scripts/reproduce/family.py --budget cpu-evening \
      --craft ../shared/data/weights/craft_x4.pth

Feature methods learn from an EDSR 48×8 that is trained first, output methods from CRAFT through its cached pictures
(without --craft: from the EDSR). Weights are defaults, not tuned; in the arms `*_acting` the term's gradient on the
student is a tenth of the pixel loss's: the weight for that comes from the log of the default's own training.

Results go to docs/results/family_x4_<budget>/, after each seed (table.py). The same command goes on where it was
interrupted. Arms above 0.3 s of CPU an iteration have one seed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from arms import CRAFT, CSD, PISR, WIDE, Arm, Budget
from steps import ROOT
from table import Table, arguments

BASE = ROOT / "options/train/base/bsds_x4.yml"
EDSR = {"type": "EDSR", "num_feat": 48, "num_block": 8, "upscale": 4, "img_range": 1.0, "upsampler": "direct"}
CACHE = {"keep": "outputs"}
KEPT = {"teacher_cache": {"keep": "features"}}
UPRIGHT = {"use_hflip": False, "use_rot": False}  # CRAFT's features of one orientation are kept, not of eight
WIDTHS = [1.0, 0.5, 0.25]
SLOW = 0.3  # seconds of CPU an iteration

FIRST: dict[str, Arm] = {  # trained once, with seed 0
    "edsr": Arm({"type": "Supervised"}, network=EDSR, length="first"),
    "wide": Arm({"type": "Supervised"}, network=WIDE, length="first"),
    "first_stage": Arm({"type": "PISRTeacher"}, length="first"),
}
FEATURES = ("FitNet", "AT", "NST", "FSP", "PKT", "RKD", "IRG", "SP", "VID", "CRD", "LSFD", "SRKD", "FAKD", "CrossKD")
ARMS: dict[str, Arm] = {
    "scratch": Arm({"type": "Supervised"}),
    "fourier": Arm({"type": "Supervised"}, train={"pixel_opt": {"type": "FrequencyLoss"}}),
    "haar": Arm({"type": "Supervised"}, train={"pixel_opt": {"type": "FrequencyLoss", "transform": "haar"}}),
    "mean_teacher": Arm({"type": "EMATeacher"}),
    "mutual": Arm({"type": "MutualLearning"}),
    "byot": Arm({"type": "BYOT"}),
    "slimmable": Arm({"type": "Supervised", "widths": WIDTHS}),
    "us_nets": Arm({"type": "USNets", "least": 0.25}, control="slimmable"),
    "output_kd": Arm({"type": "OutputKD", "teacher_cache": CACHE}, (CRAFT,)),
    "masked_kd": Arm({"type": "MaskedKD", "teacher_cache": CACHE}, (CRAFT,)),
    "adaptive_kd": Arm({"type": "AdaptiveKD", "teacher_cache": CACHE}, (CRAFT, "edsr")),
    "output_kd_edsr": Arm({"type": "OutputKD", "teacher_cache": CACHE}, ("edsr",)),
    **{name.lower(): Arm({"type": name}, ("edsr",)) for name in FEATURES},
    "srkd_acting": Arm({"type": "SRKD"}, ("edsr",), acting=("srkd", "l_stat", "feature_weight")),
    **{
        f"{name.lower()}_acting": Arm({"type": name}, ("edsr",), acting=(name.lower(), "l_feat", "feature_weight"))
        for name in ("AT", "FSP", "RKD", "IRG", "CRD")  # with the default weight next to nothing, or nearly all
    },
    **{f"{name.lower()}_kept": Arm({"type": name, **KEPT}, ("edsr",), control=name.lower()) for name in ("SRKD", "AT")},
    "decoder": Arm({"type": "Supervised"}, start="first_stage"),
    "pisr": Arm(PISR, start="first_stage", control="decoder"),
    "pisr_acting": Arm(PISR, start="first_stage", control="decoder", acting=("pisr", "l_vid", "information_weight")),
    "slice": Arm({"type": "Supervised", "widths": [0.25]}, start="wide", network=WIDE),
    "csd": Arm(CSD, start="wide", control="slice", network=WIDE),
    "fakd_widths": Arm({"type": "FAKD", "widths": WIDTHS}, ("edsr",), control="slimmable"),
    "dukd": Arm({"type": "DUKD"}, ("edsr",), control="output_kd_edsr"),
}
EXTRA: dict[str, Arm] = {  # only where --arms names them
    "slimmable_upright": Arm({"type": "Supervised", "widths": WIDTHS}, control="slimmable", data=UPRIGHT),
    "fakd_widths_craft": Arm(
        {"type": "FAKD", "widths": WIDTHS, "teacher_taps": ["layers.0", "layers.1", "layers.3"], **KEPT},
        (CRAFT,),
        control="slimmable_upright",
        data=UPRIGHT,
    ),
}
BUDGETS = {
    "try": Budget({"first": 10, "arms": 10}, patch=48),
    "cpu-minutes": Budget({"first": 1_000, "arms": 300}),
    "cpu-tiny": Budget({"first": 2_000, "arms": 1_000}),
    "cpu-evening": Budget({"first": 4_000, "arms": 2_000}),
    "cpu-night": Budget({"first": 6_000, "arms": 5_000}),
    "gpu-hour": Budget({"first": 10_000, "arms": 5_000}, patch=192),  # estimated for an H100 with --jobs 3; not run
}


def arms_of(craft: object) -> Mapping[str, Arm]:
    """All arms; without CRAFT the EDSR teaches in its place."""
    every = {**ARMS, **EXTRA}
    if craft:
        return every
    instead = {CRAFT: "edsr"}
    return {
        name: replace(arm, teachers=tuple(dict.fromkeys(instead.get(each, each) for each in arm.teachers)))
        for name, arm in every.items()
    }


def main() -> None:
    args = arguments(__doc__, BUDGETS, {**ARMS, **EXTRA}, default="cpu-tiny").parse_args()
    arms, name = arms_of(args.craft), f"family_x4_{args.budget}"
    table = Table(name, BUDGETS[args.budget], FIRST, arms, base=BASE, craft=args.craft)
    table.make(args.arms or ARMS, args, slow=SLOW)


if __name__ == "__main__":
    main()
