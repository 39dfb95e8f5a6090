"""Credit risk: what is known at the decision, labels that mature, and an answer that says why."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from finml_models.baselines.monotone_boosted_trees import MonotoneBoostedTrees, MonotoneBoostedTreesHyperparameters
from finml_models.core.batches import Table
from finml_models.core.errors import DataError
from finml_models.core.serving import training_range
from finml_models.core.spec import Kind
from finml_models.datasets.loans import risk, vocabulary
from finml_models.datasets.loans.synthetic import Simulated, generate
from finml_models.evaluation import splits
from finml_models.evaluation.audit import truncation_audit
from finml_models.tasks._credit_factors import EXPECTED, LABELS, NUMBERS, stories_of
from finml_models.tasks._credit_reasons import told
from finml_models.tasks._loans import BANDS, Application, CreditRequest, band_of
from finml_models.tasks.credit_risk import CLASSES, CreditRisk

TASK = CreditRisk()
APPLICANT: dict[str, Any] = {
    "entity": "A1",
    "time": "2023-06-01",
    "income": 30_000.0,
    "debt_to_income": 0.4,
    "loan_amount": 12_000.0,
    "term_months": 60,
    "months_on_book": 0,
    "employment_years": 0.5,
    "utilisation": 0.95,
    "delinquencies_24m": 3,
    "months_since_delinquency": 2,
    "inquiries_6m": 4,
    "credit_history_months": 20,
    "open_accounts": 7,
    "employment": "temporary",
    "purpose": "debt_consolidation",
    "housing": "rent",
    "region": "north",
    "channel": "broker",
}


@pytest.fixture(scope="module")
def simulated() -> Simulated:
    return generate(seed=0, loans=8_400)


@pytest.fixture(scope="module")
def table(simulated: Simulated) -> Table:
    return TASK.table(TASK.features(simulated.frame), TASK.target(simulated.frame))


@pytest.fixture(scope="module")
def held(table: Table) -> SimpleNamespace:
    """What an artifact holds: a fitted model and the typical applicant."""
    first, second = table.take(np.arange(5_000)), table.take(np.arange(5_000, len(table)))
    model = MonotoneBoostedTrees(MonotoneBoostedTreesHyperparameters(), TASK.signature(table)).fit(first, second)
    return SimpleNamespace(estimator=model, reference=training_range(first))


def asked(*applicants: dict[str, Any]) -> Table:
    request = CreditRequest.model_validate_json(json.dumps({"rows": applicants}))
    return TASK.table(TASK.features(TASK.raw(request)))


def answered(held: SimpleNamespace, *applicants: dict[str, Any]) -> Any:
    batch = asked(*applicants)
    return TASK.respond(batch, held.estimator.predict(batch), version="v", explain=held)


def test_a_row_of_features_comes_from_its_own_row_alone(simulated: Simulated) -> None:
    whole = TASK.features(simulated.frame)
    some = simulated.frame.iloc[::7].reset_index(drop=True)
    pd.testing.assert_frame_equal(TASK.features(some), whole.iloc[::7].reset_index(drop=True), check_exact=True)


def test_features_never_see_the_outcome(simulated: Simulated) -> None:
    other = simulated.frame.assign(defaulted=1 - simulated.frame["defaulted"], outcome_at=pd.Timestamp("2030-01-01"))
    pd.testing.assert_frame_equal(TASK.features(other), TASK.features(simulated.frame), check_exact=True)


def test_missing_numbers_stay_missing_and_categories_keep_their_numbers() -> None:
    frame = generate(seed=0, loans=300).frame
    frame.loc[0, ["purpose", "channel"]] = [None, "broker"]
    x = TASK.features(frame)
    assert x.loc[0, "purpose"] == 0
    assert x.loc[0, "channel"] == 1 + vocabulary.CATEGORIES["channel"].index("broker")
    for name in ("utilisation", "savings", "employment_years"):
        assert x[name].isna().equals(frame[name].isna())
    assert (x["no_limit"] == frame["utilisation"].isna()).all()
    assert (x["no_file"] == frame["credit_history_months"].isna()).all()
    assert (x["no_account"] == frame["savings"].isna()).all()
    np.testing.assert_allclose(x["loan_to_income"], frame["loan_amount"] / frame["income"])


def test_defaults_mature_with_the_repaid_loans_of_their_vintage(simulated: Simulated) -> None:
    y = TASK.target(simulated.frame)
    known = y["class"].notna()
    assert (y.loc[known, "until"] == simulated.frame.loc[known, "time"] + pd.DateOffset(months=12)).all()
    assert y.loc[~known, "until"].isna().all()
    assert set(y.loc[known, "class"]) == {0.0, 1.0}


def test_loans_without_an_outcome_are_predicted_and_never_learned_from(simulated: Simulated, table: Table) -> None:
    x = TASK.features(simulated.frame)
    waiting = simulated.frame["defaulted"].isna()
    assert len(TASK.view(Kind.TABLE, x)) == len(simulated.frame)
    assert not set(simulated.frame.loc[waiting, "entity"]) & set(table.entities)
    assert len(table) == (~waiting).sum()
    assert (np.diff(table.times) >= np.timedelta64(0)).all()
    with pytest.raises(ValueError, match="no view 'windows'"):
        TASK.view(Kind.WINDOWS, x)


def test_no_fold_learns_from_a_loan_whose_outcome_was_not_known_yet(table: Table) -> None:
    folds = splits.of_task(CreditRisk, table)
    assert len(folds) == 3
    for fold in folds:
        assert table.until[fold.train].max() < table.times[fold.valid].min()
        assert table.until[fold.valid].max() < fold.test_start
        assert len(np.unique(table.times[fold.test])) == 6


def test_nothing_changes_when_the_future_is_cut_away(simulated: Simulated) -> None:
    audit = truncation_audit(TASK, simulated.frame, cuts=3)
    assert audit.passed, audit.leaks
    assert audit.compared > 10_000


def test_the_experts_signs_are_those_that_the_simulator_keeps() -> None:
    for name, sign in EXPECTED.items():
        if name in risk.MONOTONE:
            assert sign == risk.MONOTONE[name], name
    assert EXPECTED["loan_to_income"] == risk.MONOTONE["loan_amount"] == -risk.MONOTONE["income"]


@pytest.mark.parametrize("no_file", [False, True])
@pytest.mark.parametrize("no_account", [False, True])
def test_every_input_stands_in_exactly_one_story_so_that_nothing_goes_unnamed(no_file: bool, no_account: bool) -> None:
    stories = stories_of(no_file=no_file, no_account=no_account)
    assert sorted(name for story in stories for name in story.inputs) == sorted([*NUMBERS, *LABELS])
    assert sorted(position for story in stories for position in story.factor.numbers) == list(range(len(NUMBERS)))
    assert sorted(position for story in stories for position in story.factor.categories) == list(range(len(LABELS)))
    assert len({story.code for story in stories}) == len(stories) == 17 - 4 * no_file - 2 * no_account


def test_the_signature_says_what_a_model_needs(table: Table) -> None:
    signature = TASK.signature(table)
    assert signature.classes == CLASSES == ("repaid", "default")
    assert signature.category_sizes == tuple(len(vocabulary.CATEGORIES[name]) for name in signature.category_names)
    assert len(signature.monotone) == signature.features == table.inputs.shape[1]
    assert table.codes.min() >= 0
    assert (table.codes.max(axis=0) <= signature.category_sizes).all()


def test_an_applicant_in_trouble_is_told_so_in_plain_words(held: SimpleNamespace) -> None:
    (risky,) = answered(held, APPLICANT).applicants
    assert risky.probability > 0.5
    assert (risky.predicted, risky.band, risky.as_of.isoformat()) == ("default", "E", "2023-06-01")
    assert 1 <= len(risky.reasons) <= 4
    assert {reason.direction for reason in risky.reasons} == {"raises"}
    assert all(reason.log_odds > 0 for reason in risky.reasons)
    sentences = {reason.code: reason.sentence for reason in risky.reasons}
    assert sentences["utilisation"] == f"Drawn share of credit limits: 95 %; typical: {100 * held.reference['middle'][NUMBERS.index('utilisation')]:.0f} %."


def test_a_safe_applicant_is_told_what_speaks_for_him(held: SimpleNamespace) -> None:
    safe = {
        **{name: value for name, value in APPLICANT.items() if name != "months_since_delinquency"},
        "income": 80_000.0,
        "debt_to_income": 0.1,
        "loan_amount": 5_000.0,
        "term_months": 12,
        "months_on_book": 120,
        "employment_years": 15.0,
        "employment": "permanent",
        "utilisation": 0.05,
        "delinquencies_24m": 0,
        "inquiries_6m": 0,
        "credit_history_months": 240,
        "overdraft_days_12m": 0,
        "savings": 20_000.0,
    }
    (answer,) = answered(held, safe).applicants
    assert answer.probability < 0.03
    assert answer.predicted == "repaid"
    assert answer.reasons
    assert {reason.direction for reason in answer.reasons} == {"lowers"}


def test_never_late_is_the_typical_payment_history(held: SimpleNamespace) -> None:
    (row,) = told(asked({**APPLICANT, "utilisation": 0.1, "debt_to_income": 0.1, "employment": "permanent", "channel": "branch"}), held)
    late = next(reason for reason in row if reason.code == "payment_history")
    assert late.sentence == "Payments over 30 days late in the last 24 months: 3, the last 2 months ago; typical: none."


def test_a_source_that_is_missing_is_one_reason_and_not_five(held: SimpleNamespace) -> None:
    file = {"utilisation", "delinquencies_24m", "months_since_delinquency", "inquiries_6m", "credit_history_months", "open_accounts"}
    batch = asked({name: value for name, value in APPLICANT.items() if name not in file})
    (row,) = told(batch, held)
    said = [reason.sentence for reason in row if "file" in reason.sentence]
    years = held.reference["middle"][NUMBERS.index("credit_history_months")] / 12
    assert said in ([], [f"Credit file: none; typical: opened {years:.1f} years ago."])
    assert not {"inquiries", "open_accounts", "credit_history"} & {reason.code for reason in row}
    assert {reason.code for reason in row} <= {story.code for story in stories_of(no_file=True, no_account=True)}


def test_an_answer_without_a_typical_applicant_warns_that_it_owes_reasons(held: SimpleNamespace) -> None:
    bare = answered(SimpleNamespace(estimator=held.estimator, reference={"low": np.zeros(1)}), APPLICANT)
    assert bare.applicants[0].reasons == ()
    assert any("no reason codes" in warning for warning in bare.warnings)
    batch = asked(APPLICANT)
    assert TASK.respond(batch, held.estimator.predict(batch), version="v").warnings == ()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"debt_to_income": 31.0}, "less than or equal to 10"),
        ({"income": 0.0}, "greater than 0"),
        ({"purpose": "holiday"}, "debt_consolidation"),
        ({"term_months": 36.5}, "integer"),
        ({"age": 40}, "Extra inputs"),
        ({"income": "30000"}, "number"),
        ({"time": "yesterday"}, "date"),
    ],
)
def test_an_application_that_makes_no_sense_is_refused_with_its_field(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        asked({**APPLICANT, **changed})


def test_the_same_application_twice_is_refused() -> None:
    with pytest.raises(DataError, match="A1 stand there more than once"):
        asked(APPLICANT, {**APPLICANT, "income": 40_000.0})


def test_fields_left_out_are_unknown_and_answered(held: SimpleNamespace) -> None:
    bare = {name: APPLICANT[name] for name in ("entity", "time", *vocabulary.REQUIRED)}
    batch = asked(bare)
    assert np.isnan(batch.inputs[0, NUMBERS.index("utilisation")])
    assert (batch.codes == 0).all()
    assert 0 < answered(held, bare).applicants[0].probability < 1


def test_every_field_has_words_or_a_vocabulary_and_the_schema_shows_examples() -> None:
    schema = CreditRequest.model_json_schema()["$defs"]["Application"]["properties"]
    assert set(schema) == set(Application.model_fields) == {"entity", "time", *vocabulary.NUMBERS, *vocabulary.CATEGORIES}
    for name, field in schema.items():
        assert field.get("examples"), name
        assert field.get("description") or name in vocabulary.CATEGORIES, name


def test_bands_follow_the_probability() -> None:
    assert [band_of(p) for p in (0.0, 0.02, 0.021, 0.1, 0.19, 0.2, 0.5, 1.0)] == ["A", "A", "B", "C", "D", "D", "E", "E"]
    assert [limit for limit, _ in BANDS] == sorted(limit for limit, _ in BANDS)
