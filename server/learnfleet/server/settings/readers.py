"""Values of settings that are more than text or a number. Each is read and written as one string."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path

from learnfleet.server.access.identity import ROLES, Role
from learnfleet.server.access.jwks import fetcher
from learnfleet.server.data.roots import local_path, remote_folder

_QUOTA = re.compile(r"([^=]+)=(\d{1,9})(?::(\d{1,9}))?")
_WEIGHT = re.compile(r"([^=]+)=(\d{1,6}(?:\.\d{1,6})?)")
_RATE = re.compile(r"([a-z0-9-]{1,63}|\*):(read|write|predict|\*)=(\d{1,6}(?:\.\d{1,6})?)(?::(\d{1,6}))?")
_STORES = ("postgresql://", "sqlite:///")
_COLLECTOR = re.compile(r"https?://[^\s/]+/?")
_SERVER_ID = re.compile(r"[A-Za-z0-9._-]{0,63}")


def read_address(value: str) -> str:
    """`host:port`. Raises ValueError."""
    host, _, port = value.rpartition(":")
    if not host or not port.isdecimal() or int(port[:6]) > 65_535:
        raise ValueError(f"'{value}' must be host:port, the port from 0 to 65535")
    return value


def is_loopback(listen: str) -> bool:
    """Whether only this machine can reach a `host:port`."""
    host = listen.rpartition(":")[0]
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def read_metrics_address(value: str) -> str:
    """`port`, which is on loopback, or `host:port`. Raises ValueError."""
    return value if value.isdecimal() and int(value[:6]) <= 65_535 else read_address(value)


def read_collector(value: str) -> str:
    """URL of an OTLP collector. Raises ValueError."""
    if not _COLLECTOR.fullmatch(value):
        raise ValueError("must be http://host:port or https://host:port, without a path: it is spoken to by gRPC")
    return value


def read_root(value: str) -> Path | str:
    """A folder, or a URL of one on another storage. Raises ValueError."""
    if not value:
        raise ValueError("must be a folder or a URL, not empty")
    return value if remote_folder(value) else Path(local_path(value)).expanduser()


def read_store(value: str) -> str:
    """A database's URL. Raises ValueError."""
    if not value.startswith(_STORES):
        raise ValueError(f"must begin with {' or '.join(_STORES)}")
    return value


def read_server_id(value: str) -> str:
    """Raises ValueError."""
    if not _SERVER_ID.fullmatch(value):
        raise ValueError("must be at most 63 letters, digits, '.', '_' and '-'")
    return value


def read_quota(value: str) -> tuple[str, int, int]:
    """(tenant, CPU slots, GPU slots) of `vision=8` (no GPUs) or `vision=8:2`. Raises ValueError."""
    match = _QUOTA.fullmatch(value)
    if match is None:
        raise ValueError(f"'{value}' must be TENANT=CPU_SLOTS or TENANT=CPU_SLOTS:GPU_SLOTS")
    return match[1], int(match[2]), int(match[3] or 0)


def write_quota(value: tuple[str, int, int]) -> str:
    tenant, cpus, gpus = value
    return f"{tenant}={cpus}:{gpus}" if gpus else f"{tenant}={cpus}"


def read_weight(value: str) -> tuple[str, float]:
    """(tenant, weight) of `vision=2.5`. Raises ValueError."""
    match = _WEIGHT.fullmatch(value)
    if match is None or not float(match[2]):
        raise ValueError(f"'{value}' must be TENANT=WEIGHT, the weight greater than 0")
    return match[1], float(match[2])


def write_weight(value: tuple[str, float]) -> str:
    return f"{value[0]}={value[1]:.6g}"


def read_jwks(value: str) -> str:
    """A path or URL of a JSON Web Key Set. Raises ValueError."""
    fetcher(value)
    return value


def read_role(value: str) -> tuple[str, Role]:
    """(value of the claim, role) of `ml-admins=admin`. Raises ValueError."""
    claimed, _, role = value.rpartition("=")
    if not claimed or role not in ROLES:
        raise ValueError(f"'{value}' must be VALUE=ROLE, the role viewer, user or admin")
    return claimed, ROLES[role]


def write_role(value: tuple[str, Role]) -> str:
    return f"{value[0]}={value[1].name.lower()}"


def read_rate_limit(value: str) -> tuple[str, str, float, int]:
    """(tenant, kind of calls, calls a second, burst) of `vision:predict=50:200`, by default a burst of twice the rate.

    Raises ValueError.
    """
    match = _RATE.fullmatch(value)
    if match is None or not float(match[3]) or match[4] == "0":
        right = "TENANT:KIND=RATE or TENANT:KIND=RATE:BURST, KIND read, write, predict or *, both numbers above 0"
        raise ValueError(f"'{value}' must be {right}")
    per_s = float(match[3])
    return match[1], match[2], per_s, int(match[4] or max(1, round(2 * per_s)))


def write_rate_limit(value: tuple[str, str, float, int]) -> str:
    tenant, kind, per_s, burst = value
    return f"{tenant}:{kind}={per_s:.12g}:{burst}"
