"""Fraud detection: the probability that a transaction turns out as fraud within the label-maturity window."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from finml_models.core.estimator import Signature
from finml_models.core.spec import Kind, Objective
from finml_models.core.task import BudgetGuard, CalibrationGuard, Gate, SeedGuard, Task, WalkForward, WorstSliceGuard
from finml_models.datasets.transactions.vocabulary import CATEGORIES, MATURITY_DAYS

from ._account_history import EVENTS, HISTORY, LABELS, LENGTH, NUMBERS, features_of, pieces
from ._classes import labels, view_rows
from ._realised import FraudOutcome, of_classes
from ._transactions import CHECK_COST, FraudRequest, FraudResponse, TransactionRisk, request_frame

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray
    from pandas import DataFrame
    from pydantic import BaseModel

    from finml_models.core.batches import Batch, Table, Windows
    from finml_models.core.predictions import Probabilities
    from finml_models.core.realised import Outcomes, Realised
    from finml_models.core.task import Explainable

CLASSES = ("genuine", "fraud")


class FraudDetection(Task):
    """A transaction with trailing aggregates, or the account's last events, to the probability of fraud.

    FT-Transformer is admitted by the rule and not excluded: that it is too slow for an authorisation is for the
    measured budget to say.
    """

    name = "Fraud detection"
    description = (
        "One transaction with trailing aggregates of its account (as a table), or the account's last 50 events (as a window), in; the "
        "calibrated probability of fraud within the label-maturity window out. Scored by the area under precision and recall. Split by "
        "time and account; rows whose label is not mature yet are left out."
    )
    dataset = "transactions"
    objective = Objective.CLASSIFY
    kinds = (Kind.TABLE, Kind.WINDOWS)
    history = HISTORY
    # Two blocks of time, each scored by fits that saw neither its accounts nor a label that was not mature when it began.
    split = WalkForward(folds=2, test_share=0.4, valid_share=0.15, accounts=2)
    # Frauds of one account or terminal come in spells of hours to days, and one spell is not ten observations: days are nearer to
    # independent than accounts, which share terminals.
    unit = "date"
    metrics = ("pr_auc", "recall_at_1pct_fpr", "recall_at_5pct_fpr", "precision_at_k", "cost_saved", "ece")
    baselines = ("class_prior", "boosted_trees", "logistic_regression", "velocity_rules")
    gate = Gate(
        version="fraud_detection/2",
        naive=("class_prior",),
        margin=0.02,
        coverage=None,
        # Of the probabilities themselves, which are below 0.01 on average.
        calibration=CalibrationGuard(within=0.004),
        worst_slice=WorstSliceGuard(by="year", within=0.25),
        seeds=SeedGuard(within=0.1),
        budget=BudgetGuard(milliseconds=20, megabytes=50),
    )
    request = FraudRequest
    response = FraudResponse
    outcome = FraudOutcome
    # The area under precision and recall has no value a row; the Brier score is proper, and bounded.
    loss = "brier"

    def known(self, raw: DataFrame, at: np.datetime64) -> DataFrame:
        """Rows authorised by then, without later reports and without labels that were not mature."""
        from finml_models.datasets.transactions.schema import known_by

        return known_by(raw, at)

    def features(self, raw: DataFrame) -> DataFrame:
        """Each transaction against the 50 before it in its account, and what its terminal's history said at the moment."""
        return features_of(raw)

    def target(self, raw: DataFrame) -> DataFrame:
        """1 for a fraud. `until` is the end of the maturity window for frauds and others alike: taking frauds at the date of their
        report would fill the newest days with frauds alone."""
        import pandas as pd

        frame = raw[["entity", "time"]].reset_index(drop=True)
        known = raw["fraud"].notna().to_numpy()
        frame["until"] = (raw["time"] + pd.Timedelta(days=MATURITY_DAYS)).where(known).to_numpy()
        frame["class"] = raw["fraud"].to_numpy("float64")
        return frame

    def view(self, kind: Kind, x: DataFrame, y: DataFrame | None = None) -> Batch:
        """The `table` or the `windows`."""
        if kind is Kind.TABLE:
            return self.table(x, y)
        if kind is Kind.WINDOWS:
            return self.windows(x, y)
        raise ValueError(f"kind: fraud detection has no view {kind.value!r}; use 'table' or 'windows'")

    def table(self, x: DataFrame, y: DataFrame | None = None) -> Table:
        """All rows whose history is whole, or with `y` those whose label is mature too, by (time, entity)."""
        import numpy as np

        from finml_models.core.batches import Table

        rows = _rows(x, y)
        return Table(
            values=x[list(NUMBERS)].to_numpy(np.float32)[rows],
            columns=NUMBERS,
            times=x["time"].to_numpy()[rows],
            entities=x["entity"].to_numpy(dtype=np.str_)[rows],
            codes=x[list(LABELS)].to_numpy(np.int64)[rows],
            **labels(y, rows),
        )

    def windows(self, x: DataFrame, y: DataFrame | None = None) -> Windows:
        """The same rows, each with up to 50 events of its account that end with it."""
        import numpy as np

        from finml_models.core.batches import Windows

        rows, (source, there, series, end) = _rows(x, y), pieces(x)
        times = x["time"].to_numpy()[source]
        return Windows(
            panel=np.where(there[:, :, None], x[list(EVENTS)].to_numpy(np.float32)[source], np.float32(0)),
            times=np.where(there, times, np.datetime64("NaT")),
            entities=x["entity"].to_numpy(dtype=np.str_)[source[:, 0]],
            series=series[rows],
            end=end[rows],
            length=LENGTH,
            **labels(y, rows),
        )

    def signature(self, batch: Batch) -> Signature:
        """Classes, and what a row or an event holds."""
        if batch.kind is Kind.WINDOWS:
            return Signature(kind=batch.kind, objective=self.objective, feature_names=EVENTS, length=LENGTH, classes=CLASSES)
        return Signature(
            kind=batch.kind,
            objective=self.objective,
            feature_names=NUMBERS,
            classes=CLASSES,
            category_names=LABELS,
            category_sizes=tuple(len(CATEGORIES[name]) for name in LABELS),
        )

    def facts(self, batch: Batch) -> Mapping[str, NDArray[Any]]:
        """The amount of each transaction, which the cost of a missed fraud is."""
        return {"amount": _amounts(batch)}

    def raw(self, request: BaseModel) -> DataFrame:
        """The transactions of a request as training saw them, without a label."""
        return request_frame(request)

    def respond(
        self, batch: Batch, prediction: Probabilities, *, version: str, warnings: tuple[str, ...] = (), explain: Explainable | None = None
    ) -> FraudResponse:
        """Probability and alert of each account's newest transaction."""
        import datetime as dt

        del explain
        found = zip(batch.entity, batch.time, prediction.columns()["p1"].astype("float64").tolist(), _amounts(batch).tolist(), strict=True)
        answers = tuple(
            TransactionRisk(
                entity=str(entity),
                as_of=time.astype("datetime64[us]").item().replace(tzinfo=dt.UTC),
                probability=p,
                expected_loss=p * amount,
                alert=p * amount > CHECK_COST,
            )
            for entity, time, p, amount in found
        )
        return FraudResponse(version=version, check_cost=CHECK_COST, transactions=answers, warnings=warnings)

    def realised(self, answer: Mapping[str, Any], outcomes: Outcomes) -> tuple[Realised, ...]:
        """Probabilities beside what became known of the transaction."""
        return of_classes(answer["transactions"], outcomes, lambda known: int(known["fraud"]), lambda one: (1 - one["probability"], one["probability"]))

    def came_true(self, target: tuple[float, ...]) -> FraudOutcome:
        """Whether the transaction was a fraud."""
        return FraudOutcome(fraud=bool(target[0]))


def _rows(x: DataFrame, y: DataFrame | None) -> NDArray[np.intp]:
    rows = view_rows(x, y)
    return rows[x["whole"].to_numpy(bool)[rows]]


def _amounts(batch: Batch) -> NDArray[np.float64]:
    """(n,) amounts, to the cent while they are below 100,000: both views hold the logarithm in their first column."""
    import numpy as np

    return np.round(np.exp(batch.inputs[:, NUMBERS.index("log_amount")].astype(np.float64)), 2)
