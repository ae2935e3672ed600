"""Who calls: a name, a tenant and a role.

A contextvar, as the tenant is: each call is handled in a context of its own.
"""

from __future__ import annotations

import re
from contextvars import ContextVar
from dataclasses import dataclass
from enum import IntEnum

from learnfleet.server.domain import DEFAULT_TENANT

_TENANT = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")

TENANT_RULE = "lower-case letters, digits and '-', starting and ending with a letter or digit, 1 to 63 characters"


class Role(IntEnum):
    """What somebody may do: each may do what those before may."""

    VIEWER = 1  # looks
    USER = 2  # trains, predicts, deletes what is the tenant's own
    ADMIN = 3  # acts for any tenant


ROLES = {role.name.lower(): role for role in Role}


@dataclass(frozen=True)
class Identity:
    """A caller that is known."""

    name: str  # of the token, the JWT's subject, the certificate: what logs say
    tenant: str
    role: Role
    means: str  # token, jwt, certificate, or none where no caller is asked who it is


# Where no caller is asked, each may do everything, in whichever tenant's name.
ANYBODY = Identity("anybody", DEFAULT_TENANT, Role.ADMIN, "none")

_current: ContextVar[Identity] = ContextVar("identity", default=ANYBODY)


def current_identity() -> Identity:
    """The caller whose call is being handled."""
    return _current.get()


def enter(identity: Identity) -> None:
    """From now on the call is this caller's."""
    _current.set(identity)


def is_tenant(name: str) -> bool:
    return _TENANT.fullmatch(name) is not None
