"""Every life cycle walked against the real database: each edge taken, every other refused.

The EDGES tables of `domain` are the model; a step that the table has must move the object and leave
exactly its audit kind, any other must be a Conflict that leaves nothing.
"""

import itertools
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.services.test_members import add_with_account
from tests.support.state import ADMIN, NOTES, State, moved, open_state
from tests.support.visitors import joined
from wicketd.domain import agents as agent_rules
from wicketd.domain import catalogue, connections, members
from wicketd.domain.accounts import Visitor
from wicketd.domain.agents import AgentStatus
from wicketd.domain.connections import ConnectionState
from wicketd.domain.errors import Conflict, NotFound, WicketError
from wicketd.domain.lifecycle import Edge
from wicketd.domain.members import KeyState, MemberState
from wicketd.domain.policies import Mode
from wicketd.services.keys import IssuedKey

Act = Callable[[], Awaitable[object]]
WALK = settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
COUNTER = itertools.count()


@dataclass(frozen=True)
class Life:
    """One object under test: its state now, and what each trigger does."""

    now: Callable[[], Awaitable[StrEnum | None]]
    acts: dict[str, Act]


def edge_of(edges: Sequence[Edge], source: StrEnum | None, trigger: str) -> Edge | None:
    """The table's answer, read without the code under test."""
    return next((e for e in edges if e.source == source and e.trigger == trigger), None)


async def step(state: State, edges: Sequence[Edge], life: Life, trigger: str) -> Edge | None:
    """Does one thing and compares with the table; gives the edge that was taken."""
    before, recorded = await life.now(), await state.recorded()
    edge = edge_of(edges, before, trigger)
    if edge is None:
        with pytest.raises((Conflict, NotFound)):
            await life.acts[trigger]()
        assert await life.now() == before
        assert await state.recorded() == recorded
        return None
    await life.acts[trigger]()
    assert await life.now() == edge.target
    assert edge.audit in await state.kinds(recorded)
    return edge


def triggers(edges: Sequence[Edge], *, without: frozenset[str] = frozenset()) -> list[str]:
    """Every trigger of a table, once."""
    return sorted({edge.trigger for edge in edges} - without)


async def agent_life(state: State) -> Life:
    """An agent that does not exist yet."""
    key = f"a{next(COUNTER)}"

    async def now() -> StrEnum | None:
        try:
            return (await state.agents.get(key)).status
        except NotFound:
            return None

    async def delete() -> object:
        rev = (await state.agents.get(key)).rev
        return await state.agents.delete(ADMIN, key, key, rev)

    return Life(
        now,
        {
            "create": lambda: state.agent(key),
            "disable": lambda: state.agents.set_status(ADMIN, key, AgentStatus.DISABLED),
            "enable": lambda: state.agents.set_status(ADMIN, key, AgentStatus.ACTIVE),
            "delete": delete,
        },
    )


async def key_life(state: State) -> Life:
    """A member that has no key yet."""
    name = f"m{next(COUNTER)}"
    if not await state.agents.list():
        await state.agent()
    await state.member(name=name)

    async def now() -> StrEnum | None:
        who = await state.members.get("demo", name)
        mine = [key for key in await state.keys.list("demo") if key.member_id == who.id]
        return KeyState.ACTIVE if any(k.state is KeyState.ACTIVE for k in mine) else None

    return Life(
        now,
        {
            "issue": lambda: state.keys.issue(ADMIN, "demo", name),
            "revoke": lambda: state.keys.revoke(ADMIN, "demo", name, "test"),
        },
    )


async def out_of_window(state: State) -> int:
    """Ends every pending window and gives their number."""
    state.clock.pass_s(25 * 3600)
    return await state.connections.expire_pending()


async def connection_life(state: State, *, keyed: bool) -> Life:
    """A member's connection that does not exist yet; `keyed`: the member has an active key."""
    if not await state.agents.list():
        await state.agent()
        await state.service()
    await out_of_window(state)
    name = f"m{next(COUNTER)}"
    await state.member(name=name)
    if keyed:
        await state.keys.issue(ADMIN, "demo", name)

    async def now() -> StrEnum | None:
        held = await state.held(member=name)
        return None if held is None else held.state

    def save() -> Awaitable[object]:
        return state.connections.set_static(ADMIN, "demo", name, "notes", b"token")

    async def expire() -> object:
        if await out_of_window(state) == 0:
            raise Conflict("Nothing was pending.")
        return None

    return Life(
        now,
        {
            "deposit" if keyed else "save": save,
            "revoke": lambda: state.connections.discard(ADMIN, "demo", name, "notes"),
            "expire": expire,
        },
    )


async def service_life(state: State) -> Life:
    """A service that is not enabled yet, on an agent of its own."""
    key = f"a{next(COUNTER)}"
    await state.agent(key)

    async def now() -> StrEnum | None:
        try:
            return (await state.services.get(key, "notes")).service.state
        except NotFound:
            return None

    return Life(
        now,
        {
            "enable": lambda: state.services.enable(ADMIN, key, "notes"),
            "disable": lambda: state.services.disable(ADMIN, key, "notes"),
            "remove": lambda: state.services.remove(ADMIN, key, "notes", purge=True),
        },
    )


SERVICE_EDGES = [
    edge if edge.trigger != "remove" else Edge(edge.source, edge.target, "remove", edge.audit)
    for edge in catalogue.SERVICE_EDGES
]


@WALK
@given(walk=st.lists(st.sampled_from(triggers(agent_rules.EDGES)), max_size=8))
async def test_agents_walk_their_table(state: State, walk: list[str]) -> None:
    life = await agent_life(state)
    for trigger in walk:
        await step(state, agent_rules.EDGES, life, trigger)


@WALK
@given(walk=st.lists(st.sampled_from(["issue", "revoke"]), max_size=6))
async def test_keys_walk_their_table(state: State, walk: list[str]) -> None:
    life = await key_life(state)
    for trigger in walk:
        before = await life.now()
        if trigger == "revoke" and before is KeyState.ACTIVE:
            recorded = await state.recorded()
            await life.acts[trigger]()
            assert await life.now() is None
            assert await state.kinds(recorded) == ["key.revoked"]
        else:
            await step(state, members.KEY_EDGES, life, trigger)


async def own_key_life(state: State, visitor: Visitor, agent_id: str) -> Life:
    """A member that makes its own keys; the text of the newest one is kept, as people do."""
    made: list[bytes] = [b"none yet"]

    async def now() -> StrEnum | None:
        mine = [key for key in await state.keys.list("demo") if key.state is KeyState.ACTIVE]
        return KeyState.ACTIVE if mine else None

    async def keep(making: Awaitable[IssuedKey]) -> object:
        made.append((await making).text.reveal())
        return None

    return Life(
        now,
        {
            "issue": lambda: keep(state.keys.issue_own(visitor, agent_id)),
            "rotate": lambda: keep(state.keys.rotate_own(visitor, agent_id, made[-1])),
            "reset_lost": lambda: keep(state.keys.replace_lost(visitor, agent_id)),
            "revoke": lambda: state.keys.revoke_own(visitor, agent_id),
        },
    )


OWN_KEY_ROWS = {
    "issue": {"key.issued"},
    "rotate": {"key.rotated", "key.issued"},
    "reset_lost": {"key.reset_lost", "key.issued"},
    "revoke": {"key.revoked"},
}


@WALK
@given(walk=st.lists(st.sampled_from(sorted(OWN_KEY_ROWS)), max_size=8))
async def test_a_members_own_keys_walk_their_table_and_never_two_are_active(
    tmp_path_factory: pytest.TempPathFactory, walk: list[str]
) -> None:
    async with open_state(tmp_path_factory.mktemp("own")) as state:
        visitor, member = await joined(state)
        life = await own_key_life(state, visitor, member.agent_id)
        for trigger in walk:
            before, recorded = await life.now(), await state.recorded()
            # A new key follows an ended one in the same transaction: the pair is one step.
            if (before is None) != (trigger == "issue"):
                with pytest.raises(Conflict):
                    await life.acts[trigger]()
                assert await state.recorded() == recorded
                continue
            await life.acts[trigger]()
            assert OWN_KEY_ROWS[trigger] <= set(await state.kinds(recorded))
            held = await state.keys.list("demo")
            active = [key for key in held if key.state is KeyState.ACTIVE]
            assert len(active) == (0 if trigger == "revoke" else 1)
            ends = {edge.target for edge in members.KEY_EDGES if edge.trigger == trigger}
            newest_end = [key.state for key in held if key.ended_at is not None]
            assert trigger == "issue" or ends <= set(newest_end)


@WALK
@given(walk=st.lists(st.sampled_from(["save", "revoke", "expire"]), max_size=6))
async def test_connections_of_a_member_without_key_walk_their_table(
    state: State, walk: list[str]
) -> None:
    life = await connection_life(state, keyed=False)
    for trigger in walk:
        await step(state, connections.EDGES, life, trigger)


@WALK
@given(walk=st.lists(st.sampled_from(["deposit", "revoke", "expire"]), max_size=6))
async def test_connections_of_a_member_with_key_walk_their_table(
    state: State, walk: list[str]
) -> None:
    life = await connection_life(state, keyed=True)
    for trigger in walk:
        await step(state, connections.EDGES, life, trigger)


@WALK
@given(walk=st.lists(st.sampled_from(["enable", "disable", "remove"]), max_size=6))
async def test_services_walk_their_table(state: State, walk: list[str]) -> None:
    life = await service_life(state)
    for trigger in walk:
        before = await life.now()
        if trigger == "remove" and before is catalogue.ServiceState.DISABLED:
            recorded = await state.recorded()
            await life.acts[trigger]()
            assert await life.now() is None
            assert await state.kinds(recorded) == ["service.removed"]
        else:
            await step(state, SERVICE_EDGES, life, trigger)


@pytest.mark.parametrize(
    ("source", "trigger"),
    [
        (None, "add"),
        *itertools.product([None, *MemberState], ["approve", "reject", "remove"]),
    ],
)
async def test_members_take_each_edge_from_each_state_or_are_refused(
    state: State, source: MemberState | None, trigger: str
) -> None:
    await state.agent()
    ann = None if source is None else await add_with_account(state, "demo", source)
    ref = "nobody" if ann is None else ann.id

    async def now() -> StrEnum | None:
        try:
            return (await state.members.get("demo", "bob" if ann is None else ann.id)).state
        except NotFound:
            return None

    acts: dict[str, Act] = {
        "add": lambda: state.member(name="bob"),
        "approve": lambda: state.members.approve(ADMIN, "demo", ref),
        "reject": lambda: state.members.reject(ADMIN, "demo", ref),
        "remove": lambda: state.members.remove(ADMIN, "demo", ref),
    }
    await step(state, members.EDGES, Life(now, acts), trigger)


async def test_a_connection_breaks_and_comes_back_as_the_table_says(state: State) -> None:
    await state.connected()
    for keyed, states in (
        (False, [ConnectionState.PENDING]),
        (True, [ConnectionState.SEALED]),
    ):
        if keyed:
            await state.keys.issue(ADMIN, "demo", "bob")
        await state.connections.set_static(ADMIN, "demo", "bob", "notes", b"token")
        for text in (moved(NOTES), NOTES):
            state.connectors["notes"] = text
            await state.services.reload(ADMIN)
            held = await state.held()
            assert held is not None
            states.append(held.state)
        assert states == [states[0], ConnectionState.NEEDS_RECONNECT, states[0]]


POLICY_KIND = {
    "save": "policy.saved",
    "enable": "policy.enabled",
    "disable": "policy.disabled",
    "shadow": "policy.mode",
    "enforce": "policy.mode",
    "rollback": "policy.rolled_back",
    "delete": "policy.deleted",
}


@dataclass
class PolicyModel:
    """What a record must be after the steps so far."""

    version: int = 1
    enabled: bool = True
    mode: Mode = Mode.ENFORCE
    deleted: bool = False

    def may(self, trigger: str) -> bool:
        """Whether the step is a transition."""
        if self.deleted:
            return False
        return {
            "enable": not self.enabled,
            "disable": self.enabled,
            "shadow": self.mode is Mode.ENFORCE,
            "enforce": self.mode is Mode.SHADOW,
        }.get(trigger, True)

    def take(self, trigger: str) -> None:
        """Moves on."""
        self.version += trigger != "delete"
        self.enabled = {"enable": True, "disable": False}.get(trigger, self.enabled)
        self.mode = {"shadow": Mode.SHADOW, "enforce": Mode.ENFORCE}.get(trigger, self.mode)
        self.deleted = trigger == "delete"


async def policy_act(state: State, key: str, trigger: str) -> object:
    """Pulls one trigger on the current revision."""
    use, rev = state.policies, (await state.agents.get("demo")).policy_revision
    text = f'permit (principal, action, resource) when {{ "{next(COUNTER)}" == "" }};'
    acts: dict[str, Act] = {
        "save": lambda: use.save(ADMIN, "demo", key, expected=rev, text=text),
        "enable": lambda: use.set_enabled(ADMIN, "demo", key, enabled=True, expected=rev),
        "disable": lambda: use.set_enabled(ADMIN, "demo", key, enabled=False, expected=rev),
        "shadow": lambda: use.set_mode(ADMIN, "demo", key, mode=Mode.SHADOW, expected=rev),
        "enforce": lambda: use.set_mode(ADMIN, "demo", key, mode=Mode.ENFORCE, expected=rev),
        "rollback": lambda: use.rollback(ADMIN, "demo", key, 1, expected=rev),
        "delete": lambda: use.delete(ADMIN, "demo", key, expected=rev),
    }
    return await acts[trigger]()


@WALK
@given(walk=st.lists(st.sampled_from(sorted(POLICY_KIND)), max_size=6))
async def test_policies_walk_their_table_and_every_step_is_in_force(
    state: State, walk: list[str]
) -> None:
    if not await state.agents.list():
        await state.agent()
    key, model = f"p{next(COUNTER)}", PolicyModel()
    await state.policies.create(
        ADMIN, "demo", name=key, key=key, text="permit (principal, action, resource);"
    )
    for trigger in walk:
        recorded = await state.recorded()
        if model.may(trigger):
            await policy_act(state, key, trigger)
            model.take(trigger)
            assert await state.kinds(recorded) == [POLICY_KIND[trigger]]
        else:
            with pytest.raises((Conflict, NotFound)):
                await policy_act(state, key, trigger)
            assert await state.recorded() == recorded
        await holds(state, key, model)


async def holds(state: State, key: str, model: PolicyModel) -> None:
    """Stored record, revision and set in force agree with the model."""
    agent = await state.agents.get("demo")
    snapshot = state.snapshots.of(agent.id)
    assert snapshot is not None
    assert snapshot.engine.stamp.revision == agent.policy_revision
    compiled = {one.ref.version for one in snapshot.engine.statements if one.ref.key == key}
    assert compiled == ({model.version} if model.enabled and not model.deleted else set())
    try:
        record = (await state.policies.get("demo", key)).version
    except WicketError:
        assert model.deleted
        return
    assert (record.version, record.enabled, record.mode) == (
        model.version,
        model.enabled,
        model.mode,
    )


@pytest.mark.parametrize("trigger", triggers(agent_rules.EDGES))
async def test_every_edge_of_agents_is_taken(state: State, trigger: str) -> None:
    ways = {
        "create": [],
        "disable": ["create"],
        "enable": ["create", "disable"],
        "delete": ["create", "disable"],
    }
    life = await agent_life(state)
    for before in ways[trigger]:
        await step(state, agent_rules.EDGES, life, before)
    assert await step(state, agent_rules.EDGES, life, trigger) is not None


@pytest.mark.parametrize(
    "trigger", triggers(catalogue.SERVICE_EDGES, without=frozenset({"remove"}))
)
async def test_every_edge_of_services_is_taken(state: State, trigger: str) -> None:
    life = await service_life(state)
    await step(state, SERVICE_EDGES, life, "enable")
    assert await step(state, SERVICE_EDGES, life, "disable") is not None
    if trigger == "enable":
        assert await step(state, SERVICE_EDGES, life, "enable") is not None
