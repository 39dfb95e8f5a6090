"""Use cases in processes of their own: the same results, their errors and events here, and none outlives its parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from small_market import DATASET, register

from finml_models.core import keys
from finml_models.core.errors import UnknownName
from finml_models.core.profile import ProfileName
from finml_pipelines import records
from finml_pipelines.run import Event, Order, run
from finml_pipelines.side_by_side import GRACE, THREADS, run_each

ALONE = """
import signal
import time
from finml_pipelines.side_by_side import _workers

if __name__ == "__main__":
    # Ignored, and inherited so, where whoever runs the tests runs them in the background of a script.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with _workers(1) as (pool, _):
        pool.submit(time.sleep, 0).result()
        print(*pool._processes, flush=True)
        pool.submit(time.sleep, 120).result()
"""


def test_an_error_in_a_worker_is_an_error_here_and_the_number_of_threads_is_given_back(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(THREADS[0], raising=False)
    orders = [Order((name,), (), "no_such_dataset", ProfileName.FAST) for name in ("credit_risk", "news_analysis")]
    with pytest.raises(UnknownName, match="no_such_dataset"):
        run_each(orders, 2, lambda event: None)
    assert THREADS[0] not in os.environ


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_worker_ends_with_its_parent(tmp_path: Path, how: signal.Signals) -> None:
    """A power cut or an OOM killer takes the parent alone; a worker that trained on would write beside the next run."""
    script = tmp_path / "alone.py"
    script.write_text(ALONE)
    variables = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    parent = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=variables)
    assert parent.stdout is not None
    worker = psutil.Process(int(parent.stdout.readline()))
    assert worker.is_running()
    parent.send_signal(how)
    parent.wait(2 * GRACE)
    _, alive = psutil.wait_procs([worker], 2 * GRACE)
    assert not [process for process in alive if process.status() != psutil.STATUS_ZOMBIE]


@pytest.mark.slow
def test_side_by_side_makes_the_same_versions_as_one_after_the_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FINML_DATASETS", str(register(tmp_path / "data")))
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    made: list[dict[str, str]] = []
    told: list[list[Event]] = []
    for workers in (1, 2):
        monkeypatch.setenv("FINML_HOME", str(tmp_path / f"home-{workers}"))
        heard: list[Event] = []
        order = Order(("volatility_forecasting", "price_forecasting"), ("gru",), DATASET, ProfileName.FAST)
        if workers == 1:
            results = [run(name, order.models, DATASET, on_event=heard.append) for name in order.use_cases]
        else:
            assert run("volatility_forecasting", ("gru",), DATASET).success  # the raw data
            results = [run_each([Order((name,), order.models, DATASET, ProfileName.FAST) for name in order.use_cases], workers, heard.append)]
        assert all(result.success for result in results)
        made.append({pair.id: records.get(keys.model(pair)).version for pair in order.pairs()})
        told.append(heard)
    assert made[0] == made[1]
    # Neither waited for the other's trainings: each began before the other was done.
    begun = {event.asset: number for number, event in reversed([*enumerate(told[1])]) if event.kind == "start"}
    done = {event.asset: number for number, event in enumerate(told[1]) if event.kind == "done"}
    trainings = {name: [key for key in begun if key.startswith(f"model/{name}/")] for name in order.use_cases}
    for one, other in (order.use_cases, order.use_cases[::-1]):
        assert min(begun[key] for key in trainings[one]) < max(done[key] for key in trainings[other])
    assert {event.asset for event in told[1] if event.kind == "done"} == {"/".join(key) for key in order.own()}
