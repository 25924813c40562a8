"""The audit for admins on a real, chained log."""

from dataclasses import dataclass, field

import pytest

from tests.support.state import ADMIN, State
from wicketd.audit.chain import Frontier
from wicketd.audit.export import Csv, Jsonl, in_order, read_jsonl
from wicketd.domain.agents import AgentStatus
from wicketd.domain.audit import AuditRow, Entry, PolicyHit
from wicketd.domain.errors import BadRequest, Conflict, NotFound
from wicketd.domain.ids import CallId, call_ref
from wicketd.domain.ports import Statement, Tx
from wicketd.services.audit import ERASED_AT_ONCE, EVERY_ROWS, HASHES_AT_ONCE, AuditLog, Notary
from wicketd.services.events import Topic
from wicketd.storage import audit as rows
from wicketd.storage.audit import AuditFilters

CALL = CallId("018f0000-0000-7000-8000-00000000000a")
OTHER = CallId("018f0000-0000-7000-8000-01000000000a")


class Lines:
    """Entries as seq numbers behind a head line."""

    head = "head\n"

    def lines(self, row: AuditRow, outcome: AuditRow | None) -> str:
        """One line an entry."""
        return f"{row.seq}{'' if outcome is None else f'+{outcome.seq}'}\n"


@dataclass
class Printed:
    """A notary whose notes are readable, and what was published."""

    notes: list[str] = field(default_factory=list)

    def notary(self) -> Notary:
        """The notary."""
        return Notary(lambda e, n, root: f"{e} {n} {root.hex()}", self.notes.append)


def log_of(state: State, printed: Printed | None = None) -> AuditLog:
    """The audit over a state."""
    return AuditLog(state.desk, (printed or Printed()).notary(), {"lines": Lines()})


async def append(state: State, *entries: Entry) -> None:
    """Writes rows as a call would."""

    def work(tx: Tx) -> None:
        for entry in entries:
            state.desk.journal.append(tx, entry)

    await state.db.write(work)


def intent(agent_id: str, call: CallId = CALL, **columns: str) -> Entry:
    """An allowed call."""
    return Entry(
        "call.intent",
        call_id=call,
        ref=call_ref(call),
        agent_id=agent_id,
        decision="ALLOW",
        **columns,  # type: ignore[arg-type]  # columns of Entry
    )


async def test_an_entry_is_found_by_id_and_by_reference_with_all_its_rows(state: State) -> None:
    agent, log = await state.agent(), log_of(state)
    await append(
        state,
        intent(agent.id),
        Entry("call.outcome", call_id=CALL, agent_id=agent.id),
    )
    typed = call_ref(CALL).lower().replace("0", "o")
    rows = await log.get(typed)
    assert [row.kind for row in rows] == ["call.intent", "call.outcome"]
    assert await log.get(rows[1].id) == rows
    assert await log.get(typed, agent.id) == rows
    (created, *_) = await state.rows()
    assert await log.get(created.id) == [created]


async def test_an_unknown_reference_and_that_of_another_agent_are_not_found(state: State) -> None:
    agent, other, log = await state.agent(), await state.agent("other"), log_of(state)
    await append(state, intent(agent.id))
    with pytest.raises(NotFound, match="no entry"):
        await log.get("ZZZZZZZZ")
    with pytest.raises(NotFound):
        await log.get(call_ref(CALL), other.id)


async def test_a_reference_of_two_agents_asks_for_the_agent(state: State) -> None:
    agent, other, log = await state.agent(), await state.agent("other"), log_of(state)
    assert call_ref(CALL) == call_ref(OTHER)
    await append(state, intent(agent.id), intent(other.id, OTHER))
    with pytest.raises(Conflict, match="Name the agent"):
        await log.get(call_ref(CALL))
    (row,) = await log.get(call_ref(CALL), other.id)
    assert row.agent_id == other.id


async def test_a_page_joins_intents_with_their_outcomes(state: State) -> None:
    agent, log = await state.agent(), log_of(state)
    await append(
        state,
        intent(agent.id),
        intent(agent.id, CallId(OTHER[:-1] + "b")),
        Entry("call.outcome", call_id=CALL, agent_id=agent.id),
    )
    page = await log.page(AuditFilters(agent_id=agent.id, kind="call.intent"))
    assert [(row.seq, outcome and outcome.seq) for row, outcome in page] == [(4, None), (3, 5)]
    older = await log.page(AuditFilters(), before=3, limit=1)
    assert [row.seq for row, _ in older] == [2]


async def test_an_export_is_on_record_before_its_first_line_and_holds_all_pages(
    state: State,
) -> None:
    agent = await state.agent()
    log = AuditLog(state.desk, Printed().notary(), {"lines": Lines()}, export_page=2)
    await append(
        state,
        intent(agent.id),
        Entry("call.outcome", call_id=CALL, agent_id=agent.id),
    )
    lines = await log.export(ADMIN, AuditFilters(agent_id=agent.id), "lines")
    last = (await state.rows())[-1]
    assert last.kind == "audit.exported"
    assert agent.id in last.body
    assert [line async for line in lines] == ["head\n", "1\n", "2\n", "3+4\n"]
    with pytest.raises(BadRequest, match="lines"):
        await log.export(ADMIN, AuditFilters(), "xml")


async def test_an_export_as_jsonl_reads_back_as_the_chain(state: State) -> None:
    agent = await state.agent()
    await append(
        state,
        intent(agent.id),
        Entry("call.outcome", call_id=CALL, agent_id=agent.id),
    )
    log = AuditLog(state.desk, Printed().notary(), {"jsonl": Jsonl(), "csv": Csv()})
    lines = await log.export(ADMIN, AuditFilters(), "jsonl")
    text = "".join([line async for line in lines])
    rows = list(in_order(read_jsonl(text.encode().splitlines())))
    assert [row.hash for row in rows] == [row.hash for row in await state.rows()]
    head, *_ = [line async for line in await log.export(ADMIN, AuditFilters(), "csv")]
    assert head.startswith("id,timestamp,agentId")


async def test_a_checkpoint_covers_the_row_that_says_who_asked(state: State) -> None:
    await state.agent()
    printed = Printed()
    log = log_of(state, printed)
    signed = await log.checkpoint(ADMIN)
    rows = await state.rows()
    assert rows[-1].kind == "audit.checkpointed"
    frontier = Frontier()
    for row in rows:
        frontier = frontier.append(row.hash)
    assert (signed.size, signed.root, signed.epoch) == (len(rows), frontier.root, 1)
    assert printed.notes == [signed.note]
    assert await log.checkpoints() == [signed]


async def test_checkpoints_go_on_where_the_last_one_ended(state: State) -> None:
    log = log_of(state)
    await state.agent()
    first = await log.checkpoint()
    await state.agent("other")
    second = await log.checkpoint()
    fresh = await log_of(state).checkpoint()
    assert (first.size, second.size) == (2, 4)
    assert (fresh.size, fresh.root) == (second.size, second.root)
    assert await log.checkpoints() == [second, first]


@pytest.mark.parametrize("more", [-1, 0, 1])
async def test_a_log_longer_than_one_read_has_the_root_of_all_its_rows(
    state: State, more: int
) -> None:
    await append(state, *(Entry("system.started") for _ in range(2 * HASHES_AT_ONCE + more)))
    signed = await log_of(state).checkpoint()
    frontier = Frontier()
    for row in await state.rows():
        frontier = frontier.append(row.hash)
    assert (signed.size, signed.root) == (2 * HASHES_AT_ONCE + more, frontier.root)


async def test_checkpoints_are_due_after_new_rows_and_time_or_many_rows(state: State) -> None:
    log = log_of(state)
    assert await log.sign_if_due() is None
    await state.agent()
    assert await log.sign_if_due() is not None
    state.clock.pass_s(3600)
    assert await log.sign_if_due() is None
    await log.checkpoint()
    await state.agent("other")
    assert await log.sign_if_due() is not None
    await state.agents.set_status(ADMIN, "other", AgentStatus.DISABLED)
    assert await log.sign_if_due() is None
    state.clock.pass_s(60)
    assert await log.sign_if_due() is not None

    await append(state, *(Entry("system.started") for _ in range(EVERY_ROWS)))
    assert await log.sign_if_due() is not None


async def test_denials_are_counted_by_policy_key(state: State) -> None:
    agent, log = await state.agent(), log_of(state)
    saved = await state.policies.create(
        ADMIN, "demo", name="Stop", text="forbid (principal, action, resource);"
    )
    hit = PolicyHit(saved.version.policy_id, 1, 1, "forbid", "enforce", "stop")
    gone = PolicyHit("018f0000-0000-7000-8000-0000000000ff", 1, 1, "forbid", "enforce", "gone")
    denied = Entry(
        "call.denied",
        call_id=CALL,
        agent_id=agent.id,
        service="notes",
        tool="delete_note",
        decision="DENY",
        reason_code="forbidden",
        policies=(hit, gone),
    )
    await append(state, denied)
    now = state.clock.now_ms()
    assert await log.denying(agent.id, 0, now) == [(gone.policy_id, 1), ("stop", 1)]
    (hour,) = await log.hours(None, 0, now)
    assert (hour.tool, hour.decision, hour.n) == ("delete_note", "DENY", 1)
    assert await log.facets(agent.id, "tool") == ["delete_note"]
    assert await log.hours(None, now + 3_600_000, now + 7_200_000) == []


async def test_who_listens_hears_that_the_log_has_grown_and_once(state: State) -> None:
    log = log_of(state)
    await append(state, Entry("system.started"))
    await log.announce()  # nobody listens
    assert state.desk.events.newest == 0

    listener = state.desk.events.subscribe(frozenset({Topic.AUDIT}))
    await log.announce()
    await log.announce()
    await append(state, Entry("system.stopped"))
    await log.announce()

    heard = await listener.next(0)
    assert heard is not None
    assert [event.data for event in heard.events] == [{"seq": 1}, {"seq": 2}]


async def test_a_new_listener_hears_of_rows_that_came_while_it_connected(state: State) -> None:
    log = log_of(state)
    await append(state, Entry("system.started"))
    first = state.desk.events.subscribe(frozenset({Topic.AUDIT}))
    await log.announce()

    second = state.desk.events.subscribe(frozenset({Topic.AUDIT}))
    await log.announce()

    assert await first.next(0) is not None
    assert await second.next(0) is not None


async def test_a_backlog_of_arguments_is_erased_whole_and_what_is_not_due_stays(
    state: State,
) -> None:
    now = state.clock.now_ms()
    backlog = 2 * ERASED_AT_ONCE + 1

    def work(tx: Tx) -> None:
        for number in range(backlog + 1):
            expires = now if number == backlog else now - 1
            tx.run(
                Statement(
                    "INSERT INTO audit_args VALUES (?, 'k1', x'00', ?)", (str(number), expires)
                )
            )

    await state.db.write(work)
    assert await log_of(state).erase_arguments() == backlog
    assert await log_of(state).erase_arguments() == 0
    assert await state.db.one(rows.arguments_of(str(backlog))) is not None
