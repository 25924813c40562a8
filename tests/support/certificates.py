"""Certificates made for one test run."""

import datetime
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass(frozen=True)
class Certificate:
    """PEM files of a self-signed certificate and its key."""

    certificate: Path
    key: Path


def self_signed(directory: Path, *, days: int = 1) -> Certificate:
    """A certificate of `localhost` and 127.0.0.1 that nobody trusts by itself.

    `days`: how long it is good for from now on; negative: it is over.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    names = [x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))]
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=30))
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    files = Certificate(directory / "cert.pem", directory / "key.pem")
    files.certificate.write_bytes(built.public_bytes(pem))
    private = serialization.PrivateFormat.PKCS8
    files.key.write_bytes(key.private_bytes(pem, private, serialization.NoEncryption()))
    files.key.chmod(0o600)
    return files
