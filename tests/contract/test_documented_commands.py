"""Every `learnfleet ...` that the docs tell their reader to type is a command with such arguments and options."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from learnfleet.client.cli.main import build_app

ROOT = Path(__file__).parents[2]
_BLOCKS = re.compile(r"^```\w*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_ENDS = ("|", ">", ">>", "&", "&&", ";")
_FILLED_IN = re.compile(r"\$\([^)]*\)")  # by the shell


def documented() -> Iterator[tuple[str, str]]:
    """(page, command) of each."""
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        for block in _BLOCKS.findall(page.read_text()):
            for line in block.replace("\\\n", " ").splitlines():
                if line.startswith("learnfleet "):
                    yield page.name, line


def words(command: str) -> list[str]:
    """As a shell would give them to the command."""
    found = shlex.split(_FILLED_IN.sub("x", command), comments=True)[1:]
    ends = [place for place, word in enumerate(found) if word in _ENDS]
    return found[: min(ends, default=len(found))]


def refused(given: list[str]) -> str:
    """Why the arguments are no command; empty where they are. Nothing is run."""
    wanted = next((word for word in given if not word.startswith("-")), None)
    command: Any = typer.main.get_command(build_app(wanted))
    name, context = "learnfleet", None
    try:
        while True:
            context = command.make_context(name, given, parent=context)
            if not hasattr(command, "resolve_command"):
                return ""
            name, command, given = command.resolve_command(context, [*context._protected_args, *context.args])
    except Exception as error:  # UsageError of the click that typer brings, which has no public name
        if not hasattr(error, "format_message"):
            raise
        return str(error.format_message())


@pytest.mark.parametrize(("page", "command"), documented())
def test_a_documented_command_is_understood(page: str, command: str) -> None:
    assert refused(words(command)) == "", page


@pytest.mark.parametrize(
    "wrong", ["predict m dog.jpg --nope", "predict", "model alias models/m@a", "nonsense", "jobs --limit many"]
)
def test_one_that_is_wrong_is_not(wrong: str) -> None:
    assert refused(shlex.split(wrong))
