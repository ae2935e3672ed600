"""Lock files (`package==version` with hashes, as uv and pip-tools write them)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "locks"
_PIN = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?==([^\s;\\]+)")


@dataclass(frozen=True)
class Locked:
    """One pinned package."""

    name: str  # normalised
    version: str
    hashes: int


def read_lock(path: Path) -> dict[str, Locked]:
    """Every package of a lock file by its normalised name."""
    found: dict[str, Locked] = {}
    name = None
    for line in path.read_text().splitlines():
        pin = _PIN.match(line)
        if pin is not None:
            name = re.sub(r"[-_.]+", "-", pin[1]).lower()
            found[name] = Locked(name, pin[2], 0)
        if name is not None and "--hash=" in line:
            found[name] = Locked(name, found[name].version, found[name].hashes + line.count("--hash="))
    return found


def agreed_versions(paths: list[Path]) -> dict[str, str]:
    """Versions over several locks. Raises ValueError where two disagree, as server and workers speak to each other."""
    versions: dict[str, str] = {}
    for path in paths:
        for each in read_lock(path).values():
            other = versions.setdefault(each.name, each.version)
            if other != each.version:
                raise ValueError(f"{path.name} has {each.name} {each.version}, another lock {other}: run `make lock`")
    return versions
