"""`learnfleet doctor`: whether a server would run well here, or does there, and what to do if not."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from typing import Annotated

import typer

from learnfleet.server.doctor.examine import examine
from learnfleet.server.doctor.finding import Finding, Level
from learnfleet.server.settings.flags import takes_settings
from learnfleet.server.settings.merge import Merged

_WIDTH = 9  # of the longest subject


@takes_settings()
def doctor(
    settings: Merged,
    address: Annotated[str | None, typer.Option(help="Ask a running server at host:port as well.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line on stdout.")] = False,
) -> None:
    """Look at all that a server with these settings stands on, and say what to do about what is wrong.

    Changes nothing. Exit code 1 if anything fails, 0 with warnings only, 2 for wrong settings.
    """
    worst = Level.OK
    for finding in _findings(settings, address):
        _say(finding, as_json=as_json)
        worst = finding.level if finding.level is Level.FAIL or worst is Level.OK else worst
    if worst is Level.FAIL:
        raise typer.Exit(1)


def _findings(settings: Merged, address: str | None) -> Iterator[Finding]:
    yield from examine(settings)
    if address is not None:
        from learnfleet.client.security import security_for
        from learnfleet.server.doctor.running import check_running

        security = security_for(address)  # as the environment says: LEARNFLEET_CA, LEARNFLEET_TOKEN_FILE, ...
        with security.channel(address) as channel:
            yield from check_running(security.authorized(channel), address)


def _say(finding: Finding, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(dataclasses.asdict(finding)), flush=True)
        return
    print(f"{finding.level:<4}  {finding.subject:<{_WIDTH}} {finding.found}", flush=True)
    if finding.advice:
        print(f"{'':<{_WIDTH + 6}} -> {finding.advice}", flush=True)
