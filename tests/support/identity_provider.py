"""An OpenID Connect provider's keys and tokens, made here."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from dataclasses import dataclass, field
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

ISSUER, AUDIENCE = "https://login.test", "learnfleet"
_KINDS = {"RS256": jwt.algorithms.RSAAlgorithm, "ES256": jwt.algorithms.ECAlgorithm}


@dataclass(frozen=True)
class SigningKey:
    """A pair of the provider's."""

    id: str
    algorithm: str = "ES256"
    private: Any = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    @classmethod
    def rsa(cls, key_id: str) -> SigningKey:
        return cls(key_id, "RS256", rsa.generate_private_key(65537, 2048))

    def jwk(self, **more: object) -> dict[str, Any]:
        made = json.loads(_KINDS[self.algorithm].to_jwk(self.private.public_key()))
        return {key: value for key, value in made.items() if key != "key_ops"} | {"kid": self.id, "use": "sig", **more}

    def token(self, headers: dict[str, Any] | None = None, **claims: object) -> str:
        """Of a user of red's, for a day: some are made when tests are collected. A claim that is None is left out."""
        return jwt.encode(_claims(claims), self.private, self.algorithm, {"kid": self.id, **(headers or {})})

    def confused_token(self) -> str:
        """Signed with the public key as if it were a shared secret: what is taken by those who believe `alg`."""
        public = self.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        header = {"alg": "HS256", "typ": "JWT", "kid": self.id}
        parts = ".".join(_part(json.dumps(each).encode()) for each in (header, _claims({})))
        return f"{parts}.{_part(hmac.digest(public, parts.encode(), hashlib.sha256))}"


def unsigned_token(key_id: str) -> str:
    header = {"alg": "none", "typ": "JWT", "kid": key_id}
    return ".".join(_part(json.dumps(each).encode()) for each in (header, _claims({}))) + "."


def key_set(*keys: dict[str, Any]) -> bytes:
    return json.dumps({"keys": keys}).encode()


def _claims(changes: dict[str, Any]) -> dict[str, Any]:
    now = int(time.time())
    whole = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "alice",
        "exp": now + 86_400,
        "iat": now,
        "tenant": "red",
        "role": "user",
    }
    return {name: value for name, value in (whole | changes).items() if value is not None}


def _part(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
