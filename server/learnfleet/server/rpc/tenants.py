"""Whose call it is.

A contextvar, so that it need not pass through every function: each call is handled in a context of its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextvars import ContextVar

from learnfleet.server.access.identity import TENANT_RULE, is_tenant
from learnfleet.server.domain import DEFAULT_TENANT
from learnfleet.server.errors import FieldViolation, InvalidArgument

METADATA_KEY = "learnfleet-tenant"

_current: ContextVar[str] = ContextVar("tenant", default=DEFAULT_TENANT)


def current_tenant() -> str:
    """The tenant of the call that is being handled."""
    return _current.get()


def enter(tenant: str) -> None:
    """From now on the call is for this tenant."""
    _current.set(tenant)


def named_in(metadata: Iterable[tuple[str, str | bytes]]) -> str | None:
    """The tenant that a call's metadata name, if they do. Raises InvalidArgument for a bad name."""
    given = [value for key, value in metadata if key == METADATA_KEY]
    if not given:
        return None
    name = given[-1]
    if not isinstance(name, str) or not is_tenant(name):
        raise InvalidArgument([FieldViolation(f"metadata {METADATA_KEY}", f"must be {TENANT_RULE}")])
    return name
