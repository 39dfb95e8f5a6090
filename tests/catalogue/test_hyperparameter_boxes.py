"""The box of each model's hyperparameters: bounded, closed, flat, and valid at every point."""

from __future__ import annotations

import json
import math
import random

import pytest
from boxes import bounds, draw, properties
from pydantic import ValidationError

from finml_models.core import catalog
from finml_models.core.spec import Hyperparameters

CLASSES = {model_id: entry.card.hyperparameters for model_id, entry in catalog.models().items()}
every_class = pytest.mark.parametrize("box", CLASSES.values(), ids=CLASSES)


@every_class
def test_defaults_are_valid(box: type[Hyperparameters]) -> None:
    assert box.model_validate(box().model_dump()) == box()


@every_class
def test_every_number_is_bounded_and_every_text_is_closed(box: type[Hyperparameters]) -> None:
    for name, field in properties(box).items():
        assert field["description"], name
        assert field["default"] is not None, name
        if field["type"] in {"integer", "number"}:
            low, high = bounds(field)
            assert low < high, name
            assert math.isfinite(low), name
            assert math.isfinite(high), name
        elif field["type"] == "string":
            assert "enum" in field or "pattern" in field, name
        else:
            assert field["type"] == "boolean", name


@every_class
def test_a_logarithmic_scale_starts_above_zero(box: type[Hyperparameters]) -> None:
    for name, field in properties(box).items():
        if "scale" in field:
            assert field["scale"] == "log", name
            assert bounds(field)[0] > 0, name


@every_class
def test_random_points_of_the_box_survive_json(box: type[Hyperparameters]) -> None:
    rng = random.Random(0)  # noqa: S311  (a draw for a test, not a secret)
    for _ in range(50):
        point = {name: draw(field, rng) for name, field in properties(box).items()}
        built = box.model_validate_json(json.dumps(point))
        assert built.model_dump(mode="json") == point
        assert box.model_validate_json(built.model_dump_json()) == built


@every_class
def test_values_beyond_the_bounds_are_refused_by_name(box: type[Hyperparameters]) -> None:
    for name, field in properties(box).items():
        if field["type"] not in {"integer", "number"}:
            continue
        low, high = bounds(field)
        for value in (low - 1, high + 1, math.nan, math.inf):
            with pytest.raises(ValidationError) as refused:
                box.model_validate({name: value})
            assert refused.value.errors()[0]["loc"] == (name,)


@every_class
def test_unknown_fields_are_refused(box: type[Hyperparameters]) -> None:
    with pytest.raises(ValidationError, match="extra_forbidden"):
        box.model_validate({"no_such_field": 1})


@every_class
def test_hyperparameters_cannot_be_changed_afterwards(box: type[Hyperparameters]) -> None:
    with pytest.raises(ValidationError, match="frozen"):
        setattr(box(), next(iter(box.model_fields)), 1)


@pytest.mark.parametrize("model_id", ["finbert", "longformer"])
@pytest.mark.parametrize("value", ["../secrets", "/etc/passwd", "https://example.org/weights", "someone/else"])
def test_pretrained_weights_are_chosen_from_a_closed_list(model_id: str, value: str) -> None:
    with pytest.raises(ValidationError):
        CLASSES[model_id].model_validate({"weights": value})


@pytest.mark.parametrize("model_id", ["finbert", "longformer"])
def test_a_revision_is_a_commit_and_no_moving_name(model_id: str) -> None:
    with pytest.raises(ValidationError):
        CLASSES[model_id].model_validate({"revision": "main"})


def test_models_with_a_part_to_doubt_have_a_switch_for_it() -> None:
    switches = {
        "tft": "variable_selection",
        "informer": "full_attention",
        "patchtst": "reversible_normalisation",
        "denoising_autoencoder": "corruption_level",
        "vae": "beta",
        "gcn": "edges",
        "gat": "edges",
        "temporal_gnn": "edges",
        "longformer": "global_attention",
    }
    for model_id, name in switches.items():
        assert "ablation" in properties(CLASSES[model_id])[name]["description"], model_id
