"""Anomaly detection: how far an asset's newest session is from what is normal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from finml_models.core.estimator import Signature
from finml_models.core.spec import Kind, Objective
from finml_models.core.task import AlarmGuard, BudgetGuard, Gate, LeakAlarm, SeedGuard, Task, WalkForward

from ._anomalies import ALONE, FEATURES, MEMORY, AnomalyResponse, AssetAnomaly, anomalous, labels, rows_of, session_features
from ._market import MarketRequest, request_frame

if TYPE_CHECKING:
    from pandas import DataFrame
    from pydantic import BaseModel

    from finml_models.core.batches import Batch, Windows
    from finml_models.core.predictions import AnomalyScores
    from finml_models.core.task import Explainable

LENGTH = 60
"""Sessions of a window."""
WEEK = 5


class AnomalyDetection(Task):
    """A score a session from the window that ends with it. Labels are for judging: no fit may read them."""

    name = "Anomaly detection"
    description = (
        "Windows of returns, distances to the market, volumes and ranges in; a score of the newest session, and a threshold set on training "
        "data, out. The truth is injected: spikes, level shifts, bursts of variance, stale prices, decoupling. Scored by the area under "
        "precision and recall without point adjustment, which would reward random scores."
    )
    dataset = "market"
    default_dataset = "faulted_market"
    cross_section = True
    objective = Objective.SCORE
    kinds = (Kind.WINDOWS,)
    # The window, the sessions that its first one is measured by, and the close before their first return.
    history = LENGTH + MEMORY + 1
    # Faults are rare: with less to score, a few of them would decide.
    split = WalkForward(folds=3, test_share=0.4)
    metrics = ("pr_auc", "vus_pr", "event_recall", "detection_delay", "false_alarm_ratio")
    baselines = ("random_score", "robust_z_score", "pca_reconstruction", "isolation_forest")
    gate = Gate(
        version="anomaly_detection/2",
        naive=("random_score",),
        margin=0.02,
        coverage=None,
        # A year holds too few events for an area under a curve of its own.
        worst_slice=None,
        seeds=SeedGuard(within=0.1),
        budget=BudgetGuard(milliseconds=20, megabytes=50),
        alarms=AlarmGuard(within=2.0),
        leak_alarm=LeakAlarm(improvement=0.9),
    )
    request = MarketRequest
    unscored = "nobody labels real anomalies one by one; its labels are of injected faults, so judge it on a data set with faults"
    response = AnomalyResponse

    def features(self, raw: DataFrame) -> DataFrame:
        """Each session against the asset's own recent past and the other assets' return of the day."""
        import pandas as pd

        from finml_models.datasets.market.panel import Panel

        panel = Panel.of(raw)
        found = session_features(panel)
        frame = raw[["entity", "time"]].reset_index(drop=True)
        return pd.concat([frame, pd.DataFrame({name: panel.long(found[name]) for name in FEATURES})], axis=1)

    def target(self, raw: DataFrame) -> DataFrame:
        """0 for an ordinary session, else the number of what is wrong with it (`datasets.market.faults.Fault`)."""
        return anomalous(raw)

    def view(self, kind: Kind, x: DataFrame, y: DataFrame | None = None) -> Windows:
        """The `windows`, the only view."""
        if kind is not Kind.WINDOWS:
            raise ValueError(f"kind: anomaly detection has no view {kind.value!r}; use 'windows'")
        return self.windows(x, y)

    def windows(self, x: DataFrame, y: DataFrame | None = None) -> Windows:
        """The last 60 sessions of each asset, none of them measured by fewer than 60 others."""
        import numpy as np

        from finml_models.core.batches import Windows
        from finml_models.datasets.market.panel import Panel

        panel = Panel.of(x)
        rows = rows_of(x, y, self.history)
        cells = np.argsort(panel.row, axis=None)[-len(x) :]
        series, position = np.unravel_index(cells, panel.row.shape)
        # Warm-up rows are NaN and never inside a window that starts after them; zeros keep them out of arithmetic.
        values = np.nan_to_num(np.stack([panel.dense(name) for name in FEATURES], axis=-1, dtype=np.float32))
        return Windows(
            panel=values,
            times=panel.times,
            entities=panel.entities,
            series=series[rows],
            end=position[rows],
            length=LENGTH,
            **labels(y, rows),
        )

    def signature(self, batch: Batch) -> Signature:
        """Names, and the share of ordinary rows that one false alarm a week over all assets of the batch comes to."""
        import numpy as np

        return Signature(
            kind=batch.kind,
            objective=self.objective,
            feature_names=FEATURES,
            length=getattr(batch, "length", 0),
            # Every asset has a row a session, and a week has five.
            alarm_rate=1 / (WEEK * max(1, len(np.unique(batch.entity)))),
        )

    def raw(self, request: BaseModel) -> DataFrame:
        """The rows of a request under the strict rules of market data, each asset with a whole history."""
        return request_frame(request, history=self.history)

    def respond(
        self, batch: Windows, prediction: AnomalyScores, *, version: str, warnings: tuple[str, ...] = (), explain: Explainable | None = None
    ) -> AnomalyResponse:
        """Score, threshold and alarm of each asset's newest session."""
        import numpy as np

        del explain
        rows = zip(batch.entity, batch.time, prediction.score.astype("float64").tolist(), prediction.threshold.astype("float64").tolist(), strict=True)
        answers = tuple(
            AssetAnomaly(entity=str(entity), as_of=time.astype("datetime64[D]").item(), score=score, threshold=threshold, alarm=score > threshold)
            for entity, time, score, threshold in rows
        )
        beside = [np.count_nonzero((batch.times == time).any(axis=1)) > 1 for time in batch.time]
        missing = tuple(ALONE.format(entity=answer.entity) for answer, others in zip(answers, beside, strict=True) if not others)
        return AnomalyResponse(version=version, assets=answers, warnings=(*warnings, *missing))
