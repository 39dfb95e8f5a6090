"""`finml serve` and `finml predict`: a release over HTTP, and the same prediction without a server."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from finml_models.core import catalog
from finml_models.core.errors import DataError, ServiceFailed

from . import releases, render

if TYPE_CHECKING:
    from pydantic import BaseModel

    from finml_models.core.task import Task

PairArgument = Annotated[
    str | None, typer.Argument(metavar="[PAIR]", help="<use case>-<model or baseline>; the champion of volatility forecasting by default.")
]


def serve(
    pair: PairArgument = None,
    *,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0 takes any free port.")] = 0,
    host: Annotated[str, typer.Option("--host", help="An address of the loopback; others are refused.")] = "127.0.0.1",
) -> None:
    """Serve a release over HTTP until Ctrl-C, or until the process is asked to end.

    Example: `finml serve volatility_forecasting-log_har --port 8080`
    """
    released, tag = releases.newest_release(pair)
    from bento.serve import serve as serve_bento

    with termination_interrupts(), serve_bento(tag, port=port, host=host) as running:
        typer.echo(f"{tag} at {running.url} (process {running.process.pid}); Ctrl-C ends it")
        typer.echo(f"ask it:  finml predict {released} --print-request | curl -sH 'Content-Type: application/json' -d @- {running.url}/predict")
        try:
            status = running.process.wait()
        except KeyboardInterrupt:
            typer.echo("stopping")
            return
    raise ServiceFailed(f"{tag} ended by itself with status {status}; its log is {running.log}")


@contextmanager
def termination_interrupts() -> Iterator[None]:
    """SIGTERM ends the block as Ctrl-C does, so that what it started is stopped too and no server stays behind."""

    def interrupt(_signal: int, _frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def predict(
    pair: Annotated[str, typer.Argument(help="<use case>-<model or baseline>, for example volatility_forecasting-gru")],
    *,
    rows: Annotated[Path | None, typer.Option("--input", "-i", exists=True, dir_okay=False, help="A request as JSON, as the service takes it.")] = None,
    dataset: Annotated[str | None, typer.Option("--dataset", "-d", help="Ask about this dataset's newest rows.")] = None,
    print_request: Annotated[bool, typer.Option("--print-request", help="Print the request instead of its answer.")] = False,
    as_json: render.AsJson = False,
) -> None:
    """Predict without a server, by the path that the service takes: raw rows in, the task's own answer out.

    Without --input it asks about the newest rows of the embedded dataset.

    Example: `finml predict volatility_forecasting-gru --dataset us_indices`
    """
    use_case = catalog.pair(pair).task
    if rows is not None and dataset is not None:
        raise DataError("--input and --dataset are two sources of rows; give one of them")
    folder = None if print_request else releases.trained_artifact(pair)
    request = releases.newest_rows(use_case, dataset) if rows is None else read_request(use_case, rows)
    if folder is None:
        typer.echo(request.model_dump_json(exclude_none=True))
        return
    from finml_models.core import artifact, serving

    answer = serving.answer(artifact.load(folder), request)
    if as_json:
        render.print_json(answer)
    else:
        render.console().print_json(answer.model_dump_json())


def read_request(use_case: type[Task], file: Path) -> BaseModel:
    """A request from a file under the service's own rules; raises `DataError` naming the first fields that are wrong."""
    from pydantic import ValidationError

    try:
        return use_case.request.model_validate_json(file.read_bytes())
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
        said = "; ".join(f"{'.'.join(map(str, e['loc'])) or '(body)'}: {e['msg']}" for e in found[:5])
        raise DataError(f"{file}: {len(found)} field(s) are wrong: {said}") from error
