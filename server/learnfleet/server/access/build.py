"""What looks after access, put together from the settings."""

from __future__ import annotations

from learnfleet.server.access.authenticate import Authenticator, Closed, Open
from learnfleet.server.access.certificates import TlsFiles
from learnfleet.server.access.entries import read_entries
from learnfleet.server.access.files import Watched
from learnfleet.server.access.jwks import KeySet, fetcher
from learnfleet.server.access.oidc import Oidc, OidcSettings
from learnfleet.server.config import Config


def build_authenticator(config: Config) -> Authenticator:
    """Raises Unreadable naming what is wrong in the access file."""
    if not config.has_authentication:
        return Open()
    path = config.auth_file
    entries = Watched([path], lambda: read_entries(path)) if path is not None else None
    return Closed(entries, _oidc(config))


def _oidc(config: Config) -> Oidc | None:
    if config.oidc_issuer is None:
        return None
    # Here and not with the first call, which would wait for it.
    import jwt  # noqa: F401

    assert config.oidc_audience is not None, "checked with the settings"
    assert config.oidc_jwks is not None, "checked with the settings"
    settings = OidcSettings(
        config.oidc_issuer,
        config.oidc_audience,
        config.oidc_algorithms,
        config.oidc_tenant_claim,
        config.oidc_role_claim,
        dict(config.oidc_roles) or None,
    )
    return Oidc(settings, KeySet(fetcher(config.oidc_jwks)))


def tls_files(config: Config) -> TlsFiles | None:
    if config.tls_cert is None:
        return None
    assert config.tls_key is not None, "checked with the settings"
    return TlsFiles(config.tls_cert, config.tls_key, config.tls_client_ca)
