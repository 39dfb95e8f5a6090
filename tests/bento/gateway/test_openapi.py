"""The OpenAPI document: typed for every use case, complete, and the same whatever is deployed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from gateway_cases import Running, drive
from service_cases import TASK

from bento.gateway import openapi
from bento.gateway.app import addresses
from finml_ledger import Ledger
from finml_ledger.deployments import Deployments, Slot
from finml_models.core import catalog


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return openapi.document("1.0")


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def test_every_address_is_described_with_its_method_and_nothing_else(document: dict[str, Any]) -> None:
    described = {path: {method.upper() for method in item} for path, item in document["paths"].items()}
    answered = {path: set(methods) - {"HEAD"} for path, methods in addresses().items()}
    # It does not describe itself.
    assert answered.pop("/openapi.json") == {"GET"}
    assert described == answered


def test_every_use_case_has_its_own_request_and_answer(document: dict[str, Any]) -> None:
    assert len(catalog.tasks()) == 10
    for task in catalog.tasks().values():
        operation = document["paths"][f"/predict/{task.id()}"]["post"]
        asked = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
        told = operation["responses"]["200"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
        schemas = document["components"]["schemas"]
        assert set(schemas[asked]["properties"]) == set(task.request.model_fields)
        assert set(schemas[told]["properties"]) == set(task.response.model_fields)


def test_every_reference_leads_somewhere_and_every_operation_has_a_name_of_its_own(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    assert {name for name in references(document) if name.removeprefix("#/components/schemas/") not in schemas} == set()
    names = [operation["operationId"] for item in document["paths"].values() for operation in item.values()]
    assert len(names) == len(set(names))


def test_the_document_is_the_same_whatever_is_deployed(ledger: Ledger, slots: list[Slot]) -> None:
    async def scene(it: Running) -> None:
        before = (await it.client.get("/openapi.json")).json()
        Deployments(ledger).deploy(TASK, slots[0], actor="test")
        await it.refresh()
        assert (await it.client.get("/openapi.json")).json() == before
        assert before["openapi"] == "3.1.0"

    drive(ledger, scene)
