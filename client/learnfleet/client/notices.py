"""What a person should be told of a job's events, as a line each."""

from __future__ import annotations

from learnfleet.client.events import BadImage, Event, LogLine, StageStarted, StateChanged


def notice(event: Event) -> str | None:
    """None for those that the table and the bar show."""
    payload = event.payload
    if isinstance(payload, StageStarted):
        return payload.description
    if isinstance(payload, StateChanged) and payload.state in ("RESTARTING", "FAILED", "CANCELLED"):
        return f"{payload.state.lower()}: {payload.reason}" if payload.reason else payload.state.lower()
    if isinstance(payload, BadImage):
        done = "left out" if payload.policy == "skip" else "the job fails"
        return f"broken picture {payload.path}: {payload.reason} ({done})"
    if isinstance(payload, LogLine) and payload.severity != "info":
        return f"{payload.severity}: {payload.message}"
    return None
