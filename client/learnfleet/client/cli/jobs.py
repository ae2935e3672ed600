"""`learnfleet jobs`, `watch`, `cancel`."""

from __future__ import annotations

from itertools import islice
from typing import Annotated

import typer

from learnfleet.client.cli.exits import reported
from learnfleet.client.cli.output import AsJson, Server, connect, emit, table, watch


def jobs(
    learner: Annotated[str, typer.Option(help="Only jobs of this learner.")] = "",
    state: Annotated[list[str] | None, typer.Option(help="Only in this state, such as RUNNING; repeatable.")] = None,
    limit: Annotated[int, typer.Option(help="At most so many.")] = 20,
    as_json: AsJson = False,
    server: Server = None,
) -> None:
    """List jobs, newest first."""
    with reported(), connect(server) as client:
        found = list(islice(client.jobs(learner, [name.upper() for name in state or []]), limit))
        if as_json:
            for job in found:
                emit(job.info)
            return
        rows = [
            (i.name, i.kind, i.learner, i.state, f"{i.create_time:%Y-%m-%d %H:%M:%S}", i.state_reason)
            for i in (job.info for job in found)
        ]
        table(("job", "kind", "learner", "state", "created (UTC)", "reason"), rows)


def watch_job(
    job: Annotated[str, typer.Argument(help="jobs/...")],
    after: Annotated[int, typer.Option(help="Only events after this sequence number.")] = 0,
    as_json: AsJson = False,
    server: Server = None,
) -> None:
    """Follow a job to its end. Ctrl-C leaves it running."""
    with reported([job]), connect(server) as client:
        watch(client.job(job), as_json=as_json, after=after)


def cancel(
    job: Annotated[str, typer.Argument(help="jobs/...")], as_json: AsJson = False, server: Server = None
) -> None:
    """Stop a job. Its learner stays as it was; what the job reached can be loaded under the job's id."""
    with reported(), connect(server) as client:
        stopped = client.job(job).cancel()
        emit(stopped.info) if as_json else typer.echo(f"{stopped.name} is {stopped.state}")
