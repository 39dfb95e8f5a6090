"""The law of routing: sticky, in the share that was asked for, and one experiment independent of the next."""

from __future__ import annotations

import inspect
from math import sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st
from service_cases import TASK, good_request

from bento.gateway.routing import Condition, Route, fraction, key_of, settle
from finml_ledger.deployments import Deployment, Slot, State
from finml_models.core import catalog

A, B, C, D = (Slot(entry="log_har", version=letter * 16) for letter in "abcd")
KEYS = [f"client-{number}" for number in range(20_000)]

texts = st.text(max_size=40)
shares = st.floats(0, 1, exclude_max=True)


def routed(share: float, challenger: Slot = B) -> Route:
    return Route(TASK, 1, A, challenger, share)


@given(task=texts, salt=texts, key=texts)
def test_a_fraction_lies_in_the_unit_interval_and_stays(task: str, salt: str, key: str) -> None:
    found = fraction(task, salt, key)
    assert 0 <= found < 1
    assert found == fraction(task, salt, key)


def test_half_a_surrogate_pair_has_a_fraction_too() -> None:
    assert 0 <= fraction(TASK, "b", "\ud800") < 1


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5, 0.9])
def test_the_share_holds_within_three_standard_deviations(share: float) -> None:
    seen = sum(routed(share).choose(key) == ("challenger", B) for key in KEYS)
    assert abs(seen / len(KEYS) - share) < 3 * sqrt(share * (1 - share) / len(KEYS))


@given(key=texts, low=shares, high=shares)
def test_raising_the_share_only_moves_clients_from_the_champion_to_the_challenger(key: str, low: float, high: float) -> None:
    low, high = sorted((low, high))
    before, after = routed(low).choose(key), routed(high).choose(key)
    assert before == after or (before, after) == (("champion", A), ("challenger", B))


@given(key=texts)
def test_without_a_share_the_champion_answers_all(key: str) -> None:
    assert routed(0.0).choose(key) == Route(TASK, 1, A).choose(key) == ("champion", A)
    assert Route(TASK, 1).choose(key) is None


def test_the_next_experiment_draws_its_clients_anew() -> None:
    both = sum(routed(0.5, B).choose(key) != ("champion", A) != routed(0.5, C).choose(key) for key in KEYS)
    assert abs(both / len(KEYS) - 0.25) < 3 * sqrt(0.25 * 0.75 / len(KEYS))


def test_a_request_is_known_by_its_header_else_by_its_first_entity() -> None:
    task = catalog.task(TASK)
    asked = task.request.model_validate({**good_request()}, strict=False)
    assert key_of(task, asked, "client") == "client"
    assert key_of(task, asked, None) == "aaa"
    shuffled = task.request.model_validate({"rows": good_request()["rows"][::-1]}, strict=False)
    assert key_of(task, shuffled, None) == "aaa"


def test_where_one_row_speaks_for_all_a_request_is_known_by_its_newest_date() -> None:
    task = catalog.task("regime_detection")
    asked = task.request.model_validate({"rows": good_request()["rows"][::-1]}, strict=False)
    assert key_of(task, asked, None) == max(row["time"] for row in good_request()["rows"])


@pytest.mark.parametrize("task", [task for task in catalog.tasks().values() if not inspect.isabstract(task)], ids=lambda task: task.id())
def test_every_use_case_has_a_key(task: object) -> None:
    from bento.gateway import probe

    assert key_of(task, probe.request(task.id()), None)  # type: ignore[attr-defined, arg-type]


conditions = st.sampled_from(Condition)


@st.composite
def states(draw: st.DrawFn) -> State:
    """Any state of a use case."""
    champion, challenger, shadow, previous = draw(st.permutations([A, B, C, D]))
    if draw(st.booleans()):
        challenger = None
    return State(
        champion=champion,
        challenger=challenger,
        share=draw(shares) if challenger else 0.0,
        shadow=shadow if draw(st.booleans()) else None,
        previous=previous if draw(st.booleans()) else None,
    )


@given(state=states(), old=st.none() | st.sampled_from([A, B, C, D]), found=st.fixed_dictionaries(dict.fromkeys([A, B, C, D], conditions)), key=texts)
def test_no_request_goes_to_a_version_that_is_not_ready_while_the_old_one_can_answer(
    state: State, old: Slot | None, found: dict[Slot, Condition], key: str
) -> None:
    before = Route(TASK, 1, old) if old else None
    wanted = Deployment(task=TASK, revision=2, state=state)
    route = settle(wanted, before, found.__getitem__)
    _, slot = route.choose(key) or ("", None)
    assert slot is not None
    if found[slot] is not Condition.READY:
        assert slot == state.champion
        assert found[slot] is Condition.FAILED or old is None or found[old] is not Condition.READY
    if found[state.champion] is Condition.READY:  # type: ignore[index]
        assert route.champion == state.champion
        assert route.revision == 2
    assert all(found[other] is Condition.READY for other in (route.challenger, route.shadow) if other)


def test_a_withdrawn_use_case_is_answered_by_nobody() -> None:
    assert settle(Deployment(task=TASK, revision=3, state=State()), Route(TASK, 2, A), lambda _: Condition.READY).choose("x") is None
