"""What settings must be with regard to each other.

A check is a function of the whole configuration that yields (field, what is wrong); add it to `_CHECKS`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from learnfleet.server.config import Config
from learnfleet.server.settings.readers import is_loopback

Found = Iterator[tuple[str, str]]


def contradictions(config: Config) -> Found:
    """(field, what is wrong with it) of settings that do not go together."""
    for check in _CHECKS:
        yield from check(config)


def _listen(config: Config) -> Found:
    if not is_loopback(config.listen) and not config.insecure:
        why = f"'{config.listen}' is not a loopback address, and there is neither TLS nor authentication yet"
        yield "listen", f"{why}; add --insecure if everyone who can reach it may use it"


def _calls(config: Config) -> Found:
    if config.call_default_s > config.call_max_s:
        yield "call_default_s", f"must be at most --call-max-s, {config.call_max_s:g}, not {config.call_default_s:g}"


def _replicas(config: Config) -> Found:
    if config.replicas_min > config.replicas_max:
        yield "replicas_min", f"must be at most --replicas-max, {config.replicas_max}, not {config.replicas_min}"
    if config.replica_gpus > 1 and config.replica_gpus != int(config.replica_gpus):
        yield "replica_gpus", f"must be a fraction below 1 or a whole number, not {config.replica_gpus:g}"


_CHECKS: tuple[Callable[[Config], Found], ...] = (_listen, _calls, _replicas)
