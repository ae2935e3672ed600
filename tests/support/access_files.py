"""Access files with tokens that tests know."""

from __future__ import annotations

from pathlib import Path

from learnfleet.server.access.entries import hash_of

TOKENS = {
    "viewer": ("red", "viewer", ""),
    "user": ("red", "user", ""),
    "other": ("blue", "user", ""),
    "admin": ("staff", "admin", ""),
    "expired": ("red", "admin", "expires = 2020-01-01T00:00:00Z"),
    "lasting": ("red", "user", "expires = 2999-01-01T00:00:00Z"),
}
CERTIFICATES = {'common_name = "gateway"': ("red", "viewer"), 'san = "spiffe://test/trainer"': ("blue", "user")}


def token_of(name: str) -> str:
    """What `name` sends: long enough to be one."""
    return f"lf_{name}_{'x' * 40}"


def access_file(path: Path) -> Path:
    """Everybody in TOKENS and CERTIFICATES."""
    entries = [
        f'[[token]]\nname = "{name}"\nsha256 = "{hash_of(token_of(name))}"\n'
        f'tenant = "{tenant}"\nrole = "{role}"\n{more}\n'
        for name, (tenant, role, more) in TOKENS.items()
    ]
    entries += [
        f'[[certificate]]\n{who}\ntenant = "{tenant}"\nrole = "{role}"\n'
        for who, (tenant, role) in CERTIFICATES.items()
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(entries))
    return path


def bearer(name: str) -> list[tuple[str, str]]:
    """Metadata of a call of theirs."""
    return [("authorization", f"Bearer {token_of(name)}")]
