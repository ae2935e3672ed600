"""Versions of what is installed, against what this version of learnfleet is for."""

from __future__ import annotations

import platform
from collections.abc import Collection, Iterator
from importlib.metadata import PackageNotFoundError, requires, version

from packaging.requirements import Requirement

from learnfleet.server.config import Config
from learnfleet.server.doctor.finding import Finding, fail, ok, warn
from learnfleet.server.installed import installed_version

_SUBJECT = "packages"


def check_packages(config: Config) -> Iterator[Finding]:
    """Of the server, and of workers where it has a Ray of its own."""
    extras = {"server"}
    if config.ray_address is None:
        extras |= {"worker", "trainer"}
    if not config.is_alone:
        extras.add("postgres")
    try:
        declared = [Requirement(line) for line in requires("learnfleet") or ()]
    except PackageNotFoundError:
        yield warn(_SUBJECT, "learnfleet is not installed as a package", "pip install it, so that versions can be told")
        return
    applying = [each for each in declared if _applies(each, extras) and each.name != "learnfleet"]
    wrong = [(each, found) for each in applying if (found := _not_fitting(each))]
    for each, found in wrong:
        what = f"{each.name} {found}, and {each.specifier or 'any version'} is wanted"
        yield fail(_SUBJECT, what, f"pip install '{each.name}{each.specifier}'")
    if not wrong:
        python = platform.python_version()
        told = f"learnfleet {installed_version()} on Python {python}, {len(applying)} packages as they must be"
        yield ok(_SUBJECT, told)


def _applies(wanted: Requirement, extras: Collection[str]) -> bool:
    return wanted.marker is None or any(wanted.marker.evaluate({"extra": extra}) for extra in ("", *extras))


def _not_fitting(wanted: Requirement) -> str:
    """What is there instead; nothing if it is what is wanted."""
    try:
        found = version(wanted.name)
    except PackageNotFoundError:
        return "is not installed"
    return "" if wanted.specifier.contains(found, prereleases=True) else found
