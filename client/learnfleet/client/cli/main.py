"""Entry point of the command `learnfleet`."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points

import typer

from learnfleet.client.cli import access, dataset, exits, interpret, jobs, learners, model, predict, preds, train

_GROUP = "learnfleet.commands"  # commands of parts that need more than the client
_OPERATING = ("backup", "config", "doctor", "migrate", "restore", "token")
_EXTRAS = {"serve": "server,worker", "demo": "demo", **dict.fromkeys(_OPERATING, "server")}


def build_app(wanted: str | None = None) -> typer.Typer:
    """The application. Of the commands that other parts contribute only `wanted` is imported, the others are listed."""
    app = typer.Typer(
        help="Train, predict and interpret on a learnfleet server.",
        epilog=exits.HELP,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    app.callback()(access.options)
    app.command()(train.train)
    app.command()(predict.predict)
    app.command()(preds.preds)
    app.command()(interpret.interpret)
    app.command()(interpret.compare)
    app.command()(interpret.explain)
    app.command()(jobs.jobs)
    app.command("watch")(jobs.watch_job)
    app.command()(jobs.logs)
    app.command()(jobs.cancel)
    app.command()(jobs.pause)
    app.command()(jobs.resume)
    app.command()(jobs.delete)
    app.command()(learners.learners)
    app.command()(learners.describe)
    app.command()(learners.save)
    app.command()(learners.checkpoints)
    app.command()(learners.load)
    app.command()(learners.export)
    app.add_typer(dataset.app, name="dataset")
    app.add_typer(model.app, name="model")
    found = {point.name: point for point in entry_points(group=_GROUP)}
    for name in sorted({*_EXTRAS, *found}):
        _add(app, name, found.get(name), is_wanted=name == wanted)
    return app


def _add(app: typer.Typer, name: str, point: EntryPoint | None, *, is_wanted: bool) -> None:
    extra = _EXTRAS.get(name, name)
    if is_wanted and point is not None:
        try:
            command = point.load()
            if isinstance(command, typer.Typer):
                app.add_typer(command, name=name)
            else:
                app.command(name)(command)
            return
        except ImportError as error:
            app.command(name, context_settings={"ignore_unknown_options": True})(_missing(name, extra, str(error)))
            return
    summary = f"Needs learnfleet[{extra}]; `learnfleet {name} --help` says more."
    context = {"ignore_unknown_options": True, "allow_extra_args": True}
    app.command(name, help=summary, context_settings=context)(_missing(name, extra, "it is not installed"))


def _missing(name: str, extra: str, why: str) -> Callable[[], None]:
    def command() -> None:
        exits.say(f"`learnfleet {name}` needs learnfleet[{extra}] ({why}): pip install 'learnfleet[{extra}]'")
        raise typer.Exit(exits.USAGE)

    return command


def main() -> None:
    """Run the command line."""
    import sys

    build_app(access.command_in(sys.argv[1:]))(obj=frozenset(_EXTRAS))
