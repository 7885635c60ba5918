"""A table as papers have it, in LaTeX: methods down, test sets across, mean ± standard deviation over the seeds.

The best value of each column is bold. Bicubic and teachers stand apart, above the others, and do not compete.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from srkd.evaluation.arms import Arm
from srkd.evaluation.result import BICUBIC, Metric
from srkd.table import bold, escaped

_TEACHER = "(teacher of "  # in the names that `srkd benchmark` gives to teachers


def paper_table(arms: Sequence[Arm], sets: Sequence[str], metrics: Sequence[tuple[str, Metric]], note: str) -> str:
    """A `tabular` for the package booktabs.

    Args:
        arms: the methods.
        sets: test sets, a column for each of the metrics.
        metrics: names of columns of the result files, and what they are.
        note: a comment above the table.
    """
    apart = [arm for arm in arms if arm.name == BICUBIC or _TEACHER in arm.name]
    others = [arm for arm in arms if arm not in apart]
    columns = [(test_set, name, metric) for test_set in sets for name, metric in metrics]
    values = [[arm.means(test_set, name) for test_set, name, _ in columns] for arm in [*apart, *others]]
    best = [_best(metric, [row[at] for row in values[len(apart) :]]) for at, (*_, metric) in enumerate(columns)]
    heads = [test_set if len(metrics) == 1 else f"{test_set} {name.upper()}" for test_set, name, _ in columns]
    lines = [rf"\begin{{tabular}}{{l{'r' * len(columns)}}}", r"\toprule", _row(["Method", *map(escaped, heads)])]
    for at, (arm, row) in enumerate(zip([*apart, *others], values, strict=True)):
        if at in (0, len(apart)):
            lines.append(r"\midrule")
        texts = [escaped(metric.plus_minus(own)) for own, (*_, metric) in zip(row, columns, strict=True)]
        if at >= len(apart):
            texts = [
                bold(text) if text.partition(" ")[0] == top else text for text, top in zip(texts, best, strict=True)
            ]
        lines.append(_row([escaped(arm.label), *texts]))
    return "\n".join([f"% {note}", *lines, r"\bottomrule", r"\end{tabular}"]) + "\n"


def _best(metric: Metric, column: Sequence[Sequence[float]]) -> str | None:
    """The best mean of a column as it is shown; None where there is none."""
    means = [statistics.fmean(own) for own in column if own]
    return metric.text(metric.best(means)) if means else None


def _row(texts: Sequence[str]) -> str:
    return " & ".join(texts) + r" \\"
