"""What happens to a talk with an upstream, and what is to be done. Counterpart of `proxy.upstream`.

Events are past tense, commands imperative; `at_s` is the monotonic clock, `job` a number of ours.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from wicketd.domain.calls import Answer, Failure
from wicketd.domain.catalogue import UpstreamEra


@dataclass(frozen=True, slots=True)
class Session:
    """A legacy session: its id (None: the server keeps none) and the negotiated version."""

    id: str | None
    version: str
    has_logging: bool = False
    """Whether the server takes a log level."""
    has_subscriptions: bool = False
    """Whether it tells of changed resources."""


class How(StrEnum):
    """What a failed exchange says about sending again."""

    FINAL = "final"
    NOT_WRITTEN = "not_written"
    SESSION_GONE = "session_gone"
    ERA_WRONG = "era_wrong"
    HEADERS_STALE = "headers_stale"


@dataclass(frozen=True, slots=True)
class SendWanted:
    """A request is to go out. Times in seconds of the monotonic clock; infinity: no deadline."""

    at_s: float
    job: int
    timeout_s: float
    timeout_max_s: float


@dataclass(frozen=True, slots=True)
class EraFound:
    """The verdict on the upstream. `is_fresh`: probed just now, not read from a store."""

    at_s: float
    era: UpstreamEra
    is_fresh: bool


@dataclass(frozen=True, slots=True)
class EraExpired:
    """The verdict is too old to rely on."""

    at_s: float


@dataclass(frozen=True, slots=True)
class SessionOpened:
    """`initialize` succeeded."""

    at_s: float
    session: Session


@dataclass(frozen=True, slots=True)
class HandshakeFailed:
    """The probe or `initialize` failed. `code`: of the JSON-RPC refusal, if there was one."""

    at_s: float
    failure: Failure
    code: int | None = None


@dataclass(frozen=True, slots=True)
class ProgressArrived:
    """The upstream reported progress of this job."""

    at_s: float
    job: int


@dataclass(frozen=True, slots=True)
class QuestionOpened:
    """A question of the upstream went to the client of this job: a person may have to think."""

    at_s: float
    job: int


@dataclass(frozen=True, slots=True)
class QuestionClosed:
    """It was answered, or given up."""

    at_s: float
    job: int


@dataclass(frozen=True, slots=True)
class Answered:
    """The one answer to the job."""

    at_s: float
    job: int
    answer: Answer


@dataclass(frozen=True, slots=True)
class Failed:
    """An exchange ended without an answer."""

    at_s: float
    job: int
    how: How
    failure: Failure


@dataclass(frozen=True, slots=True)
class StreamEnded:
    """A stream ended without the answer; `event_id`: the last it gave, `retry_ms`: its wish."""

    at_s: float
    job: int
    event_id: str | None
    retry_ms: int | None


@dataclass(frozen=True, slots=True)
class Relisted:
    """The tools were listed again. `is_usable`: the call may go out with rebuilt headers."""

    at_s: float
    job: int
    is_usable: bool


@dataclass(frozen=True, slots=True)
class TimerFired:
    """The deadline that `SetTimer` named has passed."""

    at_s: float
    job: int


@dataclass(frozen=True, slots=True)
class Cancelled:
    """Nobody waits for the job any more."""

    at_s: float
    job: int


@dataclass(frozen=True, slots=True)
class Probe:
    """Find the upstream's era, with the credential of `job`; single flight.

    `doubted`: the verdict that an answer has just contradicted.
    """

    job: int
    doubted: UpstreamEra | None


@dataclass(frozen=True, slots=True)
class Initialize:
    """Open a legacy session, with the credential of `job`; single flight."""

    job: int


@dataclass(frozen=True, slots=True)
class Send:
    """Write the request of `job`: modern if `session` is None."""

    job: int
    session: Session | None


@dataclass(frozen=True, slots=True)
class Resume:
    """Wait `after_s`, then ask for the rest of the stream."""

    job: int
    session: Session
    event_id: str
    after_s: float


@dataclass(frozen=True, slots=True)
class Relist:
    """List the tools again and say whether the call may go out."""

    job: int


@dataclass(frozen=True, slots=True)
class CancelUpstream:
    """Tell a legacy upstream that the answer is not wanted; the stream is closed anyway."""

    job: int
    session: Session


@dataclass(frozen=True, slots=True)
class SetTimer:
    """Fire `TimerFired(job)` at `at_s`, infinity: never; replaces the job's earlier timer."""

    job: int
    at_s: float


@dataclass(frozen=True, slots=True)
class Settle:
    """The end of the job."""

    job: int
    outcome: Answer | Failure


Event: TypeAlias = (
    SendWanted
    | EraFound
    | EraExpired
    | SessionOpened
    | HandshakeFailed
    | ProgressArrived
    | QuestionOpened
    | QuestionClosed
    | Answered
    | Failed
    | StreamEnded
    | Relisted
    | TimerFired
    | Cancelled
)
JobCommand: TypeAlias = Send | Resume | Relist | Settle
Command: TypeAlias = JobCommand | Probe | Initialize | CancelUpstream | SetTimer
