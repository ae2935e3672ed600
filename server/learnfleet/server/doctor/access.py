"""Certificates and who may call: what a server would not start with, and what ends soon."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from learnfleet.server.access.build import tls_files
from learnfleet.server.access.certificates import ServedCertificate
from learnfleet.server.access.entries import read_entries
from learnfleet.server.access.files import Unreadable, Watched
from learnfleet.server.access.jwks import fetcher, parse_keys
from learnfleet.server.config import Config
from learnfleet.server.doctor.finding import Finding, fail, ok, warn

_SUBJECT = "access"
_SOON = timedelta(days=14)


def check_access(config: Config) -> Iterator[Finding]:
    yield from _certificate(config)
    yield from _file(config)
    yield from _provider(config)


def _certificate(config: Config) -> Iterator[Finding]:
    files = tls_files(config)
    if files is None:
        return
    try:
        ends = ServedCertificate(files).ends_at()
    except Unreadable as error:
        yield fail(_SUBJECT, str(error), "give the server files that fit (docs/security.md)")
        return
    told = f"the certificate in {files.certificate} is good until {ends:%F %R} UTC"
    if ends - datetime.now(UTC) < _SOON:
        yield warn(_SUBJECT, told, "renew it: the server takes the new files without a restart")
    else:
        yield ok(_SUBJECT, told)


def _file(config: Config) -> Iterator[Finding]:
    path = config.auth_file
    if path is None:
        return
    try:
        entries = Watched([path], lambda: read_entries(path)).current()
    except Unreadable as error:
        yield fail(_SUBJECT, str(error), "mend the entry; `learnfleet token create` prints one that is right")
        return
    now = datetime.now(UTC)
    ends = [entry.expires for entry in entries.tokens.values() if entry.expires is not None]
    over, soon = sum(end <= now for end in ends), sum(now < end < now + _SOON for end in ends)
    certificates = len(entries.common_names) + len(entries.alternative_names)
    told = f"{path} knows {len(entries.tokens)} tokens, of which {over} have expired, and {certificates} certificates"
    if soon:
        yield warn(
            _SUBJECT, f"{told}; {soon} tokens expire within {_SOON.days} days", "make new ones for their holders"
        )
    else:
        yield ok(_SUBJECT, told)


def _provider(config: Config) -> Iterator[Finding]:
    source = config.oidc_jwks
    if source is None:
        return
    try:
        keys = parse_keys(fetcher(source)())
    except (OSError, ValueError) as error:
        advice = "see that this machine may reach it, and that it is the issuer's `jwks_uri`"
        yield fail(_SUBJECT, f"the keys at {source} cannot be had: {error}", advice)
    else:
        yield ok(_SUBJECT, f"{source} has {len(keys)} keys of {config.oidc_issuer}")
