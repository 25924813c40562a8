"""Letters through a real mail server: secured, certified, tried twice, refused by name."""

import io
import socket
import ssl
import stat
from pathlib import Path
from typing import Literal

import pytest

from tests.support.mail_server import mail_server, self_signed
from tests.support.state import CountedIds, FakeClock
from wicketd.domain.errors import ConfigInvalid, MailFailed
from wicketd.domain.ports import Mail
from wicketd.net import mail as module
from wicketd.net.mail import (
    ConsoleMailer,
    FileMailer,
    Letterhead,
    Relay,
    SmtpMailer,
    read_password,
)
from wicketd.vault.secret import Secret

LETTER = Mail("ann@example.org", "A subject", "Hello \u00e9\n.\nend\n", "<p>Hello \u00e9</p>")
HOST = socket.gethostname()


def letterhead() -> Letterhead:
    clock = FakeClock()
    return Letterhead("wicket@example.org", clock, CountedIds(clock))


def mailer(
    port: int,
    security: Literal["starttls", "tls", "none"] = "none",
    host: str = "127.0.0.1",
    login: tuple[str, str] | None = None,
    ca: Path | None = None,
) -> SmtpMailer:
    relay = Relay(
        host,
        port,
        security,
        "wicket@example.org",
        username=None if login is None else login[0],
        password=None if login is None else Secret(login[1].encode()),
        ca_file=None if ca is None else str(ca),
    )
    return SmtpMailer(relay, letterhead())


async def test_a_letter_arrives_with_both_forms_and_no_remote_part() -> None:
    with mail_server() as server:
        await mailer(server.port).send(LETTER)
    (letter,) = server.received.letters
    assert server.received.recipients == [LETTER.to]
    assert (letter["From"], letter["To"], letter["Subject"]) == (
        "wicket@example.org",
        LETTER.to,
        LETTER.subject,
    )
    assert letter["Auto-Submitted"] == "auto-generated"
    assert letter["Date"].datetime.year == 2027
    parts = [part.get_content_type() for part in letter.iter_parts()]
    assert parts == ["text/plain", "text/html"]
    plain, html = (part.get_content() for part in letter.iter_parts())
    assert plain == LETTER.text.replace("\n", "\r\n")
    assert html == LETTER.html + "\r\n"


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_a_secured_letter_arrives_secured(
    tmp_path: Path, security: Literal["starttls", "tls"]
) -> None:
    pair = self_signed(tmp_path, "localhost")
    with mail_server(security=security, certificate=pair) as server:
        await mailer(server.port, security).send(LETTER)
    assert server.received.secured == [True]


async def test_a_server_without_starttls_gets_nothing() -> None:
    with mail_server() as server, pytest.raises(MailFailed):
        await mailer(server.port, "starttls").send(LETTER)
    assert server.received.letters == []


@pytest.mark.parametrize("security", ["starttls", "tls"])
@pytest.mark.parametrize("flaw", ["unknown issuer", "other name", "none"])
async def test_off_loopback_the_certificate_must_be_the_servers_own(
    tmp_path: Path, security: Literal["starttls", "tls"], flaw: str
) -> None:
    pair = self_signed(tmp_path, "elsewhere.example.org" if flaw == "other name" else HOST)
    ca = None if flaw == "unknown issuer" else pair[0]
    with mail_server(
        security=security, certificate=pair, host=socket.gethostbyname(HOST)
    ) as server:
        sender = mailer(server.port, security, HOST, ca=ca)
        if flaw == "none":
            await sender.send(LETTER)
        else:
            with pytest.raises(MailFailed):
                await sender.send(LETTER)
    assert len(server.received.letters) == (flaw == "none")


def test_only_loopback_is_trusted_without_a_certificate() -> None:
    for host, mode in (
        ("mail.example.org", ssl.CERT_REQUIRED),
        ("localhost.example.org", ssl.CERT_REQUIRED),
        ("127.0.0.1", ssl.CERT_NONE),
        ("localhost", ssl.CERT_NONE),
    ):
        context = module._context(Relay(host, 25, "tls", "a@b"))
        assert context.verify_mode is mode
        assert context.check_hostname is (mode is ssl.CERT_REQUIRED)
        assert context.minimum_version is ssl.TLSVersion.TLSv1_2


@pytest.mark.parametrize(("password", "arrives"), [("right", True), ("wrong", False)])
async def test_the_account_of_the_server_is_used(
    tmp_path: Path, password: str, arrives: bool
) -> None:
    pair = self_signed(tmp_path, "localhost")
    with mail_server(security="starttls", certificate=pair, login=("user", "right")) as server:
        sender = mailer(server.port, "starttls", login=("user", password))
        if arrives:
            await sender.send(LETTER)
        else:
            with pytest.raises(MailFailed, match="535"):
                await sender.send(LETTER)
    assert len(server.received.letters) == arrives


@pytest.mark.parametrize(
    ("answers", "tries", "arrives"),
    [
        (["451 later"], 2, True),
        (["451 later", "451 later"], 2, False),
        (["554 never"], 1, False),
    ],
)
async def test_a_passing_fault_is_tried_a_second_time_a_lasting_one_is_not(
    answers: list[str], tries: int, arrives: bool
) -> None:
    with mail_server() as server:
        server.received.answers = list(answers)
        if arrives:
            await mailer(server.port).send(LETTER)
        else:
            with pytest.raises(MailFailed, match=answers[-1][:3]):
                await mailer(server.port).send(LETTER)
    assert server.received.tries == tries


async def test_a_refused_recipient_is_a_failure_that_quotes_nothing() -> None:
    with mail_server() as server, pytest.raises(MailFailed) as caught:
        await mailer(server.port).send(Mail("refused@example.org", "s", "secret", "secret"))
    assert str(caught.value) == "The mail server answered 550."


async def test_no_server_and_a_silent_one_are_failures(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        with pytest.raises(MailFailed, match="cannot be used"):
            await mailer(closed.getsockname()[1]).send(LETTER)
    monkeypatch.setattr(module, "TIMEOUT_S", 0.2)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        with pytest.raises(MailFailed, match="in time"):
            await mailer(silent.getsockname()[1]).send(LETTER)


@pytest.mark.parametrize(("password", "works"), [("right", True), ("wrong", False)])
async def test_a_greeting_signs_in_and_sends_nothing(
    tmp_path: Path, password: str, works: bool
) -> None:
    pair = self_signed(tmp_path, "localhost")
    with mail_server(security="starttls", certificate=pair, login=("user", "right")) as server:
        sender = mailer(server.port, "starttls", login=("user", password))
        if works:
            await sender.greet()
        else:
            with pytest.raises(MailFailed, match="535"):
                await sender.greet()
    assert server.received.tries == 0


@pytest.mark.parametrize("to", ["ann@example.org\r\nBcc: eve@example.org", "a\nb@example.org"])
async def test_a_header_cannot_be_forged(to: str) -> None:
    with mail_server() as server, pytest.raises(MailFailed, match="malformed"):
        await mailer(server.port).send(Mail(to, "s", "t", "h"))
    assert server.received.tries == 0


async def test_a_subject_is_one_line_whatever_it_holds() -> None:
    with mail_server() as server:
        letter = Mail("ann@example.org", "A\r\nBcc: eve@example.org\n\nbody", "t", "h")
        await mailer(server.port).send(letter)
    assert server.received.recipients == ["ann@example.org"]
    assert server.received.letters[0]["Subject"] == "A Bcc: eve@example.org body"
    assert server.received.letters[0]["Bcc"] is None


async def test_an_address_beyond_ascii_arrives() -> None:
    with mail_server() as server:
        await mailer(server.port).send(Mail("zo\u00eb@example.org", "s", "t", "h"))
    assert server.received.recipients == ["zo\u00eb@example.org"]


@pytest.mark.parametrize("to", ["ann@example.org", "../../etc/zo\u00eb@example.org"])
async def test_a_file_is_private_and_stays_in_its_directory(tmp_path: Path, to: str) -> None:
    ids = CountedIds(FakeClock())
    for _ in range(2):
        await FileMailer(tmp_path / "mail", letterhead(), ids).send(
            Mail(to, LETTER.subject, LETTER.text, LETTER.html)
        )
    files = sorted((tmp_path / "mail").iterdir())
    assert len(files) == 2
    for file in files:
        assert file.suffix == ".eml"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert b"A subject" in file.read_bytes()
    assert stat.S_IMODE((tmp_path / "mail").stat().st_mode) == 0o700
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mail"]


async def test_a_directory_that_cannot_be_written_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / "mail").write_text("a file")
    with pytest.raises(MailFailed):
        await FileMailer(tmp_path / "mail", letterhead(), CountedIds(FakeClock())).send(LETTER)


async def test_the_console_shows_the_text(capsys: pytest.CaptureFixture[str]) -> None:
    stream = io.StringIO()
    await ConsoleMailer(stream).send(LETTER)
    await ConsoleMailer().send(LETTER)
    assert LETTER.text in stream.getvalue()
    captured = capsys.readouterr()
    assert LETTER.text in captured.err
    assert captured.out == ""


def test_a_password_file_is_private_and_holds_a_password(tmp_path: Path) -> None:
    path = tmp_path / "password"
    path.write_bytes(b"secret\n")
    path.chmod(0o600)
    assert read_password(path) == b"secret"
    path.chmod(0o640)
    with pytest.raises(ConfigInvalid, match="others"):
        read_password(path)
    path.chmod(0o600)
    path.write_bytes(b" \n")
    with pytest.raises(ConfigInvalid, match="empty"):
        read_password(path)
    link = tmp_path / "link"
    link.symlink_to(path)
    for missing in (link, tmp_path / "none"):
        with pytest.raises(ConfigInvalid, match="cannot be read"):
            read_password(missing)
