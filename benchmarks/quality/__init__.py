"""How good the models are on public data, beside what their papers report.

Each module of this package has `rows()`, which measures and gives its figures; the command `python -m benchmarks.quality` finds the
modules by scanning and prints one table.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


class NoData(Exception):
    """The public files of a module are not on this machine."""


@dataclass(frozen=True)
class Figure:
    """One figure: what was measured, the published value, what was reached, the bar in words, and whether it holds; None where there is no bar."""

    what: str
    published: float | None
    reached: float
    bar: str
    source: str
    held: bool | None


def public_file(name: str) -> Path:
    """A file of the folder `FINML_TEST_DATA`, or of `shared/data` beside the repository. Raises `NoData` where it is not there."""
    path = Path(os.environ.get("FINML_TEST_DATA", Path(__file__).resolve().parents[3] / "shared" / "data")) / name
    if not path.is_file():
        raise NoData(f"{name} is not in {path.parents[len(Path(name).parts) - 1]}: name the folder of public data in FINML_TEST_DATA")
    return path


def show(figures: Iterable[Figure]) -> int:
    """Print the figures as they come; 1 when a bar is missed."""
    missed = False
    for figure in figures:
        published = "-" if figure.published is None else f"{figure.published:.3f}"
        verdict = {True: "holds", False: "MISSED", None: ""}[figure.held]
        print(f"{figure.what:74}{published:>10}{figure.reached:>10.4f}  {figure.bar:24}{verdict:8}{figure.source}", flush=True)
        missed = missed or figure.held is False
    return int(missed)


def header() -> None:
    """The names of the columns."""
    print(f"{'':74}{'published':>10}{'reached':>10}  {'bar':24}{'':8}source", flush=True)
