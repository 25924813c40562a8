"""Composes what people enter by: sign-in, second factor, sessions, invitations, accounts.

A part of the composition root: `app` hands in what it made, and gives the parts to the portal and
to the admin API. It decides nothing.
"""

from dataclasses import dataclass
from pathlib import Path

from wicketd.config import Config
from wicketd.domain.errors import ConfigInvalid, MailFailed
from wicketd.domain.ports import Clock, Ids, Mailer, Random, Spawn
from wicketd.net.mail import ConsoleMailer, FileMailer, Letterhead, Relay, SmtpMailer, read_password
from wicketd.services.accounts import Accounts
from wicketd.services.authenticator import Authenticator
from wicketd.services.desk import Desk
from wicketd.services.factor_rules import FactorRules
from wicketd.services.invite_tokens import InviteTokens
from wicketd.services.invites import Invites, Stationery
from wicketd.services.joining import Joining
from wicketd.services.links import SigninLinks
from wicketd.services.post import PostOffice
from wicketd.services.second_factor import SecondFactor
from wicketd.services.signin import Doors, SignIn
from wicketd.services.web_sessions import WebSessions
from wicketd.vault.sealing import Sealer
from wicketd.vault.secret import Secret


@dataclass(frozen=True, slots=True)
class Settings:
    """`url`: the portal's, without a slash at its end. `mailer` None: mail is off."""

    url: str
    mailer: Mailer | None
    factors: FactorRules


@dataclass(frozen=True, slots=True)
class Entrance:
    """Everything about who comes in. `sweeps` of its parts run every minute."""

    factors: FactorRules
    sessions: WebSessions
    sign_in: SignIn
    second_factor: SecondFactor
    joining: Joining
    links: SigninLinks
    invites: Invites
    accounts: Accounts

    async def sweep(self) -> None:
        """Closes what is over and deletes what nobody needs."""
        await self.invites.sweep()
        await self.links.sweep()
        await self.sign_in.sweep()
        await self.sessions.sweep()


def entrance(
    desk: Desk, sealer: Sealer, random: Random, spawn: Spawn, settings: Settings
) -> Entrance:
    """Wires the parts over one desk."""
    is_mail_off = settings.mailer is None
    sessions = WebSessions(desk, sealer, random)
    authenticator = Authenticator(sealer, random, desk.ids, is_only_proof=is_mail_off)
    links = SigninLinks(desk, sealer, random, settings.url)
    post = PostOffice(desk, settings.mailer, spawn)
    tokens = InviteTokens(sealer)
    doors = Doors(
        sealer=sealer,
        random=random,
        sessions=sessions,
        authenticator=authenticator,
        links=links,
        post=post,
        url=settings.url,
    )
    return Entrance(
        factors=settings.factors,
        sessions=sessions,
        sign_in=SignIn(desk, doors),
        second_factor=SecondFactor(desk, sessions, authenticator),
        joining=Joining(desk, tokens, settings.factors),
        links=links,
        invites=Invites(desk, Stationery(tokens, links, post, settings.url)),
        accounts=Accounts(desk, links, is_mail_off=is_mail_off),
    )


def settings_of(config: Config, clock: Clock, ids: Ids) -> Settings:
    """What the configuration says about entering.

    Raises:
        ConfigInvalid: the mail server's password cannot be read.
    """
    mailer = mailer_of(config, clock, ids)
    factors = FactorRules(config.portal.require_mfa, is_mail_off=mailer is None)
    return Settings(config.url, mailer, factors)


async def mail_fault(config: Config, clock: Clock, ids: Ids) -> str | None:
    """Why the configured mail server cannot be used; None if it can, or there is none."""
    try:
        mailer = mailer_of(config, clock, ids)
        if isinstance(mailer, SmtpMailer):
            await mailer.greet()
    except (ConfigInvalid, MailFailed) as error:
        return error.message
    return None


def mailer_of(config: Config, clock: Clock, ids: Ids) -> Mailer | None:
    """How codes leave; None: they do not.

    Raises:
        ConfigInvalid: the mail server's password cannot be read.
    """
    smtp = config.smtp
    letterhead = Letterhead(smtp.sender or "wicket@localhost", clock, ids)
    match config.portal.mail:
        case "off":
            return None
        case "console":
            return ConsoleMailer()
        case "file":
            return FileMailer(config.state / "mail", letterhead, ids)
        case "smtp":
            password = None
            if smtp.password_file is not None:
                password = Secret(read_password(Path(smtp.password_file)))
            relay = Relay(
                host=smtp.host or "",
                port=smtp.port,
                security=smtp.security,
                sender=smtp.sender or "",
                username=smtp.username,
                password=password,
            )
            return SmtpMailer(relay, letterhead)
