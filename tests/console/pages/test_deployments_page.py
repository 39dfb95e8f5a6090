"""The pages of deployments: what is shown and what can be done in each state of a use case."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path

import httpx
import pytest
from console_cases import GRU_1, GRU_2, HAR, ROWS, TASK, FakeGateway, application, http, release
from sqlalchemy import update

from finml_ledger import Deployments, Ledger, Release
from finml_ledger.predictions import PredictionLog, Served
from finml_models.core import catalog

PATH = f"/ui/deployments/{TASK}"


def shown(api: httpx.Client, path: str = PATH, **query: str) -> str:
    answer = api.get(path, params=query or None)
    assert answer.status_code == 200, answer.text
    return " ".join(html.unescape(answer.text).split())


def part(page: str, heading: str) -> str:
    """A section of a page, by the id of its heading."""
    return page[page.index(f'aria-labelledby="{heading}"') :].split("</section>", maxsplit=1)[0]


def forms(page: str) -> dict[str, tuple[str, str]]:
    """What a page can change: by the kind of change the address it is sent to and the revision that it was decided on."""
    found = re.findall(r'data-change="([a-z-]+)" action="([^"]+)" data-etag=""?(\d+)"?"', page)
    return {kind: (action, tag) for kind, action, tag in found}


def words(page: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", page).split())


def test_every_use_case_is_shown_with_what_could_serve_it_where_nothing_does(api: httpx.Client) -> None:
    page = shown(api, "/ui/deployments")
    for task in catalog.tasks():
        assert f'href="/ui/deployments/{task}"' in page
    idle = part(page, "idle")
    # The newest of those that are superior, and a model before the baseline.
    assert "Deploy GRU g2 for" in idle
    assert forms(page) == {"deploy": (f"/v1/deployments/{TASK}/deploy", "0")}
    assert f'<a href="/v1/versions/{TASK}/gru/g2/report.html"' in idle
    assert "Nothing was judged yet." in idle
    assert "No use case has a champion" in part(page, "serves")


def test_what_serves_is_shown_with_its_share_verdict_report_and_run(api: httpx.Client, deployments: Deployments) -> None:
    deployments.deploy(TASK, HAR, actor="t")
    deployments.split(TASK, GRU_1, 0.25, actor="t")
    deployments.shadow(TASK, GRU_2, actor="t")
    row = words(part(shown(api, "/ui/deployments"), "serves"))
    assert re.search(r"champion log-HAR h1 75% ≈ non-inferior ✓ gate passed gate report run run-h1", row)
    assert re.search(r"challenger GRU g1 25% ▲ superior ✓ gate passed gate report run run-g1", row)
    assert re.search(r"shadow GRU g2 none", row)


def test_a_use_case_that_nothing_serves_can_be_deployed_and_nothing_else(api: httpx.Client) -> None:
    page = shown(api)
    assert "answered with 409 until a version is deployed" in page
    assert forms(page) == {"deploy": (f"/v1/deployments/{TASK}/deploy", "0")}
    assert "Nothing was ever deployed" in page
    assert 'data-model=""' in page


def test_passed_versions_can_be_chosen_and_refused_ones_are_told_with_the_reason(api: httpx.Client) -> None:
    page = shown(api)
    assert re.findall(r'<option value="([^"]+)"', page) == ["gru:g2", "gru:g1", "log_har:h1"]
    refused = page[page.index("that the gate refused") :].split("</details>")[0]
    assert "lstm/l1/report.html" in refused
    assert "LSTM was judged inferior; its gate refused it." in refused
    assert "The API does not take them" in refused


def test_a_sentence_of_the_judgement_says_why(api: httpx.Client, ledger: Ledger, home: Path) -> None:
    release(ledger, home, GRU_1.model_copy(update={"version": "g3"}), passed=False)
    with ledger.write() as session:
        session.execute(update(Release).where(Release.version == "g3").values(headline={"sentence": "It loses."}))
    assert "It loses." in shown(api)


def test_a_champion_alone_can_be_challenged_shadowed_and_withdrawn(api: httpx.Client, deployments: Deployments) -> None:
    deployments.deploy(TASK, HAR, actor="ada")
    page = shown(api)
    assert {kind: tag for kind, (_, tag) in forms(page).items()} == dict.fromkeys(("withdraw", "deploy", "split", "shadow"), "1")
    assert "log-HAR h1 answers 100% of the traffic" in page
    assert "no previous champion to roll back to" in page
    assert 'max="99"' in page
    assert 'data-model="log_har"' in page
    assert "log_har:h1" not in re.findall(r'<option value="([^"]+)"', page)


def test_a_challenger_can_be_given_another_share_and_be_promoted_with_what_the_api_would_warn_of(api: httpx.Client, deployments: Deployments) -> None:
    deployments.deploy(TASK, HAR, actor="t")
    deployments.split(TASK, GRU_1, 0.3, actor="t")
    page = shown(api)
    assert 'type="range" min="0" max="99" step="1" value="30"' in page
    assert forms(page)["promote"] == (f"/v1/deployments/{TASK}/promote", "2")
    asked = page[page.index('data-change="promote"') :].split("</form>")[0]
    assert "log-HAR h1" in asked
    assert "GRU g1, which then answers everything" in asked
    warned = api.post(f"/v1/deployments/{TASK}/promote", json={"model_id": "gru", "version": "g1"}).json()["warnings"][0]
    # The reason is the one that the API gives after the change.
    assert warned.split(": ", 1)[1] in asked
    assert "first a drill" in asked.lower()


def test_a_shadow_can_be_ended_and_promoted(api: httpx.Client, deployments: Deployments) -> None:
    deployments.deploy(TASK, HAR, actor="t")
    deployments.shadow(TASK, GRU_2, actor="t")
    page = shown(api)
    assert {"end-shadow", "promote"} <= set(forms(page))
    assert "GRU</a>" in part(page, "serves")


def test_after_a_promotion_the_way_back_is_shown(api: httpx.Client, deployments: Deployments) -> None:
    deployments.deploy(TASK, HAR, actor="t")
    api.post(f"/v1/deployments/{TASK}/promote", json={"model_id": "gru", "version": "g1", "reason": "better in June"})
    page = shown(api)
    assert forms(page)["rollback"] == (f"/v1/deployments/{TASK}/rollback", "2")
    assert "Roll back to log-HAR h1?" in page
    past = words(part(page, "past"))
    assert "champion: log-HAR h1 → GRU g1" in past
    assert "previous: nothing → log-HAR h1" in past
    assert "better in June" in past
    assert "Drill the champion answered" in past
    assert "not won" in past


def test_without_the_gateway_the_page_shows_what_still_works(api: httpx.Client, gateway: FakeGateway, deployments: Deployments) -> None:
    deployments.deploy(TASK, HAR, actor="t")
    assert "does not answer" not in shown(api)
    gateway.away = True
    for path in (PATH, "/ui/deployments"):
        page = shown(api, path)
        assert "The gateway at http://gateway does not answer." in page
        assert "finml up" in page
        assert "h1" in page


def test_the_history_is_paged(api: httpx.Client, deployments: Deployments) -> None:
    deployments.deploy(TASK, HAR, actor="t")
    for percent in range(1, 15):
        deployments.split(TASK, GRU_1, percent / 100, actor="t")
    first = shown(api)
    assert "share of the challenger:</span> 13% → 14%" in first
    (link,) = re.findall(r'hx-get="([^"]+/history\?before=\d+)"', first)
    rest = shown(api, link)
    assert "</span> 4% → 5%" in first
    assert "</span> 3% → 4%" in rest
    assert "</span> 3% → 4%" not in first
    assert "/history?before" not in rest


def test_what_served_at_a_moment_is_told(api: httpx.Client, deployments: Deployments) -> None:
    at = deployments.deploy(TASK, HAR, actor="ada", reason="first").at
    deployments.promote(TASK, GRU_1, actor="t")
    assert at is not None
    then = words(shown(api, f"{PATH}/at", moment=at.isoformat()))
    assert "revision 1: log-HAR h1 was champion" in then
    assert "by ada: first" in then
    assert "nothing served this use case" in shown(api, f"{PATH}/at", moment="2001-01-01T00:00")
    assert api.get(f"{PATH}/at", params={"moment": "yesterday"}).status_code == 422


def test_the_experiment_says_why_there_is_none_and_what_it_finds(api: httpx.Client, deployments: Deployments) -> None:
    deployments.deploy(TASK, HAR, actor="t")
    assert "No challenger or shadow runs beside the champion" in shown(api, f"{PATH}/experiment")
    deployments.split(TASK, GRU_1, 0.5, actor="t")
    found = words(shown(api, f"{PATH}/experiment"))
    assert "log-HAR h1 against GRU g1, which answers 50% of the traffic" in found
    assert "too early to look" in found
    assert "may be read at any time" in found
    assert "no request yet" in found


def test_an_example_is_the_newest_request_that_was_answered_or_says_why_there_is_none(api: httpx.Client, ledger: Ledger, deployments: Deployments) -> None:
    assert "nothing is deployed" in shown(api, f"{PATH}/example")
    at = deployments.deploy(TASK, HAR, actor="t").at
    assert at is not None
    assert "not in the state folder any more" in shown(api, f"{PATH}/example")
    served = {"task": TASK, "entry": "log_har", "version": "h1", "role": "champion", "key": "k", "revision": 1, "milliseconds": 1.0, "error": None, "at": at}
    PredictionLog(ledger).append(
        [Served(id="1", status=200, request=ROWS, answer={"assets": []}, **served), Served(id="2", status=422, request={"rows": []}, answer=None, **served)]
    )
    box = shown(api, f"{PATH}/example")
    assert json.loads(box[box.index(">") + 1 : box.index("</textarea>")]) == ROWS
    assert "newest request that was answered" in box


@pytest.mark.parametrize("tail", ["", "/experiment", "/history", "/at?moment=2020-01-01T00:00", "/example"])
def test_an_unknown_use_case_is_a_page_with_near_names(tail: str, api: httpx.Client) -> None:
    answer = api.get(f"/ui/deployments/volatility_forcasting{tail}")
    assert answer.status_code == 404
    assert TASK in answer.text


def test_names_of_a_version_cannot_break_out_of_the_page(ledger: Ledger, gateway: FakeGateway, home: Path) -> None:
    deployments = Deployments(ledger)
    deployments.deploy(TASK, HAR, actor='<script>alert("x")</script>', reason='"><img src=x>')
    page = http(application(ledger, gateway)).get(PATH).text
    assert "<script>alert" not in page
    assert "<img" not in page
