"""What one asset hands to the next: small typed records that point at files under the state folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from finml_models.core import catalog, keys
from finml_models.core.files import write_atomic
from finml_models.core.home import home
from finml_models.core.spec import Frozen


class RawRecord(Frozen):
    """A snapshot of a dataset: its content hash, and what its rules repaired."""

    record: Literal["raw"] = "raw"
    dataset: str
    snapshot: str
    path: str
    rows: int
    entities: int
    first: str
    last: str
    repairs: dict[str, int]
    truth: str | None = None
    """Where the perfect predictions lie, where they are known."""
    faults: bool = False
    simulated: bool = False


class FeaturesRecord(Frozen):
    """Features and targets of a task, computed from one snapshot."""

    record: Literal["features"] = "features"
    task: str
    dataset: str
    snapshot: str
    path: str
    rows: int


class ModelRecord(Frozen):
    """A trained entry: the artifact to release, the out-of-sample predictions, and the fits behind them."""

    record: Literal["model"] = "model"
    task: str
    entry: str
    dataset: str
    snapshot: str
    version: str
    artifact: str
    predictions: str
    ablations: dict[str, str] = Field(default_factory=dict)
    """Out-of-sample predictions of each ablation of the card, by name."""
    fits: str
    embedding: str | None = None
    """The picture of its embedding, where it has one."""
    profile: str
    seconds: float
    fingerprint: dict[str, object]


class ReportRecord(Frozen):
    """A judged entry."""

    record: Literal["report"] = "report"
    task: str
    entry: str
    version: str
    artifact: str
    report: str
    page: str
    verdict: str
    passed: bool


class ServiceRecord(Frozen):
    """A packaged version."""

    record: Literal["service"] = "service"
    task: str
    entry: str
    version: str
    tag: str


Record = Annotated[RawRecord | FeaturesRecord | ModelRecord | ReportRecord | ServiceRecord, Field(discriminator="record")]
_ADAPTER: TypeAdapter[Record] = TypeAdapter(Record)


def locate(relative: str) -> Path:
    """A path of a record, under the state folder."""
    return home() / relative


def relative(path: Path) -> str:
    """A path under the state folder as records hold it, so that the folder may be moved."""
    return path.relative_to(home()).as_posix()


def put(key: tuple[str, ...], record: Record) -> None:
    """Make a record the current one of an asset."""
    write_atomic(_file(key), _ADAPTER.dump_json(record, indent=1))


def get(key: tuple[str, ...]) -> Record | None:
    """The current record of an asset, or None when it was never made."""
    path = _file(key)
    return _ADAPTER.validate_json(path.read_bytes()) if path.exists() else None


def report_paths(use_case: str) -> list[Path]:
    """Of each model and baseline of a use case its newest report, in the order of their making."""
    asked = (keys.report(pair) for pair in catalog.contenders(use_case))
    found = {key: record for key in asked if isinstance(record := get(key), ReportRecord)}
    return [locate(found[key].report) for key in sorted(found, key=lambda key: _file(key).stat().st_mtime_ns)]


def _file(key: tuple[str, ...]) -> Path:
    return home() / "records" / Path(*key).with_suffix(".json")
