"""A typed client of the REST API: the same pydantic models, the errors of finml.

```python
with Client("http://127.0.0.1:3400") as finml:
    first, *_ = finml.recommend("volatility_forecasting").recommendations
    finml.predict(first.id, {"rows": [...]})
```
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import Any, Self

import httpx

from finml_ledger import Deployment
from finml_models.core.documents import ModelList
from finml_models.core.errors import ServiceFailed
from finml_models.evaluation.document import Report

from .connection import ApiError, Connection, NotAllowed, NotFound, Overtaken, Refused, Unavailable, raise_refusal
from .schemas import catalogue, deployments, intelligence, serving, training
from .schemas.versions import Comparison, Version, VersionCard, VersionPage

__all__ = ["ApiError", "Client", "NotAllowed", "NotFound", "Overtaken", "Refused", "Unavailable"]


class Client(Connection):
    """The API's calls. `actor` is whom the audit trail names; `expected` the revision that a change was decided on.

    Raises `NotFound`, `Overtaken`, `Refused`, `NotAllowed` or `Unavailable`, which are `UnknownName`, `Conflict`, `DataError`,
    `FinmlError` and `ServiceFailed`; the last also where nothing answers.
    """

    def __init__(
        self,
        url: str = "http://127.0.0.1:3400",
        *,
        token: str | None = None,
        actor: str | None = None,
        seconds: float = 30.0,
        http: httpx.Client | None = None,
    ) -> None:
        super().__init__(url, token=token, actor=actor, seconds=seconds, http=http)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    # The catalogue

    def models(self, *, category: str | None = None, use_case: str | None = None, production_ready: bool | None = None) -> ModelList:
        """The models that hold every given condition."""
        return self._get(ModelList, "/models/list", category=category, use_case=use_case, production_ready=production_ready)

    def model(self, model_id: str) -> catalogue.ModelPage:
        """The whole card of a model or baseline, claims beside measurements."""
        return self._get(catalogue.ModelPage, f"/models/{model_id}")

    def recommend(self, use_case: str) -> catalogue.RecommendationPage:
        """The models of a use case in the order in which to try them."""
        return self._get(catalogue.RecommendationPage, "/models/recommend", use_case=use_case)

    def categories(self) -> catalogue.CategoryList:
        """The six families."""
        return self._get(catalogue.CategoryList, "/models/categories")

    def use_cases(self) -> catalogue.UseCaseList:
        """The use cases."""
        return self._get(catalogue.UseCaseList, "/models/use-cases")

    def matrix(self) -> catalogue.Matrix:
        """Every use case × model that fits, with its newest verdict."""
        return self._get(catalogue.Matrix, "/v1/matrix")

    def datasets(self) -> catalogue.DatasetList:
        """What may be trained on."""
        return self._get(catalogue.DatasetList, "/v1/datasets")

    # Training

    def configure(
        self,
        model_id: str,
        *,
        use_case: str | None = None,
        hyperparameters: Mapping[str, Any] | None = None,
        training_config: Mapping[str, Any] | None = None,
    ) -> training.Configuration:
        """Validate a configuration and have it named by its content."""
        body = {"model_id": model_id, "use_case": use_case, "hyperparameters": dict(hyperparameters or {}), "training_config": dict(training_config or {})}
        return self._change(training.Configuration, "/models/configure", body)

    def train(self, model_id: str, config_id: str, data_source: str | None = None) -> training.Accepted:
        """Start a training on a registered dataset; the use case's own by default."""
        return self._change(training.Accepted, "/models/train", {"model_id": model_id, "config_id": config_id, "data_source": data_source})

    def training_status(self, job_id: str) -> training.RunStatus:
        """How far a training has come."""
        return self._get(training.RunStatus, f"/models/training-status/{job_id}")

    def runs(self, *, cursor: str | None = None, limit: int = 50, state: str | None = None) -> training.RunPage:
        """Runs of the pipeline, newest first."""
        return self._get(training.RunPage, "/v1/runs", cursor=cursor, limit=limit, state=state)

    def cancel(self, run_id: str) -> training.RunSummary:
        """Ask a run to end."""
        return self._change(training.RunSummary, f"/v1/runs/{run_id}/cancel", {})

    def events(self, run_id: str, *, after: int = 0) -> Iterator[training.RunEvent]:
        """A run's events behind the id `after`, live, to its end; each once, also when the connection breaks on the way."""
        ended = False
        while not ended:
            try:
                for event in self._listen(run_id, after):
                    after, ended = event.id, event.state in training.ENDED
                    yield event
                ended = True
            except httpx.ReadError:
                continue
            except httpx.TransportError as error:
                raise ServiceFailed(f"nothing answers at {self.url} ({error}); start it with: finml up") from error

    def tune(
        self, model_id: str, use_case: str, *, trials: int = 20, profile: str = "fast", data_source: str | None = None, timeout_seconds: int = 3_600
    ) -> training.Accepted:
        """Start a search over a model's hyperparameters."""
        body = {"model_id": model_id, "use_case": use_case, "trials": trials, "profile": profile, "data_source": data_source}
        return self._change(training.Accepted, "/v1/tuning", body | {"timeout_seconds": timeout_seconds})

    def tuning_status(self, job_id: str) -> training.TuningStatus:
        """How far a search has come."""
        return self._get(training.TuningStatus, f"/v1/tuning/{job_id}")

    # Versions

    def versions(
        self,
        *,
        use_case: str | None = None,
        model_id: str | None = None,
        gate_passed: bool | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> VersionPage:
        """The versions that hold every given condition, the one that was judged last first."""
        query = {"use_case": use_case, "model_id": model_id, "gate_passed": gate_passed, "cursor": cursor, "limit": limit}
        return self._get(VersionPage, "/v1/versions", **query)

    def version(self, use_case: str, model_id: str, version: str) -> Version:
        """A version that was trained and judged."""
        return self._get(Version, f"/v1/versions/{use_case}/{model_id}/{version}")

    def report(self, use_case: str, model_id: str, version: str) -> Report:
        """The report that a version's gate decided on."""
        return self._get(Report, f"/v1/versions/{use_case}/{model_id}/{version}/report")

    def card(self, use_case: str, model_id: str, version: str) -> VersionCard:
        """The model card of a version."""
        return self._get(VersionCard, f"/v1/versions/{use_case}/{model_id}/{version}/card")

    def compare(self, use_case: str, picks: Sequence[str] = ()) -> Comparison:
        """Versions of a use case side by side: a model or baseline for its newest, `model:version` for another; all by default."""
        return self._get(Comparison, f"/v1/compare/{use_case}", pick=list(picks) or None)

    # The market's state

    def insights(self) -> intelligence.ChoiceList:
        """The models that find regimes or embed dates."""
        return self._get(intelligence.ChoiceList, "/v1/intelligence")

    def insight(self, use_case: str, model_id: str) -> intelligence.Insight:
        """The current regime, and regimes and embedding by date."""
        return self._get(intelligence.Insight, f"/v1/intelligence/{use_case}/{model_id}")

    # What serves

    def predict(self, model_id: str, input_data: Mapping[str, Any], *, use_case: str | None = None, key: str | None = None) -> serving.PredictAnswer:
        """The deployed version's prediction; `key` is what a traffic split is sticky by."""
        body = {"model_id": model_id, "use_case": use_case, "input_data": dict(input_data)}
        return self._post(serving.PredictAnswer, "/models/predict", body, headers={"X-Finml-Key": key} if key else {})

    def explain(self, model_id: str, input_data: Mapping[str, Any], *, use_case: str | None = None, key: str | None = None) -> serving.ExplainAnswer:
        """Why it predicts what it predicts."""
        body = {"model_id": model_id, "use_case": use_case, "input_data": dict(input_data)}
        return self._post(serving.ExplainAnswer, "/v1/explain", body, headers={"X-Finml-Key": key} if key else {})

    def predictions(
        self, *, use_case: str | None = None, model_id: str | None = None, version: str | None = None, cursor: str | None = None, limit: int = 50
    ) -> serving.PredictionPage:
        """The log of predictions, newest first."""
        query = {"use_case": use_case, "model_id": model_id, "version": version, "cursor": cursor, "limit": limit}
        return self._get(serving.PredictionPage, "/v1/predictions", **query)

    def deployed(self) -> catalogue.DeployedList:
        """Everything that serves now."""
        return self._get(catalogue.DeployedList, "/models/deployed")

    def deployment(self, use_case: str) -> Deployment:
        """What serves a use case; its revision is what a change of it is decided on."""
        return self._get(Deployment, f"/v1/deployments/{use_case}")

    def deployed_at(self, use_case: str, moment: datetime) -> Deployment:
        """What served a use case at an aware moment."""
        return self._get(Deployment, f"/v1/deployments/{use_case}/at", moment=moment.isoformat())

    def history(self, use_case: str, *, cursor: str | None = None, limit: int = 50) -> deployments.HistoryPage:
        """The changes of a use case, newest first."""
        return self._get(deployments.HistoryPage, f"/v1/deployments/{use_case}/history", cursor=cursor, limit=limit)

    def deploy(self, use_case: str, model_id: str, version: str, *, reason: str = "", expected: int | None = None) -> deployments.Outcome:
        """Make a version ready: the champion where there is none, else a challenger without traffic."""
        return self._changed(use_case, "deploy", expected, model_id=model_id, version=version, reason=reason)

    def split(self, use_case: str, model_id: str, version: str, share: float, *, reason: str = "", expected: int | None = None) -> deployments.Outcome:
        """Send a share of the traffic to a challenger."""
        return self._changed(use_case, "split", expected, model_id=model_id, version=version, share=share, reason=reason)

    def shadow(self, use_case: str, model_id: str, version: str, *, reason: str = "", expected: int | None = None) -> deployments.Outcome:
        """Let a version see every request without answering any."""
        return self._changed(use_case, "shadow", expected, shadow={"model_id": model_id, "version": version}, reason=reason)

    def end_shadow(self, use_case: str, *, reason: str = "", expected: int | None = None) -> deployments.Outcome:
        """Let the shadow see no more requests."""
        return self._changed(use_case, "shadow", expected, shadow=None, reason=reason)

    def promote(self, use_case: str, model_id: str, version: str, *, reason: str = "", expected: int | None = None) -> deployments.Outcome:
        """Give all traffic to a version."""
        return self._changed(use_case, "promote", expected, model_id=model_id, version=version, reason=reason)

    def roll_back(self, use_case: str, *, reason: str = "", expected: int | None = None) -> deployments.Outcome:
        """Give all traffic back to the previous champion."""
        return self._changed(use_case, "rollback", expected, reason=reason)

    def withdraw(self, use_case: str, *, reason: str = "", expected: int | None = None) -> deployments.Outcome:
        """Serve a use case no longer."""
        return self._changed(use_case, "withdraw", expected, reason=reason)

    # Running it

    def audit(self, *, subject: str | None = None, action: str | None = None, cursor: str | None = None, limit: int = 50) -> serving.AuditPage:
        """Who changed what, newest first."""
        return self._get(serving.AuditPage, "/v1/audit", subject=subject, action=action, cursor=cursor, limit=limit)

    def health(self) -> serving.Health:
        """That the server answers."""
        return self._get(serving.Health, "/v1/health")

    def readiness(self) -> serving.Readiness:
        """What works."""
        return self._get(serving.Readiness, "/v1/readiness")

    def _changed(self, use_case: str, action: str, expected: int | None, **body: Any) -> deployments.Outcome:
        return self._change(deployments.Outcome, f"/v1/deployments/{use_case}/{action}", body, expected=expected)

    def _listen(self, run_id: str, after: int) -> Iterator[training.RunEvent]:
        headers = {**self._headers, "Accept": "text/event-stream"} | ({"Last-Event-ID": str(after)} if after else {})
        with self._http.stream("GET", f"/v1/runs/{run_id}/events", headers=headers, timeout=httpx.Timeout(60.0, connect=5.0)) as response:
            if not response.is_success:
                response.read()
            raise_refusal(response)
            for line in response.iter_lines():
                if line.startswith("data: "):
                    yield training.RunEvent.model_validate_json(line.removeprefix("data: "))
