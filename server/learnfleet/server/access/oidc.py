"""JSON Web Tokens of an OpenID Connect provider: checked, and what their claims make of the caller."""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from learnfleet.server.access.identity import ROLES, Identity, Role, is_tenant
from learnfleet.server.access.jwks import KeySet
from learnfleet.server.errors import PermissionDenied, TokenExpired, TokenRefused
from learnfleet.server.long_calls import LongCalls

# Signatures only: with a symmetric algorithm everyone who knows the (public) key could make tokens.
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
_LEEWAY_S = 30
_REMEMBERED = 4096
_REMEMBER_S = 60.0  # for so long a key that was withdrawn goes on to be believed


@dataclass(frozen=True)
class OidcSettings:
    """Whose tokens are taken, and what their claims mean."""

    issuer: str
    audience: str
    algorithms: Sequence[str] = ("RS256", "ES256")
    tenant_claim: str = "tenant"
    role_claim: str = "role"
    roles: Mapping[str, Role] | None = None  # by value of the claim; None: viewer, user, admin


class Oidc:
    """Checks tokens. Those that were right are remembered for a minute, as their signature costs most of a call."""

    def __init__(
        self,
        settings: OidcSettings,
        keys: KeySet,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._settings, self._keys, self._clock, self._wall = settings, keys, clock, wall
        self._fetching = LongCalls("jwks", 1)
        self._known: OrderedDict[bytes, tuple[Identity, float, float]] = OrderedDict()  # with both times of its end

    async def identify(self, token: str) -> Identity:
        """Raises TokenRefused, TokenExpired, PermissionDenied where claims give no tenant or role, Unavailable."""
        digest = hashlib.sha256(token.encode()).digest()
        known = self._known.get(digest)
        if known is not None and self._clock() < known[1] and self._wall() < known[2]:
            return known[0]
        self._known.pop(digest, None)
        claims = await self._claims(token)
        identity = self._identity(claims)
        self._known[digest] = identity, self._clock() + _REMEMBER_S, float(claims["exp"]) + _LEEWAY_S
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        return identity

    async def _claims(self, token: str) -> dict[str, Any]:
        import jwt

        try:
            header = jwt.get_unverified_header(token)
        except jwt.PyJWTError:
            raise TokenRefused("the token is no JSON Web Token") from None
        algorithm, key_id = header.get("alg"), header.get("kid", "")
        if not isinstance(algorithm, str) or algorithm not in self._settings.algorithms or not isinstance(key_id, str):
            raise TokenRefused(f"the token must be signed by {' or '.join(self._settings.algorithms)}")
        key = self._keys.known(key_id, algorithm)
        if key is None:
            key = await self._fetching.run(self._keys.key, key_id, algorithm)
        if key is None:
            raise TokenRefused("the token's key is none of the identity provider's")
        try:
            return dict(
                jwt.decode(
                    token,
                    key.public,
                    algorithms=[algorithm],
                    audience=self._settings.audience,
                    issuer=self._settings.issuer,
                    leeway=_LEEWAY_S,
                    options={"require": ["exp", "iss", "aud", "sub"]},
                )
            )
        except jwt.ExpiredSignatureError:  # after its signature was found right
            raise TokenExpired from None
        except jwt.PyJWTError as error:
            raise TokenRefused(f"the token is not valid here: {error}") from None

    def _identity(self, claims: Mapping[str, Any]) -> Identity:
        settings = self._settings
        tenant, said = _claim(claims, settings.tenant_claim), _claim(claims, settings.role_claim)
        if not isinstance(tenant, str) or not is_tenant(tenant):
            raise PermissionDenied(f"the token's claim '{settings.tenant_claim}' names no tenant; ask who issued it")
        known = ROLES if settings.roles is None else settings.roles
        values = said if isinstance(said, list) else [said]
        roles = [known[value] for value in values if isinstance(value, str) and value in known]
        if not roles:
            raise PermissionDenied(f"the token's claim '{settings.role_claim}' has no role here; ask who issued it")
        return Identity(str(claims["sub"]), tenant, max(roles), "jwt")


def _claim(claims: Mapping[str, Any], name: str) -> object:
    """By its whole name, which may be a URL; else dots lead inwards, as in `realm_access.roles`."""
    if name in claims:
        return claims[name]
    value: object = claims
    for part in name.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value
