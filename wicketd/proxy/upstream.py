"""One member's talk with one upstream: era, session, what may be sent again, deadlines.

A pure machine, counterpart of `proxy.client`, which carries its commands out. Invariants: a job is
settled exactly once, or never if it was cancelled; it is sent again only where the upstream cannot
have run it, and at most once for each reason. Source: protocol spec, 4.2, 4.3 and 4.5.
"""

import math
from dataclasses import dataclass, field
from typing import Final, TypeAlias, assert_never

from wicketd.domain.calls import Answer, Failure
from wicketd.domain.catalogue import UpstreamEra
from wicketd.proxy import failures
from wicketd.proxy.upstream_events import (
    Answered,
    Cancelled,
    CancelUpstream,
    Command,
    EraExpired,
    EraFound,
    Event,
    Failed,
    HandshakeFailed,
    How,
    Initialize,
    Probe,
    ProgressArrived,
    QuestionClosed,
    QuestionOpened,
    Relist,
    Relisted,
    Resume,
    Send,
    SendWanted,
    Session,
    SessionOpened,
    SetTimer,
    Settle,
    StreamEnded,
    TimerFired,
)

MODERN_VERSIONS: Final = ("2026-07-28",)
LEGACY_VERSIONS: Final = ("2025-11-25", "2025-06-18", "2025-03-26")
RESUMES_MAX: Final = 3
RETRY_MS_MAX: Final = 10_000
_MISSING_STATUSES: Final = (404, 405)
UNSUPPORTED_VERSION: Final = -32022
_MODERN_CODES: Final = frozenset({-32020, -32021, UNSUPPORTED_VERSION})


_OfJob: TypeAlias = (
    ProgressArrived
    | QuestionOpened
    | QuestionClosed
    | Failed
    | StreamEnded
    | Relisted
    | TimerFired
    | Cancelled
)


@dataclass(slots=True)
class _Job:
    timeout_s: float
    limit_at_s: float
    is_waiting: bool = True
    """For the verdict or the session, not for an answer."""
    used: Session | None = None
    tried: set[How] = field(default_factory=set)
    resumes: int = 0
    held: Failure | None = None
    """What a failing relist settles with."""
    questions: int = 0
    """Open ones: as long as there are any, the clock stands."""
    stands_since_s: float = 0.0


def judge_discover(result: object, code: int | None, data: object) -> UpstreamEra:
    """Reads an era off the answer to `server/discover` (protocol spec, 4.2).

    `result` of a successful answer, else `code` and `data` of a JSON-RPC error, else neither: a
    plain 4xx. Statuses that give no verdict (401, 403, 429, 5xx) are not asked about here.
    """
    if isinstance(result, dict):
        return (
            UpstreamEra.MODERN if _mutual(result.get("supportedVersions")) else UpstreamEra.LEGACY
        )
    if code != UNSUPPORTED_VERSION:
        return UpstreamEra.MODERN if code in _MODERN_CODES else UpstreamEra.LEGACY
    supported = data.get("supported") if isinstance(data, dict) else None
    if _mutual(supported):
        return UpstreamEra.MODERN
    if isinstance(supported, list) and supported and all(v in LEGACY_VERSIONS for v in supported):
        return UpstreamEra.LEGACY
    return UpstreamEra.INCOMPATIBLE


def _mutual(versions: object) -> bool:
    return isinstance(versions, list) and any(version in MODERN_VERSIONS for version in versions)


def is_modern_code(code: int | None) -> bool:
    """Whether a JSON-RPC code is one that only modern servers send."""
    return code in _MODERN_CODES


class UpstreamMachine:
    """State of one (agent, member, service). It never holds a credential."""

    def __init__(self, service: str) -> None:
        self._service = service
        self._era: UpstreamEra | None = None
        self._doubted: UpstreamEra | None = None
        self._is_fresh = False
        self._session: Session | None = None
        self._is_shaking = False
        self._jobs: dict[int, _Job] = {}

    @property
    def is_idle(self) -> bool:
        """Whether no job is under way."""
        return not self._jobs

    @property
    def era(self) -> UpstreamEra | None:
        """The verdict in force."""
        return self._era

    def handle(self, event: Event) -> list[Command]:
        """Takes what happened, gives what to do. An event of a job that is gone changes nothing."""
        match event:
            case EraFound():
                return self._era_found(event)
            case EraExpired():
                return self._era_expired()
            case SessionOpened():
                return self._session_opened(event)
            case HandshakeFailed():
                return self._handshake_failed(event)
            case SendWanted():
                return self._send_wanted(event)
            case Answered():
                return self._settle(event.job, event.answer)
        job = self._jobs.get(event.job)
        return [] if job is None else self._heard(event, job)

    def _heard(self, event: _OfJob, job: _Job) -> list[Command]:
        match event:
            case ProgressArrived():
                return [self._timer(event.job, job, event.at_s)]
            case QuestionOpened():
                return self._question_opened(event, job)
            case QuestionClosed():
                return self._question_closed(event, job)
            case Failed():
                return self._failed(event, job)
            case StreamEnded():
                return self._stream_ended(event, job)
            case Relisted():
                return self._relisted(event, job)
            case TimerFired():
                failure = failures.timed_out(self._service, int(job.timeout_s))
                return [*self._cancel(event.job, job), *self._settle(event.job, failure)]
            case Cancelled():
                del self._jobs[event.job]
                return self._cancel(event.job, job)
        assert_never(event)

    def _send_wanted(self, event: SendWanted) -> list[Command]:
        job = _Job(event.timeout_s, event.at_s + event.timeout_max_s)
        self._jobs[event.job] = job
        return self._advance(event.job, job, event.at_s)

    def _advance(self, key: int, job: _Job, at_s: float) -> list[Command]:
        """Moves a job as far as era and session allow."""
        if self._era is UpstreamEra.INCOMPATIBLE:
            return self._settle(key, failures.invalid(self._service))
        needs_session = self._era is UpstreamEra.LEGACY and self._session is None
        if self._era is None or needs_session:
            job.is_waiting = True
            timer = SetTimer(key, job.limit_at_s)
            if self._is_shaking:
                return [timer]
            self._is_shaking = True
            return [timer, Initialize(key) if needs_session else Probe(key, self._doubted)]
        job.is_waiting = False
        job.used = self._session if self._era is UpstreamEra.LEGACY else None
        return [self._timer(key, job, at_s), Send(key, job.used)]

    def _advance_waiting(self, at_s: float) -> list[Command]:
        commands: list[Command] = []
        for key, job in list(self._jobs.items()):
            if job.is_waiting:
                commands += self._advance(key, job, at_s)
        return commands

    def _era_found(self, event: EraFound) -> list[Command]:
        if event.era is not UpstreamEra.LEGACY:
            self._session = None
        self._era, self._is_fresh = event.era, event.is_fresh
        self._doubted, self._is_shaking = None, False
        return self._advance_waiting(event.at_s)

    def _era_expired(self) -> list[Command]:
        if not self._is_shaking:
            self._era = None
        return []

    def _session_opened(self, event: SessionOpened) -> list[Command]:
        self._session, self._is_shaking = event.session, False
        return self._advance_waiting(event.at_s)

    def _handshake_failed(self, event: HandshakeFailed) -> list[Command]:
        self._is_shaking = False
        if self._era is UpstreamEra.LEGACY:
            is_missing = event.failure.status in _MISSING_STATUSES
            if not self._is_fresh and (is_missing or event.code == UNSUPPORTED_VERSION):
                self._doubt()
                return self._advance_waiting(event.at_s)
            if is_missing:
                self._era = UpstreamEra.INCOMPATIBLE
        waiting = [key for key, job in self._jobs.items() if job.is_waiting]
        return [command for key in waiting for command in self._settle(key, event.failure)]

    def _failed(self, event: Failed, job: _Job) -> list[Command]:
        if event.how is How.FINAL or event.how in job.tried:
            return self._settle(event.job, event.failure)
        job.tried.add(event.how)
        if event.how is How.HEADERS_STALE:
            job.held = event.failure
            return [Relist(event.job)]
        if event.how is How.SESSION_GONE and self._session is job.used:
            self._session = None
        if event.how is How.ERA_WRONG and not self._is_shaking:
            self._doubt()
        return self._advance(event.job, job, event.at_s)

    def _doubt(self) -> None:
        self._doubted, self._era, self._session = self._era, None, None

    def _question_opened(self, event: QuestionOpened, job: _Job) -> list[Command]:
        if job.questions == 0:
            job.stands_since_s = event.at_s
        job.questions += 1
        return [self._timer(event.job, job, event.at_s)]

    def _question_closed(self, event: QuestionClosed, job: _Job) -> list[Command]:
        job.questions -= 1
        if job.questions == 0:
            job.limit_at_s += event.at_s - job.stands_since_s
        return [self._timer(event.job, job, event.at_s)]

    def _stream_ended(self, event: StreamEnded, job: _Job) -> list[Command]:
        if event.event_id is None or job.used is None or job.resumes == RESUMES_MAX:
            return self._settle(event.job, failures.invalid(self._service))
        job.resumes += 1
        after_s = min(event.retry_ms or 0, RETRY_MS_MAX) / 1000
        return [Resume(event.job, job.used, event.event_id, after_s)]

    def _relisted(self, event: Relisted, job: _Job) -> list[Command]:
        if not event.is_usable:
            return self._settle(event.job, job.held or failures.invalid(self._service))
        return self._advance(event.job, job, event.at_s)

    def _cancel(self, key: int, job: _Job) -> list[Command]:
        return [] if job.is_waiting or job.used is None else [CancelUpstream(key, job.used)]

    def _settle(self, key: int, outcome: Answer | Failure) -> list[Command]:
        return [] if self._jobs.pop(key, None) is None else [Settle(key, outcome)]

    def _timer(self, key: int, job: _Job, at_s: float) -> SetTimer:
        at_s = math.inf if job.questions else min(at_s + job.timeout_s, job.limit_at_s)
        return SetTimer(key, at_s)
