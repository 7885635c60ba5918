"""One table for every place: a terminal of any width, Markdown, CSV and LaTeX.

Names are never cut. On a narrow terminal optional columns go first, then names are folded, and where even that is too
wide each row becomes a block of lines.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeVar

if TYPE_CHECKING:
    from rich.console import Console

Cell = str | float | None
Role = Literal["name", "number", "optional"]

_GAP, _EDGES = 3, 2  # of rich's box
_WIDE_NAME, _NARROW_NAME = 40, 10  # a longer name is folded before a column goes; none is folded to less


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        name: its heading.
        role: `name`: text that must be readable whole; `number`: always there; `optional`: the first to go.
        digits: decimals of its numbers; None: as many as a float has.
        unit: written behind the heading.
        short: numbers with four digits and a prefix: 12.35 K.
        best: which value of a group is marked; None: none is.
    """

    name: str
    role: Role = "number"
    digits: int | None = None
    unit: str = ""
    short: bool = False
    best: Literal["highest", "lowest"] | None = None

    @property
    def heading(self) -> str:
        """The name with its unit."""
        return f"{self.name}, {self.unit}" if self.unit else self.name

    def text(self, value: Cell) -> str:
        """A value as it is shown."""
        if value is None:
            return "–"
        if isinstance(value, str):
            return value
        if math.isinf(value):
            return "identical"
        if self.short:
            return short_number(value)
        return str(value) if self.digits is None else f"{value:.{self.digits}f}"


@dataclass
class Table:
    """Rows under columns; rows that share the value of the column `group` belong together."""

    columns: Sequence[Column]
    rows: list[Sequence[Cell]] = field(default_factory=list[Sequence[Cell]])
    group: str | None = None

    def print(self, console: Console) -> None:
        """Show it as wide as the console is."""
        if not self.rows:
            return
        texts = self._texts()
        kept = self._columns_that_fit(texts, console.width)
        if kept is None:
            for row in texts:
                for column, text in zip(self.columns, row, strict=True):
                    console.print(f"{column.heading}: {text}", markup=False, highlight=False, overflow="fold")
                console.print()
            return
        from rich.box import SIMPLE_HEAD
        from rich.table import Table as Drawn
        from rich.text import Text

        drawn = Drawn(box=SIMPLE_HEAD, pad_edge=False)
        for at in kept:
            is_name = self.columns[at].role == "name"
            drawn.add_column(
                Text(self.columns[at].heading),
                justify="left" if is_name else "right",
                no_wrap=not is_name,
                overflow="fold",
            )
        for row in texts:
            drawn.add_row(*(Text(row[at]) for at in kept))
        console.print(drawn)
        gone = [column.heading for at, column in enumerate(self.columns) if at not in kept]
        if gone:
            line = f"Not shown at {console.width} columns: {'; '.join(gone)}."
            console.print(line, markup=False, highlight=False)

    def markdown(self) -> str:
        """With names to the left and numbers to the right."""
        rule = "|" + "".join("---|" if column.role == "name" else "---:|" for column in self.columns)
        rows = [[column.heading for column in self.columns], *self._texts()]
        lines = [f"| {' | '.join(text.replace('|', chr(92) + '|') for text in row)} |" for row in rows]
        return "\n".join([lines[0], rule, *lines[1:]])

    def csv(self) -> str:
        """Values in full; an infinite one is `inf`, none is empty."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow([column.name for column in self.columns])
        writer.writerows([["" if value is None else value for value in row] for row in self.rows])
        return text.getvalue()

    def latex(self) -> str:
        """For the package booktabs; a rule between groups, the best values of each in bold."""
        columns = "".join("l" if column.role == "name" else "r" for column in self.columns)
        lines = [f"\\begin{{tabular}}{{{columns}}}", r"\toprule", _latex_row(c.heading for c in self.columns)]
        best = self._best()
        for number, (row, texts) in enumerate(zip(self.rows, self._texts(), strict=True)):
            if number == 0 or self._group_of(row) != self._group_of(self.rows[number - 1]):
                lines.append(r"\midrule")
            cells = [escaped(text) for text in texts]
            lines.append(
                " & ".join(bold(text) if (number, at) in best else text for at, text in enumerate(cells)) + r" \\"
            )
        return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n"

    def _texts(self) -> list[list[str]]:
        return [[column.text(value) for column, value in zip(self.columns, row, strict=True)] for row in self.rows]

    def _group_of(self, row: Sequence[Cell]) -> Cell:
        at = next((at for at, column in enumerate(self.columns) if column.name == self.group), None)
        return None if at is None else row[at]

    def _best(self) -> set[tuple[int, int]]:
        """(row, column) of the best values of each group, as they are shown."""
        found: set[tuple[int, int]] = set()
        texts = self._texts()
        for at, column in enumerate(self.columns):
            for group in {self._group_of(row) for row in self.rows} if column.best else ():
                own = {
                    number: row[at]
                    for number, row in enumerate(self.rows)
                    if self._group_of(row) == group and isinstance(row[at], int | float)
                }
                if own:
                    chosen = (max if column.best == "highest" else min)(own, key=lambda number: float(own[number] or 0))
                    found |= {(number, at) for number in own if texts[number][at] == texts[chosen][at]}
        return found

    def _columns_that_fit(self, texts: Sequence[Sequence[str]], width: int) -> list[int] | None:
        """Positions of the columns that are shown; None where not even the necessary ones fit."""
        from rich.cells import cell_len

        def fit(columns: Sequence[int], most_of_a_name: int) -> bool:
            widths = [max(map(cell_len, [self.columns[at].heading, *(row[at] for row in texts)])) for at in columns]
            is_name = [self.columns[at].role == "name" for at in columns]
            needed = [min(wide, most_of_a_name) if name else wide for wide, name in zip(widths, is_name, strict=True)]
            return sum(needed) + _GAP * (len(columns) - 1) + _EDGES <= width

        kept = list(range(len(self.columns)))
        while not fit(kept, _WIDE_NAME):
            optional = [at for at in kept if self.columns[at].role == "optional"]
            if not optional:
                return kept if fit(kept, _NARROW_NAME) else None
            kept.remove(optional[-1])
        return kept


Item = TypeVar("Item")


def table(items: Iterable[Item], cells: Sequence[tuple[Column, Callable[[Item], Cell]]], group: str = "") -> Table:
    """A row for each item; each column with what it shows of one."""
    return Table([column for column, _ in cells], [[cell(item) for _, cell in cells] for item in items], group or None)


def short_number(value: float) -> str:
    """A number with four digits and a prefix; – for zero."""
    if not value:
        return "–"
    for unit, size in (("T", 1e12), ("G", 1e9), ("M", 1e6), ("K", 1e3)):
        if abs(value) >= size:
            return f"{value / size:.4g} {unit}"
    return f"{value:.4g}"


_ESCAPES = str.maketrans(
    {sign: rf"\{sign}" for sign in "&%$#_{}"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "–": "--"}
    | {"×": r"$\times$", "±": r"$\pm$"}
)


def escaped(text: str) -> str:
    """Text that LaTeX prints as it is."""
    return text.translate(_ESCAPES)


def bold(text: str) -> str:
    """Text of LaTeX in bold."""
    return rf"\textbf{{{text}}}"


def _latex_row(texts: Iterator[str]) -> str:
    return " & ".join(map(escaped, texts)) + r" \\"
