"""Credit risk: the probability of default within twelve months of the decision."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from finml_models.core.estimator import Signature
from finml_models.core.spec import Kind, Objective
from finml_models.core.task import BudgetGuard, CalibrationGuard, Gate, SeedGuard, Task, WalkForward, WorstSliceGuard
from finml_models.datasets.loans.vocabulary import CATEGORIES, HORIZON_MONTHS

from ._classes import labels, view_rows
from ._credit_factors import EXPECTED, LABELS, NUMBERS
from ._credit_reasons import told
from ._loans import ApplicantRisk, CreditRequest, CreditResponse, ReasonCode, band_of, request_frame
from ._realised import LoanOutcome, of_classes

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from pandas import DataFrame
    from pydantic import BaseModel

    from finml_models.core.batches import Table
    from finml_models.core.predictions import Probabilities
    from finml_models.core.realised import Outcomes, Realised
    from finml_models.core.task import Explainable

CLASSES = ("repaid", "default")
NO_REASONS = "no reason codes: the artifact holds no typical applicant (`middle` and `common`); package the model again"


class CreditRisk(Task):
    """Application and behaviour at the decision to the probability of default.

    Labels exist for granted loans alone: what a refused applicant would have done is not known, and the model is fit for
    populations like the granted one only.
    """

    name = "Credit risk"
    description = (
        "Application and behaviour data as known at the decision in; the calibrated probability of default within 12 months, with at most "
        "four reason codes, out. Scored out of time by the Gini coefficient. The EU AI Act lists the creditworthiness of natural persons "
        "as a high-risk use: nothing here replaces that assessment."
    )
    dataset = "loans"
    objective = Objective.CLASSIFY
    kinds = (Kind.TABLE,)
    horizons = (HORIZON_MONTHS,)
    # Vintages are months: the last year and a half is scored, half a year a fold.
    split = WalkForward(folds=3, test_share=0.25, valid_share=0.15)
    unit = "entity"
    metrics = ("gini", "ks", "brier", "ece", "psi")
    baselines = ("class_prior", "scorecard", "monotone_boosted_trees")
    gate = Gate(
        version="credit_risk/1",
        naive=("class_prior",),
        margin=0.02,
        coverage=None,
        calibration=CalibrationGuard(within=0.03),
        worst_slice=WorstSliceGuard(by="year", within=0.25),
        seeds=SeedGuard(within=0.1),
        budget=BudgetGuard(milliseconds=20, megabytes=50),
    )
    request = CreditRequest
    response = CreditResponse
    outcome = LoanOutcome
    # The Gini coefficient has no value a row; the Brier score is proper, and bounded.
    loss = "brier"

    def known(self, raw: DataFrame, at: np.datetime64) -> DataFrame:
        """Rows decided by then, without the outcomes that came later."""
        from finml_models.datasets.loans.schema import known_by

        return known_by(raw, at)

    def features(self, raw: DataFrame) -> DataFrame:
        """Numbers as they are, NaN where they are missing, three flags for what a whole group of missing numbers means, and the
        categories as numbers of their vocabulary, 0 for an unknown one. Each row from itself alone."""
        import pandas as pd

        given = {name: raw[name].to_numpy("float64") for name in NUMBERS if name in raw.columns}
        made = {
            "loan_to_income": raw["loan_amount"].to_numpy("float64") / given["income"],
            "no_limit": raw["utilisation"].isna().to_numpy("float64"),
            "no_file": raw["credit_history_months"].isna().to_numpy("float64"),
            "no_account": raw["overdraft_days_12m"].isna().to_numpy("float64"),
        }
        codes = {name: pd.Categorical(raw[name], categories=list(CATEGORIES[name])).codes.astype("int64") + 1 for name in LABELS}
        numbers = {**given, **made}
        return pd.DataFrame({"entity": raw["entity"], "time": raw["time"], **{name: numbers[name] for name in NUMBERS}, **codes}).reset_index(drop=True)

    def target(self, raw: DataFrame) -> DataFrame:
        """1 for a default. `until` is the end of the twelve months for repaid and defaulted loans alike: taking early defaults at
        their own date would fill the newest vintages with defaults alone."""
        frame = raw[["entity", "time"]].reset_index(drop=True)
        known = raw["defaulted"].notna().to_numpy()
        frame["until"] = raw["outcome_at"].where(known).to_numpy()
        frame["class"] = raw["defaulted"].to_numpy("float64")
        return frame

    def view(self, kind: Kind, x: DataFrame, y: DataFrame | None = None) -> Table:
        """The `table`, the only view."""
        if kind is not Kind.TABLE:
            raise ValueError(f"kind: credit risk has no view {kind.value!r}; use 'table'")
        return self.table(x, y)

    def table(self, x: DataFrame, y: DataFrame | None = None) -> Table:
        """All rows, or with `y` those whose outcome is known, by (time, entity)."""
        import numpy as np

        from finml_models.core.batches import Table

        rows = view_rows(x, y)
        return Table(
            values=x[list(NUMBERS)].to_numpy(np.float32)[rows],
            columns=NUMBERS,
            times=x["time"].to_numpy()[rows],
            entities=x["entity"].to_numpy(dtype=np.str_)[rows],
            codes=x[list(LABELS)].to_numpy(np.int64)[rows],
            **labels(y, rows),
        )

    def signature(self, batch: Table) -> Signature:
        """Classes, categories, and the signs that an expert expects."""
        return Signature(
            kind=batch.kind,
            objective=self.objective,
            feature_names=NUMBERS,
            horizons=self.horizons,
            classes=CLASSES,
            category_names=LABELS,
            category_sizes=tuple(len(CATEGORIES[name]) for name in LABELS),
            monotone=tuple(EXPECTED.values()),
        )

    def raw(self, request: BaseModel) -> DataFrame:
        """The applications of a request as training saw them, without an outcome."""
        return request_frame(request)

    def respond(
        self, batch: Table, prediction: Probabilities, *, version: str, warnings: tuple[str, ...] = (), explain: Explainable | None = None
    ) -> CreditResponse:
        """Probability, band and reasons of each application. `explain` holds the model and the typical applicant, as an artifact does."""
        reasons: list[tuple[ReasonCode, ...]] = [()] * len(batch)
        if explain is not None and {"middle", "common"} <= set(explain.reference):
            reasons = told(batch, explain)
        elif explain is not None:
            warnings = (*warnings, NO_REASONS)
        answers = tuple(
            ApplicantRisk(
                entity=str(entity),
                as_of=time.astype("datetime64[D]").item(),
                probability=p,
                predicted=CLASSES[int(p > 0.5)],
                band=band_of(p),
                reasons=codes,
            )
            for entity, time, p, codes in zip(batch.entity, batch.time, prediction.columns()["p1"].astype("float64").tolist(), reasons, strict=True)
        )
        return CreditResponse(version=version, applicants=answers, warnings=warnings)

    def realised(self, answer: Mapping[str, Any], outcomes: Outcomes) -> tuple[Realised, ...]:
        """Probabilities beside what the loan did."""
        return of_classes(answer["applicants"], outcomes, lambda known: int(known["defaulted"]), lambda one: (1 - one["probability"], one["probability"]))

    def came_true(self, target: tuple[float, ...]) -> LoanOutcome:
        """Whether the loan defaulted."""
        return LoanOutcome(defaulted=bool(target[0]))
