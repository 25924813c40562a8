"""The order of a refresh: what comes before what, whatever each step gives."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wicketd.oauth.refresh import Fault, refresh
from wicketd.oauth.token import Meaning, TokenAnswer, TokenError
from wicketd.vault.secret import Secret

ANSWER = TokenAnswer(Secret(b"at"), None, None, None)
OLD, NEW, SEALED = "old", "new", "sealed"


class Died(Exception):
    """The process ended here."""


@dataclass
class Script:
    """Steps that give what a test wants and write down that they ran."""

    grant: str | None = OLD
    is_new: bool = False
    fault: Fault | None = None
    in_doubt: bool = False
    answer: TokenAnswer | TokenError = ANSWER
    outcome: str | Fault = NEW
    dies_at: str | None = None
    log: list[str] = field(default_factory=list)
    told: bool | None = None

    def _did(self, step: str) -> None:
        self.log.append(step)
        if step == self.dies_at:
            raise Died

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        self._did("lock")
        try:
            yield
        finally:
            self.log.append("unlock")

    async def read(self) -> str | None:
        self._did("read")
        return self.grant

    def is_fresh(self, grant: str) -> bool:
        return self.is_new

    async def preflight(self, grant: str) -> Fault | None:
        self._did("preflight")
        return self.fault

    async def is_in_doubt(self, grant: str) -> bool:
        self._did("doubt")
        return self.in_doubt

    async def begin(self, grant: str) -> None:
        self._did("begin")

    async def sending(self, grant: str) -> None:
        self._did("sending")

    async def ask(self, grant: str) -> TokenAnswer | TokenError:
        self._did("ask")
        return self.answer

    async def failed(self, grant: str, error: TokenError, *, in_doubt: bool) -> Fault:
        self._did("failed")
        self.told = in_doubt
        return Fault.UNREACHABLE

    def seal(self, grant: str, answer: TokenAnswer) -> str:
        self._did("seal")
        return SEALED

    async def commit(self, grant: str, sealed: str) -> str | Fault:
        self._did("commit")
        assert sealed == SEALED
        return self.outcome


async def run(script: Script) -> tuple[str | Fault, list[str]]:
    reached: list[str] = []
    return await refresh(script, reached.append), reached


BEFORE = ["lock", "read", "preflight", "doubt"]
GOOD = [*BEFORE, "begin", "sending", "ask", "seal", "commit", "unlock"]


async def test_a_good_refresh_takes_every_step_once_and_in_order() -> None:
    script = Script()
    outcome, reached = await run(script)
    assert outcome == NEW
    assert script.log == GOOD
    assert reached == [f"R{number}" for number in range(1, 10)]


async def test_a_row_that_cannot_be_used_is_left_alone() -> None:
    script = Script(grant=None)
    assert (await run(script))[0] is Fault.RECONNECT
    assert script.log == ["lock", "read", "unlock"]


async def test_a_fresh_row_is_used_without_asking() -> None:
    script = Script(is_new=True)
    assert (await run(script))[0] == OLD
    assert script.log == ["lock", "read", "unlock"]


@pytest.mark.parametrize("fault", list(Fault))
async def test_a_failed_preflight_writes_and_sends_nothing(fault: Fault) -> None:
    script = Script(fault=fault)
    assert (await run(script))[0] is fault
    assert script.log == ["lock", "read", "preflight", "unlock"]


async def test_in_doubt_the_token_goes_out_under_the_intent_that_is_there() -> None:
    script = Script(in_doubt=True)
    assert (await run(script))[0] == NEW
    assert script.log == [*BEFORE, "ask", "seal", "commit", "unlock"]


@pytest.mark.parametrize("meaning", list(Meaning))
@pytest.mark.parametrize("in_doubt", [True, False])
async def test_a_failed_answer_is_dealt_with_once_and_seals_nothing(
    meaning: Meaning, *, in_doubt: bool
) -> None:
    script = Script(answer=TokenError(meaning), in_doubt=in_doubt)
    assert (await run(script))[0] is Fault.UNREACHABLE
    assert script.log[-3:] == ["ask", "failed", "unlock"]
    assert script.told is in_doubt


async def test_a_pair_that_is_not_written_is_not_used() -> None:
    assert (await run(Script(outcome=Fault.NOT_DURABLE)))[0] is Fault.NOT_DURABLE


@given(
    script=st.builds(
        Script,
        grant=st.sampled_from([OLD, None]),
        is_new=st.booleans(),
        fault=st.none() | st.sampled_from(list(Fault)),
        in_doubt=st.booleans(),
        answer=st.just(ANSWER) | st.sampled_from([TokenError(one) for one in Meaning]),
        outcome=st.sampled_from([NEW, Fault.NOT_DURABLE, Fault.RECONNECT]),
        dies_at=st.none() | st.sampled_from([*GOOD[:-1], "failed"]),
    )
)
async def test_whatever_happens_the_order_is_kept_and_the_lock_is_given_back(
    script: Script,
) -> None:
    try:
        outcome: str | Fault | None = (await run(script))[0]
    except Died:
        outcome = None
    log = [step for step in script.log if step != "unlock"]
    order = [*GOOD[:7], "failed", *GOOD[7:9]]
    assert [order.index(step) for step in log] == sorted({order.index(step) for step in log})
    assert log.count("ask") <= 1
    if "ask" in log:
        assert script.in_doubt or log[log.index("ask") - 2 : log.index("ask")] == [
            "begin",
            "sending",
        ]
    if outcome == NEW:
        assert log[-1] == "commit"
    assert script.log.count("unlock") == (script.dies_at != "lock" and "lock" in log)
