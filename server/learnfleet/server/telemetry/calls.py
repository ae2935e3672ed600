"""The call that is being handled, for all that tells of it: logs, the audit log, traces.

A contextvar, as the tenant is: each call is handled in a context of its own.
"""

from __future__ import annotations

import re
import secrets
from contextvars import ContextVar
from dataclasses import dataclass

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from learnfleet.server.telemetry.trace_context import TraceContext

# Names of resources, and nothing else that a caller may have written into a request.
_RESOURCE = re.compile(
    r"(?:jobs|learners|models|datasets|uploads|interpretations)/[A-Za-z0-9][A-Za-z0-9._@-]{0,127}"
    r"(?:/(?:checkpoints|versions|jobs)/[A-Za-z0-9._-]{1,128})?"
)
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")
_MOST_RESOURCES = 4


@dataclass(slots=True)
class Call:
    """One call. Filled in as more of it is known."""

    method: str  # learnfleet.v1.JobService/GetJob
    peer: str
    trace: TraceContext | None = None
    tenant: str = ""
    is_audited: bool = False
    resources: tuple[str, ...] = ()
    _request_id: str = ""

    @property
    def request_id(self) -> str:
        """The request's own, by which its repeats are known; else one that is made up here for this call."""
        if not self._request_id:
            self._request_id = f"call-{secrets.token_hex(8)}"
        return self._request_id

    def asked(self, request: Message) -> None:
        """Take from a request its id and the names of what it is about. Nothing else of it is kept."""
        given = getattr(request, "request_id", "")
        if isinstance(given, str) and _REQUEST_ID.fullmatch(given):
            self._request_id = given
        self._note(request)

    def answered(self, answer: object) -> None:
        """Take from the answer the name of what was made."""
        name = getattr(answer, "name", "")
        if isinstance(name, str):
            self._add([name])

    def _note(self, request: Message) -> None:
        found = (value for field, value in request.ListFields() if field.type == FieldDescriptor.TYPE_STRING)
        self._add([value for value in found if isinstance(value, str)])

    def _add(self, names: list[str]) -> None:
        known = [name for name in names if name not in self.resources and _RESOURCE.fullmatch(name)]
        self.resources = (*self.resources, *known)[:_MOST_RESOURCES]


_current: ContextVar[Call | None] = ContextVar("call", default=None)


def current_call() -> Call | None:
    """None outside of calls."""
    return _current.get()


def enter(call: Call) -> None:
    _current.set(call)
