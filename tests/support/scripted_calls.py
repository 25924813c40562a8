"""Many calls at once on a scheduler without a loop: each wait of each call ends as a script says.

`handle_call` imports no event loop, so a call is a coroutine that stops at the ports' waits; a test
says which call goes on next and how its wait ends. Everything a port was asked is written down.
"""

import hashlib
from collections.abc import Generator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

import msgspec

from tests.support.fronts import MODERN, make_caller, modern, modern_headers
from wicketd.domain.calls import (
    Answer,
    Call,
    Caller,
    Failure,
    FrontRequest,
    Outcome,
    OutcomeStatus,
    Refusal,
    RefusalKind,
    Reply,
)
from wicketd.domain.connections import Credential
from wicketd.domain.ids import CallId, ConnectionId, PolicyRevision
from wicketd.domain.json import Json, JsonObject
from wicketd.domain.policies import Decision, Reason
from wicketd.domain.ports import Front
from wicketd.proxy.calls import Asked, Standing, handle_call
from wicketd.proxy.errors import RequestErrors
from wicketd.proxy.routed import Routed

STEPS = (
    "identify",
    "take_token",
    "refuse",
    "store_intent",
    "credentials",
    "send",
    "store_outcome",
    "answer",
)
"""The ports that are waited for, in order; `answer` is the front's own business."""


class End(StrEnum):
    """How a wait ends; HANG: never."""

    RETURN = "return"
    REFUSE = "refuse"
    RAISE = "raise"
    CANCEL = "cancel"
    HANG = "hang"


class Cancelled(BaseException):
    """What a loop throws into a call whose client is gone."""


class Wait:
    """Where a call stops until the scheduler lets it go on."""

    def __init__(self, step: str) -> None:
        self.step = step

    def __await__(self) -> Generator["Wait", None, None]:
        yield self


@dataclass(frozen=True)
class Event:
    """One thing that happened to call number `n`; `about`: what a port was asked with."""

    n: int
    name: str
    about: Any = None


@dataclass
class Script:
    """How the waits of one call end; a wait that is not named returns."""

    member: str = "ana"
    ends: Mapping[str, End] = field(default_factory=dict)
    decision: str = "allow"
    """"allow", "deny" or "refuse"."""
    standing: Refusal | None = None
    moves_id: bool = False
    """The intent's reference clashes: another call id stands."""
    answer: Answer | None = None
    answers: tuple[Answer, ...] = ()
    """Of the first rounds; then comes `answer`."""
    reply: JsonObject = field(default_factory=lambda: {"result": {"action": "accept"}})
    """What the client says to each question."""
    round_ms: int = 0
    """How long each round takes."""
    body: JsonObject | bytes | None = None
    """None: a call of the tool `write`; bytes: sent as they are."""
    headers: Mapping[str, str] = field(default_factory=dict)
    schema: JsonObject | None = None
    enters: Standing | Refusal = field(default_factory=lambda: Standing(MODERN))


class RecordedFront:
    """The client's side of one call."""

    def __init__(self, n: int, log: list[Event], reply: JsonObject) -> None:
        self.n = n
        self.reply = reply
        self._log = log

    def started(self, call: Call) -> None:
        self._log.append(Event(self.n, "started", call))

    def progress(self, params: JsonObject) -> None:
        self._log.append(Event(self.n, "progress", params))

    def log(self, params: JsonObject) -> None:
        self._log.append(Event(self.n, "log", params))

    def elicited(self, elicitation_id: Json) -> None:
        self._log.append(Event(self.n, "elicited", elicitation_id))

    async def ask(self, questions: Mapping[str, JsonObject]) -> Mapping[str, JsonObject]:
        """Waits like a port; RETURN: the client accepts."""
        self._log.append(Event(self.n, "ask", questions))
        await Wait("ask")
        self._log.append(Event(self.n, "ask returned", None))
        return dict.fromkeys(questions, self.reply)


class Ports:
    """`CallPorts` and the front's business of one call, as scripted."""

    request_errors = RequestErrors.JSONRPC

    def __init__(self, n: int, script: Script, log: list[Event]) -> None:
        self._n = n
        self._script = script
        self._log = log
        self._id = 0
        self._ended = 0

    async def _waited(self, step: str, about: Any) -> bool:
        """Notes the question and waits; whether the answer is good."""
        self._note(step, about)
        await Wait(step)
        end = self._script.ends.get(step, End.RETURN)
        if end is End.RAISE:
            message = f"{step} failed"
            raise RuntimeError(message)
        self._note(f"{step} returned", end)
        return end is not End.REFUSE

    def _note(self, name: str, about: Any = None) -> None:
        self._log.append(Event(self._n, name, about))

    async def identify(self, request: FrontRequest) -> Caller | Refusal:
        is_good = await self._waited("identify", request)
        return make_caller(self._script.member) if is_good else Refusal(RefusalKind.BAD_KEY)

    def standing(self, caller: Caller) -> Refusal | None:
        self._note("standing", caller)
        return self._script.standing

    def leave(self, caller: Caller, routed: Routed | None = None) -> None:
        """Of both Protocols: the caller's place, or the request's id."""
        self._note("leave" if routed is None else "leave front", caller)

    async def take_token(self, caller: Caller) -> Refusal | None:
        is_good = await self._waited("take_token", caller)
        return None if is_good else Refusal(RefusalKind.RATE)

    def new_call_id(self) -> str:
        self._id += 1
        return f"01890000-0000-7000-8000-{self._n:04x}{self._id:08x}"

    def now_ms(self) -> int:
        return 1 + self._ended * self._script.round_ms

    async def refuse(
        self, caller: Caller, refusal: Refusal, call: Call | None, tool: str | None
    ) -> Refusal:
        await self._waited("refuse", (caller, refusal, call, tool))
        return replace(refusal, call_id=CallId(self.new_call_id()))

    def mirrored_schema(self, call: Call) -> JsonObject | None:
        self._note("mirrored_schema", call)
        return self._script.schema

    def open_state(self, caller: Caller, sealed: bytes) -> bytes | None:
        return None if sealed == b"foreign" else sealed

    def seal_state(self, caller: Caller, content: bytes) -> bytes:
        return content

    def decide(self, call: Call) -> Decision | Refusal:
        self._note("decide", (call, self._script.decision, digest(call)))
        if self._script.decision == "refuse":
            return Refusal(RefusalKind.SERVICE_OFF, {"service": call.service, "agent": "helper"})
        return decision(allow=self._script.decision == "allow")

    async def store_intent(self, call: Call, decision: Decision) -> Call | Refusal:
        is_good = await self._waited("store_intent", (call, decision))
        if not is_good:
            return Refusal(RefusalKind.AUDIT_REFUSED)
        if not decision.allow:
            return Refusal(RefusalKind.DENIED, {"tool": call.name, "agent": "helper"})
        stored = replace(call, id=CallId(self.new_call_id())) if self._script.moves_id else call
        self._note("stored", stored)
        return stored

    async def credentials(self, call: Call) -> Credential | Failure:
        is_good = await self._waited("credentials", call)
        if not is_good:
            return gone()
        held = ConnectionId(f"of {call.caller.member.id}")
        return Credential(None, None, None, held, 3)

    async def send(self, call: Call, credential: Credential, front: Front) -> Answer | Failure:
        front.progress({"of": call.id})
        is_good = await self._waited("send", (call, credential, front, digest(call)))
        if call.round < len(self._script.answers):
            return self._script.answers[call.round]
        return (self._script.answer or answer(call)) if is_good else gone()

    async def pause(self, seconds: float) -> None:
        await self._waited("pause", seconds)

    async def store_outcome(self, call: Call, outcome: Outcome) -> Refusal | None:
        self._ended += 1
        is_good = await self._waited("store_outcome", (call, outcome))
        return None if is_good else Refusal(RefusalKind.AUDIT_WITHHELD)

    def enter(self, caller: Caller, routed: Routed, front: Front) -> Standing | Refusal:
        self._note("enter", caller)
        return self._script.enters

    def subscribed(self, asked: Asked, call: Call) -> None:
        self._note("subscribed", call)

    async def answer(self, asked: Asked) -> Reply | Refusal:
        is_good = await self._waited("answer", asked)
        return Reply(202) if is_good else Refusal(RefusalKind.METHOD)


class Running:
    """Calls that run at once; `log` is what happened, in order."""

    def __init__(self, *scripts: Script) -> None:
        self.log: list[Event] = []
        self._scripts = scripts
        self._calls = [self._started(n, script) for n, script in enumerate(scripts)]
        self._waits: dict[int, Wait | None] = dict.fromkeys(range(len(scripts)))
        self.replies: dict[int, Reply] = {}
        self.raised: dict[int, BaseException] = {}

    def _started(self, n: int, script: Script) -> Generator[Wait, None, Reply]:
        ports = Ports(n, script, self.log)
        request = front_request(script)
        call = handle_call(request, ports, ports, RecordedFront(n, self.log, script.reply))
        return call.__await__()

    @property
    def may_go_on(self) -> list[int]:
        """Calls that have not ended and do not hang."""
        return list(self._waits)

    def step(self, n: int) -> None:
        """Lets call `n` go on to its next wait or its end."""
        wait, script = self._waits[n], self._scripts[n]
        end = script.ends.get(wait.step, End.RETURN) if wait is not None else End.RETURN
        if end is End.HANG:
            del self._waits[n]
            return
        try:
            if end is End.CANCEL:
                assert wait is not None
                self.log.append(Event(n, f"{wait.step} cancelled"))
                self._waits[n] = self._calls[n].throw(Cancelled())
            else:
                self._waits[n] = next(self._calls[n])
        except StopIteration as over:
            self._over(n, "reply", over.value)
            self.replies[n] = over.value
        except (Cancelled, RuntimeError) as error:
            self._over(n, "raised", error)
            self.raised[n] = error

    def _over(self, n: int, name: str, about: Any) -> None:
        self.log.append(Event(n, name, about))
        del self._waits[n]

    def run(self) -> "Running":
        """Every call to its end, one after the other."""
        while self.may_go_on:
            self.step(self.may_go_on[0])
        return self

    def of(self, n: int = 0) -> list[str]:
        """Names of what happened to one call."""
        return [event.name for event in self.log if event.n == n]

    def about(self, name: str, n: int = 0) -> Any:
        """What a port was asked with, the last time."""
        return [event.about for event in self.log if (event.n, event.name) == (n, name)][-1]

    def close(self) -> None:
        """Cancels calls that hang; what they still do is not part of the log."""
        self.log = list(self.log)
        over = self.replies.keys() | self.raised.keys()
        for call in (call for n, call in enumerate(self._calls) if n not in over):
            with suppress(Cancelled, RuntimeError, StopIteration):
                _ = call.throw(Cancelled())
                while True:
                    _ = next(call)


def decision(*, allow: bool) -> Decision:
    """An allowed call, or one that no policy permits."""
    return Decision(
        allow=allow,
        reason=Reason.PERMITTED if allow else Reason.NO_PERMIT,
        determining=(),
        deny_messages=(),
        errors=(),
        shadow=None,
        request=None,
        revision=PolicyRevision(1),
        set_sha256=b"",
        schema_sha256=b"",
        eval_us=1,
    )


def gone() -> Failure:
    """An upstream that cannot be reached."""
    refusal = Refusal(RefusalKind.UNREACHABLE, {"service": "notes"})
    return Failure(OutcomeStatus.UNREACHABLE, refusal, 502, 7, "bytes")


def answer(call: Call) -> Answer:
    """The result that names the call and its member."""
    text = f"{call.caller.member.id} {digest(call)}"
    return Answer({"content": [{"type": "text", "text": text}]}, None, 200, 5, len(text))


def digest(call: Call) -> str:
    """Of what is decided and forwarded."""
    value = [call.method, call.service, call.name, call.arguments]
    return hashlib.sha256(msgspec.json.encode(value, order="deterministic")).hexdigest()


def tools_call(name: str = "notes__write", **arguments: Any) -> JsonObject:
    """A modern call."""
    return modern("tools/call", name=name, arguments=arguments)


def front_request(script: Script) -> FrontRequest:
    """The script's body as a client posts it, headers mirrored."""
    body = script.body if script.body is not None else tools_call(text=f"of {script.member}")
    if isinstance(body, bytes):
        headers = ((b"content-type", b"application/json"),)
        return FrontRequest("POST", headers, body, "127.0.0.1")
    params = body.get("params")
    named = params.get("name", params.get("uri")) if isinstance(params, dict) else None
    is_modern = isinstance(params, dict) and "_meta" in params
    mirrored = modern_headers(str(body.get("method")), named if isinstance(named, str) else None)
    sent = {"content-type": "application/json"}
    sent |= {name.lower(): value for name, value in mirrored.items() if is_modern}
    sent |= script.headers
    pairs = tuple((name.encode(), value.encode()) for name, value in sent.items())
    return FrontRequest("POST", pairs, msgspec.json.encode(body), "127.0.0.1")
