"""Which version of learnfleet this is."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version


def installed_version() -> str:
    """`(not installed)` where it runs from a bare checkout."""
    try:
        return version("learnfleet")
    except PackageNotFoundError:
        return "(not installed)"
