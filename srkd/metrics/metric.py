"""What a column of figures is: which way it gets better, with how many digits it is printed, and its unit."""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True)
class Metric:
    """How to read a metric.

    Attributes:
        lower_better: whether it falls as images get better.
        digits: decimals that mean something.
        unit: such as dB; empty: none.
    """

    lower_better: bool = False
    digits: int = 4
    unit: str = ""

    def text(self, value: float | None) -> str:
        """A value with the digits that mean something, without the unit."""
        if value is None:
            return "–"
        return "identical" if math.isinf(value) else f"{value:.{self.digits}f}"

    def with_unit(self, text: str) -> str:
        """`0.048 dB`."""
        return f"{text} {self.unit}" if self.unit else text

    def difference(self, value: float) -> str:
        """A difference: small ones with two digits that mean something."""
        return f"{value:.{self.digits}f}" if value == 0 or abs(value) >= 10 ** (1 - self.digits) else f"{value:.2g}"

    def plus_minus(self, values: Sequence[float]) -> str:
        """`32.10 ± 0.02`: the mean and the standard deviation (n − 1) of several values; – for none."""
        if len(values) < 2 or not all(map(math.isfinite, values)):
            return self.text(statistics.fmean(values) if values else None)
        return f"{self.text(statistics.fmean(values))} ± {statistics.stdev(values):.{self.digits}f}"

    def best(self, values: Iterable[float]) -> float:
        """The best of one or more values."""
        return (min if self.lower_better else max)(values)


_BY_NAME = {
    "psnr": Metric(digits=3, unit="dB"),
    "ssim": Metric(),
    **{name: Metric(lower_better=True) for name in ("lpips", "dists", "niqe", "brisque", "pi", "fid", "rmse", "mae")},
}


def describes(metric: Metric) -> Callable[[Function], Function]:
    """Decorator of a registered metric of your own: `@describes(Metric(lower_better=True))`."""

    def mark(function: Function) -> Function:
        function.metric = metric  # pyright: ignore[reportFunctionMemberAccess]
        return function

    return mark


def metric_of(column: str, function: Callable[..., Any] | None = None) -> Metric:
    """What a column is: as its registered function says, or by a word of its name, or higher is better."""
    own = getattr(function, "metric", None)
    if isinstance(own, Metric):
        return own
    text = column.lower()
    words = re.split(r"[\W_]+", text)
    return next((known for name, known in _BY_NAME.items() if name in (text if len(name) > 3 else words)), Metric())
