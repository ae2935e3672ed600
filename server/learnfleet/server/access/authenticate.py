"""From what a caller shows to who they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from learnfleet.server.access.entries import Entries
from learnfleet.server.access.files import Watched
from learnfleet.server.access.identity import ANYBODY, Identity
from learnfleet.server.access.oidc import Oidc
from learnfleet.server.errors import TokenExpired, TokenRefused, Unauthenticated

_DOTS_OF_A_JWT = 2


@dataclass(frozen=True)
class Credentials:
    """What came with a call."""

    token: str | None
    peer_names: Callable[[], Mapping[str, Sequence[bytes]]]  # gRPC's words for a client's certificate that was checked

    @property
    def common_names(self) -> list[str]:
        return self._names("x509_common_name")

    @property
    def alternative_names(self) -> list[str]:
        return self._names("x509_subject_alternative_name")

    def _names(self, key: str) -> list[str]:
        return [value.decode(errors="replace") for value in self.peer_names().get(key, ())]


class Authenticator(Protocol):
    """Says who calls. Raises Unauthenticated, PermissionDenied, Unavailable."""

    async def identify(self, credentials: Credentials) -> Identity: ...


class Open:
    """Takes everybody, as anybody."""

    async def identify(self, credentials: Credentials) -> Identity:
        return ANYBODY


class Closed:
    """Takes those with a token of the file or the provider, and those whose certificate the file names."""

    def __init__(
        self,
        entries: Watched[Entries] | None,
        oidc: Oidc | None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._entries, self._oidc, self._clock = entries, oidc, clock

    async def identify(self, credentials: Credentials) -> Identity:
        token = credentials.token
        if token is None:
            return self._by_certificate(credentials)
        # A token that is wrong is not made good by a certificate: whoever sends one means it.
        if self._oidc is not None and token.count(".") == _DOTS_OF_A_JWT:
            return await self._oidc.identify(token)
        entry = self._entries.current().token(token) if self._entries is not None else None
        if entry is None:
            raise TokenRefused("the token is not known here")
        if entry.expires is not None and entry.expires <= self._clock():
            raise TokenExpired
        return entry.identity

    def _by_certificate(self, credentials: Credentials) -> Identity:
        entries = self._entries.current() if self._entries is not None else None
        if entries is not None and (entries.common_names or entries.alternative_names):
            found = entries.certificate(credentials.common_names, credentials.alternative_names)
            if found is not None:
                return found
        raise Unauthenticated("no token came with the call; send metadata `authorization: Bearer TOKEN`")
