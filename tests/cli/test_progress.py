"""How a run looks while it happens."""

from __future__ import annotations

import io

from rich.console import Console

from finml_cli.progress import Bars, Lines, belongs, display
from finml_models.core.estimator import Progress
from finml_pipelines.run import Event

FIT = Progress(epoch=2, epochs=6, step=10, steps=10, loss=0.5, metric=0.4, seconds_left=12.0)
ASSET, LABEL = "model/volatility_forecasting/gru", "volatility_forecasting-gru fold 1 seed 0"
RUN = [
    Event("plan", total=2),
    Event("start", ASSET),
    Event("progress", LABEL, progress=FIT),
    Event("done", ASSET),
    Event("start", "x"),
    Event("failed", "x", message="why"),
]


def test_lines_tell_every_asset_and_its_fits() -> None:
    told: list[str] = []
    moments = iter(range(0, 1000, 10))
    with Lines(told.append, clock=lambda: float(next(moments))) as show:
        for event in RUN:
            show(event)
    text = "\n".join(told)
    assert told[0] == "2 assets"
    assert f"done    {ASSET} (1/2, 20.0 s)" in text
    assert "epoch 2/6, loss 0.5000, validation 0.4000, 12 s left at most" in text
    assert "failed  x (2/2, 10.0 s) why" in text


def test_lines_do_not_flood() -> None:
    told: list[str] = []
    with Lines(told.append, clock=lambda: 0.0) as show:
        for _ in range(100):
            show(Event("progress", LABEL, progress=FIT))
    assert len(told) == 1


def test_bars_follow_the_fits_of_an_asset() -> None:
    screen = io.StringIO()
    with Bars(Console(file=screen, force_terminal=True, width=160)) as show:
        for event in RUN[:3]:
            show(event)
        show._progress.refresh()
        assert LABEL in screen.getvalue()
        for event in RUN[3:]:
            show(event)
    assert "failed x why" in screen.getvalue()


def test_a_pipe_gets_lines_and_a_terminal_bars() -> None:
    assert isinstance(display(Console(file=io.StringIO())), Lines)
    assert isinstance(display(Console(file=io.StringIO(), force_terminal=True)), Bars)


def test_a_fit_belongs_to_its_own_asset_only() -> None:
    assert belongs(LABEL, ASSET)
    assert not belongs(LABEL, "model/volatility_forecasting/lstm")
    assert not belongs("volatility_forecasting-gru2 fold 1", ASSET)
