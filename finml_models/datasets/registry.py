"""Registered dataset ids, and the one way to load them."""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from pydantic import ValidationError

from finml_models.core.errors import DataError, UnknownName

from .spec import DatasetSpec, Settings, SimulatedSpec

if TYPE_CHECKING:
    from pandas import DataFrame
    from pydantic_core import ErrorDetails

DEFAULTS = {"loans": "simulated_loans", "market": "us_market", "news": "simulated_news", "orders": "simulated_orders"}
"""The dataset that a task uses where none is named, by kind."""


class Counted(Protocol):
    """What the rules of a kind did to its rows, by rule."""

    def counts(self) -> dict[str, int]: ...


class Untouched:
    """The repairs of rows that need none."""

    def counts(self) -> dict[str, int]:
        """Nothing was done."""
        return {}


@dataclass(frozen=True, eq=False)
class Dataset:
    """Cleaned rows with their origin. `snapshot` is the sha256 of their content, whatever file or order they came in.

    `truth` holds entity, time and the columns of the perfect prediction, of simulated data.
    """

    id: str
    spec: DatasetSpec
    frame: DataFrame
    repairs: Counted
    snapshot: str
    truth: DataFrame | None = None


def datasets() -> dict[str, DatasetSpec]:
    """All registered ids, the embedded ones first. Raises `DataError` where the settings file is wrong."""
    embedded, user = _embedded(), _user(settings_file())
    shadowed = sorted(embedded.keys() & user.keys())
    if shadowed:
        raise DataError(f"{settings_file()}: the id(s) {', '.join(shadowed)} are embedded datasets: choose other ids")
    return embedded | user


def load(dataset_id: str) -> Dataset:
    """Read, clean and check a registered dataset. Raises `UnknownName`, `DataError`."""
    known = datasets()
    if dataset_id not in known:
        raise UnknownName("dataset", dataset_id, known)
    spec = known[dataset_id]
    if spec.source == "simulated":
        return _simulated(dataset_id, spec)
    from .market import schema, sources
    from .market.clean import clean
    from .market.sessions import covering
    from .market.snapshot import snapshot

    try:
        rows = sources.read(spec, settings_file().parent)
        frame, repairs = clean(rows, policy=spec.rules, calendar_sessions=covering(spec.calendar, rows["time"]))
    except DataError as error:
        raise DataError(f"dataset {dataset_id!r}: {error}") from error
    return Dataset(id=dataset_id, spec=spec, frame=schema.check(frame), repairs=repairs, snapshot=snapshot(frame))


def _simulated(dataset_id: str, spec: SimulatedSpec) -> Dataset:
    from .content import content_hash

    made = import_module(f"{__package__}.{spec.kind}.synthetic").generate(seed=spec.seed)
    frame = import_module(f"{__package__}.{spec.kind}.schema").check(made.frame)
    return Dataset(id=dataset_id, spec=spec, frame=frame, repairs=Untouched(), snapshot=content_hash(frame), truth=made.truth if len(made.truth) else None)


def settings_file() -> Path:
    """The user's settings: `FINML_DATASETS`, or `data/datasets.toml` in the working directory."""
    return Path(os.environ.get("FINML_DATASETS", "data/datasets.toml")).expanduser().resolve()


@cache
def _embedded() -> dict[str, DatasetSpec]:
    return _parse(files(__package__).joinpath("embedded.toml").read_bytes(), "embedded.toml")


def _user(file: Path) -> dict[str, DatasetSpec]:
    if not file.is_file():
        if "FINML_DATASETS" in os.environ:
            raise DataError(f"FINML_DATASETS names {file}, which is not a file: correct it or unset it")
        return {}
    return _parse(file.read_bytes(), str(file))


def _parse(content: bytes, name: str) -> dict[str, DatasetSpec]:
    try:
        return Settings.model_validate(tomllib.loads(content.decode())).datasets
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{name} is not TOML: {error}") from error
    except ValidationError as error:
        # Neither the values of unknown fields nor a traceback that quotes them: a URL with its password could stand there.
        problems = (f"{'.'.join(map(str, e['loc']))}: {e['msg']}{_shown(e)}" for e in error.errors())
        raise DataError(f"{name}: {'; '.join(problems)}") from None


def _shown(error: ErrorDetails) -> str:
    value = error["input"]
    return f", got {value!r}"[:100] if isinstance(value, str | int | float) and error["type"] != "extra_forbidden" else ""
