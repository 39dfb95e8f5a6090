"""How good the models are on public data, beside what their papers and libraries report (`make quality`).

Each module of this package whose name has no underscore in front has `rows()`: what it can measure, with the published figure and
the bar. `python -m benchmarks.quality` finds them by scanning, measures a row seed by seed, keeps every measurement, and
prints one table.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import NamedTuple


class NoData(Exception):
    """What a row needs is not on this machine: a public file, or an optional package."""


class Reached(NamedTuple):
    """What one seed reached, and a word on it, such as a p-value."""

    value: float
    note: str = ""


@dataclass(frozen=True)
class Bar:
    """What the mean over the seeds has to hold, in words and as a rule."""

    words: str
    holds: Callable[[float], bool]


@dataclass(frozen=True)
class Row:
    """One figure that can be measured.

    `measure` takes a seed and is sent to another process, so it is a function of a module or a partial of one. `minutes` is
    the processor time of one seed, roughly: it orders the rows and makes the first estimate of the time left. A row that is
    `on_request` is measured only when it is named.
    """

    name: str
    what: str
    measure: Callable[[int], Reached]
    published: float | None = None
    bar: Bar | None = None
    source: str = ""
    seeds: int = 1
    minutes: float = 0.1
    on_request: bool = False


def names() -> list[str]:
    """The modules of the package that measure something."""
    return sorted(module.name for module in iter_modules([str(Path(__file__).parent)]) if not module.name.startswith("_"))


def discovered() -> dict[str, list[Row]]:
    """The rows of every module."""
    return {name: list(import_module(f"benchmarks.quality.{name}").rows()) for name in names()}


def public_path(name: str) -> Path:
    """A file or folder of the folder `FINML_TEST_DATA`, or of `shared/data` beside the repository. Raises `NoData` where it is not there."""
    folder = Path(os.environ.get("FINML_TEST_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))
    if not (folder / name).exists():
        raise NoData(f"no {name} in the folder of public data: name the folder in FINML_TEST_DATA")
    return folder / name


def at_most(limit: float, digits: int = 3) -> Bar:
    """The figure is no larger."""
    return Bar(f"≤ {limit:.{digits}f}", lambda value: value <= limit)


def at_least(limit: float, digits: int = 3) -> Bar:
    """The figure is no smaller."""
    return Bar(f"≥ {limit:.{digits}f}", lambda value: value >= limit)


def near(target: float, share: float) -> Bar:
    """The figure is within a share of the published one."""
    return Bar(f"{target:.3f} ± {share:.0%}", lambda value: abs(value / target - 1) <= share)


def within(target: float, distance: float) -> Bar:
    """The figure is within a distance of the published one."""
    return Bar(f"{target:.3f} ± {distance:g}", lambda value: abs(value - target) <= distance)
