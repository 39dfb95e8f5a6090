"""`finml tune`: a search for better hyperparameters, on rows that no report scores."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Annotated, Self

import typer

from finml_models.core import catalog
from finml_models.core.profile import ProfileName

from . import render

if TYPE_CHECKING:
    from rich.console import Console

    from finml_models.training.tuning import Step
    from finml_models.training.tuning_report import TuningReport


def tune(
    pair: Annotated[str, typer.Argument(help="<use case>-<model or baseline>, for example volatility_forecasting-gru")],
    *,
    trials: Annotated[int, typer.Option("--trials", "-n", min=1, max=1_000, help="Configurations in all, the default first.")] = 20,
    only: Annotated[list[str] | None, typer.Option("--only", "-o", help="Search this hyperparameter and keep the others; may be repeated.")] = None,
    dataset: Annotated[str | None, typer.Option("--dataset", "-d", help="A registered dataset; see finml data list.")] = None,
    profile: Annotated[ProfileName, typer.Option("--profile", "-p", help="How long each configuration trains; one seed.")] = ProfileName.FAST,
    timeout: Annotated[float | None, typer.Option("--timeout", "-t", min=1, help="Seconds after which no further configuration is begun.")] = None,
    as_json: render.AsJson = False,
) -> None:
    """Search the hyperparameters of a pair with Optuna on rows before the first date that a report scores.

    What was tried is kept: the same command goes on where it was interrupted, and more --trials extend it. Every configuration counts
    as tried in the ledger.

    Example: `finml tune volatility_forecasting-gru --trials 20 --only hidden --only dropout`
    """
    catalog.pair(pair)

    from finml_pipelines.tuning import tune as search

    with display(render.console(stderr=True)) as show:
        report = search(pair, trials=trials, only=only or (), dataset=dataset, profile=profile, timeout=timeout, on_step=show)
    if as_json:
        render.print_json(report)
        return
    print_report(report)
    typer.echo(f"next: {next_command(report, dataset)}")


def print_report(report: TuningReport) -> None:
    """The default beside the best, fold by fold, and what that is worth."""
    best, default = report.best, report.default
    rows = [(name, value, best.hyperparameters[name]) for name, value in default.hyperparameters.items()]
    render.table(f"{report.task}-{report.entry} on {report.dataset}, {report.profile} profile", ("hyperparameter", "default", "best"), rows)
    better = "lower is better" if report.lower_is_better else "higher is better"
    folds = [(f"inner fold {i + 1}", *(render.number(a.folds[i]) if i < len(a.folds) else None for a in (default, best))) for i in range(report.inner_folds)]
    render.table("", (f"{report.metric} ({better})", "default", "best"), [*folds, ("mean", render.number(default.value), render.number(best.value))])
    ends = {state: sum(attempt.state == state for attempt in report.attempts) for state in ("complete", "pruned", "failed")}
    stopped = "; the time was over before all were begun" if report.timed_out else ""
    typer.echo(f"{len(report.attempts)} attempts: " + ", ".join(f"{count} {state}" for state, count in ends.items() if count) + stopped)
    for attempt in report.attempts:
        if attempt.state == "failed":
            typer.echo(f"attempt {attempt.number + 1} failed with {json.dumps(attempt.hyperparameters)}: {attempt.reason}")
    typer.echo(report.sentence)


def next_command(report: TuningReport, dataset: str | None) -> str:
    """The run that judges the best hyperparameters on the outer folds."""
    words = ["finml", "run", "--use-case", report.task, "--model", report.entry, "--profile", report.profile]
    if dataset is not None:
        words += ["--dataset", dataset]
    for name, value in report.changes.items():
        words += ["--set", f"{name}={value if isinstance(value, str) else json.dumps(value)}"]
    return shlex.join(words)


def display(console: Console) -> Bar | Lines:
    """A bar when the console is a terminal, lines otherwise."""
    return Bar(console) if console.is_terminal else Lines()


def describe(step: Step) -> str:
    """The state of a search in a few words."""
    best = "" if step.best is None else f", best {step.best:.5g}"
    default = "" if step.default is None else f" (default {step.default:.5g})"
    left = "" if step.seconds_left is None else f", about {clock(step.seconds_left)} left"
    return f"attempt {step.attempt}/{step.attempts}, fold {step.fold}/{step.folds}{best}{default}{left}"


def clock(seconds: float) -> str:
    """A duration as m:ss, with hours where there are any."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class Bar:
    """One bar over the attempts, a fold a step."""

    def __init__(self, console: Console) -> None:
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        self._progress = Progress(TextColumn("tuning"), BarColumn(bar_width=28), TextColumn("{task.description}"), TimeElapsedColumn(), console=console)
        self._task = self._progress.add_task("first rows", total=None)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._progress.stop()

    def __call__(self, step: Step) -> None:
        """Draw one step."""
        done = step.attempt if step.state else step.attempt - 1 + step.fold / step.folds
        self._progress.update(self._task, total=step.attempts, completed=done, description=describe(step))


class Lines:
    """One line an attempt that ended, and every few seconds one of a running attempt."""

    EVERY = 5.0

    def __init__(self, write: Callable[[str], None] | None = None, moment: Callable[[], float] = time.monotonic) -> None:
        self._write = write or (lambda line: typer.echo(line, err=True))
        self._moment, self._told = moment, -self.EVERY

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Nothing is open."""

    def __call__(self, step: Step) -> None:
        """Write one step, or nothing when there was a line just now."""
        now = self._moment()
        if step.state is None and now - self._told < self.EVERY:
            return
        self._told = now
        self._write(f"{step.state or 'running':<8} {describe(step)}")
