"""Re-wrapping after a rotation: what was readable before is readable after, under the new key."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from tests.support.calling import Calling, open_calling
from tests.support.rotation import rotate
from tests.support.state import ADMIN, NOTES, State, moved
from tests.support.tampering import tamper
from wicketd.domain.connections import Connection, ConnectionState
from wicketd.domain.errors import AuditNotDurable
from wicketd.domain.ids import AccountId, PolicyRevision
from wicketd.domain.ports import Statement
from wicketd.services.events import Topic
from wicketd.services.revision_seal import RevisionSeal
from wicketd.services.rewrapping import BATCH, Rewrapper
from wicketd.services.transitions import Held
from wicketd.storage import app_credentials, audit, kid_rows, policies, second_factors, services
from wicketd.storage.app_credentials import StoredApp
from wicketd.vault import member_key
from wicketd.vault.keyring import KeyringFile
from wicketd.vault.places import AppPlace
from wicketd.vault.secret import Secret

ACCOUNT = AccountId("018f0000-0000-7000-8000-0000000000ac")
SECRETS = (b"bobs-token", b"eves-token", b"totp-secret-totp-sec", b"app-secret", b'"text":"x"')


@dataclass
class Filled:
    """A state with rows of every kind that a rotation writes anew."""

    calling: Calling
    key_text: str = ""
    app: StoredApp | None = None
    call_ids: list[str] = field(default_factory=list)

    @property
    def state(self) -> State:
        return self.calling.state

    @property
    def rewrapper(self) -> Rewrapper:
        """As a daemon that has just started has it."""
        state = self.state
        return Rewrapper(state.desk, state.keyring, state.sealer)

    async def fill(self) -> None:
        """bob: sealed; eve: pending; an authenticator; an app's secret; arguments; revisions."""
        state = self.state
        await state.service()
        caller = await self.calling.caller("bob")
        await state.keys.revoke(ADMIN, "demo", "bob", None)
        _, self.key_text = await state.keys.issue(ADMIN, "demo", "bob")
        for name, token in (("bob", SECRETS[0]), ("eve", SECRETS[1])):
            if name == "eve":
                await state.member(name="eve")
            await state.connections.set_static(ADMIN, "demo", name, "notes", token)
        call = self.calling.call(caller, "look", arguments={"text": "x"})
        assert await self.calling.is_let_through(call)
        self.call_ids.append(call.id)
        kid, totp = state.sealer.seal_totp(ACCOUNT, Secret(SECRETS[2]))
        agent = await state.agents.get("demo")
        service = await state.db.one(services.by_key(agent.id, "notes"))
        assert service is not None
        place = AppPlace(service.id, agent.id, "notes")
        app_kid, app_ct = state.sealer.app_secret(place, 5, SECRETS[3])
        self.app = StoredApp(service.id, agent.id, "https://i.test", "c", app_ct, app_kid, 5)
        app = self.app
        account = Statement(
            "INSERT INTO accounts (id, email, status, mfa_failures, created_at, rev) "
            "VALUES (?, 'ann@example.test', 'active', 0, 1, 1)",
            (ACCOUNT,),
        )
        await state.db.write(
            lambda tx: [
                tx.run(account),
                tx.run(second_factors.begin(ACCOUNT, kid, totp)),
                tx.run(app_credentials.put(app)),
            ]
        )

    async def held(self, member: str) -> Connection:
        found = await self.state.held(member=member)
        assert found is not None
        return found

    async def read(self) -> tuple[bytes, ...]:
        """Every secret, opened from its row as it lies there now."""
        state, key = self.state, member_key.parse(self.key_text)
        assert key is not None
        bob, eve = Held(await self.held("bob"), "notes"), Held(await self.held("eve"), "notes")
        factor = await state.db.one(second_factors.of(ACCOUNT))
        assert self.app is not None
        app = await state.db.one(app_credentials.of_service(self.app.agent_id, self.app.service_id))
        (call_id,) = self.call_ids
        stored = await state.db.one(audit.arguments_of(call_id))
        assert factor is not None
        assert app is not None
        assert app.secret_ct is not None
        assert stored is not None
        owner = (bob.connection.agent_id, bob.connection.member_id)
        place = AppPlace(app.service_id, app.agent_id, "notes")
        arguments = state.sealer.open_args(call_id, *owner, stored.ct)
        return (
            state.box.open_sealed(bob, key.key_id, key.secret).token.reveal(),
            SECRETS[1] if SECRETS[1] in state.box.open_pending(eve).reveal() else b"",
            state.sealer.open_totp(ACCOUNT, factor.totp_ct).reveal(),
            state.sealer.open_app_secret(place, 5, app.secret_ct),
            SECRETS[4] if SECRETS[4] in arguments else b"",
        )

    async def under(self, kid: str) -> set[str]:
        """Tables with rows that name a key; verifiers are their owners' to move."""
        rows = await self.state.db.all(kid_rows.all(self.state.clock.now_ms()))
        return {row.table for row in rows if row.kid == kid} - kid_rows.VERIFIERS


@pytest.fixture
async def filled(tmp_path: Path) -> AsyncIterator[Filled]:
    async with open_calling(tmp_path) as calling:
        rows = Filled(calling)
        await rows.fill()
        yield rows


async def test_everything_is_written_anew_and_still_reads_the_same(filled: Filled) -> None:
    state = filled.state
    assert await filled.under("k1") == set(kid_rows.REWRAPPED)
    assert await filled.read() == SECRETS
    before = await state.recorded()
    rotate(state)
    assert await filled.read() == SECRETS, "the old key must still read"
    assert await filled.rewrapper.finish() > 0
    assert await filled.under("k1") == set()
    assert await filled.under("k2") == set(kid_rows.REWRAPPED)
    rotate(state, "k2", without=("k1",))
    assert await filled.read() == SECRETS
    assert await state.kinds(before) == ["connection.rewrapped", "keyring.rewrapped"]


async def test_a_row_keeps_its_generation_its_revision_and_the_members_layer(
    filled: Filled,
) -> None:
    before = await filled.held("bob")
    rotate(filled.state)
    await filled.rewrapper.finish()
    after = await filled.held("bob")
    assert (after.generation, after.rev, after.updated_at, after.sealed_key_id) == (
        before.generation,
        before.rev,
        before.updated_at,
        before.sealed_key_id,
    )
    assert after.outer_kid == "k2"
    assert after.sealed_ct != before.sealed_ct


async def test_policy_sets_load_under_their_new_macs(filled: Filled) -> None:
    state = filled.state
    rotate(state)
    await filled.rewrapper.finish()
    rotate(state, "k2", without=("k1",))
    agent = await state.agents.get("demo")
    await state.snapshots.rebuild(agent.id)
    snapshot = state.snapshots.of(agent.id)
    assert snapshot is not None
    assert snapshot.engine.stamp.revision == agent.policy_revision


async def test_it_goes_on_where_a_restart_stopped_it(filled: Filled) -> None:
    state = filled.state
    rotate(state)
    first = filled.rewrapper
    while not await first.step():
        pass
    left = await filled.under("k1")
    assert left
    assert await filled.read() == SECRETS
    again = filled.rewrapper
    await again.finish()
    assert await filled.under("k1") == set()
    assert await again.step() == 0


async def test_rows_that_come_while_it_runs_are_found_by_another_pass(filled: Filled) -> None:
    state, worker = filled.state, filled.rewrapper
    rotate(state)
    await worker.step()
    # A call that sealed before the rotation may commit behind the cursor.
    bob = await filled.held("bob")
    state.keyring.swap(file_of(state, "k1"))
    old = state.box.rewrapped(Held(bob, "notes"))
    state.keyring.swap(file_of(state, "k2"))
    late = Statement(
        "UPDATE connections SET outer_kid = 'k1', sealed_ct = ? WHERE id = ?", (old, bob.id)
    )
    await state.db.write(lambda tx: tx.run(late))
    await worker.finish()
    assert await filled.under("k1") == set()


def file_of(state: State, active: str) -> KeyringFile:
    roots = state.keyring.roots
    return KeyringFile(active, roots, dict.fromkeys(roots, ""), "test")


async def test_with_one_key_nothing_is_looked_for(filled: Filled) -> None:
    before = await filled.state.recorded()
    assert await filled.rewrapper.finish() == 0
    assert await filled.state.recorded() == before


@pytest.mark.requirement("FC8")
async def test_a_connection_that_does_not_open_is_broken_and_never_made_good(
    filled: Filled,
) -> None:
    state = filled.state
    edit = "UPDATE connections SET generation = generation + 1 WHERE sealed_ct IS NOT NULL"
    await state.db.write(lambda tx: tx.run(Statement(edit, ())))
    before = await state.recorded()
    rotate(state)
    await filled.rewrapper.finish()
    bob = await filled.held("bob")
    assert (bob.state, bob.error) == (ConnectionState.NEEDS_RECONNECT, "decrypt_failed")
    assert await state.kinds(before) == ["connection.broken", "keyring.rewrapped"]
    assert '"unreadable":{"connections":1}' in (await state.rows())[-1].body


@pytest.mark.parametrize(
    ("table", "edit"),
    [
        ("accounts", "UPDATE accounts SET id = replace(id, 'ac', 'ad')"),
        ("services", "UPDATE services SET secret_set_at = 6"),
        (
            "audit_args",
            "UPDATE audit_args SET ct = CAST(substr(ct, 1, 40) || x'00' || substr(ct, 42) AS BLOB)",
        ),
        ("policy_revisions", "UPDATE policy_revisions SET set_sha256 = zeroblob(32)"),
        ("policy_revisions", "UPDATE policy_revisions SET mac = zeroblob(32)"),
    ],
)
async def test_an_edited_row_is_left_under_its_old_key_and_told(
    filled: Filled, table: str, edit: str
) -> None:
    state = filled.state
    await tamper(state.db, edit)
    told = state.desk.events.subscribe(frozenset(Topic))
    rotate(state)
    await filled.rewrapper.finish()
    assert await filled.under("k1") == {table}
    batch = await told.next(0.1)
    alarms = [e.data for e in (batch.events if batch else ()) if "alarm" in e.data]
    assert {one["table"] for one in alarms} == {table}


async def test_a_moved_connection_is_written_anew_for_its_own_origin(filled: Filled) -> None:
    state = filled.state
    state.connectors["notes"] = moved(NOTES)
    await state.services.reload(ADMIN)
    rotate(state)
    await filled.rewrapper.finish()
    assert await filled.under("k1") == set()
    state.connectors["notes"] = NOTES
    await state.services.reload(ADMIN)
    assert (await filled.held("bob")).state is ConnectionState.SEALED
    assert (await filled.read())[:2] == SECRETS[:2]


async def test_an_unwritable_database_stops_it_and_loses_nothing(filled: Filled) -> None:
    state, worker = filled.state, filled.rewrapper
    rotate(state)
    await state.db.maintain(lambda one: one.execute("PRAGMA max_page_count = 1"))
    filler = Statement("INSERT INTO meta (key, value) VALUES ('filler', ?)", ("x" * 1_000_000,))
    with pytest.raises(AuditNotDurable):
        await state.db.write(lambda tx: tx.run(filler))
    with pytest.raises(AuditNotDurable):
        await worker.finish()
    await state.db.maintain(lambda one: one.execute("PRAGMA max_page_count = 1000000"))
    await state.db.probe()
    await worker.finish()
    assert await filled.under("k1") == set()
    assert await filled.read() == SECRETS


async def test_many_rows_take_many_batches(filled: Filled) -> None:
    state, worker = filled.state, filled.rewrapper
    revisions = 2 * BATCH + 5
    agent = await state.agents.get("demo")
    newest = await state.db.one(policies.revision(agent.id, agent.policy_revision))
    assert newest is not None
    seal, statements = RevisionSeal(state.keyring), []
    for number in range(1_000, 1_000 + revisions):
        row = replace(newest, revision=PolicyRevision(number))
        row = replace(row, mac=seal._mac("k1", row), kid="k1")
        statements.append(policies.insert_revision(row))
    await state.db.write(lambda tx: [tx.run(one) for one in statements])
    rotate(state)
    steps = [await worker.step() for _ in range(12)]
    assert max(steps) == BATCH
    assert sum(steps) > revisions
    assert await filled.under("k1") == set()
