"""Sends letters after the answer that caused them, so that no answer's time tells whether one left.

A letter that the mail server does not take is gone: it queues nowhere, `mail.failed` says so.
Source: product specification, section 8.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from wicketd.domain.audit import Entry
from wicketd.domain.errors import MailFailed, WicketError
from wicketd.domain.ports import Mail, Mailer, Spawn, Statement, Tx
from wicketd.services.desk import Desk

PAUSE_S: Final = 0.05
"""Between the answer and the first byte to the mail server."""
WAITING_MAX: Final = 200
"""Letters under way at once; more than the throttles let through in an hour."""

_LOG: Final = logging.getLogger(__name__)


class PostOffice:
    """Hands letters to the mailer in the background. `mailer` None: mail is off."""

    def __init__(self, desk: Desk, mailer: Mailer | None, spawn: Spawn) -> None:
        self._desk = desk
        self._mailer = mailer
        self._spawn = spawn
        self._waiting = 0

    @property
    def is_off(self) -> bool:
        """Whether no mail is sent at all."""
        return self._mailer is None

    def post(
        self, write: Callable[[], Mail | None], sent: Callable[[], Statement] | None = None
    ) -> None:
        """Sends what `write` gives, later; None: nothing. `sent`: what is stored on success.

        Called alike whether there is something to send or not.
        """
        if self._mailer is None or self._waiting >= WAITING_MAX:
            return
        self._waiting += 1
        self._spawn(self._deliver(self._mailer, write, sent), name="mail")

    async def _deliver(
        self,
        mailer: Mailer,
        write: Callable[[], Mail | None],
        sent: Callable[[], Statement] | None,
    ) -> None:
        try:
            await asyncio.sleep(PAUSE_S)
            mail = write()
            if mail is not None:
                await self._send(mailer, mail, sent)
        except WicketError as error:
            _LOG.warning("mail: %s", error.message)
        finally:
            self._waiting -= 1

    async def _send(self, mailer: Mailer, mail: Mail, sent: Callable[[], Statement] | None) -> None:
        try:
            await mailer.send(mail)
        except MailFailed as error:
            await self._tell(mail.to, error.message)
            return
        if sent is not None:
            await self._desk.db.write(lambda tx: tx.run(sent()))

    async def _tell(self, email: str, reason: str) -> None:
        _LOG.warning("a letter was not delivered: %s", reason)
        entry = Entry(kind="mail.failed", fields={"target": email, "reason": reason})

        def work(tx: Tx) -> None:
            self._desk.journal.append(tx, entry)

        await self._desk.db.write(work)
