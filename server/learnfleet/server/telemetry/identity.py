"""Who asks, as the audit log tells of it."""

from __future__ import annotations

from dataclasses import dataclass

from learnfleet.server.access.identity import Identity, Role, current_identity
from learnfleet.server.telemetry.calls import Call

# Before the gate has found out: what is refused there for want of a token is nobody's.
NOBODY = Identity("", "", Role.VIEWER, "")


@dataclass(frozen=True)
class Who:
    """The caller of a call that is being handled."""

    tenant: str  # that the call was for; of one that was refused, the caller's own
    subject: str  # of the token, JWT or certificate; empty where nobody was found out
    role: str


def who_asks(call: Call) -> Who:
    identity = current_identity()
    role = identity.role.name.lower() if identity != NOBODY else ""
    return Who(call.tenant or identity.tenant, identity.name, role)
