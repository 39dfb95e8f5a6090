"""`finml leaderboard` and `finml report`: what was measured, and what follows from it."""

from __future__ import annotations

import webbrowser
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from finml_models.core import catalog, keys
from finml_models.core.errors import NotBuilt

from . import render

if TYPE_CHECKING:
    from finml_models.core.recommend import Evidence
    from finml_models.evaluation.leaderboard import LeaderboardRow
    from finml_models.evaluation.report import Report
    from finml_pipelines.records import ReportRecord


def leaderboard(
    *,
    use_case: Annotated[str | None, typer.Option("--use-case", "-u", help="Only this use case.")] = None,
    as_json: render.AsJson = False,
) -> None:
    """Rank the models and baselines of each use case by their newest reports.

    Example: `finml leaderboard --use-case volatility_forecasting`
    """
    rows = ranking(use_case)
    if as_json:
        render.print_json(rows)
    else:
        print_ranking(rows)


def report(
    pair: Annotated[str, typer.Argument(help="<use case>-<model or baseline>, for example volatility_forecasting-lstm")],
    *,
    as_json: render.AsJson = False,
    open_page: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
) -> None:
    """Show what a pair's newest evaluation came to: verdict, gate, metrics, and where the page with the plots is.

    Example: `finml report volatility_forecasting-log_har --open`
    """
    from finml_models.evaluation.report import read
    from finml_pipelines.records import locate

    record = newest_report(pair)
    document = read(locate(record.report))
    if as_json:
        render.print_json(document)
    else:
        _print_report(document, str(locate(record.page)))
    if open_page and not webbrowser.open(locate(record.page).as_uri()):
        typer.echo(f"no browser could be started; open {locate(record.page)}", err=True)


def newest_report(pair_id: str) -> ReportRecord:
    """The record of a pair's newest report; raises `UnknownName` or `NotBuilt`."""
    from finml_pipelines import records

    pair = catalog.pair(pair_id)
    record = records.get(keys.report(pair))
    if not isinstance(record, records.ReportRecord):
        raise NotBuilt(f"{pair_id} has no report yet; make one with: finml run --use-case {pair.task.id()} --model {pair.entry.id}")
    return record


def reports(use_case: str) -> dict[str, Report]:
    """The newest report of each model and baseline of a use case that has one, in the order of their making."""
    from finml_models.evaluation.report import read
    from finml_pipelines import records

    found = map(read, records.report_paths(use_case))
    return {document.entry: document for document in found}


def measured(use_case: str) -> dict[str, Evidence]:
    """What the newest reports say, in the terms of a recommendation; nothing for a use case without code."""
    if catalog.task(use_case).id() not in runnable():
        return {}
    return {entry: document.evidence() for entry, document in reports(use_case).items()}


def passed() -> set[str]:
    """Ids of the models and baselines whose newest version passed a gate."""
    from finml_pipelines import records

    found = ((pair.entry.id, records.get(keys.report(pair))) for use_case in runnable() for pair in catalog.contenders(use_case))
    return {entry for entry, record in found if isinstance(record, records.ReportRecord) and record.passed}


def ranking(use_case: str | None = None) -> list[LeaderboardRow]:
    """The leaderboards of one use case, or of all that have code, best first."""
    from finml_models.evaluation.leaderboard import beside_newest
    from finml_models.evaluation.leaderboard import leaderboard as rank

    rows = []
    for name in [catalog.task(use_case).id()] if use_case else runnable():
        found = list(reports(name).values())
        ranked = beside_newest(found)
        if left_out := [report.entry for report in found if report not in ranked]:
            typer.echo(f"{name}: {', '.join(left_out)} left out, for they were judged on other data than {ranked[-1].entry}; run them again on it", err=True)
        rows += rank(ranked)
    return rows


def runnable() -> list[str]:
    """The use cases that have code."""
    return sorted({pair.task.id() for pair in catalog.pairs() if pair.gap is None})


def print_ranking(rows: Iterable[LeaderboardRow]) -> None:
    """A table of leaderboard rows; says what to do when there is none."""
    rows = list(rows)
    if not rows:
        typer.echo("no reports yet; make some with: finml run")
        return
    for use_case in dict.fromkeys(row.use_case for row in rows):
        own = [row for row in rows if row.use_case == use_case]
        render.table(
            use_case,
            ("model", "metric", "value", "interval", "verdict", "release"),
            [
                (
                    f"{'*' if row.champion else ' '} {row.model}",
                    f"{row.metric} ({'less' if row.lower_is_better else 'more'} is better)",
                    render.number(row.value),
                    f"{render.number(row.interval[0])} to {render.number(row.interval[1])}",
                    row.verdict,
                    row.release,
                )
                for row in own
            ],
        )
    typer.echo("* champion. A verdict compares with the best baseline; read one with: finml report PAIR")


def _print_report(document: Report, page: str) -> None:
    typer.echo(f"{document.headline}\n{document.judgement.sentence}")
    passed = "passed" if document.gate.passed else "refused"
    render.table(
        f"gate {document.gate.version}: {passed}",
        ("check", "", "what was found"),
        [(check.name, ("ok" if check.passed else "no") + ("" if check.blocking else " (shown only)"), check.sentence) for check in document.gate.checks],
    )
    measure = document.metrics[0]
    render.table(
        f"{measure.label} out of sample, {document.scored.first} to {document.scored.last}",
        ("entry", "horizon", "value", f"{document.interval_level:.0%} interval", "rows"),
        [
            (row.entry, row.horizon, render.number(row.value), f"{render.number(row.low)} to {render.number(row.high)}", f"{row.n:,}")
            for row in document.table
            if row.metric == measure.id
        ],
    )
    typer.echo(f"page: {page}\nreproduce: {document.reproduce}")
