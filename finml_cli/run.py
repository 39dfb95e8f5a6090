"""`finml run`: the pipeline in this process, with its progress on the terminal."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from finml_models.core import catalog
from finml_models.core.profile import ProfileName

from . import configuration, evidence, render

if TYPE_CHECKING:
    from finml_pipelines.run import RunResult


def run(
    *,
    use_case: Annotated[str | None, typer.Option("--use-case", "-u", help="Only this use case; every one that has code otherwise.")] = None,
    models: Annotated[list[str] | None, typer.Option("--model", "-m", help="Only this model or baseline; may be repeated.")] = None,
    dataset: Annotated[str | None, typer.Option("--dataset", "-d", help="A registered dataset; see finml data list.")] = None,
    profile: Annotated[ProfileName, typer.Option("--profile", "-p", help="fast for a first look, full for a verdict to act on.")] = ProfileName.FAST,
    workers: Annotated[
        int | None, typer.Option("--workers", "-w", min=1, max=64, help="Use cases to run side by side, each in a process; the number of cores by default.")
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", "-s", metavar="NAME=VALUE", help="A hyperparameter of the one model named, or training.NAME of its training; may be repeated."),
    ] = None,
    config: Annotated[
        Path | None, typer.Option("--config", "-c", exists=True, dir_okay=False, help="The same from a JSON file: hyperparameters and training by name.")
    ] = None,
    as_json: render.AsJson = False,
) -> None:
    """Ingest, train, judge and package: the pipeline from raw data to releases, then the leaderboard.

    Example: `finml run --use-case volatility_forecasting --model gru --profile fast --set hidden=32`
    """
    chosen = configuration.read(tuple(models or ()), changes or [], config)
    result = execute(use_case, tuple(models or ()), dataset, profile, workers, chosen)
    rows = evidence.ranking(use_case)
    if as_json:
        render.print_json(rows)
    else:
        evidence.print_ranking(rows)
    if not result.success:
        raise typer.Exit(1)


def execute(
    use_case: str | None,
    models: tuple[str, ...],
    dataset: str | None,
    profile: ProfileName,
    workers: int | None = None,
    settings: configuration.Settings | None = None,
) -> RunResult:
    """Run the pipeline and show it on stderr; `settings` are those of the one model that is named."""
    from .progress import display

    _heed_signals()

    if use_case is not None:
        catalog.task(use_case)
    for model in models:
        catalog.entry(model)

    from finml_pipelines.run import run as run_pipeline
    from finml_pipelines.side_by_side import cores

    with display(render.console(stderr=True)) as show:
        return run_pipeline(use_case, models, dataset, profile, show, workers or cores(), settings)


def _heed_signals() -> None:
    """Let SIGTERM end a run that a script started in the background.

    Such a process ignores SIGINT, as its workers would, and Dagster gives SIGTERM the same answer as SIGINT: only a kill would end it.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
