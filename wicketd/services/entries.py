"""The audit entries of a call: what an intent, a denial and an outcome say.

Counterpart of `services.calls`, which decides when they are written. Values that policies saw go in
as they were seen, so that a third party can decide the row again; arguments go in as a commitment
and, sealed, beside the row. Source: product spec, section 4; security spec, section 10.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import msgspec

from wicketd.audit.chain import args_commit
from wicketd.audit.redact import masked, outline, recorded
from wicketd.domain.audit import Entry, PolicyHit
from wicketd.domain.calls import Call, Caller, Outcome, Refusal
from wicketd.domain.catalogue import Tool
from wicketd.domain.ids import ToolSessionId
from wicketd.domain.json import Json, JsonObject
from wicketd.domain.policies import Decision, Determining, EncodedRequest, Mode, Shadow
from wicketd.domain.ports import Random
from wicketd.vault.sealing import Sealer

_DAY_MS: Final = 86_400_000
_SALT_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Recording:
    """`[audit]`: how arguments are kept (encrypted, redacted or digest) and for how many days."""

    arguments: str = "encrypted"
    arguments_days: int = 30


@dataclass(frozen=True, slots=True)
class Decided:
    """What deciding found out besides the decision: the session that counted it and the tool."""

    session_id: ToolSessionId | None
    tool: Tool | None
    audit_show: tuple[str, ...] = ()


class Recorder:
    """Builds entries; seals arguments under the `audit-args` key."""

    def __init__(self, sealer: Sealer, random: Random, recording: Recording) -> None:
        self._sealer = sealer
        self._random = random
        self._recording = recording

    def decision(self, call: Call, decision: Decision, decided: Decided) -> Entry:
        """The intent of an allowed call, or the one row of a denied one."""
        fields: JsonObject = {
            **_caller(call.caller),
            **_request(call),
            "reason": decision.reason.value,
            "policyRevision": decision.revision,
            "policySetSha256": decision.set_sha256.hex(),
            "schemaSha256": decision.schema_sha256.hex(),
            "determining": [_determining(one) for one in decision.determining],
            "evalUs": decision.eval_us,
        }
        if decision.request is not None:
            fields |= _evaluated(decision.request)
        if decision.deny_messages:
            fields["denyMessages"] = list(decision.deny_messages)
        if decision.errors:
            fields["evaluationErrors"] = list(decision.errors)
        if decision.shadow is not None:
            fields["shadow"] = _shadow(decision.shadow)
        if decision.cause is not None:
            fields["cause"] = decision.cause
        if decided.tool is not None:
            fields |= {"tier": decided.tool.tier.value, "toolHash": decided.tool.hash}
        arguments = self._arguments(call, decided.audit_show, fields)
        return Entry(
            kind="call.intent" if decision.allow else "call.denied",
            fields=fields,
            call_id=call.id,
            agent_id=call.caller.agent.id,
            member_id=call.caller.member.id,
            key_id=call.caller.key_id,
            session_id=decided.session_id,
            service=call.service,
            tool=call.name,
            decision="ALLOW" if decision.allow else "DENY",
            reason_code=decision.reason.value,
            policies=tuple(map(_hit, (*decision.determining, *_flipping(decision.shadow)))),
            arguments=arguments,
            duration_us=None if decision.allow else decision.eval_us,
        )

    def refusal(
        self, caller: Caller, refusal: Refusal, call: Call | None, tool: str | None
    ) -> Entry:
        """The row of a refusal before evaluation: disabled agent, unknown tool, service off."""
        fields: JsonObject = _caller(caller)
        if call is not None:
            fields |= _request(call)
        return Entry(
            kind="call.denied",
            fields=fields,
            agent_id=caller.agent.id,
            member_id=caller.member.id,
            key_id=caller.key_id,
            service=call.service if call is not None else None,
            tool=call.name if call is not None else tool,
            decision="DENY",
            reason_code=refusal.kind.value,
            duration_us=0,
        )

    def outcome(self, call: Call, outcome: Outcome, at_ms: int) -> Entry:
        """The row that closes an intent. Durations count from the arrival of the call."""
        duration_ms = max(0, at_ms - call.at_ms)
        fields: JsonObject = {
            "outcome": outcome.status.value,
            "durationMs": duration_ms,
            "bytesIn": outcome.bytes_in,
            "bytesOut": outcome.bytes_out,
        }
        if outcome.result is not None:
            encoded = msgspec.json.encode(outcome.result, order="deterministic")
            fields["resultDigest"] = self._digest(call, "result", encoded)
        optional: JsonObject = {
            "upstreamStatus": outcome.upstream_status,
            "upstreamMs": outcome.upstream_ms,
            "cap": outcome.cap,
            "connectionId": outcome.connection_id,
            "generation": outcome.generation,
        }
        fields |= {name: value for name, value in optional.items() if value is not None}
        return Entry(
            kind="call.outcome",
            fields=fields,
            call_id=call.id,
            agent_id=call.caller.agent.id,
            member_id=call.caller.member.id,
            key_id=call.caller.key_id,
            service=call.service,
            tool=call.name,
            duration_us=duration_ms * 1000,
        )

    def _arguments(
        self, call: Call, show: tuple[str, ...], fields: JsonObject
    ) -> tuple[str, bytes, int] | None:
        canonical = msgspec.json.encode(call.arguments, order="deterministic")
        fields["argsDigest"] = self._digest(call, "args", canonical)
        mode = self._recording.arguments
        fields["argsState"] = mode
        if mode == "digest":
            return None
        if mode == "redacted":
            fields["toolArgs"] = masked(call.arguments)
            return None
        salt = self._random.bytes(_SALT_BYTES)
        fields["toolArgs"] = outline(call.arguments, show)
        fields["argsCommit"] = args_commit(salt, canonical).hex()
        caller = call.caller
        kid, sealed = self._sealer.seal_args(
            call.id, caller.agent.id, caller.member.id, recorded(canonical, salt)
        )
        return kid, sealed, call.at_ms + self._recording.arguments_days * _DAY_MS

    def _digest(self, call: Call, what: str, data: bytes) -> str:
        parts = (what, call.caller.agent.id, call.front_name)
        return self._sealer.digest("audit-digest", "\0".join(parts).encode() + b"\0" + data).hex()


def _caller(caller: Caller) -> JsonObject:
    return {
        "agentName": caller.agent.name,
        "memberName": caller.member.principal,
        "principal": f'Wicket::Member::"{caller.member.principal}"',
        "keySuffix": caller.key_id,
        "role": caller.member.role.value,
        "groups": list(caller.member.groups),
        "tags": list(caller.member.tags),
        "callerIp": caller.ip,
        "userAgent": caller.user_agent,
    }


def _request(call: Call) -> JsonObject:
    fields: JsonObject = {
        "method": call.method,
        "protocolVersion": call.protocol_version,
        "requestId": call.front_id,
        "bytesIn": call.bytes_in,
    }
    if call.client_name is not None:
        fields |= {"clientName": call.client_name, "clientVersion": call.client_version}
    if call.parent_call_id is not None:
        fields["parentCallId"] = call.parent_call_id
    return fields


def _evaluated(request: EncodedRequest) -> JsonObject:
    context: dict[str, Json] = dict(request.context)
    context["unmodelled"] = list(request.unmodelled)
    return {
        "action": request.action,
        "resource": request.resource,
        "parents": list(request.parents),
        "context": context,
    }


def _determining(one: Determining) -> JsonObject:
    return {
        "policyId": one.policy_id,
        "key": one.key,
        "version": one.version,
        "statement": one.statement,
        "effect": one.effect.value,
    }


def _shadow(shadow: Shadow) -> JsonObject:
    return {
        "decision": "ALLOW" if shadow.allow else "DENY",
        "flip": shadow.flip,
        "determining": [_determining(one) for one in shadow.determining],
        "errors": list(shadow.errors),
    }


def _flipping(shadow: Shadow | None) -> Iterable[Determining]:
    """The watched statements that would have turned the decision round."""
    if shadow is None or shadow.flip is None:
        return ()
    return (one for one in shadow.determining if one.mode is Mode.SHADOW)


def _hit(one: Determining) -> PolicyHit:
    return PolicyHit(
        one.policy_id, one.version, one.statement, one.effect.value, one.mode.value, one.key
    )
