"""`wicketd keyring …` on local files: what it writes, what it refuses, what any order leaves."""

import os
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.front_door import Door
from tests.support.site import CREATED, Site, first_keyring
from tests.support.state import ADMIN, CountedIds, CountedRandom, FakeClock, State, open_state
from tests.support.visitors import add_membership, add_visitor
from wicketd.domain.connections import ConnectionState
from wicketd.domain.errors import (
    Conflict,
    Forbidden,
    KeyringInvalid,
    SecondInstance,
    StorageBroken,
)
from wicketd.domain.members import KeyState
from wicketd.domain.ports import Statement
from wicketd.services import rotation
from wicketd.services.retiring import Dropped, Tools
from wicketd.services.rotation import Place
from wicketd.services.transitions import Held
from wicketd.storage.files import LockFile
from wicketd.vault import keyring, member_key


def tools() -> Tools:
    clock = FakeClock()
    return Tools(clock, CountedIds(clock), CountedRandom())


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path / "server.keyring", tmp_path / "wicket.db")


def test_a_keyring_is_made_once(place: Place) -> None:
    made = rotation.init(place, CREATED, CountedRandom())
    assert keyring.load(made, {}).active == "k1"
    with pytest.raises(KeyringInvalid, match="nothing is overwritten"):
        rotation.init(place, CREATED, CountedRandom())


async def test_no_keyring_is_made_for_a_database_that_has_one(state: State) -> None:
    site = await Site.found(state)
    await state.agent()
    await state.member()
    await state.keys.issue(ADMIN, "demo", "bob")
    site.path.unlink()
    with pytest.raises(KeyringInvalid, match="rows under k1") as caught:
        rotation.init(site.place, CREATED, CountedRandom())
    assert caught.value.hint == "Restore the keyring that belongs to it."
    assert not site.path.exists()


def test_a_rotation_rewrites_the_file_whole(place: Place) -> None:
    rotation.init(place, CREATED, CountedRandom())
    before = keyring.load(place.keyring, {})
    done = rotation.rotate(place, {}, CREATED, tools().random)
    after = keyring.load(place.keyring, {})
    assert (done.kid, done.was, after.active) == ("k2", "k1", "k2")
    assert after.roots["k1"] == before.roots["k1"]
    assert [path.name for path in place.keyring.parent.iterdir()] == ["server.keyring"]


def test_a_credential_of_systemd_is_not_rewritten(place: Place, tmp_path: Path) -> None:
    rotation.init(place, CREATED, CountedRandom())
    handed = tmp_path / "credentials"
    handed.mkdir()
    (handed / "server.keyring").write_bytes(first_keyring())
    with pytest.raises(KeyringInvalid, match="as a credential") as caught:
        rotation.rotate(place, {"CREDENTIALS_DIRECTORY": str(handed)}, CREATED, CountedRandom())
    assert "systemd-creds encrypt --name=server.keyring" in (caught.value.hint or "")


def test_an_encrypted_credential_is_named_with_the_command_that_makes_it(place: Place) -> None:
    place.keyring.write_bytes(b"k6iUCUh0RJCQyvL8k8q1UyAAAAABAAAADAAAABAAAAC1lFmbGsuRYbFBzxbvNuIj\n")
    place.keyring.chmod(0o600)
    with pytest.raises(KeyringInvalid, match="systemd encrypted") as caught:
        rotation.rotate(place, {}, CREATED, CountedRandom())
    assert "systemd-creds encrypt --name=server.keyring" in (caught.value.hint or "")


def test_a_missing_keyring_says_how_to_make_one(place: Place) -> None:
    with pytest.raises(KeyringInvalid, match="Cannot open") as caught:
        rotation.rotate(place, {}, CREATED, CountedRandom())
    assert "wicketd keyring init" in (caught.value.hint or "")


def test_without_a_database_there_is_no_status(place: Place) -> None:
    rotation.init(place, CREATED, CountedRandom())
    with pytest.raises(StorageBroken):
        rotation.status(place, {}, 0)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give files away")
def test_a_keyring_of_a_stranger_is_refused(place: Place) -> None:
    rotation.init(place, CREATED, CountedRandom())
    os.chown(place.keyring, 12345, 12345)
    with pytest.raises(KeyringInvalid, match="belongs to uid 12345"):
        rotation.rotate(place, {}, CREATED, CountedRandom())


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give files away")
def test_root_rotates_the_daemons_own_keyring_for_the_daemon(place: Place) -> None:
    rotation.init(place, CREATED, CountedRandom())
    for parent in place.keyring.parents:
        if parent.stat().st_mode & 0o005 != 0o005:
            parent.chmod(parent.stat().st_mode | 0o055)
    for path in (place.keyring.parent, place.keyring):
        os.chown(path, 12345, 12345)
    rotation.rotate(place, {}, CREATED, tools().random)
    assert place.keyring.stat().st_uid == 12345
    assert os.geteuid() == 0


async def test_status_tells_rows_verifiers_and_progress(state: State) -> None:
    site = await Site.found(state)
    await state.connected()
    await state.keys.issue(ADMIN, "demo", "bob")
    await state.connections.set_static(ADMIN, "demo", "bob", "notes", b"t")
    site.rotate()
    await site.restart()
    report = rotation.status(site.place, {}, state.clock.now_ms())
    text = "\n".join(report.lines())
    assert "k2  active, made 2026-11-24T00:00:00Z" in text
    assert "rows: connections 1, member_keys 1, policy_revisions 2" in text
    assert "verifiers: 1" in text
    assert "0 of 3 rows are under the active key." in text
    assert "retire" not in text
    facts = report.facts()
    assert (facts["rewrapped"], facts["toRewrap"]) == (0, 3)
    await site.worker.finish()
    text = "\n".join(rotation.status(site.place, {}, state.clock.now_ms()).lines())
    assert "3 of 3 rows are under the active key." in text


async def test_a_key_that_rows_name_is_not_retired(state: State) -> None:
    site = await Site.found(state)
    await state.connected()
    await state.connections.set_static(ADMIN, "demo", "bob", "notes", b"t")
    site.rotate()
    await site.restart()
    with pytest.raises(Conflict, match="1 in connections, 2 in policy_revisions") as caught:
        await site.retire("k1")
    assert "wicketd keyring status" in (caught.value.hint or "")
    await site.worker.finish()
    assert await site.retire("k1") == []
    assert tuple(keyring.load(site.path, {}).roots) == ("k2",)
    report = rotation.status(site.place, {}, state.clock.now_ms())
    assert [use.kid for use in report.uses] == ["k2"]


async def test_a_key_that_an_open_session_names_is_not_retired_until_it_is_over(
    state: State,
) -> None:
    site = await Site.found(state)
    ann = await add_visitor(state)
    session = Statement(
        "INSERT INTO web_sessions (id, account_id, token_mac, kid, created_at, last_seen_at, "
        "expires_at, ip, user_agent) VALUES ('s', ?, zeroblob(32), 'k1', 0, 0, ?, '', '')",
        (ann.account.id, state.clock.now_ms() + 60_000),
    )
    await state.db.write(lambda tx: tx.run(session))
    site.rotate()
    await site.restart()
    with pytest.raises(Conflict, match="1 in web_sessions") as caught:
        await site.retire("k1")
    assert "run out by themselves" in (caught.value.hint or "")
    state.clock.pass_s(61)
    await site.retire("k1")


@pytest.mark.parametrize(("kid", "why"), [("k2", "is the active key"), ("k9", "has no key k9")])
async def test_neither_the_active_key_nor_an_unknown_one_is_retired(
    state: State, kid: str, why: str
) -> None:
    site = await Site.found(state)
    site.rotate()
    with pytest.raises(KeyringInvalid, match=why):
        await site.retire(kid)


async def test_verifiers_are_dropped_only_when_asked_and_told_by_name(state: State) -> None:
    site = await Site.found(state)
    await state.connected()
    key, _ = await state.keys.issue(ADMIN, "demo", "bob")
    await state.connections.set_static(ADMIN, "demo", "bob", "notes", b"t")
    ann = await add_visitor(state)
    code = Statement(
        "INSERT INTO backup_codes (id, account_id, code_mac, kid) VALUES ('c', ?, zeroblob(32), "
        "'k1')",
        (ann.account.id,),
    )
    await state.db.write(lambda tx: tx.run(code))
    site.rotate()
    await site.restart()
    await site.worker.finish()
    with pytest.raises(Conflict, match="2 verifiers still name k1") as caught:
        await site.retire("k1")
    assert "--drop-keys" in (caught.value.hint or "")
    before = await state.recorded()
    dropped = await site.retire("k1", drop_keys=True)
    assert dropped == [
        Dropped("bob", "demo", key.key_id),
        Dropped("ann@example.test", None, None, 1),
    ]
    assert [one.line() for one in dropped] == [
        f"revoked key {key.key_id} of bob on demo",
        "deleted 1 backup codes of ann@example.test",
    ]
    assert await state.kinds(before) == ["key.revoked", "connection.broken"]
    held = await state.held()
    assert held is not None
    assert held.state is ConnectionState.NEEDS_RECONNECT


async def test_beside_a_daemon_a_key_goes_once_its_successor_is_in_force(
    tmp_path: Path, place: Place
) -> None:
    async with open_state(tmp_path) as state:
        site = await Site.found(state)
        await state.connected()
        await state.connections.set_static(ADMIN, "demo", "bob", "notes", b"t")
        rotation.rotate(place, {}, CREATED, tools().random)
        with pytest.raises(Conflict, match="has not taken in k2") as caught:
            await rotation.retire(place, {}, "k1", tools(), drop_keys=False)
        assert "SIGHUP" in (caught.value.hint or "")
        await site.reload()
        with pytest.raises(Conflict, match="1 in connections"):
            await rotation.retire(place, {}, "k1", tools(), drop_keys=False)
        assert tuple(keyring.load(place.keyring, {}).roots) == ("k1", "k2")
        await site.restart()
        await site.worker.finish()
        assert await rotation.retire(place, {}, "k1", tools(), drop_keys=False) == ()
        assert tuple(keyring.load(place.keyring, {}).roots) == ("k2",)
        assert await site.reload() == "k2"
        await site.restart()
        await state.keys.issue(ADMIN, "demo", "bob")  # the pending token opens without k1


async def test_verifiers_are_not_dropped_beside_a_daemon(tmp_path: Path, place: Place) -> None:
    async with open_state(tmp_path) as state:
        site = await Site.found(state)
        rotation.rotate(place, {}, CREATED, tools().random)
        await site.restart()
        with pytest.raises(SecondInstance):
            await rotation.retire(place, {}, "k1", tools(), drop_keys=True)
    assert await rotation.retire(place, {}, "k1", tools(), drop_keys=True) == []
    assert tuple(keyring.load(place.keyring, {}).roots) == ("k2",)


async def test_the_keyring_of_another_database_retires_nothing(
    tmp_path: Path, place: Place
) -> None:
    async with open_state(tmp_path) as state:
        await Site.found(state)
    place.keyring.unlink()
    strange = tools()
    strange.random.bytes(1)
    strange.random.bytes(1)
    place.keyring.write_bytes(keyring.generate(CREATED, strange.random))
    place.keyring.chmod(0o600)
    rotation.rotate(place, {}, CREATED, strange.random)
    with pytest.raises(KeyringInvalid, match="not the key of this database"):
        await rotation.retire(place, {}, "k1", tools(), drop_keys=True)


async def test_somebody_elses_database_is_not_opened(
    tmp_path: Path, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_state(tmp_path) as state:
        await Site.found(state)
    lock = LockFile(place.database)
    lock.release()
    stranger = place.database.stat().st_uid + 1
    rotation.rotate(place, {}, CREATED, tools().random)
    monkeypatch.setattr("wicketd.storage.files.os.geteuid", lambda: stranger)
    with pytest.raises((Forbidden, KeyringInvalid)):
        rotation.status(place, {}, 0)


STEPS = st.one_of(
    st.sampled_from(["rotate", "restart", "reload", "rewrap", "rewrap some", "use", "save"]),
    st.tuples(st.just("retire"), st.integers(1, 4)),
)


@settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=st.lists(STEPS, max_size=14))
async def test_rotate_retire_and_restart_in_any_order_leave_no_unreadable_row(
    tmp_path_factory: pytest.TempPathFactory, steps: list[str | tuple[str, int]]
) -> None:
    async with open_state(tmp_path_factory.mktemp("site")) as state:
        site = await Site.found(state)
        await state.connected()
        await state.service(key="open")
        ann = await add_visitor(state)
        member = await add_membership(state, ann)
        issued = await state.keys.issue_own(ann, member.agent_id)
        await state.connections.set_own_static(ann, member.agent_id, "notes", b"token-of-ann")
        await state.connections.set_static(ADMIN, "demo", "bob", "notes", b"token-of-bob")
        key = member_key.parse(issued.text.reveal())
        assert key is not None
        for step in steps:
            if step == "rotate":
                if len(keyring.load(site.path, {}).roots) < keyring.MAX_KEYS:
                    site.rotate()
            elif step == "restart":
                await site.restart()
            elif step == "reload":
                await site.reload()
            elif step == "rewrap":
                await site.worker.finish()
            elif step == "rewrap some":
                await site.worker.step()
            elif step == "save":
                await state.connections.set_own_static(
                    ann, member.agent_id, "notes", b"token-of-ann"
                )
            elif step == "use":
                await use(state, issued.text.reveal())
            else:
                with suppress(Conflict, KeyringInvalid):
                    await site.retire(f"k{step[1]}")
            sealed = await state.held(member="ann@example.test")
            pending = await state.held()
            assert sealed is not None
            assert pending is not None
            opened = state.box.open_sealed(Held(sealed, "notes"), key.key_id, key.secret)
            assert opened.token.reveal() == b"token-of-ann"
            assert b"token-of-bob" in state.box.open_pending(Held(pending, "notes")).reveal()
            assert await use(state, issued.text.reveal()), "the member's key must open the door"
            agent = await state.agents.get("demo")
            await state.snapshots.rebuild(agent.id)
            assert state.snapshots.of(agent.id) is not None
        assert [one.state for one in await state.keys.list("demo")] == [KeyState.ACTIVE]
        await site.restart()


async def use(state: State, text: bytes) -> bool:
    """A request with the key, and the flush that follows within a second."""
    door = Door(state)
    return await door.knock(text) and await door.moves.flush() >= 0
