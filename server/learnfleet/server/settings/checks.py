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


def exposure(config: Config) -> str:
    """What an address that others reach lacks, in words; "" where nothing is missing."""
    if is_loopback(config.listen):
        return ""
    missing = []
    if not config.has_tls:
        missing.append("no TLS (--tls-cert, --tls-key): everyone on the way can read and change what is said")
    if not config.has_authentication:
        missing.append("no authentication (--auth-file, --oidc-issuer): everyone who can reach it may do everything")
    return ", and ".join(missing)


def _listen(config: Config) -> Found:
    lacks = exposure(config)
    if lacks and not config.insecure:
        yield "listen", f"'{config.listen}' is not a loopback address, and there is {lacks}; or add --insecure"


def _tls(config: Config) -> Found:
    if (config.tls_cert is None) != (config.tls_key is None):
        lacking = "tls_key" if config.tls_key is None else "tls_cert"
        yield lacking, "is missing: a certificate and its key go together"
    if config.tls_client_ca is not None and not config.has_tls:
        yield "tls_client_ca", "needs --tls-cert and --tls-key"


def _oidc(config: Config) -> Found:
    names = ("oidc_issuer", "oidc_audience", "oidc_jwks")
    given = [name for name in names if getattr(config, name)]
    if given and len(given) < len(names):
        for name in names:
            if name not in given:
                yield name, f"is missing: --{given[0].replace('_', '-')} needs it"


def _calls(config: Config) -> Found:
    if config.call_default_s > config.call_max_s:
        yield "call_default_s", f"must be at most --call-max-s, {config.call_max_s:g}, not {config.call_default_s:g}"


def _replicas(config: Config) -> Found:
    if config.replicas_min > config.replicas_max:
        yield "replicas_min", f"must be at most --replicas-max, {config.replicas_max}, not {config.replicas_min}"
    if config.replica_gpus > 1 and config.replica_gpus != int(config.replica_gpus):
        yield "replica_gpus", f"must be a fraction below 1 or a whole number, not {config.replica_gpus:g}"


def _slots(config: Config) -> Found:
    """What would be ignored."""
    if config.ray_address is not None and config.cpu_slots is not None:
        yield "cpu_slots", "is for a local Ray: --ray-address has slots of its own, and --max-cpu-slots to grow to"
    for name in ("max_cpu_slots", "max_gpu_slots"):
        if config.ray_address is None and getattr(config, name) is not None:
            yield name, "needs --ray-address: a local Ray does not grow, and has --cpu-slots"


_CHECKS: tuple[Callable[[Config], Found], ...] = (_listen, _tls, _oidc, _calls, _replicas, _slots)
