"""Every number of docs/results.md, and the table of results in the README, from the files below docs/results/.

  python scripts/make_table.py            rewrites what stands between the markers
  python scripts/make_table.py --check    exit status 1 if that would change anything

A marker is `<!-- KIND FOLDER -->`, and `<!-- end -->` after what was generated. Kinds: `distillation`, `differences`
and `chances` (what scripts/reproduce/distillation.py wrote), `schedule` (the same), `arms` (family.py and
convergence.py there), `network` (switchable.py there), `steps`, `jpeg`, `int8`, `family` and `parts` (all networks,
short), `precision` (two arms of one file), `seen` (photographs.json there), `ordering`, `plain`, `published`, `public`
and `frontier`.
docs/images/methods.svg and frontier_x4.svg are written too.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import frontier as frontier_x4
import numpy as np

from srkd.atomic import atomic_write_text
from srkd.evaluation.arms import Arm, read_arms
from srkd.evaluation.compare import Comparison, compare
from srkd.evaluation.report.charts import Interval, intervals, standalone
from srkd.evaluation.result import BICUBIC, Result, read_result
from srkd.evaluation.statistics import Estimate, power, seeds_needed
from srkd.evaluation.words import EFFECT, seed_by_seed, sentence

ROOT = Path(__file__).parents[1]
PAGES, RESULTS = (ROOT / "docs/results.md", ROOT / "README.md", ROOT / "docs/deploy.md"), ROOT / "docs/results"
BLOCK = re.compile(r"(<!-- (\w+)(?: (\S+))? -->\n).*?(<!-- end -->)", re.DOTALL)
NAMES = {
    "scratch": "scratch (control)",
    "slice": "slice of the teacher, L1 (control)",
    "output_kd_craft": "output distillation from CRAFT",
    "output_kd": "output distillation",
    "srkd": "SRKD",
    "fakd": "FAKD",
    "decoder": "PISR's decoder, L1 (control)",
    "pisr": "PISR",
    "slimmable": "slimmable (control)",
    "csd": "CSD",
    "supervised": "teacher",
    "craft": "teacher CRAFT",
}
CONTROLS = {NAMES["csd"]: NAMES["slice"], NAMES["pisr"]: NAMES["decoder"]}  # they start where these start

METRICS = (("psnr", 3), ("ssim", 4))
DEVELOPMENT = ROOT / "options/train/base/bsds_development_30.txt"
SEEN = {True: "it was trained on", False: "it was not"}


def label(arm: str) -> str:
    """What an arm is called, from the name of its option file."""
    return next(name for prefix, name in NAMES.items() if arm.startswith(f"{prefix}_"))


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Markdown; the first column is text, the others are numbers."""
    lines = ["| " + " | ".join(header) + " |", "|---|" + "---:|" * (len(header) - 1)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def spread(values: Sequence[float], digits: int) -> str:
    """Mean, and the standard deviation where there are several."""
    deviation = f" ± {np.std(values, ddof=1):.{digits}f}" if len(values) > 1 else ""
    return f"{np.mean(values):.{digits}f}{deviation}"


def means(file: Result, models: Sequence[str], width: float, set_: str, metric: str) -> list[float]:
    """A set's mean for each of the models (runs of one arm) at a width."""
    found = {(row.model.removesuffix("+"), row.width): row.metrics[metric] for row in file.summary if row.set == set_}
    return [found[model, width] for model in models]


def widths_of(file: Result, model: str) -> list[float]:
    """The widths that a model was measured at, widest first."""
    return sorted({row.width for row in file.summary if row.model.removesuffix("+") == model}, reverse=True)


def distillation(folder: Path) -> str:
    """The table of arms: each a mean over its seeds."""
    record = json.loads((folder / "runs.json").read_text(encoding="utf-8"))
    plain, ensemble = (read_result(folder / f"{name}.json") for name in ("benchmark", "self_ensemble"))
    sets = list(dict.fromkeys(row.set for row in plain.summary))
    known = {model for models in record["arms"].values() for model in models}
    teachers = [row.model for row in plain.summary if row.set == sets[0] and row.model not in known]  # and bicubic
    arms = {**{name: [name] for name in teachers}, **record["arms"]}
    ensemble_sets = {row.set for row in ensemble.summary}
    columns = [
        (set_, file, metric, digits)
        for set_ in sets
        for file, metric, digits in (
            (plain, "psnr", 3),
            (plain, "ssim", 4),
            *([(ensemble, "psnr", 3)] if set_ in ensemble_sets else []),
        )
    ]
    header = ["arm", "parameters"]
    header += [f"{set_} {metric.upper()}{'+' if file is ensemble else ''}" for set_, file, metric, _ in columns]
    rows: list[list[str]] = []
    for arm, models in arms.items():
        for width in widths_of(plain, models[0]):
            several = len(widths_of(plain, models[0])) > 1
            name = arm if arm == "bicubic" else label(arm) + (f", width {width:g}" if several else "")
            parameters = next(row.params for row in plain.summary if (row.model, row.width) == (models[0], width))
            cells = [name, f"{parameters / 1e3:.1f} K" if parameters else "–"]
            cells += [
                "–"
                if arm == "bicubic" and file is ensemble
                else spread(means(file, models, width, set_, metric), digits)
                for set_, file, metric, digits in columns
            ]
            rows.append([*cells, training_time(record, models)])
    return table([*header, "training"], rows)


def training_time(record: dict[str, Any], models: Sequence[str]) -> str:
    """Minutes of one training, the mean over the runs; what it started from is not in it."""
    runs = [record["trainings"][model] for model in models if model in record["trainings"]]
    return f"{np.mean([run['iterations'] * run['seconds'] for run in runs]) / 60:.1f} min" if runs else "–"


def against_controls(folder: Path) -> list[Comparison]:
    """Every arm against its control, at equal channels, on the set with the most images."""
    record = json.loads((folder / "runs.json").read_text(encoding="utf-8"))
    file = folder / "benchmark.json"
    arms: dict[str, Arm] = {}
    for arm, models in record["arms"].items():
        narrowest = f"{widths_of(read_result(file), models[0])[-1]:g}"
        (found,) = read_arms([f"{label(arm)}={','.join(f'{file}:{model}@{narrowest}' for model in models)}"])
        arms[found.name] = found
    first = next(iter(arms))
    pairs = [(CONTROLS.get(name, NAMES["scratch"]), name) for name in arms if name != first]
    largest = Counter(row.set for row in read_result(file).rows).most_common(1)[0][0]
    return compare([(arms[control], arms[arm]) for control, arm in pairs], "psnr", sets=[largest])


def differences(folder: Path) -> str:
    """`against_controls` as a table."""
    items = against_controls(folder)
    header = [
        "",
        f"{items[0].set} PSNR",
        "compared with",
        "difference",
        "95 % interval",
        "seed by seed",
        "p",
        "verdict",
    ]
    return table(header, [comparison(item) for item in items])


def chances(folder: Path) -> str:
    """How likely a difference of 0.05 dB was to be shown by each of `against_controls`."""
    rows: list[list[str]] = []
    for item in against_controls(folder):
        if item.spread is None:
            continue
        needed = seeds_needed(item.spread, EFFECT)
        name, control = (arm.partition("@")[0] for arm in (item.arm, item.baseline))
        rows.append(
            [name, control, f"{power(item.spread, EFFECT):.0%}", "above 100" if needed is None else str(needed)]
        )
    return table(["", "compared with", f"a true {EFFECT} dB is shown in", "seeds for 80 %"], rows)


def comparison(item: Comparison) -> list[str]:
    """A row of `differences`; the verdict is after Holm's correction, the 95 % interval is of each alone."""
    assert item.means and item.difference
    one_each = item.seeds is None or len(item.seeds.arm) == len(item.seeds.baseline) == 1
    verdict = f"{item.verdict}, over images" if one_each else item.verdict
    mean, difference = f"{item.means[1]:.3f}", f"{item.difference.mean:+.3f}"
    name, control = (arm.partition("@")[0] for arm in (item.arm, item.baseline))  # the table says it is a quarter
    return [
        name,
        mean,
        control,
        difference,
        interval(item.difference),
        seed_by_seed(item) or "–",
        f"{item.p:.2g}",
        verdict,
    ]


def interval(estimate: Estimate | None) -> str:
    """`-0.012 … +0.034`, or a dash where one value has none."""
    return "–" if estimate is None or estimate.low is None else f"{estimate.low:+.3f} … {estimate.high:+.3f}"


def schedule(folder: Path) -> str:
    """What the trainings were."""
    record = json.loads((folder / "runs.json").read_text(encoding="utf-8"))
    budget, where = record["budget"], record["environment"]
    runs = len(next(iter(record["arms"].values())))
    seeds = f"{runs} seed{'s' if runs > 1 else ''}"
    scale = read_result(folder / "benchmark.json").protocol["scale"]
    patch = budget["patch"][str(scale)]
    return (
        f"Budget `{budget['name']}`: {budget['arms']:,} iterations an arm, {budget['teacher']:,} for the teacher; "
        f"HR patches of {patch} × {patch}, batch 16, {seeds}. {where['hardware']}, torch {where['torch']}. "
        f"Made by `{record['command']}`."
    )


def arms(folder: Path) -> str:
    """What scripts/reproduce/table.py wrote, and what the trainings were."""
    record = json.loads((folder / "runs.json").read_text(encoding="utf-8"))
    budget, where = record["budget"], record["environment"]
    lengths = ", ".join(f"{name} {number:,}" for name, number in budget["iterations"].items())
    text = (
        f"Iterations: {lengths}; HR patches of {budget['patch']} × {budget['patch']}, batch 16. {where['hardware']}, "
        f"torch {where['torch']}. Made by `{record['command']}`."
    )
    blocks = [(folder / "table.md").read_text(encoding="utf-8").strip(), text]
    if (curves := folder / "curves.md").exists():
        picture = f"![Gain over the control in the course of the training](results/{folder.name}/curves.svg)"
        blocks += [picture, curves.read_text(encoding="utf-8").strip()]
    return "\n\n".join(blocks)


def network(folder: Path) -> str:
    """A network that the package ships, at its widths."""
    plain, ensemble = (read_result(folder / f"{name}.json") for name in ("benchmark", "self_ensemble"))
    sets = list(dict.fromkeys(row.set for row in plain.summary))
    rows = []
    for row in (row for row in plain.summary if row.set == sets[0]):
        cells = [row.model if row.model == "bicubic" else f"width {row.width:g}"]
        cells.append(f"{row.params / 1e3:.1f} K" if row.params else "–")
        cells.append(f"{row.multi_adds / 1e9:.2f} G" if row.multi_adds else "–")
        for set_ in sets:
            cells += [f"{means(plain, [row.model], row.width, set_, m)[0]:.{digits}f}" for m, digits in METRICS]
        known = any(other.model == f"{row.model}+" for other in ensemble.summary)
        cells.append(f"{means(ensemble, [row.model], row.width, sets[0], 'psnr')[0]:.3f}" if known else "–")
        rows.append(cells)
    header = ["", "parameters", "multi-adds", *(f"{set_} {what}" for set_ in sets for what in ("PSNR", "SSIM"))]
    return table([*header, f"{sets[0]} PSNR+"], rows)


def steps(folder: Path) -> str:
    """What each step of a network's training took, and PSNR after it."""
    content = json.loads((RESULTS / "switchable_steps.json").read_text(encoding="utf-8"))[folder.name]
    widths = sorted({width for step in content["steps"] for width in step["psnr"]}, key=float, reverse=True)
    rows = [
        [
            step["step"].removeprefix("switchable_"),
            f"{step['iterations']:,}",
            f"{step['iterations'] * step['seconds'] / 60:.0f} min" if "seconds" in step else "–",
            *(f"{step['psnr'][width]:.2f}" if width in step["psnr"] else "–" for width in widths),
        ]
        for step in content["steps"]
    ]
    where, (set_,) = content["environment"], {step["set"] for step in content["steps"] if "set" in step}
    images = {"development_30": "the 30 photographs to choose by"}.get(set_, set_)
    header = ["step", "iterations", "time", *(f"width {width}, dB" for width in widths)]
    return f"{table(header, rows)}\n\n{where['hardware']}, torch {where['torch']}; PSNR of {images}, during training."


def jpeg(folder: Path) -> str:
    """Networks on clean images and on JPEGs, beside bicubic; how many images each makes worse than bicubic."""
    kinds = {"clean": "benchmark", **{f"JPEG {quality}": f"jpeg_{quality}" for quality in (90, 75, 60)}}
    rows: list[list[str]] = []
    for kind, name in kinds.items():
        files = [read_result(folder / f"{name}.json")]
        if kind == "clean":
            files.append(read_result(RESULTS / "switchable_x2/benchmark.json"))
        for file in files:
            sets = list(dict.fromkeys(row.set for row in file.summary))
            for model, width in dict.fromkeys((row.model, row.width) for row in file.summary):
                if width not in (1, 0.25) or (model == BICUBIC and rows and rows[-1][0] == kind):
                    continue
                cells = [kind, model if model == BICUBIC else f"{model}, width {width:g}"]
                for set_ in sets:
                    cells += [f"{means(file, [model], width, set_, 'psnr')[0]:.3f}", worse(file, model, width, set_)]
                rows.append(cells)
    header = ["LR images", ""]
    header += [cell for set_ in sets for cell in (f"{set_} PSNR", "worse than bicubic")]
    return table(header, rows)


def int8(folder: Path) -> str:
    """Exported files of the networks, in fp32 and in integers: sizes, PSNR, what is lost."""
    rows: list[list[str]] = []
    for path in sorted(folder.glob("*.forms.json")):
        model = path.name.removesuffix(".forms.json")
        forms, file = json.loads(path.read_text(encoding="utf-8")), read_result(folder / f"{model}.json")
        sizes = {each["name"]: each["file_bytes"] for each in file.models if "file_bytes" in each}
        sets = list(dict.fromkeys(row.set for row in file.summary))
        for name, form in forms.items():
            width, kind = name.removeprefix("w").split("_", 1)
            share = found[0] if (found := re.match(r"[\d.]+%", form.replace(" %", "%"))) else "–"
            cells = [f"{model}, width {width}", {"int8": "8 bits", "int8_16": "16 bits"}.get(kind, kind), share]
            cells.append(f"{sizes[name] / 1000:,.0f}")
            for set_ in sets:
                own, before = (means(file, [each], 1, set_, "psnr")[0] for each in (name, f"w{width}_fp32"))
                cells += [f"{own:.3f}", "–" if kind == "fp32" else f"{before - own:.3f}"]
            rows.append(cells)
    header = ["network", "activations", "multi-adds in int8", "KB"]
    return table([*header, *(cell for set_ in sets for cell in (f"{set_}, dB", "loss"))], rows)


def worse(file: Result, model: str, width: float, set_: str) -> str:
    """How many images of a set a network makes worse than bicubic, of how many."""
    values = {(row.model, row.width, row.image): row.metrics["psnr"] for row in file.rows if row.set == set_}
    own = {image: value for (name, at, image), value in values.items() if (name, at) == (model, width)}
    bad = sum(value < values[BICUBIC, 1.0, image] for image, value in own.items())
    return "–" if model == BICUBIC else f"{bad} of {len(own)}"


def family(_: Path) -> str:
    """The networks for clean images at every width: time and PSNR."""
    files = {scale: read_result(RESULTS / f"switchable_x{scale}/benchmark.json") for scale in (2, 3, 4)}
    sets = list(dict.fromkeys(row.set for row in files[2].summary))
    header = [""]
    header += [f"{what} ×{scale}" for scale in files for what in ("ms", *sets)]
    rows = []
    for row in (row for row in files[2].summary if row.set == sets[0]):
        cells = [row.model if row.model == "bicubic" else f"width {row.width:g}"]
        for scale, file in files.items():
            name = row.model.replace("x2", f"x{scale}")
            own = next(r for r in file.summary if (r.model, r.width, r.set) == (name, row.width, sets[0]))
            cells.append(f"{own.seconds * 1000:.0f}")
            cells += [f"{means(file, [name], row.width, set_, 'psnr')[0]:.2f}" for set_ in sets]
        rows.append(cells)
    return f"{table(header, rows)}\n\n{machine(files[2], sets[0])}"


def machine(file: Result, test_set: str) -> str:
    """What times in a table are."""
    where = file.environment
    threads = f"{where['threads']} thread{'s' if where['threads'] != 1 else ''}"
    return f"PSNR in dB; ms: an image of {test_set}, {where['hardware']}, {threads}."


def parts(folder: Path) -> str:
    """What the parts of the picture cost, under it."""
    file = read_result(folder / "benchmark.json")
    test_set = file.summary[0].set
    rows = {row.width if row.params else 0.0: row for row in file.summary if row.set == test_set}
    header = ["low resolution", "bicubic", "quarter of the channels", "full width", "original"]
    costs = [f"{rows[at].params * 4 / 1000:,.0f} KB, {rows[at].seconds * 1000:.0f} ms" for at in (0.0, 0.25, 1.0)]
    quality = [f"{rows[at].metrics['psnr']:.2f} dB" for at in (0.0, 0.25, 1.0)]
    lines = [["", *costs, ""], ["", *quality, ""]]
    text = ["| " + " | ".join(header) + " |", "|:---:|:---:|:---:|:---:|:---:|"]
    text += ["| " + " | ".join(line) + " |" for line in lines]
    return "\n".join(text) + f"\n\nWeights in fp32. {machine(file, test_set)}"


def methods_chart() -> str:
    """The picture of `against_controls`: a dot and an interval for each method."""
    rows = [
        Interval(item.arm.partition("@")[0].partition(" (")[0], item, number, item.arm)
        for number, item in enumerate(against_controls(RESULTS / "distillation_x4_cpu-evening"))
        if item.difference
    ]
    title = "Against the control: 95 % interval, seeds"
    return standalone([intervals(rows, "difference in PSNR on Urban100, dB", title=title, zero="control")])


def precision(folder: Path) -> str:
    """The same trainings in bf16 and in fp32."""
    file = folder / "benchmark.json"
    fp32, bf16 = (read_arms([f"{name}={file}:precision_{name}_*"])[0] for name in ("fp32", "bf16"))
    return "\n".join(f"- {sentence(item)}" for item in compare([(fp32, bf16)], "psnr"))


def published(_: Path) -> str:
    """What the papers and others printed."""
    rows = json.loads((RESULTS / "published.json").read_text(encoding="utf-8"))["rows"]
    cells = [
        [
            row["method"],
            row["student"],
            row["set"],
            *(f"{row[key]:.2f}" if row[key] else "–" for key in ("without", "with")),
            f"{row['with'] - row['without']:+.2f}" if row["without"] else "–",
            row["source"],
        ]
        for row in rows
    ]
    return table(["method", "student", "set", "without", "with", "difference", "source"], cells)


def public(folder: Path) -> str:
    """The network of `folder` among public ones, by multi-adds; those without a number last."""
    known = json.loads((RESULTS / "published_networks.json").read_text(encoding="utf-8"))["rows"]
    rows = [
        (
            row["multi_adds"],
            row["network"],
            row["params"],
            [row["Set5"], row["Urban100"]],
            row["source"] + (", multi-adds counted" if row["counted"] else ""),
        )
        for row in known
    ]
    ours = read_result(folder / "benchmark.json")
    for row in (row for row in ours.summary if row.set == "Set5" and row.params and row.multi_adds):
        values = [means(ours, [row.model], row.width, set_, "psnr")[0] for set_ in ("Set5", "Urban100")]
        name = f"**{row.model}, width {row.width:g}**"
        rows.append((row.multi_adds / 1e9, name, row.params / 1e3, values, "above"))
    cells = [
        [
            name,
            f"{params:.4g} K",
            "–" if cost is None else f"{cost:.3g} G",
            *(f"{value:.2f}" for value in values),
            source,
        ]
        for cost, name, params, values, source in sorted(rows, key=lambda row: (row[0] is None, row[0]))
    ]
    return table(["", "parameters", "multi-adds", "Set5", "Urban100", "source"], cells)


def frontier(_: Path) -> str:
    """The picture of the network among public ones."""
    return frontier_x4.note()


def ordering(_: Path) -> str:
    """Quarters by where they start: PSNR on the development photographs in the course of the training."""
    quarters = json.loads((RESULTS / "ordering_x4.json").read_text(encoding="utf-8"))["quarters"]
    stops = list(next(iter(quarters.values())))
    rows = [[name, *(f"{reached[stop]:.3f}" for stop in stops)] for name, reached in quarters.items()]
    return table(["start", *(f"{int(stop):,} iterations" for stop in stops)], rows)


def seen(folder: Path) -> str:
    """How far each width is ahead of the narrowest: on photographs of the training, and on those never trained on."""
    lines = DEVELOPMENT.read_text(encoding="utf-8").splitlines()
    held_out = {Path(line.split()[0]).stem for line in lines}
    found: dict[tuple[float, bool], list[float]] = {}
    for row in read_result(folder / "photographs.json").rows:
        if row.model != BICUBIC:
            found.setdefault((row.width, row.image not in held_out), []).append(row.metrics["psnr"])
    widths = sorted({width for width, _ in found}, reverse=True)
    header = ["", *(f"{len(found[widths[0], trained])} photographs {how}" for trained, how in SEEN.items())]
    rows: list[list[str]] = []
    for width in widths:
        mean, least = ({t: statistics.fmean(found[w, t]) for t in SEEN} for w in (width, widths[-1]))
        ahead = {t: f" ({mean[t] - least[t]:+.3f})" if width > widths[-1] else "" for t in SEEN}
        rows.append([f"width {width:g}", *(f"{mean[t]:.3f}{ahead[t]}" for t in SEEN)])
    return table(header, rows)


def plain(_: Path) -> str:
    """Residual blocks and plain convolutions with branches, at each rate; times as they are used."""
    record = json.loads((RESULTS / "plain_x4.json").read_text(encoding="utf-8"))
    times, blocks = record.pop("ms"), list[str]()
    for iterations, networks in record.items():
        rates = sorted({arm["rate"] for arms in networks.values() for arm in arms})
        rows = [
            [
                {"residual": "residual blocks", "none": "plain"}.get(name, f"plain, {name}"),
                *(next((f"{arm['psnr']:.3f}" for arm in arms if arm["rate"] == rate), "–") for rate in rates),
                f"{statistics.median(arm['ms_per_iteration'] for arm in arms):.0f}",
            ]
            for name, arms in networks.items()
        ]
        head = [f"{int(iterations):,} iterations", *(f"rate {rate:g}" for rate in rates), "ms an iteration"]
        blocks.append(table(head, rows))
    used = "; ".join(
        f"{name} {times[key]['float32']:.0f} ms in fp32, {times[key]['bfloat16']:.0f} in bf16, "
        f"{times[key]['onnxruntime']:.0f} in onnxruntime"
        for key, name in (("residual", "residual blocks"), ("plain", "plain convolutions"))
    )
    return "\n\n".join([*blocks, f"A frame of 320 × 180, {times['threads']} thread: {used}."])


KINDS: dict[str, Callable[[Path], str]] = {
    function.__name__: function
    for function in (
        distillation,
        differences,
        chances,
        schedule,
        arms,
        network,
        steps,
        family,
        int8,
        jpeg,
        parts,
        precision,
        ordering,
        plain,
        seen,
        published,
        public,
        frontier,
    )
}


PICTURES: dict[Path, Callable[[], str]] = {
    ROOT / "docs/images/methods.svg": methods_chart,
    ROOT / "docs/images/frontier_x4.svg": frontier_x4.picture,
}


def filled(text: str) -> str:
    """`text` with every block generated anew."""
    return BLOCK.sub(lambda m: f"{m[1]}{KINDS[m[2]](RESULTS / (m[3] or ''))}\n{m[4]}", text)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--check", action="store_true", help="change nothing; 1 where the page is not what it should be"
    )
    args = parser.parse_args()
    wrong: list[Path] = []
    for page in (*PAGES, *PICTURES):
        before = page.read_text(encoding="utf-8") if page.exists() else ""
        after = PICTURES[page]() if page in PICTURES else filled(before)
        if after != before:
            wrong.append(page)
            if not args.check:
                atomic_write_text(page, after)
    if args.check and wrong:
        names = " and ".join(str(page.relative_to(ROOT)) for page in wrong)
        sys.stderr.write(f"{names}: not what docs/results/ says; run python scripts/make_table.py\n")
    return int(args.check and bool(wrong))


if __name__ == "__main__":
    raise SystemExit(main())
