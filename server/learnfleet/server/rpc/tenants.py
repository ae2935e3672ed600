"""Whose call it is.

A contextvar, so that it need not pass through every function: each call is handled in a context of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextvars import ContextVar

from learnfleet.server.domain import DEFAULT_TENANT
from learnfleet.server.errors import FieldViolation, InvalidArgument

METADATA_KEY = "learnfleet-tenant"
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")

_current: ContextVar[str] = ContextVar("tenant", default=DEFAULT_TENANT)


def current_tenant() -> str:
    """The tenant of the call that is being handled."""
    return _current.get()


def enter(metadata: Iterable[tuple[str, str | bytes]] | None) -> None:
    """Take the tenant from a call's metadata. Raises InvalidArgument for a bad name."""
    given = [value for key, value in metadata or () if key == METADATA_KEY]
    name = given[-1] if given else DEFAULT_TENANT
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        rule = "lower-case letters, digits and '-', starting and ending with a letter or digit, 1 to 63 characters"
        raise InvalidArgument([FieldViolation(f"metadata {METADATA_KEY}", f"must be {rule}")])
    _current.set(name)
