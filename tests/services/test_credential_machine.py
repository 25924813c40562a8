"""Whatever two members do, in any order: a call gets its own member's newest sealed token or none.

One machine over the real database, vault and use cases; the model knows only what each member has
saved and to which key it is sealed. No path leads from a pending, broken, ended or foreign record
to a call (security spec, 4).
"""

import asyncio
import tempfile
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from typing_extensions import override

from tests.support.rotation import rotate
from tests.support.state import ADMIN, NOTES, State, moved, open_state
from tests.support.visitors import add_membership, add_visitor, back_again
from wicketd.domain.accounts import Visitor
from wicketd.domain.calls import Caller
from wicketd.domain.connections import Credential
from wicketd.domain.errors import Conflict, NotFound
from wicketd.domain.members import Member
from wicketd.services.keys import IssuedKey
from wicketd.services.rewrapping import Rewrapper

NAMES = ("ann", "eve")
WHO = st.sampled_from(NAMES)
DAY_MS = 24 * 3600 * 1000


@dataclass
class Person:
    """One member and what the model says of it. `to`: the connector's variant when it was saved."""

    visitor: Visitor
    member: Member
    key: IssuedKey | None = None
    token: bytes | None = None
    to: bool = False
    until_ms: int | None = None
    """End of the pending window; None: sealed."""

    def forget(self) -> None:
        self.token, self.until_ms = None, None


@dataclass
class World:
    """The state on a loop of its own: the machine's steps are synchronous."""

    runner: asyncio.Runner = field(default_factory=asyncio.Runner)
    stack: AsyncExitStack = field(default_factory=AsyncExitStack)


class Credentials(RuleBasedStateMachine):
    """Saves, keys, losses, edits and rotations."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.people: dict[str, Person] = {}
        self.is_moved = False
        self.count = 0

    @initialize()
    def begin(self) -> None:
        self.world.runner.run(self._open())
        self.save("ann")
        self.make_key("eve")
        self.save("eve")

    async def _open(self) -> None:
        place = self.world.stack.enter_context(tempfile.TemporaryDirectory())
        opened = open_state(Path(place))
        self.state: State = await self.world.stack.enter_async_context(opened)
        await self.state.agent()
        await self.state.service()
        for name in NAMES:
            visitor = await add_visitor(self.state, f"{name}@example.test")
            member = await add_membership(self.state, visitor)
            self.people[name] = Person(visitor, member)

    @override
    def teardown(self) -> None:
        self.world.runner.run(self.world.stack.aclose())
        self.world.runner.close()

    def now(self, name: str) -> tuple[Person, Visitor, str]:
        """The person, asking with a code entered now, and the agent."""
        person = self.people[name]
        return person, back_again(self.state, person.visitor), person.member.agent_id

    @rule(name=WHO)
    def save(self, name: str) -> None:
        person, visitor, agent = self.now(name)
        self.count += 1
        token = f"token-{name}-{self.count}".encode()
        save = self.state.connections.set_own_static(visitor, agent, "notes", token)
        self.world.runner.run(save)
        person.token, person.to = token, self.is_moved
        person.until_ms = None if person.key else self.state.clock.now_ms() + DAY_MS

    @rule(name=WHO)
    def make_key(self, name: str) -> None:
        person, visitor, agent = self.now(name)
        making = self.state.keys.issue_own(visitor, agent)
        if person.key is not None:
            self.refused(making)
            return
        person.key = self.world.runner.run(making)
        person.until_ms = None

    @rule(name=WHO)
    def change_key(self, name: str) -> None:
        person, visitor, agent = self.now(name)
        if person.key is None:
            self.refused(self.state.keys.rotate_own(visitor, agent, b"none"))
            return
        old = person.key.text.reveal()
        person.key = self.world.runner.run(self.state.keys.rotate_own(visitor, agent, old))

    @rule(name=WHO)
    def lose_key(self, name: str) -> None:
        person, visitor, agent = self.now(name)
        losing = self.state.keys.replace_lost(visitor, agent)
        if person.key is None:
            self.refused(losing)
            return
        person.key = self.world.runner.run(losing)
        person.forget()

    @rule(name=WHO)
    def revoke_key(self, name: str) -> None:
        person, visitor, agent = self.now(name)
        revoking = self.state.keys.revoke_own(visitor, agent)
        if person.key is None:
            self.refused(revoking)
            return
        self.world.runner.run(revoking)
        person.key = None
        person.forget()

    @rule(name=WHO)
    def disconnect(self, name: str) -> None:
        person, visitor, agent = self.now(name)
        going = self.state.connections.disconnect_own(visitor, agent, "notes")
        try:
            self.world.runner.run(going)
        except (Conflict, NotFound):
            assert person.token is None
        person.forget()

    @rule()
    def edit_connector(self) -> None:
        self.is_moved = not self.is_moved
        self.state.connectors["notes"] = moved(NOTES) if self.is_moved else NOTES
        self.world.runner.run(self.state.services.reload(ADMIN))

    @rule(hours=st.sampled_from([1, 25]))
    def wait(self, hours: int) -> None:
        self.state.clock.pass_s(hours * 3600)
        self.world.runner.run(self.state.connections.expire_pending())
        for person in self.people.values():
            if person.until_ms is not None and person.until_ms <= self.state.clock.now_ms():
                person.forget()

    @precondition(lambda self: len(self.state.keyring.kids) < 5)
    @rule(rewraps=st.booleans())
    def rotate_server_key(self, rewraps: bool) -> None:
        state = self.state
        rotate(state, f"k{len(state.keyring.kids) + 1}")
        if rewraps:
            worker = Rewrapper(state.desk, state.keyring, state.sealer)
            self.world.runner.run(worker.finish())

    @rule(name=WHO)
    def restart(self, name: str) -> None:
        self.state.desk.rows.forget(self.people[name].member.id)

    @invariant()
    def a_call_gets_its_own_newest_sealed_token_or_none(self) -> None:
        for person in self.people.values():
            if person.key is not None:
                got = self.world.runner.run(self._called(person, person.key))
                is_usable = person.until_ms is None and person.to == self.is_moved
                wanted = person.token if is_usable else None
                assert got == (None if wanted is None else b"Bearer " + wanted)

    @invariant()
    def no_token_is_on_the_disk(self) -> None:
        assert not self.people or b"token-ann-" not in self.state.file_bytes()

    async def _called(self, person: Person, key: IssuedKey) -> bytes | None:
        text = key.text.reveal().decode()
        caller: Caller = await self.state.caller_of(key.row, text)
        found = await self.state.connections.unlock(caller, "notes")
        if not isinstance(found, Credential):
            return None
        assert found.value is not None
        return found.value.reveal()

    def refused(self, act: object) -> None:
        try:
            self.world.runner.run(act)  # type: ignore[arg-type]  # a coroutine of any use case
        except Conflict:
            return
        raise AssertionError("A transition that the table does not have was taken.")


TestCredentials = Credentials.TestCase
TestCredentials.settings = settings(
    max_examples=20,
    stateful_step_count=15,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
