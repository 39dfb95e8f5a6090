"""The pages of the console, by what they show, and what holds for each of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from console_cases import TASK
from live_console import Console

from finml_console.pages._render import SECTIONS

Address = Callable[[Console], str]
PAGES: Mapping[str, Address] = {
    **{name: lambda _, name=name: f"/ui/{name}" for name in SECTIONS},
    "a model": lambda _: "/ui/models/gru",
    "a baseline": lambda _: "/ui/models/log_har",
    "a comparison": lambda _: f"/ui/compare?use_case={TASK}",
    "a run that ended": lambda console: f"/ui/train/{console.ended}",
    "a run that failed": lambda console: f"/ui/train/{console.failed}",
    "a run that goes on": lambda console: f"/ui/train/{console.going}",
    "a deployment": lambda _: f"/ui/deployments/{TASK}",
    "an empty deployment": lambda _: "/ui/deployments/credit_risk",
    "what is monitored": lambda _: f"/ui/monitoring/{TASK}",
}
