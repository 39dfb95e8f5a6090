"""What a profile stands for."""

from __future__ import annotations

from finml_models.core.profile import PROFILES, ProfileName

FAST = PROFILES[ProfileName.FAST]


def test_what_departs_from_a_profile_leads_back_to_the_configuration() -> None:
    own = FAST.training.model_copy(update={"max_epochs": 9, "learning_rate": 0.5})
    departs = FAST.departures(own.model_dump(mode="json"))
    assert departs == {"max_epochs": 9, "learning_rate": 0.5}
    assert type(own).model_validate(FAST.training.model_dump() | departs) == own


def test_the_profile_itself_departs_in_nothing_and_neither_does_what_is_not_known() -> None:
    assert FAST.departures(FAST.training.model_dump(mode="json")) == {}
    assert FAST.departures({"a_setting_of_long_ago": 3}) == {}
    assert FAST.departures(None) == {}
