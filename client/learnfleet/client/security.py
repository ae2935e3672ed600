"""How a connection is protected, and by what its caller is known."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import grpc

from learnfleet.client.traces import trace_metadata

CA_VARIABLE, CERT_VARIABLE, KEY_VARIABLE = "LEARNFLEET_CA", "LEARNFLEET_CERT", "LEARNFLEET_KEY"
TOKEN_VARIABLE, TOKEN_FILE_VARIABLE = "LEARNFLEET_TOKEN", "LEARNFLEET_TOKEN_FILE"
PLAINTEXT_VARIABLE, IN_CLEAR_VARIABLE = "LEARNFLEET_PLAINTEXT", "LEARNFLEET_TOKEN_IN_CLEAR"
TENANT_VARIABLE = "LEARNFLEET_TENANT"
VARIABLES = (
    CA_VARIABLE,
    CERT_VARIABLE,
    KEY_VARIABLE,
    TOKEN_VARIABLE,
    TOKEN_FILE_VARIABLE,
    PLAINTEXT_VARIABLE,
    IN_CLEAR_VARIABLE,
    TENANT_VARIABLE,
)

_OF_TLS = (CA_VARIABLE, CERT_VARIABLE, KEY_VARIABLE)
_TENANT_KEY = "learnfleet-tenant"
_YES, _NO = ("1", "true", "yes", "on"), ("", "0", "false", "no", "off")


@dataclass(frozen=True)
class Security:
    """What `Client.connect` and the environment come to for one address."""

    has_tls: bool
    ca: bytes | None = None  # None: the authorities that gRPC knows
    cert: bytes | None = None
    key: bytes | None = None
    token: Callable[[], str] | None = None
    tenant: str | None = None  # None: the caller's own

    def channel(self, address: str, options: Sequence[tuple[str, int]] = ()) -> grpc.Channel:
        """One that blocks. What its calls say of who makes them, `authorized` adds."""
        credentials, options = self.channel_credentials(), [*options, *self.options]
        if credentials is None:
            return grpc.insecure_channel(address, options)
        return grpc.secure_channel(address, credentials, options)

    def channel_credentials(self) -> grpc.ChannelCredentials | None:
        """None: without TLS."""
        return grpc.ssl_channel_credentials(self.ca, self.key, self.cert) if self.has_tls else None

    @property
    def options(self) -> list[tuple[str, int]]:
        """Of the channel. What is said in clear to this machine must not leave it for a proxy of the environment's."""
        return [] if self.has_tls else [("grpc.enable_http_proxy", 0)]

    def authorized(self, channel: Any) -> Any:
        """The channel, of either kind, whose calls say who makes them, and which trace they belong to."""
        return _Authorized(channel, self)

    def metadata(self) -> list[tuple[str, str]]:
        """Of a call that is made now."""
        # Not gRPC's own call credentials: those work with TLS only, and with them a token on loopback would be refused.
        said = [("authorization", f"Bearer {self.token()}")] if self.token is not None else []
        said += [] if self.tenant is None else [(_TENANT_KEY, self.tenant)]
        return [*said, *trace_metadata()]


def security_for(
    address: str,
    ca: str | os.PathLike[str] | None = None,
    cert: str | os.PathLike[str] | None = None,
    key: str | os.PathLike[str] | None = None,
    token: str | Path | None = None,
    plaintext: bool | None = None,
    token_in_clear: bool | None = None,
    tenant: str | None = None,
    environment: Mapping[str, str] = os.environ,
) -> Security:
    """What is given here before what the environment says. `Client.connect` says what each means.

    Raises ValueError for what does not go together, and for a token that everyone on the way could read; OSError.
    """
    if plaintext:  # by whoever calls: what the environment says of TLS is for other servers
        environment = {name: value for name, value in environment.items() if name not in _OF_TLS}
    found_ca = ca or environment.get(CA_VARIABLE) or None
    found_cert, found_key = cert or environment.get(CERT_VARIABLE) or None, key or environment.get(KEY_VARIABLE) or None
    if (found_cert is None) != (found_key is None):
        raise ValueError("cert and key go together: give both, or neither")
    is_local = is_loopback(address)
    is_plain = _truth(PLAINTEXT_VARIABLE, environment) if plaintext is None else plaintext
    source = _token_source(token, environment)
    # TLS where somebody else could listen, and wherever it was asked for.
    has_tls = not is_plain and (found_ca is not None or found_cert is not None or not is_local)
    if is_plain and (found_ca or found_cert):
        raise ValueError(f"plaintext ({PLAINTEXT_VARIABLE}) is without TLS, and ca and cert are for it: leave out one")
    in_clear = _truth(IN_CLEAR_VARIABLE, environment) if token_in_clear is None else token_in_clear
    if source is not None and not (has_tls or is_local or in_clear):
        _refuse_token(address)
    own = _content(found_cert), _content(found_key)
    return Security(has_tls, _content(found_ca), *own, source, tenant or environment.get(TENANT_VARIABLE) or None)


def is_loopback(address: str) -> bool:
    """Whether what is sent to `host:port`, or a target as gRPC writes it, stays on this machine."""
    if address.startswith(("unix:", "unix-abstract:")):
        return True
    hosts = [_host(each) for each in address.rpartition("/")[2].removeprefix("dns:").split(",")]
    return all(map(_is_local, hosts))


def _host(target: str) -> str:
    target = target.removeprefix("ipv4:").removeprefix("ipv6:")
    if target.startswith("["):
        return target[1:].partition("]")[0]
    host, colon, _ = target.rpartition(":")
    return host if colon and ":" not in host else target


def _is_local(host: str) -> bool:
    if host in ("localhost", "127.0.0.1"):
        return True
    from ipaddress import ip_address  # takes milliseconds, which the usual addresses do not need

    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _refuse_token(address: str) -> NoReturn:
    raise ValueError(
        f"the token would go to {address} without TLS, for everyone on the way to read: leave out `plaintext`, or say"
        f" token_in_clear=True ({IN_CLEAR_VARIABLE}=1) where something else keeps that way private"
    )


def _token_source(token: str | Path | None, environment: Mapping[str, str]) -> Callable[[], str] | None:
    """Gives the token of the moment: a file may be written anew while the client lives."""
    if token is None:
        file = environment.get(TOKEN_FILE_VARIABLE)
        token = environment.get(TOKEN_VARIABLE) or (Path(file) if file else None)
    if token is None or token == "":
        return None
    if isinstance(token, Path):
        return _TokenFile(token).current
    fixed = _checked(token, "the token")
    return lambda: fixed


class _TokenFile:
    """A token in a file, read again when that has changed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: tuple[int, int, int] | None = None
        self._token = ""
        self.current()

    def current(self) -> str:
        """Raises OSError, ValueError."""
        found = self._path.stat()
        stamp = found.st_mtime_ns, found.st_size, found.st_ino
        if stamp != self._stamp:
            self._token, self._stamp = _checked(self._path.read_text(), str(self._path)), stamp
        return self._token


def _checked(token: str, where: str) -> str:
    """What gRPC would otherwise refuse with an error that shows the token."""
    stripped = token.strip()
    if not stripped or not stripped.isascii() or not stripped.isprintable():
        raise ValueError(f"{where} is empty, or has characters that no token has")
    return stripped


def _content(path: str | os.PathLike[str] | None) -> bytes | None:
    return None if path is None else Path(path).read_bytes()


def _truth(variable: str, environment: Mapping[str, str]) -> bool:
    value = environment.get(variable, "").lower()
    if value not in (*_YES, *_NO):
        raise ValueError(f"{variable} is '{value[:20]}'; must be 1 or 0")
    return value in _YES


class _Authorized:
    """A channel of either kind whose calls say who makes them, for whom, and as a part of what."""

    def __init__(self, channel: Any, security: Security) -> None:
        self._channel, self._security = channel, security

    def unary_unary(self, *args: Any, **kwargs: Any) -> _Calls:
        return _Calls(self._channel.unary_unary(*args, **kwargs), self._security)

    def unary_stream(self, *args: Any, **kwargs: Any) -> _Calls:
        return _Calls(self._channel.unary_stream(*args, **kwargs), self._security)

    def stream_unary(self, *args: Any, **kwargs: Any) -> _Calls:
        return _Calls(self._channel.stream_unary(*args, **kwargs), self._security)

    def stream_stream(self, *args: Any, **kwargs: Any) -> _Calls:
        return _Calls(self._channel.stream_stream(*args, **kwargs), self._security)


class _Calls:
    """An RPC of a stub, as far as this package uses it."""

    def __init__(self, rpc: Any, security: Security) -> None:
        self._rpc, self._security = rpc, security

    def __call__(self, request: object, timeout: float | None = None) -> Any:
        return self._rpc(request, timeout=timeout, metadata=self._security.metadata())

    def future(self, request: object, timeout: float | None = None) -> Any:
        return self._rpc.future(request, timeout=timeout, metadata=self._security.metadata())
