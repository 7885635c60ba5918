"""The distillation table at convergence: a 16×9 student of a 64×9 teacher, ×4, trained until the curves are flat.

  python scripts/reproduce/convergence.py --budget try
  OMP_NUM_THREADS=1 nice -n 19 python scripts/reproduce/convergence.py --budget cpu-night \
      --craft ../shared/data/weights/craft_x4.pth

60,000 iterations: from scratch, from the teacher's slice, and with the pictures of the teacher, of CRAFT and of both,
which are made once. 20,000: feature methods and US-Nets. 5,000: CSD. Each length has its own controls, because the rate
falls to 0 at its end. In the arms `*_acting` the term's gradient on the student is a tenth of the pixel loss's: the
weight for that comes from the log of the default's own training. Runs of one seed see the same patches in the same
order, and those without a file to start from the same first weights: they are compared in pairs.

Results go to docs/results/convergence_x4_<budget>/, after each seed (table.py), and there to curves.svg and curves.md:
how far each arm is ahead of its control on the development photographs in the course of the training. The test sets are
measured at the end only. The same command goes on where it was interrupted. Without --craft the arms that CRAFT teaches
are left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import fmean

from arms import CRAFT, CSD, PISR, WIDE, Arm, Budget
from steps import ROOT, told
from table import Table, arguments

from srkd.atomic import atomic_write_text
from srkd.evaluation.report.charts import Axis, Figure, Point, Series, chart, standalone

BASE = ROOT / "options/train/Supervised/direct_edsr16x9_x4.yml"
L1 = {"type": "Supervised"}
SLICE = "wide@0.25"
RATE = {"optim_g": {"lr": 8e-4}}  # of 64 channels, and of what is compared with these; the student's alone is 2e-3
FIRST: dict[str, Arm] = {  # trained once, with seed 0
    "wide": Arm(L1, network=WIDE, length="long", train=RATE),
    "first_stage": Arm({"type": "PISRTeacher"}, length="middle"),
}


def arms_of(craft: object = CRAFT, *, self_ensemble: bool = False) -> dict[str, Arm]:
    """The rows of the table; without CRAFT those that need no file."""
    outputs = {"type": "OutputKD", "teacher_cache": {"keep": "outputs", "self_ensemble": self_ensemble}}
    long = {
        "scratch": Arm(L1),
        "slice": Arm(L1, start=SLICE),
        "own": Arm(outputs, ("wide",)),
        "craft": Arm(outputs, (CRAFT,)),
        "both": Arm(outputs, (CRAFT, "wide")),
        "slice_own": Arm(outputs, ("wide",), start=SLICE, control="slice"),
        "slice_craft": Arm(outputs, (CRAFT,), start=SLICE, control="slice"),
    }
    weights = {
        "fakd": ("l_sa", "affinity_weight"),
        "at": ("l_feat", "feature_weight"),
        "srkd": ("l_stat", "feature_weight"),
        "pisr": ("l_vid", "information_weight"),
    }
    features = {
        **{name.lower(): Arm({"type": name}, ("wide",)) for name in ("FAKD", "AT", "SRKD")},
        "pisr": Arm(PISR, start="first_stage", control="decoder"),
    }
    middle = {
        "scratch_middle": Arm(L1),
        "decoder": Arm(L1, start="first_stage"),
        "slice_middle": Arm(L1, start=SLICE, train=RATE),
        **features,
        **{f"{name}_acting": replace(arm, acting=(name, *weights[name])) for name, arm in features.items()},
        "us_nets": Arm(
            {"type": "USNets", "least": 0.25}, start="wide", control="slice_middle", network=WIDE, train=RATE
        ),
    }
    short = {
        "scratch_short": Arm(L1),
        "slice_short": Arm(L1, start=SLICE, train=RATE),
        "csd": Arm(CSD, start="wide", control="slice_short", network=WIDE, train=RATE),
    }
    found: dict[str, Arm] = {}
    for length, arms in (("long", long), ("middle", middle), ("short", short)):
        for name, arm in arms.items():
            control = next(iter(arms)) if arm.control == "scratch" else arm.control
            if craft or CRAFT not in arm.teachers:
                found[name] = replace(arm, length=length, control=control)
    return found


# Estimates, not run, from single iterations on an idle core (student 0.02 s, teacher 0.11 s, CSD 2 s). cpu-evening:
# four hours of a core for the first seed and what comes before it. cpu-night: a night for that, some 30 hours for three
# seeds, half with --jobs 2. gpu-hours: for an H100 with --jobs 3, from iterations of 2 to 5 ms (CSD: 45).
BUDGETS = {
    "try": Budget({"long": 10, "middle": 10, "short": 10}, patch=48),
    "cpu-evening": Budget({"long": 20_000, "middle": 5_000, "short": 2_000}, val_freq=2_500),
    "cpu-night": Budget({"long": 60_000, "middle": 20_000, "short": 5_000}, val_freq=5_000),
    "gpu-hours": Budget({"long": 60_000, "middle": 20_000, "short": 5_000}, patch=192, val_freq=5_000),
}


def gains(table: Table, name: str, runs: Sequence[str]) -> dict[int, list[float]]:
    """How far an arm is ahead of its control on the development photographs: by iteration, seed by seed, dB."""
    control = table.arms[name].control
    found: dict[int, list[float]] = {}
    for run_name in runs:
        other = f"{control}_seed{run_name.rpartition('_seed')[2]}"
        if table.finished(run_name) and table.finished(other):
            base, own = _validation(table, other), _validation(table, run_name)
            for at in base.keys() & own.keys():
                found.setdefault(at, []).append(own[at] - base[at])
    return found


def _validation(table: Table, run_name: str) -> dict[int, float]:
    """PSNR on the development photographs by iteration, at the student's width."""
    width = table.width(run_name.partition("_seed")[0])
    return {line["iter"]: line["psnr"] for line in told(table.root / run_name, "val") if line["width"] == width}


def curves(table: Table, arms: Mapping[str, Sequence[str]]) -> None:
    """Write curves.svg, a chart for each length, and curves.md, its values at the lengths of all arms."""
    lengths = table.budget.iterations
    figures: list[Figure] = []
    legend: list[tuple[str, int | None]] = []
    by_arm: dict[str, dict[int, list[float]]] = {}
    for length, iterations in lengths.items():
        series: list[Series] = []
        for name in (n for n in arms if table.arms[n].length == length and table.arms[n].control != n):
            if not (gained := gains(table, name, arms[name])):
                continue
            by_arm[name] = gained
            points = [Point(at, fmean(own), min(own), max(own)) for at, own in sorted(gained.items())]
            series.append(Series(name, points, len(legend), line=True, band=True))
            legend.append((f"{name} − {table.arms[name].control}", len(legend)))
        title, up = f"Gain over the control, {iterations:,} iterations", Axis("PSNR, development photographs, dB")
        if series:
            figures.append(chart(series, Axis("iteration"), up, title=title, level=("", 0.0)))
    if figures:
        stops = [stop for stop in sorted({*lengths.values()}) if any(stop in gained for gained in by_arm.values())]
        lines = [["arm", "control", *(f"{stop:,} iterations" for stop in stops)]]
        lines.append(["---"] * len(lines[0]))
        for name, gained in by_arm.items():
            cells = [", ".join(f"{gain:+.3f}" for gain in gained.get(stop, ())) for stop in stops]
            lines.append([name, table.arms[name].control, *cells])
        note = "PSNR on the development photographs, arm − control, dB, seed by seed\n\n"
        atomic_write_text(table.out / "curves.md", note + "".join(f"| {' | '.join(line)} |\n" for line in lines))
        atomic_write_text(table.out / "curves.svg", standalone(figures, legend))


def main() -> None:
    parser = arguments(__doc__, BUDGETS, arms_of(), default="cpu-night")
    parser.add_argument("--self-ensemble", action="store_true", help="teachers' pictures: means over eight directions")
    args = parser.parse_args()
    arms = arms_of(args.craft, self_ensemble=args.self_ensemble)
    if without := [name for name in args.arms or () if name not in arms]:
        parser.error(f"--arms: CRAFT teaches {', '.join(without)}; --craft says where its weights are.")
    name = f"convergence_x4_{args.budget}{'_self_ensemble' if args.self_ensemble else ''}"
    table = Table(name, BUDGETS[args.budget], FIRST, arms, base=BASE, craft=args.craft)
    table.make(args.arms or arms, args, also=lambda runs: curves(table, runs))


if __name__ == "__main__":
    main()
