"""From out-of-sample predictions to a report: aligned, scored, judged, drawn, written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from pydantic import JsonValue

from finml_models.core.catalog import Pair
from finml_models.core.errors import DataError
from finml_models.core.files import write_atomic
from finml_models.core.profile import PROFILES, ProfileName
from finml_models.core.task import Gate, Task

from .allocation import strategy_of
from .costs import CostModel
from .document import (
    LEVEL,
    CardSection,
    Ceiling,
    CurvePoint,
    DataSection,
    MetricNote,
    Report,
    Resources,
    ScoredSummary,
    Seeds,
    TableRow,
    TrainingSummary,
    TrialCount,
)
from .forecast_trading import said, traded
from .metrics import metric
from .scored import Scored, is_rowwise, score
from .scores import Scores, content_hash
from .slices import by_part
from .statistics import bootstrap_intervals
from .strategy_section import StrategySection, Tried
from .verdict import Check, GateResult, Judgement, Verdict, Waiver, ablated, decide, primary

if TYPE_CHECKING:
    from pandas import DataFrame

    from .backtest import Fit
    from .plots import Plot

__all__ = [
    "Ceiling",
    "DataSection",
    "Report",
    "Resources",
    "TrainingSummary",
    "TrialCount",
    "assess",
    "build",
    "read",
    "read_plots",
    "scored",
    "scores_of",
    "summarise",
    "write",
]

REPORT_JSON, REPORT_HTML, PLOTS = "report.json", "report.html", "plots"


def scored(task: type[Task], entry: str, predictions: DataFrame) -> Scored:
    """What an entry's predictions scored by the metrics of a task: what every report that compares with it needs of it."""
    return score(entry, predictions, task.metrics, interval=_guarded(task.gate), unit=task.unit, trading=task.trading)


def scores_of(task: type[Task], predictions: Mapping[str, DataFrame]) -> Scores:
    """`scored` of each entry; `DataError` where they did not predict the same rows."""
    return Scores.of({name: scored(task, name, frame) for name, frame in predictions.items()})


def build(
    pair: Pair,
    predictions: Mapping[str, DataFrame],
    scores: Scores,
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
    waiver: Waiver | None = None,
    trials: TrialCount | None = None,
    ceilings: Sequence[Ceiling] = (),
    notes: Sequence[str] = (),
    extra: Sequence[Check] = (),
) -> tuple[Report, tuple[Plot, ...]]:
    """The report of a pair and its plots: `assess` with what the pipeline knows of the run; `write` takes both.

    `scores` are what the predictions scored, by `scored`.
    """
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
        waiver=waiver,
        trials=trials,
        ceilings=ceilings,
        notes=notes,
        extra=extra,
        scores=scores,
    )
    report = report.model_copy(update={"defaults": _is_default(pair, profile, fingerprint)})
    return report, draw(report, predictions, scores)


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
    waiver: Waiver | None = None,
    trials: TrialCount | None = None,
    ceilings: Sequence[Ceiling] = (),
    notes: Sequence[str] = (),
    extra: Sequence[Check] = (),
    scores: Scores | None = None,
) -> Report:
    """Compare a pair's out-of-sample predictions with those of all baselines of its task.

    `predictions` holds a frame an entry: the pair's own, one a baseline of the task, and those of other models that were
    tried, as far as they are at hand. These, and `tried`, the number of configurations of models tried at all (this one
    included), make Holm's correction. `waiver` may let an entry pass that the gate refuses. `trials` counts the fits behind
    all of them, for the page; `ceilings` are the best possible values of metrics where the truth is known, as on planted
    data; `notes` are what a reader has to know of data and model, and `extra` further checks of the gate. `scores` are
    what the predictions scored, where that is at hand. Raises `DataError` when one is missing or the frames are not of the same rows.
    """
    task, entry = pair.task, pair.entry.id
    if missing := sorted({entry, *task.baselines} - set(predictions)):
        raise DataError(f"{pair.id}: no predictions of {', '.join(missing)}; run them on the same data first")
    scores = scores or scores_of(task, predictions)
    measured = [name for name in task.metrics if name == task.metrics[0] or _has_value(scores, name)]
    decision = decide(pair, scores, milliseconds=resources.milliseconds, megabytes=resources.megabytes, tried=tried, waiver=waiver, extra=extra)
    judgement, result, winner = decision.judgement, decision.gate, decision.best_baseline
    measure, against = primary(task), judgement.against
    strategy = traded(predictions[entry], task.trading, name=f"{pair.id}:{version}", tried=max(tried, judgement.tried)) if task.trading else None
    if task.costs:
        strategy = _strategy(pair, predictions, tried=judgement.tried, trial=str(fingerprint.get("id", version)))
    words = said(strategy, {h: scores[entry].value("oos_r2", h) for h in task.horizons if "oos_r2" in task.metrics}) if task.trading else ()
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
        metrics=tuple(_note(name) for name in measured),
        table=_table(scores, (entry, *_ablations(pair, predictions), *(name for name in task.baselines if name != entry)), task, measured),
        ceilings=tuple(ceilings),
        slices=by_part(scores, entry, against, measure, forecast=predictions[winner]),
        regimes_of=winner,
        strategy=strategy,
        seeds=_seeds(scores, entry, measure),
        data=data,
        scored=_scored(scores),
        training=training,
        resources=resources,
        trials=trials,
        card=_card(pair),
        predictions=content_hash(predictions[entry]),
        fingerprint=dict(fingerprint),
        reproduce=reproduce,
        limitations=pair.entry.card.weaknesses,
        notes=(*words, *notes),
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


def _is_default(pair: Pair, profile: str, fingerprint: Mapping[str, JsonValue]) -> bool | None:
    if profile not in list(ProfileName) or not {"hyperparameters", "config"} <= set(fingerprint):
        return None
    chosen = pair.entry.card.hyperparameters().model_dump(mode="json"), PROFILES[ProfileName(profile)].training.model_dump(mode="json")
    return chosen == (fingerprint["hyperparameters"], fingerprint["config"])


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
    failed = ", ".join(result.failed)
    if result.passed_by_waiver:
        return f"{comparison}; the gate refuses it ({failed}), and a written waiver releases it."
    return f"{comparison} and passes the gate." if result.passed else f"{comparison}; the gate refuses it ({failed})."


def _guarded(rule: Gate) -> float | None:
    """The level of the interval whose coverage the gate guards."""
    return rule.coverage.level if rule.coverage else None


def _strategy(pair: Pair, predictions: Mapping[str, DataFrame], *, tried: int, trial: str) -> StrategySection:
    """The entry's strategy section, beside the first naive reference of the task."""
    task, entry = pair.task, pair.entry.id
    naive = task.gate.naive[0]
    costs = CostModel(version=task.gate.version, **task.costs)
    return strategy_of(predictions[entry], name=entry, trial=trial, costs=costs, tried=Tried(count=tried), reference=(naive, predictions[naive]))


def _note(name: str) -> MetricNote:
    m = metric(name)
    return MetricNote(id=m.id, label=m.label, explanation=m.explanation, unit=m.unit, lower_is_better=m.lower_is_better)


def _ablations(pair: Pair, predictions: Mapping[str, DataFrame]) -> list[str]:
    """The names under which the predictions of the model's ablations stand."""
    return [name for ablation in pair.entry.card.ablations if (name := ablated(pair.entry.id, ablation)) in predictions]


def _has_value(scores: Scores, name: str) -> bool:
    """Whether any entry has a value of a metric on these rows: one of long documents has none where all are short."""
    everywhere = np.ones(len(scores.rows), dtype=bool)
    return any(scores[entry].value_of(name, everywhere) is not None for entry in scores)


def _table(scores: Scores, entries: tuple[str, ...], task: type[Task], measured: Sequence[str]) -> tuple[TableRow, ...]:
    """A value and interval for each entry, metric and horizon: by bootstrap of units, or by jackknife for metrics of whole sets."""
    rows: list[TableRow] = []
    for horizon in (None, *task.horizons) if len(task.horizons) > 1 else (None,):
        n = scores.rows.count(horizon)
        for (entry, name), (value, low, high) in _intervals(scores, entries, task, measured, horizon).items():
            rows.append(TableRow(entry=entry, horizon=horizon or "all", metric=name, value=value, low=low, high=high, n=n))
    return tuple(rows)


def _intervals(
    scores: Scores, entries: tuple[str, ...], task: type[Task], measured: Sequence[str], horizon: int | None
) -> dict[tuple[str, str], tuple[float, float, float]]:
    """(value, low, high) by entry and metric.

    All row-wise metrics of a horizon are resampled together. Blocks are twice as long as the label, so that overlap stays
    inside them; independent units are resampled one by one.
    """
    from scipy.special import stdtrit

    keys = [(entry, name) for entry in entries for name in measured]
    rowwise = [key for key in keys if is_rowwise(key[1])]
    found: dict[tuple[str, str], tuple[float, float, float]] = {}
    if rowwise:
        each = [scores[entry].series(name, horizon) for entry, name in rowwise]
        block = 2 * (horizon or max(task.horizons, default=1)) if task.unit == "date" else 1
        bounds = bootstrap_intervals(np.stack(each, axis=1), level=LEVEL, block=block, seed=0)
        # The mean of the single series, so that whoever scores one entry alone gets the same bits.
        found |= {key: (float(own.mean()), float(low), float(high)) for key, own, low, high in zip(rowwise, each, *bounds, strict=True)}
    for entry, name in keys:
        if (entry, name) in found:
            continue
        try:
            value, pseudo = scores[entry].value(name, horizon), scores[entry].losses(name, horizon)
        except DataError:
            if name == measured[0]:
                raise
            # No cell: a strategy that never trades, or in one block of dates alone, has no break-even cost with an interval.
            continue
        half = float(stdtrit(len(pseudo) - 1, (1 + LEVEL) / 2) * pseudo.std(ddof=1) / np.sqrt(len(pseudo)))
        found[entry, name] = value, value - half, value + half
    return found


def _card(pair: Pair) -> CardSection:
    card = pair.entry.card
    return CardSection(
        purpose=pair.task.description,
        best_for=card.best_for,
        concept=card.description,
        strengths=card.strengths,
        references=tuple((f"{paper.title} ({paper.year})", paper.link) for paper in card.references),
        explainability=card.explainability.value,
    )


def _seeds(scores: Scores, entry: str, measure: str) -> Seeds:
    values = scores[entry].by_seed(measure)
    spread = float(values.std(ddof=1)) if len(values) > 1 else None
    return Seeds(values={seed: float(value) for seed, value in zip(scores[entry].seeds, values, strict=True)}, spread=spread)


def _scored(scores: Scores) -> ScoredSummary:
    dates = scores.rows.dates()
    return ScoredSummary(
        rows=scores.rows.count(),
        dates=len(dates),
        entities=int(scores.rows.frame["entity"].nunique()),
        folds=int(scores.rows.frame["fold"].nunique()),
        first=str(dates[0].astype("datetime64[D]")),
        last=str(dates[-1].astype("datetime64[D]")),
        unit=scores.rows.unit,
    )
