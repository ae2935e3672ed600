"""Flags of a command, made of the settings."""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from learnfleet.server.config import Config
from learnfleet.server.settings.environment import FILE_VARIABLE
from learnfleet.server.settings.merge import ConfigError, Merged, merge
from learnfleet.server.settings.setting import Setting, settings_of
from learnfleet.server.settings.values import plain

WRONG_SETTINGS = 2  # exit code
_FILE = Annotated[Path | None, typer.Option("--config", help=f"TOML file of settings. Default: ${FILE_VARIABLE}.")]


def takes_settings(*sections: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Gives a command a flag for `--config` and each setting besides its own; its first argument is what they come to.

    Flags are strings until all sources are read, so that everything that is wrong is said at once. Where something is,
    the command ends with exit code 2 before it has begun.

    Args:
        sections: whose settings have flags; the others are still read from the environment and the file. Default: all.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        own = list(inspect.signature(command, eval_str=True).parameters.values())[1:]
        settings = [each for each in settings_of(Config) if not sections or each.rules.section in sections]
        by_parameter = {_parameter_name(each): each.name for each in settings}

        @functools.wraps(command)
        def run(config: Path | None, **given: Any) -> None:
            flags = {name: given.pop(parameter) for parameter, name in by_parameter.items()}
            command(merged_or_exit(flags, config), **given)

        kind = inspect.Parameter.KEYWORD_ONLY
        file = inspect.Parameter("config", kind, default=None, annotation=_FILE)
        parameters = [each.replace(kind=kind) for each in own] + [file, *map(_parameter, settings)]
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {each.name: each.annotation for each in parameters}
        del run.__dict__["__wrapped__"]  # typer would read that one's signature
        return run

    return decorate


def merged_or_exit(flags: dict[str, Any], file: Path | None) -> Merged:
    """What the flags, this process's environment and the file come to. Says what is wrong and ends, otherwise."""
    try:
        return merge(flags, os.environ, file)
    except ConfigError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(WRONG_SETTINGS) from error


def default_text(setting: Setting) -> str:
    """The default in words, for help and pages."""
    if setting.rules.unset_text:
        return setting.rules.unset_text
    value = plain(setting, setting.default)
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, int | float):
        return f"{value:,.15g}" if isinstance(value, int) and value >= 10_000 else f"{value:.15g}"
    return str(value) if value else "none"


def _parameter_name(setting: Setting) -> str:
    return setting.flag.replace("-", "_")


def _parameter(setting: Setting) -> inspect.Parameter:
    names = [f"--{setting.flag}/--no-{setting.flag}"] if setting.kind is bool else [f"--{setting.flag}"]
    bounds = f" ({setting.bounds})" if setting.bounds else ""
    repeatable = " Repeatable." if setting.is_list else ""
    option = typer.Option(
        *names,
        help=f"{setting.rules.help}{repeatable} Default: {default_text(setting)}{bounds}.",
        metavar=None if setting.kind is bool else setting.metavar,
        rich_help_panel=setting.rules.section,
        show_default=False,
    )
    kind: Any = bool if setting.kind is bool else list[str] if setting.is_list else str
    annotation = Annotated[kind | None, option]
    return inspect.Parameter(
        _parameter_name(setting), inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation
    )
