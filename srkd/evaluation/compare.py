"""Whether one arm is better than another: paired over the images of each set and of all together, and over seeds.

A difference is shown when Student's interval over images leaves out 0 and, where both arms have two runs or more,
Welch's interval over runs does too, both after Holm's correction for everything that is looked at together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from srkd.evaluation.arms import Arm
from srkd.evaluation.reading import ResultFile
from srkd.evaluation.statistics import Estimate, Signs, holm, paired, sign_test, spread, welch
from srkd.types import InputError, did_you_mean

ALL = "all sets"
LEVEL = 0.05
ROUNDING = 1e-9
"""Differences below it are none: sums of equal numbers in another order."""
LOWER_IS_BETTER = ("lpips", "dists", "niqe")
"""Metrics whose names hold one of these words fall as images get better."""

Better = Literal["higher", "lower"]
Verdict = Literal["better", "worse", "no difference shown", "identical"]


@dataclass(frozen=True)
class Seeds:
    """What the runs say of one set.

    Attributes:
        baseline: the mean over the images, of each run.
        arm: likewise.
        difference: Welch's estimate of arm − baseline; None where one of them has only one run.
        exceeds_both: whether the difference is larger than either's standard deviation; None likewise.
    """

    baseline: list[float]
    arm: list[float]
    difference: Estimate | None
    exceeds_both: bool | None


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
        difference: arm − baseline over those images, whatever `better` is; None likewise.
        signs: over all n images, better and worse in the sense of the metric.
        seeds: None where no image is finite.
        p: of the difference over images, or over runs if that is larger; corrected for `looks` comparisons.
        looks: how many comparisons were made together.
        verdict: on the arm.
        left_out: images (set/image) that one side lacks; with the last comparison of a pair also sets.
        infinite: images left out of the means because the metric is infinite there.
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
    p: float
    looks: int
    verdict: Verdict
    left_out: list[str]
    infinite: list[str]


def compare(
    pairs: Sequence[tuple[Arm, Arm]], metric: str, *, sets: Sequence[str] | None = None, better: Better | None = None
) -> list[Comparison]:
    """Compare each second arm with the first of its pair, on each set that both have and on all of these together.

    Args:
        pairs: as `srkd.evaluation.arms.pairs` makes them.
        metric: name of the column.
        sets: only these; None: all.
        better: which way the metric improves; None: by its name (`LOWER_IS_BETTER`).

    Raises:
        InputError: the protocols differ, the metric or a set is not there, or two arms have no image in common.
    """
    check_protocols(files_of(pairs), metric)
    sign = -1 if (better or direction(metric)) == "lower" else 1
    found: list[Comparison] = []
    for baseline, arm in pairs:
        common = _common_sets(baseline, arm, sets)
        found += [_compare(baseline, arm, [name], metric, sign) for name in common]
        if len(common) > 1:
            found.append(_compare(baseline, arm, common, metric, sign))
        alone = [name for name in {**_sets(baseline), **_sets(arm)} if name not in common and name in (sets or [name])]
        found[-1] = replace(found[-1], left_out=[*found[-1].left_out, *alone])
    corrected = holm([item.p for item in found])
    return [
        replace(item, p=p, looks=len(found), verdict=_verdict(item, p, sign))
        for item, p in zip(found, corrected, strict=True)
    ]


def files_of(pairs: Sequence[tuple[Arm, Arm]]) -> list[ResultFile]:
    """The result files of all runs; one appears as often as it is used."""
    return [run.file for pair in pairs for arm in pair for run in arm.runs]


def direction(metric: str) -> Better:
    """Which way a metric improves, by its name."""
    return "lower" if any(word in metric.lower() for word in LOWER_IS_BETTER) else "higher"


def check_protocols(files: Sequence[ResultFile], metric: str) -> None:
    """Refuse figures that don't compare.

    Raises:
        InputError: two files were made by different protocols; it names both.
    """
    for file in files[1:]:
        if _definition(file.protocol, metric) != _definition(files[0].protocol, metric):
            raise InputError(
                f"figures of different protocols don't compare: {files[0].path} has "
                f"{files[0].protocol['description']}; {file.path} has {file.protocol['description']}."
            )
        if metric == "lpips" and file.lpips != files[0].lpips:
            raise InputError(
                f"figures of different LPIPS don't compare: {files[0].path} has {files[0].lpips}; {file.path} has "
                f"{file.lpips}."
            )


def uneven_warnings(files: Sequence[ResultFile]) -> list[str]:
    """Warnings in some of the files and not in all: what may be the difference; a line each."""
    return [
        f"{file.path} warns, and not every file does: {warning.removesuffix('.')}"
        for file in {str(file.path): file for file in files}.values()
        for warning in file.warnings
        if any(warning not in other.warnings for other in files)
    ]


def _definition(protocol: dict[str, Any], metric: str) -> dict[str, Any]:
    """What decides about the numbers: everything but the wording and the other metrics."""
    decisive = {key: value for key, value in protocol.items() if key != "description"}
    return {"self_ensemble": False, **decisive, "metrics": decisive.get("metrics", {}).get(metric)}


def _common_sets(baseline: Arm, arm: Arm, wanted: Sequence[str] | None) -> list[str]:
    first, second = _sets(baseline), _sets(arm)
    missing = [name for name in wanted or () if name not in (*first, *second)]
    if missing:
        known = dict.fromkeys((*first, *second))
        raise InputError(
            f"there is no set {missing[0]!r} in the files.{did_you_mean(missing[0], known)} There are: "
            f"{', '.join(known)}."
        )
    common = [name for name in first if name in second and (wanted is None or name in wanted)]
    shared = [name for name in common if _images(baseline, [name])[0] & _images(arm, [name])[0]]
    if not shared:
        chosen = f" of {', '.join(wanted)}" if wanted else ""
        raise InputError(
            f"{baseline.label} and {arm.label} have no image{chosen} in common: one was measured on "
            f"{', '.join(first)}, the other on {', '.join(second)}."
        )
    return shared


def _sets(arm: Arm) -> dict[str, None]:
    return dict.fromkeys(name for run in arm.runs for name, _ in run.rows)


def _images(arm: Arm, sets: Sequence[str]) -> tuple[set[tuple[str, str]], set[tuple[str, str]]]:
    """The images that every run has, and those that any run has."""
    own = [{key for key in run.rows if key[0] in sets} for run in arm.runs]
    return set[tuple[str, str]].intersection(*own), set[tuple[str, str]].union(*own)


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


def _compare(baseline: Arm, arm: Arm, sets: Sequence[str], metric: str, sign: int) -> Comparison:
    (first, any_first), (second, any_second) = _images(baseline, sets), _images(arm, sets)
    images = sorted(first & second)
    a, b = _values(baseline, images, metric), _values(arm, images, metric)
    finite = np.asarray(np.isfinite(np.concatenate([a, b], axis=1)).all(axis=1))
    with np.errstate(invalid="ignore"):
        differences = np.nan_to_num(b.mean(axis=1) - a.mean(axis=1), nan=0.0, posinf=np.inf, neginf=-np.inf)
    differences[np.abs(differences) < ROUNDING] = 0.0  # nan: infinite on both sides, hence equal
    estimate = paired(differences[finite]) if finite.any() else None
    seeds = _seeds(a[finite].mean(axis=0), b[finite].mean(axis=0)) if finite.any() else None
    over_images = estimate.p if estimate else 1.0
    over_runs = seeds.difference.p if seeds and seeds.difference else 0.0
    signs = sign_test(sign * differences)
    return Comparison(
        set=sets[0] if len(sets) == 1 else ALL,
        baseline=baseline.label,
        arm=arm.label,
        metric=metric,
        n=len(images),
        means=(float(a[finite].mean()), float(b[finite].mean())) if finite.any() else None,
        difference=estimate,
        signs=signs,
        seeds=seeds,
        p=max(over_images, over_runs),
        looks=1,
        verdict="identical" if signs.equal == len(images) else "no difference shown",
        left_out=[f"{name}/{image}" for name, image in sorted((any_first | any_second) - set(images))],
        infinite=[f"{name}/{image}" for (name, image), kept in zip(images, finite, strict=True) if not kept],
    )


def _seeds(a: NDArray[np.float64], b: NDArray[np.float64]) -> Seeds:
    if len(a) == 1 or len(b) == 1:
        return Seeds(a.tolist(), b.tolist(), None, None)
    difference = welch(a, b)
    exceeds = all(abs(difference.mean) > (spread(values) or 0.0) for values in (a, b))
    return Seeds(a.tolist(), b.tolist(), difference, exceeds)


def _verdict(comparison: Comparison, p: float, sign: int) -> Verdict:
    if comparison.verdict == "identical" or comparison.difference is None or p >= LEVEL:
        return comparison.verdict
    return "better" if sign * comparison.difference.mean > 0 else "worse"
