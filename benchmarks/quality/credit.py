"""Tabular models on real applicants: default of credit card clients in Taiwan (Yeh and Lien 2009), beside boosted trees on the same rows.

The split is stratified, 80 % and 20 % by seed 0, for all; the networks hold 15 % of the 80 % back to stop on, and a seed is theirs.
The bar is the area under the curve of scikit-learn's boosted trees at their defaults, which learn from the whole 80 %.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.model_selection import train_test_split

from benchmarks.quality import Reached, Row, at_least, public_path
from finml_models.core.batches import Table
from finml_models.core.catalog import entry
from finml_models.core.estimator import Signature, TrainingConfig
from finml_models.core.spec import Kind, Objective
from finml_models.evaluation.metrics.classification import auc

FILE, TARGET, CATEGORIES = "credit/uci_default_credit_card.csv.gz", "default.payment.next.month", ["SEX", "EDUCATION", "MARRIAGE"]
TREES = 0.780
NETWORKS = ("tabm", "ft_transformer", "tabnet")


class Applicants(NamedTuple):
    """numbers (n, f), codes (n, c) from 1, whether each defaulted (n,), and the sizes of the categories."""

    numbers: np.ndarray
    codes: np.ndarray
    defaulted: np.ndarray
    sizes: tuple[int, ...]

    @property
    def table(self) -> Table:
        """As our models read it."""
        n, width = self.numbers.shape
        return Table(
            values=self.numbers.astype(np.float32),
            columns=tuple(f"x{i}" for i in range(width)),
            times=np.full(n, np.datetime64("2005-09-30", "us")),
            entities=np.array([f"C{i:05d}" for i in range(n)]),
            target=self.defaulted.astype(np.float32)[:, None],
            until=np.full(n, np.datetime64("2005-10-31", "us")),
            codes=self.codes,
        )

    @property
    def signature(self) -> Signature:
        """Two classes."""
        return Signature(
            kind=Kind.TABLE,
            objective=Objective.CLASSIFY,
            feature_names=tuple(f"x{i}" for i in range(self.numbers.shape[1])),
            classes=("repaid", "default"),
            category_names=tuple(f"c{i}" for i in range(len(self.sizes))),
            category_sizes=self.sizes,
        )

    def split(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows to learn from, and to test."""
        seen, test = train_test_split(np.arange(len(self.defaulted)), test_size=0.2, stratify=self.defaulted, random_state=0)
        return seen, test


def read(path: Path) -> Applicants:
    """The columns of the public file; its number of a client says nothing."""
    frame = pd.read_csv(path)
    codes = np.column_stack([pd.factorize(frame[name], sort=True)[0] + 1 for name in CATEGORIES]).astype(np.int64)
    numbers = frame.drop(columns=["ID", TARGET, *CATEGORIES]).to_numpy(np.float64)
    return Applicants(numbers, codes, frame[TARGET].to_numpy(), tuple(int(size) for size in codes.max(axis=0)))


@cache
def clients() -> Applicants:
    """The public file, read once a process."""
    return read(public_path(FILE))


def trees(seed: int) -> Reached:
    """Area under the curve of boosted trees."""
    own = clients()
    (seen, test), plain = own.split(), np.column_stack([own.numbers, own.codes])
    model = HistGradientBoostingClassifier(random_state=seed).fit(plain[seen], own.defaulted[seen])
    return Reached(auc(own.defaulted[test], model.predict_proba(plain[test])[:, 1]))


def network(name: str, seed: int) -> Reached:
    """Area under the curve of a model of the catalogue at its defaults."""
    own = clients()
    seen, tested = own.split()
    train, valid, test = (own.table.take(rows) for rows in (*train_test_split(seen, test_size=0.15, stratify=own.defaulted[seen], random_state=0), tested))
    found = entry(name)
    model = found.estimator()(found.card.hyperparameters(), own.signature, TrainingConfig(seed=seed, device="cpu"))
    return Reached(auc(test.target[:, 0], model.fit(train, valid).predict(test).columns()["p1"]))


def rows() -> Iterator[Row]:
    """Areas under the curve."""
    of = "credit card clients, area under the curve"
    yield Row("trees_credit", f"boosted trees (scikit-learn), {of}", trees)
    for name in NETWORKS:
        bar = at_least(TREES)
        yield Row(f"{name}_credit", f"{entry(name).card.name}, {of}", partial(network, name), None, bar, "boosted trees, same split", 3, 1)
