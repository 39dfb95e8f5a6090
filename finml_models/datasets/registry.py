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

from .origins import DownloadOrigin
from .spec import FAMILIES, DatasetSpec, MarketSource, RecordTable, Settings, SimulatedSpec

if TYPE_CHECKING:
    from pandas import DataFrame
    from pydantic_core import ErrorDetails

DEFAULTS = {"loans": "simulated_loans", "market": "us_market", "news": "simulated_news", "orders": "simulated_orders", "transactions": "simulated_transactions"}
"""The dataset that a task uses where none is named, by kind."""
SIZES = {"loans": "loans", "news": "texts", "orders": "orders", "transactions": "accounts"}
"""What a simulator calls the number of what it makes."""


def default_of(source: str) -> str:
    """The dataset of a source of raw data (`Task.source`) where none is named: the default of a kind, or the dataset itself."""
    return DEFAULTS.get(source, source)


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
    """All registered ids: the embedded ones, the public downloads, the user's. Raises `DataError` where the settings file is wrong."""
    embedded, public, user = _embedded(), _public(), _user(settings_file())
    for name, there in {"embedded": embedded, "public": public}.items():
        if shadowed := sorted(there.keys() & user.keys()):
            raise DataError(f"{settings_file()}: the id(s) {', '.join(shadowed)} are {name} datasets: choose other ids")
    return embedded | public | user


def load(dataset_id: str) -> Dataset:
    """Read, clean and check a registered dataset. Raises `UnknownName`, `DataError`.

    Nothing is downloaded: a public file that was not fetched before is an error.
    """
    from .downloads import NotFetched

    spec = _known(dataset_id)
    try:
        if isinstance(spec, SimulatedSpec):
            return _simulated(dataset_id, spec)
        return _market(dataset_id, spec) if spec.kind == "market" else _records(dataset_id, spec)
    except NotFetched as error:
        raise DataError(f"dataset {dataset_id!r} was not fetched yet ({error}): run finml data fetch {dataset_id}") from error
    except DataError as error:
        raise DataError(f"dataset {dataset_id!r}: {error}") from error


def fetch(dataset_id: str) -> Path:
    """Download the file of a dataset unless it is there, hold it against its hash, and say where it lies. Raises `UnknownName`, `DataError`."""
    from . import downloads

    spec = _known(dataset_id)
    if not isinstance(spec, DownloadOrigin):
        raise DataError(f"dataset {dataset_id!r} comes from source {spec.source!r}: there is nothing to fetch")
    try:
        return downloads.fetch(spec, settings_file().parent)
    except DataError as error:
        raise DataError(f"dataset {dataset_id!r}: {error}") from error


def fetched(spec: DatasetSpec) -> bool | None:
    """Whether the file of a download is there; None for every other source."""
    from . import downloads

    return downloads.fetched(spec, settings_file().parent) if isinstance(spec, DownloadOrigin) else None


def _known(dataset_id: str) -> DatasetSpec:
    known = datasets()
    if dataset_id not in known:
        raise UnknownName("dataset", dataset_id, known)
    return known[dataset_id]


def _market(dataset_id: str, spec: MarketSource) -> Dataset:
    from .content import snapshot_of
    from .market import schema, sources
    from .market.clean import clean
    from .market.sessions import covering

    rows = sources.read(spec, settings_file().parent)
    frame, repairs = clean(rows, policy=spec.rules, calendar_sessions=covering(spec.calendar, rows["time"]))
    if spec.faults is not None:
        from .market.faults import inject

        # After the rules, so that what they did is what they did to the source.
        frame = inject(frame, seed=spec.faults.seed, every=spec.faults.every)
    return Dataset(id=dataset_id, spec=spec, frame=schema.check(frame), repairs=repairs, snapshot=snapshot_of("market", frame))


def _records(dataset_id: str, spec: RecordTable) -> Dataset:
    from . import records
    from .content import content_hash

    frame, repairs = records.read(spec, settings_file().parent)
    return Dataset(id=dataset_id, spec=spec, frame=frame, repairs=repairs, snapshot=content_hash(frame))


def _simulated(dataset_id: str, spec: SimulatedSpec) -> Dataset:
    from .content import content_hash

    size = {} if spec.size is None else {SIZES[spec.kind]: spec.size}
    made = import_module(f"{__package__}.{spec.kind}.synthetic").generate(seed=spec.seed, **size)
    frame = import_module(f"{__package__}.{spec.kind}.schema").check(made.frame)
    return Dataset(id=dataset_id, spec=spec, frame=frame, repairs=Untouched(), snapshot=content_hash(frame), truth=made.truth if len(made.truth) else None)


def settings_file() -> Path:
    """The user's settings: `FINML_DATASETS`, or `data/datasets.toml` in the working directory."""
    return Path(os.environ.get("FINML_DATASETS", "data/datasets.toml")).expanduser().resolve()


@cache
def _embedded() -> dict[str, DatasetSpec]:
    return _parse(files(__package__).joinpath("embedded.toml").read_bytes(), "embedded.toml")


@cache
def _public() -> dict[str, DatasetSpec]:
    return _parse(files(__package__).joinpath("public.toml").read_bytes(), "public.toml")


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
        problems = (f"{_field(e)}: {e['msg']}{_shown(e)}" for e in error.errors())
        raise DataError(f"{name}: {'; '.join(problems)}") from None


def _field(error: ErrorDetails) -> str:
    """The field's path as it stands in the file, without the name of the family that it was read as."""
    return ".".join(str(part) for position, part in enumerate(error["loc"]) if not (position == 2 and part in FAMILIES))


def _shown(error: ErrorDetails) -> str:
    value = error["input"]
    return f", got {value!r}"[:100] if isinstance(value, str | int | float) and error["type"] != "extra_forbidden" else ""
