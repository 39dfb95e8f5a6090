"""The whole application over a ledger and the fake of Dagster; a form's controls read out of a page, and the body that they stand for."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

import httpx
from console_cases import FakeGateway, application, http
from fake_dagster import FakeDagster
from fastapi import FastAPI

from finml_console.services.feeds import Feeds
from finml_console.services.training import Training
from finml_ledger import Ledger


def console(ledger: Ledger, fake: FakeDagster) -> FastAPI:
    app = application(ledger, FakeGateway(ledger))
    dagster = fake.client()
    # Every look is a new one: what a test has just arranged is there at once.
    app.state.training = Training(ledger, dagster, Feeds(dagster, period=0.0))
    return app


def browser(ledger: Ledger, fake: FakeDagster) -> httpx.Client:
    return http(console(ledger, fake))


@dataclass
class Element:
    """A control, with the attributes that matter; a select has the value of the option that is selected, or of its first."""

    attributes: dict[str, str | None]
    value: str = ""
    options: list[str] = field(default_factory=list)
    chosen: bool = False

    @property
    def checkbox(self) -> bool:
        return self.attributes.get("type") == "checkbox"


class Forms(HTMLParser):
    """The forms of a page by their accessible name, each a list of controls."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.forms: dict[str, list[Element]] = {}
        self._form: list[Element] | None = None
        self._select: Element | None = None
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "form":
            self._form = self.forms.setdefault(given.get("aria-label") or given.get("action") or "", [])
        elif tag == "input" and self._form is not None:
            self._form.append(Element(given, given.get("value") or ""))
        elif tag == "select":
            self._select = Element(given)
            if self._form is not None:
                self._form.append(self._select)
        elif tag == "option" and self._select is not None:
            self._select.options.append(given.get("value") or "")
            if "selected" in given or len(self._select.options) == 1:
                self._select.value = given.get("value") or ""

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._form = None
        elif tag == "select":
            self._select = None

    def named(self, form: str, name: str) -> Element:
        return next(element for element in self.forms[form] if element.attributes.get("name") == name)


def collected(elements: list[Element]) -> dict[str, Any]:
    """The rules of `collect` in static/js/forms.js; `test_forms.py` holds them against the script itself."""
    body: dict[str, Any] = {}
    for element in elements:
        name = element.attributes.get("name")
        if not name:
            continue
        kept, value = worth(element)
        if not kept:
            continue
        *path, last = name.split(".")
        place = body
        for part in path:
            place = place.setdefault(part, {})
        place[last] = value
    return body


def worth(element: Element) -> tuple[bool, Any]:
    given, text = element.attributes, element.value.strip()
    if element.checkbox:
        return True, "checked" in given
    if text == "":
        return "data-optional" not in given, None if "data-null" in given else ""
    match given.get("data-type"):
        case "integer" | "number":
            number = float(text)
            return True, int(number) if number.is_integer() else number
        case "boolean":
            return True, text == "true"
        case "json":
            return True, json.loads(text)
    return True, text
