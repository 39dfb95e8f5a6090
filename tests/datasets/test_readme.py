"""What `data/README.md` says of the datasets is what they are."""

from __future__ import annotations

from pathlib import Path

import pytest
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score

from finml_models import datasets
from finml_models.datasets.loans.schema import LOANS
from finml_models.datasets.market.schema import MARKET
from finml_models.datasets.news import synthetic
from finml_models.datasets.news.schema import NEWS
from finml_models.datasets.orders.schema import ORDERS
from finml_models.datasets.transactions.schema import TRANSACTIONS

README = " ".join((Path(__file__).parents[2] / "data" / "README.md").read_text().split())


@pytest.fixture(autouse=True)
def _no_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FINML_DATASETS", raising=False)
    monkeypatch.chdir(tmp_path)


def section(name: str) -> str:
    return README.split(f" ## {name} ", 1)[1].split(" ## ", 1)[0]


@pytest.mark.parametrize(("name", "schema"), [("Market", MARKET), ("Loans", LOANS), ("News", NEWS), ("Orders", ORDERS), ("Transactions", TRANSACTIONS)])
def test_every_column_of_a_kind_is_explained(name: str, schema: object) -> None:
    assert not [column for column in schema.columns if f"`{column}`" not in section(name)]


def test_the_ceiling_of_the_loans_is_that_of_their_truth() -> None:
    data = datasets.load("simulated_loans")
    there = data.frame["defaulted"].notna()
    outcome, p = data.frame["defaulted"][there], data.truth["p1"][there]
    told = f"its AUC is {roc_auc_score(outcome, p):.3f} and its Brier score {brier_score_loss(outcome, p):.4f} on the {len(p):,} loans"
    assert told in section("Loans")
    assert f"{len(data.frame):,} applications" in section("Loans")


def test_the_ceiling_of_the_news_is_that_of_their_truth() -> None:
    data = datasets.load("simulated_news")
    best = synthetic.ceiling(data.truth)
    assert f"accuracy {best.accuracy:.3f}, macro-F1 {best.macro_f1:.3f} and log loss {best.log_loss:.3f}" in section("News")
    assert f"{len(data.frame):,} texts" in section("News")


def test_the_orders_come_without_a_truth() -> None:
    data = datasets.load("simulated_orders")
    assert data.truth is None
    length = data.frame["intervals"]
    assert f"{data.frame['entity'].nunique():,} orders of {length.min()} to {length.max()} five-minute intervals" in section("Orders")


def test_the_ceiling_of_the_transactions_is_that_of_their_truth() -> None:
    data = datasets.load("simulated_transactions")
    there = data.frame["fraud"].notna()
    fraud, p = data.frame["fraud"][there], data.truth["p1"][there]
    told = (
        f"its average precision is {average_precision_score(fraud, p):.3f} on the {len(p):,} transactions with a label, of which {fraud.sum():.0f} are frauds"
    )
    assert told in section("Transactions")
    assert f"{len(data.frame):,} transactions of {data.frame['entity'].nunique():,} accounts" in section("Transactions")


def test_every_public_file_is_listed_with_its_terms() -> None:
    public = [name for name, spec in datasets.datasets().items() if spec.source == "download"]
    assert [name for name in public if f"| `{name}` |" in section("Public files")] == public
