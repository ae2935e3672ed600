"""JSON Web Tokens: which are taken, what their claims mean, and how keys are had."""

from __future__ import annotations

import asyncio
import http.server
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from support.identity_provider import AUDIENCE, ISSUER, SigningKey, key_set, unsigned_token

from learnfleet.server.access.identity import Identity, Role
from learnfleet.server.access.jwks import Key, KeySet, fetcher, parse_keys
from learnfleet.server.access.oidc import Oidc, OidcSettings
from learnfleet.server.errors import PermissionDenied, TokenExpired, TokenRefused, Unavailable

RSA, EC = SigningKey.rsa("rsa-1"), SigningKey("ec-1")
NOW = time.time()


@dataclass
class Provider:
    """Gives its keys, counts who asks, and may be away."""

    keys: bytes = field(default_factory=lambda: key_set(RSA.jwk(), EC.jwk()))
    is_away: bool = False
    asked: int = 0
    now_s: float = 0.0

    def fetch(self) -> bytes:
        self.asked += 1
        if self.is_away:
            raise ConnectionError("nobody there")
        return self.keys


def oidc(provider: Provider, **settings: object) -> Oidc:
    made = OidcSettings(ISSUER, AUDIENCE, **settings)  # type: ignore[arg-type]
    return Oidc(made, KeySet(provider.fetch, lambda: provider.now_s), lambda: provider.now_s)


def identify(token: str, provider: Provider | None = None, **settings: object) -> Identity:
    return asyncio.run(oidc(provider or Provider(), **settings).identify(token))


@pytest.mark.parametrize("key", [RSA, EC], ids=["RS256", "ES256"])
def test_a_token_is_who_its_claims_say(key: SigningKey) -> None:
    assert identify(key.token()) == Identity("alice", "red", Role.USER, "jwt")
    assert identify(key.token(aud=["other", AUDIENCE], role=["viewer", "admin"])).role is Role.ADMIN


@pytest.mark.parametrize(
    "token",
    [
        EC.token(iss="https://evil.test"),
        EC.token(aud="another service"),
        EC.token(aud=None),
        EC.token(iss=None),
        EC.token(sub=None),
        EC.token(exp=None),
        EC.token(nbf=int(NOW) + 3600),
        SigningKey("ec-1").token(),
        SigningKey("rsa-1").token(),
        EC.token({"kid": "rsa-1"}),
        EC.token({"kid": "unknown"}),
        "a.b.c",
        EC.token()[:-4] + "AAAA",
        RSA.confused_token(),
        EC.confused_token(),
        unsigned_token("ec-1"),
        "..",
    ],
)
def test_a_token_that_is_not_right_in_every_way_is_refused(token: str) -> None:
    with pytest.raises(TokenRefused) as refused:
        identify(token)
    assert token not in str(refused.value)


def test_algorithms_that_are_not_in_the_list_are_refused_though_the_key_is_known() -> None:
    with pytest.raises(TokenRefused, match="must be signed by RS256"):
        identify(EC.token(), algorithms=("RS256",))
    only = Provider(key_set(RSA.jwk(alg="RS512")))
    with pytest.raises(TokenRefused, match="key is none"):
        identify(RSA.token(), only)


def test_an_expired_token_is_told_of_as_such() -> None:
    with pytest.raises(TokenExpired):
        identify(EC.token(exp=int(NOW) - 60))


class Fickle(KeySet):
    """Has no keys any more once it is told so."""

    is_empty = False

    def known(self, key_id: str, algorithm: str) -> Key | None:
        return None if self.is_empty else self.key(key_id, algorithm)

    def key(self, key_id: str, algorithm: str) -> Key | None:
        return None if self.is_empty else super().key(key_id, algorithm)


def test_a_token_that_was_right_is_remembered_but_not_beyond_its_own_end() -> None:
    keys, wall_s = Fickle(Provider().fetch), time.time()  # not NOW, since the signature's check has a clock of its own
    checks = Oidc(OidcSettings(ISSUER, AUDIENCE), keys, lambda: 0.0, lambda: wall_s)
    token = EC.token(exp=int(wall_s) + 1)
    assert asyncio.run(checks.identify(token)).name == "alice"
    keys.is_empty = True
    assert asyncio.run(checks.identify(token)).name == "alice"
    wall_s += 40
    with pytest.raises(TokenRefused):
        asyncio.run(checks.identify(token))


def test_claims_may_lie_deeper_and_mean_roles_by_other_names() -> None:
    token = EC.token(role=None, tenant=None, realm={"roles": ["x", "ml-admins", "ml"]}, **{"https://corp/team": "blue"})
    roles = {"ml": Role.VIEWER, "ml-admins": Role.ADMIN}
    found = identify(token, tenant_claim="https://corp/team", role_claim="realm.roles", roles=roles)
    assert (found.tenant, found.role) == ("blue", Role.ADMIN)


@pytest.mark.parametrize("claims", [{"role": None}, {"role": "root"}, {"role": [7]}, {"role": {"user": 1}}])
def test_who_is_known_but_has_no_role_may_nothing(claims: dict[str, object]) -> None:
    with pytest.raises(PermissionDenied, match="claim 'role' has no role here"):
        identify(EC.token(**claims))


@pytest.mark.parametrize("tenant", [None, "", "Red Team", 7, ["red"], "../red"])
def test_who_is_known_but_has_no_tenant_may_nothing(tenant: object) -> None:
    with pytest.raises(PermissionDenied, match="claim 'tenant' names no tenant"):
        identify(EC.token(tenant=tenant))


def test_a_new_key_is_asked_for_once_and_then_not_again_for_a_while() -> None:
    provider, new = Provider(), SigningKey("ec-2")
    checks = oidc(provider)

    async def ask() -> None:
        await checks.identify(EC.token())
        assert provider.asked == 1
        provider.keys = key_set(EC.jwk(), new.jwk())
        for _ in range(20):
            with pytest.raises(TokenRefused):
                await checks.identify(new.token())
        assert provider.asked == 1, "it was asked moments ago"
        provider.now_s = 31.0
        assert (await checks.identify(new.token())).name == "alice"
        for number in range(20):
            with pytest.raises(TokenRefused):
                await checks.identify(SigningKey(f"guess-{number}").token())
        assert provider.asked == 2

    asyncio.run(ask())


def test_a_withdrawn_key_is_not_believed_for_long() -> None:
    provider = Provider()
    checks = oidc(provider)

    async def ask() -> None:
        token = EC.token()
        await checks.identify(token)
        provider.keys = key_set(RSA.jwk())
        provider.now_s = 59.0
        await checks.identify(token)
        provider.now_s = 661.0
        with pytest.raises(TokenRefused):
            await checks.identify(token)

    asyncio.run(ask())


def test_while_the_provider_is_away_known_keys_hold_for_a_day_and_no_longer() -> None:
    provider = Provider()
    checks = oidc(provider)

    async def ask() -> None:
        await checks.identify(EC.token())
        provider.is_away = True
        for provider.now_s in (700.0, 3600.0, 86_000.0):
            assert (await checks.identify(EC.token(sub=f"{provider.now_s}"))).tenant == "red"
        provider.now_s = 86_500.0
        with pytest.raises(Unavailable):
            await checks.identify(EC.token(sub="late"))

    asyncio.run(ask())
    with pytest.raises(Unavailable, match="keys cannot be had"):
        identify(EC.token(), Provider(is_away=True))


def test_a_token_without_a_key_id_needs_a_key_that_is_the_only_one() -> None:
    token = EC.token({"kid": ""})
    assert identify(token).name == "alice"
    with pytest.raises(TokenRefused):
        identify(token, Provider(key_set(EC.jwk(), SigningKey("ec-2").jwk())))


def test_only_public_keys_for_signatures_are_taken() -> None:
    secret = {"kty": "oct", "k": "c2VjcmV0", "kid": "s"}
    kept = parse_keys(key_set(EC.jwk(), RSA.jwk(use="enc"), secret, {"kty": "EC", "kid": "broken"}, {"kty": "odd"}))
    assert [key.id for key in kept] == ["ec-1"]
    for nothing in (b"[]", b"{}", b"no", b'{"keys": {}}', key_set(), key_set(secret)):
        with pytest.raises(ValueError, match="JSON Web Key Set"):
            parse_keys(nothing)


@dataclass
class Site:
    url: str
    paths: dict[str, tuple[int, bytes]]


@pytest.fixture
def site() -> Iterator[Site]:
    """A web server on loopback: status and body of each path; 302 leads to its body."""
    paths: dict[str, tuple[int, bytes]] = {}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = paths[self.path]
            self.send_response(status)
            if status == 302:
                self.send_header("Location", body.decode())
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield Site(f"http://127.0.0.1:{server.server_port}", paths)
        server.shutdown()


def test_keys_come_from_a_file_or_over_http_and_from_nowhere_else(site: Site, tmp_path: Path) -> None:
    content = key_set(EC.jwk())
    (tmp_path / "keys.json").write_bytes(content)
    site.paths.update(
        {"/keys": (200, content), "/moved": (302, b"/keys"), "/gone": (404, b""), "/large": (200, b"x" * (2**20 + 1))}
    )
    assert fetcher(str(tmp_path / "keys.json"))() == content
    assert fetcher(f"{site.url}/keys")() == content
    for path in ("/moved", "/gone", "/large"):
        with pytest.raises((OSError, ValueError)):
            fetcher(f"{site.url}{path}")()
    for source in (
        "http://login.test/keys",
        "ftp://login.test/keys",
        "file:///etc/passwd",
        "http://127.0.0.1.evil.test/k",
    ):
        with pytest.raises(ValueError, match="must be a path or an https:// URL"):
            fetcher(source)
