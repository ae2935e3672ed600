"""Lock files: whole, hashed, of the same versions, and for the control server without torch."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from deploycheck.__main__ import image_locks
from deploycheck.locks import FOLDER, agreed_versions, read_lock

_PROJECT = tomllib.loads((FOLDER.parents[1] / "pyproject.toml").read_text())["project"]
_EXTRAS = {
    "server.txt": ("server", "postgres", "tracing"),
    "worker-cpu.txt": ("worker", "tracing"),
    "worker-cuda.txt": ("worker", "tracing"),
}
_NOT_FOR_SERVERS = re.compile(r"torch|torchvision|timm|torchmetrics|captum|triton|nvidia-.*|cuda-.*|tensorboardx")


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.txt")), ids=lambda path: path.name)
def test_every_package_has_hashes(path: Path) -> None:
    assert [each.name for each in read_lock(path).values() if not each.hashes] == []


def test_images_agree_on_every_version() -> None:
    """Ray's client and cluster, and what is pickled between them."""
    assert agreed_versions(image_locks())["ray"]


@pytest.mark.parametrize(("name", "extras"), _EXTRAS.items())
def test_a_lock_has_all_that_the_project_asks_for(name: str, extras: tuple[str, ...]) -> None:
    """A requirement that is new in pyproject.toml fails here until `make lock` has been run."""
    locked = read_lock(FOLDER / name)
    wanted = _requirements(extras)

    missing = [
        str(each) for each in wanted if _name(each) not in locked or not _fits(each, locked[_name(each)].version)
    ]

    assert missing == []


def test_the_lock_of_the_control_server_has_no_torch() -> None:
    assert [each for each in read_lock(FOLDER / "server.txt") if _NOT_FOR_SERVERS.fullmatch(each)] == []


def test_nothing_that_the_control_server_asks_for_asks_for_torch() -> None:
    """The same for what is installed here: every requirement of a requirement, to the end."""
    seen: set[tuple[str, frozenset[str]]] = set()
    waiting = _requirements(("server", "postgres"))
    while waiting:
        each = waiting.pop()
        key = _name(each), frozenset(each.extras)
        if key not in seen:
            seen.add(key)
            waiting += _asked_for_by(each)

    assert [name for name, _ in seen if _NOT_FOR_SERVERS.fullmatch(name)] == []
    assert {"ray", "mlflow", "aiohttp"} <= {name for name, _ in seen}


def _requirements(extras: tuple[str, ...]) -> list[Requirement]:
    """What the project asks for, its own extras followed."""
    found = [Requirement(each) for each in _PROJECT["dependencies"]]
    for extra in extras:
        for each in map(Requirement, _PROJECT["optional-dependencies"][extra]):
            found += _requirements(tuple(each.extras)) if each.name == "learnfleet" else [each]
    return found


def _asked_for_by(requirement: Requirement) -> list[Requirement]:
    try:
        asked = [Requirement(each) for each in distribution(requirement.name).requires or ()]
    except PackageNotFoundError:
        return []
    contexts = [{"extra": extra} for extra in ("", *requirement.extras)]
    return [each for each in asked if each.marker is None or any(each.marker.evaluate(context) for context in contexts)]


def _name(requirement: Requirement) -> str:
    return re.sub(r"[-_.]+", "-", requirement.name).lower()


def _fits(requirement: Requirement, version: str) -> bool:
    return requirement.specifier.contains(version, prereleases=True)
