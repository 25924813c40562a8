"""What the rows of a call say, and what they do not."""

from pathlib import Path

import msgspec
import pytest

from tests.support.calling import NO_WIPING, Calling, open_calling
from wicketd.domain.calls import Call, Outcome, OutcomeStatus, Refusal, RefusalKind
from wicketd.domain.json import JsonObject
from wicketd.services.entries import Decided, Recording

CANARY = "c4n4ry"


async def intent(calling: Calling, name: str = "look") -> tuple[Call, JsonObject]:
    """A decided call with a text to look for, and its row."""
    call = calling.call(await calling.caller(), name, arguments={"text": CANARY})
    await calling.run(call)
    body: JsonObject = msgspec.json.decode((await calling.last()).body)
    return call, body


async def test_an_intent_says_who_asked_for_what_and_why_it_was_allowed(tmp_path: Path) -> None:
    async with open_calling(tmp_path) as calling:
        call, fields = await intent(calling)
    said = {
        "memberName": "bob",
        "principal": 'Wicket::Member::"bob"',
        "keySuffix": call.caller.key_id,
        "callerIp": "127.0.0.1",
        "method": "tools/call",
        "protocolVersion": "2026-07-28",
        "clientName": "client",
        "reason": "permitted",
        "action": 'OpenMCP::Action::"look"',
        "tier": "read",
        "bytesIn": 7,
    }
    assert {name: fields[name] for name in said} == said
    determining = fields["determining"]
    assert isinstance(determining, list)
    assert [one["key"] for one in determining if isinstance(one, dict)] == ["baseline-open"]


async def test_arguments_stand_beside_the_row_and_only_sealed(tmp_path: Path) -> None:
    async with open_calling(tmp_path) as calling:
        _, fields = await intent(calling)
        assert fields["argsState"] == "encrypted"
        assert len(str(fields["argsCommit"])) == 64
        assert CANARY not in msgspec.json.encode(fields).decode()
        assert CANARY.encode() not in calling.state.file_bytes()


@pytest.mark.parametrize("mode", ["redacted", "digest"])
async def test_arguments_that_are_not_kept_leave_a_digest(tmp_path: Path, mode: str) -> None:
    async with open_calling(tmp_path, recording=Recording(mode)) as calling:
        _, fields = await intent(calling)
        assert fields["argsState"] == mode
        assert ("toolArgs" in fields) == (mode == "redacted")
        assert "argsCommit" not in fields
        assert len(str(fields["argsDigest"])) == 64


async def test_the_same_arguments_have_the_same_digest_for_one_tool_of_one_agent(
    tmp_path: Path,
) -> None:
    async with open_calling(tmp_path) as calling:
        one, other, wiped = [(await intent(calling, n))[1] for n in ("look", "look", "wipe")]
    assert one["argsDigest"] == other["argsDigest"] != wiped["argsDigest"]
    assert one["argsCommit"] != other["argsCommit"]


async def test_a_denial_is_one_row_with_its_duration(tmp_path: Path) -> None:
    async with open_calling(tmp_path) as calling:
        await calling.policy("No wiping", f'@deny_message("Never.")\n{NO_WIPING}')
        call = calling.call(await calling.caller(), "wipe")
        decision = calling.decide(call)
        entry = calling.recorder.decision(call, decision, Decided(None, None))
    assert (entry.kind, entry.decision, entry.reason_code) == ("call.denied", "DENY", "forbidden")
    assert entry.duration_us == decision.eval_us
    assert entry.fields["denyMessages"] == ["Never."]
    assert [one.key for one in entry.policies] == ["no-wiping"]


async def test_a_refusal_before_a_decision_names_only_what_is_known(tmp_path: Path) -> None:
    async with open_calling(tmp_path) as calling:
        caller = await calling.caller()
        refusal = Refusal(RefusalKind.AGENT_DISABLED)
        bare = calling.recorder.refusal(caller, refusal, None, "x")
        whole = calling.recorder.refusal(caller, refusal, calling.call(caller), None)
    assert (bare.tool, bare.service, bare.reason_code) == ("x", None, "agent_disabled")
    assert (whole.tool, whole.service) == ("look", "open")
    assert "method" not in bare.fields


async def test_an_outcome_says_how_long_and_how_much_but_not_what(tmp_path: Path) -> None:
    async with open_calling(tmp_path) as calling:
        call = calling.call(await calling.caller())
        outcome = Outcome(
            OutcomeStatus.OK, 200, 12, 7, 99, {"content": [CANARY]}, None, "held", 4
        )  # fmt: skip
        entry = calling.recorder.outcome(call, outcome, call.at_ms + 30)
        late = calling.recorder.outcome(call, Outcome(OutcomeStatus.TIMEOUT), call.at_ms - 5)
    assert entry.duration_us == 30_000
    assert {name: entry.fields[name] for name in ("outcome", "bytesOut", "generation")} == {
        "outcome": "ok",
        "bytesOut": 99,
        "generation": 4,
    }
    assert len(str(entry.fields["resultDigest"])) == 64
    assert CANARY not in str(entry.fields)
    assert late.duration_us == 0
    assert "resultDigest" not in late.fields
    assert "cap" not in late.fields
