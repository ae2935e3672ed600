"""All checks of a configuration, one after the other. None of them changes anything."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

from learnfleet.server.doctor.access import check_access
from learnfleet.server.doctor.clocks import check_clocks, check_steadiness
from learnfleet.server.doctor.finding import Finding, fail
from learnfleet.server.doctor.mlflow import check_mlflow
from learnfleet.server.doctor.packages import check_packages
from learnfleet.server.doctor.ray import check_ray
from learnfleet.server.doctor.settings import check_settings
from learnfleet.server.doctor.storage import check_storage
from learnfleet.server.doctor.store import check_store
from learnfleet.server.settings.merge import Merged

_log = logging.getLogger(__name__)


def examine(settings: Merged) -> Iterator[Finding]:
    """Findings as they are made: Ray may take half a minute."""
    config = settings.config
    checks: tuple[tuple[str, Callable[[], Iterator[Finding]]], ...] = (
        ("settings", lambda: check_settings(settings)),
        ("access", lambda: check_access(config)),
        ("packages", lambda: check_packages(config)),
        ("storage", lambda: check_storage(config)),
        ("store", lambda: check_store(config)),
        ("clock", lambda: check_clocks(config)),
        ("mlflow", lambda: check_mlflow(config)),
        ("ray", lambda: check_ray(config)),
    )
    with check_steadiness() as steadiness:
        for subject, check in checks:
            yield from _safely(subject, check)
    yield from steadiness


def _safely(subject: str, check: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    try:
        yield from check()
    except Exception as error:
        _log.debug("the check of %s", subject, exc_info=True)
        told = f"could not be looked at: {type(error).__name__}: {error}"
        yield fail(subject, told, "mend what it says; if it is no fault of this machine, report it")
