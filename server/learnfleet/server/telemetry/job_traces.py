"""A job's way through the scheduler as spans of the trace that the call for it belongs to."""

from __future__ import annotations

from learnfleet.server.domain import Job, JobState
from learnfleet.server.telemetry import trace_context
from learnfleet.server.telemetry.tracing import Tracing


class JobTraces:
    """Makes them of transitions, when they are over: a server that takes over needs nothing of the one before."""

    def __init__(self, tracing: Tracing) -> None:
        self._tracing = tracing

    def moved(self, before: Job, after: Job) -> None:
        """A transition was written. From any thread."""
        if not self._tracing.is_on or before.state is after.state:
            return
        parent = trace_context.parse(after.traceparent)
        if parent is None or not parent.is_sampled:
            return
        since_s, now_s = before.updated_at.timestamp(), after.updated_at.timestamp()
        attributes: dict[str, str | int] = {
            "job": f"jobs/{after.id}",
            "attempt": after.attempt,
            "kind": str(after.kind),
        }
        if after.state is JobState.STARTING:
            is_first = before.attempt == 0
            name = "job.queued" if is_first else "job.restarting"
            # Why it waits is written anew again and again, and moves `updated_at` on.
            began_s = after.created_at.timestamp() if is_first else since_s
            self._tracing.past(name, parent, began_s, now_s, attributes)
        elif after.state is JobState.RUNNING and before.state is JobState.STARTING:
            self._tracing.past("job.starting", parent, since_s, now_s, attributes)
        elif after.state.final:
            began_s = (after.started_at or after.created_at).timestamp()
            error = (after.reason or str(after.state)) if after.state is JobState.FAILED else ""
            self._tracing.past("job.run", parent, began_s, now_s, {**attributes, "state": str(after.state)}, error)
