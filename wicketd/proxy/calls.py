"""The call path: one request on `/mcp` from its key to its answer, read from top to bottom.

The order is the security argument: decide, then a durable intent, then the credential, then the
upstream, then a durable outcome, and only then the answer. An early return is an answer. It runs
over ports (`domain.ports.CallPorts`) and imports neither loop nor clock, so that tests can drive
every interleaving. Invariants I1 to I7: protocol spec, section 1.
"""

from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

from wicketd.domain.calls import (
    Answer,
    Call,
    Caller,
    Era,
    Failure,
    FrontRequest,
    Outcome,
    OutcomeStatus,
    Refusal,
    RefusalKind,
    Reply,
    Subject,
)
from wicketd.domain.connections import Credential
from wicketd.domain.ids import CallId
from wicketd.domain.json import JsonObject
from wicketd.domain.ports import CallPorts, Front
from wicketd.proxy import (
    era,
    failures,
    headers,
    jsonrpc,
    names,
    relaying,
    results,
    rewrites,
    sealed,
)
from wicketd.proxy.errors import RequestErrors, relayed, render
from wicketd.proxy.methods import PolicyAction
from wicketd.proxy.outcomes import outcome_of
from wicketd.proxy.routed import Routed, as_object

WAIT_S: Final = 1.0
"""Before an upstream that asked nothing is tried again: it sheds load."""
WAITS_MAX: Final = 5
_CANCELLED: Final = Failure(OutcomeStatus.CANCELLED, Refusal(RefusalKind.INTERNAL))
"""Nobody is left to be answered: only the outcome counts."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What the front knows of the client beyond the request: of its session, or of its `_meta`."""

    protocol_version: str
    client_name: str | None = None
    client_version: str | None = None
    log_level: str | None = None
    capabilities: JsonObject = field(default_factory=dict)
    """Legacy: what the client declared in `initialize`."""


class Others(Protocol):
    """The front's own business: legacy sessions, and every message that needs no decision."""

    request_errors: RequestErrors
    """Which HTTP status upstream and audit failures get."""

    def enter(self, caller: Caller, routed: Routed, front: Front) -> Standing | Refusal:
        """Finds the legacy session of the caller and takes the request's id (L3, L8)."""

    def leave(self, caller: Caller, routed: Routed) -> None:
        """The request is over; its id may come again."""

    async def answer(self, asked: "Asked") -> Reply | Refusal:
        """Answers handshakes, lists, `ping`, notifications, streams."""

    def subscribed(self, asked: "Asked", call: Call) -> None:
        """A legacy session hears of a resource from now on."""


@dataclass(frozen=True, slots=True)
class Asked:
    """An admitted request: who sent it, what it says, in which standing."""

    request: FrontRequest
    caller: Caller
    routed: Routed
    standing: Standing
    granted: tuple[Call, ...] = ()
    """What a modern listener may hear of: one decided request for each URI."""


async def handle_call(
    request: FrontRequest, ports: CallPorts, others: Others, front: Front
) -> Reply:
    """Answers one request; `front` relays what the client may see before the answer."""
    caller = await ports.identify(request)
    if isinstance(caller, Refusal):
        return render(caller)
    with ExitStack() as taken:
        taken.callback(ports.leave, caller)
        barred = ports.standing(caller)
        if barred is not None:
            return await _turned_away(request, caller, barred, ports)
        routed = _read(request)
        if isinstance(routed, Reply):
            return routed
        standing = others.enter(caller, routed, front)
        if isinstance(standing, Refusal):
            return _answered(standing, routed, others)
        taken.callback(others.leave, caller, routed)
        if routed.pending is not None:
            return _answered(routed.pending, routed, others)
        asked = Asked(request, caller, routed, standing)
        if _is_listen(routed):
            return _answered(await _listened(asked, ports, others), routed, others)
        if not _is_decided(routed):
            return _answered(await others.answer(asked), routed, others)
        return _answered(await _decided(asked, ports, others, front), routed, others)


async def _listened(asked: Asked, ports: CallPorts, others: Others) -> Reply | Refusal:
    """Each URI is decided and recorded by itself; what is denied is left out of the answer."""
    limited = await ports.take_token(asked.caller)
    if limited is not None:
        return limited
    uris = as_object(asked.routed.params.get("notifications")).get("resourceSubscriptions")
    granted: list[Call] = []
    for uri in uris if isinstance(uris, list) else ():
        split = names.split_uri(str(uri))
        call = _call(asked, ports, split) if split is not None else None
        if call is None:
            continue
        stored = await _admitted(call, ports)
        if isinstance(stored, Refusal):
            if stored.kind is RefusalKind.AUDIT_REFUSED:
                return stored
            continue
        withheld = await ports.store_outcome(stored, Outcome(OutcomeStatus.OK))
        if withheld is not None:
            return withheld
        granted.append(stored)
    return await others.answer(replace(asked, granted=tuple(granted)))


async def _decided(asked: Asked, ports: CallPorts, others: Others, front: Front) -> Reply | Refusal:
    """Steps 7 to 17 of product spec 5, one line of thought each."""
    limited = await ports.take_token(asked.caller)
    if limited is not None:
        return limited
    split = _split(asked.routed)
    if isinstance(split, Refusal):
        return await ports.refuse(asked.caller, split, None, asked.routed.name or None)
    call = _continued(_call(asked, ports, split), asked.routed.request_state, ports)
    if isinstance(call, Refusal):
        return call
    unequal = _unequal_headers(call, ports)
    if unequal is not None:
        return unequal
    return await _rounds(call, asked, ports, others, front)


async def _rounds(
    call: Call, asked: Asked, ports: CallPorts, others: Others, front: Front
) -> Reply | Refusal:
    """One round; more where a modern upstream asks and the client is a legacy one."""
    began_ms = call.at_ms
    while True:
        ended = await _round(call, ports, front)
        if isinstance(ended, Refusal):
            return ended
        answer, stored = ended
        if stored.method == "resources/subscribe" and answer.result is not None:
            others.subscribed(asked, stored)
        if stored.era is Era.MODERN or not relaying.is_input_required(answer.result):
            return _reply(answer, stored, ports)
        following = await _next_round(stored, answer.result or {}, ports, front)
        if isinstance(following, Refusal):
            return following
        if following.at_ms - began_ms > sealed.EXPIRES_MS:
            return failures.timed_out(call.service, sealed.EXPIRES_MS // 1000).refusal
        call = following


async def _round(call: Call, ports: CallPorts, front: Front) -> tuple[Answer, Call] | Refusal:
    """Decides, records and forwards once; a round of several is a call like any other."""
    stored = await _admitted(call, ports)
    if isinstance(stored, Refusal):
        return stored
    front.started(stored)
    answer, credential = await _forwarded(stored, ports, front)
    withheld = await ports.store_outcome(stored, outcome_of(stored, answer, credential))
    if withheld is not None:
        return withheld
    if isinstance(answer, Failure):
        return replace(answer.refusal, call_id=stored.id)
    return answer, stored


async def _admitted(call: Call, ports: CallPorts) -> Call | Refusal:
    """Decided and durable, or refused and recorded."""
    decision = ports.decide(call)
    if isinstance(decision, Refusal):
        return await ports.refuse(call.caller, decision, call, None)
    return await ports.store_intent(call, decision)


async def _next_round(
    call: Call, result: JsonObject, ports: CallPorts, front: Front
) -> Call | Refusal:
    """Puts what a modern upstream wants to know to a legacy client, and takes the answers back."""
    questions = relaying.questions(result)
    if questions:
        inputs = relaying.inputs(questions, await front.ask(questions))
    elif call.round < WAITS_MAX:
        await ports.pause(WAIT_S)
        inputs = {}
    else:
        return replace(failures.timed_out(call.service, WAITS_MAX).refusal, call_id=call.id)
    if inputs is None:
        return Refusal(RefusalKind.INPUT, {"service": call.service}, call.id)
    state = result.get("requestState")
    return replace(
        call,
        id=CallId(ports.new_call_id()),
        at_ms=ports.now_ms(),
        parent_call_id=call.id,
        inputs=inputs,
        upstream_state=state if isinstance(state, str) else None,
        round=call.round + 1,
    )


async def _forwarded(
    call: Call, ports: CallPorts, front: Front
) -> tuple[Answer | Failure, Credential | None]:
    """Credential, then upstream. A call that is cancelled or fails still closes its intent."""
    credential: Credential | None = None
    try:
        opened = await ports.credentials(call)
        if isinstance(opened, Failure):
            return opened, None
        credential = opened
        return await ports.send(call, credential, front), credential
    except Exception:  # noqa: BLE001  # a bug of ours; `send` logs it, the outcome stays unknown
        return Failure(OutcomeStatus.UNKNOWN, Refusal(RefusalKind.INTERNAL)), credential
    except BaseException:
        await ports.store_outcome(call, outcome_of(call, _CANCELLED, credential))
        raise


async def _turned_away(
    request: FrontRequest, caller: Caller, barred: Refusal, ports: CallPorts
) -> Reply:
    """Step 4: the body is decoded only to name the tool in the audit."""
    message = jsonrpc.decode(request.body)
    if not isinstance(message, jsonrpc.Request):
        return render(await ports.refuse(caller, barred, None, None))
    name = message.params.get("name")
    tool = name[:256] if isinstance(name, str) else None
    return render(await ports.refuse(caller, barred, None, tool), front_id=message.id)


def _call(asked: Asked, ports: CallPorts, split: names.Split) -> Call:
    routed, standing = asked.routed, asked.standing
    assert routed.method is not None  # noqa: S101  # else nothing is decided: `_is_decided`
    assert routed.front_id is not None  # noqa: S101  # only notifications have none: never decided
    return Call(
        id=CallId(ports.new_call_id()),
        caller=asked.caller,
        method=routed.method.name,
        service=split.service,
        name=split.name,
        arguments=routed.arguments,
        era=routed.era,
        protocol_version=routed.version or standing.protocol_version,
        front_id=routed.front_id,
        at_ms=ports.now_ms(),
        sessions=headers.session_candidates(asked.request, routed.meta, routed.era, asked.caller),
        headers=routed.param_headers,
        progress_token=routed.progress_token,
        log_level=routed.log_level or standing.log_level,
        client_name=standing.client_name,
        client_version=standing.client_version,
        bytes_in=len(asked.request.body),
        subject=_subject(routed),
        capabilities=routed.capabilities or standing.capabilities,
        inputs=routed.inputs,
    )


def _unequal_headers(call: Call, ports: CallPorts) -> Refusal | None:
    """M10: a modern client mirrors some arguments in headers; they must say the same."""
    schema = ports.mirrored_schema(call) if call.era is Era.MODERN else None
    if schema is None:
        return None
    declared = headers.declared_params(schema)
    return headers.check_param_headers(declared, call.arguments, call.headers)


def _read(request: FrontRequest) -> Routed | Reply:
    """Method, media types, one strict decode, the rules of the request's era; or the refusal."""
    unfit = headers.check_http(request)
    if unfit is not None:
        return render(unfit)
    message = jsonrpc.decode(request.body) if request.method == "POST" else None
    if isinstance(message, Refusal):
        return render(message)
    routed = era.route(request, message)
    if isinstance(routed, Refusal):
        known = jsonrpc.id_of(message) if message is not None else None
        return render(routed, era=era.era_of(request, message), front_id=known)
    return routed


def _answered(answer: Reply | Refusal, routed: Routed, others: Others) -> Reply:
    if isinstance(answer, Reply):
        return answer
    return render(
        answer,
        era=routed.era,
        front_id=routed.front_id,
        request_errors=others.request_errors,
    )


def _is_decided(routed: Routed) -> bool:
    """Whether this very request is decided."""
    method = routed.method
    return method is not None and method.is_checked


def _is_listen(routed: Routed) -> bool:
    return routed.method is not None and routed.method.name == "subscriptions/listen"


def _subject(routed: Routed) -> Subject:
    action = routed.method.action if routed.method is not None else None
    if action is PolicyAction.BY_REFERENCE:
        is_uri = as_object(routed.params.get("ref")).get("type") == "ref/resource"
        return Subject.RESOURCE if is_uri else Subject.PROMPT
    if action is PolicyAction.GET_PROMPT:
        return Subject.PROMPT
    return Subject.RESOURCE if action is PolicyAction.READ_RESOURCE else Subject.TOOL


def _split(routed: Routed) -> names.Split | Refusal:
    name = routed.name
    if _subject(routed) is Subject.RESOURCE:
        return names.split_uri(name) or Refusal(RefusalKind.RESOURCE, data={"uri": name})
    return names.split(name) or Refusal(RefusalKind.TOOL_NAME)


def _continued(call: Call, state: str | None, ports: CallPorts) -> Call | Refusal:
    """A retry is a new call, decided anew; only its state says what it continues."""
    if state is None:
        return call
    sealed_bytes = sealed.sealed_in(state)
    opened = None if sealed_bytes is None else ports.open_state(call.caller, sealed_bytes)
    found = None if opened is None else sealed.read(opened, call)
    if found is None:
        return Refusal(RefusalKind.STATE)
    inputs = {key: value for key, value in (call.inputs or {}).items() if key in found.keys}
    return replace(
        call,
        parent_call_id=found.call_id,
        inputs=inputs,
        upstream_state=None if found.is_held else found.state,
        held=found.state if found.is_held else None,
        round=found.number,
    )


def _reply(answer: Answer, call: Call, ports: CallPorts) -> Reply:
    if answer.result is None:
        status, error = relayed(rewrites.error(answer.error or {}, call), call.era)
        return Reply(status, jsonrpc.encode(jsonrpc.failure(call.front_id, error)))
    if relaying.is_input_required(answer.result) and call.era is Era.MODERN:
        written = sealed.written(call, answer.result, ports.now_ms(), is_held=answer.is_held)
        state = ports.seal_state(call.caller, written)
        asked = results.finish(relaying.asking(answer.result, sealed.token(state)), call.era)
        return Reply(200, jsonrpc.encode(jsonrpc.success(call.front_id, asked)))
    is_read = call.method == "resources/read"
    ttl_ms = results.ttl_of(answer.result) if is_read else None
    result = results.finish(rewrites.result(answer.result, call), call.era, ttl_ms)
    return Reply(200, jsonrpc.encode(jsonrpc.success(call.front_id, result)))
