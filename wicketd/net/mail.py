"""Hands letters to a mail server, into files, or to stderr. Implements `domain.ports.Mailer`.

A letter holds a secret: it is kept nowhere on the way. Files and stderr are for development on
loopback; `config` refuses them elsewhere. Source: product specification, section 8.
"""

import asyncio
import os
import re
import ssl
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from email.utils import format_datetime
from pathlib import Path
from typing import Final, Literal, TextIO

import aiosmtplib

from wicketd.domain.errors import ConfigInvalid, MailFailed
from wicketd.domain.ports import Clock, Ids, Mail
from wicketd.domain.secret import SecretBytes
from wicketd.net.addresses import is_loopback_host

TIMEOUT_S: Final = 10.0
_FAULTS: Final = (aiosmtplib.SMTPException, OSError, ssl.SSLError, TimeoutError)
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9@._+-]")


@dataclass(frozen=True, slots=True)
class Relay:
    """The mail server. `ca`: extra certificates to trust, as PEM; None: the system's alone."""

    host: str
    port: int
    security: Literal["starttls", "tls", "none"]
    sender: str
    username: str | None = None
    password: SecretBytes | None = None
    ca_file: str | None = None


class Letterhead:
    """Makes the message of a letter: text and HTML, headers that nobody can forge."""

    def __init__(self, sender: str, clock: Clock, ids: Ids) -> None:
        self._sender = sender
        self._clock = clock
        self._ids = ids

    def message(self, mail: Mail) -> EmailMessage:
        """The message, ready to be sent.

        Raises:
            MailFailed: a header holds what no header may.
        """
        message = EmailMessage(policy=SMTP if mail.to.isascii() else SMTPUTF8)
        at = datetime.fromtimestamp(self._clock.now_ms() / 1000, UTC)
        host = self._sender.rpartition("@")[2] or "localhost"
        try:
            message["From"] = self._sender
            message["To"] = mail.to
            message["Subject"] = " ".join(mail.subject.split())
            message["Date"] = format_datetime(at)
            message["Message-ID"] = f"<{self._ids.uuid7()}@{host}>"
            message["Auto-Submitted"] = "auto-generated"
            message.set_content(mail.text)
            message.add_alternative(mail.html, subtype="html")
        except ValueError as error:
            raise MailFailed("The letter's headers are malformed.") from error
        return message


class SmtpMailer:
    """Sends through a mail server: 10 s a try, two tries, its certificate checked.

    On loopback a certificate is not checked: whoever can listen there is the host itself.
    """

    def __init__(self, relay: Relay, letterhead: Letterhead) -> None:
        self._relay = relay
        self._letterhead = letterhead

    async def send(self, mail: Mail) -> None:
        """See `Mailer.send`."""
        message = self._letterhead.message(mail)
        for is_last in (False, True):
            try:
                await self._visit(message)
            except _FAULTS as error:
                if is_last or _is_final(error):
                    raise MailFailed(_why(error)) from error
            else:
                return

    async def greet(self) -> None:
        """Connects, secures and signs in as for a letter, then leaves.

        Raises:
            MailFailed: the mail server cannot be used.
        """
        try:
            await self._visit(None)
        except _FAULTS as error:
            raise MailFailed(_why(error)) from error

    async def _visit(self, message: EmailMessage | None) -> None:
        async with asyncio.timeout(TIMEOUT_S):
            async with _client(self._relay) as client:
                if message is not None:
                    await client.send_message(message)


class FileMailer:
    """Writes each letter into a directory, as a 0600 `.eml`, for development."""

    def __init__(self, directory: Path, letterhead: Letterhead, ids: Ids) -> None:
        self._directory = directory
        self._letterhead = letterhead
        self._ids = ids

    async def send(self, mail: Mail) -> None:
        """See `Mailer.send`."""
        data = self._letterhead.message(mail).as_bytes()
        name = f"{self._ids.uuid7()}-{_UNSAFE.sub('_', mail.to)[:80]}.eml"
        try:
            await asyncio.to_thread(_write, self._directory / name, data)
        except OSError as error:
            raise MailFailed(_why(error)) from error


class ConsoleMailer:
    """Prints each letter's text on stderr, for development."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream

    async def send(self, mail: Mail) -> None:
        """See `Mailer.send`."""
        stream = self._stream or sys.stderr
        stream.write(f"\nMail to {mail.to}: {mail.subject}\n\n{mail.text}\n")
        stream.flush()


def read_password(path: Path) -> bytes:
    """The password of the mail server, from a file that others cannot read.

    Raises:
        ConfigInvalid: it cannot be read, or others may.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            is_private = os.fstat(file.fileno()).st_mode & 0o077 == 0
            password = file.read(4096).strip()
    except OSError as error:
        message = f"smtp.password_file cannot be read: {error.strerror}."
        raise ConfigInvalid(message, hint=f"Check {path}.") from error
    if not is_private:
        raise ConfigInvalid("smtp.password_file can be read by others.", hint=f"chmod 600 {path}")
    if not password:
        raise ConfigInvalid("smtp.password_file is empty.", hint="Write the password into it.")
    return password


def _context(relay: Relay) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=relay.ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if is_loopback_host(relay.host):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _client(relay: Relay) -> aiosmtplib.SMTP:
    return aiosmtplib.SMTP(
        hostname=relay.host,
        port=relay.port,
        local_hostname="localhost",
        username=relay.username,
        password=None if relay.password is None else relay.password.reveal().decode(),
        use_tls=relay.security == "tls",
        start_tls=relay.security == "starttls",
        tls_context=None if relay.security == "none" else _context(relay),
        timeout=TIMEOUT_S,
    )


def _code(error: Exception) -> int | None:
    """What the server answered; a refused recipient is told so without its answer."""
    if isinstance(error, aiosmtplib.SMTPResponseException):
        return error.code
    return 550 if isinstance(error, aiosmtplib.SMTPRecipientsRefused) else None


def _is_final(error: Exception) -> bool:
    return (_code(error) or 0) >= 500  # RFC 5321: not to be tried again


def _why(error: Exception) -> str:
    """A sentence without the server's words: they are a stranger's text."""
    code = _code(error)
    if code is not None:
        return f"The mail server answered {code}."
    if isinstance(error, TimeoutError):
        return "The mail server did not answer in time."
    return f"The mail server cannot be used: {type(error).__name__}."


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(path, flags, 0o600), "wb") as file:
        file.write(data)
