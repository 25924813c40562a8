"""Static tokens: where they may lie, for whom they open, what a moved connector does to them."""

from typing import Any, cast

import pytest

from tests.services.test_members import add_with_account
from tests.support.state import ADMIN, NOTES, OPEN, State, moved
from wicketd.domain.calls import Caller, Failure, OutcomeStatus, RefusalKind
from wicketd.domain.connections import ConnectionState, Credential
from wicketd.domain.errors import Conflict, Invalid, NotFound, Unhealthy
from wicketd.domain.members import MemberState
from wicketd.domain.ports import Database, Query, Statement
from wicketd.services.connection_rows import ConnectionRows

TOKEN = b"canary-4f1c-token"


def refused(answer: Credential | Failure) -> RefusalKind:
    """Why a credential was not given."""
    assert isinstance(answer, Failure)
    assert answer.outcome is OutcomeStatus.NO_CREDENTIALS
    return answer.refusal.kind


def given(answer: Credential | Failure) -> Credential:
    """The credential that was given."""
    assert isinstance(answer, Credential)
    return answer


async def save(state: State, token: bytes = TOKEN) -> None:
    """Saves bob's token for notes."""
    await state.connections.set_static(ADMIN, "demo", "bob", "notes", token)


async def sealed_caller(state: State) -> Caller:
    """Bob, with a key and a token sealed to it."""
    await state.connected()
    await save(state)
    return await state.caller()


async def tamper(state: State, sql: str) -> None:
    """Edits the database behind the daemon's back."""
    await state.db.write(lambda tx: tx.run(Statement(sql, ())))
    state.clock.pass_s(1.5)


async def test_without_a_key_a_token_is_pending_and_not_usable(state: State) -> None:
    await state.connected()
    await save(state)
    held = await state.held()
    assert held is not None
    assert held.state is ConnectionState.PENDING
    assert held.pending_expires_at == state.clock.now_ms() + 24 * 3_600_000
    assert TOKEN not in state.file_bytes()
    assert (await state.kinds())[-1] == "connection.pending"


@pytest.mark.requirement("P6")
async def test_with_a_key_a_token_is_deposited_and_the_server_keeps_no_copy(state: State) -> None:
    await state.connected()
    await state.caller()
    await save(state)
    held = await state.held()
    assert held is not None
    assert (held.state, held.sealed_suite, held.pending_ct) == (ConnectionState.SEALED, 2, None)
    assert TOKEN not in state.file_bytes()
    assert (await state.kinds())[-1] == "connection.sealed"


async def test_a_sealed_token_opens_for_its_owner_in_the_connectors_format(state: State) -> None:
    caller = await sealed_caller(state)
    credential = given(await state.connections.unlock(caller, "notes"))
    assert credential.header == "authorization"
    assert credential.value is not None
    assert credential.value.reveal() == b"Bearer " + TOKEN
    assert credential.destination is not None
    assert credential.destination.origin == "https://notes.example.test:443"
    assert TOKEN.decode() not in repr(credential)


async def test_a_deposit_is_made_symmetric_at_its_first_keyed_use(state: State) -> None:
    await state.connected()
    caller = await state.caller()
    await save(state)
    before = await state.recorded()
    first = given(await state.connections.unlock(caller, "notes"))
    held = await state.held()
    assert held is not None
    assert (held.sealed_suite, held.generation) == (1, 2)
    assert first.generation == 2
    second = given(await state.connections.unlock(caller, "notes"))
    assert second.generation == 2
    assert await state.kinds(before) == ["connection.rewrapped"]


async def test_a_newer_token_takes_the_place_of_the_older_one(state: State) -> None:
    caller = await sealed_caller(state)
    given(await state.connections.unlock(caller, "notes"))
    await save(state, b"second-token")
    credential = given(await state.connections.unlock(caller, "notes"))
    assert credential.value is not None
    assert credential.value.reveal() == b"Bearer second-token"


async def test_a_key_that_ended_opens_nothing_and_breaks_nothing_of_its_successor(
    state: State,
) -> None:
    old = await sealed_caller(state)
    await state.keys.revoke(ADMIN, "demo", "bob", None)
    new = await state.caller()
    await save(state, b"second-token")
    assert refused(await state.connections.unlock(old, "notes")) is RefusalKind.RECONNECT
    given(await state.connections.unlock(new, "notes"))


class Overtaken:
    """A database where every read is overtaken by a change of its member's rows."""

    def __init__(self, state: State) -> None:
        self._db = state.db
        self.rows: ConnectionRows | None = None

    async def one(self, query: Query[Any]) -> Any:
        """Reads, and only then lets the change be known."""
        found = await self._db.one(query)
        if self.rows is not None:
            self.rows.forget()
        return found


@pytest.mark.requirement("FC16")
async def test_a_row_read_before_a_change_is_not_kept_after_it(state: State) -> None:
    caller = await sealed_caller(state)
    overtaken = Overtaken(state)
    rows = ConnectionRows(cast("Database", overtaken), state.clock)  # the one verb it needs
    overtaken.rows = rows
    before = await rows.read(caller, "notes")
    overtaken.rows = None
    await state.connections.discard(ADMIN, "demo", "bob", "notes")
    after = await rows.read(caller, "notes")
    assert before is not None
    assert after is not None
    assert (before.state, after.state) == (ConnectionState.SEALED, ConnectionState.REVOKED)


async def test_a_row_is_read_once_a_second(state: State) -> None:
    caller = await sealed_caller(state)
    rows = ConnectionRows(state.db, state.clock)
    first = await rows.read(caller, "notes")
    assert await rows.read(caller, "notes") is first
    state.clock.pass_s(1)
    assert await rows.read(caller, "notes") is not first


async def test_a_service_without_credential_needs_none(state: State) -> None:
    caller = await sealed_caller(state)
    await state.service(key="open")
    credential = given(await state.connections.unlock(caller, "open"))
    assert credential.value is None


async def test_what_was_never_connected_says_so(state: State) -> None:
    await state.connected()
    caller = await state.caller()
    kind = refused(await state.connections.unlock(caller, "notes"))
    assert kind is RefusalKind.NOT_CONNECTED


@pytest.mark.requirement("P15", "FC16")
async def test_no_member_opens_the_token_of_another(state: State) -> None:
    await sealed_caller(state)
    await state.member(name="eve")
    eve = await state.caller(member="eve")
    assert refused(await state.connections.unlock(eve, "notes")) is RefusalKind.NOT_CONNECTED


@pytest.mark.requirement("FC8")
@pytest.mark.parametrize(
    "edit",
    [
        "UPDATE connections SET generation = generation + 1",
        "UPDATE connections SET sealed_ct = CAST(sealed_ct || x'00' AS BLOB)",
        "UPDATE connections SET sealed_ct = zeroblob(200)",
        "UPDATE connections SET issuer = 'https://evil.test'",
    ],
)
async def test_an_edited_row_never_opens_and_needs_a_new_sign_in(state: State, edit: str) -> None:
    caller = await sealed_caller(state)
    await tamper(state, edit)
    assert refused(await state.connections.unlock(caller, "notes")) is RefusalKind.RECONNECT
    held = await state.held()
    assert held is not None
    assert (held.state, held.sealed_ct) == (ConnectionState.NEEDS_RECONNECT, None)
    assert (await state.kinds())[-1] == "connection.broken"


@pytest.mark.requirement("FC11")
@pytest.mark.parametrize(
    "edit",
    [
        "UPDATE connections SET origin = 'https://evil.test:443'",
        "UPDATE connections SET placement = 'header:x-other'",
    ],
)
async def test_an_edited_destination_breaks_the_connection(state: State, edit: str) -> None:
    caller = await sealed_caller(state)
    await tamper(state, edit)
    assert refused(await state.connections.unlock(caller, "notes")) is RefusalKind.RECONNECT


@pytest.mark.requirement("FC11")
async def test_a_moved_connector_breaks_connections_and_taking_it_back_restores(
    state: State,
) -> None:
    caller = await sealed_caller(state)
    state.connectors["notes"] = moved(NOTES)
    found = await state.services.reload(ADMIN)
    assert found.moved == ("notes",)
    assert refused(await state.connections.unlock(caller, "notes")) is RefusalKind.RECONNECT
    held = await state.held()
    assert held is not None
    assert (held.state, held.error) == (ConnectionState.NEEDS_RECONNECT, "moved")
    assert held.sealed_ct is not None
    state.connectors["notes"] = NOTES
    await state.services.reload(ADMIN)
    given(await state.connections.unlock(caller, "notes"))
    assert [kind for kind in await state.kinds() if kind.startswith("connection")] == [
        "connection.pending",
        "connection.sealed",
        "connection.broken",
        "connection.restored",
    ]


async def test_a_pending_connection_is_restored_as_pending(state: State) -> None:
    await state.connected()
    await save(state)
    state.connectors["notes"] = moved(NOTES)
    await state.services.reload(ADMIN)
    state.connectors["notes"] = NOTES
    await state.services.reload(ADMIN)
    held = await state.held()
    assert held is not None
    assert held.state is ConnectionState.PENDING


async def test_a_key_issued_meanwhile_leaves_no_pending_copy_of_a_moved_connection(
    state: State,
) -> None:
    await state.connected()
    await save(state)
    state.connectors["notes"] = moved(NOTES)
    await state.services.reload(ADMIN)
    caller = await state.caller()
    held = await state.held()
    assert held is not None
    assert held.state is ConnectionState.NEEDS_RECONNECT
    assert held.pending_ct is None
    state.connectors["notes"] = NOTES
    await state.services.reload(ADMIN)
    credential = given(await state.connections.unlock(caller, "notes"))
    assert credential.value is not None
    assert credential.value.reveal() == b"Bearer " + TOKEN


async def test_a_key_revoked_meanwhile_destroys_a_moved_connections_copy(state: State) -> None:
    await sealed_caller(state)
    state.connectors["notes"] = moved(NOTES)
    await state.services.reload(ADMIN)
    broken = await state.held()
    assert broken is not None
    assert broken.sealed_ct is not None
    await state.keys.revoke(ADMIN, "demo", "bob", None)
    assert broken.sealed_ct not in state.file_bytes()
    state.connectors["notes"] = NOTES
    await state.services.reload(ADMIN)
    held = await state.held()
    assert held is not None
    assert (held.state, held.sealed_ct) == (ConnectionState.NEEDS_RECONNECT, None)


@pytest.mark.requirement("FC11")
async def test_a_connector_that_moved_unnoticed_gets_no_token_either(state: State) -> None:
    caller = await sealed_caller(state)
    given(await state.connections.unlock(caller, "notes"))
    state.connectors["notes"] = moved(NOTES)
    state.files.put(state.catalogue())
    assert refused(await state.connections.unlock(caller, "notes")) is RefusalKind.RECONNECT
    held = await state.held()
    assert held is not None
    assert (held.state, held.error) == (ConnectionState.NEEDS_RECONNECT, "moved")
    assert held.sealed_ct is not None


SWAP = (
    "UPDATE member_keys SET column = (SELECT k.column FROM member_keys AS k JOIN members AS m "
    "ON m.id = k.member_id WHERE m.local_name = 'eve')"
)


@pytest.mark.parametrize("column", ["seal_public", "seal_mac"])
async def test_a_forged_public_half_gets_no_deposit(state: State, column: str) -> None:
    await state.connected()
    await state.caller()
    await state.member(name="eve")
    await state.caller(member="eve")
    await tamper(state, SWAP.replace("column", column))
    with pytest.raises(Unhealthy, match="does not match its checksum"):
        await save(state)
    assert await state.held() is None


async def test_a_discarded_connection_is_destroyed_and_not_connected(state: State) -> None:
    caller = await sealed_caller(state)
    sealed = await state.held()
    assert sealed is not None
    assert sealed.sealed_ct is not None
    await state.connections.discard(ADMIN, "demo", "bob", "notes")
    assert sealed.sealed_ct not in state.file_bytes()
    assert refused(await state.connections.unlock(caller, "notes")) is RefusalKind.NOT_CONNECTED
    with pytest.raises(Conflict, match="it is revoked"):
        await state.connections.discard(ADMIN, "demo", "bob", "notes")
    await save(state)
    given(await state.connections.unlock(caller, "notes"))


async def test_discarding_what_was_never_connected_is_refused(state: State) -> None:
    await state.connected()
    with pytest.raises(NotFound, match="no connection"):
        await state.connections.discard(ADMIN, "demo", "bob", "notes")


@pytest.mark.requirement("FC16")
async def test_a_discard_holds_for_a_row_that_was_just_read(state: State) -> None:
    caller = await sealed_caller(state)
    given(await state.connections.unlock(caller, "notes"))
    await state.connections.discard(ADMIN, "demo", "bob", "notes")
    assert refused(await state.connections.unlock(caller, "notes")) is RefusalKind.NOT_CONNECTED


async def test_the_pending_window_ends_by_the_sweep(state: State) -> None:
    await state.connected()
    await save(state)
    pending = await state.held()
    assert pending is not None
    assert pending.pending_ct is not None
    assert await state.connections.expire_pending() == 0
    state.clock.pass_s(24 * 3600)
    assert await state.connections.expire_pending() == 1
    held = await state.held()
    assert held is not None
    assert held.state is ConnectionState.EXPIRED
    assert pending.pending_ct not in state.file_bytes()
    assert (await state.kinds())[-1] == "connection.expired"
    assert await state.connections.expire_pending() == 0


@pytest.mark.parametrize("token", [b"", b" ", b"a b", b"a\r\nx: y", "ü".encode(), b"x" * 8193])
async def test_a_token_that_could_not_stand_in_a_header_is_refused(
    state: State, token: bytes
) -> None:
    await state.connected()
    with pytest.raises(Invalid, match="visible ASCII"):
        await save(state, token)
    assert await state.held() is None


async def test_a_member_with_an_account_gets_no_token_here(state: State) -> None:
    await state.connected()
    ann = await add_with_account(state, "demo", MemberState.APPROVED)
    with pytest.raises(Conflict, match="connects in the portal"):
        await state.connections.set_static(ADMIN, "demo", ann.id, "notes", TOKEN)


async def test_a_service_without_static_credential_takes_no_token(state: State) -> None:
    await state.connected()
    await state.service(key="open")
    with pytest.raises(Conflict, match="no static token"):
        await state.connections.set_static(ADMIN, "demo", "bob", "open", TOKEN)


async def test_a_list_holds_no_ciphertext(state: State) -> None:
    await sealed_caller(state)
    (held,) = await state.connections.list("demo")
    assert (held.service, held.connection.sealed_ct) == ("notes", None)
    assert held.connection.state is ConnectionState.SEALED


async def test_a_service_whose_file_is_gone_is_unknown(state: State) -> None:
    caller = await sealed_caller(state)
    state.connectors = {"open": OPEN}
    await state.services.reload(ADMIN)
    assert refused(await state.connections.unlock(caller, "notes")) is RefusalKind.UNKNOWN_SERVICE
    held = await state.held()
    assert held is not None
    assert held.state is ConnectionState.SEALED
