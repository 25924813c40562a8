"""A row of the error table as a test states it, and the checks that every row shares."""

from collections.abc import Awaitable
from dataclasses import dataclass

from tests.support.fronts import eventually
from tests.support.gate import Gate
from tests.support.mcp_client import Answer


@dataclass(frozen=True, slots=True)
class Row:
    """What a refusal looks like. `reason`: in the audit, of rows that have a call reference."""

    status: int
    code: int
    message: str
    reason: str | None = None

    def check(self, answer: Answer) -> None:
        """Compares status, code, text, headers and the shape of `data.wicket`."""
        error = answer.error
        wicket = error["data"]["wicket"]
        ref = f" [ref {wicket['ref']}]" if "ref" in wicket else ""
        assert (answer.status, error["code"], error["message"]) == (
            self.status,
            self.code,
            self.message + ref,
        )
        assert ("ref" in wicket) == ("callId" in wicket) == (self.reason is not None)
        assert answer.headers["content-type"] == "application/json"
        assert "server" not in answer.headers
        assert ("www-authenticate" in answer.headers) == (self.status == 401)
        assert answer.json["jsonrpc"] == "2.0"


async def refused(
    gate: Gate, asking: Awaitable[Answer], row: Row, *, forwarded: int = 0, allowed: bool = False
) -> Answer:
    """The answer, if it is the row's; it stands in the audit under its reference.

    `forwarded`: how many requests the upstream sees; `allowed`: policy allowed the call although
    none got through.
    """
    before = gate.forwarded
    answer = await asking
    row.check(answer)
    await eventually(lambda: gate.forwarded - before >= forwarded)  # a cancellation goes behind it
    if row.reason is not None:
        entry = (await gate.why(answer.ref))["entry"]
        assert entry["ref"] == answer.ref
        assert entry["callId"] == answer.error["data"]["wicket"]["callId"]
        assert row.reason in (entry["reasonCode"], entry.get("outcome"))
        assert entry["kind"] == ("call.intent" if forwarded or allowed else "call.denied")
    assert gate.forwarded - before == forwarded
    return answer
