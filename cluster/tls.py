"""The certificate of the service's port: refused in one line when it cannot serve; a warning when clients refuse it."""

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cluster.journal import journal
from web.environment import SettingsError
from web.http_settings import TlsSettings

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

SOON: Final = timedelta(days=14)
"""A certificate that expires within it is warned of: those of Let's Encrypt are renewed 30 days before."""


def check_certificate(tls: TlsSettings, *, warn: bool = False) -> None:
    """Raise SettingsError when TLS is wanted and cannot be had; say what clients will not like when told to warn."""
    warning = certificate_warning(tls, datetime.now(UTC))
    if warn and warning:
        journal.warning("%s", warning)


def certificate_warning(tls: TlsSettings, now: datetime) -> str | None:
    """Why clients refuse it or soon will, None when they do not; raises SettingsError when it is useless."""
    if tls.certificate_file is None or tls.key_file is None:
        return None
    certificate = _certificate(tls.certificate_file)
    _check_key(certificate, tls.key_file)
    try:
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(tls.certificate_file, tls.key_file)
    except (ssl.SSLError, OSError) as error:
        reason = getattr(error, "reason", None) or error
        raise SettingsError(f"TLS_CERT_FILE: needed a certificate that OpenSSL takes, which says {reason}") from error
    return _about_its_time(certificate, now)


def certificate_end(tls: TlsSettings) -> datetime | None:
    """Until when the server's own certificate is valid, None without TLS."""
    return None if tls.certificate_file is None else _certificate(tls.certificate_file).not_valid_after_utc


def _about_its_time(certificate: "Certificate", now: datetime) -> str | None:
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    renew = "renew it and reload"
    if now > ends:
        return f"TLS_CERT_FILE: the certificate expired at {ends:%Y-%m-%d %H:%M} UTC, clients refuse it: {renew}"
    if now < begins:
        return f"TLS_CERT_FILE: the certificate is valid from {begins:%Y-%m-%d %H:%M} UTC, until then clients refuse it"
    if ends - now < SOON:
        return f"TLS_CERT_FILE: the certificate expires at {ends:%Y-%m-%d %H:%M} UTC: {renew}"
    return None


def _certificate(path: Path) -> "Certificate":
    from cryptography.x509 import load_pem_x509_certificates  # late: a service without TLS loads none of it

    try:
        return load_pem_x509_certificates(_read("TLS_CERT_FILE", path))[0]
    except ValueError as error:
        raise SettingsError(
            f"TLS_CERT_FILE: needed a certificate in PEM, got something else in {str(path)!r}"
        ) from error


def _check_key(certificate: "Certificate", path: Path) -> None:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(_read("TLS_KEY_FILE", path), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:  # TypeError: it has a passphrase
        needed = "needed a private key in PEM without a passphrase"
        raise SettingsError(f"TLS_KEY_FILE: {needed}, got something else in {str(path)!r}") from error
    if key.public_key() != certificate.public_key():
        needed = "needed the private key of the certificate in TLS_CERT_FILE"
        raise SettingsError(f"TLS_KEY_FILE: {needed}, got another one in {str(path)!r}")


def _read(name: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SettingsError(f"{name}: needed a file that can be read, got {str(path)!r}: {error.strerror}") from error
