"""Proof of a version: its files are those that were written, its data those that were hashed, and its numbers come out again.

Equal code, packages and machine promise equal bits, so the second training is compared bit for bit. Anything else is
compared within a tolerance, and the certificate says so.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from pydantic import JsonValue, ValidationError

from finml_models.core import artifact as artifacts
from finml_models.core import serving
from finml_models.core.batches import newest
from finml_models.core.catalog import Pair
from finml_models.core.errors import CorruptArtifact, DataError, FinmlError
from finml_models.core.estimator import OnProgress, TrainingConfig, ignore
from finml_models.core.task import WalkForward

from . import report as reporting
from .backtest import Walk
from .certificate import Certificate, Finding
from .document import Report
from .fingerprint import code, computer, identity, package_versions
from .scored import KEY, score
from .scores import content_hash

if TYPE_CHECKING:
    from finml_models.core.artifact import ModelRecord
    from finml_models.core.batches import Batch

    from .backtest import Backtest

TOLERANCE = 0.01
"""Allowed in another environment: difference of a metric as a share of it, and of predictions (root mean square) as a share of their deviation."""

OnFinding = Callable[[Finding], None]
OnFit = Callable[[int | None, int], OnProgress]
Found = tuple[str, dict[str, JsonValue]]


@dataclass(frozen=True, slots=True)
class Files:
    """Where the parts of one version lie: three of its own, and the folder of raw snapshots."""

    artifact: Path
    predictions: Path
    report: Path
    snapshots: Path


class Refused(Exception):
    """A finding that failed: its sentence, and the figures behind it."""

    def __init__(self, sentence: str, figures: Mapping[str, JsonValue] | None = None) -> None:
        super().__init__(sentence)
        self.sentence, self.figures = sentence, dict(figures or {})


def unheard(_finding: Finding) -> None:
    """The listener that does nothing."""


def unseen(_fold: int | None, _seed: int) -> OnProgress:
    """The listener to fits that does nothing."""
    return ignore


def verify(pair: Pair, files: Files, *, quick: bool = False, on_finding: OnFinding = unheard, on_fit: OnFit = unseen) -> Certificate:
    """Look at everything that can be looked at, and certify it or say what does not hold.

    `quick` re-scores the stored predictions and asks the stored artifact; otherwise all fits of the walk-forward run are
    done again by the fingerprint's configuration. Findings are handed out as they are made. What does not hold is a
    finding and never an exception.
    """
    return _Verification(pair, files, quick, on_finding, on_fit).run()


@dataclass
class _Verification:
    pair: Pair
    files: Files
    quick: bool
    on_finding: OnFinding
    on_fit: OnFit
    findings: list[Finding] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)
    record: ModelRecord | None = None
    _features: pd.DataFrame = field(default_factory=pd.DataFrame)

    def run(self) -> Certificate:
        if self._find("artifact", self._artifact):
            frame = self._find("data", self._data)
            self._find("environment", self._environment)
            report = self._find("report", self._report)
            stored = self._find("stored predictions", lambda: self._stored(report)) if report is not None else None
            batch = self._find("features", lambda: self._batch(frame)) if frame is not None else None
            if batch is not None and self.quick:
                self._find("artifact predicts", lambda: self._predicts(batch))
            elif batch is not None and stored is not None and report is not None:
                again = self._find("second training", lambda: self._walk(batch))
                if again is not None:
                    self._find("predictions again", lambda: self._same_predictions(stored, again.predictions))
                    self._find("metric again", lambda: self._same_metric(report, again.predictions))
                    self._find("version again", lambda: self._same_version(batch, again))
        mark = self.record.fingerprint if self.record else {}
        return Certificate(
            pair=self.pair.id,
            version=self.files.artifact.name,
            passed=all(finding.passed for finding in self.findings),
            mode="quick" if self.quick else "full",
            exact=not self.differences,
            when=datetime.now(UTC),
            fingerprint=str(mark.get("id", "")),
            findings=tuple(self.findings),
            code_version=str(code()["code_version"]),
            packages=dict(package_versions()),
            platform=dict(computer()),
        )

    def _find(self, name: str, look: Callable[[], tuple[Any, str, dict[str, JsonValue]]]) -> Any:
        """Do one look and keep what it found; returns what later looks need, None where it did not hold."""
        try:
            result, sentence, figures = look()
            finding = Finding(name=name, passed=True, sentence=sentence, figures=figures)
        except Refused as refusal:
            result, finding = None, Finding(name=name, passed=False, sentence=refusal.sentence, figures=refusal.figures)
        except FinmlError as error:
            result, finding = None, Finding(name=name, passed=False, sentence=str(error))
        self.findings.append(finding)
        self.on_finding(finding)
        return result

    @property
    def mark(self) -> Mapping[str, JsonValue]:
        return self._record.fingerprint

    @property
    def _record(self) -> ModelRecord:
        assert self.record is not None  # noqa: S101 - nothing after the first finding runs without it
        return self.record

    def _artifact(self) -> tuple[bool, str, dict[str, JsonValue]]:
        manifest = artifacts.verify(self.files.artifact)
        record = artifacts.ModelRecord.model_validate_json((self.files.artifact / artifacts.MODEL).read_bytes())
        if (record.task, record.entry) != (self.pair.task.id(), self.pair.entry.id):
            raise CorruptArtifact(f"{self.files.artifact.name} is of {record.task}-{record.entry}, not of {self.pair.id}; name its own pair")
        if identity(record.fingerprint) != record.fingerprint.get("id"):
            raise CorruptArtifact(f"{self.files.artifact.name}: the fingerprint's id is not that of its fields; train again")
        self.record = record
        size = sum(entry.size for entry in manifest.files.values())
        return True, f"{len(manifest.files)} files, {size:,} bytes, each with the sha256 of its manifest.", {n: e.sha256 for n, e in manifest.files.items()}

    def _data(self) -> tuple[pd.DataFrame, str, dict[str, JsonValue]]:
        expected = str(self.mark["snapshot"])
        frame = _parquet(self.files.snapshots / f"{expected}.parquet")
        found = _content(self.pair, frame)
        if found != expected:
            raise Refused(
                f"{expected[:16]}….parquet: a value was changed, its content has sha256 {found}, expected {expected}{self._changed_value(frame, expected)}",
                {"expected": expected, "actual": found},
            )
        return frame, f"{len(frame):,} raw rows have the content hash {expected[:16]}….", {"snapshot": expected, "rows": len(frame)}

    def _changed_value(self, frame: pd.DataFrame, expected: str) -> str:
        """Which value it was, where the dataset can still be read from its source."""
        try:
            source = import_module("finml_models.datasets").load(reporting.read(self.files.report).data.dataset)
        except (FinmlError, OSError, ValidationError):
            return ""
        if source.snapshot != expected:
            return ""
        key = ["entity", "time"]
        ours, theirs = (f.set_index(key).sort_index() for f in (frame, source.frame))
        if not ours.index.equals(theirs.index):
            return f"; it has {len(ours):,} rows, dataset {source.id} has {len(theirs):,}"
        for name in theirs.columns:
            a, b = ours[name].to_numpy(), theirs[name].to_numpy()
            unequal = np.flatnonzero((a != b) & ~(pd.isna(a) & pd.isna(b)))
            if len(unequal):
                entity, when = theirs.index[unequal[0]]
                return f"; {name} of {entity} on {when:%Y-%m-%d} is {a[unequal[0]]}, dataset {source.id} says {b[unequal[0]]} ({len(unequal)} such)"
        return ""

    def _environment(self) -> tuple[bool, str, dict[str, JsonValue]]:
        now: dict[str, JsonValue] = {"code_version": code()["code_version"], "platform": dict(computer()), "packages": dict(package_versions())}
        self.differences = _differences({name: self.mark.get(name) for name in now}, now)
        if not self.differences:
            return True, "Code, packages and machine are those of the training: equal bits are demanded.", {}
        shown = "; ".join(self.differences)
        return True, f"Not those of the training ({shown}): numbers are compared within {TOLERANCE:.0%}.", {"differences": list(self.differences)}

    def _report(self) -> tuple[Report, str, dict[str, JsonValue]]:
        try:
            report = reporting.read(self.files.report)
        except (OSError, ValidationError) as error:
            raise DataError(f"{self.files.report}: the report is missing or unreadable ({error}); run the pair's report again") from error
        if report.version != self.files.artifact.name or report.fingerprint != dict(self.mark):
            raise Refused(f"The report is of version {report.version} with fingerprint {report.fingerprint.get('id')}; the artifact has {self.mark.get('id')}.")
        return report, f"The report is of this version: {report.headline}", {"verdict": report.verdict.value, "gate": report.gate.passed}

    def _stored(self, report: Report) -> tuple[pd.DataFrame, str, dict[str, JsonValue]]:
        stored = _parquet(self.files.predictions)
        found = content_hash(stored)
        if report.predictions and found != report.predictions:
            raise Refused(
                f"{self.files.predictions.name}: a prediction was changed, its content has sha256 {found}, the report was made of {report.predictions}",
                {"expected": report.predictions, "actual": found},
            )
        return stored, *self._scores(report, stored, exact=not self.differences)

    def _scores(self, report: Report, frame: pd.DataFrame, *, exact: bool) -> Found:
        """Every metric and horizon of the report's own entry, scored again."""
        entry = self.pair.entry.id
        scored = score(entry, frame, [note.id for note in report.metrics], unit=self.pair.task.unit, trading=self.pair.task.trading)
        worst = 0.0
        for row in (row for row in report.table if row.entry == entry):
            value = scored.value(row.metric, None if row.horizon == "all" else int(row.horizon))
            worst = max(worst, abs(value - row.value) / max(abs(row.value), 1e-12))
            if worst > (0.0 if exact else TOLERANCE):
                raise Refused(
                    f"{row.metric} at horizon {row.horizon} comes out as {value!r}, the report says {row.value!r}", {"report": row.value, "again": value}
                )
        decisive = report.metrics[0]
        value = scored.value(decisive.id)
        return f"{len(frame):,} rows give the report's numbers again: {decisive.label} {value:.6g}.", {decisive.id: value, "max relative difference": worst}

    def _batch(self, frame: pd.DataFrame) -> tuple[Batch, str, dict[str, JsonValue]]:
        task = self.pair.task()
        x, y = task.features(frame), task.target(frame)
        both = pd.concat([x, y.drop(columns=["entity", "time"])], axis=1)
        batch = task.view(self.pair.kind, both, both)
        self._features = both
        if (signature := task.signature(batch)) != self._record.signature:
            raise Refused(f"The task computes other inputs than the artifact was built for: {signature} where it has {self._record.signature}")
        return batch, f"{len(batch):,} rows with features and targets, computed again from the raw rows.", {"rows": len(batch)}

    def _predicts(self, batch: Batch) -> tuple[bool, str, dict[str, JsonValue]]:
        rows = newest(batch)
        first, second = (artifacts.load(self.files.artifact).estimator.predict(rows).columns() for _ in range(2))
        if broken := [name for name, values in first.items() if not np.isfinite(np.asarray(values, np.float64)).all()]:
            raise Refused(f"The artifact's predictions for the newest rows are not all finite: {', '.join(broken)}.")
        if any(not np.array_equal(values, second[name]) for name, values in first.items()):
            raise Refused("The artifact, loaded twice, predicts different numbers for the newest rows.")
        count = sum(int(np.size(values)) for values in first.values())
        return True, f"Loaded twice, it predicts the same {count} finite numbers for the newest rows.", {"predictions": count}

    def _walk(self, batch: Batch) -> tuple[Backtest, str, dict[str, JsonValue]]:
        mark, task = self.mark, self.pair.task
        chosen = self.pair.entry.card.hyperparameters.model_validate(mark["hyperparameters"])
        config = TrainingConfig.model_validate(mark["config"])
        seeds = mark["seeds"]
        if not isinstance(seeds, list):
            raise CorruptArtifact(f"{self.files.artifact.name}: the fingerprint's seeds are {seeds!r}; train again")
        # The split of the training, also when the task has another one by now.
        split = WalkForward.model_validate(mark["split"])
        as_trained = type(task.__name__, (task,), {"__module__": task.__module__, "split": split})
        again = Walk(replace(self.pair, task=as_trained), batch, chosen, config, tuple(int(str(seed)) for seed in seeds)).run(self.on_fit)
        if (device := _device(config)) != "cpu":
            self.differences.append(f"device {device}, where equal bits are not promised")
        seconds = sum(fit.seconds for fit in again.fits)
        return again, f"{len(again.fits)} fits by the fingerprint's configuration in {seconds:.1f} s.", {"fits": len(again.fits), "seconds": seconds}

    def _same_predictions(self, stored: pd.DataFrame, again: pd.DataFrame) -> tuple[bool, str, dict[str, JsonValue]]:
        first, second = (frame.sort_values([*KEY, "seed"], ignore_index=True) for frame in (stored, again))
        keys = [*KEY, "seed"]
        if len(first) != len(second) or any((first[name].to_numpy() != second[name].to_numpy()).any() for name in keys):
            raise Refused(f"The second training scores {len(second):,} rows, {len(first):,} are stored, or their dates, entities, folds or seeds differ.")
        numbers = [name for name in first.columns if name not in keys]
        a, b = (frame[numbers].to_numpy(np.float64) for frame in (first, second))
        largest = float(np.abs(a - b).max())
        share = float(np.sqrt(np.square(a - b).mean()) / max(float(a.std()), 1e-300))
        figures: dict[str, JsonValue] = {"rows": len(first), "max |difference|": largest, "root mean square as a share of the deviation": share}
        if not share <= (0.0 if not self.differences else TOLERANCE):
            raise Refused(f"The second training's predictions differ from the stored ones: max |difference| = {largest:.3g} over {len(first):,} rows.", figures)
        return True, f"The second training's {len(first):,} rows against the stored ones: max |difference| = {largest:.3g}.", figures

    def _same_metric(self, report: Report, again: pd.DataFrame) -> tuple[bool, str, dict[str, JsonValue]]:
        return True, *self._scores(report, again, exact=not self.differences)

    def _same_version(self, batch: Batch, again: Backtest) -> tuple[bool, str, dict[str, JsonValue]]:
        record, expected = self._record, self.files.artifact.name
        with tempfile.TemporaryDirectory() as folder:
            made = artifacts.save(
                Path(folder),
                again.released,
                task=record.task,
                entry=record.entry,
                fingerprint=record.fingerprint,
                reference=serving.reference(self.pair.task(), batch, self._features),
            ).name
        if made == expected:
            return True, f"The fit on all rows has the version {made} again: every file has the same bits.", {"version": made}
        if not self.differences:
            raise Refused(f"The fit on all rows has the version {made}, expected {expected}.", {"expected": expected, "actual": made})
        ours, theirs = again.released.state(), artifacts.load(self.files.artifact).estimator.state()
        comparable = ours.keys() == theirs.keys() and all(ours[name].shape == theirs[name].shape for name in ours)
        largest = max((float(np.abs(ours[name].astype(np.float64) - theirs[name]).max(initial=0)) for name in ours), default=0.0) if comparable else None
        said = "weights of another shape" if largest is None else f"max |difference| of the weights = {largest:.3g}"
        return True, f"The fit on all rows has another version, {made}, as another environment may: {said}.", {"version": made, "max |difference|": largest}


def _parquet(path: Path) -> pd.DataFrame:
    try:
        return pd.read_parquet(path)
    except FileNotFoundError as error:
        raise DataError(f"{path} is missing; restore it from a copy, or run the pair again") from error
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read ({error}); restore it from a copy, or run the pair again") from error


def _content(pair: Pair, frame: pd.DataFrame) -> str:
    try:
        return str(import_module("finml_models.datasets.content").snapshot_of(pair.task.dataset, frame))
    except (KeyError, TypeError) as error:
        raise DataError(f"the raw rows lack what a {pair.task.dataset} frame holds ({error}); restore the file from a copy") from error


def _differences(then: Mapping[str, JsonValue], now: Mapping[str, JsonValue], prefix: str = "") -> list[str]:
    """Leaves that differ, as `name: then -> now`."""
    found: list[str] = []
    for name in sorted({*then, *now}):
        a, b = then.get(name), now.get(name)
        if isinstance(a, dict) and isinstance(b, dict):
            found += _differences(a, b, f"{name} ")
        elif a != b:
            found.append(f"{prefix}{name}: {_short(a)} -> {_short(b)}")
    return found


def _short(value: JsonValue) -> str:
    text = "not recorded" if value is None else str(value)
    return f"{text[:12]}…" if len(text) == 64 else text


def _device(config: TrainingConfig) -> str:
    """Where the networks of this process compute; estimators without one never load torch and compute on the CPU."""
    torch = sys.modules.get("torch")
    return "cuda" if config.device != "cpu" and torch is not None and torch.cuda.is_available() else "cpu"
