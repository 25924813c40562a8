"""The error tree. A class exists when somebody catches or maps it.

A denial of a call is a value, not an error.

WicketError(message, *, hint=None, details=())
  Refused        Unauthenticated · RateLimited (Locked)
                 Forbidden (AgentDisabled, NotApproved, PeerRefused, SecondFactorNeeded)
  Wrong          BadRequest · Invalid (PolicyInvalid, ConfigInvalid) · NotFound · Gone · Conflict
                 RevisionMoved · RevisionRequired · TooLarge
  Upstream       Unreachable · TimedOut · Malformed · NotConnected · SignInRejected
                 MailFailed
  Unhealthy      AuditNotDurable · DiskReserve · Draining · ClockBackwards
  Fatal          KeyringInvalid · SchemaTooNew · StorageBroken · SecondInstance

Each surface maps the tree in one table: `admin/errors.py`, `proxy/errors.py`, `portal/errors.py`,
`cli.py`.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import ClassVar


class ErrorCode(StrEnum):
    """What kind of failure a surface reports.

    The admin API sends these words (product spec, section 9).
    """

    BAD_REQUEST = "bad_request"
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    TIMEOUT = "timeout"
    CONFLICT = "conflict"
    STALE = "stale"
    TOO_LARGE = "too_large"
    INVALID = "invalid"
    PRECONDITION_REQUIRED = "precondition_required"
    RATE_LIMITED = "rate_limited"
    INTERNAL = "internal"
    DEGRADED = "degraded"
    UPSTREAM = "upstream"
    FATAL = "fatal"


class WicketError(Exception):
    """Root of the tree.

    `message` is a plain sentence, `hint` the command or sentence that fixes it.

    `details` are JSON-ready mappings, for example the problems of a policy text.
    """

    code: ClassVar[ErrorCode] = ErrorCode.INTERNAL

    def __init__(
        self, message: str, *, hint: str | None = None, details: Sequence[dict[str, object]] = ()
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.details = tuple(details)


class Refused(WicketError):
    """The asker may not do this."""

    code = ErrorCode.FORBIDDEN


class Unauthenticated(Refused):
    """No valid credential was presented."""

    code = ErrorCode.UNAUTHENTICATED


class Forbidden(Refused):
    """The asker is known and may not do this."""


class AgentDisabled(Forbidden):
    """The agent's kill switch is set."""


class NotApproved(Forbidden):
    """The membership is not approved."""


class PeerRefused(Forbidden):
    """The peer of an admin socket is not in an admitted group, or cannot be read."""


class SecondFactorNeeded(Forbidden):
    """The asker must enter a code of the second factor first, or enrol one."""


class RateLimited(Refused):
    """Too many requests of one kind; try again later."""

    code = ErrorCode.RATE_LIMITED


class Locked(RateLimited):
    """Too many wrong codes; `until_ms`: when the next one is looked at, ms since 1970 UTC."""

    def __init__(self, message: str, *, until_ms: int, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.until_ms = until_ms


class Wrong(WicketError):
    """The request cannot be carried out as it stands."""

    code = ErrorCode.BAD_REQUEST


class BadRequest(Wrong):
    """The request does not have the shape of its endpoint."""


class Invalid(Wrong):
    """A value does not satisfy its rule."""

    code = ErrorCode.INVALID


class PolicyInvalid(Invalid):
    """A policy text has errors; `details` holds its problems."""


class ConfigInvalid(Invalid):
    """A configuration or connector file is refused."""


class NotFound(Wrong):
    """No such object, or none that the asker may know of."""

    code = ErrorCode.NOT_FOUND


class Gone(Wrong):
    """The object existed and can be used no more: used up, replaced, revoked or over its time."""

    code = ErrorCode.CONFLICT


class Conflict(Wrong):
    """The object's life cycle has no such transition, or the name is taken."""

    code = ErrorCode.CONFLICT


class RevisionMoved(Wrong):
    """The object changed since it was read; `details` holds the current revision."""

    code = ErrorCode.STALE


class RevisionRequired(Wrong):
    """A write on an existing object came without the revision it was based on."""

    code = ErrorCode.PRECONDITION_REQUIRED


class TooLarge(Wrong):
    """A value is over its cap."""

    code = ErrorCode.TOO_LARGE


class Upstream(WicketError):
    """The MCP server of a service failed or cannot be used.

    `cap` names the limit that was passed; `is_written`: the request may have reached the server.
    """

    code = ErrorCode.UPSTREAM

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        details: Sequence[dict[str, object]] = (),
        cap: str | None = None,
        is_written: bool = True,
    ) -> None:
        super().__init__(message, hint=hint, details=details)
        self.cap = cap
        self.is_written = is_written


class Unreachable(Upstream):
    """No connection could be made, or its address is refused."""


class TimedOut(Upstream):
    """The upstream did not answer within its deadline."""

    code = ErrorCode.TIMEOUT


class Malformed(Upstream):
    """The upstream's answer breaks the protocol or a cap."""


class NotConnected(Upstream):
    """The member has no usable connection to the service."""


class SignInRejected(Upstream):
    """The upstream refused the credential."""


class MailFailed(Upstream):
    """The mail server did not take a message."""


class Unhealthy(WicketError):
    """The daemon cannot safely do this now."""

    code = ErrorCode.DEGRADED


class AuditNotDurable(Unhealthy):
    """The audit log did not become durable in time."""


class DiskReserve(Unhealthy):
    """Free disk space is under the reserve."""


class Draining(Unhealthy):
    """The daemon is stopping."""


class ClockBackwards(Unhealthy):
    """The host's clock was set back: what expires cannot be judged."""


class Fatal(WicketError):
    """The process must end; never mapped to an answer."""

    code = ErrorCode.FATAL


class KeyringInvalid(Fatal):
    """The keyring or audit key is missing, malformed or not the one of this database."""


class SchemaTooNew(Fatal):
    """The database was written by a newer release."""


class StorageBroken(Fatal):
    """The database cannot be opened or is corrupt."""


class SecondInstance(Fatal):
    """Another daemon holds this state directory or socket."""
