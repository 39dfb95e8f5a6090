"""`finml models` and `finml use-cases`: what there is, for what, and which one to take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from finml_models.core import catalog

from . import render
from .evidence import measured, passed

if TYPE_CHECKING:
    from finml_models.core.documents import ModelDetail, ModelSummary

app = typer.Typer(no_args_is_help=True, help="The models: list, show, recommend.")


@app.command("list")
def list_models(
    *,
    category: Annotated[str | None, typer.Option("--category", "-c", help="time_series, representation, graph, reinforcement, nlp or tabular.")] = None,
    use_case: Annotated[str | None, typer.Option("--use-case", "-u", help="Only models that fit this use case.")] = None,
    ready: Annotated[bool, typer.Option("--ready", help="Only models whose newest version passed its gate.")] = False,
    as_json: render.AsJson = False,
) -> None:
    """List the models of the catalogue.

    Example: `finml models list --use-case volatility_forecasting`
    """
    from finml_models.core.documents import model_list

    found = model_list(category=category, use_case=use_case, production_ready=True if ready else None, ready=passed())
    if as_json:
        render.print_json(found)
    elif not found.count:
        typer.echo("no model holds every condition; drop one, for example --ready")
    else:
        render.table("", ("id", "name", "category", "state", "latency", "data", "explainability"), map(_row, found.models))
        typer.echo(f"{found.count} models. Levels are the cards' claims; finml models show ID explains them.")


@app.command("show")
def show_model(model_id: Annotated[str, typer.Argument(metavar="ID", help="A model or baseline, for example gru")], *, as_json: render.AsJson = False) -> None:
    """Show a model's or baseline's whole card.

    Example: `finml models show lstm`
    """
    from finml_models.core.documents import model_detail

    detail = model_detail(catalog.entry(model_id), ready=passed())
    if as_json:
        render.print_json(detail)
    else:
        _print_card(detail)


@app.command("recommend")
def recommend_models(use_case: Annotated[str, typer.Argument(help="A use case; see finml use-cases")], *, as_json: render.AsJson = False) -> None:
    """Rank the models of a use case: what was measured here first, what cards claim after it, what is not built last.

    Example: `finml models recommend volatility_forecasting`
    """
    from finml_models.core.documents import recommendation_list

    found = recommendation_list(use_case, evidence=measured(use_case))
    if as_json:
        render.print_json(found)
    else:
        render.table("", ("id", "role", "reason"), [(f"{place.rank}. {place.id}", place.role, place.reason) for place in found.recommendations])


def use_cases(*, as_json: render.AsJson = False) -> None:
    """List the use cases: what is asked, how it is scored, who competes.

    Example: `finml use-cases --json | jq '.[].id'`
    """
    from finml_models.core.documents import use_case_list

    found = use_case_list()
    if as_json:
        render.print_json(found)
    else:
        columns = ("id", "state", "objective", "decided by", "baselines", "models")
        rows = [(u.id, _state(built=u.built), u.objective, u.metrics[0], ", ".join(u.baselines), ", ".join(u.models)) for u in found]
        render.table("", columns, rows)


def _row(model: ModelSummary) -> tuple[object, ...]:
    state = "ready" if model.production_ready else _state(built=catalog.model(model.id).gap is None)
    return model.id, model.name, model.category, state, model.latency_class, model.data_requirements, model.explainability


def _state(*, built: bool) -> str:
    return "built" if built else "card only"


def _print_card(detail: ModelDetail) -> None:
    state = "production ready" if detail.production_ready else f"not built yet: {detail.gap}" if detail.gap else "built; no version has passed a gate yet"
    typer.echo(f"{detail.name} ({detail.id}): {state}\n{detail.description}\n")
    for title, points in (("strengths", detail.strengths), ("weaknesses", detail.weaknesses), ("best for", detail.best_for)):
        typer.echo(f"{title}\n" + "\n".join(f"  - {point}" for point in points))
    levels = {"latency_class": detail.latency_class, "data_requirements": detail.data_requirements, "explainability": detail.explainability}
    render.table("claims", ("", "level", "meaning"), [(name.replace("_", " "), level, detail.thresholds[name][level]) for name, level in levels.items()])
    properties = detail.hyperparameters.json_schema.get("properties", {})
    choices = [(name, default, _bounds(properties[name]), properties[name].get("description")) for name, default in detail.hyperparameters.defaults.items()]
    if choices:
        render.table("hyperparameters", ("name", "default", "bounds", "meaning"), choices)
    typer.echo(f"use cases: {', '.join(detail.use_cases) or 'none'}")
    typer.echo(f"samples: {detail.training.minimum_samples:,} at least, {detail.training.recommended_samples:,} recommended")
    for paper in detail.references:
        typer.echo(f"paper: {paper.title} ({paper.year}), {paper.link}")


def _bounds(field: dict[str, object]) -> str | None:
    if "enum" in field:
        return ", ".join(map(str, field["enum"])) if isinstance(field["enum"], list) else None
    low = field.get("minimum", field.get("exclusiveMinimum"))
    high = field.get("maximum", field.get("exclusiveMaximum"))
    return None if low is None and high is None else f"{'' if low is None else low} to {'' if high is None else high}"
