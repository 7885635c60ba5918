"""Whether one arm is better than another: over the images of each set and of all together, and over seeds.

Two runs of one seed saw the same patches in the same order, so seeds are paired where their numbers say so. Verdicts
are after Holm's correction for the arms that one call compares on a set.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from srkd.evaluation.arms import SEED, Arm, Run
from srkd.evaluation.result import Result
from srkd.evaluation.statistics import LEVEL, Estimate, Signs, Spread, difference, holm, sign_test, spread_of
from srkd.metrics.metric import Metric
from srkd.types import InputError, did_you_mean

ALL = "all sets"
ROUNDING = 1e-9
"""Differences below it are none: sums of equal numbers in another order."""

Better = Literal["higher", "lower"]
Verdict = Literal["better", "worse", "no difference shown", "identical"]
Pairing = Literal["recorded", "by name", "none", "one run"]


@dataclass(frozen=True)
class Seeds:
    """What the runs say of one set.

    Attributes:
        pairing: how the seeds of both arms are known to be the same; `none`: they are not, the runs are independent.
        numbers: the seeds where they are paired, in order; else none.
        baseline: the mean over the images, of each run.
        arm: likewise.
        differences: arm − baseline, seed by seed; none where they are not paired.
    """

    pairing: Pairing
    numbers: list[int]
    baseline: list[float]
    arm: list[float]
    differences: list[float]


@dataclass(frozen=True)
class Comparison:
    """One arm against a baseline on one set.

    Attributes:
        set: its name, or `ALL`: the images of all sets together, each of equal weight.
        baseline: label of the arm that the others are measured by.
        arm: label.
        metric: name of the column.
        n: images on both sides.
        means: baseline's and arm's, over the images where both are finite; None where there are none.
        difference: arm − baseline over those images, whatever is better; None likewise.
        signs: over all n images, better and worse in the sense of the metric.
        seeds: None where no image is finite.
        spread: what the differences vary by; None with one run or one image.
        p: of the difference, corrected for `looks` comparisons.
        looks: how many arms were compared on this set.
        verdict: on the arm.
        left_out: images (set/image) that one side lacks; with the last comparison of a pair also sets.
        infinite: images left out of the means because the metric is infinite there.
        kind: what the metric is.
    """

    set: str
    baseline: str
    arm: str
    metric: str
    n: int
    means: tuple[float, float] | None
    difference: Estimate | None
    signs: Signs
    seeds: Seeds | None
    spread: Spread | None
    p: float
    looks: int
    verdict: Verdict
    left_out: list[str]
    infinite: list[str]
    kind: Metric


def compare(
    pairs: Sequence[tuple[Arm, Arm]], metric: str, *, sets: Sequence[str] | None = None, better: Better | None = None
) -> list[Comparison]:
    """Compare each second arm with the first of its pair, on each set that both have and on all of these together.

    Args:
        pairs: as `srkd.evaluation.arms.pairs` makes them.
        metric: name of the column.
        sets: only these; None: all.
        better: which way the metric improves; None: as the files or its name say.

    Raises:
        InputError: the protocols differ, the metric or a set is not there, or two arms have no image in common.
    """
    check_protocols(files_of(pairs), metric)
    kind = files_of(pairs)[0].metric(metric)
    if better:
        kind = replace(kind, lower_better=better == "lower")
    found: list[Comparison] = []
    for baseline, arm in pairs:
        common = _common_sets(baseline, arm, sets)
        found += [_compare(baseline, arm, [name], metric, kind) for name in common]
        if len(common) > 1:
            found.append(_compare(baseline, arm, common, metric, kind))
        both = dict.fromkeys([*baseline.sets, *arm.sets])
        alone = [name for name in both if name not in common and name in (sets or [name])]
        found[-1] = replace(found[-1], left_out=[*found[-1].left_out, *alone])
    return _corrected(found)


def _corrected(found: Sequence[Comparison]) -> list[Comparison]:
    """With Holm's correction: a family are the arms on one set that are not identical with their baseline."""
    families: dict[str, list[int]] = {}
    for at, item in enumerate(found):
        if item.verdict != "identical":
            families.setdefault(item.set, []).append(at)
    corrected = list(found)
    for members in families.values():
        for at, p in zip(members, holm([found[at].p for at in members]), strict=True):
            corrected[at] = replace(found[at], p=p, looks=len(members), verdict=_verdict(found[at], p))
    return corrected


def files_of(pairs: Sequence[tuple[Arm, Arm]]) -> list[Result]:
    """The result files of all runs; one appears as often as it is used."""
    return [run.file for pair in pairs for arm in pair for run in arm.runs]


def check_protocols(files: Sequence[Result], metric: str) -> None:
    """Refuse numbers that don't compare.

    Raises:
        InputError: two files were made by different protocols; it names both.
    """
    for file in files[1:]:
        if _definition(file.protocol, metric) != _definition(files[0].protocol, metric):
            raise InputError(
                f"numbers of different protocols don't compare: {files[0].path} has "
                f"{files[0].protocol['description']}; {file.path} has {file.protocol['description']}."
            )
        if metric == "lpips" and file.lpips != files[0].lpips:
            raise InputError(
                f"numbers of different LPIPS don't compare: {files[0].path} has {files[0].lpips}; {file.path} has "
                f"{file.lpips}."
            )


_GREY = "of grey files"  # in paper-y's description since their values are taken as they are


def uneven_warnings(files: Sequence[Result]) -> list[str]:
    """Warnings in some of the files and not in all: what may be the difference; a line each."""
    found = [
        f"{file.path} warns, and not every file does: {warning.removesuffix('.')}"
        for file in {str(file.path): file for file in files}.values()
        for warning in file.warnings
        if any(_kind(warning) not in map(_kind, other.warnings) for other in files)
    ]
    words = {file.path: str(file.protocol["description"]) for file in files}
    old = [path for path, said in words.items() if said.startswith("paper-y") and _GREY not in said]
    if 0 < len(old) < len(words):
        found.append(f"{old[0]} is of version 0.1, whose paper-y took grey files as RGB: they differ by up to 1.3 dB")
    return found


def _kind(warning: str) -> str:
    """What is warned of, without the model and its numbers, which stand before the last colon."""
    return warning.rpartition(": ")[2]


def _definition(protocol: dict[str, Any], metric: str) -> dict[str, Any]:
    """What decides about the numbers: everything but the wording and the other metrics."""
    decisive = {key: value for key, value in protocol.items() if key != "description"}
    return {"self_ensemble": False, **decisive, "metrics": decisive.get("metrics", {}).get(metric)}


def _common_sets(baseline: Arm, arm: Arm, wanted: Sequence[str] | None) -> list[str]:
    first, second = baseline.sets, arm.sets
    known = dict.fromkeys((*first, *second))
    missing = [name for name in wanted or () if name not in known]
    if missing:
        raise InputError(
            f"there is no set {missing[0]!r} in the files.{did_you_mean(missing[0], known)} There are: "
            f"{', '.join(known)}."
        )
    shared = [name for name in wanted or first if set(baseline.common([name])) & set(arm.common([name]))]
    if not shared:
        chosen = f" of {', '.join(wanted)}" if wanted else ""
        raise InputError(
            f"{baseline.label} and {arm.label} have no image{chosen} in common: one was measured on "
            f"{', '.join(first)}, the other on {', '.join(second)}."
        )
    return [name for name in first if name in shared]


def _values(arm: Arm, images: Sequence[tuple[str, str]], metric: str) -> NDArray[np.float64]:
    """[images, runs]."""
    for run in arm.runs:
        for image in images:
            metrics = run.rows[image].metrics
            if metric not in metrics:
                raise InputError(
                    f"{run.file.path} has no {metric!r} of {run.model}.{did_you_mean(metric, metrics)} It has "
                    f"{', '.join(metrics)}."
                )
    return np.array([[run.rows[image].metrics[metric] for run in arm.runs] for image in images], np.float64)


def _compare(baseline: Arm, arm: Arm, sets: Sequence[str], metric: str, kind: Metric) -> Comparison:
    pairing, numbers = paired_seeds(baseline.runs, arm.runs)
    if numbers:
        baseline, arm = (
            replace(a, runs=tuple(sorted(a.runs, key=lambda run: seed_of(run) or 0))) for a in (baseline, arm)
        )
    images = sorted(set(baseline.common(sets)) & set(arm.common(sets)))
    anywhere = {at for run in (*baseline.runs, *arm.runs) for at in run.rows if at[0] in sets}
    a, b = _values(baseline, images, metric), _values(arm, images, metric)
    finite = np.asarray(np.isfinite(np.concatenate([a, b], axis=1)).all(axis=1))
    with np.errstate(invalid="ignore"):
        differences = np.nan_to_num(b.mean(axis=1) - a.mean(axis=1), nan=0.0, posinf=np.inf, neginf=-np.inf)
    differences[np.abs(differences) < ROUNDING] = 0.0  # nan: infinite on both sides, hence equal
    signs = sign_test(-differences if kind.lower_better else differences)
    a, b, paired = a[finite], b[finite], pairing != "none"
    if paired:
        alike = np.abs(b - a) < ROUNDING
        a, b = (a, np.where(alike, a, b)) if a.shape[1] <= b.shape[1] else (np.where(alike, b, a), b)
    estimate = means = seeds = None
    if finite.any():
        estimate = difference(a, b, pairs=paired)
        means = (float(a.mean()), float(b.mean()))
        first, second = a.mean(axis=0), b.mean(axis=0)
        seeds = Seeds(pairing, numbers, first.tolist(), second.tolist(), (second - first).tolist() if numbers else [])
    return Comparison(
        set=sets[0] if len(sets) == 1 else ALL,
        baseline=baseline.label,
        arm=arm.label,
        metric=metric,
        n=len(images),
        means=means,
        difference=estimate,
        signs=signs,
        seeds=seeds,
        spread=spread_of(a, b, pairs=paired),
        p=estimate.p if estimate else 1.0,
        looks=1,
        verdict="identical" if signs.equal == len(images) else "no difference shown",
        left_out=[f"{name}/{image}" for name, image in sorted(anywhere - set(images))],
        infinite=[f"{name}/{image}" for (name, image), shown in zip(images, finite, strict=True) if not shown],
        kind=kind,
    )


def paired_seeds(baseline: Sequence[Run], arm: Sequence[Run]) -> tuple[Pairing, list[int]]:
    """Whether both sides' runs have the same seeds, and which; two runs of a seed share their start or their data.

    The seed is in the result file, or in files of before it was recorded in the name (`_seed0`).
    """
    if min(len(baseline), len(arm)) == 1:
        return "one run", []
    first, second = ({seed_of(run): run for run in side} for side in (baseline, arm))
    known = [*first, *second]
    if None in known or first.keys() != second.keys() or len(known) != len(baseline) + len(arm):
        return "none", []
    if not all(_share_something(run, second[seed]) for seed, run in first.items()):
        return "none", []
    recorded = all("seed" in run.record for run in (*baseline, *arm))
    return "recorded" if recorded else "by name", sorted(seed for seed in first if seed is not None)


def seed_of(run: Run) -> int | None:
    """The seed of a run as it is recorded, or as its name or that of its file says; None: unknown."""
    seed = run.record.get("seed")
    if isinstance(seed, int):
        return seed
    found = SEED.search(run.model) or SEED.search(run.file.path.name)
    return int(found[1]) if found else None


def _share_something(a: Run, b: Run) -> bool:
    """Whether two runs of one seed began with the same weights or saw the same patches, as far as that is recorded."""
    known = [key for key in ("start", "data_order") if a.record.get(key) and b.record.get(key)]
    return not known or any(a.record[key] == b.record[key] for key in known)


def _verdict(comparison: Comparison, p: float) -> Verdict:
    if comparison.difference is None or p >= LEVEL:
        return comparison.verdict
    return "better" if (comparison.difference.mean > 0) != comparison.kind.lower_better else "worse"
