"""Keeping secrets out of what leaves the process: logs, reasons and events of jobs, errors, tracking, traces.

Two rules, as neither is enough: passwords in URLs are found by their form, wherever they came from; and what the
environment and the configuration hold under a name that says so is found by its value.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from threading import Lock
from urllib.parse import quote, unquote

MASK = "***"
_SHORTEST = 6  # characters; a shorter "secret" is a word, and masking it would make logs unreadable
# scheme://user:password@host, or scheme://token@host. The host stays: it is what an error is about.
_IN_URL = re.compile(r"(?P<scheme>\b[a-zA-Z][a-zA-Z0-9+.-]*://)(?P<user>[^\s/:@'\"]*)(?::(?P<password>[^\s/'\"]*))?@")
# `password=...` in a database URL's or DSN's parameters, `X-Amz-Signature=...` in presigned ones.
_IN_QUERY = re.compile(
    r"(?i)(\b(?:password|passwd|pwd|secret|token|access_token|api_?key|sig|signature|x-amz-signature|x-amz-security-token"
    r"|x-amz-credential|sslpassword|aws_secret_access_key)=)([^\s&;'\"]+)"
)
_BEARER = re.compile(r"(?i)\b(bearer|basic)\s+([A-Za-z0-9._~+/=-]{8,})")
_SECRET_NAME = re.compile(
    r"(?i)PASS(?:WORD|WD|PHRASE)?(?:_|$)|SECRET|TOKEN|CREDENTIAL|API_?KEY|ACCESS_KEY|PRIVATE_KEY|ACCOUNT_KEY|SAS_|COOKIE"
    r"|CONNECTION_STRING|(?:^|_)AUTH$|OTLP(?:_[A-Z]+)?_HEADERS|(?:^|_)DSN$|SIGNING_KEY|ENCRYPTION_KEY"
)
# These say where a secret is, or of what kind: not what it is.
_NO_SECRET_NAME = re.compile(
    r"(?i)(?:_(?:FILE|PATH|DIR|MODE|URL|URI|TYPE|TTL|EXPIRY|EXPIRATION|S|SECONDS))$|^PWD$|^OLDPWD$"
)


class Redactor:
    """Masks what it was told is secret, and what looks like a secret in a URL. Safe to use from several threads."""

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        self._lock, self._values = Lock(), set[str]()
        self._pattern: re.Pattern[str] | None = None
        self.keep(_of_environment(os.environ if environment is None else environment))

    def keep(self, secrets: Iterable[str]) -> None:
        """These must never be told, in no form that URLs have for them either."""
        with self._lock:
            for secret in secrets:
                forms = {secret, unquote(secret), quote(secret, safe=""), *secret.splitlines()}
                self._values |= {form for form in forms if len(form) >= _SHORTEST}
            longest_first = sorted(self._values, key=len, reverse=True)
            self._pattern = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    def keep_urls(self, urls: Iterable[str]) -> None:
        """The passwords in these must never be told."""
        self.keep(password for url in urls for password in passwords_in(url))

    def __call__(self, text: str) -> str:
        if self._pattern is not None:
            text = self._pattern.sub(MASK, text)
        if "://" in text:
            text = _IN_URL.sub(_masked_url, text)
        if "=" in text:
            text = _IN_QUERY.sub(rf"\1{MASK}", text)
        return _BEARER.sub(rf"\1 {MASK}", text) if "earer" in text or "asic" in text or "EARER" in text else text


def passwords_in(url: str) -> list[str]:
    """Those of a URL: in front of the host, and in its parameters."""
    found = [match["password"] or _token(match) for match in _IN_URL.finditer(url)]
    return [each for each in found if each] + [match[2] for match in _IN_QUERY.finditer(url)]


def _token(match: re.Match[str]) -> str:
    """What stands alone before the host: of web addresses a token, of databases the user's name."""
    return match["user"] if match["password"] is None and match["scheme"].startswith("http") else ""


def _masked_url(match: re.Match[str]) -> str:
    user = MASK if _token(match) else match["user"]
    return f"{match['scheme']}{user}@" if match["password"] is None else f"{match['scheme']}{user}:{MASK}@"


def _of_environment(environment: Mapping[str, str]) -> list[str]:
    found: list[str] = []
    for name, value in environment.items():
        if _SECRET_NAME.search(name) and not _NO_SECRET_NAME.search(name):
            found.append(value)
            if "HEADERS" in name.upper():  # key=value,key=value
                found += [part.partition("=")[2].strip() for part in value.split(",")]
        if "://" in value:
            found += passwords_in(value)
    return found


_redactor = Redactor()


def redacted(text: str) -> str:
    """`text` with secrets masked."""
    return _redactor(text)


def keep_secret(*secrets: str) -> None:
    """These must not be told by this process."""
    _redactor.keep(secrets)


def keep_passwords_of(*urls: str | None) -> None:
    """The passwords in these URLs must not be told by this process."""
    _redactor.keep_urls(url for url in urls if url)
