"""What a log line belongs to: the job, the learner, the rank. Known to those who work on it, and put into each line."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from types import MappingProxyType

from learnfleet.server.domain import Job
from learnfleet.server.telemetry import trace_context
from learnfleet.server.telemetry.calls import current_call

Value = str | int
_NOTHING: Mapping[str, Value] = MappingProxyType({})
_fields: ContextVar[Mapping[str, Value]] = ContextVar("log_fields", default=_NOTHING)


@contextlib.contextmanager
def log_fields(**fields: Value) -> Iterator[None]:
    """Inside, lines of this thread or task have these fields as well."""
    token = _fields.set({**_fields.get(), **fields})
    try:
        yield
    finally:
        _fields.reset(token)


def fields_of(job: Job) -> dict[str, Value]:
    """What lines of a job's have."""
    found: dict[str, Value] = {"job": f"jobs/{job.id}", "learner": f"learners/{job.learner_id}", "tenant": job.tenant}
    trace = trace_context.parse(job.traceparent)
    return found if trace is None else {**found, "trace_id": trace.trace_id}


def fields_now() -> dict[str, Value]:
    """Those of the call that is handled, and those of `log_fields`."""
    found: dict[str, Value] = {}
    call = current_call()
    if call is not None:
        found |= {"method": call.method, "request_id": call.request_id}
        if call.tenant:
            found["tenant"] = call.tenant
        if call.trace is not None:
            found["trace_id"] = call.trace.trace_id
    return {**found, **_fields.get()}
