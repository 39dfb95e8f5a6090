"""The whole way in one command: raw data, models, verdicts, a served release and one prediction over HTTP (`make demo`)."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from finml_models.core import catalog
from finml_models.core.errors import FinmlError
from finml_models.core.profile import ProfileName

from . import evidence, releases
from .run import execute

SHOWN = ("volatility_forecasting-gru", "cross_asset_effects-gcn", "trading_execution-ppo", "news_analysis-finbert", "credit_risk-tabm")
"""A pair of each kind of data; the first one's champion is served."""

NEXT = """\
next:
  make ui                                  the web console: models, trainings, deployments, and Dagster beside it
  finml report {pair}   verdict, gate and the page with the plots (--open)
  finml serve {pair}    the same service, until Ctrl-C
  finml run --profile full                 more seeds and longer training, for a verdict to act on
  finml --help                             everything else; the commands live in .venv/bin
"""


def main() -> int:
    """Run the demo; 0 when a prediction came back over HTTP."""
    os.environ.setdefault("BENTOML_DO_NOT_TRACK", "True")
    os.environ.setdefault("DAGSTER_DISABLE_TELEMETRY", "yes")
    try:
        demonstrate()
    except FinmlError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def demonstrate() -> None:
    """Run the pipeline for `SHOWN`, serve the first use case's champion and ask it about the newest rows of the embedded data."""
    import httpx

    from bento.serve import serve

    began = time.monotonic()
    for shown in map(catalog.pair, SHOWN):
        with stage(f"pipeline: {shown.task.id()} with {shown.entry.id}, fast profile"):
            result = execute(shown.task.id(), (shown.entry.id,), None, ProfileName.FAST)
        if not result.success:
            raise FinmlError(f"run {result.run_ids[0]} failed; its failed assets are named above, and Dagster, which make ui starts too, shows its log")
        evidence.print_ranking(evidence.ranking(shown.task.id()))
    use_case = catalog.pair(SHOWN[0]).task.id()
    pair, tag = releases.newest_release(releases.champion(use_case))
    request = releases.newest_rows(catalog.task(use_case), entities=2).model_dump(mode="json", exclude_none=True)
    with stage(f"service: {tag}"):
        running = serve(tag)
    with running, httpx.Client(timeout=30, trust_env=False) as client:
        with stage("prediction"):
            answer = client.post(f"{running.url}/predict", json=request).raise_for_status()
        print(f"POST {running.url}/predict\n{shortened(request)}\n{json.dumps(answer.json(), indent=2, ensure_ascii=False)}\n")
    print(f"all done in {time.monotonic() - began:.1f} s\n\n{NEXT.format(pair=pair)}")


@contextmanager
def stage(name: str) -> Iterator[None]:
    """Say what begins and how long it took."""
    print(f"== {name}", flush=True)
    began = time.monotonic()
    yield
    print(f"== {name}: {time.monotonic() - began:.1f} s\n", flush=True)


def shortened(request: dict[str, list[object]]) -> str:
    """A request with its first and last row, and how many lie between."""
    rows = request["rows"]
    return f'{{"rows": [\n  {json.dumps(rows[0])},\n  ... {len(rows) - 2} more ...\n  {json.dumps(rows[-1])}\n]}}'


if __name__ == "__main__":
    sys.exit(main())
