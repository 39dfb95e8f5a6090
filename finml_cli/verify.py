"""`finml verify`: the proof that a version is what its report says."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from finml_models.core import catalog
from finml_models.core.home import home, reports

from . import releases, render

if TYPE_CHECKING:
    from finml_models.core.catalog import Pair
    from finml_models.core.estimator import OnProgress
    from finml_models.evaluation.certificate import Certificate

    from .progress import Display


def verify(
    pair: Annotated[str, typer.Argument(help="<use case>-<model or baseline>, for example volatility_forecasting-garch")],
    version: Annotated[str, typer.Argument(help="The version to prove, as finml report and finml leaderboard name it.")],
    *,
    quick: Annotated[bool, typer.Option("--quick", help="Score the stored predictions again and ask the stored artifact; train nothing.")] = False,
    as_json: render.AsJson = False,
) -> None:
    """Prove a version: its files, its data, and its numbers, trained again from the recorded configuration.

    On the machine, code and packages of the training the numbers must come out bit for bit; elsewhere within a stated
    tolerance. Leaves `certificate.json` beside the report. The exit code is 1 when anything does not hold.

    Example: `finml verify volatility_forecasting-garch bb12f6b33c9c8deb --quick`
    """
    chosen = catalog.pair(pair)
    folder = releases.version_of(chosen, version)
    _same_threads(folder)
    certificate = _verify(chosen, folder, quick=quick)
    if as_json:
        render.print_json(certificate)
    else:
        _print(certificate)
    if not certificate.passed:
        raise typer.Exit(1)


def _same_threads(folder: Path) -> None:
    """As many threads as the training had: how a sum is shared out decides its last bits. Too late where numpy is loaded."""
    if "numpy" in sys.modules:
        return
    try:
        threads = json.loads((folder / "model.json").read_bytes())["fingerprint"]["platform"]["threads"]
    except (OSError, ValueError, KeyError, TypeError):
        return  # the verification will say what is wrong with the file
    if isinstance(threads, str) and threads.isdigit():
        os.environ["OMP_NUM_THREADS"] = threads


def _verify(pair: Pair, folder: Path, *, quick: bool) -> Certificate:
    from finml_models.evaluation import certificate as certificates
    from finml_models.evaluation.verify import Files
    from finml_models.evaluation.verify import verify as prove

    from .progress import display

    task, entry, version = pair.task.id(), pair.entry.id, folder.name
    report = reports(task, entry) / version
    files = Files(artifact=folder, predictions=home() / "backtests" / task / entry / version / "predictions.parquet", report=report, snapshots=home() / "data")
    with display(render.console(stderr=True)) as show:
        certificate = prove(pair, files, quick=quick, on_fit=_Fits(pair, show))
    if report.is_dir():
        certificates.write(certificate, report)
    return certificate


class _Fits:
    """Tells the display which fit is running: `on_fit(fold, seed)` is called as each one begins."""

    def __init__(self, pair: Pair, show: Display) -> None:
        self._pair, self._show = pair, show

    def __call__(self, fold: int | None, seed: int) -> OnProgress:
        from finml_pipelines.run import Event

        label = f"{self._pair.id} {'on all rows' if fold is None else f'fold {fold + 1}'}, seed {seed}"
        self._show(Event("start", label))

        def hear(progress: Any) -> None:
            self._show(Event("progress", label, progress=progress))

        return hear


def _print(certificate: Certificate) -> None:
    render.table(
        f"{certificate.pair} {certificate.version}, {certificate.mode}",
        ("check", "", "what was found"),
        [(finding.name, "ok" if finding.passed else "FAILED", finding.sentence) for finding in certificate.findings],
    )
    typer.echo(certificate.summary)
