"""The whole document fuzzed in process: no 5xx but the documented 503, every error a problem document, every answer of its schema."""

from __future__ import annotations

import schemathesis
from console_cases import GRU_1, GRU_2, HAR, TASK, FakeGateway, application
from hypothesis import HealthCheck, given, settings
from schemathesis.specs.openapi.checks import content_type_conformance, negative_data_rejection, response_schema_conformance

from finml_console.schemas.problem import MEDIA_TYPE, ProblemDocument
from finml_ledger import Deployments, Ledger

EXAMPLES = 4
"""An operation and kind of data: enough to find what a wrong type, an empty or a strange text does, few enough for every run."""
CHECKS = [content_type_conformance, response_schema_conformance, negative_data_rejection]


def test_no_request_is_a_fault_of_ours(ledger: Ledger, gateway: FakeGateway) -> None:
    deployments = Deployments(ledger)
    deployments.deploy(TASK, HAR, actor="t")
    deployments.promote(TASK, GRU_1, actor="t")
    deployments.shadow(TASK, GRU_2, actor="t")
    document = schemathesis.openapi.from_asgi("/openapi.json", application(ledger, gateway, allowed_hosts="testserver"))
    operations = [found.ok() for found in document.get_all_operations()]
    assert len(operations) > 25
    for operation in operations:
        fuzz(operation, schemathesis.GenerationMode.POSITIVE)
        # What takes nothing cannot be given anything wrong.
        if {"parameters", "requestBody"} & set(operation.definition.raw):
            fuzz(operation, schemathesis.GenerationMode.NEGATIVE)


def fuzz(operation: schemathesis.APIOperation, mode: schemathesis.GenerationMode) -> None:
    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(max_examples=EXAMPLES, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    def check(case: schemathesis.Case) -> None:
        response = case.call()
        assert response.status_code < 500 or response.status_code == 503, response.text
        assert response.status_code != 421
        if response.status_code >= 400:
            assert response.headers["content-type"] == [MEDIA_TYPE]
            problem = ProblemDocument.model_validate_json(response.content)
            assert problem.status == response.status_code
            assert problem.detail
        case.validate_response(response, checks=CHECKS)

    check()
