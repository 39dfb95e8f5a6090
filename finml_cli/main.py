"""`finml`: the application, its groups, and how errors are shown."""

from __future__ import annotations

import os
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from finml_models.core.errors import FinmlError

from . import catalogue, data, doctor, evidence, explain, run, serve, tune, up, verify


class OneLineErrors(TyperGroup):
    """Errors that a user can act on are one line on stderr and exit code 2; everything else is a fault of ours and keeps its traceback."""

    def invoke(self, ctx: Any) -> Any:
        """Run the chosen command."""
        try:
            return super().invoke(ctx)
        except FinmlError as error:
            if ctx.params.get("debug"):
                raise
            typer.secho(f"error: {error}", fg="red", err=True)
            raise typer.Exit(2) from None


app = typer.Typer(cls=OneLineErrors, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode="markdown")


@app.callback()
def main(
    *,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,  # noqa: ARG001 - OneLineErrors reads it from the context
) -> None:
    """From raw financial data to a served model: choose, train, judge, serve.

    Start with `finml doctor`, then `finml run`, then `finml leaderboard`. Every command explains itself with `--help`, and
    answers in JSON with `--json` where it answers at all.
    """
    # Read when bentoml or dagster is first imported, here or in a process that a command starts.
    os.environ.setdefault("BENTOML_DO_NOT_TRACK", "True")
    os.environ.setdefault("DAGSTER_DISABLE_TELEMETRY", "yes")


app.add_typer(catalogue.app, name="models")
app.add_typer(data.app, name="data")
app.command("use-cases")(catalogue.use_cases)
app.command("run")(run.run)
app.command("tune")(tune.tune)
app.command("leaderboard")(evidence.leaderboard)
app.command("report")(evidence.report)
app.command("verify")(verify.verify)
app.command("serve")(serve.serve)
app.command("predict")(serve.predict)
app.command("explain")(explain.explain)
app.command("up")(up.up)
app.command("doctor")(doctor.doctor)
