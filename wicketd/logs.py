"""The daemon's log: one line an event on stderr, with every secret-like text masked.

Counterpart: `audit.redact`, whose value patterns it applies to messages and tracebacks alike.
Invariant: no handler is reached by an unmasked text, and no library logs below INFO, where some
print headers and bodies. Source: security spec, section 13.
"""

import logging
import sys
from typing import Final

from typing_extensions import override

from wicketd.audit import redact

LIBRARIES: Final = ("aiohttp", "asyncio", "mail", "uvicorn")
"""Loggers of libraries whose debug output shows what is sent."""


class Masked(logging.Formatter):
    """Formats a record, its traceback included, then masks it: arguments cannot slip past."""

    @override
    def format(self, record: logging.LogRecord) -> str:
        """The line without secrets."""
        return redact.text(super().format(record))


def begin() -> None:
    """Logs to stderr from now on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Masked("%(name)s: %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    for name in LIBRARIES:
        logging.getLogger(name).setLevel(logging.INFO)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)  # it greets once a listener
