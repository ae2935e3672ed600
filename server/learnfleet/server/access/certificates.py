"""TLS of the gRPC listener: certificates that are read again when their files change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import grpc

from learnfleet.server.access.files import Watched

if TYPE_CHECKING:
    from cryptography.x509 import Certificate


@dataclass(frozen=True)
class TlsFiles:
    """PEM files."""

    certificate: Path  # the server's, with those that lead to its authority
    key: Path
    client_authorities: Path | None = None  # of clients, which then must have a certificate; None: they need none

    @property
    def all(self) -> tuple[Path, ...]:
        return (self.certificate, self.key, *([self.client_authorities] if self.client_authorities else []))


@dataclass(frozen=True)
class _Content:
    certificate: bytes
    key: bytes
    client_authorities: bytes | None
    ends_at: datetime


class ServedCertificate:
    """The certificate that a listener shows, which follows the files."""

    def __init__(self, files: TlsFiles) -> None:
        """Raises Unreadable for files that are not there, are no PEM, do not belong together or have expired."""
        self._is_mutual = files.client_authorities is not None
        self._content = Watched(files.all, lambda: _read(files))

    def credentials(self) -> grpc.ServerCredentials:
        """Of a listener: each handshake has the certificate of that moment."""
        return grpc.dynamic_ssl_server_credentials(
            self._configuration(), self._configuration, require_client_authentication=self._is_mutual
        )

    def ends_at(self) -> datetime:
        """When the one that clients are shown now expires. That is not the files' one where they do not fit."""
        return self._content.current().ends_at

    def _configuration(self) -> grpc.ServerCertificateConfiguration:
        now = self._content.current()
        return grpc.ssl_server_certificate_configuration(
            [(now.key, now.certificate)], root_certificates=now.client_authorities
        )


def _read(files: TlsFiles) -> _Content:
    # Imported where TLS is: it brings a library of its own.
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

    chain, key = files.certificate.read_bytes(), files.key.read_bytes()
    leaf = _certificates(chain, files.certificate)[0]
    try:
        own = load_pem_private_key(key, password=None).public_key()
    except (ValueError, TypeError) as error:
        raise ValueError(f"{files.key} is no private key in PEM without a password: {error}") from None
    raw = Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    if own.public_bytes(*raw) != leaf.public_key().public_bytes(*raw):
        raise ValueError(f"{files.key} is not the key of the certificate in {files.certificate}")
    if leaf.not_valid_after_utc <= datetime.now(UTC):
        raise ValueError(f"the certificate in {files.certificate} has expired at {leaf.not_valid_after_utc:%F %T} UTC")
    authorities = None
    if files.client_authorities is not None:
        authorities = files.client_authorities.read_bytes()
        _certificates(authorities, files.client_authorities)
    return _Content(chain, key, authorities, leaf.not_valid_after_utc)


def _certificates(content: bytes, path: Path) -> Sequence[Certificate]:
    from cryptography.x509 import load_pem_x509_certificates

    try:
        return load_pem_x509_certificates(content)
    except ValueError as error:
        raise ValueError(f"{path} has no certificate in PEM: {error}") from None
