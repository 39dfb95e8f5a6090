"""A run as it happens: bars on a terminal, lines everywhere else. Written to stderr, so that stdout stays the answer."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

if TYPE_CHECKING:
    from finml_models.core.estimator import Progress as Fit
    from finml_pipelines.run import Event

LINE_EVERY = 5.0


class Display(Protocol):
    """A context that is called with every event of a run."""

    def __enter__(self) -> Self: ...
    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None: ...
    def __call__(self, event: Event) -> None: ...


def display(console: Console) -> Display:
    """Bars when the console is a terminal, lines otherwise."""
    return Bars(console) if console.is_terminal else Lines()


def describe(fit: Fit) -> str:
    """The state of a fit in a few words."""
    left = f", {fit.seconds_left:.0f} s left at most" if fit.seconds_left is not None else ""
    valid = f", validation {fit.metric:.4f}" if fit.metric is not None else ""
    return f"epoch {fit.epoch}/{fit.epochs}, loss {fit.loss:.4f}{valid}{left}"


class Bars:
    """One bar over the assets, and one a running asset that follows its fits."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"), BarColumn(bar_width=28), TextColumn("{task.fields[state]}"), TimeElapsedColumn(), console=console, transient=True
        )
        self._all = self._progress.add_task("assets", total=None, state="")
        self._running: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._progress.stop()

    def __call__(self, event: Event) -> None:
        """Draw one event."""
        if event.kind == "plan":
            self._progress.update(self._all, total=event.total)
        elif event.kind == "start":
            self._running[event.asset] = self._progress.add_task(event.asset, total=None, state=event.message)
        elif event.kind == "progress" and event.progress is not None:
            # The fits of an asset follow one another: they share its bar.
            if (asset := next((name for name in self._running if belongs(event.asset, name)), None)) is not None:
                fit = event.progress
                self._progress.update(self._running[asset], description=event.asset, total=max(fit.steps, 1), completed=fit.step, state=describe(fit))
        elif event.kind in {"done", "failed"}:
            if event.asset in self._running:
                self._progress.remove_task(self._running.pop(event.asset))
            self._progress.console.print(
                Text(f"{event.kind:<6} {event.asset} {event.message}", style="red" if event.kind == "failed" else "green"), soft_wrap=True
            )
            self._progress.advance(self._all)


def belongs(label: str, asset: str) -> bool:
    """Whether a fit's label, `<use case>-<entry> fold 1 seed 0`, speaks of an asset, `model/<use case>/<entry>`."""
    return label == asset or label.partition(" ")[0] == "-".join(asset.split("/")[1:])


class Lines:
    """One line an event; a fit reports every few seconds."""

    def __init__(self, write: Callable[[str], None] | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._write = write or (lambda line: typer.echo(line, err=True))
        self._clock = clock
        self._told: dict[str, float] = {}
        self._began: dict[str, float] = {}
        self._total = self._ended = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Nothing is open."""

    def __call__(self, event: Event) -> None:
        """Write one event, or nothing when the fit has reported just now."""
        now = self._clock()
        if event.kind == "plan":
            self._total = event.total
            self._write(f"{event.total} assets")
        elif event.kind == "start":
            self._began[event.asset] = self._told[event.asset] = now
            self._write(f"start   {event.asset} {event.message}".rstrip())
        elif event.kind == "progress" and event.progress is not None and now - self._told.get(event.asset, -LINE_EVERY) >= LINE_EVERY:
            self._told[event.asset] = now
            self._write(f"        {event.asset}: {describe(event.progress)}")
        elif event.kind in {"done", "failed"}:
            self._ended += 1
            took = now - self._began.get(event.asset, now)
            self._write(f"{event.kind:<7} {event.asset} ({self._ended}/{self._total}, {took:.1f} s) {event.message}".rstrip())
