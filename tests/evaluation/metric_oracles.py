"""What the tables of `test_metric_oracles_*` are made of: oracles, figures of reference packages, and the inputs on which they must agree."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from types import FunctionType
from typing import Any

import numpy as np
from hypothesis import assume, currently_in_test_context, settings
from hypothesis import strategies as st

from finml_models.evaluation import metrics
from finml_models.evaluation.metrics import METRICS

Inputs = dict[str, Any]
NO_FAMILY = {"registry"}


@dataclass(frozen=True)
class Draw:
    """A case of `n` rows: plain (normal), with many ties, or with heavy tails (Student's t of 1.5 degrees, so without variance)."""

    seed: int
    n: int
    temper: str
    rng: np.random.Generator = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "rng", np.random.default_rng(self.seed))

    def numbers(self, *shape: int) -> np.ndarray:
        if self.temper == "ties":
            return self.rng.integers(-2, 3, shape) / 2
        return self.rng.standard_t(1.5, shape) if self.temper == "heavy" else self.rng.standard_normal(shape)

    def probabilities(self, *shape: int) -> np.ndarray:
        if self.temper == "ties":
            return (self.rng.integers(0, 5, shape) + 0.5) / 5
        sharp = self.rng.beta(0.1, 0.1, shape) if self.temper == "heavy" else self.rng.random(shape)
        return np.clip(sharp, 1e-9, 1 - 1e-9)

    def classes(self, n: int) -> np.ndarray:
        """0 and 1, each at least once, in any order."""
        return self.rng.permutation(np.concatenate([[0.0, 1.0], self.rng.random(n - 2) < 0.3]))

    def days(self, n: int) -> np.ndarray:
        return np.datetime64("2024-01-01") + self.rng.permutation(np.arange(n) // 4)


@dataclass(frozen=True)
class Oracle:
    """Another way to a metric's value: a function of the same inputs, of a library where `source` names one, else a slow loop of our own."""

    source: str
    value: Callable[..., Any]
    inputs: Callable[[Draw], Inputs] | None = None
    """Where the oracle is defined on fewer inputs than the metric."""
    rtol: float = 1e-9

    @property
    def of_a_library(self) -> bool:
        return not self.source.startswith("loop")


@dataclass(frozen=True)
class Checked:
    """A metric's inputs of any size, its oracles, and two forecasts of which the first is better (none where no direction is)."""

    inputs: Callable[[Draw], Inputs]
    oracles: tuple[Oracle, ...]
    good: Inputs | None = None
    poor: Inputs | None = None


@dataclass(frozen=True)
class Figure:
    """A value on inputs without randomness, computed by a package that is not a dependency, or worked by hand with its unit."""

    name: str
    source: str
    inputs: Inputs
    value: Any
    rtol: float = 1e-9


Table = Mapping[str, Checked]
WORKED = "by hand"


def cases(table: Table) -> list[Any]:
    """Arguments of a test over every oracle of a table."""
    import pytest

    return [pytest.param(name, oracle, id=f"{name}: {oracle.source}") for name, checked in table.items() for oracle in checked.oracles]


def positional(function: Callable[..., Any]) -> Callable[..., Any]:
    """A library's function whose arguments have other names than the metric's inputs, and the same order."""
    return lambda **given: function(*given.values())


def named(figure: Figure) -> str:
    return f"{figure.name}: {figure.source}"


def require(condition: bool) -> None:
    """Another draw, please, if the oracle is not defined here; outside of a property-based test, an error."""
    if currently_in_test_context():
        assume(condition)
    elif not condition:
        raise ValueError("these inputs are outside of the oracle's domain; take another draw")


thorough = settings(deadline=None, max_examples=60)
draws = st.builds(Draw, seed=st.integers(0, 2**32 - 1), n=st.integers(2, 40), temper=st.sampled_from(["plain", "ties", "heavy"]))


@cache
def functions() -> dict[str, Callable[..., Any]]:
    """All metrics, and the public functions of the family modules that are none."""
    modules = [import_module(f"{metrics.__name__}.{m.name}") for m in iter_modules(metrics.__path__) if m.name not in NO_FAMILY]
    others = {
        name: f for module in modules for name, f in vars(module).items() if isinstance(f, FunctionType) and f.__module__ == module.__name__ and name[0] != "_"
    }
    return others | {name: held.function for name, held in METRICS.items()}


def value_of(name: str, given: Inputs) -> Any:
    """What the function returns; of several arrays, such as dates and values, one stacked array of numbers."""
    found = functions()[name](**given)
    return np.stack([np.asarray(part).astype(np.float64) for part in found]) if isinstance(found, tuple) else found


def assert_agrees(name: str, oracle: Oracle, checked: Checked, draw: Draw) -> None:
    given = (oracle.inputs or checked.inputs)(draw)
    assert_close(value_of(name, given), oracle.value(**given), oracle.rtol, given)


def assert_meets(figure: Figure) -> None:
    assert_close(value_of(figure.name, figure.inputs), figure.value, figure.rtol, figure.inputs)


def assert_close(found: Any, wanted: Any, rtol: float, given: Inputs) -> None:
    """Equal up to rounding: relative to the value, or to the largest input where large ones cancel. One number wanted of many: their mean."""
    found, wanted = np.asarray(found, np.float64), np.asarray(wanted, np.float64)
    size = max((float(np.abs(x).max()) for x in given.values() if isinstance(x, np.ndarray) and x.dtype.kind == "f"), default=1.0)
    np.testing.assert_allclose(found.mean() if wanted.ndim == 0 else found, wanted, rtol=rtol, atol=1e-3 * rtol * max(size, 1.0))


def lattice(n: int, step: int, modulus: int) -> np.ndarray:
    """(n,) well spread numbers in [0, 1) that any machine makes alike: distinct up to the modulus, then repeating."""
    return (step * np.arange(1, n + 1) % modulus) / modulus
