"""Forms from JSON Schemas: every field of the catalogue becomes a control, and what stands in it comes back as the value that the schema describes."""

from __future__ import annotations

import json
import shutil
import subprocess
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from jinja2 import Template
from pydantic import BaseModel, Field
from training_pages import Forms, collected

from finml_console import assets
from finml_console.pages._forms import Control, controls
from finml_console.pages._render import environment
from finml_console.schemas.training import TrainingChoice, TuneRequest
from finml_models.core import catalog

ENTRIES = [*catalog.models(), *catalog.baselines()]
MARKUP = '{% import "controls.html" as form %}<form aria-label="f">{% for one in found %}{{ form.control(one) }}{% endfor %}</form>'
PAGE: Template = environment.from_string(MARKUP)
# The real script, with as much of a browser as its modules touch when they are loaded.
SCRIPT = """
globalThis.document = {getElementById: () => ({}), addEventListener() {}};
globalThis.sessionStorage = {getItem: () => null, removeItem() {}};
const {collect} = await import(process.argv[1]);
const forms = JSON.parse(await new Promise((done) => {let text = ""; process.stdin.on("data", (part) => text += part).on("end", () => done(text));}));
const elements = (form) => form.map((control) => ({...control, closest: () => null}));
console.log(JSON.stringify(forms.map((form) => collect({elements: elements(form)}))));
"""


class Colour(StrEnum):
    """Of no field in particular."""

    RED = "red"
    DARK_BLUE = "dark_blue"


class Everything(BaseModel):
    """One field of each kind that a schema may have."""

    needed: int
    bounded: int = Field(3, gt=0, lt=10, description="with bounds")
    share: float = Field(0.25, ge=0, lt=1)
    colour: Colour = Colour.DARK_BLUE
    one: Literal["only"] = "only"
    size: Literal[8, 16] = 16
    maybe: int | None = None
    limit: int | None = 5
    flag: bool = True
    maybe_flag: bool | None = None
    names: list[str] = ["a", "b"]
    pair: tuple[int, float] = (1, 2.5)
    table: dict[str, int] = {"x": 1}
    number: int | float = 2
    mixed: int | str = "auto"
    device: Annotated[str, Field(pattern=r"^(auto|cpu)$")] = "auto"
    word: str = Field("w", max_length=9)
    empty: str = ""


def shown(found: tuple[Control, ...]) -> Forms:
    return Forms(PAGE.render(found=found))


def body_of(found: tuple[Control, ...]) -> dict[str, Any]:
    return collected(shown(found).forms["f"])


@pytest.mark.parametrize("entry_id", ENTRIES)
def test_every_hyperparameter_is_a_control_whose_default_comes_back(entry_id: str) -> None:
    model = catalog.entry(entry_id).card.hyperparameters
    found = controls(model.model_json_schema())
    assert [control.name for control in found] == list(model.model_fields)
    assert all(control.hint and control.label for control in found)
    assert model.model_validate(body_of(found)) == model()
    for control in found:
        assert body_of(found).keys() == model.model_fields.keys(), f"{control.name} is left out"


def test_other_values_than_the_defaults_come_back_too() -> None:
    model = catalog.entry("gat").card.hyperparameters
    other = model.model_validate({"edges": "random", "skip": False, "dropout": 0.5})
    found = controls(model.model_json_schema(), under="hyperparameters", values=other.model_dump(mode="json"))
    assert model.model_validate(body_of(found)["hyperparameters"]) == other


def test_what_departs_from_a_profile_is_left_empty_and_left_out() -> None:
    found = controls(TrainingChoice.model_json_schema(), under="training_config")
    assert body_of(found) == {"training_config": {"profile": "fast"}}
    assert {control.name.partition(".")[2] for control in found} == set(TrainingChoice.model_fields)
    chosen = {"profile": "full", "calibrate": False, "device": "cpu", "learning_rate": 1e-6}
    filled = body_of(controls(TrainingChoice.model_json_schema(), under="training_config", values=chosen))
    assert filled["training_config"] == chosen
    assert TrainingChoice.model_validate(filled["training_config"]).model_dump(exclude_none=True, mode="json") == chosen


def test_the_fields_of_a_search_come_back() -> None:
    found = controls(TuneRequest.model_json_schema(), only={"trials", "profile", "timeout_seconds"})
    asked = TuneRequest.model_validate({"model_id": "gru", "use_case": "volatility_forecasting", **body_of(found)})
    assert (asked.trials, asked.profile, asked.timeout_seconds) == (20, "fast", 3_600)


def test_each_kind_of_schema_has_its_control() -> None:
    found = {control.name: control for control in controls(Everything.model_json_schema(), values={"needed": 7})}
    assert {name: control.widget for name, control in found.items() if control.widget != "text"} == {
        "needed": "number", "bounded": "number", "share": "number", "colour": "select", "one": "select", "size": "select", "maybe": "number",
        "limit": "number", "flag": "checkbox", "maybe_flag": "select", "number": "number", "device": "select",
    }  # fmt: skip
    assert found["bounded"].hint == "with bounds; above 0, below 10"
    assert (found["bounded"].attributes["min"], found["bounded"].attributes["max"]) == ("1", "9"), "a whole number has a next one"
    assert found["share"].attributes["max"] == "1", "what is excluded is left to the server"
    assert ("dark_blue", "dark blue") in found["colour"].options
    assert found["colour"].hint == "", "what is said of a class is not said of each field that has it"
    assert found["maybe"].optional
    assert found["limit"].nullable, "empty is a null where the default is none"
    assert found["names"].kind == found["pair"].kind == found["table"].kind == found["mixed"].kind == "json"
    assert Everything.model_validate(body_of(tuple(found.values()))) == Everything(needed=7)
    emptied = controls(Everything.model_json_schema(), values={"needed": 7, "limit": None})
    assert Everything.model_validate(body_of(emptied)).limit is None


def test_a_required_field_that_is_empty_is_sent_so_that_the_server_says_so() -> None:
    assert body_of(controls(Everything.model_json_schema(), only={"needed"})) == {"needed": ""}


def test_text_of_a_schema_or_a_value_is_text() -> None:
    schema = {"properties": {"x": {"type": "string", "default": '"><script>', "description": "<b>bold</b>"}}}
    page = PAGE.render(found=controls(schema))
    assert "<script>" not in page
    assert "<b>" not in page
    assert body_of(controls(schema)) == {"x": '"><script>'}


def test_the_script_of_the_pages_reads_the_same_from_every_form() -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("there is no node to run the script")
    schemas = [catalog.entry(name).card.hyperparameters.model_json_schema() for name in ENTRIES]
    schemas += [TrainingChoice.model_json_schema(), TuneRequest.model_json_schema(), Everything.model_json_schema()]
    read = [shown(controls(schema)).forms["f"] for schema in schemas]
    told = [
        [
            {
                "name": element.attributes["name"],
                "type": element.attributes.get("type", "select-one"),
                "value": element.value,
                "checked": "checked" in element.attributes,
                "dataset": {name.removeprefix("data-"): value or "" for name, value in element.attributes.items() if name.startswith("data-")},
            }
            for element in form
        ]
        for form in read
    ]
    script = Path(assets.FOLDER / "js" / "forms.js").as_uri()
    command = [node, "--input-type=module", "--experimental-default-type=module", "-e", SCRIPT, script]
    ran = subprocess.run(command, input=json.dumps(told), capture_output=True, text=True, timeout=30, check=False)
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout) == [collected(form) for form in read]
