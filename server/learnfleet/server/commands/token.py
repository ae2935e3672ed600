"""`learnfleet token`: tokens for the access file of a server, which only keeps their hashes."""

from __future__ import annotations

import re
import secrets
import sys
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from learnfleet.server.access.entries import hash_of
from learnfleet.server.access.identity import ROLES, TENANT_RULE, is_tenant

PREFIX = "lf_"  # so that scanners of repositories can find what was put there by mistake
_BYTES = 32
_LEAST_CHARS = 40
_AGE = re.compile(r"(\d{1,5})([dh])")
_NAME = re.compile(r"[A-Za-z0-9@._/ -]{1,100}")

app = typer.Typer(help="Tokens for `learnfleet serve --auth-file`.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="Who will have it: what the server's log says.")]
Tenant = Annotated[str, typer.Option(help="Whose jobs, learners and models they work on.")]
RoleName = Annotated[str, typer.Option("--role", help="viewer, user or admin.")]
Age = Annotated[str, typer.Option("--expires-in", help="90d, 12h; `never`.")]


@app.command()
def create(name: Name, tenant: Tenant = "default", role: RoleName = "user", expires_in: Age = "90d") -> None:
    """Make a token. It is printed on stderr, once; its entry for the access file on stdout: `... >> access.toml`."""
    # Before anything is made: what is wrong shall leave no token behind.
    entry = _entry(name, tenant, role, expires_in)
    token = PREFIX + secrets.token_urlsafe(_BYTES)
    print(entry.format(sha256=hash_of(token)), end="")
    print(f"the token of {name}, which nobody can show again: {token}", file=sys.stderr)


@app.command("hash")
def hash_(name: Name, tenant: Tenant = "default", role: RoleName = "user", expires_in: Age = "90d") -> None:
    """Read a token that was drawn elsewhere from stdin, and print its entry for the access file."""
    entry, token = _entry(name, tenant, role, expires_in), sys.stdin.readline().strip()
    if len(token) < _LEAST_CHARS:
        why = f"has {len(token)} characters; a token must be drawn at random and have {_LEAST_CHARS} or more"
        raise typer.BadParameter(f"{why}: from its hash a shorter one can be guessed", param_hint="stdin")
    print(entry.format(sha256=hash_of(token)), end="")


def _entry(name: str, tenant: str, role: str, expires_in: str) -> str:
    """TOML with a place for the hash. Raises typer.BadParameter."""
    if not _NAME.fullmatch(name):
        raise typer.BadParameter(f"must be 1 to 100 of letters, digits, spaces and @._/-, not '{name[:100]}'")
    if not is_tenant(tenant):
        raise typer.BadParameter(f"must be {TENANT_RULE}", param_hint="--tenant")
    if role not in ROLES:
        raise typer.BadParameter(f"must be {', '.join(ROLES)}", param_hint="--role")
    lines = ["[[token]]", f'name = "{name}"', 'sha256 = "{sha256}"', f'tenant = "{tenant}"', f'role = "{role}"']
    if expires_in != "never":
        age = _AGE.fullmatch(expires_in)
        if age is None or int(age[1]) == 0:
            raise typer.BadParameter("must be like 90d or 12h, or never", param_hint="--expires-in")
        hours = int(age[1]) * (24 if age[2] == "d" else 1)
        lines.append(f"expires = {datetime.now(UTC) + timedelta(hours=hours):%Y-%m-%dT%H:%M:%SZ}")
    return "\n".join([*lines, "", ""])
