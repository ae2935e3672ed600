"""`learnfleet jobs`, `watch`, `logs`, `cancel`, `pause`, `resume`, `delete`."""

from __future__ import annotations

from itertools import islice
from typing import Annotated

import typer

from learnfleet.client.cli.access import connect
from learnfleet.client.cli.exits import reported
from learnfleet.client.cli.output import AsJson, Server, emit, table, watch


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


def pause(job: Annotated[str, typer.Argument(help="jobs/...")], as_json: AsJson = False, server: Server = None) -> None:
    """Have a job save its state and wait for `resume`. Its slots are others' meanwhile."""
    with reported(), connect(server) as client:
        paused = client.job(job).pause()
        emit(paused.info) if as_json else typer.echo(f"{paused.name} is {paused.state}")


def resume(
    job: Annotated[str, typer.Argument(help="jobs/...")], as_json: AsJson = False, server: Server = None
) -> None:
    """Queue a paused job again. Training goes on where it was."""
    with reported(), connect(server) as client:
        resumed = client.job(job).resume()
        emit(resumed.info) if as_json else typer.echo(f"{resumed.name} is {resumed.state}")


def delete(name: Annotated[str, typer.Argument(help="jobs/... or learners/...")], server: Server = None) -> None:
    """Forget a job that has ended, or a learner with all of its jobs: events, files and checkpoints.

    The learner of a job stays, and so do MLflow runs and what was exported.
    """
    with reported(), connect(server) as client:
        found = client.learner(name) if name.startswith("learners/") else client.job(name)
        found.delete()
        typer.echo(f"{name} is deleted")


def logs(
    job: Annotated[str, typer.Argument(help="jobs/...")],
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the job has ended.")] = False,
    severity: Annotated[str, typer.Option(help="Only from this on: info, warning or error.")] = "info",
    after: Annotated[str, typer.Option(help="Only entries after this `position` (--json has it).")] = "",
    as_json: AsJson = False,
    server: Server = None,
) -> None:
    """Print what a job's workers and the server have logged of it."""
    with reported(), connect(server) as client:
        for entry in client.job(job).logs(follow, severity, after):
            if as_json:
                emit(entry)
            else:
                by = f"rank {entry.rank}" if entry.rank >= 0 else "server"
                typer.echo(f"{entry.time:%H:%M:%S} {entry.attempt} {by} {entry.severity} {entry.message}")
