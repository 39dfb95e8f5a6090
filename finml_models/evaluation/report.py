"""From out-of-sample predictions to a report: aligned, scored, judged, drawn, written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue

from finml_models.core.catalog import Pair
from finml_models.core.errors import DataError
from finml_models.core.files import write_atomic
from finml_models.core.task import Task

from .document import LEVEL, CurvePoint, DataSection, MetricNote, Report, Resources, ScoredSummary, Seeds, Slice, TableRow, TrainingSummary
from .metrics import metric
from .scores import GUARD, Scores, align
from .statistics import bootstrap_means, diebold_mariano
from .verdict import GateResult, Judgement, Verdict, best, gate, judge, primary

if TYPE_CHECKING:
    from pandas import DataFrame

    from .backtest import Fit
    from .plots import Plot

__all__ = ["DataSection", "Report", "Resources", "TrainingSummary", "assess", "build", "read", "read_plots", "summarise", "write"]

REPORT_JSON, REPORT_HTML, PLOTS = "report.json", "report.html", "plots"


def build(
    pair: Pair,
    predictions: Mapping[str, DataFrame],
    *,
    fits: Sequence[Fit],
    fingerprint: Mapping[str, JsonValue],
    data: DataSection,
    version: str,
    profile: str,
    milliseconds: float,
    megabytes: float,
    seconds: float,
    parameters: int | None = None,
    tried: int = 1,
) -> tuple[Report, tuple[Plot, ...]]:
    """The report of a pair and its plots: `assess` with what the pipeline knows of the run; `write` takes both."""
    from .plots import draw

    report = assess(
        pair,
        predictions,
        data=data,
        training=summarise(fits, profile=profile, seconds=seconds, parameters=parameters),
        resources=Resources(milliseconds=milliseconds, megabytes=megabytes),
        fingerprint=fingerprint,
        version=version,
        reproduce=command(pair, data.dataset, profile),
        tried=tried,
    )
    return report, draw(report, predictions)


def assess(
    pair: Pair,
    predictions: Mapping[str, DataFrame],
    *,
    data: DataSection,
    training: TrainingSummary,
    resources: Resources,
    fingerprint: Mapping[str, JsonValue],
    version: str,
    reproduce: str,
    tried: int = 1,
) -> Report:
    """Compare a pair's out-of-sample predictions with those of all baselines of its task.

    `predictions` holds a frame an entry: the pair's own, one a baseline of the task, and those of other models that were
    tried, as far as they are at hand. These, and `tried`, the number of models tried at all (this one included), make
    Holm's correction. Raises `DataError` when one is missing or the frames are not of the same rows.
    """
    task, entry = pair.task, pair.entry.id
    if missing := sorted({entry, *task.baselines} - set(predictions)):
        raise DataError(f"{pair.id}: no predictions of {', '.join(missing)}; run them on the same data first")
    rivals = [name for name in predictions if name != entry and name not in task.baselines]
    scores = align(predictions, task.metrics, interval=task.gate.coverage.level)
    measure, horizon = primary(task), max(task.horizons, default=1)
    losses = {name: scores.by_date(name, measure) for name in predictions}
    experts = [name for name in task.baselines if name != entry] or [entry]
    against = best({name: losses[name] for name in experts})

    def p_values(reference: str) -> list[float]:
        return [diebold_mariano(losses[name], losses[reference], horizon=horizon, alternative="less").p for name in rivals]

    family = not pair.entry.is_baseline
    judgement = judge(
        losses[entry],
        losses[against],
        horizon=horizon,
        margin=task.gate.margin,
        alpha=task.gate.alpha,
        others=p_values(against) if family else (),
        tried=max(tried, 1 + len(rivals)) if family else 1,
        name=pair.entry.card.name,
        against=against,
        measure=metric(measure).label,
    )
    result = gate(
        task,
        entry=entry,
        judgement=judgement,
        losses={name: losses[name] for name in (entry, *task.baselines)},
        years=_years(scores),
        coverage=float(scores.by_date(entry, GUARD).mean()),
        milliseconds=resources.milliseconds,
        megabytes=resources.megabytes,
        others_naive=p_values(task.gate.naive) if family else (),
    )
    winner = best({name: losses[name] for name in task.baselines})
    return Report(
        pair=pair.id,
        task=task.id(),
        task_name=task.name,
        entry=entry,
        entry_name=pair.entry.card.name,
        version=version,
        is_baseline=pair.entry.is_baseline,
        headline=_headline(pair, judgement, result, winner),
        verdict=judgement.verdict,
        judgement=judgement,
        gate=result,
        rule=task.gate,
        best_baseline=winner,
        metrics=tuple(_note(name) for name in task.metrics),
        table=_table(scores, (entry, *(name for name in task.baselines if name != entry)), task),
        slices=_slices(scores, entry, against, measure),
        seeds=_seeds(scores, entry, measure),
        data=data,
        scored=_scored(scores),
        training=training,
        resources=resources,
        fingerprint=dict(fingerprint),
        reproduce=reproduce,
        limitations=pair.entry.card.weaknesses,
    )


def summarise(fits: Sequence[Fit], *, profile: str, seconds: float, parameters: int | None = None) -> TrainingSummary:
    """The fits of a pair in a few figures."""
    curves = [fit.curve for fit in fits if fit.curve]
    return TrainingSummary(
        profile=profile,
        seconds=seconds,
        fits=len(fits),
        epochs=float(np.mean([len(curve) for curve in curves])) if curves else None,
        parameters=parameters,
        curve=tuple(CurvePoint(epoch=int(epoch), loss=float(loss), metric=float(value)) for epoch, loss, value in curves[-1]) if curves else (),
    )


def command(pair: Pair, dataset: str, profile: str) -> str:
    """The line that makes this report again, at its default hyperparameters."""
    return f"finml run --use-case {pair.task.id()} --model {pair.entry.id} --dataset {dataset} --profile {profile}"


def write(report: Report, plots: Sequence[Plot], folder: Path) -> Path:
    """Write the self-contained page `report.html`, the plots and `report.json`, each whole or not at all; returns the folder.

    The JSON comes last: where it lies, the rest lies too.
    """
    from .html import render

    for plot in plots:
        write_atomic(folder / PLOTS / f"{plot.id}.svg", plot.svg.encode())
    write_atomic(folder / REPORT_HTML, render(report, plots).encode())
    write_atomic(folder / REPORT_JSON, report.model_dump_json(indent=1).encode())
    return folder


def read(path: Path) -> Report:
    """The report that `write` left: its folder, or the path of its JSON."""
    return Report.model_validate_json((path / REPORT_JSON if path.is_dir() else path).read_bytes())


def read_plots(folder: Path) -> dict[str, str]:
    """The SVG texts that `write` left, by plot id."""
    return {path.stem: path.read_text() for path in sorted((folder / PLOTS).glob("*.svg"))}


def _headline(pair: Pair, judgement: Judgement, result: GateResult, winner: str) -> str:
    name = pair.entry.card.name
    if pair.entry.is_baseline:
        return f"{name} is the best of {len(pair.task.baselines)} baselines." if result.passed else f"{name} is a baseline; {winner} is the best of them."
    comparison = {
        Verdict.SUPERIOR: f"{name} beats {judgement.against}",
        Verdict.NON_INFERIOR: f"{name} is no worse than {judgement.against}",
        Verdict.INFERIOR: f"{name} loses to {judgement.against}",
        Verdict.INCONCLUSIVE: f"{name} and {judgement.against} cannot be told apart with this much data",
    }[judgement.verdict]
    failed = ", ".join(check.name for check in result.checks if check.blocking and not check.passed)
    return f"{comparison} and passes the gate." if result.passed else f"{comparison}; the gate refuses it ({failed})."


def _note(name: str) -> MetricNote:
    m = metric(name)
    return MetricNote(id=m.id, label=m.label, explanation=m.explanation, unit=m.unit, lower_is_better=m.lower_is_better)


def _table(scores: Scores, entries: tuple[str, ...], task: type[Task]) -> tuple[TableRow, ...]:
    """All entries and metrics of a horizon are resampled together. Blocks are twice as long as the label, so that overlap stays inside them."""
    rows: list[TableRow] = []
    for horizon in (None, *task.horizons):
        keys = [(entry, name) for entry in entries for name in task.metrics]
        series = np.stack([scores.by_date(entry, name, horizon) for entry, name in keys], axis=1)
        means = bootstrap_means(series, block=2 * (horizon or max(task.horizons, default=1)), seed=0)
        bounds = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
        n = scores.count(horizon)
        rows += [
            TableRow(entry=entry, horizon=horizon or "all", metric=name, value=float(value), low=float(low), high=float(high), n=n)
            for (entry, name), value, low, high in zip(keys, series.mean(axis=0), *bounds, strict=True)
        ]
    return tuple(rows)


def _slices(scores: Scores, entry: str, against: str, measure: str) -> tuple[Slice, ...]:
    """Years average the dates' means, entities their own rows."""
    daily = np.stack([scores.by_date(name, measure) for name in (entry, against)], axis=1)
    years = _years(scores)
    rowwise = np.stack([scores.rowwise(name, measure) for name in (entry, against)], axis=1)
    entities = scores.rows["entity"].to_numpy().astype(str)
    row_years = scores.rows["time"].dt.year.to_numpy()
    found: list[Slice] = []
    for year in np.unique(years):
        ours, theirs = daily[years == year].mean(axis=0)
        found.append(Slice(by="year", name=str(year), value=float(ours), baseline_value=float(theirs), n=int((row_years == year).sum())))
    for entity in np.unique(entities):
        chosen = rowwise[entities == entity]
        ours, theirs = chosen.mean(axis=0)
        found.append(Slice(by="entity", name=str(entity), value=float(ours), baseline_value=float(theirs), n=len(chosen)))
    return tuple(found)


def _years(scores: Scores) -> NDArray[np.int64]:
    return scores.dates().astype("datetime64[Y]").astype(np.int64) + 1970


def _seeds(scores: Scores, entry: str, measure: str) -> Seeds:
    values = scores.by_seed(entry, measure)
    spread = float(values.std(ddof=1)) if len(values) > 1 else None
    return Seeds(values={seed: float(value) for seed, value in zip(scores.seeds[entry], values, strict=True)}, spread=spread)


def _scored(scores: Scores) -> ScoredSummary:
    dates = scores.dates()
    return ScoredSummary(
        rows=scores.count(),
        dates=len(dates),
        entities=int(scores.rows["entity"].nunique()),
        folds=int(scores.rows["fold"].nunique()),
        first=str(dates[0].astype("datetime64[D]")),
        last=str(dates[-1].astype("datetime64[D]")),
    )
