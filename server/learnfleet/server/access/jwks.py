"""The public keys of an identity provider, from a file or over HTTPS. Methods block."""

from __future__ import annotations

import json
import logging
import threading
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPMessage
from ipaddress import ip_address
from pathlib import Path
from typing import IO, Any, NoReturn
from urllib.error import URLError
from urllib.parse import urlsplit

from learnfleet.server.errors import Unavailable

_TIMEOUT_S = 5.0
_MAX_BYTES = 2**20
_FRESH_S = 600.0  # keys that are as old are asked for again before they are used
_USABLE_S = 24 * 3600.0  # as long as the provider does not answer
_AGAIN_AFTER_S = 30.0  # however many tokens with unknown keys come meanwhile
_FAMILIES = {"RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP"}  # of algorithms, by how they begin

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Key:
    """One public key."""

    id: str
    type: str  # RSA, EC or OKP
    algorithm: str  # the only one it is for; "" where it does not say
    public: Any  # of the cryptography package

    def is_for(self, algorithm: str) -> bool:
        return self.algorithm in ("", algorithm) and self.type == _FAMILIES.get(algorithm[:2])


class KeySet:
    """The keys there are now. From any thread; one of them asks the provider, and the others wait for it."""

    def __init__(self, fetch: Callable[[], bytes], clock: Callable[[], float] = time.monotonic) -> None:
        self._fetch, self._clock = fetch, clock
        self._lock = threading.Lock()
        self._keys: Sequence[Key] = ()
        self._read_s = self._tried_s = -float("inf")

    def known(self, key_id: str, algorithm: str) -> Key | None:
        """As `key`, where that need not ask the provider, or is asking it: this never waits."""
        now = self._clock()
        is_fresh = now - self._read_s < _FRESH_S or now - self._tried_s < _AGAIN_AFTER_S
        return self._find(key_id, algorithm) if is_fresh and now - self._read_s < _USABLE_S else None

    def key(self, key_id: str, algorithm: str) -> Key | None:
        """The key of a token's header; None where there is none. Raises Unavailable while keys cannot be had."""
        with self._lock:
            now = self._clock()
            is_known = self._find(key_id, algorithm) is not None
            if (not is_known or now - self._read_s >= _FRESH_S) and now - self._tried_s >= _AGAIN_AFTER_S:
                self._tried_s = now
                self._read(now)
            if self._clock() - self._read_s >= _USABLE_S:
                raise Unavailable("the identity provider's keys cannot be had; try again later")
            return self._find(key_id, algorithm)

    def _find(self, key_id: str, algorithm: str) -> Key | None:
        """Without an id in the token's header only a key that nobody can take for another will do."""
        fit = [key for key in self._keys if key.is_for(algorithm) and key_id in ("", key.id)]
        return fit[0] if len(fit) == 1 else None

    def _read(self, now: float) -> None:
        try:
            self._keys, self._read_s = parse_keys(self._fetch()), now
        except (OSError, ValueError) as error:  # URLError is an OSError
            _log.error("the identity provider's keys cannot be read, those from before stay: %s", error)


def parse_keys(content: bytes) -> list[Key]:
    """The keys of a JSON Web Key Set that signatures can be checked with. Raises ValueError if there is none."""
    import jwt

    try:
        given = json.loads(content)["keys"]
    except (ValueError, KeyError, TypeError):
        raise ValueError("this is no JSON Web Key Set") from None
    found = []
    for each in given if isinstance(given, list) else ():
        if not isinstance(each, Mapping) or each.get("use") not in (None, "sig"):
            continue
        if each.get("kty") not in _FAMILIES.values() or "d" in each:  # symmetric, or private: neither belongs here
            continue
        try:
            public = jwt.PyJWK.from_dict(dict(each)).key
        except jwt.PyJWTError as error:
            _log.warning("a key of the identity provider is left out: %s", error)
            continue
        found.append(Key(str(each.get("kid", "")), str(each["kty"]), str(each.get("alg", "")), public))
    if not found:
        raise ValueError("the JSON Web Key Set has no public key for signatures")
    return found


def fetcher(source: str) -> Callable[[], bytes]:
    """Reads `source`: a path, or an https:// URL (http:// of loopback addresses). Raises ValueError for others."""
    url = urlsplit(source)
    if not url.scheme:
        return Path(source).read_bytes
    if url.scheme != "https" and not (url.scheme == "http" and _is_loopback(url.hostname or "")):
        raise ValueError(f"'{source}' must be a path or an https:// URL: whoever changes keys on the way is everybody")
    return lambda: _download(source)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _download(url: str) -> bytes:
    opener = urllib.request.build_opener(_NoRedirects)
    with opener.open(url, timeout=_TIMEOUT_S) as answer:
        content = bytes(answer.read(_MAX_BYTES + 1))
    if len(content) > _MAX_BYTES:
        raise ValueError(f"{url} has more than {_MAX_BYTES} bytes")
    return content


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Keys come from where the settings say, and nowhere else."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> NoReturn:
        raise URLError(f"{req.full_url} leads elsewhere ({newurl}); name that one")
