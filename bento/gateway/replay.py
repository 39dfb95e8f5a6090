"""A logged request answered again by the same version: `python -m bento.gateway.replay ID`, status 1 when the answer differs."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bento.problem import Problem
from finml_ledger import Ledger
from finml_ledger.predictions import PredictionLog
from finml_models.core import catalog
from finml_models.core.errors import FinmlError

from .loading import load
from .pool import Version

if TYPE_CHECKING:
    from finml_ledger.models import ServedPrediction

    from .held import Local


@dataclass(frozen=True, slots=True)
class Replayed:
    """What the version answers now beside what it answered then; of a refusal the reasons."""

    then: dict[str, Any] | str | None
    now: dict[str, Any] | str

    @property
    def same(self) -> bool:
        """Whether the answers are equal to the last bit of every number."""
        return self.then == self.now


def replay(held: Local, logged: ServedPrediction) -> Replayed:
    """Answer a logged request with its version."""
    request = catalog.task(logged.task).request.model_validate_json(json.dumps(logged.request))
    try:
        return Replayed(logged.answer or logged.error, json.loads(held.now("predict", request)))
    except Problem as refused:
        return Replayed(logged.answer or logged.error, refused.document.detail)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m bento.gateway.replay", description="Answer a logged request again by the same version.")
    parser.add_argument("prediction", help="X-Finml-Prediction of the answer")
    options = parser.parse_args()
    try:
        ledger = Ledger.open()
        logged = PredictionLog(ledger).get(options.prediction)
        replayed = replay(load(ledger, Version(logged.task, logged.entry, logged.version)), logged)
    except FinmlError as error:
        sys.exit(str(error))
    print("same" if replayed.same else f"then: {json.dumps(replayed.then)}\nnow:  {json.dumps(replayed.now)}")
    sys.exit(not replayed.same)


if __name__ == "__main__":
    main()
