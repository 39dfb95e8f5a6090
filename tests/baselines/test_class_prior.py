"""The class prior: the share of each class, whatever the row."""

from __future__ import annotations

import numpy as np
import pytest
from loan_tables import made

from finml_models.baselines.class_prior import ClassPrior, ClassPriorHyperparameters
from finml_models.core.errors import DataError


def test_every_row_gets_the_share_of_the_classes_in_both_parts() -> None:
    table, signature = made(np.zeros((200, 1)), np.arange(200) < 50)
    train, valid = table.take(np.arange(0, 200, 2)), table.take(np.arange(1, 200, 2))
    p = ClassPrior(ClassPriorHyperparameters(), signature).fit(train, valid).predict(table)
    np.testing.assert_allclose(p.values, np.tile([(150 + 0.5) / 201, (50 + 0.5) / 201], (200, 1)), rtol=1e-6)
    assert p.classes == ("repaid", "default")


def test_a_class_that_was_never_seen_is_not_impossible() -> None:
    table, signature = made(np.zeros((20, 1)), np.zeros(20))
    p = ClassPrior(ClassPriorHyperparameters(), signature).fit(table, table).predict(table)
    assert 0 < p.values[0, 1] < 0.02


def test_a_class_without_a_name_is_refused() -> None:
    table, signature = made(np.zeros((20, 1)), np.full(20, 2))
    with pytest.raises(DataError, match="number them from 0"):
        ClassPrior(ClassPriorHyperparameters(), signature).fit(table, table)
