"""Which models say what state the market is in, and what each of them says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from finml_console.schemas.intelligence import Choice, CurrentRegime, Insight, Likelihood
from finml_console.services.evidence import Evidences, Judged
from finml_ledger import Release
from finml_models.core import catalog
from finml_models.core.catalog import Pair
from finml_models.core.errors import NotBuilt, UnknownName
from finml_models.core.spec import Category, Objective
from finml_models.evaluation.states import States
from finml_models.evaluation.verdict import Verdict

from .measurements import measurement_of


def finds_regimes(pair: Pair) -> bool:
    """Whether it says how likely each regime is."""
    return pair.task.objective is Objective.REGIMES


def embeds(pair: Pair) -> bool:
    """Whether it is of the family whose models embed what they see."""
    return pair.entry.category is Category.REPRESENTATION


def choices(evidence: Evidences) -> tuple[Choice, ...]:
    """Every pair that finds regimes or embeds, with its newest verdict."""
    newest = evidence.newest()
    return tuple(_choice(evidence, pair, newest) for pair in _pairs())


def insight(evidence: Evidences, use_case: str, model_id: str) -> Insight:
    """What the newest version of a pair says.

    Raises `UnknownName` for a pair that neither finds regimes nor embeds, `NotBuilt` for one that was never judged or whose states were not kept.
    """
    task, entry = catalog.task(use_case), catalog.entry(model_id)
    pair = catalog.pair(f"{task.id()}-{entry.id}")
    if not (finds_regimes(pair) or embeds(pair)):
        raise UnknownName("pair with regimes or an embedding", pair.id, (other.id for other in _pairs()))
    release = evidence.newest(task.id(), entry.id).get((task.id(), entry.id))
    if release is None:
        raise NotBuilt(f"{pair.id} was never judged here; do it with: finml run --use-case {task.id()} --model {entry.id}")
    states = evidence.states_of(release)
    return Insight(
        use_case=task.id(),
        model_id=entry.id,
        name=entry.card.name,
        is_baseline=entry.is_baseline,
        measurement=measurement_of(Judged(release, evidence.report_of(release))),
        current=current(states),
        states=states,
    )


def current(states: States) -> CurrentRegime | None:
    """The regime at the newest date that there is, and for how long it has lasted."""
    spells = states.spells()
    if not spells:
        return None
    spell = spells[-1]
    newest = spell.last
    return CurrentRegime(
        as_of=newest.date,
        regime=newest.regime,
        probability=newest.probabilities[newest.likeliest],
        regimes=tuple(
            Likelihood(regime=law.name, probability=probability, volatility=law.volatility, mean=law.mean)
            for law, probability in zip(newest.stretch.regimes, newest.probabilities, strict=True)
        ),
        since=spell.first.date,
        sessions=spell.sessions,
        began_earlier=len(spells) == 1,
    )


def _pairs() -> Iterator[Pair]:
    for use_case in catalog.tasks().values():
        if catalog.task_gap(use_case) is None:
            yield from (pair for pair in catalog.contenders(use_case.id()) if finds_regimes(pair) or embeds(pair))


def _choice(evidence: Evidences, pair: Pair, newest: Mapping[tuple[str, str], Release]) -> Choice:
    release = newest.get((pair.task.id(), pair.entry.id))
    return Choice(
        use_case=pair.task.id(),
        model_id=pair.entry.id,
        name=pair.entry.card.name,
        category=pair.entry.category,
        regimes=finds_regimes(pair),
        embedding=embeds(pair),
        version=release.version if release else None,
        verdict=Verdict(release.verdict) if release else None,
        gate_passed=release.gate_passed if release else None,
        kept=release is not None and evidence.has_states(release),
    )
