"""Deploy, split, shadow, promote, roll back, withdraw: made ready first, decided on a revision, written in the audit trail."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from console_cases import GRU_1, GRU_2, HAR, LOSER, TASK, FakeGateway

from finml_ledger import Deployments, Slot

PATH = f"/v1/deployments/{TASK}"


def body(slot: Slot, **more: Any) -> dict[str, Any]:
    return {"model_id": slot.entry, "version": slot.version, **more}


def change(api: httpx.Client, action: str, json: dict[str, Any], **headers: str) -> httpx.Response:
    return api.post(f"{PATH}/{action}", json=json, headers={name.replace("_", "-"): value for name, value in headers.items()})


def test_a_use_case_goes_through_every_change(api: httpx.Client, gateway: FakeGateway, deployments: Deployments) -> None:
    assert api.get(PATH).json()["revision"] == 0
    steps: list[tuple[str, dict[str, Any], dict[str, Slot | None]]] = [
        ("deploy", body(HAR), {"champion": HAR, "challenger": None}),
        ("deploy", body(GRU_1), {"champion": HAR, "challenger": GRU_1}),
        ("split", body(GRU_1, share=0.1), {"champion": HAR, "challenger": GRU_1}),
        ("shadow", {"shadow": body(GRU_2)}, {"champion": HAR, "shadow": GRU_2}),
        ("shadow", {"shadow": None}, {"champion": HAR, "shadow": None}),
        ("promote", body(GRU_1, reason="better"), {"champion": GRU_1, "previous": HAR, "challenger": None}),
        ("rollback", {"reason": "worse after all"}, {"champion": HAR, "previous": GRU_1}),
        ("withdraw", {}, {"champion": None, "previous": None}),
    ]
    for revision, (action, sent, expected) in enumerate(steps, start=1):
        answer = change(api, action, sent)
        assert answer.status_code == 200, answer.text
        assert answer.headers["etag"] == f'"{revision}"'
        # Nobody compared the two on rows that neither was trained on.
        assert ["not shown to beat" in warning for warning in answer.json()["warnings"]] == ([True] if action == "promote" else [])
        state = deployments.now(TASK).state
        assert {role: getattr(state, role) for role in expected} == expected, action
        assert api.get(PATH).json() == answer.json()["deployment"]
    assert gateway.refreshed == len(steps)


def test_every_change_is_audited_with_who_what_from_to_and_why(api: httpx.Client) -> None:
    change(api, "deploy", body(HAR), X_Finml_Actor="ada@desk")
    change(api, "promote", body(GRU_1, reason="better in June"), X_Finml_Actor="ada@desk")
    change(api, "promote", body(GRU_1))
    newest, oldest = api.get("/v1/audit", params={"subject": TASK}).json()["items"]
    assert (newest["actor"], newest["action"], newest["reason"]) == ("ada@desk", "deployment.promote", "better in June")
    assert newest["before"]["champion"] == HAR.model_dump()
    assert newest["after"]["champion"] == GRU_1.model_dump()
    assert oldest["action"] == "deployment.deploy"


def test_a_promotion_asks_the_champion_before_and_after_and_keeps_the_drill(api: httpx.Client, gateway: FakeGateway) -> None:
    change(api, "deploy", body(HAR))
    gateway.prepared.clear()
    evidence = change(api, "promote", body(GRU_1)).json()["deployment"]["evidence"]
    drill = evidence["drill"]
    assert gateway.prepared == [HAR, GRU_1, HAR]
    assert drill["before"] == drill["after"] != drill["new"]
    assert not evidence["challenge"]["may_replace"]


def test_a_drill_that_does_not_lead_back_changes_nothing(api: httpx.Client, gateway: FakeGateway, deployments: Deployments) -> None:
    change(api, "deploy", body(HAR))
    gateway.forgetful = True
    answer = change(api, "promote", body(GRU_1))
    assert answer.status_code == 409
    assert "would not lead back" in answer.json()["detail"]
    assert deployments.now(TASK).state.champion == HAR


@pytest.mark.parametrize(("action", "more"), [("deploy", {}), ("split", {"share": 0.1}), ("promote", {})])
def test_a_version_that_does_not_become_ready_gets_no_traffic(
    action: str, more: dict[str, Any], api: httpx.Client, gateway: FakeGateway, deployments: Deployments
) -> None:
    change(api, "deploy", body(HAR))
    gateway.refuses.add(GRU_1)
    answer = change(api, action, body(GRU_1, **more))
    assert answer.status_code == 503
    assert "does not match its manifest" in answer.json()["detail"]
    assert answer.headers["retry-after"]
    assert deployments.now(TASK).revision == 1


def test_without_the_gateway_nothing_is_promoted_and_rolling_back_still_works(api: httpx.Client, gateway: FakeGateway, deployments: Deployments) -> None:
    change(api, "deploy", body(HAR))
    change(api, "promote", body(GRU_1))
    gateway.away = True
    refused = change(api, "promote", body(GRU_2))
    assert refused.status_code == 503
    assert "finml up" in refused.json()["detail"]
    rolled = change(api, "rollback", {})
    assert rolled.status_code == 200
    assert "not told at once" in rolled.json()["warnings"][0]
    assert deployments.now(TASK).state.champion == HAR


def test_a_version_that_did_not_pass_its_gate_is_refused_before_anybody_loads_it(api: httpx.Client, gateway: FakeGateway) -> None:
    for action, more in [("deploy", {}), ("split", {"share": 0.5}), ("promote", {})]:
        answer = change(api, action, body(LOSER, **more))
        assert answer.status_code == 409
        assert "did not pass its gate" in answer.json()["detail"]
    assert gateway.prepared == []


@pytest.mark.parametrize(
    ("sent", "status", "near"),
    [
        (body(Slot(entry="gru", version="g9")), 404, "g1"),
        (body(Slot(entry="gruu", version="g1")), 404, "gru"),
        ({"model_id": "gru"}, 422, "body.version"),
        (body(GRU_1, path="/etc/passwd"), 422, "body.path"),
        (body(Slot(entry="gru", version="../g1")), 422, "body.version"),
        (body(GRU_1, reason="\x00"), 422, "body.reason"),
    ],
)
def test_what_does_not_exist_or_fit_is_named(sent: dict[str, Any], status: int, near: str, api: httpx.Client) -> None:
    answer = change(api, "deploy", sent)
    assert answer.status_code == status
    assert near in answer.json()["detail"]


@pytest.mark.parametrize("share", [-0.1, 1, 1.5, "NaN", None])
def test_a_share_is_at_least_0_and_below_1(share: Any, api: httpx.Client) -> None:
    change(api, "deploy", body(HAR))
    assert change(api, "split", body(GRU_1, share=share)).status_code == 422


def test_a_change_decided_on_an_older_revision_is_answered_with_what_holds(api: httpx.Client) -> None:
    first = change(api, "deploy", body(HAR)).headers["etag"]
    assert change(api, "deploy", body(GRU_1), If_Match=first).status_code == 200
    for action, sent in [("promote", body(GRU_2)), ("split", body(GRU_1, share=0.5)), ("rollback", {}), ("withdraw", {}), ("shadow", {"shadow": None})]:
        late = change(api, action, sent, If_Match=first)
        assert late.status_code == 409
        assert late.headers["etag"] == '"2"'
        assert late.json()["deployment"]["state"]["champion"] == HAR.model_dump()
    assert change(api, "promote", body(GRU_2), If_Match="*").status_code == 200


@pytest.mark.parametrize("tag", ["3", 'W/"3"', '"three"', '"1", "2"'])
def test_an_if_match_that_is_no_etag_of_ours_is_refused(tag: str, api: httpx.Client) -> None:
    assert change(api, "rollback", {}, If_Match=tag).status_code == 422


def test_a_deployment_that_is_known_already_is_not_sent_again(api: httpx.Client) -> None:
    change(api, "deploy", body(HAR))
    tag = api.get(PATH).headers["etag"]
    again = api.get(PATH, headers={"If-None-Match": tag})
    assert (again.status_code, again.content) == (304, b"")
    assert api.get(PATH, headers={"If-None-Match": '"0"'}).status_code == 200


def test_history_is_paged_without_gap_or_repeat(api: httpx.Client, deployments: Deployments) -> None:
    deployments.deploy(TASK, HAR, actor="t")
    for share in range(1, 8):
        deployments.split(TASK, GRU_1, share / 10, actor="t")
    seen: list[int] = []
    cursor: dict[str, str] = {}
    while True:
        page = api.get(f"{PATH}/history", params={"limit": "3"} | cursor).json()
        seen += [item["revision"] for item in page["items"]]
        if page["next"] is None:
            break
        cursor = {"cursor": page["next"]}
    assert seen == [8, 7, 6, 5, 4, 3, 2, 1]


def test_what_served_at_a_moment_is_told(api: httpx.Client, deployments: Deployments) -> None:
    moment = deployments.deploy(TASK, HAR, actor="t").at
    deployments.promote(TASK, GRU_1, actor="t")
    assert moment is not None
    then = api.get(f"{PATH}/at", params={"moment": moment.isoformat()}).json()
    assert then["state"]["champion"] == HAR.model_dump()
    assert api.get(f"{PATH}/at", params={"moment": "2001-01-01T00:00:00Z"}).json()["revision"] == 0
    assert api.get(f"{PATH}/at", params={"moment": "2001-01-01T00:00:00"}).status_code == 422


def test_an_unknown_use_case_is_answered_with_near_matches(api: httpx.Client) -> None:
    for path in ("", "/history"):
        answer = api.get(f"/v1/deployments/volatility_forcasting{path}")
        assert answer.status_code == 404
        assert answer.json()["near"][0] == TASK
    for action, sent in [("rollback", {}), ("withdraw", {}), ("shadow", {"shadow": None}), ("deploy", body(HAR))]:
        assert api.post(f"/v1/deployments/volatility_forcasting/{action}", json=sent).status_code == 404
