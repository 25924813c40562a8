"""A real SMTP server on loopback, with TLS, STARTTLS, accounts and faults as a test wants them."""

import datetime
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any, Literal

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass
class Received:
    """What the server took, and what it says. `answers`: to each DATA in turn, then 250."""

    letters: list[EmailMessage] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    secured: list[bool] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)
    tries: int = 0

    async def handle_RCPT(  # noqa: N802  # the server's name for it
        self, server: SMTP, session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        """Takes every recipient but `refused@…`."""
        if address.startswith("refused@"):
            return "550 5.1.1 no such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # noqa: N802  # the server's name for it
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        """Keeps the letter, or says what a test wants."""
        self.tries += 1
        if self.answers:
            answer = self.answers.pop(0)
            if not answer.startswith("2"):
                return answer
        content = envelope.content
        assert isinstance(content, bytes)
        message = message_from_bytes(content, policy=default)
        assert isinstance(message, EmailMessage)
        self.raw.append(content)
        self.letters.append(message)
        self.recipients.extend(envelope.rcpt_tos)
        assert server.transport is not None
        is_tls = server.transport.get_extra_info("ssl_object") is not None
        self.secured.append(is_tls or session.ssl is not None)
        return "250 OK"


@dataclass(frozen=True, slots=True)
class MailServer:
    """A running server."""

    host: str
    port: int
    received: Received


@contextmanager
def mail_server(
    *,
    security: Literal["none", "starttls", "tls"] = "none",
    certificate: tuple[Path, Path] | None = None,
    login: tuple[str, str] | None = None,
    host: str = "127.0.0.1",
) -> Iterator[MailServer]:
    """Serves until the block ends. `login`: the only account that may send."""
    received = Received()
    context = None
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)

    def authenticate(
        _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, data: Any
    ) -> AuthResult:
        given = data if isinstance(data, LoginPassword) else LoginPassword(b"", b"")
        is_right = login is not None and (given.login.decode(), given.password.decode()) == login
        return AuthResult(success=is_right, handled=False)

    with socket.socket() as probe:
        probe.bind((host, 0))
        port = probe.getsockname()[1]
    controller = Controller(
        received,
        hostname=host,
        port=port,
        ssl_context=context if security == "tls" else None,
        tls_context=context if security == "starttls" else None,
        require_starttls=security == "starttls",
        auth_required=login is not None,
        authenticator=authenticate if login is not None else None,
        enable_SMTPUTF8=True,
    )
    controller.start()
    try:
        yield MailServer(host, port, received)
    finally:
        controller.stop()


def self_signed(directory: Path, *names: str) -> tuple[Path, Path]:
    """A certificate for host names, and its key; nobody vouches for it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(n) for n in names]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    pem = directory / "certificate.pem"
    pem.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private = directory / "private.pem"
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return pem, private
