"""How the settings become mailers and rules."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.support.mail_server import mail_server
from tests.support.state import CountedIds, FakeClock
from wicketd.config import Config
from wicketd.domain.errors import ConfigInvalid
from wicketd.entrance import mail_fault, mailer_of, settings_of
from wicketd.net.mail import ConsoleMailer, FileMailer, SmtpMailer


def config(tmp_path: Path, **tables: Any) -> Config:
    return msgspec.convert({"state_dir": str(tmp_path), **tables}, Config)


@pytest.mark.parametrize(
    ("mail", "kind"),
    [("off", type(None)), ("console", ConsoleMailer), ("file", FileMailer), ("smtp", SmtpMailer)],
)
@pytest.mark.parametrize("require", ["off", "key", "always"])
def test_each_setting_has_its_mailer_and_rules(
    tmp_path: Path, mail: str, kind: type, require: str
) -> None:
    clock = FakeClock()
    made = settings_of(
        config(
            tmp_path,
            portal={"mail": mail, "require_mfa": require},
            smtp={"host": "mail.example.org", "sender": "wicket@example.org"},
        ),
        clock,
        CountedIds(clock),
    )
    assert isinstance(made.mailer, kind)
    assert (made.factors.require, made.factors.is_mail_off) == (require, mail == "off")
    assert made.url == "http://127.0.0.1:8650"


def test_a_password_that_cannot_be_read_refuses(tmp_path: Path) -> None:
    clock = FakeClock()
    smtp = {"host": "m", "sender": "a@b", "username": "u", "password_file": str(tmp_path / "x")}
    wrong = config(tmp_path, portal={"mail": "smtp"}, smtp=smtp)
    with pytest.raises(ConfigInvalid, match="password_file"):
        mailer_of(wrong, clock, CountedIds(clock))


async def test_a_mail_server_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    clock = FakeClock()
    with mail_server() as server:
        smtp = {"host": server.host, "port": server.port, "sender": "a@b", "security": "none"}
        there = config(tmp_path, portal={"mail": "smtp"}, smtp=smtp)
        assert await mail_fault(there, clock, CountedIds(clock)) is None
    fault = await mail_fault(there, clock, CountedIds(clock))
    assert fault is not None
    assert "mail server" in fault
    assert await mail_fault(config(tmp_path), clock, CountedIds(clock)) is None
