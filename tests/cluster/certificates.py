"""Certificates that tests sign themselves."""

import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

WEEK = timedelta(days=7)


def write_pair(
    folder: Path, name: str = "first", lives: timedelta = 10 * WEEK, passphrase: bytes = b""
) -> dict[str, str]:
    """Write a certificate for 127.0.0.1 that began a week ago, and its key; the value names both as variables do."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    began = datetime.now(UTC) - WEEK
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(began)
        .not_valid_after(began + lives)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    secret = serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
    certificate_file, key_file = folder / "tls.crt", folder / "tls.key"
    certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    key_file.write_bytes(key.private_bytes(pem, pkcs8, secret))
    return {"TLS_CERT_FILE": str(certificate_file), "TLS_KEY_FILE": str(key_file)}


def trusting(*certificates: str | Path, alpn: str = "http/1.1") -> ssl.SSLContext:
    """A client that believes these certificates and asks for one protocol."""
    context = ssl.create_default_context()
    for path in certificates:
        context.load_verify_locations(path)
    context.set_alpn_protocols([alpn])
    return context


def common_name(found: ssl.SSLSocket | ssl.SSLObject) -> str:
    """The name in the certificate that a server showed."""
    der = found.getpeercert(binary_form=True)
    assert der is not None
    [name] = x509.load_der_x509_certificate(der).subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(name.value)
