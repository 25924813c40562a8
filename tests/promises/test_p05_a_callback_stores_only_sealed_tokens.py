"""P5: the callback stores tokens only under a server subkey; with a key, sealed to it inside that.

The row is read right after a real callback at a strict provider, then everything that could be
changed about it is changed: the keyring, the row, its column, owner, destination and window, and
every byte of the ciphertext.

Removals tried by hand, each turned a test here red: the origin and the member in
`places.connection_aad`; the window as generation of `pending_ct`; the deposit in
`Sealer.unconfirmed` (the server layer for everybody).
"""

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.sign_ins import SignInScene, key_of, open_scene
from tests.support.state import ADMIN, INSTALL_ID, CountedRandom
from wicketd.domain.connections import Connection, ConnectionState, Destination
from wicketd.domain.errors import Wrong
from wicketd.domain.ids import AgentId, ConnectionId, MemberId
from wicketd.domain.oauth_flows import OAuthFlow
from wicketd.domain.ports import Statement
from wicketd.services.flow_box import FlowAt
from wicketd.services.tokens import TokenBox
from wicketd.services.transitions import Held
from wicketd.storage import oauth_flows
from wicketd.vault import envelope, member_key
from wicketd.vault.envelope import DecryptFailed, Layer, Suite
from wicketd.vault.keyring import Keyring
from wicketd.vault.member_key import ParsedKey
from wicketd.vault.sealing import Sealer
from wicketd.vault.secret import Secret

OTHER = "018f0000-0000-7000-8000-0000000000ee"


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[SignInScene]:
    async with open_scene(tmp_path) as made:
        yield made


async def flow_row(scene: SignInScene) -> OAuthFlow:
    """The row as a callback has just left it, ciphertexts included."""
    (facts,) = await scene.open_flows()
    whole = await scene.state.db.one(oauth_flows.whole(facts))
    assert whole is not None
    return whole


def tokens_of(scene: SignInScene) -> set[bytes]:
    """What the provider has given out."""
    given = {token for grant in scene.server.grants for token in grant.access_tokens}
    given |= {grant.refresh_token for grant in scene.server.grants if grant.refresh_token}
    return {token.encode() for token in given}


async def connection(scene: SignInScene) -> Connection:
    held = await scene.held()
    assert held is not None
    return held


def at(scene: SignInScene, flow: OAuthFlow) -> FlowAt:
    """The row with the destination of the connector in force."""
    shown = scene.upstream.url.split("/mcp")[0]
    return FlowAt(flow, "notes", Destination(shown, "header:authorization"))


async def test_without_a_key_the_callback_leaves_the_server_layer_and_no_token(
    scene: SignInScene,
) -> None:
    await scene.signed_in()
    row, tokens = await flow_row(scene), tokens_of(scene)
    assert row.tokens_ct is not None
    head = envelope.header(row.tokens_ct)
    assert (head.layer, head.suite, head.kid) == (Layer.SERVER, Suite.SYMMETRIC, "k1")
    assert tokens
    assert not [token for token in tokens if token in scene.state.file_bytes()]
    plain = scene.state.sealer.open_unconfirmed(row.tokens_ct, at(scene, row).place())
    assert any(token in plain for token in tokens)


async def test_with_a_key_the_callback_leaves_a_deposit_that_the_keyring_cannot_open(
    scene: SignInScene,
) -> None:
    key = member_key.parse(await key_of(scene))
    assert key is not None
    await scene.signed_in()
    row, tokens = await flow_row(scene), tokens_of(scene)
    assert row.tokens_ct is not None
    assert envelope.header(row.tokens_ct).layer is Layer.OUTER
    place = at(scene, row).place(key.key_id)
    inner = scene.state.sealer._open_flow_outer(row.tokens_ct, place)
    head = envelope.header(inner)
    assert (head.layer, head.suite, head.kid) == (Layer.MEMBER, Suite.DEPOSIT, key.key_id)
    assert not [token for token in tokens if token in inner]
    with pytest.raises(DecryptFailed):
        scene.state.sealer.open_unconfirmed(row.tokens_ct, place)
    opened = scene.state.sealer.open_unconfirmed(row.tokens_ct, place, key.secret)
    assert any(token in opened for token in tokens)


@pytest.mark.parametrize("keyed", [False, True])
async def test_no_token_is_on_the_disk_at_any_step_of_a_sign_in(
    scene: SignInScene, keyed: bool
) -> None:
    if keyed:
        await key_of(scene)
    shown = await scene.signed_in()
    for step in ("callback", "confirm", "key"):
        if step == "confirm":
            await scene.state.flows.confirm(scene.ann, shown.flow_id)
        if step == "key" and not keyed:
            await key_of(scene)
        on_disk = scene.state.file_bytes()
        assert not [token for token in tokens_of(scene) if token in on_disk], step
    assert (await connection(scene)).state is ConnectionState.SEALED


def opened(box: TokenBox, held: Connection, key: ParsedKey | None) -> object:
    """The record, with the member key if it lies under one."""
    if key is None:
        return box.open_pending(Held(held, "notes"))
    return box.open_sealed(Held(held, "notes"), key.key_id, key.secret)


def wrong_ring() -> Keyring:
    return Keyring("k1", {"k1": Secret(bytes(range(1, 33)))}, INSTALL_ID)


EDITS: dict[str, Callable[[Connection], Connection]] = {
    "row": lambda c: replace(c, id=ConnectionId(OTHER)),
    "agent": lambda c: replace(c, agent_id=AgentId(OTHER)),
    "member": lambda c: replace(c, member_id=MemberId(OTHER)),
    "origin": lambda c: replace(
        c, destination=Destination("https://evil.test:443", c.destination.placement)
    ),
    "placement": lambda c: replace(
        c, destination=Destination(c.destination.origin, "header:x-token")
    ),
}


@pytest.mark.parametrize("edit", EDITS)
async def test_a_pending_record_opens_in_its_own_place_alone(scene: SignInScene, edit: str) -> None:
    held = await scene.connected()
    assert held.state is ConnectionState.PENDING
    box = scene.state.box
    box.open_pending(Held(held, "notes"))
    with pytest.raises(DecryptFailed):
        box.open_pending(Held(EDITS[edit](held), "notes"))


async def test_a_pending_record_opens_for_its_own_service_and_window_alone(
    scene: SignInScene,
) -> None:
    held, box = await scene.connected(), scene.state.box
    with pytest.raises(DecryptFailed):
        box.open_pending(Held(held, "open"))
    for shift in (-1, 1, 3_600_000):
        later = replace(held, pending_expires_at=(held.pending_expires_at or 0) + shift)
        with pytest.raises(DecryptFailed):
            box.open_pending(Held(later, "notes"))


@pytest.mark.parametrize("edit", [*EDITS, "issuer", "generation"])
async def test_a_sealed_record_opens_in_its_own_place_alone(scene: SignInScene, edit: str) -> None:
    key = member_key.parse(await key_of(scene))
    assert key is not None
    held, box = await scene.connected(), scene.state.box
    edits = EDITS | {
        "issuer": lambda c: replace(c, issuer="https://evil.test"),
        "generation": lambda c: replace(c, generation=c.generation + 1),
    }
    box.open_sealed(Held(held, "notes"), key.key_id, key.secret)
    with pytest.raises(DecryptFailed):
        box.open_sealed(Held(edits[edit](held), "notes"), key.key_id, key.secret)


async def test_no_column_takes_another_columns_ciphertext(scene: SignInScene) -> None:
    key = member_key.parse(await key_of(scene))
    assert key is not None
    sealed = await scene.connected()
    swapped = replace(sealed, pending_ct=sealed.sealed_ct, pending_expires_at=sealed.generation)
    with pytest.raises(DecryptFailed):
        scene.state.box.open_pending(Held(swapped, "notes"))
    await scene.signed_in()
    row = await flow_row(scene)
    moved = replace(sealed, sealed_ct=row.tokens_ct, generation=row.expires_at)
    with pytest.raises(DecryptFailed):
        scene.state.box.open_sealed(Held(moved, "notes"), key.key_id, key.secret)


@pytest.mark.parametrize("keyed", [False, True])
async def test_another_keyring_opens_nothing(scene: SignInScene, keyed: bool) -> None:
    key = member_key.parse(await key_of(scene)) if keyed else None
    held = await scene.connected()
    ring = wrong_ring()
    box = TokenBox(Sealer(ring, INSTALL_ID, CountedRandom()))
    with pytest.raises(DecryptFailed):
        opened(box, held, key)


@pytest.mark.parametrize("keyed", [False, True])
async def test_every_byte_of_a_ciphertext_counts(scene: SignInScene, keyed: bool) -> None:
    key = member_key.parse(await key_of(scene)) if keyed else None
    held, box = await scene.connected(), scene.state.box
    ciphertext = held.sealed_ct if keyed else held.pending_ct
    assert ciphertext is not None
    for index in range(len(ciphertext)):
        flipped = bytearray(ciphertext)
        flipped[index] ^= 0x01
        name = "sealed_ct" if keyed else "pending_ct"
        edited: Connection = replace(held, **{name: bytes(flipped)})  # type: ignore[arg-type]  # one of two
        with pytest.raises(DecryptFailed):
            opened(box, edited, key)
    for cut in (0, 1, len(ciphertext) - 1):
        with pytest.raises(DecryptFailed):
            box.open_pending(Held(replace(held, pending_ct=ciphertext[:cut]), "notes"))


@pytest.mark.parametrize("column", ["member_id", "expires_at", "tokens_ct"])
async def test_an_edited_sign_in_connects_nothing(scene: SignInScene, column: str) -> None:
    eve = await scene.other_member()
    shown = await scene.signed_in()
    value: dict[str, str | int | bytes] = {
        "member_id": (await scene.state.members.get("demo", eve.account.email)).id,
        "expires_at": (await flow_row(scene)).expires_at + 1,
        "tokens_ct": bytes(64),
    }
    edit = f"UPDATE oauth_flows SET {column} = ?"  # noqa: S608  # a name of this table
    await scene.state.db.write(lambda tx: tx.run(Statement(edit, (value[column],))))
    with pytest.raises(Wrong):
        await scene.state.flows.confirm(scene.ann, shown.flow_id)
    assert await scene.held() is None


async def test_a_static_token_takes_the_same_way(scene: SignInScene) -> None:
    state = scene.state
    state.connectors["static"] = STATIC
    state.files.put(state.catalogue())
    await state.services.enable(ADMIN, "demo", "static")
    pending = await state.connections.set_own_static(
        scene.ann, scene.agent.id, "static", b"static-canary"
    )
    assert envelope.header(pending.pending_ct or b"").layer is Layer.SERVER
    await key_of(scene)
    deposit = await state.connections.set_own_static(
        scene.ann, scene.agent.id, "static", b"static-canary"
    )
    assert deposit.pending_ct is None
    assert envelope.header(deposit.sealed_ct or b"").layer is Layer.OUTER
    assert deposit.sealed_suite == Suite.DEPOSIT
    assert b"static-canary" not in state.file_bytes()


STATIC = """
key = "static"
name = "Static"
transport = { kind = "streamable-http", url = "https://static.example.test/mcp" }
credential = { kind = "static", header = "Authorization", format = "Bearer {token}" }
"""
