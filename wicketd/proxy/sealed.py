"""What a `requestState` of ours says: which call may be continued, by whom, with which answers.

Pure; the port seals and opens it. Invariant: whatever differs from the call that was asked about
(agent, member, service, method, name, arguments, time) makes it worthless.
Source: protocol spec, section 5.
"""

import base64
import binascii
import hashlib
from typing import Final

import msgspec

from wicketd.domain.calls import Call
from wicketd.domain.ids import CallId
from wicketd.domain.json import Json, JsonObject

PREFIX: Final = "wrs1."
EXPIRES_MS: Final = 10 * 60 * 1000
TOKEN_MAX: Final = 256 * 1024


class Round(msgspec.Struct, frozen=True, kw_only=True):
    """One round of a call. `keys`: of the questions; `state`: the upstream's own.

    `is_held`: the state is the name of a call that waits in `held`.
    """

    agent: str
    member: str
    service: str
    method: str
    name: str
    arguments: str
    call_id: CallId
    number: int
    keys: list[str]
    state: str | None
    expires_ms: int
    is_held: bool = False


_ROUND: Final = msgspec.json.Decoder(Round, strict=True)


def written(call: Call, result: JsonObject, at_ms: int, *, is_held: bool = False) -> bytes:
    """The round in which the upstream answered `call` with questions."""
    state, asked = result.get("requestState"), result.get("inputRequests")
    round_ = Round(
        agent=call.caller.agent.id,
        member=call.caller.member.id,
        service=call.service,
        method=call.method,
        name=call.name,
        arguments=_digest(call.arguments),
        call_id=call.id,
        number=call.round + 1,
        keys=sorted(asked) if isinstance(asked, dict) else [],
        state=state if isinstance(state, str) else None,
        expires_ms=at_ms + EXPIRES_MS,
        is_held=is_held,
    )
    return msgspec.json.encode(round_)


def read(opened: bytes, call: Call) -> Round | None:
    """The round that `call` continues; None if it is not this call's, or too old."""
    try:
        found = _ROUND.decode(opened)
    except msgspec.DecodeError:
        return None
    is_of_caller = (found.agent, found.member) == (call.caller.agent.id, call.caller.member.id)
    about = (found.service, found.method, found.name, found.arguments)
    is_same = about == (call.service, call.method, call.name, _digest(call.arguments))
    return found if is_of_caller and is_same and call.at_ms < found.expires_ms else None


def token(sealed: bytes) -> str:
    """The `requestState` that carries it."""
    return PREFIX + base64.urlsafe_b64encode(sealed).decode("ascii").rstrip("=")


def sealed_in(state: str) -> bytes | None:
    """What `token` took; None if it is none of ours, also if only its spelling differs."""
    body = state.removeprefix(PREFIX)
    if body == state or len(state) > TOKEN_MAX or not body.isascii():
        return None
    try:
        sealed = base64.b64decode(body + "=" * (-len(body) % 4), altchars=b"-_", validate=True)
    except binascii.Error:
        return None
    return sealed if token(sealed) == state else None


def _digest(arguments: Json) -> str:
    encoded = msgspec.json.encode(arguments, order="deterministic")
    return hashlib.sha256(encoded).hexdigest()
