"""The box of a card as a space to search: every point of it can be built, and its scales are those of the fields."""

from __future__ import annotations

import math
import random
from typing import Any, Literal

import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from pydantic import Field

from finml_models.core import catalog
from finml_models.core.errors import FinmlError, UnknownName
from finml_models.core.spec import Hyperparameters
from finml_models.training.search_space import search_space

ENTRIES = [*catalog.models().values(), *map(catalog.baseline, catalog.baselines())]


class Box(Hyperparameters):
    narrow: int = Field(4, ge=1, le=99, description="less than two decades")
    wide: int = Field(4, ge=1, le=100, description="two decades")
    said: int = Field(8, ge=4, le=64, description="says so", json_schema_extra={"scale": "log"})
    inside: int = Field(3, gt=1, lt=10, description="open on both sides")
    share: float = Field(0.1, ge=0, lt=1, description="reaches 0")
    rate: float = Field(1e-3, gt=0, le=1, description="open at 0", json_schema_extra={"scale": "log"})
    decay: float = Field(0.9, gt=0, lt=1, description="open at 0, linear")
    switch: bool = Field(True, description="a switch")
    word: Literal["a", "b"] = Field("a", description="a choice")
    text: str = Field("abc", description="free text")
    steps: int = Field(10, ge=1, le=1_000, description="how long", json_schema_extra={"searched": False})
    fixed: int = Field(2, ge=2, le=2, description="one value")


class Unbounded(Hyperparameters):
    depth: int = Field(4, ge=1, description="no end")


def test_scales_follow_the_bounds_and_what_the_field_says() -> None:
    space = search_space(Box)
    assert {name: getattr(space[name], "log", None) for name in ("narrow", "wide", "said", "share", "rate", "decay")} == {
        "narrow": False,
        "wide": True,
        "said": True,
        "share": False,
        "rate": True,
        "decay": False,
    }
    assert (space["inside"].low, space["inside"].high) == (2, 9)
    assert space["share"].high == math.nextafter(1.0, 0.0)
    assert space["rate"].low == pytest.approx(1e-6)
    assert space["switch"] == CategoricalDistribution([False, True])
    assert space["word"] == CategoricalDistribution(["a", "b"])


def test_free_text_single_values_and_budgets_keep_their_default() -> None:
    assert not {"text", "fixed", "steps"} & set(search_space(Box))


def test_only_what_is_named_is_searched_a_budget_too() -> None:
    assert set(search_space(Box, ("wide", "steps"))) == {"wide", "steps"}
    with pytest.raises(UnknownName, match=r"narow.*narrow"):
        search_space(Box, ("narow",))


def test_a_number_without_an_end_is_refused_by_name() -> None:
    with pytest.raises(FinmlError, match=r"Unbounded\.depth.*le or lt"):
        search_space(Unbounded)


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.id)
def test_every_point_of_a_cards_space_is_accepted_and_holds_the_default(entry: catalog.Entry) -> None:
    box = entry.card.hyperparameters
    space, rng = search_space(box), random.Random(0)  # noqa: S311
    default = box().model_dump()
    assert all(held.low <= default[name] <= held.high for name, held in space.items() if not isinstance(held, CategoricalDistribution))
    for _ in range(20):
        box.model_validate({name: drawn(held, rng) for name, held in space.items()})


def drawn(held: BaseDistribution, rng: random.Random) -> Any:
    if isinstance(held, CategoricalDistribution):
        return rng.choice(held.choices)
    assert isinstance(held, IntDistribution | FloatDistribution)
    return rng.choice([held.low, held.high, rng.randint(held.low, held.high) if isinstance(held, IntDistribution) else rng.uniform(held.low, held.high)])
