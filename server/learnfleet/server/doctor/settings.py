"""Settings that are allowed and may be regretted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from learnfleet.server.config import Config
from learnfleet.server.doctor.finding import Finding, ok, warn
from learnfleet.server.settings.checks import exposure
from learnfleet.server.settings.merge import Merged
from learnfleet.server.settings.setting import settings_of
from learnfleet.server.settings.values import mask

_SUBJECT = "settings"


def check_settings(settings: Merged) -> Iterator[Finding]:
    kinds = Counter(origin.partition(" ")[0] for origin in settings.origins.values())
    yield ok(_SUBJECT, ", ".join(f"{count} by {kind}" for kind, count in sorted(kinds.items())))
    config = settings.config
    lacks = exposure(config)
    if lacks:
        what = f"{config.listen} can be reached by others, and there is {lacks}"
        yield warn(_SUBJECT, what, "give what is missing (docs/security.md), or listen on a loopback address")
    yield from _secret_file(settings)


def _secret_file(settings: Merged) -> Iterator[Finding]:
    if settings.file is None or not settings.file.stat().st_mode & 0o077:
        return
    told = [each.key for each in settings_of(Config) if _is_secret(settings, each.name, secret=each.rules.secret)]
    if told:
        what = f"{settings.file} has secrets ({', '.join(told)}) and can be read by others"
        yield warn(_SUBJECT, what, f"chmod 600 {settings.file}, or give them in the environment")


def _is_secret(settings: Merged, name: str, *, secret: bool) -> bool:
    """Whether the file has it and it is one: by itself, or a URL with a password."""
    value = getattr(settings.config, name)
    is_hidden = secret or (isinstance(value, str) and mask(value) != value)
    return settings.origins[name].startswith("file ") and bool(value) and is_hidden
