"""The access file: who has which token or certificate, and what they may do.

[[token]]
name = "alice"
sha256 = "..."           # of the token, which `learnfleet token create` makes
tenant = "vision"
role = "user"            # viewer, user or admin
expires = 2027-02-01T00:00:00Z

[[certificate]]
common_name = "gateway"  # or san = "spiffe://corp/gateway"
tenant = "vision"
role = "viewer"
"""

from __future__ import annotations

import hashlib
import hmac
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from learnfleet.server.access.identity import ROLES, TENANT_RULE, Identity, is_tenant

_SHA256 = re.compile(r"[0-9a-f]{64}")
_WRITABLE_BY_ALL = 0o002


@dataclass(frozen=True)
class TokenEntry:
    """A token that is known by its hash."""

    sha256: str
    identity: Identity
    expires: datetime | None


@dataclass(frozen=True)
class Entries:
    """All that an access file says."""

    tokens: Mapping[str, TokenEntry]  # by hash
    common_names: Mapping[str, Identity]
    alternative_names: Mapping[str, Identity]  # DNS names and URIs

    def token(self, presented: str) -> TokenEntry | None:
        """The entry of a token, expired or not.

        What is compared is a hash of what the caller sent, so that how long it takes says nothing of any token.
        """
        digest = hash_of(presented)
        entry = self.tokens.get(digest)
        return entry if entry is not None and hmac.compare_digest(entry.sha256, digest) else None

    def certificate(self, common_names: Sequence[str], alternative_names: Sequence[str]) -> Identity | None:
        """Whose a certificate is, by an alternative name before the common one."""
        for known, names in ((self.alternative_names, alternative_names), (self.common_names, common_names)):
            for name in names:
                if name in known:
                    return known[name]
        return None


def hash_of(token: str) -> str:
    """SHA-256: enough for tokens, which are drawn at random and have 256 bits, and not for passwords."""
    return hashlib.sha256(token.encode()).hexdigest()


def read_entries(path: Path) -> Entries:
    """Raises ValueError naming the entry and what would be right, OSError."""
    if path.stat().st_mode & _WRITABLE_BY_ALL:
        raise ValueError(f"{path} can be written by everybody, who could make themselves admins: chmod o-w {path}")
    try:
        content = tomllib.loads(path.read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is no TOML: {error}") from None
    try:
        return _entries(content)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _entries(content: dict[str, Any]) -> Entries:
    _only(content, {"token", "certificate"}, "the file")
    tokens: dict[str, TokenEntry] = {}
    names: dict[str, dict[str, Identity]] = {"common_name": {}, "san": {}}
    for place, entry in enumerate(_tables(content, "token")):
        read = _token(entry, f"token[{place}]")
        if read.sha256 in tokens:
            raise ValueError(f"token[{place}].sha256 is that of token {tokens[read.sha256].identity.name}, too")
        tokens[read.sha256] = read
    for place, entry in enumerate(_tables(content, "certificate")):
        kind, name, identity = _certificate(entry, f"certificate[{place}]")
        if name in names[kind]:
            raise ValueError(f"certificate[{place}].{kind}: {name} has two entries")
        names[kind][name] = identity
    return Entries(tokens, names["common_name"], names["san"])


def _tables(content: dict[str, Any], name: str) -> list[dict[str, Any]]:
    found = content.get(name, [])
    if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
        raise ValueError(f"{name} must be tables: [[{name}]]")
    return found


def _token(entry: dict[str, Any], where: str) -> TokenEntry:
    _only(entry, {"name", "sha256", "tenant", "role", "expires"}, where)
    digest = _text(entry, "sha256", where, lambda text: bool(_SHA256.fullmatch(text)), "64 hexadecimal digits")
    identity = _identity(entry, _text(entry, "name", where, bool, "who has the token"), "token", where)
    expires = entry.get("expires")
    if expires is not None and (not isinstance(expires, datetime) or expires.tzinfo is None):
        raise ValueError(f"{where}.expires must be a time with its zone, as 2027-02-01T00:00:00Z")
    return TokenEntry(digest, identity, expires.astimezone(UTC) if expires is not None else None)


def _certificate(entry: dict[str, Any], where: str) -> tuple[str, str, Identity]:
    """(common_name or san, that name, whose it is)."""
    _only(entry, {"common_name", "san", "tenant", "role"}, where)
    kinds = [kind for kind in ("common_name", "san") if kind in entry]
    if len(kinds) != 1:
        raise ValueError(f"{where} must have either common_name or san")
    name = _text(entry, kinds[0], where, bool, "a name of the certificate")
    return kinds[0], name, _identity(entry, name, "certificate", where)


def _identity(entry: dict[str, Any], name: str, means: str, where: str) -> Identity:
    tenant = _text(entry, "tenant", where, is_tenant, TENANT_RULE)
    role = _text(entry, "role", where, ROLES.__contains__, "viewer, user or admin")
    return Identity(name, tenant, ROLES[role], means)


def _text(entry: dict[str, Any], field: str, where: str, is_right: Callable[[str], bool], rule: str) -> str:
    value = entry.get(field)
    if not isinstance(value, str) or not is_right(value):
        raise ValueError(f"{where}.{field} is {'missing' if value is None else 'wrong'}; must be {rule}")
    return value


def _only(table: dict[str, Any], known: set[str], where: str) -> None:
    unknown = sorted(set(table) - known)
    if unknown:
        raise ValueError(f"{where} has {unknown[0]}, which means nothing here; there are {', '.join(sorted(known))}")
