"""Hyperparameters and training of one model, as options and files give them, under the rules of its card."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from finml_models.core import catalog
from finml_models.core.errors import DataError, FinmlError, UnknownName
from finml_models.core.estimator import TrainingConfig

if TYPE_CHECKING:
    from pydantic import BaseModel

Settings = dict[str, dict[str, Any]]
TRAINING = "training."


def read(models: tuple[str, ...], changes: Sequence[str], file: Path | None) -> Settings:
    """What departs from the defaults, as a run takes it: `hyperparameters` and `training`. An option goes before the file.

    Raises `FinmlError` where not exactly one model is named, `UnknownName` for a field that there is not, `DataError` for a value outside its bounds.
    """
    if not changes and file is None:
        return {}
    if len(models) != 1:
        raise FinmlError(f"--set and --config are for one model, and {len(models)} are named; name one with --model")
    given = {"hyperparameters": {}, "training": {}} | ({} if file is None else _document(file))
    for change in changes:
        name, equals, text = change.partition("=")
        if not equals or not name:
            raise DataError(f"--set {change!r}: write NAME=VALUE, such as hidden=32 or training.max_epochs=5")
        part, field = ("training", name.removeprefix(TRAINING)) if name.startswith(TRAINING) else ("hyperparameters", name)
        given[part] = {**given[part], field: _value(text)}
    classes: dict[str, type[BaseModel]] = {"hyperparameters": catalog.entry(models[0]).card.hyperparameters, "training": TrainingConfig}
    return {part: checked for part, box in classes.items() if (checked := _checked(f"{models[0]} {part}", box, given[part]))}


def _document(file: Path) -> Settings:
    try:
        document = json.loads(file.read_bytes())
    except ValueError as error:
        raise DataError(f"{file} is no JSON ({error}); write {{'hyperparameters': {{'hidden': 32}}}} with double quotes") from error
    if not isinstance(document, dict) or not all(isinstance(part, dict) for part in document.values()):
        raise DataError(f"{file}: write an object with the objects hyperparameters and training, or one of them")
    if unknown := sorted({*document} - {"hyperparameters", "training"}):
        raise UnknownName(f"part of {file.name}", unknown[0], ("hyperparameters", "training"))
    return document


def _value(text: str) -> Any:
    """A number or a boolean as JSON writes it, else the text itself."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _checked(what: str, box: type[BaseModel], given: Mapping[str, Any]) -> dict[str, Any]:
    if unknown := sorted({*given} - {*box.model_fields}):
        raise UnknownName(f"field of {what}", unknown[0], box.model_fields)
    try:
        held = box.model_validate(dict(given))
    except ValidationError as error:
        found = error.errors(include_url=False)
        said = "; ".join(f"{'.'.join(map(str, e['loc']))} = {e['input']!r}: {e['msg']}" for e in found)
        raise DataError(f"{what}: {said}; finml models show names every bound") from error
    return held.model_dump(mode="json", include={*given})
